//! What an operator sees: the state of each target, and the counters of the room.
//!
//! Place in the flow: the loops write here after each scrape; dashboards and self-metrics read.
//!
//! Not here: the series `up` and its siblings (`report`).

use std::collections::BTreeMap;

use model::{Labels, TimestampMs};

/// How a target did at its last scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// Not scraped yet.
    Unknown,
    /// The last scrape was committed.
    Up,
    /// The last scrape failed.
    Down,
}

impl Health {
    /// The word of the targets API.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// One target as the targets API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStatus {
    /// The `job` label after relabelling.
    pub job: String,
    /// The `instance` label after relabelling.
    pub instance: String,
    /// Where it is scraped; `internal://…` for an exporter inside the process.
    pub scrape_url: String,
    /// The labels that every series of the target gets.
    pub labels: Labels,
    /// The labels before relabelling.
    pub discovered_labels: Labels,
    /// How the last scrape went.
    pub health: Health,
    /// Why the last scrape failed; empty when it did not.
    pub last_error: String,
    /// When the last scrape began.
    pub last_scrape: Option<TimestampMs>,
    /// How long the last scrape took.
    pub duration_ms: f64,
    /// How often it is scraped.
    pub interval_ms: u64,
    /// The deadline of one scrape.
    pub timeout_ms: u64,
    /// Samples of the last scrape, before metric relabelling.
    pub samples: u64,
    /// The job's name in the configuration.
    pub pool: String,
}

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Targets that are scraped now.
    pub targets: u64,
    /// Targets that target relabelling dropped.
    pub targets_dropped: u64,
    /// Scrapes that ended with a page.
    pub scrapes_ok: u64,
    /// Scrapes that failed, by reason.
    pub scrapes_failed: BTreeMap<&'static str, u64>,
    /// Samples that the store took.
    pub samples_accepted: u64,
    /// Samples that the store refused, by reason.
    pub samples_refused: BTreeMap<&'static str, u64>,
    /// Times the store was not able to take a batch.
    pub appends_unavailable: u64,
    /// Batches that wait for the store.
    pub batches_waiting: u64,
    /// Bytes of the batches that wait for the store.
    pub waiting_bytes: u64,
    /// Batches that were given up because the waiting room was full.
    pub batches_dropped: u64,
    /// Samples of those batches.
    pub samples_dropped: u64,
}
