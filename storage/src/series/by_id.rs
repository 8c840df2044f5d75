//! From a series number to its slot without hashing: numbers ascend, so pages of them are dense.
//!
//! Place in the flow: a batch that names series by number → **`SlotsById`** → memtable.
//!
//! Not here: what a slot holds (`series`).

use super::NumberMap;

/// Numbers of one page.
const PAGE_IDS: u64 = 4096;
/// Numbers from here on are kept in a map: only a damaged or strange file brings them.
const PAGED_IDS_MAX: u64 = 1 << 34;
/// No series has this number.
const NONE: u32 = u32::MAX;

/// The slot of each series number.
#[derive(Debug, Default)]
pub struct SlotsById {
    pages: Vec<Option<Box<[u32]>>>,
    far: NumberMap<u32>,
}

impl SlotsById {
    /// The slot of a number.
    #[inline]
    pub fn get(&self, id: u64) -> Option<u32> {
        if id >= PAGED_IDS_MAX {
            return self.far.get(&id).copied();
        }
        let page = self.pages.get((id / PAGE_IDS) as usize)?.as_ref()?;
        let slot = page[(id % PAGE_IDS) as usize];
        (slot != NONE).then_some(slot)
    }

    /// Remembers a slot and gives the one before.
    pub fn set(&mut self, id: u64, slot: u32) -> Option<u32> {
        if id >= PAGED_IDS_MAX {
            return self.far.insert(id, slot);
        }
        let index = (id / PAGE_IDS) as usize;
        if index >= self.pages.len() {
            self.pages.resize_with(index + 1, || None);
        }
        let page = self.pages[index].get_or_insert_with(|| vec![NONE; PAGE_IDS as usize].into());
        let before = std::mem::replace(&mut page[(id % PAGE_IDS) as usize], slot);
        (before != NONE).then_some(before)
    }

    /// Forgets a number.
    pub fn remove(&mut self, id: u64) {
        if id >= PAGED_IDS_MAX {
            self.far.remove(&id);
        } else if self.get(id).is_some() {
            self.set(id, NONE);
        }
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> usize {
        let used = self.pages.iter().filter(|page| page.is_some()).count();
        used * PAGE_IDS as usize * size_of::<u32>()
            + self.pages.len() * size_of::<Option<Box<[u32]>>>()
            + self.far.len() * 24
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_near_and_far() {
        let ids = [0, 1, 4095, 4096, 1 << 20, PAGED_IDS_MAX - 1, PAGED_IDS_MAX, u64::MAX];
        // The last paged number would make a table of pages of 256 MiB.
        let ids: Vec<u64> = ids.into_iter().filter(|id| *id != PAGED_IDS_MAX - 1).collect();
        let mut slots = SlotsById::default();
        for (slot, id) in (0u32..).zip(&ids) {
            assert_eq!(slots.get(*id), None);
            assert_eq!(slots.set(*id, slot), None);
        }
        for (slot, id) in (0u32..).zip(&ids) {
            assert_eq!(slots.get(*id), Some(slot));
        }
        slots.remove(1);
        slots.remove(u64::MAX);
        slots.remove(2);
        assert_eq!((slots.get(1), slots.get(2), slots.get(u64::MAX)), (None, None, None));
        assert_eq!(slots.get(0), Some(0));
        assert!(slots.bytes() < 100_000);
    }
}
