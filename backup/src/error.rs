//! What can go wrong with backups, by what the caller does next.
//!
//! Place in the flow: every public function of this room answers with it.
//!
//! Not here: damage found in a backup; that is an answer of `verify`, not an error.

use std::path::{Path, PathBuf};

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk said no. Look at the disk and try again.
    #[error("can't {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The bucket said no. Look at the address, the keys and the network, and try again.
    #[error("can't {action} {key}: {reason}")]
    Bucket {
        /// What was tried.
        action: &'static str,
        /// Which object.
        key: String,
        /// What it said.
        reason: String,
    },
    /// What the operator wrote can't be used. Change it.
    #[error("{0}")]
    Refused(String),
    /// Somebody else is at work there. Wait, and try again.
    #[error("{0}")]
    Busy(String),
    /// There is no such backup.
    #[error("{0}")]
    NotFound(String),
    /// The bytes are not those that were written. Take another backup, or make a new one.
    #[error("{file} is damaged: {what}")]
    Damaged {
        /// Which file of the backup.
        file: String,
        /// What does not fit.
        what: String,
    },
    /// A newer release wrote it. Use that release.
    #[error(
        "{file} has format version {found_version}, this release reads up to {known_version}: \
         use the release that wrote it"
    )]
    NewerFormat {
        /// Which file.
        file: String,
        /// The version that stands in it.
        found_version: u32,
        /// The newest version that is understood.
        known_version: u32,
    },
    /// A file of the store can't be understood.
    #[error("{0}")]
    Store(#[from] storage::Error),
}

/// Turns what the disk said into an error that names the action and the path.
pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}
