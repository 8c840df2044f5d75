//! Figures about the store, for its own metrics and the status page.
//!
//! Place in the flow: [`crate::Store::stats`] → **`Stats`** → telemetry, HTTP status.
//!
//! Not here: the counting itself (`store`).

use std::collections::BTreeMap;

use model::TimestampMs;
use model::append::RefusedReason;

use crate::limits::RefusedSeries;

/// A block that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockStatus {
    /// Its name.
    pub id: String,
    /// How often its samples were merged.
    pub level: u32,
    /// Its first instant.
    pub min_ms: i64,
    /// Its last instant.
    pub max_ms: i64,
    /// Its samples.
    pub samples: u64,
    /// Its series.
    pub series: u64,
    /// Deletions that are not carried out in it yet.
    pub tombstones: u64,
    /// Its length on disk.
    pub size_bytes: u64,
}

/// A picture of the store at one instant.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Series the store knows.
    pub series: u64,
    /// Series that have samples in memory.
    pub series_active: u64,
    /// Series that have had no sample for long: they do not count against limits.
    pub series_ended: u64,
    /// Memory that knowing them takes: numbers, labels, and the index over them.
    pub registry_bytes: u64,
    /// The part of it that the index takes: label texts, and which series carry them.
    pub index_bytes: u64,
    /// Samples that are not in a block yet.
    pub samples_in_memtable: u64,
    /// Native histograms that are not in a block yet.
    pub histograms_in_memory: u64,
    /// Exemplars in memory.
    pub exemplars: u64,
    /// Memory of samples and histograms that are not in a block yet.
    pub memtable_bytes: u64,
    /// Batches waiting for the committer, in bytes.
    pub queue_bytes: u64,
    /// Blocks that serve.
    pub blocks: u64,
    /// Their size on disk.
    pub block_bytes: u64,
    /// Samples in them.
    pub block_samples: u64,
    /// Size of the journal on disk.
    pub journal_bytes: u64,
    /// The oldest sample stored, in memory or a block.
    pub oldest_ms: Option<TimestampMs>,
    /// The newest sample stored.
    pub newest_ms: Option<TimestampMs>,
    /// Samples accepted since the start.
    pub samples_accepted_count: u64,
    /// Native histograms accepted since the start.
    pub histograms_accepted_count: u64,
    /// Exemplars accepted since the start.
    pub exemplars_accepted_count: u64,
    /// Groups of batches made durable together since the start.
    pub commits_count: u64,
    /// Series created since the start.
    pub series_created_count: u64,
    /// Samples refused since the start, by reason.
    pub refused: BTreeMap<RefusedReason, u64>,
    /// Who brought new series beyond a limit since the start, the worst first; ten at most.
    pub series_refused: Vec<RefusedSeries>,
    /// Blocks written since the start.
    pub blocks_written_count: u64,
    /// Flushes that failed since the start.
    pub flush_failures_count: u64,
    /// Blocks that serve, by how often their samples were merged.
    pub blocks_by_level: BTreeMap<u32, u64>,
    /// Rounds of upkeep (what is too old goes, what is due is merged) since the start; the first one
    /// comes right after the start, when there is nothing to do too.
    pub upkeeps_count: u64,
    /// Merges of blocks since the start, rewritings for deletions included.
    pub compactions_count: u64,
    /// Bytes those wrote.
    pub compacted_bytes: u64,
    /// Merges and retentions that failed since the start.
    pub compaction_failures_count: u64,
    /// Blocks dropped because of their age since the start.
    pub blocks_dropped_by_age_count: u64,
    /// Blocks dropped because of the space they took since the start.
    pub blocks_dropped_by_size_count: u64,
    /// Deletions that are not carried out everywhere yet.
    pub tombstones: u64,
    /// What the flusher could not do last, and why.
    pub upkeep_failure: Option<String>,
    /// Why appends are unavailable now, if they are.
    pub unavailable: Option<String>,
    /// What was found damaged and set aside: file and what is wrong with it.
    pub damaged: Vec<String>,
}
