//! From memory to blocks: writes closed time ranges to Parquet, then lets go of them in memory and
//! in the journal.
//!
//! Place in the flow: memtable → **flush** → block, manifest.
//!
//! The steps, each of which may be the last one before a crash:
//! 1. begin a new journal segment, so that what is flushed lies in the segments before it;
//! 2. write each block into a folder named `….tmp`, sync files and folder, rename it;
//! 3. sync the folder above;
//! 4. write the series that are not there yet to the series log;
//! 5. replace the manifest: from here on the blocks are part of the store;
//! 6. show the blocks to readers, drop their samples from memory, remove journal segments.
//!
//! Before step 5 a failure or a restart removes the folders; the restart replays the journal. After it the manifest tells
//! which of the journal's samples are in blocks already.
//!
//! Samples are taken from memory some series at a time, under short locks: a flush needs little memory
//! and keeps no append waiting.
//!
//! Invariant: only what was written is dropped. What comes while a flush runs stays.
//!
//! Not here: the files of a block (`block::writer`), when a restart skips samples (`open`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use model::append::SeriesId;
use model::{Labels, TimeRange, TimestampMs};

use crate::beside::exemplars::Numbered;
use crate::beside::{self, Rows, hooks};
use crate::block::{Block, Effort};
use crate::error::at;
use crate::head::Head;
use crate::manifest::{FlushEntry, Manifest};
use crate::memtable::{Piece, Taken};
use crate::new_block::{NewBlock, Written, discard};
use crate::shared::{Era, Flushing, Shared, lock};
use crate::{Error, series_log};

/// The folder of the blocks.
pub const BLOCKS_DIR: &str = "blocks";
/// Blocks of one flush at most; data spread over more ranges gets wider ones.
const FLUSH_BLOCKS_MAX: usize = 64;
/// A series whose samples lie in no more ranges than these is taken to have some in each.
const NARROW_RANGES_MAX: i64 = 4;
/// A series without a sample for so many ranges has ended, until it returns.
const ENDED_AFTER_RANGES: i64 = 2;
/// Series whose samples are taken from memory under one lock.
const WINDOW_SERIES: usize = 512;

/// How much is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Ranges that ended before this instant.
    Closed {
        /// The end of the last one.
        before_ms: i64,
    },
    /// Everything.
    All,
}

/// The end of the last range that is closed when this is the newest instant.
pub fn closed_before(shared: &Shared, newest_ms: i64) -> i64 {
    let range_ms = shared.settings.block_range_ms;
    let late_ms = newest_ms.saturating_sub(shared.settings.flush_margin_ms);
    late_ms.div_euclid(range_ms).saturating_mul(range_ms)
}

/// Whether a flush is due, and how far.
pub fn due(shared: &Shared) -> Option<Reach> {
    let head = shared.head();
    let (oldest_ms, newest_ms) = (head.oldest_ms()?, head.newest_ms()?);
    let bytes = head.bytes();
    drop(head);
    let soft_bytes_max = shared.settings.memtable_bytes_max / 4 * 3;
    if bytes > soft_bytes_max || shared.journal.size_bytes() > shared.settings.journal_bytes_max {
        return Some(Reach::All);
    }
    let before_ms = closed_before(shared, newest_ms);
    let is_new = before_ms > shared.cut_ms.load(Ordering::Relaxed);
    (is_new && oldest_ms < before_ms).then_some(Reach::Closed { before_ms })
}

/// One series on its way to a block: its samples up to an instant, itself included.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    slot: u32,
    last_ms: i64,
}

/// What leaves memory beside numbers.
struct LeavingBeside {
    pieces: BTreeMap<u32, (beside::Piece, beside::Taken)>,
    exemplars: Vec<Numbered>,
    exemplars_end: u64,
}

impl LeavingBeside {
    fn new(shared: &Shared) -> LeavingBeside {
        let (exemplars, exemplars_end) = shared.head().beside.exemplars.unflushed();
        LeavingBeside { pieces: BTreeMap::new(), exemplars, exemplars_end }
    }

