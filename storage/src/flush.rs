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
//! Invariant: only what was written is dropped. Late samples that come while a flush runs stay.
//!
//! Not here: the files of a block (`block::writer`), when a restart skips samples (`open`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use journal::Journal;
use model::append::SeriesId;
use model::{Labels, TimeRange, TimestampMs};
use xxhash_rust::xxh3::xxh3_128;

use crate::Error;
use crate::block::meta::{Meta, checksum_text};
use crate::block::name::ulid;
use crate::block::writer::Heading;
use crate::block::{Block, BlockWriter, order};
use crate::error::at;
use crate::manifest::{BlockEntry, FlushEntry, Found, Manifest};
use crate::memtable::{Piece, Taken};
use crate::record::{encode_series, groups};
use crate::shared::{Era, Flushing, Shared, lock};

/// The folder of the blocks.
pub const BLOCKS_DIR: &str = "blocks";
/// Blocks of one flush at most; data spread over more ranges gets wider ones.
const FLUSH_BLOCKS_MAX: usize = 64;

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
fn closed_before(shared: &Shared, newest_ms: i64) -> i64 {
    let range_ms = shared.settings.block_range_ms;
    let late_ms = newest_ms.saturating_sub(shared.settings.flush_margin_ms);
    late_ms.div_euclid(range_ms).saturating_mul(range_ms)
}

/// Whether a flush is due, and how far.
pub fn due(shared: &Shared) -> Option<Reach> {
    let head = shared.head();
    let (oldest_ms, newest_ms) = (head.memtable.oldest_ms()?, head.memtable.newest_ms()?);
    let bytes = head.memtable.bytes();
    drop(head);
    let soft_bytes_max = shared.settings.memtable_bytes_max / 4 * 3;
    if bytes > soft_bytes_max || shared.journal.size_bytes() > shared.settings.journal_bytes_max {
        return Some(Reach::All);
    }
    let before_ms = closed_before(shared, newest_ms);
    let is_new = before_ms > shared.cut_ms.load(Ordering::Relaxed);
    (is_new && oldest_ms < before_ms).then_some(Reach::Closed { before_ms })
}

/// One series on its way to a block.
struct Leaving {
    slot: u32,
    id: SeriesId,
    labels: Labels,
    piece: Piece,
}

/// A block whose folder is in place.
struct Written {
    dir: PathBuf,
    meta: Meta,
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
    let Some(boundary) = begin(shared, reach)? else { return Ok(()) };
    let leaving = collect(shared, boundary.before_ms);
    let mut written = Vec::new();
    let recorded = write_blocks(shared, &mut flushing, &leaving, &mut written)
        .and_then(|()| log_series(shared))
        .and_then(|logged| record(shared, &mut flushing, (boundary, logged), &written));
    if let Err(error) = recorded {
        discard(shared, &written);
        return Err(error);
    }
    publish(shared, boundary, &leaving, written);
    trim_journal(shared, boundary);
    Ok(())
}

