//! From an answer to an alert: groups of rules, their evaluation, and the state that survives.
//!
//! Place in the flow: rule files → [`config`] → [`Rules`] asks [`Evaluate`] on the grid of each
//! group → series go to `Append`, alerts to `AlertSink`.
//!
//! Invariants:
//! - What an alert does next is a pure function of the rows, its state and the instant.
//! - A change of an alert's state is on the disk before the alert is sent, so a restart continues
//!   every clock and forgets no alert that somebody was told of.
//! - One failing rule does not stop its group, one slow group does not stop the others.
//!
//! Not here: who is told and how (alertmanager), which knows nothing of rules either.

/// Rule files, read and checked.
pub mod config;
/// Rule files that come with Belfry.
pub mod packs;
/// What can go wrong, by what the caller does next.
pub mod error;
/// The door to the query engine.
pub mod evaluate;
/// When a group is evaluated.
pub mod schedule;
/// Rows to the series of a recording rule.
mod recording;
/// Templates of alerting rules.
mod expand;
/// Rows to alerts: the state machine.
pub mod alerting;
/// Alert state that survives a restart.
mod state;
/// A rule while it runs.
mod rule;
/// One group's evaluation.
mod group;
/// What the API shows.
pub mod status;
/// All groups: open, start, reload, stop.
mod rules;

pub use config::{GroupConfig, RuleConfig, RuleKind};
pub use error::Error;
pub use evaluate::{Evaluate, Row};
pub use rules::{Parts, Rules, Settings};
pub use status::{AlertStatus, AlertingStatus, GroupStatus, Health, RuleStatus, Stats};