    /// Notes what a series has before an instant, and shows the instants; whether it has anything.
    fn collect(
        &mut self,
        head: &Head,
        slot: u32,
        before_ms: i64,
        mut show: impl FnMut(i64),
    ) -> bool {
        let before = TimeRange::new(TimestampMs::MIN, TimestampMs(before_ms));
        let Some(mut piece) = before.and_then(|before| head.beside.piece(slot, before)) else {
            return false;
        };
        piece.cut(before_ms);
        piece.each_instant(1, &mut show);
        let taken = beside::Taken { slot, ..beside::Taken::default() };
        self.pieces.insert(slot, (piece, taken));
        true
    }

    fn has(&self, slot: u32) -> bool {
        self.pieces.contains_key(&slot)
    }

    /// The rows of a series in a range, which are in a block from now on.
    fn take(&mut self, slot: u32, range: TimeRange) -> Rows {
        let Some((piece, taken)) = self.pieces.get_mut(&slot) else { return Rows::default() };
        let rows = piece.rows(range);
        taken.extend(&rows);
        rows
    }
}

/// Where a flush cuts.
#[derive(Debug, Clone, Copy)]
struct Boundary {
    segment: u64,
    before_ms: i64,
}

/// Flushes. Waits for one that runs.
pub fn flush(shared: &Shared, reach: Reach) -> Result<(), Error> {
    let mut flushing = lock(&shared.flushing);
    let Some((boundary, eras)) = begin(shared, reach)? else { return Ok(()) };
    // What all flushes take stands in segments before the boundary: nothing comes in between.
    let held = (reach == Reach::All).then_some(eras);
    let (leaving, ranges, mut beside) = collect(shared, boundary.before_ms);
    drop(held);
    let mut written = Vec::new();
    let recorded =
        write_blocks(shared, &mut flushing, (&leaving, &ranges, &mut beside), &mut written)
            .and_then(|()| hooks::save_families(shared, &mut flushing))
            .and_then(|()| series_log::write_all(shared))
            .and_then(|logged| record(shared, &mut flushing, (boundary, logged), &written));
    if let Err(error) = recorded {
        discard(shared, &written);
        return Err(error);
    }
    publish(shared, boundary, (leaving, beside), written);
    trim_journal(shared, boundary);
    Ok(())
}

type Eras<'a> = MutexGuard<'a, Vec<Era>>;

fn begin(shared: &Shared, reach: Reach) -> Result<Option<(Boundary, Eras<'_>)>, Error> {
    let mut eras = lock(&shared.eras);
    let (oldest_ms, newest_ms) = {
        let head = shared.head();
        (head.oldest_ms(), head.newest_ms())
    };
    let (Some(oldest_ms), Some(newest_ms)) = (oldest_ms, newest_ms) else { return Ok(None) };
    let before_ms = match reach {
        Reach::All => newest_ms.saturating_add(1),
        Reach::Closed { before_ms } => before_ms,
    };
    if oldest_ms >= before_ms {
        return Ok(None);
    }
    let segment = shared.journal.rotate()?;
    eras.push(Era { segment, newest_ms: None, bytes: 0 });
    shared.head_mut().memtable.begin_flush();
    Ok(Some((Boundary { segment, before_ms }, eras)))
}

/// The series with samples before an instant, in the order of blocks, and the aligned ranges that
/// may hold some. No sample is copied here: those of a million series would not fit twice.
fn collect(shared: &Shared, before_ms: i64) -> (Vec<Leaving>, Vec<TimeRange>, LeavingBeside) {
    let mut beside = LeavingBeside::new(shared);
    let range_ms = shared.settings.block_range_ms;
    let (mut leaving, mut indexes, mut wide) = (Vec::new(), BTreeSet::new(), Vec::new());
    {
        let head = shared.head();
        let mut slots: Vec<u32> = (head.memtable.active() | head.beside.slots()).iter().collect();
        head.registry.sort_for_blocks(&mut slots);
        for slot in slots {
            let has_beside = beside.collect(&head, slot, before_ms, |at_ms| {
                indexes.insert(at_ms.div_euclid(range_ms));
            });
            let span = head.memtable.get(slot).and_then(|series| series.span_ms());
            let Some((first_ms, newest_ms)) = span.filter(|span| span.0 < before_ms) else {
                if has_beside {
                    leaving.push(Leaving { slot, last_ms: i64::MIN });
                }
                continue;
            };
            let last_ms = newest_ms.min(before_ms - 1);
            let (first, last) = (first_ms.div_euclid(range_ms), last_ms.div_euclid(range_ms));
            if last.saturating_sub(first) <= NARROW_RANGES_MAX {
                indexes.extend(first..=last);
            } else {
                wide.push(Leaving { slot, last_ms });
            }
            leaving.push(Leaving { slot, last_ms });
        }
    }
    note_wide(shared, &wide, &mut indexes);
    (leaving, ranges(indexes, range_ms), beside)
}

