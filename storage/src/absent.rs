//! Blocks that the disk refused to open: named, and tried again.
//!
//! Place in the flow: opening the store hands them over; the flusher looks after them; every scan
//! names them, since nobody knows which samples they hold.
//!
//! Invariant: a block here is named by the manifest and serves nothing.
//!
//! Not here: blocks whose bytes are wrong (`open` sets them aside), blocks that fail while they serve
//! (they go on being asked).

use std::sync::{Arc, Mutex};

use crate::block::Block;
use crate::error::chain;
use crate::manifest::BlockEntry;
use crate::open::open_block;
use crate::shared::{Shared, lock};
use crate::tombstone::of_block;

/// One such block.
#[derive(Debug, Clone)]
pub struct AbsentBlock {
    /// What the manifest says.
    pub entry: BlockEntry,
    /// What the disk said.
    pub reason: String,
}

/// All such blocks.
#[derive(Debug)]
pub struct Absent(Mutex<Vec<AbsentBlock>>);

impl Absent {
    /// Those that opening the store met.
    pub fn new(blocks: Vec<AbsentBlock>) -> Absent {
        Absent(Mutex::new(blocks))
    }

    /// Their names and what is wrong with them.
    pub fn warnings(&self) -> Vec<String> {
        lock(&self.0).iter().map(|block| block.reason.clone()).collect()
    }
}

impl Absent {
    /// Their names.
    pub fn block_ids(&self) -> Vec<String> {
        lock(&self.0).iter().map(|block| block.entry.block_id.clone()).collect()
    }
}

/// Tries them again.
pub fn retry(shared: &Shared) {
    if lock(&shared.absent.0).is_empty() {
        return;
    }
    // Retention and compaction change the manifest under this lock.
    let flushing = lock(&shared.flushing);
    let is_named = |block: &AbsentBlock| flushing.manifest.blocks.contains(&block.entry);
    // Not held while the disk is asked: it may take long to refuse, and every question looks here.
    let tried = lock(&shared.absent.0).clone();
    let mut absent = Vec::new();
    for mut block in tried.into_iter().filter(is_named) {
        match open_block(&shared.disk, &shared.dir, &block.entry, &shared.cache) {
            Ok((found, repaired)) => {
                lock(&shared.counters).damaged.extend(repaired);
                let tombstones = of_block(&flushing.manifest, &block.entry.block_id);
                serve(shared, found.with_tombstones(tombstones));
            }
            Err(error) => {
                block.reason = format!("block {}: {}", block.entry.block_id, chain(&error));
                absent.push(block);
            }
        }
    }
    *lock(&shared.absent.0) = absent;
}

fn serve(shared: &Shared, block: Block) {
    tracing::info!(block = %block.meta().block_id, "the block can be read again");
    shared.change_blocks(|blocks| blocks.push(Arc::new(block)));
}
