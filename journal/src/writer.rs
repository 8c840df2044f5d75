//! The synchronous heart of the log: groups of appends become one write and one sync.
//!
//! Place in the flow: `Journal::append` → `thread` → **`writer`** → `frame` → disk.
//!
//! Everything here happens on the caller's thread, so that tests can stop it at every operation of
//! the disk.
//!
//! Invariants:
//! - What lies before `end_bytes` of the open segment is durable, name included.
//! - A segment whose sync failed is never written or synced again.
//! - There is always a file with the highest number ever given out by [`SegmentWriter::rotate`].
//!
//! Not here: queues, threads, who waits for what (`thread`).

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::frame::{Encoder, SEGMENT_HEADER_BYTES, encoded_bytes_max, group_bytes, segment_header};
use crate::segment::segment_path;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A larger buffer is given back after the commit that needed it.
const BUFFER_KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one append asks for.
#[derive(Debug)]
pub(crate) enum Item {
    /// A record by itself.
    Record { kind: u8, payload: Vec<u8> },
    /// Records that survive all or not at all.
    Group(Vec<(u8, Vec<u8>)>),
}

impl Item {
    /// Its bytes before it is cut into fragments.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Item::Record { payload, .. } => payload.len(),
            Item::Group(records) => group_bytes(records),
        }
    }

    fn records(&self) -> u64 {
        match self {
            Item::Record { .. } => 1,
            Item::Group(records) => records.len() as u64,
        }
    }
}

/// Counters since open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Appends acknowledged; a group is one.
    pub appends: u64,
    /// Records acknowledged, members of groups included.
    pub records: u64,
    /// Bytes of acknowledged records.
    pub payload_bytes: u64,
    /// Bytes written for them.
    pub written_bytes: u64,
    /// Commits, each one write and one sync for all appends that waited.
    pub commits: u64,
    /// Syncs of files and folders.
    pub fsyncs: u64,
    /// Time spent in them.
    pub fsync_time_us: u64,
    /// The longest of them.
    pub fsync_time_us_max: u64,
    /// Appends that were answered with an error of the disk.
    pub failed_appends: u64,
    /// Appends turned away because the queue was full.
    pub refused_appends: u64,
    /// Segments left behind because a write or sync of theirs failed.
    pub abandoned_segments: u64,
    /// Segment files there are now.
    pub segments: u64,
    /// Bytes of all segment files.
    pub size_bytes: u64,
    /// Bytes that wait for the disk now.
    pub queued_bytes: u64,
}

/// The segment that is being written.
#[derive(Debug)]
struct OpenSegment {
    number: u64,
    path: PathBuf,
    file: DiskFile,
    /// Everything before it is durable.
    end_bytes: u64,
    /// The number of the next record.
    sequence: u32,
}

/// Writes segments; see the module.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    disk: Disk,
    dir: PathBuf,
    segment_bytes_max: u64,
    next_segment: u64,
    open: Option<OpenSegment>,
    /// The sizes of all other segments on the disk.
    ended: BTreeMap<u64, u64>,
    buffer: Vec<u8>,
    stats: Stats,
}

impl SegmentWriter {
    /// `ended` are the segments there are already, with their sizes; `next_segment` is larger than
    /// all of them. No file is made before the first commit.
    pub(crate) fn new(
        disk: Disk,
        dir: PathBuf,
        segment_bytes_max: u64,
        ended: BTreeMap<u64, u64>,
        next_segment: u64,
    ) -> SegmentWriter {
        assert!(ended.keys().all(|segment| *segment < next_segment), "numbers only grow");
        SegmentWriter {
            disk,
            dir,
            segment_bytes_max,
            next_segment,
            open: None,
            ended,
            buffer: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// Counters; those of the queue are not known here.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.segments = self.ended.len() as u64 + u64::from(self.open.is_some());
        stats.size_bytes =
            self.ended.values().sum::<u64>() + self.open.as_ref().map_or(0, |open| open.end_bytes);
        stats
    }

    /// Makes all items durable, or fails for all of them.
    pub(crate) fn commit(&mut self, items: &[Item]) -> Result<(), Error> {
        let done = self.try_commit(items);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES_MAX);
        match done {
            Ok(written_bytes) => {
                self.stats.appends += items.len() as u64;
                self.stats.records += items.iter().map(Item::records).sum::<u64>();
                self.stats.payload_bytes +=
                    items.iter().map(|item| item.bytes() as u64).sum::<u64>();
                self.stats.written_bytes += written_bytes;
                self.stats.commits += 1;
                Ok(())
            }
            Err(error) => {
                self.stats.failed_appends += items.len() as u64;
                Err(error)
            }
        }
    }

    fn try_commit(&mut self, items: &[Item]) -> Result<u64, Error> {
        let bytes_max: usize = items.iter().map(|item| encoded_bytes_max(item.bytes())).sum();
        if let Some(open) = &self.open
            && open.end_bytes > SEGMENT_HEADER_BYTES as u64
            && open.end_bytes + bytes_max as u64 > self.segment_bytes_max
        {
            self.end_segment();
        }
        match self.open.take() {
            Some(open) => self.write_to_open(open, items),
            None => self.write_to_new(items),
        }
    }

    fn write_to_open(&mut self, mut open: OpenSegment, items: &[Item]) -> Result<u64, Error> {
        let sequence = self.encode(open.number, open.end_bytes, open.sequence, items);
        if let Err(source) = open.file.append(&self.buffer) {
            let error = Error::io("write", &open.path, source);
            // With the disk full nothing is lost yet: the part that was written is cut off, and the
            // segment goes on when there is space again.
            if matches!(error, Error::Full { .. }) && open.file.truncate(open.end_bytes).is_ok() {
                self.open = Some(open);
            } else {
                self.abandon(open);
            }
            return Err(error);
        }
        if let Err(source) = self.timed_sync(|_| open.file.sync_data()) {
            let error = Error::io("sync", &open.path, source);
            self.abandon(open);
            return Err(error);
        }
        open.end_bytes += self.buffer.len() as u64;
        open.sequence = sequence;
        self.open = Some(open);
        Ok(self.buffer.len() as u64)
    }

