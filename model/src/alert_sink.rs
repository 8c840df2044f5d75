//! Hinge: alerts go to the alert manager and are durable when the call returns.
//!
//! Place in the flow: rules → **`AlertSink::send`** → alertmanager. The rules know this trait and
//! not the alert manager; the binary's wiring joins them.

use crate::BoxFuture;
use crate::alert::Alert;

/// Takes alerts.
pub trait AlertSink: Send + Sync + 'static {
    /// Hands over alerts, firing and resolved. `Ok` means that they are fsynced on the other side.
    fn send(&self, alerts: Vec<Alert>) -> BoxFuture<'_, Result<(), AlertSinkError>>;
}

/// Why alerts were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlertSinkError {
    /// Some alerts are wrong (no labels, end before start). Those are dropped, the others stored.
    #[error("invalid alerts: {reason}")]
    Invalid {
        /// Which and why.
        reason: String,
    },
    /// The alert manager can't take alerts now. Send them again at the next evaluation.
    #[error("the alert manager takes no alerts for now: {reason}")]
    Unavailable {
        /// What the operator must know.
        reason: String,
    },
}
