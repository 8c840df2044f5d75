//! What can go wrong in the store, by what the caller does next.
//!
//! Place in the flow: every public method of the store answers with it, but for appends, which
//! answer with [`model::AppendError`].
//!
//! Not here: samples that are refused (`model::append::RefusedReason`); damage that the store can
//! set aside by itself (`stats`).

use std::path::{Path, PathBuf};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk said no. Look at the disk; the store goes on by itself when it works again.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The bytes on disk are not the bytes we wrote. An operator must look.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The file was written by a newer release. Start that release, or restore a backup.
    #[error(
        "{} has format version {found_version}, this release reads up to {known_version}: \
         start the release that wrote it",
        path.display()
    )]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// The version that stands in it.
        found_version: u32,
        /// The newest version that is understood.
        known_version: u32,
    },
    /// The journal said no.
    #[error("the store's journal failed")]
    Journal(#[from] journal::Error),
    /// A column could not be built or read.
    #[error("can't {action} columns: {reason}")]
    Columns {
        /// What was tried.
        action: &'static str,
        /// What the library said.
        reason: String,
    },
    /// A setting that can't be used.
    #[error("storage setting {field}: {problem}")]
    Setting {
        /// Which field of the settings.
        field: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Blocks could not be rewritten now. Make what it names possible and try again.
    #[error("can't rewrite blocks now: {reason}")]
    NotNow {
        /// What is in the way.
        reason: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Try again later.
    Retry,
    /// Stop, and tell the operator.
    StopAndTell,
}

impl Error {
    /// The only thing callers may branch on.
    pub fn next_step(&self) -> NextStep {
        match self {
            Error::Io { .. } | Error::Journal(_) | Error::NotNow { .. } => NextStep::Retry,
            Error::Damaged { .. }
            | Error::NewerFormat { .. }
            | Error::Columns { .. }
            | Error::Setting { .. }
            | Error::Closed => NextStep::StopAndTell,
        }
    }
}

/// Turns what the disk said into an error that names the action and the path.
pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// Turns what a columns library said into an error.
pub(crate) fn columns<E: std::fmt::Display>(action: &'static str) -> impl FnOnce(E) -> Error {
    move |reason| Error::Columns { action, reason: reason.to_string() }
}

/// The message with those of all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some messages end with their cause already.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
