//! The newest exemplars of all series, in memory: a ring with a bound of number and of bytes.
//!
//! Place in the flow: committed batch → **`Ring`** → [`crate::Store::exemplars`]; a flush writes
//! those that are in no block yet, opening the store fills the ring from blocks and journal.
//!
//! Invariants: when the ring is full the oldest arrival makes room; exemplars of one series ascend
//! by (instant, value, labels). What leaves the ring unflushed is gone, as upstream's is.
//!
//! Not here: which series match (`select`).

use std::cmp::Ordering;
use std::collections::VecDeque;

use model::append::SeriesId;
use model::{Labels, TimeRange, TimestampMs};

use crate::series::NumberMap;

/// Memory for as many exemplars as are kept unless somebody says otherwise; it grows with their
/// number.
const USUAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
const USUAL_MAX: u64 = 100_000;

/// One example observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// When it was observed.
    pub at: TimestampMs,
    /// What was observed.
    pub value: f64,
    /// Its own labels, such as `trace_id`.
    pub labels: Labels,
}

/// One exemplar with its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// The series.
    pub id: SeriesId,
    /// The exemplar.
    pub exemplar: Exemplar,
}

/// The order of the exemplars of one series.
pub fn order(one: &Exemplar, other: &Exemplar) -> Ordering {
    one.at
        .cmp(&other.at)
        .then_with(|| one.value.total_cmp(&other.value))
        .then_with(|| one.labels.cmp(&other.labels))
}

#[derive(Debug)]
struct Kept {
    id: SeriesId,
    exemplar: Exemplar,
    is_flushed: bool,
}

/// The ring.
#[derive(Debug)]
pub struct Ring {
    kept: VecDeque<Kept>,
    /// The arrival number of the first one kept.
    first: u64,
    /// Arrival numbers by series, ascending.
    by_series: NumberMap<VecDeque<u64>>,
    bytes: u64,
    max: u64,
}

fn bytes_of(exemplar: &Exemplar) -> u64 {
    let labels = exemplar.labels.text().len() + exemplar.labels.ends().len() * 4;
    (labels + size_of::<Kept>() + 32) as u64
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::new(USUAL_MAX)
    }
}

impl Ring {
    /// A ring that keeps so many.
    pub fn new(max: u64) -> Ring {
        Ring { kept: VecDeque::new(), first: 0, by_series: NumberMap::default(), bytes: 0, max }
    }

    /// How many it keeps at most.
    pub fn max(&self) -> u64 {
        self.max
    }

    fn is_over(&self) -> bool {
        let bytes_max = self.max.saturating_mul(USUAL_BYTES_MAX / USUAL_MAX).max(USUAL_BYTES_MAX);
        self.kept.len() as u64 > self.max || self.bytes > bytes_max
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    fn get(&self, number: u64) -> Option<&Kept> {
        self.kept.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The exemplars of one series, in its order.
    pub fn of(&self, id: SeriesId) -> impl DoubleEndedIterator<Item = &Exemplar> {
        let numbers = self.by_series.get(&id.0).into_iter().flatten();
        numbers.filter_map(|number| self.get(*number)).map(|kept| &kept.exemplar)
    }

    /// The series of which anything is kept.
    pub fn series(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.by_series.keys().map(|id| SeriesId(*id))
    }

    /// Takes an exemplar, unless it is here already; puts it where it belongs in its series.
    pub fn insert(&mut self, id: SeriesId, exemplar: Exemplar, is_flushed: bool) {
        let newest = self.of(id).next_back();
        let is_newest = newest.is_none_or(|newest| order(newest, &exemplar) == Ordering::Less);
        if !is_newest && self.of(id).any(|other| order(other, &exemplar) == Ordering::Equal) {
            return;
        }
        let number = self.first + self.kept.len() as u64;
        self.bytes += bytes_of(&exemplar);
        self.kept.push_back(Kept { id, exemplar, is_flushed });
        self.by_series.entry(id.0).or_default().push_back(number);
        while self.is_over() {
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(oldest) = self.kept.pop_front() else { return };
        self.bytes -= bytes_of(&oldest.exemplar);
        if let Some(numbers) = self.by_series.get_mut(&oldest.id.0) {
            numbers.retain(|number| *number != self.first);
            if numbers.is_empty() {
                self.by_series.remove(&oldest.id.0);
            }
        }
        self.first += 1;
    }

    /// Forgets those of a deletion. Not while a flush runs, which counts them.
    pub fn forget(&mut self, is_gone: impl Fn(SeriesId, TimestampMs) -> bool) {
        let all = std::mem::replace(self, Ring { first: self.first, ..Ring::new(self.max) });
        for kept in all.kept.into_iter().filter(|one| !is_gone(one.id, one.exemplar.at)) {
            self.insert(kept.id, kept.exemplar, kept.is_flushed);
        }
    }

    /// The exemplars of a series in a range, in its order.
    pub fn find(&self, id: SeriesId, range: TimeRange) -> Vec<Exemplar> {
        let mut found: Vec<Exemplar> =
            self.of(id).filter(|one| range.contains(one.at)).cloned().collect();
        found.sort_by(order); // A restart may have filled the ring in another order.
        found
    }

    /// Those that are in no block yet, in the order they came, and the arrival number behind them.
    pub fn unflushed(&self) -> (Vec<Numbered>, u64) {
        let new = self.kept.iter().filter(|kept| !kept.is_flushed);
        let new = new.map(|kept| Numbered { id: kept.id, exemplar: kept.exemplar.clone() });
        (new.collect(), self.first + self.kept.len() as u64)
    }

    /// Those before an arrival number are in blocks now.
    pub fn set_flushed(&mut self, before: u64) {
        let count = usize::try_from(before.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.kept.iter_mut().take(count).for_each(|kept| kept.is_flushed = true);
    }
}
