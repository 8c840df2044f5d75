//! The bytes of one simulated file: what a reader sees, and what a power cut would leave.
//!
//! Place in the flow: under [`super::SimulatedDisk`].
//!
//! Invariant: below `clean_below` both are equal, apart from bytes that a failed sync lost.
//!
//! Not here: names, errors on demand.

use super::simulated::Random;
use std::io;

/// The smallest piece that reaches the medium as a whole.
const SECTOR_BYTES: usize = 512;

/// One file, seen twice.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// What readers see.
    seen: Vec<u8>,
    /// What lies on the medium.
    durable: Vec<u8>,
    /// Bytes from here on may differ.
    clean_below: usize,
    /// Whether the length or a byte changed since the last sync.
    is_dirty: bool,
    /// Whether the medium gives its bytes no more.
    is_unreadable: bool,
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        let start = offset as usize;
        let end = start + bytes.len();
        self.touch(start.min(self.seen.len()));
        if start == self.seen.len() {
            self.seen.extend_from_slice(bytes);
            return;
        }
        if end > self.seen.len() {
            self.seen.resize(end, 0);
        }
        self.seen[start..end].copy_from_slice(bytes);
    }

    pub(crate) fn read_at(&self, offset: u64, buf: &mut [u8]) -> usize {
        let start = (offset as usize).min(self.seen.len());
        let count = buf.len().min(self.seen.len() - start);
        buf[..count].copy_from_slice(&self.seen[start..start + count]);
        count
    }

    pub(crate) fn truncate(&mut self, size_bytes: u64) {
        self.touch((size_bytes as usize).min(self.seen.len()));
        self.seen.resize(size_bytes as usize, 0);
    }

    pub(crate) fn sync(&mut self) {
        if !self.is_dirty {
            return;
        }
        // A failed sync may have left the medium shorter than what counts as clean: a hole.
        self.durable.resize(self.clean_below, 0);
        self.durable.extend_from_slice(&self.seen[self.clean_below..]);
        self.clean_below = self.seen.len();
        self.is_dirty = false;
    }

    /// After a failed sync the cache calls everything clean, though nothing was written.
    pub(crate) fn lose_unsynced(&mut self) {
        self.clean_below = self.seen.len();
        self.is_dirty = false;
    }

    pub(crate) fn set_unreadable(&mut self, is_unreadable: bool) {
        self.is_unreadable = is_unreadable;
    }

    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    pub(crate) fn flip_bit(&mut self, byte_offset: u64, bit: u8) -> io::Result<()> {
        let index = byte_offset as usize;
        let Some(byte) = self.seen.get_mut(index) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such byte in the file"));
        };
        *byte ^= 1 << (bit % 8);
        if let Some(byte) = self.durable.get_mut(index) {
            *byte ^= 1 << (bit % 8);
        }
        Ok(())
    }

    /// The power fails: some of what was not synced survives.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        if self.is_dirty {
            match random.below(4) {
                0 => {}
                1 => self.keep_a_prefix(random),
                2 => self.keep_some_sectors(random),
                _ => self.sync(),
            }
        }
        self.seen = self.durable.clone();
        self.clean_below = self.seen.len();
        self.is_dirty = false;
    }

    fn keep_a_prefix(&mut self, random: &mut Random) {
        let dirty_bytes = self.seen.len() - self.clean_below;
        let kept = self.clean_below + random.below(dirty_bytes as u64 + 1) as usize;
        self.durable.resize(self.clean_below, 0);
        self.durable.extend_from_slice(&self.seen[self.clean_below..kept]);
    }

    /// Sectors reach the medium in any order; the length is that of the last one that did.
    fn keep_some_sectors(&mut self, random: &mut Random) {
        let mut at = self.clean_below;
        while at < self.seen.len() {
            let end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(self.seen.len());
            if random.below(2) == 0 {
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                self.durable[at..end].copy_from_slice(&self.seen[at..end]);
            }
            at = end;
        }
    }

    fn touch(&mut self, from: usize) {
        self.clean_below = self.clean_below.min(from);
        self.is_dirty = true;
    }
}
