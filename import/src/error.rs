//! What can go wrong while reading, by what the caller does next.

use std::path::{Path, PathBuf};

/// Why a source can't be read at all. Damage inside a source is no error: it is named and skipped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder or file is not what it should be. Name another one.
    #[error("{}: {reason}", path.display())]
    Source {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refuses. Look at the disk.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A line of a text can't be read. The lines before it are stored.
    #[error("line {line}: {reason}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn source(path: &Path, reason: impl Into<String>) -> Error {
        Error::Source { path: path.to_owned(), reason: reason.into() }
    }
}

/// Bytes that mean nothing, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);
