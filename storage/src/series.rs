//! Label set ↔ number: every series the store knows, and the index over them.
//!
//! Place in the flow: batch → **registry** (which series is this?) → memtable, index.
//!
//! A series is a row of pair numbers: each label pair stands once in the index's dictionary, however
//! many series carry it. A known series is found by the hash of its labels and a comparison of
//! bytes; its label set is built only for answers. The *slot* is the position in this process's
//! memory, dense and changing with every restart; the *id* is what goes to disk and to callers, and
//! never changes.
//!
//! Invariants: an id is never given twice, also not when the commit that brought it failed. A row's
//! pairs stand in the order of their names.
//!
//! Not here: which series match a selector (`index`), writing new series down (`commit`, `flush`).

/// From a series number to its slot.
mod by_id;
/// The order of label sets, from the order of pairs.
mod order;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashTable;
use model::append::SeriesId;
use model::limits::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};
use model::{Labels, Matcher};
use roaring::RoaringBitmap;

use crate::index::Index;
use crate::index::pairs::Hashed;
use by_id::SlotsById;

/// Hashes keys that are hashes (or dense numbers) already.
#[derive(Debug, Default, Clone, Copy)]
pub struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // Spreads dense numbers over the high bits, which the table looks at too.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A map whose keys are hashes or dense numbers.
pub type NumberMap<V> = HashMap<u64, V, BuildHasherDefault<AlreadyHashed>>;

/// One known series.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Its number on disk and for callers.
    pub id: SeriesId,
    registry: &'a Registry,
    slot: u32,
}

impl Known<'_> {
    /// Its labels, built now.
    pub fn labels(&self) -> Labels {
        self.registry.labels(self.slot)
    }
}

/// Stands for a label that is absent.
const NO_PAIR: u32 = u32::MAX;

fn target_key(job: u32, instance: u32) -> u64 {
    u64::from(job) << 32 | u64::from(instance)
}

/// Every series the store knows.
#[derive(Debug, Default)]
pub struct Registry {
    ids: Vec<SeriesId>,
    /// Pair numbers, one row after the other.
    rows: Vec<u32>,
    /// Where each row ends.
    row_ends: Vec<u32>,
    by_hash: HashTable<Hashed>,
    by_id: SlotsById,
    index: Index,
    /// Series of each target, by the pairs of its job and instance.
    by_target: NumberMap<u32>,
}

impl Registry {
    /// How many series are known.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The largest number of a known series; 0 when there is none.
    pub fn largest_id(&self) -> SeriesId {
        self.ids.iter().copied().max().unwrap_or(SeriesId(0))
    }

