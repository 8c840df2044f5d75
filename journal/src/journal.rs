//! The handle of the record log: appends, rotation, removal, closing.
//!
//! Place in the flow: a room's record → **`journal`** → `thread` → `writer` → disk.
//!
//! Invariant: when the last clone goes, or `close` is called, what was appended is written and the
//! thread has ended.
//!
//! Not here: reading (`replay`).

use crate::disk::{Disk, DiskFile};
use crate::frame::{HeaderState, RECORD_BYTES_MAX, SEGMENT_HEADER_BYTES, check_segment_header};
use crate::segment::{segment_number, segment_path};
use crate::thread::{Queue, Reply, Request, run};
use crate::writer::{Item, SegmentWriter, Stats};
use crate::{Error, Replay};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a blocking call waits for room in the queue, and then for the disk.
const BLOCKING_WAIT_MAX: Duration = Duration::from_secs(120);
/// A segment smaller than this would be mostly file names.
const SEGMENT_BYTES_MIN: u64 = 4 * 1024;

/// Sizes of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalOptions {
    /// A segment is ended before it grows over this. A single larger record gets its own.
    pub segment_bytes_max: u64,
    /// Bytes that wait for the disk before appends are turned away.
    pub queue_bytes_max: usize,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions { segment_bytes_max: 128 * 1024 * 1024, queue_bytes_max: 128 * 1024 * 1024 }
    }
}

/// A record log in a folder of its own. A clone is cheap and leads to the same log.
#[derive(Debug, Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    /// Works off the queue and ends the thread.
    fn close(&self) {
        self.queue.close();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!(
                "the writer of a journal panicked; its last appends were not confirmed"
            );
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal {
    /// Opens the log in a folder, which is created when it is not there, and starts its writer.
    /// Everything appended goes to a new segment. The replay reads what was there before; it may be
    /// read at any time, also while new records are appended.
    pub fn open(
        disk: Disk,
        dir: &Path,
        options: JournalOptions,
    ) -> Result<(Journal, Replay), Error> {
        let (writer, replay) = open_parts(disk, dir, &options)?;
        let queue = Queue::new(dir.to_owned(), options.queue_bytes_max, writer.stats());
        let thread = start_writer(queue.clone(), writer)
            .map_err(|source| Error::io("start the writer of", dir, source))?;
        let shared = Shared { queue, thread: Mutex::new(Some(thread)) };
        Ok((Journal { shared: Arc::new(shared) }, replay))
    }

    /// Appends a record. It has its place in the order when this returns; the future resolves when
    /// it is on the disk, and may be dropped without taking the record back.
    ///
    /// When the queue is full the answer is [`Error::Full`] at once; [`Journal::room`] waits.
    pub fn append(
        &self,
        kind: u8,
        payload: Vec<u8>,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        self.enqueue(Item::Record { kind, payload })
    }

    /// Appends records that survive all or not at all; otherwise as [`Journal::append`].
    pub fn append_many(
        &self,
        records: Vec<(u8, Vec<u8>)>,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        self.enqueue(Item::Group(records))
    }

    /// Appends a record and holds the thread until it is on the disk.
    pub fn append_blocking(&self, kind: u8, payload: Vec<u8>) -> Result<(), Error> {
        self.enqueue_blocking(Item::Record { kind, payload })
    }

    /// Appends records that survive all or not at all, and holds the thread until they are on the
    /// disk.
    pub fn append_many_blocking(&self, records: Vec<(u8, Vec<u8>)>) -> Result<(), Error> {
        self.enqueue_blocking(Item::Group(records))
    }

    /// Appends groups in this order, each of which survives all or not at all, and holds the thread
    /// until all of them are on the disk. When it fails, the first of them may be there. Nothing is
    /// appended when one of them is too large.
    pub fn append_groups_blocking(&self, groups: Vec<Vec<(u8, Vec<u8>)>>) -> Result<(), Error> {
        let items: Vec<Item> = groups.into_iter().map(Item::Group).collect();
        items.iter().try_for_each(|item| self.check(item))?;
        let mut answers = Vec::with_capacity(items.len());
        for item in items {
            answers.push(self.queue_blocking(item)?);
        }
        answers.iter().try_for_each(|receiver| self.wait(receiver))
    }

    /// Waits until the queue takes an append of that many bytes. The wait ends when the disk has
    /// answered for those in line, well or not.
    pub async fn room(&self, bytes: usize) {
        self.shared.queue.wait_for_room(bytes).await;
    }

    /// Begins a new segment and answers its number: what was appended before lies in segments with
    /// smaller numbers, what is appended after does not. Holds the thread for a sync.
    pub fn rotate(&self) -> Result<u64, Error> {
        let (sender, receiver) = sync_channel(1);
        self.shared.queue.request(Request::Rotate(sender))?;
        self.wait(&receiver)
    }

    /// Removes all segments with smaller numbers than this one. Holds the thread for a sync.
    pub fn remove_before(&self, segment: u64) -> Result<(), Error> {
        let (sender, receiver) = sync_channel(1);
        self.shared.queue.request(Request::RemoveBefore(segment, sender))?;
        self.wait(&receiver)
    }

    /// Puts everything that was appended before this call into another folder, which is created, and
    /// answers the number of the segment that begins after it. The folder opens as a journal by
    /// itself. Its files are second names of ours where the file system allows it, else copies, for
    /// which appends wait. Holds the thread until all of it is durable.
    pub fn copy_to(&self, to: &Path) -> Result<u64, Error> {
        let (sender, receiver) = sync_channel(1);
        self.shared.queue.request(Request::CopyTo(to.to_owned(), sender))?;
        self.wait(&receiver)
    }

    /// Bytes of all segment files.
    pub fn size_bytes(&self) -> u64 {
        self.shared.queue.stats().size_bytes
    }

    /// Counters since open.
    pub fn stats(&self) -> Stats {
        self.shared.queue.stats()
    }

    /// Writes what was appended and ends the writer. Later appends answer [`Error::Closed`].
    pub fn close(&self) {
        self.shared.close();
    }

    fn enqueue(
        &self,
        item: Item,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let queue = &self.shared.queue;
        let (sender, receiver) = oneshot::channel();
        let queued = self
            .check(&item)
            .and_then(|()| queue.append(item, Reply::Future(sender), Duration::ZERO));
        let dir = queue.dir().to_owned();
        async move {
            queued?;
            receiver.await.unwrap_or(Err(Error::Closed { path: dir }))
        }
    }

    fn enqueue_blocking(&self, item: Item) -> Result<(), Error> {
        self.check(&item)?;
        let receiver = self.queue_blocking(item)?;
        self.wait(&receiver)
    }

    /// Puts an item in line, once there is room; the answer comes through the receiver.
    fn queue_blocking(&self, item: Item) -> Result<Receiver<Result<(), Error>>, Error> {
        let (sender, receiver) = sync_channel(1);
        self.shared.queue.append(item, Reply::Thread(sender), BLOCKING_WAIT_MAX)?;
        Ok(receiver)
    }

    fn check(&self, item: &Item) -> Result<(), Error> {
        let bytes = item.bytes();
        if bytes > RECORD_BYTES_MAX {
            let path = self.shared.queue.dir().to_owned();
            return Err(Error::TooLarge { bytes, bytes_max: RECORD_BYTES_MAX, path });
        }
        Ok(())
    }

    fn wait<T>(&self, receiver: &Receiver<Result<T, Error>>) -> Result<T, Error> {
        use std::sync::mpsc::RecvTimeoutError;
        let dir = self.shared.queue.dir();
        match receiver.recv_timeout(BLOCKING_WAIT_MAX) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Disconnected) => Err(Error::Closed { path: dir.to_owned() }),
            Err(RecvTimeoutError::Timeout) => {
                let source = std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    "the disk has not answered for two minutes",
                );
                Err(Error::io("append to", dir, source))
            }
        }
    }
}

