//! The alert manager as the rest of the house sees it.
//!
//! Place in the flow: rules → **`AlertSink::send`**; API → silences and views; the binary opens,
//! starts, reloads and stops it.
//!
//! One task, the driver, ticks the core, carries out its effects and takes the couriers' reports.
//! Callers step the core too (alerts, silences, a new configuration); their records are enqueued
//! under the same lock, so the log has the core's order, and they wait for the fsync outside it.
//!
//! Invariants: `Ok` to a caller means fsynced; a message goes out after its intent is fsynced. If
//! the disk fails, messages still go out (an alarm is worth a repetition), the failure is counted,
//! and a snapshot is written as soon as the disk takes one.
//!
//! Not here: decisions (core), attempts (receiver), the HTTP API (dashboards).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use journal::disk::Disk;
use model::http_door::HttpDoor;
use model::{Alert, AlertSink, AlertSinkError, BoxFuture, Clock, TimestampMs};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::core::effect::{Delivery, Effect, HistoryRow};
use crate::core::silence::{self, Silence, SilenceState};
use crate::core::step::check_alert;
use crate::core::view::{AlertView, GroupView, SilenceView};
use crate::core::{Event, Plan, Record, State, step};
use crate::delivery::SharedLive;
use crate::error::Error;
use crate::log::Log;
use crate::receiver::{Doors, Live, find_route};
use crate::stats::{Ledger, Stats};
use crate::texts;

mod driver;
mod silences;

/// What the alert manager is joined with.
pub struct Parts {
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The way of all webhooks.
    pub http: Arc<dyn HttpDoor>,
    /// Where people find us, without a slash at the end.
    pub external_url: String,
    /// Names this installation in message ids; a host name does.
    pub site: String,
    /// Feeds the jitter of retries and the ids of silences.
    pub seed: u64,
}

/// From an alert to a person.
pub struct Alertmanager {
    core: Mutex<State>,
    log: Log,
    doors: Doors,
    live: SharedLive,
    ledger: Mutex<Ledger>,
    ids: Mutex<rand::rngs::SmallRng>,
    wake: Notify,
    snapshot_due: AtomicBool,
    stop: watch::Sender<bool>,
    driver: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Alertmanager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alertmanager").finish_non_exhaustive()
    }
}

/// A lock whose holder panicked is used on: the state is changed in small whole steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a step left to do after its records are fsynced.
struct Aftermath {
    appends: Vec<BoxFuture<'static, Result<(), Error>>>,
    deliveries: Vec<Delivery>,
    rows: Vec<HistoryRow>,
}

impl Alertmanager {
    /// Opens the log in a folder and brings back what it holds. Spawns nothing.
    pub fn open(
        disk: Disk,
        dir: &Path,
        config: Config,
        parts: Parts,
    ) -> Result<Arc<Alertmanager>, Error> {
        use rand::SeedableRng;
        let templates = texts::load(&disk, &config.templates)?;
        let plan = Arc::new(Plan::new(&config));
        let mut state = State::new(&parts.site, plan.clone(), parts.seed);
        let (log, damaged) = Log::open(disk.clone(), dir, &mut state)?;
        let mut ledger = Ledger::default();
        ledger.stats.damaged = damaged;
        let live = Live { config, templates, external_url: parts.external_url };
        let manager = Alertmanager {
            core: Mutex::new(state),
            log,
            doors: Doors { disk, http: parts.http, clock: parts.clock, site: parts.site },
            live: Arc::new(RwLock::new(Arc::new(live))),
            ledger: Mutex::new(ledger),
            ids: Mutex::new(rand::rngs::SmallRng::seed_from_u64(parts.seed ^ 0x51_1e_9c_e5)),
            wake: Notify::new(),
            snapshot_due: AtomicBool::new(false),
            stop: watch::channel(false).0,
            driver: Mutex::new(None),
        };
        let aftermath = manager.step_many(vec![Event::ConfigLoaded(plan)]);
        // Nobody waits yet: the records are fsynced before those of the first caller.
        drop(aftermath.appends);
        manager.publish(aftermath.rows);
        Ok(Arc::new(manager))
    }

    /// Spawns the driver. Messages that were under way when the last process ended go out again.
    pub fn start(self: &Arc<Self>) {
        let mut driver = lock(&self.driver);
        if driver.is_none() {
            *driver = Some(tokio::spawn(driver::run(self.clone())));
        }
    }

    /// Takes a new configuration, and where people find us now. When its template files are at
    /// fault, the old one stays.
    pub async fn reload(&self, config: Config, external_url: &str) -> Result<(), Error> {
        let templates = texts::load(&self.doors.disk, &config.templates)?;
        let plan = Arc::new(Plan::new(&config));
        let live = Live { config, templates, external_url: external_url.to_owned() };
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        let aftermath = self.step_many(vec![Event::ConfigLoaded(plan)]);
        if let Err(error) = self.settle(aftermath).await {
            // It is in force all the same, and the snapshot that is due now will hold it.
            tracing::error!(%error, "the alert log did not take what the reload changed");
        }
        Ok(())
    }

    /// Ends the driver and the couriers, writes a snapshot and closes the log.
    pub async fn stop(self: &Arc<Self>) {
        self.stop.send_replace(true);
        let driver = lock(&self.driver).take();
        if let Some(driver) = driver
            && let Err(error) = driver.await
        {
            tracing::error!(%error, "the alert manager's driver ended badly");
        }
        let own = self.clone();
        let closed = tokio::task::spawn_blocking(move || {
            if let Err(error) = own.compact() {
                tracing::error!(%error, "no snapshot of the alert state; its log is replayed");
            }
            own.log.close();
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "the alert log was not closed");
        }
    }

