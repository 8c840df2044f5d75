//! The room as one component: new, start, reload, stop.
//!
//! Place in the flow: the binary's wiring builds it from parts and hands it the configuration.
//!
//! Invariants: `new` spawns nothing; every task belongs to the tracker, and `stop` waits for it.
//!
//! Not here: one pool of targets (`pool`), one loop (`worker`), one scrape (`scrape`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Append, Clock, Exporter, Labels};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Job};
use crate::deliver::{Deliver, WAITING_BYTES_MAX};
use crate::discovery::file::Files;
use crate::http::HttpClient;
use crate::pool::{Pool, View, Wanted, Workshop};
use crate::relabel;
use crate::scrape::Origin;
use crate::status::{Counters, Dropped, RelabelStep, Stats, TargetStatus};
use crate::target::{self, Target};

/// How often target files are looked at. Reading them costs little; waiting minutes costs trust.
const FILES_LOOK_MS: u64 = 5_000;
/// Longest time for reading the target files of a job; a hung network share must not stop a reload.
const FILES_DEADLINE: Duration = Duration::from_secs(10);
/// What is left for scrapes that were cut off at the end of the deadline.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// What the room is plugged into.
#[derive(Clone)]
pub struct Parts {
    /// Where batches go.
    pub append: Arc<dyn Append>,
    /// Tells the present.
    pub clock: Arc<dyn Clock>,
    /// The only dialler.
    pub http: Arc<HttpClient>,
    /// Spreads the scrapes of several servers over the interval.
    pub seed: u64,
}

/// An exporter inside the process, scraped like a target.
#[derive(Clone)]
pub struct Source {
    /// The `job` label.
    pub job: String,
    /// The `instance` label.
    pub instance: String,
    /// Further labels of every series.
    pub labels: Labels,
    /// How often it is asked.
    pub interval_ms: u64,
    /// The deadline of one answer.
    pub timeout_ms: u64,
    /// What is asked.
    pub exporter: Arc<dyn Exporter>,
}

/// Scrapes every target of the configuration and commits what it finds.
pub struct Collector {
    inner: Arc<Inner>,
}

struct Inner {
    http: Arc<HttpClient>,
    workshop: Workshop,
    delivery_ending: CancellationToken,
    state: Mutex<State>, // Held over a whole reload; loops of targets never ask for it.
    views: RwLock<BTreeMap<String, Views>>, // Held for copies in and out.
}

#[derive(Default)]
struct Views {
    /// None for the exporters inside the process.
    job: Option<Arc<Job>>,
    views: Vec<View>,
    dropped: u64,
    dropped_labels: Vec<Labels>,
}

#[derive(Default)]
struct State {
    stopped: bool,
    jobs: BTreeMap<String, JobState>,
    inside: Pool,
    delivery: Option<JoinHandle<()>>,
}

struct JobState {
    job: Arc<Job>,
    pool: Pool,
    watcher: Option<Watcher>,
}

struct Watcher {
    ending: CancellationToken,
    handle: JoinHandle<Vec<Files>>,
}

impl Collector {
    /// An idle collector.
    pub fn new(parts: Parts) -> Collector {
        Collector::with_waiting_room(parts, WAITING_BYTES_MAX)
    }

    /// An idle collector with another room for batches that wait for the store.
    pub fn with_waiting_room(parts: Parts, waiting_bytes_max: usize) -> Collector {
        let counters = Arc::new(Counters::default());
        let deliver = Deliver::new(parts.append, counters.clone(), waiting_bytes_max);
        let workshop = Workshop {
            deliver: Arc::new(deliver),
            counters,
            clock: parts.clock,
            seed: parts.seed,
            tracker: TaskTracker::new(),
            ending: CancellationToken::new(),
            cut: CancellationToken::new(),
        };
        Collector {
            inner: Arc::new(Inner {
                http: parts.http,
                workshop,
                delivery_ending: CancellationToken::new(),
                state: Mutex::default(),
                views: RwLock::default(),
            }),
        }
    }

    /// Begins to scrape.
    pub async fn start(&self, config: Config, sources: Vec<Source>) {
        let mut state = self.inner.state.lock().await;
        if state.delivery.is_none() {
            let deliver = self.inner.workshop.deliver.clone();
            let ending = self.inner.delivery_ending.clone();
            state.delivery = Some(tokio::spawn(async move { deliver.run(ending).await }));
        }
        self.inner.apply(&mut state, config, sources).await;
    }

    /// Takes another configuration. Targets that stay the same keep their state and schedule.
    pub async fn reload(&self, config: Config, sources: Vec<Source>) {
        let mut state = self.inner.state.lock().await;
        self.inner.apply(&mut state, config, sources).await;
    }

