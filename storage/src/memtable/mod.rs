//! The newest samples, in memory, by series.
//!
//! Place in the flow: committed batch → **memtable** → scan reads it, flush moves it to a block.
//!
//! Each series has an open run (compressed frames, then a few raw samples), sealed chunks before it
//! and late samples beside it. Readers take chunks by reference and copy the rest, so nobody waits
//! for a reader to finish.
//!
//! A series that has had no sample for long is *ended*: nothing is kept of it here, not even its newest
//! instant, which blocks know.
//!
//! Invariants: instants of a series are unique; those that came in order ascend. `bytes` and
//! `samples` are the sums over all series. A series is in `active` exactly when it has samples here,
//! and never in `ended` then.
//!
//! Not here: which samples are taken (`commit`), what a series is called (`series`).

/// Up to 32 samples as few bytes.
pub mod frame;
/// Sealed, compressed runs.
pub mod chunk;
/// The open run of one series.
pub mod run;
/// Samples out of order.
pub mod late;
/// A reader's share of one series.
pub mod piece;
/// The samples of one series.
pub mod samples;

use roaring::RoaringBitmap;

pub use chunk::Sample;
pub use piece::Piece;
pub use samples::SeriesSamples;

use crate::paged::{PAGE_SLOTS, Paged};
use crate::series::NumberMap;
use samples::Context;

/// The samples of all series, by the registry's slot.
#[derive(Debug, Default)]
pub struct Memtable {
    series: Paged<SeriesSamples>,
    active: RoaringBitmap,
    ended: RoaringBitmap,
    /// How often newest instants were forgotten.
    forgettings: u32,
    samples: u64,
    bytes: u64,
    span_ms: Option<(i64, i64)>,
    /// How many flushes have begun.
    epoch: u32,
    scratch: Vec<u8>,
    /// The newest instants at which series had something else than a number.
    raised: NumberMap<i64>,
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
        self.span_ms.map(|span| span.0)
    }

    /// The newest instant here.
    pub fn newest_ms(&self) -> Option<i64> {
        self.span_ms.map(|span| span.1)
    }

    /// The newest instant of a series that ever came here in order, also when a flush has taken it,
    /// unless the series has ended.
    pub fn newest_ms_of(&self, slot: u32) -> Option<i64> {
        let number = self.get(slot).and_then(SeriesSamples::newest_ms);
        number.max(self.raised.get(&u64::from(slot)).copied())
    }

    /// Tells that a series has something else than a number at an instant: numbers are judged by it.
    pub fn raise_newest(&mut self, slot: u32, at_ms: i64) {
        let known_ms = self.raised.entry(u64::from(slot)).or_insert(at_ms);
        *known_ms = at_ms.max(*known_ms);
        self.ended.remove(slot);
    }

    /// The samples of one series; `None` when nothing was ever appended to it here.
    pub fn get(&self, slot: u32) -> Option<&SeriesSamples> {
        self.series.get(slot)
    }

    fn change(&mut self, slot: u32, change: impl FnOnce(&mut SeriesSamples, Context<'_>)) {
        let series = self.series.place(slot);
        let (bytes, count) = (series.bytes(), series.count());
        let context = Context { slot, epoch: self.epoch, scratch: &mut self.scratch };
        change(series, context);
        self.bytes = self.bytes + series.bytes() - bytes;
        self.samples = self.samples + series.count() - count;
        if series.count() == 0 {
            self.active.remove(slot);
        } else if count == 0 {
            self.active.insert(slot);
            self.ended.remove(slot);
        }
    }

    /// Series that have had no sample for long.
    pub fn ended(&self) -> &RoaringBitmap {
        &self.ended
    }

    /// How often newest instants were forgotten.
    pub fn forgettings(&self) -> u32 {
        self.forgettings
    }

    /// Whether nothing is kept of the series of a page.
    pub fn is_forgotten(&self, page: usize) -> bool {
        self.series.page(page).is_none()
    }

    /// Takes series for ended that are not in memory and whose newest instant is older than this;
    /// `slots` is how many there are.
    pub fn note_ended(&mut self, slots: u32, before_ms: i64) {
        self.forgettings = self.forgettings.wrapping_add(1);
        for page in 0..slots.div_ceil(PAGE_SLOTS) {
            let first = page * PAGE_SLOTS;
            let range = first..slots.min(first + PAGE_SLOTS);
            match self.series.page(page as usize) {
                None => _ = self.ended.insert_range(range.clone()),
                Some(series) => {
                    let is_old = |own: Option<i64>| own.is_none_or(|at_ms| at_ms < before_ms);
                    for (slot, own) in range.clone().zip(series) {
                        if own.is_empty() && is_old(own.newest_ms()) {
                            self.ended.insert(slot);
                        }
                    }
                }
            }
            if self.ended.contains_range(range) {
                self.series.free(page as usize);
            }
        }
        for (slot, at_ms) in &self.raised {
            if *at_ms >= before_ms {
                self.ended.remove(*slot as u32);
            }
        }
    }

    /// Puts a sample where it belongs; no sample of its series at that instant is here.
    #[inline]
    pub fn put(&mut self, slot: u32, sample: Sample) {
        self.widen(sample.at_ms);
        // Nearly every sample is newer than all of a series that has some.
        if let Some(series) = self.series.get_mut(slot)
            && series.run_newest_ms().is_some_and(|newest_ms| sample.at_ms > newest_ms)
        {
            let context = Context { slot, epoch: self.epoch, scratch: &mut self.scratch };
            let grown_bytes = series.append(sample, context);
            self.bytes = self.bytes.wrapping_add_signed(grown_bytes);
            self.samples += 1;
            return;
        }
        self.change(slot, |series, context| series.put(sample, context));
    }

    /// Puts a sample where it belongs; it takes the place of one at the same instant.
    pub fn insert(&mut self, slot: u32, sample: Sample) {
        self.widen(sample.at_ms);
        self.change(slot, |series, context| series.insert(sample, context));
    }

    #[inline]
    fn widen(&mut self, at_ms: i64) {
        let (oldest_ms, newest_ms) = self.span_ms.unwrap_or((at_ms, at_ms));
        self.span_ms = Some((oldest_ms.min(at_ms), newest_ms.max(at_ms)));
    }

    /// A flush begins: late samples that come from now on stay when it drops what it has taken.
    pub fn begin_flush(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Keeps only the series in `kept`, each under its position there. Others have no samples here.
    pub fn renumber(&mut self, kept: &RoaringBitmap) {
        assert!(self.active.is_subset(kept), "a series with samples is kept");
        let place = |slot| (kept.rank(slot) - 1) as u32;
        for (slot, series) in self.series.take() {
            if kept.contains(slot) && series.newest_ms().is_some() {
                *self.series.place(place(slot)) = series;
            }
        }
        self.active = self.active.iter().map(place).collect();
        self.ended = (&self.ended & kept).iter().map(place).collect();
        let raised = std::mem::take(&mut self.raised);
        let kept_here = |(slot, at_ms): (u64, i64)| {
            kept.contains(slot as u32).then(|| (u64::from(place(slot as u32)), at_ms))
        };
        self.raised = raised.into_iter().filter_map(kept_here).collect();
    }

    /// Drops what a flush has put into blocks.
    pub fn drop_taken(&mut self, taken: &[Taken]) {
        for Taken { slot, last_ms } in taken {
            self.change(*slot, |series, context| series.drop_until(*last_ms, context));
        }
        let spans = self.active.iter().filter_map(|slot| self.series.get(slot)?.span_ms());
        self.span_ms = spans.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    }
}

#[cfg(test)]
mod tests;
