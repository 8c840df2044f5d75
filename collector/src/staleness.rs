//! Which series a target stopped reporting.
//!
//! Place in the flow: `pass` (one page) → **`Tracker`** → stale markers in the same batch.
//!
//! A dashboard must show a gap, not a flat line, when a process dies. So every scrape is compared
//! with the one before it, and each series that vanished gets one stale marker at the scrape's own
//! time. A failed scrape ends all series, a removed target too.
//!
//! A series is known here by a 128-bit hash of its raw text (under the server's seed), not by the
//! text: a hundred bytes less for each of a million series.
//!
//! Invariants: one tracker belongs to one target; an entry that is live was on the page before.
//!
//! Not here: building labels (`pass`), writing (`deliver`).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use model::append::SeriesId;

/// The hash of a series' raw text.
pub(crate) type Key = u128;

/// What is known of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The store's number; `None` until a batch with its labels was committed.
    pub(crate) id: Option<SeriesId>,
    /// The last page it was on.
    pub(crate) page: u32,
    /// Metric relabelling drops it.
    pub(crate) dropped: bool,
    /// It gets a marker when it vanishes.
    pub(crate) tracked: bool,
    /// It was on the last good page, and tracked.
    live: bool,
}

impl Entry {
    /// A series that is seen for the first time.
    pub(crate) fn new(page: u32, dropped: bool) -> Entry {
        Entry { id: None, page, dropped, tracked: false, live: false }
    }
}

/// The keys are hashes already.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// The series of one target.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    pub(crate) entries: HashMap<Key, Entry, BuildHasherDefault<KeyHasher>>,
    pub(crate) page: u32,
}

impl Tracker {
    /// A new page begins.
    pub(crate) fn begin(&mut self) {
        self.page = self.page.wrapping_add(1);
    }

    /// The page was good: what was not on it has ended and is forgotten.
    pub(crate) fn end_good(&mut self, ended: &mut Vec<SeriesId>) {
        let page = self.page;
        self.entries.retain(|_, entry| {
            if entry.page == page {
                entry.live = entry.tracked && !entry.dropped;
                return true;
            }
            ended.extend(entry.id.filter(|_| entry.live));
            false
        });
    }

    /// There was no good page: every series has ended, but may come back. What was never committed
    /// is forgotten, so that pages that fail again and again do not pile up.
    pub(crate) fn end_failed(&mut self, ended: &mut Vec<SeriesId>) {
        self.entries.retain(|_, entry| {
            ended.extend(entry.id.filter(|_| entry.live));
            entry.live = false;
            entry.id.is_some()
        });
    }

    /// The numbers of all series that have not ended.
    pub(crate) fn live_ids(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.entries.values().filter(|entry| entry.live).filter_map(|entry| entry.id)
    }
}
