//! What happens to the core: the only way in.
//!
//! Place in the flow: intake, timer, configuration and delivery → **event** → [`super::step`].
//!
//! Not here: what follows from it.

use std::sync::Arc;

use model::Alert;

use super::plan::Plan;
use super::silence::Silence;

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// Alerts came in. Invalid ones were sorted out before ([`super::step::check_alert`]).
    AlertBatch(Vec<Alert>),
    /// Time passed.
    Tick,
    /// A checked configuration takes over.
    ConfigLoaded(Arc<Plan>),
    /// An attempt ended.
    DeliveryResult {
        /// The group's id.
        group: String,
        /// The integration's key.
        integration: String,
        /// Which message.
        seq: u64,
        /// How it went.
        report: Report,
    },
    /// A silence was made or changed; checked before.
    SilencePut(Silence),
    /// A silence ends now.
    SilenceExpire(String),
}

/// How one attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The class of the end.
    pub outcome: Outcome,
    /// What the other side said, or what went wrong.
    pub detail: String,
    /// Recipients that need nothing more, since they have the message.
    pub accepted: Vec<String>,
    /// Recipients that will never take it, each with the reason.
    pub refused: Vec<(String, String)>,
    /// The other side's wish for the next attempt.
    pub retry_after_ms: Option<u64>,
}

impl Report {
    /// A report without recipients.
    pub fn plain(outcome: Outcome, detail: impl Into<String>) -> Report {
        Report {
            outcome,
            detail: detail.into(),
            accepted: Vec::new(),
            refused: Vec::new(),
            retry_after_ms: None,
        }
    }
}

/// The classes of ends, by what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// It has not and may take it later: back off.
    Transient,
    /// It may have it: try again under the same id.
    Ambiguous,
    /// It will not until somebody mends a setting: try each five minutes and on reload.
    Config,
    /// It will never take this message: dead letter.
    Rejected,
}

impl Outcome {
    /// The name in history and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Transient => "transient",
            Outcome::Ambiguous => "ambiguous",
            Outcome::Config => "config",
            Outcome::Rejected => "rejected",
        }
    }
}
