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
}

impl Head {
    /// Adds a series to registry and index.
    pub fn insert(&mut self, id: SeriesId, labels: Labels) -> u32 {
        self.registry.insert(id, &labels)
    }

    /// Which of the series have samples in memory in the range.
    pub fn active_in(&self, range: TimeRange, mut among: RoaringBitmap) -> RoaringBitmap {
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
