//! Series known from earlier requests: a hash of the raw bytes that name a series → its number.
//!
//! Place in the flow: `decoded` asks before it looks at any label; the receiver tells what the store
//! answered (`Appended::ids`).
//!
//! A sender sends the same series in the same order, so each entry remembers which one came after it,
//! and that one is tried before the table. Where a sender changes its order, the links follow.
//!
//! The key is a 128-bit hash with a secret of this process: two texts with one key would mix two
//! series, and nobody outside can look for such texts.
//!
//! Invariants: the table is never more than half full and finds every entry; entries never exceed
//! `entries_max`, the oldest goes first. Decoding only reads, so requests share the cache.
//!
//! Not here: which bytes name a series (`v1`, `v2`, `import`).

use std::sync::atomic::{AtomicU32, Ordering};

use model::append::SeriesId;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_secret};

/// Before the first series of a request.
pub(super) const NOWHERE: u32 = u32::MAX;
/// The number of an entry whose series the store has lost.
const FORGOTTEN: u64 = u64::MAX;
/// Bytes of an entry with its share of the table, at most.
const ENTRY_BYTES: usize = size_of::<Entry>() + 4 * size_of::<u32>();
/// Fewest entries; a limit below it is not worth the trouble.
const ENTRIES_MIN: usize = 64;

/// The hash of what names a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u64; 2]);

impl Key {
    /// Bytes of a key.
    pub(super) const BYTES: usize = 16;

    pub(super) fn to_bytes(self) -> [u8; Key::BYTES] {
        let mut bytes = [0; Key::BYTES];
        bytes[..8].copy_from_slice(&self.0[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.0[1].to_le_bytes());
        bytes
    }

    /// The same text where it means something else.
    pub(super) fn within(self, context: Key) -> Key {
        Key([self.0[0] ^ context.0[0], self.0[1] ^ context.0[1]])
    }
}

/// Hashes with a secret of this process.
#[derive(Clone)]
pub(super) struct Hasher {
    secret: Box<[u8]>,
}

impl Hasher {
    /// A hasher from a random number that nobody outside knows.
    pub(super) fn new(seed: u64) -> Hasher {
        let words = 0..24_u64;
        let bytes =
            words.flat_map(|word| xxh3_64_with_seed(&word.to_le_bytes(), seed).to_le_bytes());
        Hasher { secret: bytes.collect() }
    }

    #[inline]
    pub(super) fn key(&self, bytes: &[u8]) -> Key {
        let hash = xxh3_128_with_secret(bytes, &self.secret);
        Key([hash as u64, (hash >> 64) as u64])
    }

    pub(super) fn short(&self, bytes: &[u8]) -> u64 {
        self.key(bytes).0[0]
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

/// One series.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    id: u64,
    /// Bytes that name it in a 1.0 message; 0 elsewhere.
    pub(super) size_bytes: u32,
    /// The entry that came after it last time.
    next: AtomicU32,
}

impl Entry {
    /// Its number, unless the store has lost it.
    #[inline]
    pub(super) fn id(&self) -> Option<SeriesId> {
        (self.id != FORGOTTEN).then_some(SeriesId(self.id))
    }
}

/// The entries and a table of open addressing over them.
#[derive(Debug)]
pub(super) struct SeriesCache {
    entries: Vec<Entry>,
    table: Vec<u32>, // Index of the entry plus one; 0 is free. A power of two.
    oldest: usize,
    entries_max: usize,
}

impl SeriesCache {
    /// An empty cache that never takes more than so many bytes.
    pub(super) fn new(bytes_max: usize) -> SeriesCache {
        let entries_max = (bytes_max / ENTRY_BYTES).clamp(ENTRIES_MIN, NOWHERE as usize / 2);
        SeriesCache { entries: Vec::new(), table: vec![0; ENTRIES_MIN], oldest: 0, entries_max }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Memory it takes now.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.table.len() * size_of::<u32>()
    }

