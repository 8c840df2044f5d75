//! What can go wrong with rules, by what the caller does next.
//!
//! Place in the flow: opening and reloading answer with it; an evaluation keeps it as its rule's
//! last error.
//!
//! Not here: mistakes in rule files; those are `model::fields::Problem`s, all at once.

/// Why rules could not be opened, or why one evaluation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state of the alerts can't be read or written. An operator must look at the disk.
    #[error("cannot keep the state of alerts: {0}")]
    State(String),
    /// The query failed. The next evaluation tries again.
    #[error("{0}")]
    Query(String),
    /// The rule's results contradict each other or its limit. Correct the rule.
    #[error("{0}")]
    Rule(String),
    /// The store did not take the results. The next evaluation writes newer ones.
    #[error("cannot store the results: {0}")]
    Append(String),
}
