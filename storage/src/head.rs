//! What the store holds in memory: the registry with its index, and the memtable, always in step.
//!
//! Place in the flow: the committer and the flush change it, everybody reads it.
//!
//! Invariant: a slot means the same series in all of them. One lock guards them, so a reader sees
//! whole batches only.
//!
//! Not here: blocks (`block`), the lock itself (`shared`).

use model::append::SeriesId;
use model::{Labels, TimeRange};
use roaring::RoaringBitmap;

use crate::beside::Memory;
use crate::memtable::Memtable;
use crate::series::Registry;

/// Registry, index and memtable.
#[derive(Debug, Default)]
pub struct Head {
    /// Every series, and postings over slots.
    pub registry: Registry,
    /// The newest samples by slot.
    pub memtable: Memtable,
    /// How often slots were given anew (`forget`): who keeps slots from one lock to the next keeps
    /// this with them, or holds what keeps slots as they are: `flushing` or `eras`.
    pub generation: u64,
    /// What series have beside their numbers.
    pub beside: Memory,
}

impl Head {
    /// Adds a series to registry and index.
    pub fn insert(&mut self, id: SeriesId, labels: Labels) -> u32 {
        self.registry.insert(id, &labels)
    }

    /// Memory of all that a flush lets go of.
    pub fn bytes(&self) -> u64 {
        self.memtable.bytes() + self.beside.bytes()
    }

    /// The oldest instant in memory, of numbers and histograms.
    pub fn oldest_ms(&self) -> Option<i64> {
        let both = [self.memtable.oldest_ms(), self.beside.oldest_ms()];
        both.into_iter().flatten().min()
    }

    /// The newest instant in memory, of numbers and histograms.
    pub fn newest_ms(&self) -> Option<i64> {
        self.memtable.newest_ms().max(self.beside.newest_ms())
    }

    /// Which of the series have samples in memory in the range, numbers or histograms.
    pub fn active_in(&self, range: TimeRange, among: RoaringBitmap) -> RoaringBitmap {
        if self.beside.active().is_empty() {
            return self.numbers_in(range, among);
        }
        let histograms = &among & self.beside.active();
        let histograms: RoaringBitmap =
            histograms.iter().filter(|slot| self.beside.touches(*slot, range)).collect();
        self.numbers_in(range, among) | histograms
    }

    fn numbers_in(&self, range: TimeRange, mut among: RoaringBitmap) -> RoaringBitmap {
        among &= self.memtable.active();
        let inside = |at_ms: Option<i64>| {
            at_ms.is_some_and(|at_ms| range.start_ms().0 <= at_ms && at_ms < range.end_ms().0)
        };
        if inside(self.memtable.oldest_ms()) && inside(self.memtable.newest_ms()) {
            return among;
        }
        let touches =
            |slot: u32| self.memtable.get(slot).is_some_and(|series| series.touches(range));
        among.retain(touches);
        among
    }
}