    /// The postings over slots.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The series in a slot.
    pub fn get(&self, slot: u32) -> Known<'_> {
        Known { id: self.ids[slot as usize], registry: self, slot }
    }

    /// The pairs of a series, in the order of their names.
    pub fn row(&self, slot: u32) -> &[u32] {
        let slot = slot as usize;
        let start = if slot == 0 { 0 } else { self.row_ends[slot - 1] as usize };
        &self.rows[start..self.row_ends[slot] as usize]
    }

    /// Name and value pairs of a series, in the order of their names.
    pub fn pairs(&self, slot: u32) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let pairs = self.index.pairs();
        self.row(slot).iter().map(|pair| (pairs.name(*pair), pairs.value(*pair)))
    }

    /// The labels of a series, built now.
    pub fn labels(&self, slot: u32) -> Labels {
        Labels::from_sorted(self.pairs(slot))
    }

    /// All series from a slot on, in the order they were added.
    pub fn since_slot(&self, slot: u32) -> impl Iterator<Item = Known<'_>> {
        (slot..self.len() as u32).map(|slot| self.get(slot))
    }

    /// The slot of a number.
    #[inline]
    pub fn slot_of(&self, id: SeriesId) -> Option<u32> {
        self.by_id.get(id.0)
    }

    /// The slot of a label set in the form of [`Labels::text`] and [`Labels::ends`].
    pub fn find(&self, hash: u64, text: &str, ends: &[u32]) -> Option<u32> {
        let hash = hash as u32;
        let is_it = |entry: &Hashed| entry.hash == hash && self.is_series(entry.number, text, ends);
        self.by_hash.find(Hashed::spread(hash), is_it).map(|entry| entry.number)
    }

    fn is_series(&self, slot: u32, text: &str, ends: &[u32]) -> bool {
        let row = self.row(slot);
        if 2 * row.len() != ends.len() {
            return false;
        }
        let (pairs, mut start) = (self.index.pairs(), 0);
        let text = text.as_bytes();
        row.iter().zip(ends.chunks_exact(2)).all(|(pair, ends)| {
            let (middle, end) = (ends[0] as usize, ends[1] as usize);
            // A key from outside may hold any offsets.
            let name = text.get(start..middle);
            let value = text.get(middle..end);
            start = end;
            value == Some(pairs.value(*pair).as_bytes())
                && name == Some(pairs.name(*pair).as_bytes())
        }) && start == text.len()
    }

    /// Adds a series and gives its slot.
    pub fn insert(&mut self, id: SeriesId, labels: &Labels) -> u32 {
        self.insert_parts(id, labels.hash64(), (labels.text(), labels.ends()))
    }

    /// The same with labels in the form of [`Labels::text`] and [`Labels::ends`] and their hash; the
    /// caller vouches for them.
    pub fn insert_parts(&mut self, id: SeriesId, hash: u64, (text, ends): (&str, &[u32])) -> u32 {
        debug_assert!(self.find(hash, text, ends).is_none(), "added once");
        let slot = u32::try_from(self.len()).expect("series_max keeps slots in 32 bits");
        let taken = self.by_id.set(id.0, slot);
        assert!(taken.is_none(), "a series number is never given twice");
        let rows = &mut self.rows;
        self.index.insert_showing(slot, label_pairs(text, ends), |pair| rows.push(pair));
        let end = u32::try_from(self.rows.len()).expect("memory ends before 4 G label pairs");
        self.row_ends.push(end);
        self.ids.push(id);
        let target = self.target_of(slot);
        *self.by_target.entry(target).or_default() += 1;
        let entry = Hashed { hash: hash as u32, number: slot };
        self.by_hash.insert_unique(Hashed::of(&entry), entry, Hashed::of);
        slot
    }

    fn target_of(&self, slot: u32) -> u64 {
        let (mut job, mut instance) = (NO_PAIR, NO_PAIR);
        for pair in self.row(slot) {
            match self.index.pairs().name(*pair) {
                "job" => job = *pair,
                "instance" => instance = *pair,
                _ => {}
            }
        }
        target_key(job, instance)
    }

    /// The pair of a label that a limit goes by; `None` when nobody has it.
    fn limited_pair(&self, name: &str, value: &str) -> Option<u32> {
        if value.is_empty() {
            return Some(NO_PAIR);
        }
        let pairs = self.index.pairs();
        pairs.pair_of(pairs.label_of(name)?, value)
    }

    /// How many series a job has; the empty job is that of series without one.
    pub fn job_series(&self, job: &str) -> u64 {
        match self.limited_pair("job", job) {
            None => 0,
            Some(NO_PAIR) => self.slots_of("", None).len(),
            Some(pair) => self.index.postings(pair).len(),
        }
    }

    /// How many series a target has.
    pub fn target_series(&self, job: &str, instance: &str) -> u64 {
        let pairs = (self.limited_pair("job", job), self.limited_pair("instance", instance));
        let (Some(job), Some(instance)) = pairs else { return 0 };
        self.by_target.get(&target_key(job, instance)).copied().unwrap_or(0).into()
    }

    /// The series of a job, or of one of its instances.
    pub fn slots_of(&self, job: &str, instance: Option<&str>) -> RoaringBitmap {
        let matchers = [("job", Some(job)), ("instance", instance)];
        let matcher = |(name, value): (&str, Option<&str>)| Some(Matcher::equal(name, value?));
        let matchers: Vec<Matcher> = matchers.into_iter().filter_map(matcher).collect();
        self.index.select(&matchers)
    }

    /// Gives a series another number that nobody has.
    pub fn renumber(&mut self, slot: u32, id: SeriesId) {
        assert!(self.by_id.set(id.0, slot).is_none(), "a series number is never given twice");
        let before = std::mem::replace(&mut self.ids[slot as usize], id);
        self.by_id.remove(before.0);
    }

    /// Memory without that of the index, roughly.
    pub fn bytes(&self) -> u64 {
        let table = (size_of::<Hashed>() + 1) * self.by_hash.capacity() * 8 / 7;
        let per_series = size_of::<SeriesId>() + size_of::<u32>();
        let targets = self.by_target.len() * 24;
        (targets + table + per_series * self.len() + 4 * self.rows.len() + self.by_id.bytes())
            as u64
    }
}