    /// Ends all loops. Waits for scrapes that run and for batches that wait, at most as long as told;
    /// then gives them up.
    pub async fn stop(&self, deadline: Duration) {
        let workshop = &self.inner.workshop;
        workshop.ending.cancel();
        workshop.tracker.close();
        let state = tokio::time::timeout(deadline, self.inner.state.lock()).await;
        if tokio::time::timeout(deadline, workshop.tracker.wait()).await.is_err() {
            workshop.cut.cancel();
            if tokio::time::timeout(CUT_GRACE, workshop.tracker.wait()).await.is_err() {
                tracing::warn!("some scrapes did not end in time and were left behind");
            }
        }
        self.inner.delivery_ending.cancel();
        let Ok(mut state) = state else { return };
        state.stopped = true;
        if let Some(mut delivery) = state.delivery.take()
            && tokio::time::timeout(deadline.max(CUT_GRACE), &mut delivery).await.is_err()
        {
            tracing::warn!("samples that waited for the store were left behind");
            delivery.abort();
        }
    }

    /// All targets, by pool and address.
    pub fn targets(&self) -> Vec<TargetStatus> {
        let views = self.inner.views.read().unwrap_or_else(PoisonError::into_inner);
        let mut targets: Vec<TargetStatus> =
            views.values().flat_map(|job| job.views.iter().map(View::status)).collect();
        targets.sort_by(|one, two| {
            (&one.pool, &one.scrape_url, &one.labels).cmp(&(
                &two.pool,
                &two.scrape_url,
                &two.labels,
            ))
        });
        targets
    }

    /// Names of all pools, sorted: the jobs, and those of the exporters inside the process.
    pub fn pools(&self) -> Vec<String> {
        let views = self.inner.views.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: BTreeSet<String> =
            views.keys().filter(|name| !name.is_empty()).cloned().collect();
        let inside = views.get("").map(|own| own.views.iter()).into_iter().flatten();
        names.extend(inside.map(|view| view.status().pool));
        names.into_iter().collect()
    }

    /// What relabelling dropped, by pool.
    pub fn dropped(&self) -> BTreeMap<String, Dropped> {
        let views = self.inner.views.read().unwrap_or_else(PoisonError::into_inner);
        let jobs = views.iter().filter(|(name, _)| !name.is_empty());
        let dropped =
            |own: &Views| Dropped { count: own.dropped, labels: own.dropped_labels.clone() };
        jobs.map(|(name, own)| (name.clone(), dropped(own))).collect()
    }

    /// What each target relabelling rule of a pool makes of a label set, up to the one that drops
    /// it. `None` when there is no such pool.
    pub fn relabel_steps(&self, pool: &str, labels: &Labels) -> Option<Vec<RelabelStep>> {
        let views = self.inner.views.read().unwrap_or_else(PoisonError::into_inner);
        let job = views.get(pool)?.job.clone()?;
        drop(views);
        let mut builder = labels.to_builder();
        let mut steps = Vec::new();
        for rule in &job.relabel {
            let keep = relabel::apply(std::slice::from_ref(rule), &mut builder);
            let output = if keep { builder.clone().build() } else { Labels::empty() };
            steps.push(RelabelStep { rule: rule.clone(), output, keep });
            if !keep {
                break;
            }
        }
        Some(steps)
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let mut stats = self.inner.workshop.counters.now();
        let views = self.inner.views.read().unwrap_or_else(PoisonError::into_inner);
        stats.targets = views.values().map(|job| job.views.len() as u64).sum();
        stats.targets_dropped = views.values().map(|job| job.dropped).sum();
        stats
    }
}

impl Inner {
    async fn apply(self: &Arc<Inner>, state: &mut State, config: Config, sources: Vec<Source>) {
        if state.stopped {
            return;
        }
        let mut before = std::mem::take(&mut state.jobs);
        for job in config.jobs {
            let name = job.name.clone();
            let job_state = match before.remove(&name) {
                Some(same) if *same.job == job => same,
                old => self.apply_job(job, old).await,
            };
            state.jobs.insert(name, job_state);
        }
        for (name, mut gone) in before {
            if let Some(watcher) = gone.watcher.take() {
                watcher.end().await;
            }
            gone.pool.sync(&self.workshop, Vec::new()).await;
            self.show(&name, None);
        }
        let wanted = sources.into_iter().map(wanted_inside).collect();
        state.inside.sync(&self.workshop, wanted).await;
        // No job of the configuration can have the empty name.
        let inside = Views { views: state.inside.views(), ..Views::default() };
        self.show("", Some(inside));
    }

