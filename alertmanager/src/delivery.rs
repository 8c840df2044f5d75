//! One courier per integration: a task with a bounded queue that runs attempts.
//!
//! Place in the flow: core's `Deliver` → **courier** → receiver → report → core.
//!
//! Invariants:
//! - A receiver that hangs holds up only its own courier.
//! - A full queue is an answer ("later"), never a wait: the core keeps the message.
//! - Every delivery that was taken gets exactly one report, unless the process ends.
//!
//! Not here: back-off and supersession (core), the wire (receiver).

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::core::{Delivery, Outcome, Report};
use crate::receiver::{self, Doors, Live};

/// Deliveries that wait for a courier; more are told to come later.
pub(crate) const QUEUE_MAX: usize = 256;
/// Attempts of one integration at the same time, so that one slow group does not hold up others.
pub(crate) const ATTEMPTS_MAX: usize = 4;

/// The end of an attempt on its way to the core.
pub(crate) struct Ended {
    pub(crate) delivery: Delivery,
    pub(crate) report: Report,
}

/// What attempts use; a reload replaces it.
pub(crate) type SharedLive = Arc<RwLock<Arc<Live>>>;

/// The way into one integration's task. Dropping it ends the task once its attempts are over.
pub(crate) struct Courier {
    queue: mpsc::Sender<Delivery>,
}

impl Courier {
    /// The courier and its task, which the caller spawns and owns.
    pub(crate) fn new(
        live: SharedLive,
        doors: Doors,
        reports: mpsc::Sender<Ended>,
    ) -> (Courier, impl Future<Output = ()> + Send + 'static) {
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        (Courier { queue }, run(inbox, live, doors, reports))
    }

    /// Hands over a delivery, or gives it back with the report that it must come later.
    pub(crate) fn hand_over(&self, delivery: Delivery) -> Result<(), Box<Ended>> {
        self.queue.try_send(delivery).map_err(|error| {
            let delivery = error.into_inner();
            let report = Report::plain(Outcome::Transient, "the integration's queue is full");
            Box::new(Ended { delivery, report })
        })
    }
}

async fn run(
    mut inbox: mpsc::Receiver<Delivery>,
    live: SharedLive,
    doors: Doors,
    reports: mpsc::Sender<Ended>,
) {
    let mut attempts: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            delivery = inbox.recv(), if attempts.len() < ATTEMPTS_MAX => {
                let Some(delivery) = delivery else { break };
                let live = live.read().unwrap_or_else(PoisonError::into_inner).clone();
                let (doors, reports) = (doors.clone(), reports.clone());
                attempts.spawn(async move {
                    let report = receiver::attempt(&delivery, &live, &doors).await;
                    // No receiver means that the whole room is stopping.
                    let _ = reports.send(Ended { delivery, report }).await;
                });
            }
            Some(_) = attempts.join_next() => {}
        }
    }
    while attempts.join_next().await.is_some() {}
}
