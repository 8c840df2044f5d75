//! Label set ↔ number: every series the store knows.
//!
//! Place in the flow: batch → **registry** (which series is this?) → memtable, index.
//!
//! A known series is found by the hash of its labels and a comparison of bytes; its label set is
//! never built again. The *slot* is the position in this process's memory, dense and changing with
//! every restart; the *id* is what goes to disk and to callers, and never changes.
//!
//! Invariants: an id is never given twice, also not when the commit that brought it failed.
//!
//! Not here: which series match a selector (`index`), writing new series down (`commit`, `flush`).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use model::Labels;
use model::append::SeriesId;
use model::limits::{LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};

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
#[derive(Debug, Clone)]
pub struct Known {
    /// Its number on disk and for callers.
    pub id: SeriesId,
    /// Its labels.
    pub labels: Labels,
}

#[derive(Debug)]
enum Slots {
    One(u32),
    /// Different label sets with the same hash.
    Many(Vec<u32>),
}

/// Every series the store knows.
#[derive(Debug, Default)]
pub struct Registry {
    known: Vec<Known>,
    by_hash: NumberMap<Slots>,
    by_id: NumberMap<u32>,
}

impl Registry {
    /// How many series are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// The series in a slot.
    pub fn get(&self, slot: u32) -> &Known {
        &self.known[slot as usize]
    }

    /// All series from a slot on, in the order they were added.
    pub fn since_slot(&self, slot: u32) -> &[Known] {
        &self.known[slot as usize..]
    }

    /// The slot of a number.
    pub fn slot_of(&self, id: SeriesId) -> Option<u32> {
        self.by_id.get(&id.0).copied()
    }

    /// The slot of a label set in the form of [`Labels::text`] and [`Labels::ends`].
    pub fn find(&self, hash: u64, text: &str, ends: &[u32]) -> Option<u32> {
        let is_it = |slot: &u32| {
            let labels = &self.known[*slot as usize].labels;
            labels.ends() == ends && labels.text() == text
        };
        match self.by_hash.get(&hash)? {
            Slots::One(slot) => is_it(slot).then_some(*slot),
            Slots::Many(slots) => slots.iter().copied().find(is_it),
        }
    }

    /// Adds a series and gives its slot.
    pub fn insert(&mut self, id: SeriesId, labels: Labels) -> u32 {
        let hash = labels.hash64();
        assert!(self.find(hash, labels.text(), labels.ends()).is_none(), "series are added once");
        let slot = u32::try_from(self.known.len()).expect("series_max keeps slots in 32 bits");
        let taken = self.by_id.insert(id.0, slot);
        assert!(taken.is_none(), "a series number is never given twice");
        match self.by_hash.get_mut(&hash) {
            None => {
                self.by_hash.insert(hash, Slots::One(slot));
            }
            Some(Slots::Many(slots)) => slots.push(slot),
            Some(slots) => {
                let Slots::One(first) = *slots else { unreachable!("the other kind is above") };
                *slots = Slots::Many(vec![first, slot]);
            }
        }
        self.known.push(Known { id, labels });
        slot
    }

    /// Gives a series another number that nobody has.
    pub fn renumber(&mut self, slot: u32, id: SeriesId) {
        assert!(self.by_id.insert(id.0, slot).is_none(), "a series number is never given twice");
        let before = std::mem::replace(&mut self.known[slot as usize].id, id);
        self.by_id.remove(&before.0);
    }
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
            registry.insert(SeriesId(number * 3 + 1), labels);
        }
        for number in 0..1000u64 {
            let labels = Labels::from_pairs([("__name__", "m"), ("i", &number.to_string())]);
            let slot = registry.find(labels.hash64(), labels.text(), labels.ends()).unwrap();
            assert_eq!(registry.get(slot).id, SeriesId(number * 3 + 1));
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
