//! From an alert to a person: intake, route, group, stages, delivery.
//!
//! Place in the flow: rules → [`model::AlertSink`] → **alertmanager** → a mailbox or a webhook.
//!
//! A sans-IO core decides; drivers around it keep its records, wait, and send. What is to be sent is
//! fsynced before it is sent, so that no crash loses a message and none is sent more often than the
//! core's invariants say.
//!
//! Not here: the HTTP API and its filters (dashboards), the only HTTP dialler (collector).

/// The configuration file.
pub mod config;
/// The decisions.
pub mod core;
/// Tasks that run attempts.
mod delivery;
/// What can go wrong.
pub mod error;
/// Durable state.
mod log;
/// The whole, as the rest of the house sees it.
mod manager;
/// Matchers as text.
pub mod matchers;
/// What a message shows.
mod message;
/// Webhook and e-mail.
mod receiver;
/// Passwords and tokens.
pub mod secret;
/// Counters and the recent past.
pub mod stats;
/// Default texts and template files.
mod texts;

pub use error::Error;
pub use manager::{Alertmanager, Parts};
pub use stats::Stats;
