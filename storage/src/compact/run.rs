//! Merging some blocks into one, series by series.
//!
//! Place in the flow: `plan` names blocks → **run** → one new block in their place.
//!
//! The steps, each of which may be the last one before a crash:
//! 1. write the new block into a folder named `….tmp`, sync files and folder, rename it;
//! 2. sync the folder above;
//! 3. replace the manifest: from here on the new block counts and the old ones do not;
//! 4. show it to readers; the old folders go when their last reader does.
//!
//! Before step 3 a failure or a restart removes the new folder, after it the old ones. Nothing is held
//! that an append or a reader waits for while this reads and writes.
//!
//! Invariants: the new block has what readers saw in the old ones: later blocks win at equal instants,
//! hidden samples are left out. A source that is damaged ends the merge; nothing is given up for it.
//!
//! Not here: which blocks (`plan`), what is hidden (`tombstone`).

use std::sync::Arc;

use model::append::SeriesId;
use model::{Labels, TimeRange, TimestampMs};

use crate::Error;
use crate::beside::merge as beside;
use crate::beside::merge::Merge;
use crate::block::{Block, Columns, Effort};
use crate::error::{at, chain};
use crate::flush::BLOCKS_DIR;
use crate::index::BlockIndex;
use crate::new_block::{NewBlock, Written, discard};
use crate::shared::{Shared, lock};
use crate::source::{merge, read_blocks};
use crate::tombstone::{self, Tombstone};

/// Rows that are read at once, unless a single series has more.
const WINDOW_ROWS: u64 = 128 * 1024;
/// Series that are read at once.
const WINDOW_SERIES: usize = 1024;

/// How a merge ended.
#[derive(Debug)]
pub enum Outcome {
    /// The new block is in place of the old ones; its bytes, 0 when nothing was left.
    Done(u64),
    /// The store closes, or a deletion came or went meanwhile.
    Interrupted,
    /// A source can't be read; it has been named.
    SourceUnreadable(String),
}

/// Merges blocks into one with what lies in `keep`.
pub fn run(shared: &Shared, sources: &[Arc<Block>], keep: TimeRange) -> Result<Outcome, Error> {
    let mut indexes = Vec::new();
    for block in sources {
        match block.index() {
            Ok(index) => indexes.push(index),
            Err(error) => return Ok(Outcome::SourceUnreadable(block.set_aside(&error))),
        }
    }
    let Some(series) = in_order(shared, &indexes) else {
        let what = "a series in it is not known";
        return Ok(Outcome::SourceUnreadable(format!(
            "blocks {}: {what}",
            names(sources).join(" ")
        )));
    };
    let number = {
        let mut flushing = lock(&shared.flushing);
        flushing.manifest.blocks_created += 1;
        flushing.manifest.blocks_created
    };
    let mut block = NewBlock::new(shared, number, Effort::Thorough);
    let copied = copy(shared, sources, (&indexes, &series, keep), &mut block);
    match copied {
        Ok(None) => {}
        Ok(Some(outcome)) => {
            block.abandon();
            return Ok(outcome);
        }
        Err(error) => {
            block.abandon();
            return Err(error);
        }
    }
    let level = sources.iter().map(|source| source.meta().level).max().unwrap_or(0) + 1;
    let mut applied: Vec<String> = sources
        .iter()
        .flat_map(|source| source.tombstones())
        .map(|own| own.id.0.to_string())
        .collect();
    applied.sort_unstable();
    applied.dedup();
    let written: Vec<Written> = match block.place(level, names(sources), applied) {
        Ok(placed) => placed.into_iter().collect(),
        Err(error) => {
            block.abandon();
            return Err(error);
        }
    };
    let replaced = replace(shared, sources, &written);
    if !matches!(replaced, Ok(Outcome::Done(_))) {
        discard(shared, &written);
    }
    replaced
}

fn names(blocks: &[Arc<Block>]) -> Vec<String> {
    blocks.iter().map(|block| block.meta().block_id.clone()).collect()
}

