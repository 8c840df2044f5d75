//! What the API shows of rules: snapshots, never live state.
//!
//! Place in the flow: each evaluation leaves its **`RuleStatus`**; `/api/v1/rules` and
//! `/api/v1/alerts` read them, and the server's own metrics read [`Stats`].
//!
//! Not here: JSON (dashboards).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Labels, TimestampMs};

use crate::alerting::State;

/// How the last evaluation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// Without an error.
    Ok,
    /// With an error.
    Err,
}

impl Health {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Ok => "ok",
            Health::Err => "err",
        }
    }
}

/// A group.
#[derive(Debug, Clone)]
pub struct GroupStatus {
    /// The file as the operator named it.
    pub file: String,
    /// The group's name.
    pub name: String,
    /// How often it is evaluated.
    pub interval_ms: u64,
    /// Most series or alerts of one rule; 0 is no limit.
    pub limit: u64,
    /// How far in the past its rules look.
    pub query_offset_ms: u64,
    /// The instant of the last evaluation.
    pub last_evaluation: Option<TimestampMs>,
    /// How long it took.
    pub evaluation_us: u64,
    /// Evaluations that were due.
    pub iterations: u64,
    /// Those that were skipped because the one before was not over.
    pub iterations_missed: u64,
    /// Its rules in order.
    pub rules: Vec<Arc<RuleStatus>>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct RuleStatus {
    /// The name of the series or of the alert.
    pub name: String,
    /// The expression as Belfry prints it.
    pub expression: String,
    /// Labels that the rule adds.
    pub labels: Labels,
    /// How the last evaluation went.
    pub health: Health,
    /// The last evaluation's error; empty when it had none.
    pub last_error: String,
    /// The instant of the last evaluation.
    pub last_evaluation: Option<TimestampMs>,
    /// How long it took.
    pub evaluation_us: u64,
    /// Present for alerting rules.
    pub alerting: Option<AlertingStatus>,
}

/// What only alerting rules have.
#[derive(Debug, Clone)]
pub struct AlertingStatus {
    /// How long the condition holds before an alert fires.
    pub for_ms: u64,
    /// How long an alert keeps firing without a row.
    pub keep_firing_for_ms: u64,
    /// Templates of the annotations.
    pub annotations: Labels,
    /// The highest state of its alerts; resolved when it has none.
    pub state: State,
    /// Pending and firing alerts, in order of their labels.
    pub alerts: Vec<AlertStatus>,
}

/// A pending or firing alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertStatus {
    /// Who it is.
    pub labels: Labels,
    /// What a person reads.
    pub annotations: Labels,
    /// Pending or firing.
    pub state: State,
    /// Since when the condition holds.
    pub active_at: TimestampMs,
    /// Since when it fires.
    pub fired_at: Option<TimestampMs>,
    /// Since when it fires without a row.
    pub keep_firing_since: Option<TimestampMs>,
    /// The row's value.
    pub value: f64,
}

/// Counters since open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Rules evaluated.
    pub evaluations: u64,
    /// Those that ended with an error.
    pub evaluation_failures: u64,
    /// Evaluations of groups that were due.
    pub iterations: u64,
    /// Those that were skipped.
    pub iterations_missed: u64,
    /// Samples the store took.
    pub samples_written: u64,
    /// Samples the store refused.
    pub samples_refused: u64,
    /// Alerts handed over, repetitions included.
    pub alerts_sent: u64,
    /// Alerts that were not taken and are tried again.
    pub alerts_failed: u64,
    /// Writes of the alert state that failed and are tried again.
    pub state_failures: u64,
    /// Bytes of the alert state's log.
    pub state_bytes: u64,
}

/// The counters while they count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) evaluations: AtomicU64,
    pub(crate) evaluation_failures: AtomicU64,
    pub(crate) iterations: AtomicU64,
    pub(crate) iterations_missed: AtomicU64,
    pub(crate) samples_written: AtomicU64,
    pub(crate) samples_refused: AtomicU64,
    pub(crate) alerts_sent: AtomicU64,
    pub(crate) alerts_failed: AtomicU64,
    pub(crate) state_failures: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn read(&self, state_bytes: u64) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            evaluations: of(&self.evaluations),
            evaluation_failures: of(&self.evaluation_failures),
            iterations: of(&self.iterations),
            iterations_missed: of(&self.iterations_missed),
            samples_written: of(&self.samples_written),
            samples_refused: of(&self.samples_refused),
            alerts_sent: of(&self.alerts_sent),
            alerts_failed: of(&self.alerts_failed),
            state_failures: of(&self.state_failures),
            state_bytes,
        }
    }
}