    /// The entry that came after this one last time.
    #[inline]
    pub(super) fn after(&self, last: u32) -> Option<(u32, &Entry)> {
        let next = self.entries.get(last as usize)?.next.load(Ordering::Relaxed);
        self.entries.get(next as usize).map(|entry| (next, entry))
    }

    /// The entry of a key, which came after `last` this time.
    pub(super) fn find(&self, last: u32, key: Key) -> Option<(u32, &Entry)> {
        let index = self.index_of(key)?;
        if let Some(before) = self.entries.get(last as usize) {
            before.next.store(index, Ordering::Relaxed);
        }
        Some((index, &self.entries[index as usize]))
    }

    /// The entry of a key: the one after `last` if it is that one, else from the table.
    #[inline]
    pub(super) fn find_after(&self, last: u32, key: Key) -> Option<(u32, &Entry)> {
        match self.after(last) {
            Some((index, entry)) if entry.key == key => Some((index, entry)),
            _ => self.find(last, key),
        }
    }

    /// Learns the number of a series; a number known before is replaced.
    pub(super) fn learn(&mut self, key: Key, size_bytes: u32, id: SeriesId) {
        assert!(id.0 != FORGOTTEN, "the largest number marks what is forgotten");
        if let Some(index) = self.index_of(key) {
            self.entries[index as usize].id = id.0;
            return;
        }
        let index = if self.entries.len() < self.entries_max {
            self.entries.len()
        } else {
            self.remove_oldest()
        };
        let next = AtomicU32::new(((index + 1) % self.entries_max) as u32);
        let entry = Entry { key, id: id.0, size_bytes, next };
        if index == self.entries.len() {
            if self.entries.len() == self.entries.capacity() {
                // A quarter more each time: half of a large cache would often lie idle.
                let more = (self.entries.len() / 4).max(ENTRIES_MIN);
                self.entries.reserve_exact(more.min(self.entries_max - self.entries.len()));
            }
            self.entries.push(entry);
        } else {
            self.entries[index] = entry;
        }
        if self.entries.len() * 2 > self.table.len() {
            self.grow();
        } else {
            self.enter(index);
        }
    }

    /// The store has lost a series: its next sample comes with labels.
    pub(super) fn forget(&mut self, key: Key) {
        if let Some(index) = self.index_of(key) {
            self.entries[index as usize].id = FORGOTTEN;
        }
    }

    fn home(&self, key: Key) -> usize {
        key.0[0] as usize & (self.table.len() - 1)
    }

    fn index_of(&self, key: Key) -> Option<u32> {
        let mut at = self.home(key);
        loop {
            let index = self.table[at].checked_sub(1)?;
            if self.entries[index as usize].key == key {
                return Some(index);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
    }

    fn enter(&mut self, index: usize) {
        let mut at = self.home(self.entries[index].key);
        while self.table[at] != 0 {
            at = (at + 1) & (self.table.len() - 1);
        }
        self.table[at] = index as u32 + 1;
    }

    fn grow(&mut self) {
        self.table = vec![0; self.table.len() * 2];
        for index in 0..self.entries.len() {
            self.enter(index);
        }
    }

    /// Takes the oldest entry out of the table and gives its place.
    fn remove_oldest(&mut self) -> usize {
        let index = self.oldest;
        self.oldest = (self.oldest + 1) % self.entries_max;
        let mask = self.table.len() - 1;
        let mut gap = self.home(self.entries[index].key);
        while self.table[gap] != index as u32 + 1 {
            assert!(self.table[gap] != 0, "the table finds every entry");
            gap = (gap + 1) & mask;
        }
        // What stands behind the gap moves up unless it would move before its home.
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let Some(moved) = self.table[at].checked_sub(1) else { break };
            let home = self.home(self.entries[moved as usize].key);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.table[gap] = moved + 1;
                gap = at;
            }
        }
        self.table[gap] = 0;
        index
    }
}

#[cfg(test)]
mod tests;
