//! What an operator sees: the state of each target, and the counters of the room.
//!
//! Place in the flow: the loops write here after each scrape; dashboards and self-metrics read.
//!
//! Not here: the series `up` and its siblings (`report`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::append::Column;
use model::{Appended, Labels, TimestampMs};

use crate::relabel::Rule;

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

/// Targets of a pool that relabelling dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub count: u64,
    /// The first of them, as they were before relabelling.
    pub labels: Vec<Labels>,
}

/// What a relabelling rule makes of a label set.
#[derive(Debug, Clone, PartialEq)]
pub struct RelabelStep {
    /// The rule.
    pub rule: Rule,
    /// The labels after it; none when it drops them.
    pub output: Labels,
    /// Whether it keeps them.
    pub keep: bool,
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
    /// Samples of a series that was on the same page already; the first one counts.
    pub samples_duplicate: u64,
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

/// The counters while they count, and which refusals were told already.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    stats: Mutex<Stats>, // Held for single additions.
    told: Mutex<BTreeMap<(String, &'static str), u64>>,
}

/// A refusal is told at the first time and then at each this many-th.
const TELL_EACH: u64 = 1000;
/// Most target and reason pairs of which that is remembered.
const TOLD_MAX: usize = 10_000;

impl Counters {
    /// Changes the counters.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The counters now.
    pub(crate) fn now(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts what became of a batch, and tells an operator what was refused.
    pub(crate) fn note_appended(&self, target: &str, appended: &Appended) {
        let mut refused: BTreeMap<_, u64> = BTreeMap::new();
        // An exemplar that comes late is no sample that is missing.
        for one in appended.refused.iter().filter(|one| one.column != Column::Exemplars) {
            *refused.entry(one.reason).or_default() += 1;
        }
        self.with(|stats| {
            stats.samples_accepted += appended.accepted;
            for (reason, count) in &refused {
                *stats.samples_refused.entry(reason.as_str()).or_default() += count;
            }
        });
        for (reason, samples) in refused {
            if self.is_to_be_told(target, reason.as_str()) {
                let reason = reason.message();
                tracing::warn!(target_name = target, samples, reason, "the store refused samples");
            }
        }
    }

    fn is_to_be_told(&self, target: &str, reason: &'static str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_MAX {
            told.clear();
        }
        let times = told.entry((target.to_owned(), reason)).or_default();
        *times += 1;
        *times % TELL_EACH == 1
    }
}