/// All series of the sources in the order of blocks. `None` when the store does not know one.
fn in_order(shared: &Shared, indexes: &[Arc<BlockIndex>]) -> Option<Vec<SeriesId>> {
    let mut ids: Vec<SeriesId> =
        indexes.iter().flat_map(|index| index.series()).map(|series| series.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let head = shared.head();
    let registry = &head.registry;
    let slots = ids.iter().map(|id| registry.slot_of(*id));
    let mut slots = slots.collect::<Option<Vec<u32>>>()?;
    registry.sort_for_blocks(&mut slots);
    Some(slots.into_iter().map(|slot| registry.get(slot).id).collect())
}

/// Copies all series. `Some` when it ended early.
fn copy(
    shared: &Shared,
    sources: &[Arc<Block>],
    (indexes, series, keep): (&[Arc<BlockIndex>], &[SeriesId], TimeRange),
    block: &mut NewBlock<'_>,
) -> Result<Option<Outcome>, Error> {
    let mut start = 0;
    let mut merged = Columns::default();
    let mut rows_beside = Merge::new(sources, series.iter().copied());
    let keeps = |at_ms: i64| keep.contains(TimestampMs(at_ms));
    while start < series.len() {
        if shared.is_closing() {
            return Ok(Some(Outcome::Interrupted));
        }
        let end = window_end(indexes, series, start);
        let ids = &series[start..end];
        let (mut columns, mut warnings) = (vec![Vec::new(); ids.len()], Vec::new());
        read_blocks(sources, ids, keep, &mut columns, &mut warnings);
        if let Some(warning) = warnings.into_iter().next() {
            return Ok(Some(Outcome::SourceUnreadable(warning)));
        }
        let labels: Vec<Option<Labels>> = {
            let head = shared.head();
            let labels = |id: &SeriesId| Some(head.registry.labels(head.registry.slot_of(*id)?));
            ids.iter().map(labels).collect()
        };
        for ((id, labels), columns) in ids.iter().zip(labels).zip(columns) {
            merged.instants_ms.clear();
            merged.values.clear();
            merge(&columns, &mut merged.instants_ms, &mut merged.values);
            let rows = match rows_beside.series(*id, &keeps) {
                Ok(rows) => rows,
                Err(error) => return Ok(Some(Outcome::SourceUnreadable(chain(&error)))),
            };
            let has_any = !merged.values.is_empty() || !rows.is_empty();
            let Some(labels) = labels.filter(|_| has_any) else { continue };
            block.add_with(*id, &labels, (&merged.instants_ms, &merged.values), &rows)?;
        }
        start = end;
    }
    let labels = |id| {
        let head = shared.head();
        head.registry.slot_of(id).map(|slot| head.registry.labels(slot))
    };
    match beside::exemplars(sources, &labels, &|at| keep.contains(at)) {
        Ok(exemplars) => block.add_exemplars(exemplars)?,
        Err(error) => return Ok(Some(Outcome::SourceUnreadable(chain(&error)))),
    }
    Ok(None)
}

fn window_end(indexes: &[Arc<BlockIndex>], series: &[SeriesId], start: usize) -> usize {
    let (mut rows, mut end) = (0, start);
    while end < series.len() && end - start < WINDOW_SERIES && rows < WINDOW_ROWS {
        let of = |index: &Arc<BlockIndex>| {
            index.sid_of(series[end]).map_or(0, |sid| index.series()[sid as usize].rows)
        };
        rows += indexes.iter().map(of).sum::<u64>();
        end += 1;
    }
    end
}

/// Puts what was written in place of the sources, if they still are what was read.
fn replace(shared: &Shared, sources: &[Arc<Block>], written: &[Written]) -> Result<Outcome, Error> {
    let blocks_dir = shared.dir.join(BLOCKS_DIR);
    shared.disk.sync_dir(&blocks_dir).map_err(at("sync", &blocks_dir))?;
    let mut flushing = lock(&shared.flushing);
    let old = names(sources);
    let is_same = |source: &Arc<Block>| {
        let block_id = &source.meta().block_id;
        let is_named = flushing.manifest.blocks.iter().any(|entry| entry.block_id == *block_id);
        let now = tombstone::of_block(&flushing.manifest, block_id);
        let ids = |all: &[Arc<Tombstone>]| all.iter().map(|own| own.id).collect::<Vec<_>>();
        is_named && ids(&now) == ids(source.tombstones())
    };
    if !sources.iter().all(is_same) {
        return Ok(Outcome::Interrupted);
    }
    let mut manifest = flushing.manifest.clone();
    let entries: Vec<_> = written.iter().map(Written::entry).collect();
    manifest.replace_blocks(&old, &entries);
    manifest.write(&shared.disk, &shared.dir)?;
    flushing.manifest = manifest;
    let mut removed = Vec::new();
    shared.change_blocks(|blocks| {
        blocks.retain(|block| {
            let is_kept = !old.contains(&block.meta().block_id);
            if !is_kept {
                removed.push(Arc::clone(block));
            }
            is_kept
        });
        for Written { dir, meta } in written {
            let block = Block::written(meta.clone(), &shared.disk, dir, &shared.cache);
            blocks.push(Arc::new(block));
        }
    });
    removed.iter().for_each(|block| block.remove_when_unused());
    Ok(Outcome::Done(written.iter().map(|block| block.meta.size_bytes()).sum()))
}
