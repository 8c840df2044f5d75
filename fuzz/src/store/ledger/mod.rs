//! What was sent, acknowledged and deleted, and whether a store is right about it.
//!
//! Place in the flow: `story` writes down every step here; after each restart **`ledger`** compares.
//!
//! A step that failed leaves doubt: its samples may come back with the next restart, its deletion may
//! hold from then on. What a restart shows ends the doubt, and must be so from there on.
//!
//! Invariants: an acknowledged sample is in the store bit for bit; the store holds nothing that was
//! never sent; what a completed deletion took does not come back, unless it is taken back.
//!
//! Not here: damage on purpose (`flips` counts what it may cost).

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, Matcher, TimeRange, TimestampMs};
use storage::{Store, Tombstone, Undone};

use super::held::{Content, Held, content, labels, start_of};
use extras::Extras;

/// Exemplars and families.
mod extras;

/// Something that was stored at one instant of one series.
#[derive(Debug, Clone)]
struct Version {
    held: Held,
    /// Whether its start timestamp was acknowledged with it.
    has_start: bool,
    /// The deletions that hide it; it shows when there are none.
    hidden_by: BTreeSet<u64>,
    /// A deletion that was taken back in part: the version shows, or is gone, or still hidden by it.
    in_doubt: Option<u64>,
}

/// What may stand at one instant of one series.
#[derive(Debug, Clone, Default)]
struct Place {
    versions: Vec<Version>,
    /// What failed writes brought since the last restart: it may come back.
    failed: Vec<Held>,
    /// All that was ever sent.
    sent: Vec<Held>,
    /// A power cut may have torn its batch, and left a start timestamp alone.
    was_failed: bool,
}

impl Place {
    fn shown(&self) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.hidden_by.is_empty())
    }

    fn shown_mut(&mut self) -> Option<&mut Version> {
        self.versions.iter_mut().rev().find(|version| version.hidden_by.is_empty())
    }

    /// What the store says is here; `is_old` when retention may have taken it.
    fn judge(&self, found: Option<Held>, is_old: bool) -> Result<(), String> {
        let shown = self.shown();
        if found == shown.map(|version| version.held) {
            return Ok(());
        }
        match (found, shown) {
            (None, None) => Ok(()),
            (Some(held), _) if self.failed.contains(&held) => Ok(()),
            (None, Some(shown)) if is_old || shown.in_doubt.is_some() => Ok(()),
            (None, Some(shown)) => Err(format!("{:?}: acknowledged, and not there", shown.held)),
            (Some(held), Some(shown)) => {
                Err(format!("{held:?} in place of the acknowledged {:?}", shown.held))
            }
            (Some(held), None) if self.versions.iter().any(|own| own.held == held) => {
                Err(format!("{held:?} was deleted, and is back"))
            }
            (Some(held), None) => Err(format!("{held:?} was never sent")),
        }
    }

    /// Believes what passed `judge`.
    fn settle(&mut self, found: Option<Held>) {
        self.failed.clear();
        let shown = self.shown_mut();
        match (found, shown) {
            (Some(held), Some(shown)) if shown.held == held => shown.in_doubt = None,
            (Some(held), _) => self.push(held, false),
            (None, Some(shown)) => match shown.in_doubt {
                Some(deletion) => drop(shown.hidden_by.insert(deletion)),
                None => self.versions.retain(|version| !version.hidden_by.is_empty()),
            },
            (None, None) => {}
        }
    }

    fn push(&mut self, held: Held, has_start: bool) {
        // Nothing shows below it: what was in doubt turned out to be hidden still.
        for version in &mut self.versions {
            if let (true, Some(deletion)) = (version.hidden_by.is_empty(), version.in_doubt) {
                version.hidden_by.insert(deletion);
            }
        }
        let hidden_by = BTreeSet::new();
        self.versions.push(Version { held, has_start, hidden_by, in_doubt: None });
    }
}

/// A deletion as it was ordered.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// Which of their samples.
    pub range: TimeRange,
}

impl Deletion {
    fn passes(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|own| own.matches_labels(labels))
    }
}

/// A change that failed: a restart may show that it was made.
#[derive(Debug, Clone)]
enum Doubt {
    /// What the deletion would hide.
    Delete(Deletion, Vec<(u64, i64, usize)>),
    Undelete(u64),
}

/// Everything that was sent to one store.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    places: BTreeMap<u64, BTreeMap<i64, Place>>,
    doubts: Vec<Doubt>,
    extras: Extras,
    retention_ms: i64,
    /// Whether start timestamps were sent.
    has_starts: bool,
    newest_ms: i64,
    acknowledged_count: u64,
    /// Stands for the number of a deletion that nobody was told.
    nameless: u64,
}

impl Ledger {
    /// An empty one for a store that need not keep what is older than this; 0: it must keep all.
    pub fn new(retention_ms: i64, has_starts: bool) -> Ledger {
        Ledger { retention_ms, has_starts, nameless: 1 << 32, ..Ledger::default() }
    }

    /// Samples and histograms acknowledged so far, repetitions too.
    pub fn acknowledged_count(&self) -> u64 {
        self.acknowledged_count
    }

