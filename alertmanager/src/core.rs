//! The decisions of the alert manager, without clock, threads, sockets or unseeded randomness.
//!
//! Place in the flow: alerts, ticks, new configurations and delivery results → **`step`** → records
//! to fsync, messages to deliver, the time to wake at.
//!
//! The same core runs live, in a backtest and in simulation. What must survive is changed only by
//! applying a [`record::Record`], so that a replay of the log gives the state that wrote it.
//!
//! Invariants (numbers as in the tests):
//! - N1 an alert that fires, is routed and not suppressed at a flush ends in a delivered message of
//!   each integration or in a dead letter that is shown.
//! - N2 when an alert that was told resolves, that is told too (where `send_resolved`).
//! - N3 a message is sent once, plus once per ambiguous outcome and per crash before its `Done`.
//! - N4 per group and integration one message is under way, numbers rise, nothing older follows.
//! - N5 the first look at a group is at its first start plus `group_wait`; later ones are on a grid
//!   that restarts and reloads do not move.
//! - N8 what waits for a receiver that a new configuration no longer has becomes a dead letter.
//!
//! Not here: waiting, files (log), sending (delivery), reading texts (config).

/// What the core asks of the world.
pub mod effect;
/// What happens to the core.
pub mod event;
/// A configuration in the form that decisions need.
pub mod plan;
/// What must survive, in small steps.
pub mod record;
/// Silences and their life.
pub mod silence;
/// What is known now.
pub mod state;
/// The one entry.
pub mod step;
/// What a person may see of the state.
pub mod view;

mod flush;
mod inhibit;
mod intake;
mod outcome;
mod reason;
mod reload;

pub use effect::{Delivery, Effect, HistoryKind, HistoryRow};
pub use event::{Event, Outcome, Report};
pub use plan::Plan;
pub use reason::Reason;
pub use record::Record;
pub use state::State;
pub use step::step;

#[cfg(test)]
mod tests;
