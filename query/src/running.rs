//! The queries that wait or run now: who asked what, since when, and how to end one.
//!
//! Place in the flow: `engine` enters each query here → the API lists them and kills one by number.
//!
//! Whoever observes the engine is told of each query when it leaves the list.
//!
//! Invariant: a query is listed exactly as long as its entry lives.
//!
//! Not here: what a query may hold (`ledger`, `pool`), where the log is written (belfry).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use model::TimestampMs;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::ledger::Ledger;
use crate::settings::Priority;
use crate::value::Stats;

/// One query that waits or runs.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its number in this process.
    pub id: u64,
    /// Its text.
    pub text: String,
    /// The language it is written in.
    pub language: Language,
    /// First instant, last instant and step; equal instants and 0 for an instant query.
    pub range: (TimestampMs, TimestampMs, i64),
    /// Who asks.
    pub priority: Priority,
    /// What the caller says of itself, such as a dashboard's panel; empty when it says nothing.
    pub origin: String,
    /// The user's name; empty when it is not known.
    pub user: String,
    /// How long it has been here.
    pub elapsed_us: u64,
    /// Whether it has a place already.
    pub is_evaluated: bool,
    /// Most samples it held at once so far.
    pub samples_peak: usize,
    /// Most bytes it held at once so far.
    pub bytes_peak: usize,
}

/// What a query is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// PromQL.
    #[default]
    PromQl,
    /// SQL.
    Sql,
}

impl Language {
    /// Its name in lists and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::PromQl => "promql",
            Language::Sql => "sql",
        }
    }
}

/// A query that has left the list.
#[derive(Debug)]
pub struct Finished {
    /// What it was, and how long it was there.
    pub query: Running,
    /// What it cost; the phases that it did not reach are 0.
    pub stats: Stats,
    /// Why there is no answer.
    pub failure: Option<Failure>,
}

/// Why a query gave no answer, for logs and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In one word.
    pub kind: FailureKind,
    /// In the words that the caller was told.
    pub text: String,
}

/// The ways that a query ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The question can't be answered, or the store could not be read.
    Error,
    /// Its deadline passed.
    Timeout,
    /// Its caller went away.
    Cancelled,
    /// An operator ended it.
    Killed,
    /// It met a limit: of samples, series or memory, or of queries that wait.
    Refused,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [FailureKind; 5] = [
        FailureKind::Error,
        FailureKind::Timeout,
        FailureKind::Cancelled,
        FailureKind::Killed,
        FailureKind::Refused,
    ];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Error => "error",
            FailureKind::Timeout => "timeout",
            FailureKind::Cancelled => "cancelled",
            FailureKind::Killed => "killed",
            FailureKind::Refused => "refused",
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        let kind = match error {
            Error::Parse { .. } | Error::Execution(_) | Error::Storage(_) => FailureKind::Error,
            Error::TimedOut { .. } => FailureKind::Timeout,
            Error::Cancelled { .. } => FailureKind::Cancelled,
            Error::Killed => FailureKind::Killed,
            Error::TooManySamples { .. }
            | Error::OverBudget { .. }
            | Error::TooLarge { .. }
            | Error::TooManySeries { .. }
            | Error::Busy { .. } => FailureKind::Refused,
        };
        Failure { kind, text: error.to_string() }
    }
}

/// Is told of each query that ends. Called on the thread that ends the query, so it must be quick.
pub trait Observer: Send + Sync + 'static {
    /// A query has ended.
    fn finished(&self, finished: &Finished);
}

#[derive(Debug)]
struct Listed {
    heading: Heading,
    since: Instant,
    ledger: Ledger,
    is_evaluated: AtomicBool,
    is_killed: Arc<AtomicBool>,
    cancel: CancellationToken,
}

/// All of them.
#[derive(Default)]
pub struct List {
    next: AtomicU64,
    entries: Mutex<BTreeMap<u64, Arc<Listed>>>,
    observers: OnceLock<Vec<Arc<dyn Observer>>>,
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("entries", &self.lock().len()).finish_non_exhaustive()
    }
}

/// What a query says of itself when it is entered.
#[derive(Debug, Clone)]
pub struct Heading {
    /// Its text.
    pub text: String,
    /// The language it is written in.
    pub language: Language,
    /// First instant, last instant and step.
    pub range: (TimestampMs, TimestampMs, i64),
    /// Who asks.
    pub priority: Priority,
    /// What the caller says of itself.
    pub origin: String,
    /// The user's name.
    pub user: String,
}

/// The place of one query in the list.
#[derive(Debug)]
pub struct Entry {
    list: Arc<List>,
    id: u64,
    listed: Arc<Listed>,
    outcome: Option<(Stats, Option<Failure>)>,
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
        let listed = Arc::new(Listed {
            heading,
            since: Instant::now(),
            ledger,
            is_evaluated: AtomicBool::new(false),
            is_killed: Arc::default(),
            cancel,
        });
        self.lock().insert(id, Arc::clone(&listed));
        Entry { list: Arc::clone(self), id, listed, outcome: None }
    }

    /// Who is told of each query that ends. The first call counts.
    pub fn observe(&self, observers: Vec<Arc<dyn Observer>>) {
        self.observers.get_or_init(|| observers);
    }

    /// How many wait or run.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many have a place.
    pub fn len_evaluated(&self) -> usize {
        let evaluated = |own: &&Arc<Listed>| own.is_evaluated.load(Ordering::Relaxed);
        self.lock().values().filter(evaluated).count()
    }

    /// All queries, the oldest first.
    pub fn all(&self) -> Vec<Running> {
        self.lock().iter().map(|(id, listed)| listed.running(*id)).collect()
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

impl Listed {
    fn running(&self, id: u64) -> Running {
        let Heading { text, language, range, priority, origin, user } = self.heading.clone();
        Running {
            id,
            text,
            language,
            range,
            priority,
            origin,
            user,
            elapsed_us: u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX),
            is_evaluated: self.is_evaluated.load(Ordering::Relaxed),
            samples_peak: self.ledger.samples_peak(),
            bytes_peak: self.ledger.bytes_peak(),
        }
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

    /// Set as soon as somebody ends it.
    pub fn killed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.listed.is_killed)
    }

    /// What the observers are told when it leaves; without, that its caller went away.
    pub fn set_outcome(&mut self, stats: Stats, failure: Option<Failure>) {
        self.outcome = Some((stats, failure));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.list.lock().remove(&self.id);
        let Some(observers) = self.list.observers.get().filter(|all| !all.is_empty()) else {
            return;
        };
        let (kind, text) = match self.is_killed() {
            true => (FailureKind::Killed, "query was killed"),
            false => (FailureKind::Cancelled, "query was canceled"),
        };
        let gone = || (Stats::default(), Some(Failure { kind, text: text.to_owned() }));
        let (stats, failure) = self.outcome.take().unwrap_or_else(gone);
        let finished = Finished { query: self.listed.running(self.id), stats, failure };
        observers.iter().for_each(|observer| observer.finished(&finished));
    }
}