    /// What stands in a series, `back` samples before its newest one.
    pub fn acknowledged(&self, number: u64, back: usize) -> Option<(i64, Held)> {
        let places = self.places.get(&number)?.iter().rev();
        let mut known = places.filter_map(|(at_ms, place)| Some((*at_ms, place.shown()?.held)));
        known.nth(back)
    }

    /// The newest instant sent for a series.
    pub fn newest_ms(&self, number: u64) -> Option<i64> {
        self.places.get(&number)?.last_key_value().map(|(at_ms, _)| *at_ms)
    }

    fn place(&mut self, number: u64, at_ms: i64) -> &mut Place {
        self.places.entry(number).or_default().entry(at_ms).or_default()
    }

    fn is_old(&self, at_ms: i64) -> bool {
        self.retention_ms > 0 && at_ms < self.newest_ms.saturating_sub(self.retention_ms)
    }

    /// A sample or histogram goes out.
    pub fn send(&mut self, number: u64, at_ms: i64, held: Held) {
        self.newest_ms = self.newest_ms.max(at_ms);
        let sent = &mut self.place(number, at_ms).sent;
        if !sent.contains(&held) {
            sent.push(held);
        }
    }

    /// The store says that it has it. An error when it took a second one for an instant.
    pub fn acknowledge(&mut self, number: u64, at_ms: i64, held: Held) -> Result<(), String> {
        self.acknowledged_count += 1;
        let is_old = self.is_old(at_ms);
        let place = self.place(number, at_ms);
        place.failed.clear();
        match place.shown_mut() {
            Some(shown) if shown.held == held => {
                (shown.has_start, shown.in_doubt) = (true, None);
            }
            Some(shown) if !is_old && shown.in_doubt.is_none() => {
                let before = shown.held;
                return Err(format!(
                    "series {number} at {at_ms}: {held:?} was accepted over {before:?}"
                ));
            }
            _ => place.push(held, true),
        }
        Ok(())
    }

    /// The store did not take the batch: it may come back all the same, but not over what it has.
    pub fn fail(&mut self, number: u64, at_ms: i64, held: Held) {
        let place = self.place(number, at_ms);
        place.was_failed = true;
        if place.shown().is_none_or(|shown| shown.in_doubt.is_some()) {
            place.failed.push(held);
        }
    }

    /// Exemplars and families.
    pub fn extras(&mut self) -> &mut Extras {
        &mut self.extras
    }

    /// Places that a deletion names, with the position of each version there.
    fn named(&self, deletion: &Deletion) -> Vec<(u64, i64, usize)> {
        let mut named = Vec::new();
        for (number, places) in &self.places {
            if !deletion.passes(&labels(*number)) {
                continue;
            }
            for (at_ms, place) in places {
                if deletion.range.contains(TimestampMs(*at_ms)) {
                    named.extend((0..place.versions.len()).map(|index| (*number, *at_ms, index)));
                }
            }
        }
        named
    }

    fn hide(&mut self, id: u64, deletion: &Deletion, named: &[(u64, i64, usize)]) {
        for (number, at_ms, index) in named {
            self.place(*number, *at_ms).versions[*index].hidden_by.insert(id);
        }
        self.extras.delete(deletion);
    }

    /// A deletion was acknowledged; without a number when the store found nothing to delete.
    pub fn delete(&mut self, id: Option<u64>, deletion: &Deletion) -> Result<(), String> {
        let named = self.named(deletion);
        let Some(id) = id else {
            let shows = |own: &&(u64, i64, usize)| {
                let version = &self.places[&own.0][&own.1].versions[own.2];
                version.hidden_by.is_empty() && version.in_doubt.is_none() && !self.is_old(own.1)
            };
            let left = named.iter().find(shows);
            return left.map_or(Ok(()), |left| Err(format!("nothing to delete, but {left:?}")));
        };
        self.hide(id, deletion, &named);
        Ok(())
    }

    /// A deletion failed.
    pub fn delete_failed(&mut self, deletion: Deletion) {
        let named = self.named(&deletion);
        self.extras.doubt(&deletion);
        self.doubts.push(Doubt::Delete(deletion, named));
    }

    /// A deletion was taken back.
    pub fn undelete(&mut self, id: u64, undone: Undone) {
        if undone == Undone::Nothing {
            return;
        }
        for place in self.places.values_mut().flat_map(BTreeMap::values_mut) {
            for version in &mut place.versions {
                let was_hidden = version.hidden_by.remove(&id);
                if was_hidden && undone == Undone::Partly {
                    version.in_doubt = Some(id);
                }
            }
        }
        self.extras.undelete();
    }

    /// Taking a deletion back failed.
    pub fn undelete_failed(&mut self, id: u64) {
        self.extras.undelete();
        self.doubts.push(Doubt::Undelete(id));
    }

    /// All deletions were carried out.
    pub fn clean(&mut self) {
        for place in self.places.values_mut().flat_map(BTreeMap::values_mut) {
            place.versions.retain(|version| version.hidden_by.is_empty());
        }
    }

