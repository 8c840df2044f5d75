//! A store as plain maps: what it takes, what deletions hide, what shows.
//!
//! Not here: steps at random (`model_test`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::append::Column;
use model::{Appended, Batch, Histogram, Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{Store, Undone};

use crate::support::{content, labels, read};

/// What stands at an instant: a number by its bits, or a histogram by its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    Number(u64),
    Histogram(String),
}

/// What is sent: series, instant, a number or a histogram.
pub type Sent = (u64, i64, Value);

#[derive(Debug, Clone)]
pub enum Value {
    Number(u64),
    Histogram(Arc<Histogram>),
}

impl Value {
    fn held(&self) -> Held {
        match self {
            Value::Number(bits) => Held::Number(*bits),
            Value::Histogram(own) => Held::Histogram(text(own)),
        }
    }
}

/// To the bit; NaN sums have no equality of their own.
fn text(own: &Histogram) -> String {
    format!("{own:?} {:x}", own.sum.to_bits())
}

/// Everything that shows.
pub type Shown = BTreeMap<Labels, BTreeMap<i64, Held>>;

/// Everything a store shows in a range.
pub fn shown(store: &Store, range: TimeRange) -> Shown {
    let mut all = Shown::new();
    let (numbers, warnings) =
        if range == TimeRange::ALL { (content(store), Vec::new()) } else { read(store, range) };
    assert_eq!(warnings, Vec::<String>::new());
    for (labels, samples) in numbers {
        let samples = samples.into_iter().map(|(at_ms, bits)| (at_ms, Held::Number(bits)));
        all.entry(labels).or_default().extend(samples);
    }
    let everything = Matcher::new("__name__", MatchOp::NotEqual, "").unwrap();
    let entries = store.series(&[everything], range, 0).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut scan = store.beside(&ids, range).unwrap();
    for beside in scan.by_ref() {
        let beside = beside.unwrap();
        let series = all.entry(entries[beside.position].labels.clone()).or_default();
        for (at, own) in &beside.histograms {
            let before = series.insert(at.0, Held::Histogram(text(own)));
            assert_eq!(before, None, "a number and a histogram at one instant");
        }
    }
    assert_eq!(scan.warnings(), Vec::<String>::new());
    all.retain(|_, series| !series.is_empty());
    all
}

#[derive(Debug, Clone)]
struct Version {
    held: Held,
    /// The deletions that hide it, each for sure or only perhaps.
    hidden_by: BTreeMap<usize, bool>,
}

#[derive(Debug, Clone, Default)]
struct Series {
    places: BTreeMap<i64, Vec<Version>>,
    newest_ms: Option<i64>,
    /// A deletion hid some of it: what comes late is judged by what the disk still has.
    was_deleted: bool,
}

impl Series {
    fn shown(&self, at_ms: i64) -> Option<&Held> {
        let versions = self.places.get(&at_ms)?;
        Some(&versions.iter().rev().find(|own| own.hidden_by.is_empty())?.held)
    }
}

/// The naive store.
#[derive(Debug, Clone, Default)]
pub struct Naive {
    window_ms: i64,
    series: BTreeMap<u64, Series>,
}

/// Whether something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Taken,
    Same,
    Refused,
    /// It depends on what a deletion left on the disk.
    Either,
}

impl Naive {
    pub fn new(window_ms: i64) -> Naive {
        Naive { window_ms, ..Naive::default() }
    }

    /// The newest instant of a series.
    pub fn newest_ms(&self, number: u64) -> Option<i64> {
        self.series.get(&number)?.newest_ms
    }

    /// The batch of what is sent.
    pub fn batch(sent: &[Sent]) -> Batch {
        let mut batch = Batch::new();
        for (number, at_ms, value) in sent {
            let (series, at) = (batch.series(&labels(*number)), TimestampMs(*at_ms));
            match value {
                Value::Number(bits) => batch.sample(series, at, f64::from_bits(*bits)),
                Value::Histogram(own) => batch.histogram(series, at, Arc::clone(own)),
            }
        }
        batch
    }

