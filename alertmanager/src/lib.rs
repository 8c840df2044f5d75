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
/// Matchers as text.
pub mod matchers;
/// Passwords and tokens.
pub mod secret;
/// The decisions.
pub mod core;
/// What can go wrong.
pub mod error;

mod log;

pub use error::Error;
