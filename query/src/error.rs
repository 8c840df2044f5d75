//! What can go wrong with a query, by what the caller does next.
//!
//! Place in the flow: `engine` → **`Error`** → the HTTP API's error types, a rule's health.
//!
//! The texts are upstream's: users, dashboards and alerts search for them.
//!
//! Not here: HTTP statuses (dashboards).

/// Why a query gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not PromQL. Correct it.
    #[error("{message}")]
    Parse {
        /// The first problem with its position, as upstream words it.
        message: String,
    },
    /// The question cannot be answered on this data (for example many-to-many matching), or asks
    /// for something that is switched off. Correct the question.
    #[error("{0}")]
    Execution(String),
    /// The query would hold more samples than allowed. Ask for less.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples {
        /// The limit that was reached.
        samples_max: usize,
    },
    /// The query would hold more bytes than allowed. Ask for less; other queries are not touched.
    #[error("query needs more than its {bytes_max} bytes of memory: {detail}")]
    OverBudget {
        /// The budget of one query.
        bytes_max: usize,
        /// Which part of the query asked for how much.
        detail: String,
    },
    /// The index shows that the answer can't fit into the budget; nothing was read. Ask for less.
    #[error(
        "query refused before it began: {selector} has {series} series, at {steps} steps that is \
         {bytes} bytes, and one query may hold {bytes_max}"
    )]
    TooLarge {
        /// The selector's text.
        selector: String,
        /// How many series it chooses.
        series: usize,
        /// How many steps are asked for.
        steps: usize,
        /// What their values take.
        bytes: usize,
        /// The budget of one query.
        bytes_max: usize,
    },
    /// A selector chooses more series than allowed. Ask for fewer.
    #[error("{selector} has {series} series, at most {series_max} are allowed")]
    TooManySeries {
        /// The selector's text.
        selector: String,
        /// How many series it chooses.
        series: usize,
        /// The limit.
        series_max: usize,
    },
    /// All queries together hold what the process may, or too many wait. Try again.
    #[error("the query engine is busy: {reason}")]
    Busy {
        /// What is used up.
        reason: String,
    },
    /// An operator ended the query.
    #[error("query was killed")]
    Killed,
    /// The deadline passed. Try again, or ask for less.
    #[error("query timed out in {phase}")]
    TimedOut {
        /// Waiting in the queue, or evaluating.
        phase: &'static str,
    },
    /// The caller went away.
    #[error("query was canceled in {phase}")]
    Cancelled {
        /// Waiting in the queue, or evaluating.
        phase: &'static str,
    },
    /// The store could not be read. Try again; an operator must look.
    #[error("{0}")]
    Storage(String),
}
