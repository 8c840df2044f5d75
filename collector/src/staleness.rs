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
//! A page names its series in the order of the page before it, nearly always, so the entries stand in
//! that order and the next one is tried before any hash is looked up.
//!
//! Invariants: one tracker belongs to one target; an entry that is live was on the page before;
//! `places` names each entry once.
//!
//! Not here: building labels (`pass`), writing (`deliver`).

use hashbrown::HashTable;
use model::append::SeriesId;

/// The hash of a series' raw text.
pub(crate) type Key = u128;

/// What is known of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    key: Key,
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
    /// Bytes of its raw text.
    size: u32,
}

/// The series of one target.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// In the order in which they came first, which is the order of nearly every later page.
    entries: Vec<Entry>,
    /// Places in `entries`, by key.
    places: HashTable<u32>,
    /// Where the next series of a page is looked for first.
    expected: usize,
    pub(crate) page: u32,
}

impl Tracker {
    /// A new page begins.
    pub(crate) fn begin(&mut self) {
        self.page = self.page.wrapping_add(1);
        self.expected = 0;
    }

    /// How many series are known.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The key and the size of the series that is looked for first.
    #[inline]
    pub(crate) fn expected(&self) -> Option<(Key, usize)> {
        self.entries.get(self.expected).map(|entry| (entry.key, entry.size as usize))
    }

    /// What is known of a series.
    pub(crate) fn find(&mut self, key: Key) -> Option<&mut Entry> {
        if self.entries.get(self.expected).is_none_or(|entry| entry.key != key) {
            let is_it = |place: &u32| self.entries[*place as usize].key == key;
            self.expected = *self.places.find(key as u64, is_it)? as usize;
        }
        let place = self.expected;
        self.expected += 1;
        Some(&mut self.entries[place])
    }

    /// Remembers a series of this page that is not known.
    pub(crate) fn add(&mut self, (key, size): (Key, usize), dropped: bool) -> &mut Entry {
        let place = u32::try_from(self.entries.len()).expect("a page has fewer series than bytes");
        let (page, size) = (self.page, u32::try_from(size).expect("a page is smaller than 4 GiB"));
        let entry = Entry { key, id: None, page, dropped, tracked: false, live: false, size };
        self.entries.push(entry);
        let entries = &self.entries;
        self.places.insert_unique(key as u64, place, |place| entries[*place as usize].key as u64);
        self.expected = self.entries.len();
        self.entries.last_mut().expect("one was just put there")
    }

    /// The page was good: what was not on it has ended and is forgotten.
    pub(crate) fn end_good(&mut self, ended: &mut Vec<SeriesId>) {
        let page = self.page;
        self.retain(|entry| {
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
        self.retain(|entry| {
            ended.extend(entry.id.filter(|_| entry.live));
            entry.live = false;
            entry.id.is_some()
        });
    }

    fn retain(&mut self, keep: impl FnMut(&mut Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain_mut(keep);
        self.expected = 0;
        if self.entries.len() == before {
            return;
        }
        let mut places = HashTable::with_capacity(self.entries.len());
        for (place, entry) in (0_u32..).zip(&self.entries) {
            let hash = |place: &u32| self.entries[*place as usize].key as u64;
            places.insert_unique(entry.key as u64, place, hash);
        }
        self.places = places;
    }

    /// The numbers of all series that have not ended.
    pub(crate) fn live_ids(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.entries.iter().filter(|entry| entry.live).filter_map(|entry| entry.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pages of keys; each new key becomes the series of its number.
    fn ended_of(pages: &[Option<&[u64]>]) -> Vec<Vec<u64>> {
        let mut tracker = Tracker::default();
        let digest = |page: &Option<&[u64]>| {
            tracker.begin();
            let mut ended = Vec::new();
            let Some(keys) = page else {
                tracker.end_failed(&mut ended);
                return ended.into_iter().map(|id| id.0).collect();
            };
            for &key in *keys {
                let now = tracker.page;
                match tracker.find(Key::from(key)) {
                    Some(entry) => entry.page = now,
                    None => _ = tracker.add((Key::from(key), 1), false),
                }
                let entry = tracker.find(Key::from(key)).expect("it was just put there");
                entry.id = Some(SeriesId(key));
                entry.tracked = true;
            }
            tracker.end_good(&mut ended);
            assert_eq!(tracker.len(), keys.len(), "what is not on the page is forgotten");
            ended.into_iter().map(|id| id.0).collect()
        };
        pages.iter().map(digest).collect()
    }

    #[test]
    fn what_vanishes_ends_once_in_any_order_of_the_page() {
        let pages: [Option<&[u64]>; 7] = [
            Some(&[1, 2, 3, 4]),
            Some(&[4, 3, 2, 1]),
            Some(&[1, 3, 5, 4]),
            Some(&[5, 1, 4]),
            None,
            Some(&[4, 6, 1]),
            Some(&[]),
        ];
        let none = Vec::new;
        let expected =
            [none(), none(), vec![2], vec![3], vec![1, 4, 5], none(), vec![1, 4, 6]].to_vec();
        assert_eq!(ended_of(&pages), expected);
    }
}
