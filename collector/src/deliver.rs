//! Batches on their way to the store, and those that wait for it.
//!
//! Place in the flow: `worker` (one batch per scrape) → **`Deliver`** → `model::Append`.
//!
//! Scrapes come one by one, all over the interval. Each would cost the store a sync of its own, so
//! batches gather for a moment and go together.
//!
//! When the store can't take samples for a while (disk full), batches wait here in order, up to a
//! limit of bytes; the oldest goes first when the room is full, and is counted. So a short trouble
//! costs nothing, and a long one never the memory.
//!
//! Invariants: while anything waits, later batches queue behind it; the sum of bytes is the sum over
//! the queue.
//!
//! Not here: what is in a batch (`pass`), durability (storage).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::append::SeriesKey;
use model::{Append, Appended, Batch, SeriesIx};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::status::Counters;

/// Most bytes of batches that wait. Some hours of a small installation, minutes of a large one.
pub(crate) const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for one commit; after that it counts as not taken and is tried again, which is safe
/// because the store takes an exact duplicate as accepted.
const APPEND_DEADLINE: Duration = Duration::from_secs(30);
/// First and longest pause between two attempts.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// How long batches gather: seldom enough that syncs cost little, often enough that nobody sees it.
const GATHERING: Duration = Duration::from_millis(200);
/// Of a short scrape interval, gathering takes at most one part in this.
const GATHERING_SHARE: u64 = 5;

/// How long the batches of a target gather with those of others.
pub(crate) fn gathering(interval_ms: u64) -> Duration {
    GATHERING.min(Duration::from_millis(interval_ms / GATHERING_SHARE))
}

/// Hands batches to the store.
pub(crate) struct Deliver {
    append: Arc<dyn Append>,
    counters: Arc<Counters>,
    queue: Mutex<Queue>, // Held for pushes and pops, never over a commit.
    arrived: tokio::sync::Notify,
    waiting_bytes_max: usize,
    began: Instant,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Waiting>,
    bytes: usize,
    next_number: u64,
}

#[derive(Clone)]
struct Waiting {
    number: u64,
    target: String,
    batch: Batch,
    bytes: usize,
}

impl Deliver {
    pub(crate) fn new(
        append: Arc<dyn Append>,
        counters: Arc<Counters>,
        waiting_bytes_max: usize,
    ) -> Deliver {
        let arrived = tokio::sync::Notify::new();
        let (queue, began) = (Mutex::default(), Instant::now());
        Deliver { append, counters, queue, arrived, waiting_bytes_max, began }
    }

    /// Waits for the next moment at which batches go together.
    pub(crate) async fn gather(&self, period: Duration) {
        let period_ms = period.as_millis().max(1);
        let ahead_ms = period_ms - self.began.elapsed().as_millis() % period_ms;
        tokio::time::sleep(Duration::from_millis(u64::try_from(ahead_ms).unwrap_or(0))).await;
    }

    /// Commits a batch, or lets it wait; `None` when it waits.
    pub(crate) async fn send(&self, target: &str, batch: &Batch) -> Option<Appended> {
        if batch.is_empty() {
            return Some(Appended::default());
        }
        if self.with_queue(|queue| queue.batches.is_empty()) {
            match self.commit(target, batch.clone()).await {
                Ok(appended) => return Some(appended),
                Err(reason) => self.note_unavailable(target, &reason),
            }
        }
        self.enqueue(target, batch.clone());
        None
    }

    async fn commit(&self, target: &str, batch: Batch) -> Result<Appended, String> {
        let appended = tokio::time::timeout(APPEND_DEADLINE, self.append.append(batch));
        match appended.await {
            Ok(Ok(appended)) => {
                self.counters.note_appended(target, &appended);
                Ok(appended)
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", APPEND_DEADLINE.as_secs())),
        }
    }

    fn note_unavailable(&self, target: &str, reason: &str) {
        let first = self.with_queue(|queue| queue.batches.is_empty());
        self.counters.with(|stats| stats.appends_unavailable += 1);
        if first {
            tracing::warn!(target_name = target, reason, "samples wait for the store");
        }
    }

    fn enqueue(&self, target: &str, batch: Batch) {
        let bytes = size_of_batch(&batch);
        let dropped = self.with_queue(|queue| {
            let number = queue.next_number;
            queue.next_number += 1;
            queue.bytes += bytes;
            queue.batches.push_back(Waiting { number, target: target.to_owned(), batch, bytes });
            let mut dropped = Vec::new();
            while queue.bytes > self.waiting_bytes_max {
                let Some(oldest) = queue.batches.pop_front() else { break };
                queue.bytes -= oldest.bytes;
                dropped.push(oldest.batch.samples().len() as u64);
            }
            dropped
        });
        if !dropped.is_empty() {
            let samples: u64 = dropped.iter().sum();
            self.counters.with(|stats| {
                stats.batches_dropped += dropped.len() as u64;
                stats.samples_dropped += samples;
            });
            tracing::error!(samples, "samples were given up: the store takes none for too long");
        }
        self.show_queue();
        self.arrived.notify_one();
    }

    /// Commits what waits, in order, until told to end; then tries once more.
    pub(crate) async fn run(&self, ending: CancellationToken) {
        let mut pause = RETRY_FIRST;
        while !ending.is_cancelled() {
            let empty = self.with_queue(|queue| queue.batches.is_empty());
            let wake = async {
                if empty {
                    self.arrived.notified().await;
                } else {
                    tokio::time::sleep(pause).await;
                }
            };
            tokio::select! {
                () = ending.cancelled() => break,
                () = wake => {}
            }
            let done = self.drain().await;
            pause = if done { RETRY_FIRST } else { (pause * 2).min(RETRY_LONGEST) };
        }
        self.drain().await;
    }

    /// Whether the queue is empty afterwards.
    async fn drain(&self) -> bool {
        let mut late = 0_u64;
        loop {
            let Some(front) = self.with_queue(|queue| queue.batches.front().cloned()) else {
                if late > 0 {
                    tracing::info!(batches = late, "the store takes samples again");
                }
                return true;
            };
            if self.commit(&front.target, front.batch).await.is_err() {
                self.counters.with(|stats| stats.appends_unavailable += 1);
                return false;
            }
            late += 1;
            self.with_queue(|queue| {
                // It may have been dropped meanwhile to make room.
                if queue.batches.front().is_some_and(|other| other.number == front.number) {
                    queue.batches.pop_front();
                    queue.bytes -= front.bytes;
                }
            });
            self.show_queue();
        }
    }

    fn show_queue(&self) {
        let (batches, bytes) = self.with_queue(|queue| (queue.batches.len(), queue.bytes));
        self.counters.with(|stats| {
            stats.batches_waiting = batches as u64;
            stats.waiting_bytes = bytes as u64;
        });
    }

    fn with_queue<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        change(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// About how much memory a batch holds.
fn size_of_batch(batch: &Batch) -> usize {
    let keys: usize = (0..batch.series_count())
        .map(|index| match batch.key(SeriesIx(u32::try_from(index).unwrap_or(u32::MAX))) {
            SeriesKey::Known(_) => 24,
            SeriesKey::Labels { text, ends } => 24 + text.len() + 4 * ends.len(),
        })
        .sum();
    let exemplars = batch.exemplars().iter().map(|one| 64 + one.labels.text().len());
    let families = batch.families().iter().map(|(name, own)| 64 + name.len() + own.help.len());
    keys + 24 * batch.samples().len() + exemplars.chain(families).sum::<usize>()
}