    /// Puts alerts, groups, silences and what was notified into a folder, as of this call; it opens
    /// as an alert manager's folder by itself. Holds the thread until it is durable.
    pub fn snapshot(&self, to: &Path) -> Result<(), Error> {
        self.log.copy_to(to)
    }

    /// Steps the core with each event in order; records are enqueued before the lock is given back.
    fn step_many(&self, events: Vec<Event>) -> Aftermath {
        let mut after = Aftermath { appends: Vec::new(), deliveries: Vec::new(), rows: Vec::new() };
        let mut core = lock(&self.core);
        for event in events {
            for effect in step(&mut core, self.now(), event) {
                match effect {
                    Effect::Append(records) => after.appends.push(self.append(&records)),
                    Effect::Deliver(delivery) => after.deliveries.push(delivery),
                    Effect::Publish(row) => after.rows.push(row),
                    Effect::WakeAt(_) => {} // The driver asks the state itself.
                }
            }
        }
        drop(core);
        self.wake.notify_one();
        after
    }

    fn append(&self, records: &[Record]) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(self.log.append(records))
    }

    /// Waits until the records are fsynced; answers what is to be delivered then.
    async fn settle(&self, after: Aftermath) -> Result<Vec<Delivery>, Error> {
        let mut failed = None;
        for append in after.appends {
            if let Err(error) = append.await {
                lock(&self.ledger).stats.log_failures += 1;
                self.snapshot_due.store(true, Ordering::Relaxed);
                failed = Some(error);
            }
        }
        self.publish(after.rows);
        match failed {
            None => Ok(after.deliveries),
            Some(error) if after.deliveries.is_empty() => Err(error),
            Some(error) => {
                tracing::error!(%error, "alerts are sent although their log can't be written");
                Ok(after.deliveries)
            }
        }
    }

    fn publish(&self, rows: Vec<HistoryRow>) {
        let mut ledger = lock(&self.ledger);
        rows.into_iter().for_each(|row| ledger.note(row));
    }

    fn compact(&self) -> Result<(), Error> {
        let core = lock(&self.core);
        let done = self.log.compact(&core);
        self.snapshot_due.store(done.is_err(), Ordering::Relaxed);
        done
    }

    fn now(&self) -> TimestampMs {
        self.doors.clock.now()
    }

    fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Alerts that fire, by fingerprint.
    pub fn alerts(&self) -> Vec<AlertView> {
        lock(&self.core).alert_views(self.now())
    }

    /// Groups and what is under way for them, by labels and receiver.
    pub fn groups(&self) -> Vec<GroupView> {
        lock(&self.core).group_views(self.now())
    }

    /// The labels of a group's route, as the configuration has them (templates not executed).
    pub fn route_labels(&self, group: &GroupView) -> Vec<(String, String)> {
        let live = self.live();
        find_route(&live.config.route, &group.route).map_or(Vec::new(), |own| own.labels.clone())
    }

    /// The receivers' names and labels.
    pub fn receivers(&self) -> Vec<(String, Vec<(String, String)>)> {
        let live = self.live();
        live.config.receivers.iter().map(|own| (own.name.clone(), own.labels.clone())).collect()
    }

    /// The configuration in force, secrets replaced.
    pub fn config_text(&self) -> String {
        self.live().config.original().to_owned()
    }

    /// What happened, the newest first, at most `rows_max` rows of the recent past.
    pub fn history(&self, rows_max: usize) -> Vec<HistoryRow> {
        lock(&self.ledger).newest(rows_max)
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        let now = self.now();
        let (alerts, groups, silences) = {
            let core = lock(&self.core);
            (core.alert_views(now), core.group_views(now), core.silence_views(now))
        };
        let mut stats = lock(&self.ledger).stats.clone();
        stats.alerts_firing = alerts.len();
        stats.alerts_suppressed = alerts.iter().filter(|own| own.state() == "suppressed").count();
        stats.groups = groups.len();
        stats.undelivered = groups.iter().map(|own| own.pending.len()).sum();
        for silence in silences {
            let index = match silence.state {
                SilenceState::Active => 0,
                SilenceState::Pending => 1,
                SilenceState::Expired => 2,
            };
            stats.silences[index] += 1;
        }
        stats.log_bytes = self.log.size_bytes();
        stats
    }
}

impl AlertSink for Alertmanager {
    fn send(&self, alerts: Vec<Alert>) -> BoxFuture<'_, Result<(), AlertSinkError>> {
        Box::pin(async move {
            let mut wrong = Vec::new();
            let mut good = Vec::new();
            for alert in alerts {
                match check_alert(&alert) {
                    Ok(()) => good.push(alert),
                    Err(reason) => wrong.push(reason),
                }
            }
            {
                let mut ledger = lock(&self.ledger);
                ledger.stats.alerts_received += good.len() as u64;
                ledger.stats.alerts_invalid += wrong.len() as u64;
            }
            if !good.is_empty() {
                let aftermath = self.step_many(vec![Event::AlertBatch(good)]);
                let settled = self.settle(aftermath).await;
                settled
                    .map_err(|error| AlertSinkError::Unavailable { reason: error.to_string() })?;
            }
            if wrong.is_empty() {
                Ok(())
            } else {
                Err(AlertSinkError::Invalid { reason: wrong.join("; ") })
            }
        })
    }
}

/// How long a stop waits for attempts under way; what they were doing is done again at the start.
const STOP_MAX: Duration = Duration::from_secs(10);
/// The driver looks at the clock at least this often, since a wall clock may jump.
const LOOK_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
