//! The newest samples, in memory, by series.
//!
//! Place in the flow: committed batch → **memtable** → scan reads it, flush moves it to a block.
//!
//! Each series has a few raw samples and sealed chunks before them. Readers take chunks by
//! reference and copy the raw ones, so nobody waits for a reader to finish.
//!
//! Invariants: instants of a series ascend and are unique. `bytes` and `samples` are the sums over
//! all series. A series is in `active` exactly when it has samples here.
//!
//! Not here: which samples are taken (`commit`), what a series is called (`series`).

/// Sealed, compressed runs.
pub mod chunk;
/// The samples of one series.
pub mod samples;

use roaring::RoaringBitmap;

pub use chunk::Sample;
pub use samples::{Newest, Piece, SeriesSamples};

/// The samples of all series, by the registry's slot.
#[derive(Debug, Default)]
pub struct Memtable {
    series: Vec<SeriesSamples>,
    active: RoaringBitmap,
    samples: u64,
    bytes: u64,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
}

/// How far a flush took the samples of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The series.
    pub slot: u32,
    /// The last instant that is in a block now.
    pub last_ms: i64,
}

impl Memtable {
    /// How many samples are here.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The memory they take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The series that have samples here.
    pub fn active(&self) -> &RoaringBitmap {
        &self.active
    }

    /// The oldest instant here.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.oldest_ms
    }

    /// The newest instant here.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// The samples of one series; `None` when nothing was ever appended to it here.
    pub fn get(&self, slot: u32) -> Option<&SeriesSamples> {
        self.series.get(slot as usize)
    }

    fn change(&mut self, slot: u32, change: impl FnOnce(&mut SeriesSamples)) {
        let index = slot as usize;
        if index >= self.series.len() {
            let missing = self.series.len() as u32..=slot;
            self.series.extend(missing.map(SeriesSamples::new));
        }
        let series = &mut self.series[index];
        let (bytes, count) = (series.bytes(), series.count());
        change(series);
        self.bytes = self.bytes + series.bytes() - bytes;
        self.samples = self.samples + series.count() - count;
        if series.count() == 0 {
            self.active.remove(slot);
        } else if count == 0 {
            self.active.insert(slot);
        }
    }

    /// Appends a sample that is newer than all of its series.
    pub fn append(&mut self, slot: u32, sample: Sample) {
        self.change(slot, |series| series.append(sample));
        self.widen(sample.at_ms);
    }

    /// Puts a sample where it belongs; it takes the place of one at the same instant.
    pub fn insert(&mut self, slot: u32, sample: Sample) {
        self.change(slot, |series| series.insert(sample));
        self.widen(sample.at_ms);
    }

    fn widen(&mut self, at_ms: i64) {
        self.oldest_ms = Some(self.oldest_ms.map_or(at_ms, |oldest| oldest.min(at_ms)));
        self.newest_ms = Some(self.newest_ms.map_or(at_ms, |newest| newest.max(at_ms)));
    }

    /// Tells what the newest sample of a series is that has none here.
    pub fn set_newest(&mut self, slot: u32, newest: Newest) {
        self.change(slot, |series| series.set_newest(newest));
    }

    /// Keeps only the series in `kept`, each under its position there. Others have no samples here.
    pub fn renumber(&mut self, kept: &RoaringBitmap) {
        assert!(self.active.is_subset(kept), "a series with samples is kept");
        let before = std::mem::take(&mut self.series);
        let kept_here = |(slot, series)| kept.contains(slot).then_some(series);
        self.series = (0u32..).zip(before).filter_map(kept_here).collect();
        let active = std::mem::take(&mut self.active);
        let place = |slot| (kept.rank(slot) - 1) as u32;
        self.active = active.iter().map(place).collect();
    }

    /// Drops what a flush has put into blocks.
    pub fn drop_taken(&mut self, taken: &[Taken]) {
        for Taken { slot, last_ms } in taken {
            self.change(*slot, |series| series.drop_until(*last_ms));
        }
        let spans = |series: &SeriesSamples| series.span_ms();
        let live = || self.active.iter().filter_map(|slot| spans(&self.series[slot as usize]));
        let (oldest_ms, newest_ms) =
            (live().map(|span| span.0).min(), live().map(|span| span.1).max());
        (self.oldest_ms, self.newest_ms) = (oldest_ms, newest_ms);
    }
}

#[cfg(test)]
mod tests;
