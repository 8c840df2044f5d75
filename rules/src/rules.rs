//! All groups: open, start, reload, stop.
//!
//! Place in the flow: belfry's wiring hands in the [`Parts`]; each group gets a task of its own that
//! waits for its next instant and evaluates.
//!
//! Invariants:
//! - `open` spawns nothing but the journal's writer; each task is joined by `reload` or `stop`.
//! - A group whose configuration did not change is not touched by a reload.
//!
//! Not here: one evaluation (`group`, `rule`), reading rule files (`config`, belfry).

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use journal::disk::Disk;
use model::{AlertSink, Append, Clock, Labels, TimestampMs};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config::GroupConfig;
use crate::error::Error;
use crate::evaluate::Evaluate;
use crate::expand::Surroundings;
use crate::group::{Defaults, Group};
use crate::rule::{self, Context, Rule};
use crate::state::StateLog;
use crate::status::{AlertStatus, Counters, GroupStatus, Stats};

/// Longest sleep before the clock is looked at again, because clocks are set.
const SLEEP_MS_MAX: i64 = 1000;
/// Longest wait for a group to end its evaluation.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// What is plugged in.
#[derive(Clone)]
pub struct Parts {
    /// Answers the rules' queries.
    pub evaluate: Arc<dyn Evaluate>,
    /// Takes series.
    pub append: Arc<dyn Append>,
    /// Takes alerts.
    pub alerts: Arc<dyn AlertSink>,
    /// Tells the present.
    pub clock: Arc<dyn Clock>,
    /// Spreads groups over their intervals.
    pub seed: u64,
}

/// What an operator sets for all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Labels that every alert gets where it has none of that name.
    pub external_labels: Labels,
    /// Where people reach this server.
    pub external_url: String,
    /// The interval of groups that set none.
    pub interval_ms: u64,
    /// The query offset of groups that set none.
    pub query_offset_ms: u64,
    /// How long after the last time an alert is handed over again.
    pub resend_delay_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            external_labels: Labels::empty(),
            external_url: String::new(),
            interval_ms: 60_000,
            query_offset_ms: 0,
            resend_delay_ms: 60_000,
        }
    }
}

impl Settings {
    fn surroundings(&self) -> Arc<Surroundings> {
        Arc::new(Surroundings {
            external_labels: self.external_labels.clone(),
            external_url: self.external_url.trim_end_matches('/').to_owned(),
        })
    }

    fn defaults(&self, seed: u64) -> Defaults {
        Defaults { interval_ms: self.interval_ms, query_offset_ms: self.query_offset_ms, seed }
    }
}

/// A group and its task.
struct Cell {
    config: GroupConfig,
    group: Arc<Mutex<Group>>,
    status: Arc<std::sync::Mutex<GroupStatus>>,
    task: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Cell {
    fn new(group: Group) -> Cell {
        let (config, status) = (group.config.clone(), group.status());
        Cell { config, group: Arc::new(Mutex::new(group)), status, task: None }
    }
}

type Statuses = Vec<Arc<std::sync::Mutex<GroupStatus>>>;

/// All rules of the server.
pub struct Rules {
    context: Arc<Context>,
    cells: Mutex<Cells>,
    /// What `groups` reads, so that it never waits for a reload.
    statuses: RwLock<Statuses>,
}

struct Cells {
    list: Vec<Cell>,
    running: bool,
    settings: Settings,
}

impl Rules {
    /// Opens the state of the alerts and takes the groups. Nothing is evaluated before `start`.
    pub fn open(
        disk: Disk,
        dir: &Path,
        parts: Parts,
        settings: &Settings,
        groups: Vec<GroupConfig>,
    ) -> Result<Rules, Error> {
        let mut state = StateLog::open(disk, dir, parts.clock.now())?;
        let around = settings.surroundings();
        let defaults = settings.defaults(parts.seed);
        let mut list = Vec::with_capacity(groups.len());
        for config in groups {
            let keys = rule::keys(&config);
            let rules = config
                .rules
                .iter()
                .zip(keys)
                .map(|(rule, key)| Rule::new(rule, key, state.restored(key), &around))
                .collect();
            list.push(Cell::new(Group::new(config, rules, defaults)));
        }
        let statuses = RwLock::new(list.iter().map(|cell| cell.status.clone()).collect());
        let context = Arc::new(Context {
            parts,
            state,
            counters: Counters::default(),
            around: RwLock::new(around),
            resend_delay_ms: i64::try_from(settings.resend_delay_ms).unwrap_or(i64::MAX),
            known: RwLock::new(keys_of(&list)),
        });
        let cells = Mutex::new(Cells { list, running: false, settings: settings.clone() });
        Ok(Rules { context, cells, statuses })
    }

