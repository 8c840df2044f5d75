//! What a query holds and how long it may go on: samples, bytes, deadline, cancellation.
//!
//! Place in the flow: every block and every window is charged to its query's **`Ledger`**; loops ask
//! it whether to go on.
//!
//! Bytes are reserved in the query's DataFusion pool before they are used, so that a query over its
//! budget fails alone; samples are counted against the limit users know from Prometheus.
//!
//! Invariant: what is charged is given back when the charge is dropped.
//!
//! Not here: admission (`engine`).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use datafusion_execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::pool::QueryPool;

/// The account of one query. Cloning is cheap; all clones share it.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Account>);

#[derive(Debug)]
struct Account {
    samples: AtomicUsize,
    samples_peak: AtomicUsize,
    samples_max: usize,
    bytes_peak: AtomicUsize,
    bytes_max: usize,
    pool: Arc<dyn MemoryPool>,
    deadline: Instant,
    cancel: CancellationToken,
}

/// The limits of one query.
#[derive(Debug)]
pub struct Limits {
    /// Most samples held at once.
    pub samples_max: usize,
    /// Most bytes held at once; the pool enforces it.
    pub bytes_max: usize,
    /// When the query must be done.
    pub deadline: Instant,
    /// Set when nobody waits for the answer any more.
    pub cancel: CancellationToken,
}

impl Ledger {
    /// An account over a pool.
    pub fn new(pool: Arc<dyn MemoryPool>, limits: Limits) -> Ledger {
        Ledger(Arc::new(Account {
            samples: AtomicUsize::new(0),
            samples_peak: AtomicUsize::new(0),
            samples_max: limits.samples_max,
            bytes_peak: AtomicUsize::new(0),
            bytes_max: limits.bytes_max,
            pool,
            deadline: limits.deadline,
            cancel: limits.cancel,
        }))
    }

    /// Whether to go on; loops over series ask once per series.
    pub fn check(&self) -> Result<(), Error> {
        if self.0.cancel.is_cancelled() {
            return Err(Error::Cancelled { phase: EVALUATION });
        }
        if Instant::now() >= self.0.deadline {
            return Err(Error::TimedOut { phase: EVALUATION });
        }
        Ok(())
    }

    /// Whether to stop. Who stops early hands on what there is: the next one who asks with
    /// [`Ledger::check`], the engine at the latest, makes an error of it.
    pub fn is_over(&self) -> bool {
        self.check().is_err()
    }

    /// Most bytes it may hold at once.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// The pool that bytes are reserved in.
    pub fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.0.pool
    }

    /// A charge that holds nothing yet.
    pub fn nothing(&self) -> Charge {
        let reservation = MemoryConsumer::new("series blocks").register(&self.0.pool);
        Charge { ledger: self.clone(), samples: 0, reservation }
    }

    /// Charges samples and bytes.
    pub fn charge(&self, samples: usize, bytes: usize) -> Result<Charge, Error> {
        let mut charge = self.nothing();
        charge.grow(samples, bytes)?;
        Ok(charge)
    }

    /// Most samples held at once so far.
    pub fn samples_peak(&self) -> usize {
        self.0.samples_peak.load(Ordering::Relaxed)
    }

    /// Most bytes held at once so far.
    pub fn bytes_peak(&self) -> usize {
        self.0.bytes_peak.load(Ordering::Relaxed)
    }
}

/// Adds up the work of a loop and asks the ledger now and then, so that asking costs nothing.
#[derive(Debug)]
pub struct Pace<'a> {
    ledger: Option<&'a Ledger>,
    work: Cell<usize>,
}

/// Simple operations between two looks at the ledger: a few milliseconds, even without optimisation.
const WORK_BETWEEN_LOOKS: usize = 1 << 17;

impl<'a> Pace<'a> {
    /// The pace of a loop.
    pub fn new(ledger: &'a Ledger) -> Pace<'a> {
        Pace { ledger: Some(ledger), work: Cell::new(0) }
    }

    /// Goes on whatever happens.
    pub fn endless() -> Pace<'static> {
        Pace { ledger: None, work: Cell::new(0) }
    }

    /// Whether to stop before the next piece of work, which is about so many operations.
    #[inline]
    pub fn is_over(&self, work: usize) -> bool {
        let done = self.work.get().saturating_add(work).saturating_add(1);
        self.work.set(done);
        done > WORK_BETWEEN_LOOKS && self.look()
    }

    /// The same as an error.
    #[inline]
    pub fn spend(&self, work: usize) -> Result<(), Error> {
        if !self.is_over(work) {
            return Ok(());
        }
        self.ledger.map_or(Ok(()), Ledger::check)
    }

    #[cold]
    fn look(&self) -> bool {
        self.work.set(0);
        self.ledger.is_some_and(Ledger::is_over)
    }
}

/// The phase named in time-outs and cancellations while evaluating.
pub const EVALUATION: &str = "expression evaluation";

/// Samples and bytes held by one thing; given back when dropped.
#[derive(Debug)]
pub struct Charge {
    ledger: Ledger,
    samples: usize,
    reservation: MemoryReservation,
}

impl Charge {
    /// Charges more.
    pub fn grow(&mut self, samples: usize, bytes: usize) -> Result<(), Error> {
        let account = &self.ledger.0;
        let before = account.samples.fetch_add(samples, Ordering::Relaxed);
        self.samples += samples;
        if before + samples > account.samples_max {
            return Err(Error::TooManySamples { samples_max: account.samples_max });
        }
        account.samples_peak.fetch_max(before + samples, Ordering::Relaxed);
        self.reservation.try_grow(bytes).map_err(|problem| {
            let detail = first_line(&problem.to_string());
            match QueryPool::is_of_all(&problem) {
                true => Error::Busy { reason: detail },
                false => Error::OverBudget { bytes_max: account.bytes_max, detail },
            }
        })?;
        account.bytes_peak.fetch_max(account.pool.reserved(), Ordering::Relaxed);
        Ok(())
    }

    /// The account it is charged to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many samples it holds.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.0.samples.fetch_sub(self.samples, Ordering::Relaxed);
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
