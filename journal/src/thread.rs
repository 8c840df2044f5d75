//! The queue in front of the writer, and the one thread behind it.
//!
//! Place in the flow: `Journal::append` → **`thread`** → `writer`.
//!
//! While the disk syncs one commit, the next one collects; an append that finds the thread idle is
//! committed at once. So the wait is one sync when idle and at most two when busy.
//!
//! Invariants:
//! - Requests are served in the order of the calls.
//! - The queue never holds more than its bytes and its count (one record may be larger than both).
//! - Every request gets an answer, even when the thread ends.
//!
//! Not here: bytes and files (`writer`).

use crate::Error;
use crate::writer::{Item, SegmentWriter, Stats};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};

/// One commit takes at most this much, so that the first in line does not wait for all.
const COMMIT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// So many requests wait at most, however small they are.
const QUEUE_COUNT_MAX: usize = 64 * 1024;
/// An idle thread looks around this often even if nobody wakes it.
const IDLE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Where the answer to an append goes.
#[derive(Debug)]
pub(crate) enum Reply {
    Future(oneshot::Sender<Result<(), Error>>),
    Thread(SyncSender<Result<(), Error>>),
}

impl Reply {
    fn send(self, answer: Result<(), Error>) {
        // Who asked may have gone away; the record is kept all the same.
        match self {
            Reply::Future(sender) => drop(sender.send(answer)),
            Reply::Thread(sender) => drop(sender.try_send(answer)),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Request {
    Append(Item, Reply),
    Rotate(SyncSender<Result<u64, Error>>),
    RemoveBefore(u64, SyncSender<Result<(), Error>>),
    CopyTo(PathBuf, SyncSender<Result<u64, Error>>),
}

#[derive(Debug, Default)]
struct Line {
    requests: VecDeque<Request>,
    bytes: usize,
    is_closed: bool,
    refused: u64,
    /// The writer's counters after its last work.
    stats: Stats,
}

/// What callers and the thread share.
#[derive(Debug)]
pub(crate) struct Queue {
    dir: PathBuf,
    bytes_max: usize,
    line: Mutex<Line>,
    /// There is work, or the end.
    work: Condvar,
    /// There is room, or the end.
    room: Condvar,
    room_async: Notify,
}

impl Queue {
    pub(crate) fn new(dir: PathBuf, bytes_max: usize, stats: Stats) -> Arc<Queue> {
        Arc::new(Queue {
            dir,
            bytes_max,
            line: Mutex::new(Line { stats, ..Line::default() }),
            work: Condvar::new(),
            room: Condvar::new(),
            room_async: Notify::new(),
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> Error {
        Error::Closed { path: self.dir.clone() }
    }

    fn has_room(&self, line: &Line, bytes: usize) -> bool {
        line.requests.is_empty()
            || (line.bytes.saturating_add(bytes) <= self.bytes_max
                && line.requests.len() < QUEUE_COUNT_MAX)
    }

    /// Puts an append in line. `wait_max` is how long the calling thread may be held up for room.
    pub(crate) fn append(&self, item: Item, reply: Reply, wait_max: Duration) -> Result<(), Error> {
        let bytes = item.bytes();
        let deadline = Instant::now() + wait_max;
        let mut line = self.lock();
        while !line.is_closed && !self.has_room(&line, bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                line.refused += 1;
                let path = self.dir.clone();
                return Err(Error::Full {
                    what: "the queue of the journal",
                    action: "append to",
                    path,
                });
            }
            line = self.room.wait_timeout(line, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if line.is_closed {
            return Err(self.closed());
        }
        line.bytes += bytes;
        line.requests.push_back(Request::Append(item, reply));
        drop(line);
        self.work.notify_one();
        Ok(())
    }

    /// Puts a request of another kind in line; it needs no room.
    pub(crate) fn request(&self, request: Request) -> Result<(), Error> {
        let mut line = self.lock();
        if line.is_closed {
            return Err(self.closed());
        }
        line.requests.push_back(request);
        drop(line);
        self.work.notify_one();
        Ok(())
    }

    /// Waits until an append of some bytes would be let in, or until the journal is closed.
    pub(crate) async fn wait_for_room(&self, bytes: usize) {
        loop {
            let freed = self.room_async.notified();
            {
                let line = self.lock();
                if line.is_closed || self.has_room(&line, bytes) {
                    return;
                }
            }
            freed.await;
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let line = self.lock();
        let mut stats = line.stats;
        stats.queued_bytes = line.bytes as u64;
        stats.refused_appends = line.refused;
        stats
    }

    /// No more requests; the thread works off what is in line and ends.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.wake_all();
    }

    fn wake_all(&self) {
        self.work.notify_all();
        self.room.notify_all();
        self.room_async.notify_waiters();
    }

    /// Waits for requests and takes them, in order, up to what one commit holds. `None` at the end.
    fn take(&self) -> Option<Vec<Request>> {
        let mut line = self.lock();
        while line.requests.is_empty() {
            if line.is_closed {
                return None;
            }
            line = self
                .work
                .wait_timeout(line, IDLE_WAIT_MAX)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(request) = line.requests.front() {
            if let Request::Append(item, _) = request {
                if !taken.is_empty() && bytes + item.bytes() > COMMIT_BYTES_MAX {
                    break;
                }
                bytes += item.bytes();
            }
            taken.extend(line.requests.pop_front());
        }
        line.bytes -= bytes;
        drop(line);
        self.room.notify_all();
        self.room_async.notify_waiters();
        Some(taken)
    }
}

/// Ends the queue when the thread ends, however it ends: nobody waits for an answer in vain.
struct EndQueue(Arc<Queue>);

impl Drop for EndQueue {
    fn drop(&mut self) {
        let requests = {
            let mut line = self.0.lock();
            line.is_closed = true;
            line.bytes = 0;
            std::mem::take(&mut line.requests)
        };
        self.0.wake_all();
        for request in requests {
            if let Request::Append(_, reply) = request {
                reply.send(Err(self.0.closed()));
            }
        }
    }
}

/// What the thread does until the queue is closed and empty.
pub(crate) fn run(queue: Arc<Queue>, mut writer: SegmentWriter) {
    let end = EndQueue(queue);
    while let Some(requests) = end.0.take() {
        serve(&end.0, &mut writer, requests);
    }
}

/// Appends that follow each other share a commit.
fn serve(queue: &Queue, writer: &mut SegmentWriter, requests: Vec<Request>) {
    let mut items = Vec::with_capacity(requests.len());
    let mut replies = Vec::with_capacity(requests.len());
    for request in requests {
        match request {
            Request::Append(item, reply) => {
                items.push(item);
                replies.push(reply);
            }
            Request::Rotate(reply) => {
                commit(queue, writer, &mut items, &mut replies);
                let answer = writer.rotate();
                queue.lock().stats = writer.stats();
                drop(reply.try_send(answer));
            }
            Request::RemoveBefore(segment, reply) => {
                commit(queue, writer, &mut items, &mut replies);
                let answer = writer.remove_before(segment);
                queue.lock().stats = writer.stats();
                drop(reply.try_send(answer));
            }
            Request::CopyTo(to, reply) => {
                commit(queue, writer, &mut items, &mut replies);
                let answer = writer.copy_to(&to);
                queue.lock().stats = writer.stats();
                drop(reply.try_send(answer));
            }
        }
    }
    commit(queue, writer, &mut items, &mut replies);
}

fn commit(
    queue: &Queue,
    writer: &mut SegmentWriter,
    items: &mut Vec<Item>,
    replies: &mut Vec<Reply>,
) {
    if items.is_empty() {
        return;
    }
    let answer = writer.commit(items);
    items.clear();
    // Who was answered finds the counters up to date.
    queue.lock().stats = writer.stats();
    for reply in replies.drain(..) {
        reply.send(answer.clone());
    }
}