    /// Begins to evaluate. Needs a tokio runtime.
    pub async fn start(&self) {
        let mut cells = self.cells.lock().await;
        cells.running = true;
        for cell in cells.list.iter_mut().filter(|cell| cell.task.is_none()) {
            spawn(&self.context, cell);
        }
    }

    /// Takes other settings and another set of groups. Rules that stay keep their alerts; what is
    /// gone gets its end. How often alerts are handed over again stays as it was opened with.
    pub async fn reload(&self, settings: &Settings, groups: Vec<GroupConfig>) {
        let mut cells = self.cells.lock().await;
        let same_settings = cells.settings == *settings;
        if !same_settings {
            cells.settings = settings.clone();
            *self.context.around.write().unwrap_or_else(PoisonError::into_inner) =
                settings.surroundings();
        }
        let defaults = settings.defaults(self.context.parts.seed);
        let mut old: HashMap<(String, String), Cell> = cells
            .list
            .drain(..)
            .map(|cell| ((cell.config.file.clone(), cell.config.name.clone()), cell))
            .collect();
        let mut list = Vec::with_capacity(groups.len());
        for config in groups {
            let before = old.remove(&(config.file.clone(), config.name.clone()));
            match before {
                Some(cell) if same_settings && cell.config == config => list.push(cell),
                Some(mut cell) => {
                    stop(&mut cell).await;
                    list.push(self.replace(config, Some(cell), defaults).await);
                }
                None => list.push(self.replace(config, None, defaults).await),
            }
        }
        for (_, mut cell) in old {
            stop(&mut cell).await;
            let mut group = cell.group.lock().await;
            let now = self.context.parts.clock.now();
            group.end_all(&self.context, now).await;
            self.forget(&group.rules, now).await;
        }
        if cells.running {
            for cell in list.iter_mut().filter(|cell| cell.task.is_none()) {
                spawn(&self.context, cell);
            }
        }
        let known = keys_of(&list);
        *self.context.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        let statuses = list.iter().map(|cell| cell.status.clone()).collect();
        *self.statuses.write().unwrap_or_else(PoisonError::into_inner) = statuses;
        cells.list = list;
    }

    /// A group in place of one that was stopped, or a new one.
    async fn replace(&self, config: GroupConfig, before: Option<Cell>, defaults: Defaults) -> Cell {
        let around = self.context.around();
        let mut old_rules: HashMap<u64, Rule> = HashMap::new();
        let mut orphans = Vec::new();
        if let Some(cell) = before {
            let mut group = cell.group.lock().await;
            old_rules.extend(group.rules.drain(..).map(|rule| (rule.key, rule)));
            orphans.append(&mut group.orphans);
        }
        let keys = rule::keys(&config);
        let mut rules = Vec::with_capacity(config.rules.len());
        for (rule_config, key) in config.rules.iter().zip(keys) {
            let saved = self.context.state.saved(key).await;
            let mut rule = Rule::new(rule_config, key, saved, &around);
            if let Some(old) = old_rules.remove(&key) {
                rule.inherit(old);
            }
            rules.push(rule);
        }
        let removed: Vec<Rule> = old_rules.into_values().collect();
        self.forget(&removed, self.context.parts.clock.now()).await;
        orphans.extend(removed.into_iter().flat_map(|rule| rule.series));
        let mut group = Group::new(config, rules, defaults);
        group.orphans = orphans;
        Cell::new(group)
    }

