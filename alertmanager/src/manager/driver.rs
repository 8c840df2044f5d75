//! The driver: ticks the core, hands deliveries to couriers, takes their reports.
//!
//! Place in the flow: core ⇄ **driver** ⇄ couriers.
//!
//! Owns every courier: starts one for each integration, ends those that a reload removed, waits for
//! all at the stop.
//!
//! Not here: what is to be done (core), the attempts themselves (delivery).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Alertmanager, LOOK_MAX, STOP_MAX, lock};
use crate::core::effect::Delivery;
use crate::core::{Event, Outcome, Report};
use crate::delivery::{Courier, Ended, QUEUE_MAX};
use crate::receiver::Live;

/// Reports taken in one step of the core.
const REPORTS_MAX: usize = 256;

struct Couriers {
    by_key: BTreeMap<String, Courier>,
    /// Also those of couriers that were closed and are not yet over.
    tasks: JoinSet<()>,
    reports: mpsc::Sender<Ended>,
    live: Arc<Live>,
}

pub(super) async fn run(manager: Arc<Alertmanager>) {
    let (reports, mut inbox) = mpsc::channel(QUEUE_MAX);
    let mut couriers =
        Couriers { by_key: BTreeMap::new(), tasks: JoinSet::new(), reports, live: manager.live() };
    let mut stop = manager.stop.subscribe();
    loop {
        if *stop.borrow() {
            break;
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = manager.wake.notified() => {}
            () = tokio::time::sleep(manager.until_next()) => {}
            Some(ended) = inbox.recv() => {
                let mut batch = vec![ended];
                while batch.len() < REPORTS_MAX
                    && let Ok(ended) = inbox.try_recv()
                {
                    batch.push(ended);
                }
                manager.take_reports(batch, &mut couriers).await;
            }
        }
        couriers.follow(&manager.live());
        if manager.is_due() {
            manager.carry_out(vec![Event::Tick], &mut couriers).await;
        }
        snapshot_if_due(&manager).await;
    }
    manager.wind_up(couriers, &mut inbox).await;
}

impl Alertmanager {
    fn until_next(&self) -> Duration {
        let next_ms = lock(&self.core).next_wake_ms();
        let wait_ms = next_ms.map_or(i64::MAX, |at_ms| at_ms.saturating_sub(self.now().0));
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LOOK_MAX)
    }

    fn is_due(&self) -> bool {
        let next_ms = lock(&self.core).next_wake_ms();
        next_ms.is_some_and(|at_ms| at_ms <= self.now().0)
    }

    async fn take_reports(&self, batch: Vec<Ended>, couriers: &mut Couriers) {
        let mut events = Vec::new();
        for Ended { delivery, report } in batch {
            let way = way_of(&delivery.intent.integration);
            lock(&self.ledger).count_attempt(way, report.outcome);
            events.push(Event::DeliveryResult {
                group: delivery.intent.group.clone(),
                integration: delivery.intent.integration.clone(),
                seq: delivery.intent.seq,
                report,
            });
        }
        self.carry_out(events, couriers).await;
    }

    /// Steps, waits for the fsync, hands over. What a full courier gives back is stepped again.
    async fn carry_out(&self, mut events: Vec<Event>, couriers: &mut Couriers) {
        while !events.is_empty() {
            let aftermath = self.step_many(std::mem::take(&mut events));
            let deliveries = match self.settle(aftermath).await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    tracing::error!(%error, "the alert log can't be written");
                    continue;
                }
            };
            for delivery in deliveries {
                if let Err(ended) = self.hand_over(delivery, couriers) {
                    events.push(Event::DeliveryResult {
                        group: ended.delivery.intent.group.clone(),
                        integration: ended.delivery.intent.integration.clone(),
                        seq: ended.delivery.intent.seq,
                        report: ended.report,
                    });
                }
            }
        }
    }

    fn hand_over(&self, delivery: Delivery, couriers: &mut Couriers) -> Result<(), Box<Ended>> {
        let key = &delivery.intent.integration;
        if !couriers.by_key.contains_key(key) {
            couriers.follow(&self.live());
            if !couriers.knows(key) {
                let report = Report::plain(Outcome::Config, "the configuration lost this receiver");
                return Err(Box::new(Ended { delivery, report }));
            }
            let reports = couriers.reports.clone();
            let (courier, task) = Courier::new(self.live.clone(), self.doors.clone(), reports);
            couriers.tasks.spawn(task);
            couriers.by_key.insert(key.clone(), courier);
        }
        couriers.by_key[key].hand_over(delivery)
    }

    /// Ends the couriers. Attempts get a moment to end and their reports are taken.
    async fn wind_up(&self, mut couriers: Couriers, inbox: &mut mpsc::Receiver<Ended>) {
        couriers.by_key.clear();
        let deadline = tokio::time::sleep(STOP_MAX);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => break,
                Some(ended) = inbox.recv() => self.note_at_stop(ended).await,
                ended = couriers.tasks.join_next() => if ended.is_none() { break },
            }
        }
        couriers.tasks.shutdown().await;
        while let Some(Some(ended)) = inbox.recv().now_or_never() {
            self.note_at_stop(ended).await;
        }
    }

    /// A report at the stop is written down; what would follow waits for the next start.
    async fn note_at_stop(&self, ended: Ended) {
        let event = Event::DeliveryResult {
            group: ended.delivery.intent.group.clone(),
            integration: ended.delivery.intent.integration.clone(),
            seq: ended.delivery.intent.seq,
            report: ended.report,
        };
        let aftermath = self.step_many(vec![event]);
        if let Err(error) = self.settle(aftermath).await {
            tracing::error!(%error, "the alert log can't be written");
        }
    }
}

/// The way of an integration's key: `receiver/webhook/0`.
fn way_of(key: &str) -> &'static str {
    if key.rsplit('/').nth(1) == Some("email") { "email" } else { "webhook" }
}

impl Couriers {
    /// Closes couriers that the configuration no longer has, and lets go of those that ended.
    fn follow(&mut self, live: &Arc<Live>) {
        while self.tasks.try_join_next().is_some() {}
        if Arc::ptr_eq(&self.live, live) {
            return;
        }
        self.live = live.clone();
        let keys: Vec<String> = self.by_key.keys().cloned().collect();
        for key in keys {
            if !self.knows(&key) {
                self.by_key.remove(&key);
            }
        }
    }

    fn knows(&self, key: &str) -> bool {
        let mut known = self.live.config.receivers.iter().flat_map(|own| &own.integrations);
        known.any(|own| own.key == key)
    }
}

async fn snapshot_if_due(manager: &Arc<Alertmanager>) {
    if !manager.snapshot_due.load(Ordering::Relaxed) && !manager.log.has_grown() {
        return;
    }
    let own = manager.clone();
    match tokio::task::spawn_blocking(move || own.compact()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "no snapshot of the alert state"),
        Err(error) => tracing::error!(%error, "the snapshot of the alert state ended badly"),
    }
}
