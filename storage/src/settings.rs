//! Limits and ranges of the store that an operator may set.
//!
//! Place in the flow: the binary's configuration → **`Settings`** → [`crate::Store::open`].
//!
//! Not here: reading them from a file (belfry), limits that hold in every room (`model::limits`).

use crate::Error;

/// Data that an operator writes; `Default` is right for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Memory that samples not yet in blocks may take. A flush starts at three quarters of it;
    /// beyond it appends are answered with "unavailable".
    pub memtable_bytes_max: u64,
    /// How much time one block holds; blocks begin at multiples of it.
    pub block_range_ms: i64,
    /// How long after its end a range stays in memory for stragglers before it is flushed.
    pub flush_margin_ms: i64,
    /// How much older than the newest sample of its series a sample may be; 0 takes only newer ones.
    pub out_of_order_window_ms: i64,
    /// Memory that batches waiting for the committer may take; further ones wait.
    pub queue_bytes_max: u64,
    /// Series at most that have not ended; samples of further ones are refused. Four times as many
    /// may be known, most of which ended.
    pub series_max: u64,
    /// Series of one job at most; 0: no limit.
    pub series_per_job_max: u64,
    /// Series of one target (one job and one instance) at most; 0: no limit.
    pub series_per_target_max: u64,
    /// Exemplars that are kept, of all series together; 0 takes none.
    pub exemplars_max: u64,
    /// Journal size that starts a flush, so that a restart stays short.
    pub journal_bytes_max: u64,
    /// Memory for footers and indexes of blocks.
    pub cache_bytes_max: u64,
    /// Space on the disk that is set aside at most once there are blocks, and given away when the
    /// disk is full, so that a flush and the manifest still can be written; 0 for none. It is half the
    /// journal, and at least 256 KiB.
    pub reserve_bytes: u64,
    /// How far before the newest data (and the clock) a block may end and still be kept; 0: for ever.
    pub retention_ms: i64,
    /// Space for blocks, journal, series log and what is being written; the oldest blocks go; 0: no
    /// limit.
    pub retention_bytes_max: u64,
    /// How long a deletion can be taken back before a merge carries it out.
    pub deletion_undo_ms: i64,
    /// Whether a thread flushes, merges and drops what is too old. Off for who only reads: then nothing
    /// but a new journal segment is written.
    pub upkeep: bool,
    /// Makes block names differ between nodes; the same seed gives the same names.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            memtable_bytes_max: 1024 * MIB,
            block_range_ms: 2 * HOUR_MS,
            flush_margin_ms: HOUR_MS / 2,
            out_of_order_window_ms: HOUR_MS,
            queue_bytes_max: 64 * MIB,
            series_max: 5_000_000,
            series_per_job_max: 0,
            series_per_target_max: 0,
            exemplars_max: 100_000,
            journal_bytes_max: 2048 * MIB,
            cache_bytes_max: 256 * MIB,
            reserve_bytes: 8 * MIB,
            retention_ms: 15 * DAY_MS,
            retention_bytes_max: 0,
            deletion_undo_ms: DAY_MS,
            upkeep: true,
            seed: 0,
        }
    }
}

const MIB: u64 = 1024 * 1024;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

impl Settings {
    /// Says what can't work. Touches nothing.
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |field, problem: &str| Err(Error::Setting { field, problem: problem.into() });
        if self.memtable_bytes_max < MIB / 16 {
            return wrong("memtable_bytes_max", "must be at least 65536 bytes");
        }
        if self.block_range_ms < 60_000 {
            return wrong("block_range_ms", "must be at least 60000 (a minute)");
        }
        if self.flush_margin_ms < 0 {
            return wrong("flush_margin_ms", "must not be negative");
        }
        if self.out_of_order_window_ms < 0 {
            return wrong("out_of_order_window_ms", "must not be negative");
        }
        if self.retention_ms < 0 {
            return wrong("retention_ms", "must be 0 (for ever) or more");
        }
        if self.deletion_undo_ms < 0 {
            return wrong("deletion_undo_ms", "must not be negative");
        }
        if self.queue_bytes_max < 4096 || self.queue_bytes_max > u64::from(u32::MAX) {
            return wrong("queue_bytes_max", "must be 4096 to 4294967295 bytes");
        }
        if self.series_max == 0 || self.series_max > u64::from(u32::MAX / 2) {
            return wrong("series_max", "must be 1 to 2147483647");
        }
        Ok(())
    }
}