    async fn apply_job(self: &Arc<Inner>, job: Job, old: Option<JobState>) -> JobState {
        let (mut pool, mut files) = (Pool::default(), Vec::new());
        if let Some(old) = old {
            pool = old.pool;
            if let Some(watcher) = old.watcher {
                let kept = watcher.end().await;
                if old.job.files == job.files {
                    files = kept;
                }
            }
        }
        files.resize_with(job.files.len(), Files::default);
        let job = Arc::new(job);
        read_files(&job, &mut files).await;
        self.sync_job(&mut pool, &job, &files).await;
        let watcher = (!files.is_empty()).then(|| self.start_watcher(job.clone(), files));
        JobState { job, pool, watcher }
    }

    /// Makes a job's pool equal to its groups.
    async fn sync_job(&self, pool: &mut Pool, job: &Arc<Job>, files: &[Files]) {
        let found = files.iter().flat_map(Files::groups);
        let plan = target::plan(job, job.groups.iter().chain(found));
        for problem in &plan.problems {
            tracing::warn!(job = %job.name, problem, "a target can't be scraped");
        }
        let urls = plan.targets.iter().map(|target| target.url.as_str());
        self.http.replace_allowed(&format!("job {}", job.name), urls);
        let wanted = plan.targets.into_iter().map(|target| Wanted {
            target,
            job: job.clone(),
            origin: Origin::Http(self.http.clone()),
        });
        pool.sync(&self.workshop, wanted.collect()).await;
        let views = Views {
            job: Some(job.clone()),
            views: pool.views(),
            dropped: plan.dropped,
            dropped_labels: plan.dropped_labels,
        };
        self.show(&job.name, Some(views));
    }

    fn show(&self, name: &str, views: Option<Views>) {
        let mut all = self.views.write().unwrap_or_else(PoisonError::into_inner);
        match views {
            Some(views) => {
                all.insert(name.to_owned(), views);
            }
            None => {
                all.remove(name);
                self.http.replace_allowed(&format!("job {name}"), []);
            }
        }
    }

    fn start_watcher(self: &Arc<Inner>, job: Arc<Job>, files: Vec<Files>) -> Watcher {
        let ending = self.workshop.ending.child_token();
        let watch = self.clone().watch(job, files, ending.clone());
        Watcher { ending, handle: self.workshop.tracker.spawn(watch) }
    }

    /// Looks at a job's target files until told to end.
    async fn watch(
        self: Arc<Inner>,
        job: Arc<Job>,
        mut files: Vec<Files>,
        ending: CancellationToken,
    ) -> Vec<Files> {
        let wished_ms = job.files.iter().map(|block| block.refresh_interval_ms).min();
        let pause = Duration::from_millis(wished_ms.unwrap_or(FILES_LOOK_MS).min(FILES_LOOK_MS));
        loop {
            tokio::select! {
                () = ending.cancelled() => return files,
                () = tokio::time::sleep(pause) => {}
            }
            if !read_files(&job, &mut files).await {
                continue;
            }
            // A reload that ends this task holds the state; only the wait for it is given up.
            let mut state = tokio::select! {
                () = ending.cancelled() => return files,
                state = self.state.lock() => state,
            };
            let State { jobs, .. } = &mut *state;
            if let Some(own) = jobs.get_mut(&job.name) {
                self.sync_job(&mut own.pool, &job, &files).await;
            }
        }
    }
}

impl Watcher {
    async fn end(self) -> Vec<Files> {
        self.ending.cancel();
        // A watcher that broke has nothing to hand over.
        self.handle.await.unwrap_or_default()
    }
}

/// Whether the groups of a job's files changed.
async fn read_files(job: &Job, files: &mut [Files]) -> bool {
    let mut any = false;
    for (block, files) in job.files.iter().zip(files) {
        let Ok((changed, problems)) = tokio::time::timeout(FILES_DEADLINE, files.read(block)).await
        else {
            tracing::warn!(job = %job.name, "the target files could not be read in time");
            continue;
        };
        any |= changed;
        for problem in problems {
            tracing::warn!(job = %job.name, problem, "a target file is left as it was");
        }
    }
    any
}

fn wanted_inside(source: Source) -> Wanted {
    let mut builder = source.labels.to_builder();
    builder.set("job", &source.job).set("instance", &source.instance);
    let labels = builder.build();
    let target = Target {
        discovered_labels: labels.clone(),
        identity: labels.clone(),
        labels,
        url: format!("internal://{}/{}", source.job, source.instance),
        interval_ms: source.interval_ms.max(1),
        timeout_ms: source.timeout_ms.min(source.interval_ms).max(1),
    };
    let job = Job::inside(&source.job, target.interval_ms, target.timeout_ms);
    Wanted { target, job: Arc::new(job), origin: Origin::Inside(source.exporter) }
}