    /// Takes what the store must take, and compares its answer. A batch's numbers come first.
    pub fn append(&mut self, sent: &[Sent], answer: &Appended) {
        let refused: BTreeSet<(Column, usize)> =
            answer.refused.iter().map(|own| (own.column, own.series.0 as usize)).collect();
        let before: BTreeMap<u64, Option<i64>> =
            sent.iter().map(|one| (one.0, self.newest_ms(one.0))).collect();
        let mut newest_histogram: BTreeMap<u64, i64> = BTreeMap::new();
        for column in [Column::Samples, Column::Histograms] {
            for (index, (number, at_ms, value)) in sent.iter().enumerate() {
                let verdict = match (column, value) {
                    (Column::Samples, Value::Number(_)) => {
                        self.judge_number(*number, *at_ms, value)
                    }
                    (Column::Histograms, Value::Histogram(_)) => {
                        let group_ms = newest_histogram.get(number).copied();
                        let before_ms = before[number].max(group_ms);
                        self.judge_histogram((*number, *at_ms), value, before_ms)
                    }
                    _ => continue,
                };
                let is_refused = refused.contains(&(column, index));
                let is_right = match verdict {
                    Verdict::Taken | Verdict::Same => !is_refused,
                    Verdict::Refused => is_refused,
                    Verdict::Either => true,
                };
                assert!(is_right, "{value:?} of {number} at {at_ms}: {verdict:?}, {is_refused}");
                if is_refused || verdict == Verdict::Same {
                    continue;
                }
                let series = self.series.entry(*number).or_default();
                let version = Version { held: value.held(), hidden_by: BTreeMap::new() };
                series.places.entry(*at_ms).or_default().push(version);
                series.newest_ms = series.newest_ms.max(Some(*at_ms));
                if column == Column::Histograms {
                    let newest_ms = newest_histogram.entry(*number).or_insert(*at_ms);
                    *newest_ms = at_ms.max(newest_ms).to_owned();
                }
            }
        }
        let count = answer.accepted + answer.histograms_accepted;
        assert_eq!(count as usize + answer.refused.len(), sent.len(), "each is answered");
    }

    fn judge_number(&self, number: u64, at_ms: i64, value: &Value) -> Verdict {
        let Some(series) = self.series.get(&number) else { return Verdict::Taken };
        match series.shown(at_ms) {
            Some(held) if *held == value.held() => return Verdict::Same,
            Some(_) => return Verdict::Refused,
            None => {}
        }
        let Some(newest_ms) = series.newest_ms else { return Verdict::Taken };
        let is_late_in_time = self.window_ms > 0 && at_ms >= newest_ms - self.window_ms;
        match at_ms > newest_ms || is_late_in_time {
            true => Verdict::Taken,
            false if series.was_deleted => Verdict::Either,
            false => Verdict::Refused,
        }
    }

    fn judge_histogram(
        &self,
        (number, at_ms): (u64, i64),
        value: &Value,
        before_ms: Option<i64>,
    ) -> Verdict {
        let Some(series) = self.series.get(&number) else { return Verdict::Taken };
        match series.shown(at_ms) {
            Some(held) if *held == value.held() => return Verdict::Same,
            Some(_) => return Verdict::Refused,
            None => {}
        }
        match before_ms.is_none_or(|before_ms| at_ms > before_ms) {
            true => Verdict::Taken,
            false if series.was_deleted => Verdict::Either,
            false => Verdict::Refused,
        }
    }

    fn each_in(&mut self, numbers: &[u64], range: TimeRange) -> impl Iterator<Item = &mut Version> {
        let series = self.series.iter_mut().filter(|own| numbers.contains(own.0));
        let places = series.flat_map(|(_, series)| &mut series.places);
        places.filter(move |own| range.contains(TimestampMs(*own.0))).flat_map(|own| own.1)
    }

    /// Hides what is there of some series; whether anything showed.
    pub fn delete(&mut self, deletion: usize, numbers: &[u64], range: TimeRange) -> bool {
        for (number, series) in &mut self.series {
            series.was_deleted |= numbers.contains(number);
        }
        let mut showed = false;
        for version in self.each_in(numbers, range) {
            showed |= version.hidden_by.is_empty();
            version.hidden_by.insert(deletion, true);
        }
        showed
    }

    /// Takes a deletion back as far as the store says it did; what it did in part shows.
    pub fn undelete(&mut self, deletion: usize, undone: Undone, shown: &Shown) {
        for (number, series) in &mut self.series {
            let found = shown.get(&labels(*number));
            for (at_ms, versions) in &mut series.places {
                let found = found.and_then(|series| series.get(at_ms));
                for version in versions {
                    match (undone, version.hidden_by.get_mut(&deletion)) {
                        (Undone::Whole, Some(_)) => drop(version.hidden_by.remove(&deletion)),
                        (Undone::Partly, Some(for_sure)) => *for_sure = false,
                        _ => {}
                    }
                    let is_hidden = version.hidden_by.values().any(|for_sure| *for_sure);
                    if !is_hidden && found == Some(&version.held) {
                        version.hidden_by.clear();
                    }
                }
            }
        }
    }

    /// What must show in a range.
    pub fn shown(&self, range: TimeRange) -> Shown {
        let mut all = Shown::new();
        for (number, series) in &self.series {
            let instants =
                series.places.keys().filter(|at_ms| range.contains(TimestampMs(**at_ms)));
            let held = instants.filter_map(|at_ms| Some((*at_ms, series.shown(*at_ms)?.clone())));
            let held: BTreeMap<i64, Held> = held.collect();
            if !held.is_empty() {
                all.insert(labels(*number), held);
            }
        }
        all
    }
}