/// Names and values of labels in the form of [`Labels::text`] and [`Labels::ends`].
fn label_pairs<'a>(text: &'a str, ends: &'a [u32]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let mut start = 0;
    ends.chunks_exact(2).map(move |ends| {
        let (middle, end) = (ends[0] as usize, ends[1] as usize);
        let pair = (&text[start..middle], &text[middle..end]);
        start = end;
        pair
    })
}

/// Builds the label set of a new series; `None` when the key breaks a rule of label sets or a limit.
pub fn checked_labels(text: &str, ends: &[u32]) -> Option<Labels> {
    let labels = Labels::from_parts(text, ends)?;
    let fits = |(name, value): (&str, &str)| {
        name.len() <= LABEL_NAME_BYTES_MAX && value.len() <= LABEL_VALUE_BYTES_MAX
    };
    let fine = (1..=LABELS_PER_SERIES_MAX).contains(&labels.len()) && labels.iter().all(fits);
    fine.then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_labels_and_by_number() {
        let mut registry = Registry::default();
        for number in 0..1000u64 {
            let labels = Labels::from_pairs([("__name__", "m"), ("i", &number.to_string())]);
            registry.insert(SeriesId(number * 3 + 1), &labels);
        }
        for number in 0..1000u64 {
            let labels = Labels::from_pairs([("__name__", "m"), ("i", &number.to_string())]);
            let slot = registry.find(labels.hash64(), labels.text(), labels.ends()).unwrap();
            assert_eq!(registry.get(slot).id, SeriesId(number * 3 + 1));
            assert_eq!(registry.get(slot).labels(), labels);
            let other = labels.text().replace("m", "n");
            assert_eq!(registry.find(labels.hash64(), &other, labels.ends()), None);
            let longer = format!("{}x", labels.text());
            assert_eq!(registry.find(labels.hash64(), &longer, labels.ends()), None);
            assert_eq!(registry.slot_of(SeriesId(number * 3 + 1)), Some(slot));
            assert_eq!(registry.slot_of(SeriesId(number * 3)), None);
        }
        assert_eq!(registry.len(), 1000);
    }

    #[test]
    fn keys_that_break_rules() {
        for (text, ends, fine) in [
            ("ab", vec![1, 2], true),
            ("", vec![], false),
            ("abab", vec![1, 2, 3, 4], false),
            ("a", vec![1, 1], false),
            ("ab", vec![1], false),
        ] {
            assert_eq!(checked_labels(text, &ends).is_some(), fine, "{text:?} {ends:?}");
        }
        let long = "v".repeat(LABEL_VALUE_BYTES_MAX + 1);
        let labels = Labels::from_pairs([("a", &long)]);
        assert!(checked_labels(labels.text(), labels.ends()).is_none());
    }
}
