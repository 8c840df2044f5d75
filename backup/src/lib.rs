//! From a data folder to a backup somewhere else, and back.
//!
//! Place in the flow: a data folder that nobody writes to (a stopped server's, or a snapshot of a
//! running one) → **backup** → a folder or an S3 bucket → a new data folder.
//!
//! Invariants:
//! - A backup exists exactly when its `backup.json` does; that is written last and removed first.
//! - Every file of a backup has its checksum in there. Nothing is restored that does not fit it,
//!   unless an operator accepts damage.
//! - Nothing of a data folder is changed by backing it up.
//!
//! Not here: making a snapshot of a running server (storage, belfry), dialling (the HTTP door that is
//! handed in), printing (belfry).

/// What can go wrong, by what the caller does next.
mod error;
/// Which files there are in a data folder, and what is known of them.
mod source;
/// `backup.json`: what belongs to a backup.
pub mod index;
/// Where backups lie: a folder or a bucket.
mod place;
/// Making a backup, and removing old ones.
mod make;
/// Whether a backup is whole.
mod verify;
/// From a backup to a data folder.
mod restore;

pub use error::Error;
pub use make::{Made, MakeOptions, make, time_name};
pub use place::{Address, Place, S3Settings};
pub use restore::{RESTORING_FILE, RestoreOptions, Restored, restore};
pub use verify::{Problem, Verified, verify};

/// How far a long job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub files: u64,
    /// Files there are.
    pub files_total: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes there are.
    pub bytes_total: u64,
}

/// Hears of progress.
pub type Listener<'a> = &'a (dyn Fn(&Progress) + Send + Sync);