/// Notes the ranges of series with long pauses, sample by sample.
fn note_wide(shared: &Shared, wide: &[Leaving], indexes: &mut BTreeSet<i64>) {
    let range_ms = shared.settings.block_range_ms;
    for series in wide {
        let piece = {
            let head = shared.head();
            head.memtable.get(series.slot).and_then(|stored| stored.piece(TimeRange::ALL))
        };
        let mut last = None;
        let mut note = |at_ms: i64| {
            let index = at_ms.div_euclid(range_ms);
            if at_ms <= series.last_ms && last.replace(index) != Some(index) {
                indexes.insert(index);
            }
        };
        if let Some(piece) = piece {
            piece.each_instant(&mut note);
        }
    }
}

/// Ranges that hold all of those of `indexes`: not more than a flush may write.
fn ranges(mut indexes: BTreeSet<i64>, range_ms: i64) -> Vec<TimeRange> {
    let mut width_ms = range_ms;
    while indexes.len() > FLUSH_BLOCKS_MAX {
        indexes = indexes.iter().map(|index| index.div_euclid(2)).collect();
        width_ms = width_ms.saturating_mul(2);
    }
    let range = |index: &i64| {
        let start_ms = index.saturating_mul(width_ms);
        TimeRange::new(TimestampMs(start_ms), TimestampMs(start_ms.saturating_add(width_ms)))
    };
    indexes.iter().filter_map(range).collect()
}

/// Writes a block for each range and puts its folder in place. `written` names those in place, also
/// when it fails.
fn write_blocks(
    shared: &Shared,
    flushing: &mut Flushing,
    (leaving, ranges, beside): (&[Leaving], &[TimeRange], &mut LeavingBeside),
    written: &mut Vec<Written>,
) -> Result<(), Error> {
    for (index, range) in ranges.iter().enumerate() {
        // Counted also when it fails: no name is tried twice.
        flushing.manifest.blocks_created += 1;
        let mut block = NewBlock::new(shared, flushing.manifest.blocks_created, Effort::Quick);
        let placed = write_block(shared, &mut block, (*range, leaving), beside).and_then(|()| {
            // They go with the newest block: their own instants may be far in the past.
            if index + 1 == ranges.len() {
                block.add_exemplars(std::mem::take(&mut beside.exemplars))?;
            }
            block.place(0, Vec::new(), Vec::new())
        });
        match placed {
            Ok(placed) => written.extend(placed),
            Err(error) => {
                block.abandon();
                return Err(error);
            }
        }
    }
    let blocks_dir = shared.dir.join(BLOCKS_DIR);
    shared.disk.sync_dir(&blocks_dir).map_err(at("sync", &blocks_dir))
}

/// What one series gives to one block.
struct Taking {
    slot: u32,
    id: SeriesId,
    labels: Labels,
    piece: Option<(TimeRange, Piece)>,
}

