//! What can go wrong with bytes that shall survive, by what the caller does next.
//!
//! Place in the flow: every call of the journal answers with it.
//!
//! Not here: damage found while replaying; that is counted and named, not an error
//! ([`crate::Replay::damage`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the journal could not do what it was asked. A clone goes to every append of a failed group.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No space, on the disk or in the queue. Nothing was kept; try again later.
    #[error("{what} is full while trying to {action} {}: free space or wait, appends then resume by themselves", path.display())]
    Full {
        /// What is full: the disk, or the queue of the journal.
        what: &'static str,
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },

    /// The disk failed. The record was not acknowledged; it may or may not be there after a restart.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// The record is larger than any may be. Drop it; it can never be written.
    #[error("a record of {bytes} bytes for {} is over the limit of {bytes_max} bytes: split it", path.display())]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
        /// The folder of the journal.
        path: PathBuf,
    },

    /// The folder is not one that the journal wrote.
    #[error("{what} in {}", path.display())]
    Corrupt {
        /// What is wrong.
        what: String,
        /// The file or folder.
        path: PathBuf,
    },

    /// The segment was written by a newer Belfry.
    #[error("{} has journal format {found}, this Belfry reads up to {known}: start the newer version again, or restore the folder from before the upgrade", path.display())]
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// The version in its header.
        found: u32,
        /// The newest version known here.
        known: u32,
    },

    /// The journal was closed.
    #[error("the journal in {} is closed", path.display())]
    Closed {
        /// The folder of the journal.
        path: PathBuf,
    },
}

const THE_DISK: &str = "the disk";

/// The only thing callers may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Keep the record and try again later.
    Retry,
    /// The record can never be written; drop it and count it.
    Drop,
    /// Stop, and tell a person.
    StopAndTell,
}

impl Error {
    /// What the caller does next.
    pub fn next_step(&self) -> NextStep {
        match self {
            Error::Full { .. } | Error::Io { .. } => NextStep::Retry,
            Error::TooLarge { .. } => NextStep::Drop,
            Error::Corrupt { .. } | Error::NewerFormat { .. } | Error::Closed { .. } => {
                NextStep::StopAndTell
            }
        }
    }

    /// Whether the disk has no space left; a full queue is another matter.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Error::Full { what: THE_DISK, .. })
    }

    /// Sorts an error of the system into [`Error::Full`] and [`Error::Io`].
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Error {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::Full { what: THE_DISK, action, path }
            }
            _ => Error::Io { action, path, source: Arc::new(source) },
        }
    }
}
