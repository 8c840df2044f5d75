//! What can go wrong, by what the caller does next.
//!
//! Place in the flow: every public call of this crate that can fail answers with it.
//!
//! Not here: mistakes in a configuration file (they are a list of `model::fields::Problem`).

/// Why the alert manager could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log can't be opened or written. An operator must look at the disk.
    #[error("{action}")]
    Journal {
        /// What was tried.
        action: &'static str,
        /// The cause.
        #[source]
        source: journal::Error,
    },
    /// A file that the configuration names can't be used. Mend it and load again.
    #[error("{file}: {message}")]
    File {
        /// Which.
        file: String,
        /// What is wrong with it.
        message: String,
    },
    /// What was asked for is wrong. Asking again does not help.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
}
