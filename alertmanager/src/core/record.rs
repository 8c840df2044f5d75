//! What must survive, in small steps: each change of durable state is one of these.
//!
//! Place in the flow: [`super::step`] makes and applies **records** → log → after a restart they are
//! applied again.
//!
//! Not here: bytes and fsync (log), the state they change (`state`).

use std::collections::BTreeSet;

use model::Labels;
use serde::{Deserialize, Serialize};

use super::reason::Reason;
use super::silence::Silence;
use super::state::Durable;

/// An alert as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAlert {
    /// Who it is.
    #[serde(with = "as_pairs")]
    pub labels: Labels,
    /// What people read.
    #[serde(with = "as_pairs")]
    pub annotations: Labels,
    /// Since when.
    pub starts_at_ms: i64,
    /// Until when; in the future while it fires.
    pub ends_at_ms: i64,
    /// When it was last heard of.
    pub updated_at_ms: i64,
    /// The end was not told but taken from `resolve_timeout`.
    pub timeout: bool,
    /// Link to the expression.
    pub generator_url: String,
}

impl StoredAlert {
    /// The field's fingerprint.
    pub fn fingerprint(&self) -> u64 {
        model::alert::fingerprint(&self.labels)
    }

    /// Whether it is over.
    pub fn is_resolved_at(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }
}

/// A message that was decided on: everything needed to send it, now or after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The same for every attempt: Message-ID and Idempotency-Key.
    pub id: String,
    /// Rises over all messages.
    pub seq: u64,
    /// The group's id.
    pub group: String,
    /// The group's key as receivers see it.
    pub group_key: String,
    /// The route it was decided on.
    pub route: String,
    /// The group's labels.
    #[serde(with = "as_pairs")]
    pub group_labels: Labels,
    /// The receiver's name.
    pub receiver: String,
    /// The integration's key.
    pub integration: String,
    /// Why it is sent.
    pub reason: Reason,
    /// When it was decided.
    pub created_at_ms: i64,
    /// Fingerprints that fire (also those that the message leaves out).
    pub firing: BTreeSet<u64>,
    /// Fingerprints that are over (also those that the message leaves out).
    pub resolved: BTreeSet<u64>,
    /// What the message shows, in its order.
    pub alerts: Vec<StoredAlert>,
}

/// One durable change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Alerts are new or changed.
    AlertUpsert(Vec<StoredAlert>),
    /// Known alerts live on: fingerprint, end, last heard of, end by time-out.
    AlertExtended(Vec<(u64, i64, i64, bool)>),
    /// Alerts are over and told.
    AlertRemoved(Vec<u64>),
    /// Alerts joined a group, which may be new.
    Joined(Joined),
    /// Alerts left a group.
    Left {
        /// The group's id.
        group: String,
        /// Fingerprints.
        members: Vec<u64>,
    },
    /// No route leads to the group any more; only ends are told from it.
    Parting {
        /// The group's id.
        group: String,
    },
    /// The next look at a group.
    GroupTimer {
        /// The group's id.
        group: String,
        /// When.
        next_flush_ms: i64,
    },
    /// A group is empty and gone.
    GroupRemoved {
        /// The group's id.
        group: String,
    },
    /// A message was decided on.
    Intent {
        /// The message.
        intent: Intent,
        /// Since when its lane has something undelivered.
        since_ms: i64,
        /// Attempts made for what it supersedes, so that the back-off goes on.
        attempts: u32,
        /// Not before.
        next_attempt_ms: i64,
    },
    /// An attempt failed.
    Attempt {
        /// Group, integration and number of the message.
        message: MessageRef,
        /// Attempts so far.
        attempts: u32,
        /// The outcome's name.
        outcome: String,
        /// Not before.
        next_attempt_ms: i64,
        /// Recipients that need nothing more.
        finished: Vec<String>,
    },
    /// A message was delivered.
    Done {
        /// Which.
        message: MessageRef,
        /// When.
        at_ms: i64,
        /// What the other side said.
        reply: String,
    },
    /// A state that needs no message counts as told.
    Settled {
        /// The group's id.
        group: String,
        /// The integration's key.
        integration: String,
        /// When.
        at_ms: i64,
        /// Fingerprints that are over.
        resolved: BTreeSet<u64>,
    },
    /// A message was never sent, since a newer one took its place.
    Superseded {
        /// The older.
        message: MessageRef,
        /// The newer one's number.
        by_seq: u64,
    },
    /// A message was given up.
    DeadLetter {
        /// Which.
        message: MessageRef,
        /// When.
        at_ms: i64,
        /// Why.
        reason: String,
        /// Only these recipients; empty means the whole message.
        recipients: Vec<String>,
    },
    /// A silence as it is from now on.
    SilenceSet(Silence),
    /// A silence was forgotten.
    SilenceRemoved(String),
    /// A configuration took over.
    ConfigEpoch {
        /// Rises with each.
        epoch: u64,
        /// When.
        at_ms: i64,
    },
    /// Everything at once; what came before is no longer needed.
    Snapshot(Box<Durable>),
}

/// Alerts that joined a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The group's id.
    pub group: String,
    /// The route's id.
    pub route: String,
    /// The group's key as receivers see it.
    pub key: String,
    /// The group's labels.
    #[serde(with = "as_pairs")]
    pub labels: Labels,
    /// The receiver's name.
    pub receiver: String,
    /// The next look at the group.
    pub next_flush_ms: i64,
    /// Fingerprints.
    pub members: Vec<u64>,
}

/// Names one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRef {
    /// The group's id.
    pub group: String,
    /// The integration's key.
    pub integration: String,
    /// Its number.
    pub seq: u64,
}

impl Intent {
    /// The message's name.
    pub fn message(&self) -> MessageRef {
        MessageRef {
            group: self.group.clone(),
            integration: self.integration.clone(),
            seq: self.seq,
        }
    }
}

/// Label sets as lists of pairs.
pub(crate) mod as_pairs {
    use model::Labels;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(labels: &Labels, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(labels.iter())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Labels, D::Error> {
        Ok(Labels::from_pairs(Vec::<(String, String)>::deserialize(input)?))
    }
}
