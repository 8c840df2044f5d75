//! The running targets of one job.
//!
//! Place in the flow: `collector` (configuration, discovered groups) → **`Pool::sync`** → `worker`.
//!
//! A target that stays the same keeps its loop, its state and its schedule. One whose job changed
//! gets a new loop that begins with the old one's state. One that is gone gets stale markers.
//!
//! Not here: which pools there are (`collector`), label sets of targets (`target`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::{Clock, Labels};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Job;
use crate::deliver::Deliver;
use crate::pass::Session;
use crate::scrape::Origin;
use crate::status::{Counters, TargetStatus};
use crate::target::Target;
use crate::worker::{Board, Endings, Shared, Worker};

/// Who a target is inside its job.
type Identity = (Labels, String);

/// What every loop needs, and who waits for it.
#[derive(Clone)]
pub(crate) struct Workshop {
    pub(crate) deliver: Arc<Deliver>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
    pub(crate) tracker: TaskTracker,
    pub(crate) ending: CancellationToken,
    pub(crate) cut: CancellationToken,
}

/// A target that should run, and where its pages come from.
pub(crate) struct Wanted {
    pub(crate) target: Target,
    pub(crate) job: Arc<Job>,
    pub(crate) origin: Origin,
}

/// The running targets of one job.
#[derive(Default)]
pub(crate) struct Pool {
    running: HashMap<Identity, Running>,
    shared: Arc<Shared>,
}

struct Running {
    target: Arc<Target>,
    job: Arc<Job>,
    origin: Origin,
    board: Arc<Board>,
    endings: Endings,
    handle: JoinHandle<Session>,
}

impl Running {
    fn does(&self, wanted: &Wanted) -> bool {
        // The discovered labels are only shown; but the page must show the present ones.
        *self.target == wanted.target
            && (Arc::ptr_eq(&self.job, &wanted.job) || scrapes_alike(&self.job, &wanted.job))
            && self.origin.is(&wanted.origin)
    }

    /// Ends the loop and waits for it; a scrape that runs is given up.
    async fn end(self) -> Session {
        self.endings.ending.cancel();
        self.endings.cut.cancel();
        // A loop that broke has nothing to hand over.
        self.handle.await.unwrap_or_default()
    }
}

/// Whether two jobs scrape a given target in the same way; where targets come from is no part of it.
fn scrapes_alike(one: &Job, two: &Job) -> bool {
    let bare = |job: &Job| {
        let mut bare = job.clone();
        bare.groups.clear();
        bare.files.clear();
        bare.relabel.clear();
        bare
    };
    bare(one) == bare(two)
}

impl Pool {
    /// Makes what runs equal to what is wanted.
    pub(crate) async fn sync(&mut self, workshop: &Workshop, wanted: Vec<Wanted>) {
        self.set_limit(&wanted);
        let mut before = std::mem::take(&mut self.running);
        let mut changed = Vec::new();
        let mut seen = HashSet::new();
        for one in wanted {
            let identity = (one.target.identity.clone(), one.target.url.clone());
            if !seen.insert(identity.clone()) {
                continue; // The same target twice is one.
            }
            match before.remove(&identity) {
                Some(running) if running.does(&one) => {
                    self.running.insert(identity, running);
                }
                old => changed.push((identity, old, one)),
            }
        }
        for (identity, old, one) in changed {
            let (session, board) = match old {
                Some(running) => {
                    let board = running.board.clone();
                    (running.end().await.resettled(), board)
                }
                None => Default::default(),
            };
            let running = self.start_target(workshop, one, session, board);
            self.running.insert(identity, running);
        }
        for (_, gone) in before {
            let url = gone.target.url.clone();
            if let Some(markers) = gone.end().await.ended(workshop.clock.now()) {
                // Markers need no answer.
                let _ = workshop.deliver.send(&url, &markers).await;
            }
        }
    }

    fn set_limit(&self, wanted: &[Wanted]) {
        let max = wanted.first().map_or(0, |one| one.job.scraping.limits.targets_max);
        let over = max > 0 && wanted.len() > max;
        self.shared.set_over_limit(
            over.then(|| format!("target_limit exceeded: {} of {max} targets", wanted.len())),
        );
    }

    fn start_target(
        &self,
        workshop: &Workshop,
        wanted: Wanted,
        session: Session,
        board: Arc<Board>,
    ) -> Running {
        let endings =
            Endings { ending: workshop.ending.child_token(), cut: workshop.cut.child_token() };
        let target = Arc::new(wanted.target);
        let worker = Worker {
            target: target.clone(),
            job: wanted.job.clone(),
            origin: wanted.origin.clone(),
            session,
            board: board.clone(),
            shared: self.shared.clone(),
            deliver: workshop.deliver.clone(),
            counters: workshop.counters.clone(),
            clock: workshop.clock.clone(),
            seed: workshop.seed,
        };
        let handle = workshop.tracker.spawn(worker.run(endings.clone()));
        Running { target, job: wanted.job, origin: wanted.origin, board, endings, handle }
    }

    /// Who runs, and where its state is shown.
    pub(crate) fn views(&self) -> Vec<View> {
        let view = |running: &Running| View {
            target: running.target.clone(),
            board: running.board.clone(),
            pool: running.job.name.clone(),
        };
        self.running.values().map(view).collect()
    }
}

/// A target and where its state is shown.
#[derive(Clone)]
pub(crate) struct View {
    target: Arc<Target>,
    board: Arc<Board>,
    pool: String,
}

impl View {
    /// The state now.
    pub(crate) fn status(&self) -> TargetStatus {
        let shown = self.board.read();
        TargetStatus {
            job: self.target.job().to_owned(),
            instance: self.target.instance().to_owned(),
            scrape_url: self.target.url.clone(),
            labels: self.target.labels.clone(),
            discovered_labels: self.target.discovered_labels.clone(),
            health: shown.health,
            last_error: shown.last_error,
            last_scrape: shown.last_scrape,
            duration_ms: shown.duration_ms,
            interval_ms: self.target.interval_ms,
            timeout_ms: self.target.timeout_ms,
            samples: shown.samples,
            pool: self.pool.clone(),
        }
    }
}