fn begin(shared: &Shared, reach: Reach) -> Result<Option<Boundary>, Error> {
    let mut eras = lock(&shared.eras);
    let (oldest_ms, newest_ms) = {
        let head = shared.head();
        (head.memtable.oldest_ms(), head.memtable.newest_ms())
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
    Ok(Some(Boundary { segment, before_ms }))
}

/// The samples before an instant, by series in the order of blocks.
fn collect(shared: &Shared, before_ms: i64) -> Vec<Leaving> {
    let range = TimeRange::new(TimestampMs::MIN, TimestampMs(before_ms))
        .expect("a flush begins only when a sample is before its end");
    let mut leaving: Vec<Leaving> = Vec::new();
    {
        let head = shared.head();
        for slot in head.memtable.active() {
            let piece = head.memtable.get(slot).and_then(|series| series.piece(range));
            let Some(piece) = piece else { continue };
            let known = head.registry.get(slot);
            leaving.push(Leaving { slot, id: known.id, labels: known.labels.clone(), piece });
        }
    }
    for series in &mut leaving {
        series.piece.cut(before_ms);
    }
    leaving.retain(|series| series.piece.count() > 0);
    order::sort(leaving, |series| &series.labels)
}

/// The aligned ranges that hold samples.
fn ranges(leaving: &[Leaving], range_ms: i64) -> Vec<TimeRange> {
    let mut indexes: BTreeSet<i64> = BTreeSet::new();
    for series in leaving {
        let mut last = None;
        series.piece.each_instant(|at_ms| {
            let index = at_ms.div_euclid(range_ms);
            if last.replace(index) != Some(index) {
                indexes.insert(index);
            }
        });
    }
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
    leaving: &[Leaving],
    written: &mut Vec<Written>,
) -> Result<(), Error> {
    let blocks_dir = shared.dir.join(BLOCKS_DIR);
    for range in ranges(leaving, shared.settings.block_range_ms) {
        // Counted also when it fails: no name is tried twice.
        flushing.manifest.blocks_created += 1;
        let number = flushing.manifest.blocks_created;
        let noise = xxh3_128(&[shared.settings.seed.to_le_bytes(), number.to_le_bytes()].concat());
        let block_id = ulid(shared.clock.now(), noise);
        let temporary = blocks_dir.join(format!("{block_id}.tmp"));
        let dir = blocks_dir.join(&block_id);
        let in_place =
            write_block(shared, &temporary, &block_id, (range, leaving)).and_then(|meta| {
                shared
                    .disk
                    .rename(&temporary, &dir)
                    .map(|()| meta)
                    .map_err(at("rename", &temporary))
            });
        match in_place {
            Ok(meta) => written.push(Written { dir, meta }),
            Err(error) => {
                // Only space is lost when this fails; the next start removes the rest.
                let _ = shared.disk.remove_dir_all(&temporary);
                return Err(error);
            }
        }
    }
    shared.disk.sync_dir(&blocks_dir).map_err(at("sync", &blocks_dir))
}

/// Removes the blocks of a flush that failed: tried again and again, they would fill the disk. A
/// manifest whose last sync failed may name them all the same; then they stay.
fn discard(shared: &Shared, written: &[Written]) {
    let Ok(Found::Whole(manifest)) = Manifest::read(&shared.disk, &shared.dir) else { return };
    for Written { dir, meta } in written {
        if manifest.blocks.iter().any(|entry| entry.block_id == meta.block_id) {
            continue;
        }
        if let Err(error) = shared.disk.remove_dir_all(dir) {
            tracing::warn!(%error, path = %dir.display(), "can't remove a block of a failed flush");
        }
    }
}

fn write_block(
    shared: &Shared,
    dir: &Path,
    block_id: &str,
    (range, leaving): (TimeRange, &[Leaving]),
) -> Result<Meta, Error> {
    let mut writer = BlockWriter::create(&shared.disk, dir)?;
    let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
    for series in leaving {
        instants_ms.clear();
        values.clear();
        series.piece.decode(range, &mut instants_ms, &mut values);
        if !values.is_empty() {
            writer.add(series.id, &series.labels, &instants_ms, &values)?;
        }
    }
    writer.finish(Heading {
        block_id: block_id.to_owned(),
        level: 0,
        created: shared.clock.now(),
        sources: Vec::new(),
    })
}

/// Writes the series that are not there yet to the series log; answers how many are there now.
pub fn log_series(shared: &Shared) -> Result<u32, Error> {
    let mut logged_slots = lock(&shared.logged_slots);
    let series: Vec<(SeriesId, Labels)> = {
        let head = shared.head();
        let new = head.registry.since_slot(*logged_slots);
        new.iter().map(|known| (known.id, known.labels.clone())).collect()
    };
    append_series(&shared.series_log, &series)?;
    *logged_slots += series.len() as u32;
    Ok(*logged_slots)
}

/// Writes series to a series log.
pub fn append_series(log: &Journal, series: &[(SeriesId, Labels)]) -> Result<(), Error> {
    let mut records = Vec::new();
    encode_series(series.iter().map(|(id, labels)| (*id, labels)), &mut records);
    log.append_groups_blocking(groups(records))?;
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
    for Written { meta, .. } in written {
        manifest.blocks.push(BlockEntry {
            block_id: meta.block_id.clone(),
            meta_xxh3: checksum_text(&meta.encode()),
        });
        manifest.next_series_id = manifest.next_series_id.max(meta.series_id_max + 1);
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

fn publish(shared: &Shared, boundary: Boundary, leaving: &[Leaving], written: Vec<Written>) {
    let count = written.len() as u64;
    {
        let mut blocks = shared.blocks.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut all = blocks.as_ref().clone();
        for Written { dir, meta } in written {
            all.push(Arc::new(Block::written(meta, &shared.disk, &dir, &shared.cache)));
        }
        sort_blocks(&mut all);
        *blocks = Arc::new(all);
    }
    let last = |series: &Leaving| {
        let last_ms = series.piece.last_ms().expect("a leaving series has samples");
        Taken { slot: series.slot, last_ms }
    };
    let taken: Vec<Taken> = leaving.iter().map(last).collect();
    let newest_ms = {
        let mut head = shared.head_mut();
        let newest_ms = head.memtable.newest_ms().unwrap_or(boundary.before_ms);
        head.memtable.drop_taken(&taken);
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
