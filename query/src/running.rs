//! The queries that wait or run now: who asked what, since when, and how to end one.
//!
//! Place in the flow: `engine` enters each query here → the API lists them and kills one by number.
//!
//! Invariant: a query is listed exactly as long as its entry lives.
//!
//! Not here: what a query may hold (`ledger`, `pool`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use model::TimestampMs;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::settings::Priority;

/// One query that waits or runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its number in this process.
    pub id: u64,
    /// Its text.
    pub text: String,
    /// First instant, last instant and step; equal instants and 0 for an instant query.
    pub range: (TimestampMs, TimestampMs, i64),
    /// Who asks.
    pub priority: Priority,
    /// What the caller says of itself, such as a dashboard's panel; empty when it says nothing.
    pub origin: String,
    /// How long it has been here.
    pub elapsed_us: u64,
    /// Whether it has a place already.
    pub is_evaluated: bool,
    /// Most samples it held at once so far.
    pub samples_peak: usize,
    /// Most bytes it held at once so far.
    pub bytes_peak: usize,
}

#[derive(Debug)]
struct Listed {
    text: String,
    range: (TimestampMs, TimestampMs, i64),
    priority: Priority,
    origin: String,
    since: Instant,
    ledger: Ledger,
    is_evaluated: AtomicBool,
    is_killed: AtomicBool,
    cancel: CancellationToken,
}

/// All of them.
#[derive(Debug, Default)]
pub struct List {
    next: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<Listed>>>,
}

/// What a query says of itself when it is entered.
#[derive(Debug)]
pub struct Heading {
    /// Its text.
    pub text: String,
    /// First instant, last instant and step.
    pub range: (TimestampMs, TimestampMs, i64),
    /// Who asks.
    pub priority: Priority,
    /// What the caller says of itself.
    pub origin: String,
}

/// The place of one query in the list.
#[derive(Debug)]
pub struct Entry {
    list: Arc<List>,
    id: u64,
    listed: Arc<Listed>,
}

impl List {
    /// Enters a query.
    pub fn enter(
        self: &Arc<List>,
        heading: Heading,
        ledger: Ledger,
        cancel: CancellationToken,
    ) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let Heading { text, range, priority, origin } = heading;
        let listed = Arc::new(Listed {
            text,
            range,
            priority,
            origin,
            since: Instant::now(),
            ledger,
            is_evaluated: AtomicBool::new(false),
            is_killed: AtomicBool::new(false),
            cancel,
        });
        self.lock().insert(id, Arc::clone(&listed));
        Entry { list: Arc::clone(self), id, listed }
    }

    /// How many wait or run.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All queries, the oldest first.
    pub fn all(&self) -> Vec<Running> {
        let running = |(id, listed): (&u64, &Arc<Listed>)| Running {
            id: *id,
            text: listed.text.clone(),
            range: listed.range,
            priority: listed.priority,
            origin: listed.origin.clone(),
            elapsed_us: u64::try_from(listed.since.elapsed().as_micros()).unwrap_or(u64::MAX),
            is_evaluated: listed.is_evaluated.load(Ordering::Relaxed),
            samples_peak: listed.ledger.samples_peak(),
            bytes_peak: listed.ledger.bytes_peak(),
        };
        self.lock().iter().map(running).collect()
    }

    /// Ends a query; `false` when there is none of that number.
    pub fn kill(&self, id: u64) -> bool {
        let Some(listed) = self.lock().get(&id).cloned() else { return false };
        listed.is_killed.store(true, Ordering::Relaxed);
        listed.cancel.cancel();
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Listed>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Tells that it has a place now.
    pub fn set_evaluated(&self) {
        self.listed.is_evaluated.store(true, Ordering::Relaxed);
    }

    /// Whether somebody ended it.
    pub fn is_killed(&self) -> bool {
        self.listed.is_killed.load(Ordering::Relaxed)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.lock().remove(&self.id);
    }
}