    /// Removes the saved alerts of rules that are no more.
    async fn forget(&self, rules: &[Rule], now: TimestampMs) {
        for rule in rules.iter().filter(|rule| !rule.alerts().is_empty()) {
            let forgotten = self.context.state.save(rule.key, &Default::default(), now).await;
            if let Err(error) = forgotten {
                warn!(%error, rule = rule.config.name(), "forgetting a removed rule's alerts failed");
            }
        }
    }

    /// Ends all tasks, waits for them, and closes the state.
    pub async fn stop(&self) {
        let mut cells = self.cells.lock().await;
        cells.running = false;
        for (cancel, _) in cells.list.iter().filter_map(|cell| cell.task.as_ref()) {
            cancel.cancel();
        }
        for cell in &mut cells.list {
            stop(cell).await;
        }
        self.context.state.close().await;
    }

    /// Evaluates every group once at an instant, in order: for tests and for trying rules out.
    pub async fn evaluate_all(&self, at: TimestampMs) {
        let cancel = CancellationToken::new();
        let groups: Vec<_> =
            self.cells.lock().await.list.iter().map(|cell| cell.group.clone()).collect();
        for group in groups {
            group.lock().await.evaluate(&self.context, at, &cancel).await;
        }
    }

    /// Puts the state of all alerts into a folder, as of this call; it opens as the folder of rules by
    /// itself. Holds the thread until it is durable.
    pub fn snapshot(&self, to: &Path) -> Result<(), Error> {
        self.context.state.copy_to(to)
    }

    /// A snapshot of all groups, in the order of the files.
    pub fn groups(&self) -> Vec<GroupStatus> {
        let statuses = self.statuses.read().unwrap_or_else(PoisonError::into_inner);
        let one = |status: &Arc<std::sync::Mutex<GroupStatus>>| {
            status.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        statuses.iter().map(one).collect()
    }

    /// All pending and firing alerts.
    pub fn alerts(&self) -> Vec<AlertStatus> {
        let groups = self.groups();
        let rules = groups.iter().flat_map(|group| &group.rules);
        let alerting = rules.filter_map(|rule| rule.alerting.as_ref());
        alerting.flat_map(|alerting| alerting.alerts.iter().cloned()).collect()
    }

    /// Counters since open.
    pub fn stats(&self) -> Stats {
        self.context.counters.read(self.context.state.size_bytes())
    }
}

fn keys_of(cells: &[Cell]) -> HashSet<u64> {
    cells.iter().flat_map(|cell| rule::keys(&cell.config)).collect()
}

/// Gives a group its task.
fn spawn(context: &Arc<Context>, cell: &mut Cell) {
    assert!(cell.task.is_none(), "a group has one task");
    let cancel = CancellationToken::new();
    let task = run(context.clone(), cell.group.clone(), cancel.clone());
    cell.task = Some((cancel, tokio::spawn(task)));
}

/// Ends a group's task and waits for it.
async fn stop(cell: &mut Cell) {
    let Some((cancel, task)) = cell.task.take() else { return };
    cancel.cancel();
    let abort = task.abort_handle();
    match tokio::time::timeout(STOP_DEADLINE, task).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => {
            error!(group = cell.config.name, %failure, "a rule group's task failed");
        }
        Err(_) => {
            abort.abort();
            warn!(group = cell.config.name, "a rule group did not stop in time");
        }
    }
}

/// Waits for each instant of a group's grid and evaluates.
async fn run(context: Arc<Context>, group: Arc<Mutex<Group>>, cancel: CancellationToken) {
    let schedule = group.lock().await.schedule;
    let mut next = schedule.at_or_after(context.parts.clock.now());
    while !cancel.is_cancelled() {
        let now = context.parts.clock.now();
        let wait_ms = next.0.saturating_sub(now.0);
        if wait_ms > schedule.interval_ms() {
            // The clock was set back.
            next = schedule.at_or_after(now);
            continue;
        }
        if wait_ms > 0 {
            let sleep_ms = wait_ms.min(SLEEP_MS_MAX).unsigned_abs();
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(sleep_ms)) => {}
            }
            continue;
        }
        let mut group = group.lock().await;
        group.evaluate(&context, next, &cancel).await;
        let (following, missed) = schedule.after(next, context.parts.clock.now());
        if missed > 0 {
            group.missed(&context, missed);
        }
        next = following;
    }
}