/// Writes the samples of the range, some series at a time.
fn write_block(
    shared: &Shared,
    block: &mut NewBlock<'_>,
    (range, leaving): (TimeRange, &[Leaving]),
    beside: &mut LeavingBeside,
) -> Result<(), Error> {
    let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
    for some in leaving.chunks(WINDOW_SERIES) {
        let mut pieces: Vec<Taking> = Vec::new();
        {
            let head = shared.head();
            for series in some {
                let end_ms = series.last_ms.saturating_add(1).min(range.end_ms().0);
                let own = TimeRange::new(range.start_ms(), TimestampMs(end_ms));
                let stored = head.memtable.get(series.slot);
                let piece = own.zip(own.and_then(|own| stored?.piece(own)));
                if piece.is_some() || beside.has(series.slot) {
                    let id = head.registry.get(series.slot).id;
                    let labels = head.registry.labels(series.slot);
                    pieces.push(Taking { slot: series.slot, id, labels, piece });
                }
            }
        }
        for Taking { slot, id, labels, piece } in pieces {
            instants_ms.clear();
            values.clear();
            if let Some((own, piece)) = piece {
                piece.decode(own, &mut instants_ms, &mut values);
            }
            let rows = beside.take(slot, range);
            if !values.is_empty() || !rows.is_empty() {
                block.add_with(id, &labels, (&instants_ms, &values), &rows)?;
            }
        }
    }
    Ok(())
}

fn record(
    shared: &Shared,
    flushing: &mut Flushing,
    (boundary, series_logged): (Boundary, u32),
    written: &[Written],
) -> Result<(), Error> {
    let mut manifest: Manifest = flushing.manifest.clone();
    let first_segment = lock(&shared.eras).first().map_or(0, |era| era.segment);
    manifest.forget_flushes(first_segment);
    for block in written {
        manifest.blocks.push(block.entry());
        manifest.next_series_id = manifest.next_series_id.max(block.meta.series_id_max + 1);
    }
    manifest.flushes.push(FlushEntry {
        before_segment: boundary.segment,
        before_ms: boundary.before_ms,
        block_ids: written.iter().map(|block| block.meta.block_id.clone()).collect(),
    });
    manifest.series_logged = u64::from(series_logged);
    manifest.write(&shared.disk, &shared.dir)?;
    flushing.manifest = manifest;
    Ok(())
}

fn publish(
    shared: &Shared,
    boundary: Boundary,
    (leaving, beside): (Vec<Leaving>, LeavingBeside),
    written: Vec<Written>,
) {
    let count = written.len() as u64;
    shared.change_blocks(|blocks| {
        for Written { dir, meta } in written {
            let block = Block::written(meta, &shared.disk, &dir, &shared.cache);
            blocks.push(Arc::new(block));
        }
    });
    let last = |series: &Leaving| Taken { slot: series.slot, last_ms: series.last_ms };
    let taken: Vec<Taken> = leaving.iter().map(last).collect();
    let newest_ms = {
        let mut head = shared.head_mut();
        let newest_ms = head.newest_ms().unwrap_or(boundary.before_ms);
        head.memtable.drop_taken(&taken);
        let taken: Vec<beside::Taken> =
            beside.pieces.into_values().map(|(_, taken)| taken).collect();
        head.beside.remove(&taken);
        head.beside.exemplars.set_flushed(beside.exemplars_end);
        let pause_ms = shared.settings.block_range_ms.saturating_mul(ENDED_AFTER_RANGES);
        let slots = head.registry.len() as u32;
        head.memtable.note_ended(slots, newest_ms.saturating_sub(pause_ms));
        newest_ms
    };
    shared.cut_ms.fetch_max(closed_before(shared, newest_ms), Ordering::Relaxed);
    lock(&shared.counters).blocks_written += count;
}

/// Sorts blocks by their first instant, then by age.
pub fn sort_blocks(blocks: &mut [Arc<Block>]) {
    blocks.sort_by(|one, other| {
        let key = |block: &Block| (block.meta().min_ms, block.meta().block_id.clone());
        key(one).cmp(&key(other))
    });
}

/// Removes the journal segments whose samples are all in blocks.
fn trim_journal(shared: &Shared, boundary: Boundary) {
    let mut eras = lock(&shared.eras);
    let is_needed = |era: &Era| {
        era.segment >= boundary.segment
            || era.newest_ms.is_some_and(|newest_ms| newest_ms >= boundary.before_ms)
    };
    let kept = eras.iter().position(is_needed).unwrap_or(eras.len() - 1);
    if kept == 0 {
        return;
    }
    match shared.journal.remove_before(eras[kept].segment) {
        Ok(()) => drop(eras.drain(..kept)),
        // Nothing is wrong but the space; the next flush tries again.
        Err(error) => tracing::warn!(%error, "can't remove journal segments that are flushed"),
    }
}
