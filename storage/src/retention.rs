//! Which blocks are dropped because of their age or of the space they take.
//!
//! Place in the flow: after every flush, and before a merge → **retention** → manifest without the
//! oldest blocks.
//!
//! Age is measured from the newest sample stored, or from the clock where that is earlier: a clock
//! that jumps ahead, or a system that was off for a month, loses nothing.
//!
//! Whole blocks go, oldest first: one whose last sample is too old, so samples are kept up to one
//! block longer than they must. Size means blocks, journal and series log together, and what a merge
//! is about to write.
//!
//! Invariant: a block is dropped by one replacement of the manifest; readers that have it finish.
//!
//! Not here: deletions by an operator (`tombstone`), a full disk (`space`).

use std::sync::Arc;

use crate::Error;
use crate::block::Block;
use crate::flush::BLOCKS_DIR;
use crate::shared::{Shared, lock};

/// The newest sample stored.
pub fn newest_ms(shared: &Shared) -> i64 {
    let in_memory = shared.head().newest_ms();
    let in_blocks = shared.blocks().iter().map(|block| block.meta().max_ms).max();
    in_memory.max(in_blocks).unwrap_or(i64::MIN)
}

/// Samples before this instant need not be kept; `None` when all must.
pub fn cutoff_ms(shared: &Shared) -> Option<i64> {
    let retention_ms = shared.settings.retention_ms;
    let now_ms = newest_ms(shared).min(shared.clock.now().0);
    (retention_ms > 0).then(|| now_ms.saturating_sub(retention_ms))
}

/// Drops what is too old, then what is too much.
pub fn apply(shared: &Shared) -> Result<(), Error> {
    let _compacting = lock(&shared.compacting);
    if let Some(cutoff_ms) = cutoff_ms(shared) {
        let blocks = shared.blocks();
        let old = blocks.iter().filter(|block| block.meta().max_ms < cutoff_ms).cloned().collect();
        let count = drop_blocks(shared, old, "age")?;
        lock(&shared.counters).dropped_by_age += count;
    }
    make_room(shared, 0, &[]).map(|_| ())
}

/// Drops the oldest blocks until so many bytes more have room, but none of those to be kept. Whether
/// they have. The caller holds `compacting`.
pub fn make_room(shared: &Shared, need_bytes: u64, kept: &[&str]) -> Result<bool, Error> {
    let bytes_max = shared.settings.retention_bytes_max;
    if bytes_max == 0 {
        return Ok(true);
    }
    let logs = shared.journal.size_bytes() + shared.series_log.size_bytes();
    if logs > bytes_max && need_bytes == 0 {
        // A flush frees more than any block would.
        shared.wake_flusher();
        return Ok(false);
    }
    let mut blocks = shared.blocks().as_ref().clone();
    blocks.sort_by_key(|block| (block.meta().max_ms, block.meta().min_ms));
    let sized: Vec<(Arc<Block>, u64)> = blocks
        .into_iter()
        .map(|block| {
            let bytes = folder_bytes(shared, &block);
            (block, bytes)
        })
        .collect();
    let mut all = logs + need_bytes + sized.iter().map(|block| block.1).sum::<u64>();
    let mut dropped = Vec::new();
    for (block, bytes) in sized {
        if all <= bytes_max {
            break;
        }
        if !kept.contains(&block.meta().block_id.as_str()) {
            all -= bytes;
            dropped.push(block);
        }
    }
    // To drop history for a merge that has no room all the same would help nobody.
    if all > bytes_max && need_bytes > 0 {
        return Ok(false);
    }
    let count = drop_blocks(shared, dropped, "size")?;
    lock(&shared.counters).dropped_by_size += count;
    Ok(all <= bytes_max)
}

/// All files of a block; what can't be listed counts as the block says.
fn folder_bytes(shared: &Shared, block: &Block) -> u64 {
    let listed = shared.disk.list(block.dir());
    listed.map_or_else(
        |_| block.meta().size_bytes(),
        |entries| entries.iter().map(|entry| entry.size_bytes).sum(),
    )
}

/// Takes blocks out of the manifest; answers how many.
fn drop_blocks(shared: &Shared, old: Vec<Arc<Block>>, reason: &str) -> Result<u64, Error> {
    if old.is_empty() {
        return Ok(0);
    }
    let names: Vec<String> = old.iter().map(|block| block.meta().block_id.clone()).collect();
    let mut flushing = lock(&shared.flushing);
    let mut manifest = flushing.manifest.clone();
    manifest.replace_blocks(&names, &[]);
    manifest.write(&shared.disk, &shared.dir)?;
    flushing.manifest = manifest;
    shared.change_blocks(|blocks| {
        blocks.retain(|block| !names.contains(&block.meta().block_id));
    });
    drop(flushing);
    for block in &old {
        let meta = block.meta();
        let path = shared.dir.join(BLOCKS_DIR).join(&meta.block_id);
        tracing::info!(
            path = %path.display(), reason, from_ms = meta.min_ms, to_ms = meta.max_ms,
            bytes = meta.size_bytes(), "block dropped by retention"
        );
        block.remove_when_unused();
    }
    Ok(old.len() as u64)
}
