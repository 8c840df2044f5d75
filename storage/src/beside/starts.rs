//! When the counting behind the samples of one series began, in memory.
//!
//! Place in the flow: committed batch → **`SeriesStarts`** → a reader or a flush takes them.
//!
//! A start stays the same until the counter is made anew, so each costs two bytes: the instant as a
//! difference of differences, the start as a difference.
//!
//! Invariant: instants ascend.
//!
//! Not here: whether there is a sample at the instant (`plan`).

use model::TimeRange;

use crate::encoding::varint::{Reader, put_i64};

/// An instant and the start of its counting, in milliseconds.
pub type Start = (i64, i64);

/// The starts of one series.
#[derive(Debug, Clone, Default)]
pub struct SeriesStarts {
    bytes: Vec<u8>,
    last: Start,
    step_ms: i64,
    count: u32,
}

impl SeriesStarts {
    /// The memory they take.
    pub fn bytes(&self) -> u64 {
        (self.bytes.capacity() + size_of::<SeriesStarts>()) as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The last instant that has one.
    pub fn last_ms(&self) -> Option<i64> {
        (self.count > 0).then_some(self.last.0)
    }

    /// The first and the last instant that have one.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let first = self.decode(TimeRange::ALL).first().map(|start| start.0);
        first.zip(self.last_ms())
    }

    /// Puts a start where it belongs; it takes the place of one at the same instant.
    pub fn insert(&mut self, start: Start) {
        if self.last_ms().is_none_or(|last_ms| start.0 > last_ms) {
            self.append(start);
            return;
        }
        let mut all = self.decode(TimeRange::ALL);
        match all.binary_search_by_key(&start.0, |other| other.0) {
            Ok(index) if all[index] == start => return,
            Ok(index) => all[index] = start,
            Err(index) => all.insert(index, start),
        }
        self.rebuild(&all);
    }

    fn append(&mut self, (at_ms, start_ms): Start) {
        let step_ms = at_ms.wrapping_sub(self.last.0);
        put_i64(&mut self.bytes, step_ms.wrapping_sub(self.step_ms));
        put_i64(&mut self.bytes, start_ms.wrapping_sub(self.last.1));
        // The first instant is no step.
        self.step_ms = if self.count == 0 { 0 } else { step_ms };
        self.last = (at_ms, start_ms);
        self.count += 1;
    }

    fn rebuild(&mut self, all: &[Start]) {
        *self = SeriesStarts::default();
        for start in all {
            self.append(*start);
        }
        self.bytes.shrink_to_fit();
    }

    /// Those inside the range.
    pub fn decode(&self, range: TimeRange) -> Vec<Start> {
        let mut reader = Reader::new(&self.bytes);
        let (mut at_ms, mut start_ms, mut step_ms) = (0i64, 0i64, 0i64);
        let mut all = Vec::new();
        for index in 0..self.count {
            step_ms = step_ms.wrapping_add(reader.i64().expect("starts in memory decode"));
            at_ms = at_ms.wrapping_add(step_ms);
            start_ms = start_ms.wrapping_add(reader.i64().expect("starts in memory decode"));
            if index == 0 {
                step_ms = 0;
            }
            if range.start_ms().0 <= at_ms && at_ms < range.end_ms().0 {
                all.push((at_ms, start_ms));
            }
        }
        all
    }

    /// Forgets those at these instants (ascending).
    pub fn remove(&mut self, instants_ms: &[i64]) {
        let mut all = self.decode(TimeRange::ALL);
        all.retain(|(at_ms, _)| instants_ms.binary_search(at_ms).is_err());
        self.rebuild(&all);
    }
}
