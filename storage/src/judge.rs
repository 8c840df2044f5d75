//! What becomes of the samples of a batch that are not newer than all of their series.
//!
//! Place in the flow: plan → **judge** → plan, once a batch, for all of them together.
//!
//! Such a sample is looked for where it would stand, in the plan, in memory and in blocks: the same
//! bits are an exact duplicate and count as accepted, other bits are a conflict. Nothing there means
//! that it came late: inside the out-of-order window it is taken.
//!
//! Blocks are read once for all candidates of a batch, each series once: a sender that repeats an
//! hour of history costs about what a query of that hour costs. What is read has a limit for each
//! group of batches.
//!
//! Not here: samples in order (`plan`).

use std::sync::Arc;

use model::append::{RefusedReason, SeriesId};
use model::{Batch, TimeRange, TimestampMs};

use crate::beside::file::HISTOGRAMS_FILE;
use crate::beside::scan::histogram_in_blocks;
use crate::block::Block;
use crate::plan::{NONE_MS, Plan};
use crate::record::NumberedSample;
use crate::source::{block_rows, columns_in_blocks};

/// Rows of blocks read to judge the samples of one group; beyond it they are "too old" unread.
pub const LOOKUP_ROWS_MAX: u64 = 8 * 1024 * 1024;
/// Rows that are read at a time: so much memory it may take.
const PORTION_ROWS_MAX: u64 = 512 * 1024;

/// A sample of a batch that is not newer than all of its series.
#[derive(Debug)]
pub struct Candidate {
    /// Which sample of the batch.
    index: u32,
    slot: u32,
    id: SeriesId,
    /// The newest instant of the series when it came.
    newest_ms: i64,
    stored: Stored,
}

/// What is known of the place where a candidate would stand.
#[derive(Debug, Clone, Copy)]
enum Stored {
    Nothing,
    Value(f64),
    /// It was not looked for everywhere.
    Unread,
}

impl Candidate {
    /// One that nobody has looked for.
    pub fn new(index: u32, (slot, id): (u32, SeriesId), newest_ms: i64) -> Candidate {
        Candidate { index, slot, id, newest_ms, stored: Stored::Nothing }
    }
}

/// Whether a sample counts as accepted, by its place in the batch.
pub type Judged = (u32, Result<(), RefusedReason>);

impl Plan<'_> {
    /// Judges all candidates, in the order of the batch, and takes those that come late but in time.
    pub(crate) fn judge_candidates(&mut self, batch: &Batch) -> Vec<Judged> {
        let mut candidates = std::mem::take(&mut self.work.candidates);
        self.look_in_memory(batch, &mut candidates);
        self.look_in_blocks(batch, &mut candidates);
        let mut verdicts = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            let sample = &batch.samples()[candidate.index as usize];
            let verdict = self.judge(candidate, (sample.at.0, sample.value));
            verdicts.push((candidate.index, verdict));
        }
        candidates.clear();
        self.work.candidates = candidates;
        verdicts
    }

    fn look_in_memory(&self, batch: &Batch, candidates: &mut [Candidate]) {
        for candidate in candidates {
            let at_ms = batch.samples()[candidate.index as usize].at.0;
            let series = self.present.head.memtable.get(candidate.slot);
            if let Some(value) = series.and_then(|series| series.at(at_ms)) {
                candidate.stored = Stored::Value(value);
            }
        }
    }

    /// Looks for those that memory does not have, series by series.
    fn look_in_blocks(&mut self, batch: &Batch, candidates: &mut [Candidate]) {
        let blocks = self.present.blocks;
        let at_ms = |candidate: &Candidate| batch.samples()[candidate.index as usize].at;
        let may_be_there = |candidate: &Candidate| {
            matches!(candidate.stored, Stored::Nothing)
                && blocks.iter().any(|block| block.range().contains(at_ms(candidate)))
        };
        let mut wanted: Vec<usize> =
            (0..candidates.len()).filter(|&index| may_be_there(&candidates[index])).collect();
        wanted.sort_by_key(|&index| (candidates[index].id, at_ms(&candidates[index])));
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            let (mut count, mut rows, mut ids) = (0, 0, Vec::new());
            let (mut first, mut last) = (TimestampMs::MAX, TimestampMs::MIN);
            for same in rest.chunk_by(|&one, &other| candidates[one].id == candidates[other].id) {
                let id = candidates[same[0]].id;
                rows += block_rows(blocks, id);
                ids.push(id);
                count += same.len();
                first = first.min(at_ms(&candidates[same[0]]));
                last = last.max(at_ms(&candidates[same[same.len() - 1]]));
                if rows >= PORTION_ROWS_MAX {
                    break;
                }
            }
            let (portion, others) = rest.split_at(count);
            rest = others;
            let range = TimeRange::closed(first, last);
            let (Some(range), Some(rows_left)) = (range, self.rows_left.checked_sub(rows)) else {
                portion.iter().for_each(|&index| candidates[index].stored = Stored::Unread);
                continue;
            };
            self.rows_left = rows_left;
            let Some(found) = columns_in_blocks(blocks, &ids, range) else {
                portion.iter().for_each(|&index| candidates[index].stored = Stored::Unread);
                continue;
            };
            for &index in portion {
                let position = ids.binary_search(&candidates[index].id);
                let columns = &found[position.expect("each candidate's series was read")];
                let row = columns.instants_ms.binary_search(&at_ms(&candidates[index]).0);
                if let Ok(row) = row {
                    candidates[index].stored = Stored::Value(columns.values[row]);
                }
            }
        }
    }

    fn judge(
        &mut self,
        candidate: &Candidate,
        (at_ms, value): (i64, f64),
    ) -> Result<(), RefusedReason> {
        let window_ms = self.present.settings.out_of_order_window_ms;
        if let Some(planned) = self.planned_value(candidate.slot, at_ms) {
            return same_or_conflict(planned, value);
        }
        match candidate.stored {
            Stored::Value(stored) => return same_or_conflict(stored, value),
            Stored::Unread => return Err(RefusedReason::TooOld),
            Stored::Nothing => {}
        }
        if self.is_histogram_at(candidate, at_ms) {
            return Err(RefusedReason::DuplicateTimestamp);
        }
        // The beginning of time also stands for "no sample"; and nothing was there.
        let is_first = candidate.newest_ms == NONE_MS;
        if window_ms == 0 && !is_first {
            return Err(RefusedReason::OutOfOrder);
        }
        if at_ms < candidate.newest_ms.saturating_sub(window_ms) {
            return Err(RefusedReason::TooOld);
        }
        self.take(candidate.slot, NumberedSample { id: candidate.id, at_ms, value });
        Ok(())
    }
}

impl Plan<'_> {
    fn is_histogram_at(&mut self, candidate: &Candidate, at_ms: i64) -> bool {
        let blocks = self.present.blocks;
        let touches = |block: &Arc<Block>| {
            block.range().contains(TimestampMs(at_ms))
                && block.meta().file(HISTOGRAMS_FILE).is_some()
        };
        // Beyond what may be looked at it is taken for one: refused rather than put over it.
        self.histogram_here(candidate.slot, at_ms).is_some()
            || blocks.iter().any(touches)
                && (!self.may_look_into_blocks()
                    || histogram_in_blocks(blocks, candidate.id, at_ms).is_some())
    }
}

fn same_or_conflict(stored: f64, offered: f64) -> Result<(), RefusedReason> {
    let same = stored.to_bits() == offered.to_bits();
    if same { Ok(()) } else { Err(RefusedReason::DuplicateTimestamp) }
}
