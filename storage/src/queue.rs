//! Batches on their way to the committer: a queue with a length in bytes.
//!
//! Place in the flow: [`model::Append::append`] → **queue** → committer. Whoever comes when it is
//! full waits for room, in order.
//!
//! Invariants: a batch in the queue is always answered. The bytes in it stay within the limit, but
//! for a single batch larger than all of it.
//!
//! Not here: what is done with a batch (`commit`).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use model::append::SeriesKey;
use model::{AppendError, Appended, Batch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// One batch that waits.
#[derive(Debug)]
pub struct Waiting {
    /// The batch.
    pub batch: Batch,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Appended, AppendError>>,
    /// Its memory, roughly.
    pub bytes: u32,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    closed: bool,
}

/// The queue of one store.
#[derive(Debug)]
pub struct Queue {
    line: Mutex<Line>,
    changed: Condvar,
    room: Arc<Semaphore>,
    bytes_max: u32,
}

/// Batches that are committed together take at most this.
const GROUP_BYTES_MAX: u64 = 16 * 1024 * 1024;

impl Queue {
    /// A queue for that many bytes.
    pub fn new(bytes_max: u64) -> Queue {
        let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(bytes_max as usize));
        Queue { line: Mutex::default(), changed: Condvar::new(), room, bytes_max }
    }

    /// Bytes that wait now.
    pub fn bytes(&self) -> u64 {
        u64::from(self.bytes_max).saturating_sub(self.room.available_permits() as u64)
    }

    /// Waits for room, then for the answer.
    pub async fn append(&self, batch: Batch) -> Result<Appended, AppendError> {
        let bytes = batch_bytes(&batch).clamp(1, self.bytes_max);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let room = room.map_err(|_| AppendError::Stopping)?;
        let (answer, answered) = oneshot::channel();
        {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            if line.closed {
                return Err(AppendError::Stopping);
            }
            line.waiting.push_back(Waiting { batch, answer, bytes, _room: room });
        }
        self.changed.notify_one();
        answered.await.unwrap_or(Err(AppendError::Stopping))
    }

    /// The next batches, in order; none once the queue is closed and empty.
    pub fn take(&self) -> Vec<Waiting> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        while line.waiting.is_empty() && !line.closed {
            line = self.changed.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = line.waiting.pop_front() {
            bytes += u64::from(next.bytes);
            taken.push(next);
            if bytes >= GROUP_BYTES_MAX {
                break;
            }
        }
        taken
    }

    /// Takes no further batches. Those in line are still worked off.
    pub fn close(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.room.close();
        self.changed.notify_all();
    }

    /// Closes, and answers those in line that nobody works them off any more.
    pub fn end(&self) {
        self.close();
        self.line.lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
    }
}

/// The memory of a batch, roughly: what bounds the queue need not be exact.
fn batch_bytes(batch: &Batch) -> u32 {
    let series =
        (0..batch.series_count() as u32).map(|index| match batch.key(model::SeriesIx(index)) {
            SeriesKey::Known(_) => 16,
            SeriesKey::Labels { text, ends } => 16 + text.len() + 4 * ends.len(),
        });
    let histograms = batch.histograms().iter().map(|one| one.histogram.bytes());
    let exemplars = batch.exemplars().iter().map(|one| 48 + one.labels.text().len());
    let families = batch.families().iter().map(|(name, own)| name.len() + own.help.len() + 64);
    let beside = histograms.chain(exemplars).chain(families).sum::<usize>();
    let bytes =
        series.sum::<usize>() + 24 * (batch.samples().len() + batch.starts().len()) + beside;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
