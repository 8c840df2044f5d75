//! A place among the queries that run.
//!
//! Place in the flow: `engine` gives it when a query is admitted → PromQL's evaluation or SQL's
//! stream holds it until it has ended.
//!
//! Invariants: its place, its line in the list and its memory are given back when it is dropped, and
//! whatever still works for it is told to end.
//!
//! Not here: who gets one (`engine`).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::engine::or_killed;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::running::{Entry, Failure};
use crate::value::Stats;

/// The place of one query.
#[derive(Debug)]
pub struct Seat {
    entry: Entry,
    ledger: Ledger,
    cancel: CancellationToken,
    deadline: Instant,
    queue_us: u64,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    pub(crate) fn new(
        entry: Entry,
        permit: OwnedSemaphorePermit,
        (ledger, cancel, deadline): (Ledger, CancellationToken, Instant),
        queue_us: u64,
    ) -> Seat {
        Seat { entry, ledger, cancel, deadline, queue_us, _permit: permit }
    }

    /// Its account.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Told when the query shall end.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// When the query must be done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How long it waited.
    pub fn queue_us(&self) -> u64 {
        self.queue_us
    }

    /// Set as soon as an operator ends it.
    pub(crate) fn killed(&self) -> Arc<AtomicBool> {
        self.entry.killed()
    }

    /// A query that an operator ended says so, rather than that its caller went away.
    pub fn or_killed(&self, error: Error) -> Error {
        or_killed(error, &self.entry.killed())
    }

    /// What the log is told when the query ends.
    pub fn set_outcome(&mut self, stats: Stats, failure: Option<Failure>) {
        self.entry.set_outcome(stats, failure);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
