//! Blocks that nobody asks for are read again once a day, so that damage is found while it can be mended.
//!
//! Place in the flow: the flusher, between its other work → **scrub** → `block::mend`, and upkeep writes
//! what was mended anew.
//!
//! It reads a little at a time, so much that all blocks are through in a day, and compares every 4 KiB
//! with the checksum that the guard file has of it.
//!
//! Invariant: a step reads at most [`STEP_BYTES_MAX`] and the guard file of one block.
//!
//! Not here: damage that a reader meets (`block::reader`), how it is mended (`block::guard`).

use std::sync::Arc;

use crate::beside::file::{EXEMPLARS_FILE, HISTOGRAMS_FILE, STARTS_FILE};
use crate::block::Block;
use crate::block::meta::{SAMPLES_FILE, SERIES_FILE};
use crate::shared::Shared;

/// All blocks are read in this time.
const ROUND_MS: i64 = 24 * 3_600_000;
/// What is read at a time, unless the file ends.
const PIECE_BYTES: u64 = 16 << 20;
/// Pieces of one step at most: a slow disk serves others too.
const PIECES_MAX: usize = 2;
const STEP_BYTES_MAX: u64 = PIECES_MAX as u64 * PIECE_BYTES;
/// The files that a guard knows.
const FILES: [&str; 5] = [SAMPLES_FILE, SERIES_FILE, HISTOGRAMS_FILE, STARTS_FILE, EXEMPLARS_FILE];

/// Where the reading stands.
#[derive(Debug, Default)]
pub struct Scrub {
    /// The block that is read, or after which the next one comes.
    block_id: String,
    /// The place in `FILES`.
    file: usize,
    offset: u64,
    /// What should have been read by now and was not.
    owed: u128, // In bytes times milliseconds of a round.
    last_ms: Option<i64>,
}

impl Scrub {
    /// Reads what is due. Answers how much that was.
    pub fn step(&mut self, shared: &Shared) -> u64 {
        let blocks = shared.blocks();
        let all_bytes: u64 = blocks.iter().map(|block| block.meta().size_bytes()).sum();
        let now_ms = shared.clock.now().0;
        // Whatever the clock does, a step stays a step.
        let gone_ms = (now_ms - self.last_ms.replace(now_ms).unwrap_or(now_ms)).clamp(0, ROUND_MS);
        let cost = |bytes: u64| u128::from(bytes) * u128::from(ROUND_MS.unsigned_abs());
        let due = u128::from(all_bytes) * u128::from(gone_ms.unsigned_abs());
        self.owed = (self.owed + due).min(cost(all_bytes));
        let mut read_bytes = 0;
        // Every block has samples, so that something is found among its files.
        for _ in 0..FILES.len() * (blocks.len() + PIECES_MAX) {
            let Some(block) = self.block(&blocks) else { break };
            let name = FILES[self.file];
            let size_bytes = block.meta().file(name).map_or(0, |file| file.size_bytes);
            let end = size_bytes.min(self.offset.saturating_add(PIECE_BYTES));
            let piece_bytes = end.saturating_sub(self.offset);
            if cost(piece_bytes) > self.owed || read_bytes + piece_bytes > STEP_BYTES_MAX {
                break;
            }
            if piece_bytes > 0 && !block.is_set_aside() {
                block.look_after(name, self.offset..end);
            }
            read_bytes += piece_bytes;
            self.owed -= cost(piece_bytes);
            self.offset = end;
            if end >= size_bytes {
                (self.file, self.offset) = (self.file + 1, 0);
            }
        }
        read_bytes
    }

    /// The block that is read now: by name, since others come and go meanwhile.
    fn block<'b>(&mut self, blocks: &'b [Arc<Block>]) -> Option<&'b Arc<Block>> {
        let id = |block: &&Arc<Block>| block.meta().block_id.clone();
        let same = blocks.iter().find(|block| block.meta().block_id == self.block_id);
        if let Some(same) = same.filter(|_| self.file < FILES.len()) {
            return Some(same);
        }
        (self.file, self.offset) = (0, 0);
        let later = blocks.iter().filter(|block| block.meta().block_id > self.block_id);
        let next = later.min_by_key(id).or_else(|| blocks.iter().min_by_key(id))?;
        self.block_id.clone_from(&next.meta().block_id);
        Some(next)
    }
}

#[cfg(test)]
mod tests;
