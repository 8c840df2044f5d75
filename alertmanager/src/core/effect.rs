//! What the core asks of the world: the only way out.
//!
//! Place in the flow: [`super::step`] → **effects** → log, delivery, timer, history.
//!
//! Effects of one step are carried out in order: a message goes out after the records before it are
//! fsynced.
//!
//! Not here: doing any of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::TimestampMs;
use serde::{Deserialize, Serialize};

use super::record::{Intent, Record};

/// One wish.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Make these durable, all or none.
    Append(Vec<Record>),
    /// Send this; report the end as an event.
    Deliver(Delivery),
    /// Come back with a tick at this time, or earlier.
    WakeAt(TimestampMs),
    /// Show this to people.
    Publish(HistoryRow),
}

/// One attempt to send one message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What is sent.
    pub intent: Arc<Intent>,
    /// From 1.
    pub attempt: u32,
    /// Recipients that are left out, since they have it or never will.
    pub finished: BTreeSet<String>,
}

/// One line of what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// When.
    pub at_ms: i64,
    /// What.
    pub kind: HistoryKind,
    /// The group's key as people read it.
    pub group: String,
    /// The receiver's name.
    pub receiver: String,
    /// The integration's key, empty for a whole group.
    pub integration: String,
    /// The message's id, empty when there is none.
    pub id: String,
    /// Number of the attempt, 0 when there is none.
    pub attempt: u32,
    /// Alerts that fire in it.
    pub firing: usize,
    /// Alerts that are over in it.
    pub resolved: usize,
    /// Reason, reply or error.
    pub detail: String,
}

/// What a history line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// A message was decided on.
    Decided,
    /// It was delivered.
    Delivered,
    /// An attempt failed and will be repeated.
    Failed,
    /// A newer message took its place before it was sent.
    Superseded,
    /// It was given up, whole or for some recipients.
    DeadLetter,
    /// Alerts were kept quiet at a flush, and by what.
    Suppressed,
}