fn start_writer(queue: Arc<Queue>, writer: SegmentWriter) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("journal".to_owned()).spawn(move || run(queue, writer))
}

/// The writer and the reader of a folder, without a thread.
pub(crate) fn open_parts(
    disk: Disk,
    dir: &Path,
    options: &JournalOptions,
) -> Result<(SegmentWriter, Replay), Error> {
    disk.create_dir_all(dir).map_err(|source| Error::io("create", dir, source))?;
    let mut segments = BTreeMap::new();
    for entry in disk.list(dir).map_err(|source| Error::io("list", dir, source))? {
        let Some(segment) = segment_number(&entry.name) else { continue };
        let path = segment_path(dir, segment);
        if entry.is_dir {
            let what = "a folder stands where a segment should: move it away; it stands".to_owned();
            return Err(Error::Corrupt { what, path });
        }
        match disk.open(&path) {
            Ok(file) => refuse_newer(&file, segment)?,
            // A person can give the permission, and nothing is lost then.
            Err(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(Error::io("open", &path, source));
            }
            // The replay names it and goes on.
            Err(_) => {}
        }
        segments.insert(segment, entry.size_bytes);
    }
    make_durable(&disk, dir, segments.last_key_value().map(|(segment, _)| *segment))?;
    let next_segment = match segments.last_key_value() {
        Some((last, _)) => last.checked_add(1).ok_or_else(|| Error::Corrupt {
            what: "a segment has the highest number there is: move it away; it stands".to_owned(),
            path: segment_path(dir, *last),
        })?,
        None => 1,
    };
    let replay = Replay::new(disk.clone(), dir.to_owned(), segments.keys().copied().collect());
    let segment_bytes_max = options.segment_bytes_max.max(SEGMENT_BYTES_MIN);
    let writer =
        SegmentWriter::new(disk, dir.to_owned(), segment_bytes_max, segments, next_segment);
    Ok((writer, replay))
}

/// Syncs what a process that was killed may have left unsynced: the bytes of the newest segment, and
/// the names. Who replays them takes them for durable, and a power cut must not take them back.
fn make_durable(disk: &Disk, dir: &Path, newest: Option<u64>) -> Result<(), Error> {
    let Some(newest) = newest else { return Ok(()) };
    let path = segment_path(dir, newest);
    // One that cannot be opened cannot be replayed either.
    if let Ok(file) = disk.open(&path)
        && file.sync_data().is_err()
    {
        // What that sync should have written may be lost, and a second one proves nothing: the
        // bytes go to another file, while they still can be read.
        let size_bytes = file.size_bytes().map_err(|source| Error::io("measure", &path, source))?;
        if let Ok(bytes) = disk.read(&path, usize::try_from(size_bytes).unwrap_or(usize::MAX)) {
            disk.write_atomic(&path, &bytes).map_err(|source| Error::io("write", &path, source))?;
        }
    }
    disk.sync_dir(dir).map_err(|source| Error::io("sync", dir, source))
}

/// A header that cannot be read is damage, which the replay names; a newer one stops us.
fn refuse_newer(file: &DiskFile, segment: u64) -> Result<(), Error> {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    let Ok(()) = file.read_exact_at(0, &mut header) else { return Ok(()) };
    match check_segment_header(&header, segment) {
        HeaderState::Newer(found) => {
            let path = file.path().to_owned();
            Err(Error::NewerFormat { path, found, known: crate::frame::FORMAT_VERSION })
        }
        HeaderState::Good | HeaderState::Damaged => Ok(()),
    }
}

#[cfg(test)]
mod tests;