    /// The same for a picture of the store: what failed changes nothing there. Without what is in
    /// memory exemplars and families may be older.
    pub fn picture(&self, has_memory: bool) -> Ledger {
        let mut picture = self.clone();
        picture.doubts.clear();
        if !has_memory {
            picture.extras.forget();
        }
        picture
    }

    /// Whether a restart may show something new.
    pub fn is_in_doubt(&self) -> bool {
        let places = || self.places.values().flat_map(BTreeMap::values);
        !self.doubts.is_empty() || places().any(|place| !place.failed.is_empty())
    }

    /// Compares everything in a store that was just opened, and believes what it shows.
    pub fn check(&mut self, store: &Store) -> Result<(), String> {
        let found = content(store)?;
        if !found.warnings.is_empty() {
            return Err(format!("warnings: {:?}", found.warnings));
        }
        self.name_deletions(&store.tombstones());
        let compared = self.compare(&found);
        if compared.is_err() {
            // Of the changes that failed at most one was made: each began with what was there.
            let likely = std::mem::take(&mut self.doubts);
            let with = likely.iter().map(|doubt| self.with(doubt));
            *self =
                with.into_iter().find(|with| with.compare(&found).is_ok()).ok_or_else(|| {
                    format!("{}; changes in doubt: {likely:?}", compared.err().unwrap_or_default())
                })?;
        }
        self.doubts.clear();
        self.extras.compare(&found, |at_ms| self.is_old(at_ms))?;
        self.extras.settle(&found);
        let none = BTreeMap::new();
        for (number, places) in &mut self.places {
            let series = found.series.get(number).unwrap_or(&none);
            places.iter_mut().for_each(|(at_ms, place)| place.settle(series.get(at_ms).copied()));
        }
        Ok(())
    }

    /// A deletion that failed and is listed was made.
    fn name_deletions(&mut self, tombstones: &[Tombstone]) {
        for tombstone in tombstones {
            let is_it = |doubt: &Doubt| {
                matches!(doubt, Doubt::Delete(deletion, _)
                    if deletion.matchers == tombstone.matchers && deletion.range == tombstone.range)
            };
            let places = || self.places.values().flat_map(BTreeMap::values);
            let mut versions = places().flat_map(|place| &place.versions);
            let id = tombstone.id.0;
            if versions.any(|own| own.hidden_by.contains(&id) || own.in_doubt == Some(id)) {
                continue;
            }
            if let Some(index) = self.doubts.iter().rposition(is_it)
                && let Doubt::Delete(deletion, named) = self.doubts.remove(index)
            {
                self.hide(id, &deletion, &named);
            }
        }
    }

    fn with(&self, doubt: &Doubt) -> Ledger {
        let mut with = self.clone();
        match doubt {
            Doubt::Delete(deletion, named) => {
                with.nameless += 1;
                with.hide(with.nameless, deletion, named);
            }
            Doubt::Undelete(id) => with.undelete(*id, Undone::Partly),
        }
        with
    }

    fn compare(&self, found: &Content) -> Result<(), String> {
        let none = BTreeMap::new();
        for (number, places) in &self.places {
            let series = found.series.get(number).unwrap_or(&none);
            let starts = found.starts.get(number);
            for (at_ms, place) in places {
                let here = series.get(at_ms).copied();
                let wrong = |what: String| format!("series {number} at {at_ms}: {what}");
                place.judge(here, self.is_old(*at_ms)).map_err(wrong)?;
                let start = starts.and_then(|starts| starts.get(at_ms)).copied();
                let expected = start_of(*number, *at_ms).filter(|_| self.has_starts);
                let shown = place.shown().filter(|_| here.is_some());
                let must_have = expected.is_some() && shown.is_some_and(|shown| shown.has_start);
                let is_alone = here.is_none() && !place.was_failed && !self.is_old(*at_ms);
                if start.is_some_and(|start| Some(start) != expected || is_alone)
                    || start.is_none() && must_have
                {
                    return Err(wrong(format!(
                        "start {start:?}, not {expected:?}, of {here:?}: {place:?}"
                    )));
                }
            }
        }
        self.check_sent(found)
    }

    /// Whether all that is there was sent.
    pub fn check_sent(&self, found: &Content) -> Result<(), String> {
        for (number, series) in &found.series {
            let places = self.places.get(number);
            for (at_ms, held) in series {
                let place = places.and_then(|places| places.get(at_ms));
                if !place.is_some_and(|place| place.sent.contains(held)) {
                    return Err(format!("series {number} at {at_ms}: {held:?} was never sent"));
                }
            }
        }
        self.extras.check_sent(found)
    }

    /// How much of what was acknowledged is not there, exemplars included.
    pub fn missing_count(&self, found: &Content) -> u64 {
        let none = BTreeMap::new();
        let mut missing = self.extras.missing_count(found, |at_ms| self.is_old(at_ms));
        for (number, places) in &self.places {
            let series = found.series.get(number).unwrap_or(&none);
            for (at_ms, place) in places {
                let is_missing = place.judge(series.get(at_ms).copied(), self.is_old(*at_ms));
                missing += u64::from(is_missing.is_err() && place.shown().is_some());
            }
        }
        missing
    }
}
