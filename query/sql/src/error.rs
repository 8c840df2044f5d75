//! What can go wrong with a statement, by what the caller does next.
//!
//! Place in the flow: planner, tables, operators → **`Error`** → the HTTP API, the wire.

use datafusion::error::DataFusionError;
use query::pool::QueryPool;
use query::{Failure, FailureKind};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement is wrong, or does something else than read. Change it.
    #[error("{}{message}", place(*.at))]
    Statement {
        /// What is wrong.
        message: String,
        /// Line and column, both from 1, when they are known.
        at: Option<(u64, u64)>,
    },
    /// A limit, a kill, the store: what also ends a PromQL query.
    #[error("{0}")]
    Query(#[from] query::Error),
    /// The statement could not be run to its end on this data, for example a text that is no
    /// number. Change it.
    #[error("{0}")]
    Execution(String),
}

fn place(at: Option<(u64, u64)>) -> String {
    at.map_or_else(String::new, |(line, column)| format!("{line}:{column}: "))
}

impl Error {
    /// What logs and counts are told.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Error::Query(own) => own.into(),
            other => Failure { kind: FailureKind::Error, text: other.to_string() },
        }
    }

    /// A statement that is not understood.
    pub(crate) fn statement(message: impl Into<String>) -> Error {
        Error::Statement { message: message.into(), at: None }
    }

    /// An error of reading or planning a statement.
    pub(crate) fn of_planning(error: DataFusionError) -> Error {
        if let Some(own) = query_error(&error) {
            return own.into();
        }
        let text = first_line(&error);
        let at = error
            .diagnostic()
            .and_then(|own| own.span)
            .map(|span| (span.start.line, span.start.column));
        match at.filter(|at| *at != (0, 0)) {
            Some(at) => Error::Statement { message: text, at: Some(at) },
            None => {
                let (message, at) = without_place(&text);
                Error::Statement { message, at }
            }
        }
    }

    /// An error of running a statement.
    pub(crate) fn of_running(error: DataFusionError, bytes_max: usize) -> Error {
        if let Some(own) = query_error(&error) {
            return own.into();
        }
        let detail = first_line(&error);
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) if QueryPool::is_of_all(&error) => {
                query::Error::Busy { reason: detail }.into()
            }
            DataFusionError::ResourcesExhausted(_) => {
                query::Error::OverBudget { bytes_max, detail }.into()
            }
            _ => Error::Execution(detail),
        }
    }
}

/// The error of ours inside DataFusion's.
fn query_error(error: &DataFusionError) -> Option<query::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(own) = cause {
        if let Some(found) = own.downcast_ref::<query::Error>() {
            return Some(found.clone());
        }
        cause = own.source();
    }
    None
}

/// The parser's ` at Line: 1, Column: 8` as numbers, and the text without it.
fn without_place(text: &str) -> (String, Option<(u64, u64)>) {
    let parts = text.rsplit_once(" at Line: ").and_then(|(before, after)| {
        let (line, after) = after.split_once(", Column: ")?;
        let digits = after.find(|own: char| !own.is_ascii_digit()).unwrap_or(after.len());
        let (column, rest) = after.split_at(digits);
        Some((format!("{before}{rest}"), Some((line.parse().ok()?, column.parse().ok()?))))
    });
    let (message, at) = parts.unwrap_or_else(|| (text.to_owned(), None));
    // What the library wraps the parser's words in.
    let inner = message.strip_prefix("SQL error: ParserError(\"");
    let inner = inner.and_then(|own| own.strip_suffix("\")"));
    let message = inner.map_or(message.clone(), |own| own.replace("\\\"", "\""));
    let plain = message.strip_prefix("Error during planning: ").unwrap_or(&message);
    (plain.to_owned(), at)
}

fn first_line(error: &DataFusionError) -> String {
    error.strip_backtrace().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let check = |text: &str, expected: (&str, Option<(u64, u64)>)| {
            assert_eq!(without_place(text), (expected.0.to_owned(), expected.1), "{text}");
        };
        check(
            "SQL error: ParserError(\"Expected: an expression, found: EOF at Line: 1, Column: 7\")",
            ("Expected: an expression, found: EOF", Some((1, 7))),
        );
        check("Error during planning: no table", ("no table", None));
        check("anything", ("anything", None));
    }
}
