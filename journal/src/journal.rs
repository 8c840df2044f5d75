//! The handle of the record log. (Signatures first; the writer follows.)

use crate::disk::Disk;
use crate::{Error, Replay};
use std::path::{Path, PathBuf};

/// Sizes of a journal.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// A segment is ended before it grows over this.
    pub segment_bytes_max: u64,
    /// Bytes that wait for the disk before appends are turned away.
    pub queue_bytes_max: usize,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions { segment_bytes_max: 128 << 20, queue_bytes_max: 128 << 20 }
    }
}

/// Counters since open.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Appends acknowledged.
    pub appends: u64,
}

/// A record log. A clone is cheap and leads to the same log.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: PathBuf,
}

impl Journal {
    /// Opens the log in a folder.
    pub fn open(
        _disk: Disk,
        dir: &Path,
        _options: JournalOptions,
    ) -> Result<(Journal, Replay), Error> {
        Err(Error::Closed { path: dir.to_owned() })
    }

    fn closed(&self) -> Error {
        Error::Closed { path: self.dir.clone() }
    }

    /// Appends a record; the answer comes when it is on the disk.
    pub fn append(
        &self,
        _kind: u8,
        _payload: Vec<u8>,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        std::future::ready(Err(self.closed()))
    }

    /// Appends records, all or none of which survive.
    pub fn append_many(
        &self,
        _records: Vec<(u8, Vec<u8>)>,
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        std::future::ready(Err(self.closed()))
    }

    /// Appends a record and waits.
    pub fn append_blocking(&self, _kind: u8, _payload: Vec<u8>) -> Result<(), Error> {
        Err(self.closed())
    }

    /// Appends records, all or none of which survive, and waits.
    pub fn append_many_blocking(&self, _records: Vec<(u8, Vec<u8>)>) -> Result<(), Error> {
        Err(self.closed())
    }

    /// Begins a new segment and answers its number.
    pub fn rotate(&self) -> Result<u64, Error> {
        Err(self.closed())
    }

    /// Removes all segments before this one.
    pub fn remove_before(&self, _segment: u64) -> Result<(), Error> {
        Err(self.closed())
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Counters since open.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Waits for what was appended, then ends the writer.
    pub fn close(&self) {}
}
