//! The loop of one target: wait, fetch, digest, commit, show.
//!
//! Place in the flow: `pool` starts one **`Worker`** per target and gets its [`Session`] back when it
//! ends.
//!
//! Not here: when a target begins and ends (`pool`), each of the steps (their own files).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, TimestampMs};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Job;
use crate::deliver::{self, Deliver};
use crate::http::Prepared;
use crate::pass::{Page, Reading, Session, Sheet};
use crate::report::Report;
use crate::schedule::Schedule;
use crate::scrape::{self, Failure, Origin};
use crate::status::{Counters, Health};
use crate::target::Target;

/// What a target shows of its last scrape.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) health: Health,
    pub(crate) last_error: String,
    pub(crate) last_scrape: Option<TimestampMs>,
    pub(crate) duration_ms: f64,
    pub(crate) samples: u64,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown {
            health: Health::Unknown,
            last_error: String::new(),
            last_scrape: None,
            duration_ms: 0.0,
            samples: 0,
        }
    }
}

/// What a worker shares with those who look at it.
#[derive(Debug, Default)]
pub(crate) struct Board {
    shown: Mutex<Shown>, // Held for copies in and out.
}

impl Board {
    pub(crate) fn read(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, shown: Shown) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

/// What all targets of a job share while they run.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Set while the job has more targets than it may: every scrape fails with this.
    over_limit: Mutex<Option<String>>,
}

impl Shared {
    pub(crate) fn set_over_limit(&self, reason: Option<String>) {
        *self.over_limit.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn over_limit(&self) -> Option<String> {
        self.over_limit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a worker is told to end.
#[derive(Debug, Clone)]
pub(crate) struct Endings {
    /// Begin no further scrape.
    pub(crate) ending: CancellationToken,
    /// Give up the scrape that runs.
    pub(crate) cut: CancellationToken,
}

/// One target at work.
pub(crate) struct Worker {
    pub(crate) target: Arc<Target>,
    pub(crate) job: Arc<Job>,
    pub(crate) origin: Origin,
    pub(crate) session: Session,
    pub(crate) board: Arc<Board>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
}

impl Worker {
    /// Scrapes until told to end; gives back what is remembered of the target.
    pub(crate) async fn run(mut self, endings: Endings) -> Session {
        let schedule = Schedule::new(self.target.interval_ms, self.target.hash64(), self.seed);
        let prepared = scrape::prepare(&self.job, &self.target);
        let mut due = self.first_due(schedule);
        loop {
            let wait_ms = schedule.wait_ms(due, self.clock.now());
            tokio::select! {
                () = endings.ending.cancelled() => return self.session,
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            }
            let at = schedule.snapped(due, self.clock.now());
            tokio::select! {
                () = endings.cut.cancelled() => return self.session,
                fetched = Self::fetch(&self, &prepared) => self.process(at, fetched).await,
            }
            due = schedule.next(due, self.clock.now());
        }
    }

    /// What is inside the process is asked at once when it is new, so that a new user sees something
    /// within a second; targets on the network keep to their place in the interval.
    fn first_due(&self, schedule: Schedule) -> TimestampMs {
        let now = self.clock.now();
        let is_new = self.board.read().last_scrape.is_none();
        match &self.origin {
            Origin::Inside(_) if is_new => now,
            _ => schedule.next_after(now),
        }
    }

    async fn fetch(&self, prepared: &Result<Prepared, Failure>) -> (Result<Page, Failure>, f64) {
        let started = Instant::now();
        let page = match self.shared.over_limit() {
            Some(reason) => Err(Failure { kind: "target_limit", reason }),
            None => scrape::fetch(&self.origin, &self.job, &self.target, prepared).await,
        };
        (page, started.elapsed().as_secs_f64())
    }

    async fn process(&mut self, at: TimestampMs, fetched: (Result<Page, Failure>, f64)) {
        let (page, duration_seconds) = fetched;
        let (job, target) = (self.job.clone(), self.target.clone());
        let reading = Reading { job: &job, labels: &target.labels, seed: self.seed };
        let outcome = page.as_ref().map_err(|failure| failure.reason.clone());
        let mut sheet = self.session.digest(&reading, outcome, at);
        let report = Report {
            up: sheet.error.is_none(),
            duration_seconds,
            scraped: sheet.scraped,
            kept: sheet.kept,
            added: sheet.added,
            extra: job.scraping.extra_metrics.then(|| extra(&job, &target, &page)),
        };
        self.session.report(&mut sheet, &reading, &report);
        self.commit(&reading, page.as_ref().ok(), &sheet).await;
        self.count(&page, &sheet);
        self.board.write(Shown {
            health: if report.up { Health::Up } else { Health::Down },
            last_error: sheet.error.unwrap_or_default(),
            last_scrape: Some(at),
            duration_ms: duration_seconds * 1000.0,
            samples: sheet.scraped,
        });
    }

    async fn commit(&mut self, reading: &Reading<'_>, page: Option<&Page>, sheet: &Sheet) {
        let name = self.target.url.as_str();
        self.deliver.gather(deliver::gathering(self.target.interval_ms)).await;
        let Some(appended) = self.deliver.send(name, &sheet.batch).await else { return };
        if let Some(again) = self.session.learn(reading, page, sheet, &appended)
            && let Some(appended) = self.deliver.send(name, &again.batch).await
        {
            // What the store forgets twice in a row is sent with its labels at the next scrape.
            let _ = self.session.learn(reading, page, &again, &appended);
        }
        if let Some(ended) = self.session.take_ended_orphans() {
            // Markers need no answer: a series that is gone from the store needs none.
            let _ = self.deliver.send(name, &ended).await;
        }
    }

    fn count(&self, page: &Result<Page, Failure>, sheet: &Sheet) {
        let was_up = self.board.read().health != Health::Down;
        self.counters.with(|stats| {
            stats.samples_duplicate += sheet.duplicates;
            match (page, &sheet.error) {
                (_, None) => stats.scrapes_ok += 1,
                (Err(failure), _) => *stats.scrapes_failed.entry(failure.kind).or_default() += 1,
                (Ok(_), Some(_)) => *stats.scrapes_failed.entry("page").or_default() += 1,
            }
        });
        match &sheet.error {
            Some(reason) if was_up => {
                tracing::info!(target_name = %self.target.url, reason, "the scrape failed");
            }
            None if !was_up => {
                tracing::info!(target_name = %self.target.url, "the target answers again");
            }
            _ => {}
        }
    }
}

/// Timeout, sample limit and body size, as upstream reports them.
fn extra(job: &Job, target: &Target, page: &Result<Page, Failure>) -> [f64; 3] {
    let body_bytes = match page {
        Ok(page) => page.body.len() as f64,
        Err(failure) if failure.kind == "body_size" => -1.0,
        Err(_) => 0.0,
    };
    let seconds = target.timeout_ms as f64 / 1000.0;
    [seconds, job.scraping.limits.samples_max as f64, body_bytes]
}
