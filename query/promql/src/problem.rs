//! What is wrong with a query, and where.
//!
//! Place in the flow: `lexer`, `parser`, `check` → **`problem`** → the caller, who shows it.
//!
//! Not here: annotations of a running query; those are the engine's.

use crate::ast::Span;

/// One problem with the bytes it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// Offset of the first byte.
    pub start_byte: usize,
    /// Offset of the byte after the last one.
    pub end_byte: usize,
    /// What is wrong, without the place.
    pub message: String,
}

impl Problem {
    /// A problem about a part of the text.
    pub fn at(span: Span, message: impl Into<String>) -> Problem {
        Problem { start_byte: span.start_byte, end_byte: span.end_byte, message: message.into() }
    }

    /// `line:column: parse error: message`, as Prometheus writes it. Columns count bytes from 1.
    pub fn render(&self, query: &str) -> String {
        let (line, column) = line_and_column(query, self.start_byte);
        format!("{line}:{column}: parse error: {}", self.message)
    }
}

/// Line and column of a byte of the text, both from 1; the column counts bytes.
pub fn line_and_column(query: &str, byte: usize) -> (usize, usize) {
    let before = &query.as_bytes()[..byte.min(query.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |index| index + 1);
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    (line, 1 + before.len() - line_start)
}