    /// Begins a segment with these items; header and records share one write and one sync.
    fn write_to_new(&mut self, items: &[Item]) -> Result<u64, Error> {
        let number = self.next_segment;
        let following = number.checked_add(1).ok_or_else(|| Error::Corrupt {
            what: "there are no segment numbers left".to_owned(),
            path: self.dir.clone(),
        })?;
        // Never given out twice, not even when this one fails.
        self.next_segment = following;
        let path = segment_path(&self.dir, number);
        self.buffer.extend_from_slice(&segment_header(number));
        let sequence = self.encode(number, 0, 0, items);
        match self.create_segment(&path) {
            Ok(file) => {
                let end_bytes = self.buffer.len() as u64;
                self.open = Some(OpenSegment { number, path, file, end_bytes, sequence });
                Ok(end_bytes)
            }
            Err(error) => {
                // Nothing in it was acknowledged. If it cannot be removed it is a torn segment.
                let _ = self.disk.remove_file(&path);
                Err(error)
            }
        }
    }

    /// A new file with the bytes of the buffer, durable with its name.
    fn create_segment(&mut self, path: &Path) -> Result<DiskFile, Error> {
        let mut file =
            self.disk.create(path).map_err(|source| Error::io("create", path, source))?;
        file.append(&self.buffer).map_err(|source| Error::io("write", path, source))?;
        self.timed_sync(|_| file.sync_data()).map_err(|source| Error::io("sync", path, source))?;
        self.timed_sync(|writer| writer.disk.sync_dir(&writer.dir))
            .map_err(|source| Error::io("sync the folder of", path, source))?;
        Ok(file)
    }

    /// Lays the items down behind what the buffer holds; answers the next sequence number.
    fn encode(&mut self, segment: u64, offset: u64, sequence: u32, items: &[Item]) -> u32 {
        let mut encoder = Encoder { buffer: &mut self.buffer, segment, offset, sequence };
        for item in items {
            match item {
                Item::Record { kind, payload } => encoder.push_record(*kind, payload),
                Item::Group(records) => encoder.push_group(records),
            }
        }
        encoder.sequence
    }

    fn timed_sync(
        &mut self,
        sync: impl FnOnce(&SegmentWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = Instant::now();
        let done = sync(self);
        let time_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.stats.fsyncs += 1;
        self.stats.fsync_time_us += time_us;
        self.stats.fsync_time_us_max = self.stats.fsync_time_us_max.max(time_us);
        done
    }

    /// The next commit begins another segment.
    fn end_segment(&mut self) {
        if let Some(open) = self.open.take() {
            self.ended.insert(open.number, open.end_bytes);
        }
    }

    /// Leaves a segment whose last write or sync failed. What failed is cut off if the disk still
    /// allows it, so that it does not come back; it was not acknowledged either way.
    fn abandon(&mut self, mut open: OpenSegment) {
        let _ = open.file.truncate(open.end_bytes);
        self.ended.insert(open.number, open.end_bytes);
        self.stats.abandoned_segments += 1;
    }

    /// Begins a new segment, unless the open one is empty; answers its number.
    pub(crate) fn rotate(&mut self) -> Result<u64, Error> {
        if let Some(open) = &self.open
            && open.end_bytes == SEGMENT_HEADER_BYTES as u64
        {
            return Ok(open.number);
        }
        self.end_segment();
        let begun = self.write_to_new(&[]);
        self.buffer.clear();
        begun?;
        Ok(self.open.as_ref().map(|open| open.number).expect("it was just begun"))
    }

    /// Begins a new segment and gives every earlier one a second name in another folder (a copy,
    /// where links can't be made). The names are durable then. Answers the new segment.
    pub(crate) fn copy_to(&mut self, to: &Path) -> Result<u64, Error> {
        let begun = self.rotate()?;
        self.disk.create_dir_all(to).map_err(|source| Error::io("create", to, source))?;
        for number in self.ended.range(..begun).map(|(number, _)| *number) {
            let from = segment_path(&self.dir, number);
            self.disk
                .link_or_copy(&from, &segment_path(to, number))
                .map_err(|source| Error::io("link or copy", &from, source))?;
        }
        self.timed_sync(|writer| writer.disk.sync_dir(to))
            .map_err(|source| Error::io("sync", to, source))?;
        Ok(begun)
    }

    /// Removes all segments with smaller numbers, never the open one.
    pub(crate) fn remove_before(&mut self, segment: u64) -> Result<(), Error> {
        if self.ended.range(..segment).next().is_none() {
            return Ok(());
        }
        // A file must go on carrying the highest number, or the next start would count anew. A new
        // one is begun only when none would be left: on a full disk that could not be done.
        if self.open.is_none() && self.ended.range(segment..).next().is_none() {
            self.rotate()?;
        }
        while let Some(number) = self.ended.range(..segment).next().map(|(number, _)| *number) {
            let path = segment_path(&self.dir, number);
            match self.disk.remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::io("remove", &path, source)),
            }
            self.ended.remove(&number);
        }
        self.timed_sync(|writer| writer.disk.sync_dir(&writer.dir))
            .map_err(|source| Error::io("sync", &self.dir, source))
    }
}

#[cfg(test)]
mod tests;
