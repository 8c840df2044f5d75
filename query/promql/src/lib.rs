//! The language alone: text, tokens, tree, checked tree; positions kept.
//!
//! Place in the flow: query text → **`promql`** → the query engine, the rules, the HTTP interface.
//!
//! Invariants: no text makes it panic, and the time it takes grows with the text's length only.
//!
//! Not here: evaluation, and any input or output.

/// The tree.
pub mod ast;
/// Types.
mod check;
/// Lengths of time and their expressions.
pub mod duration;
/// The catalogue of functions.
pub mod functions;
/// Text to tokens.
mod lexer;
/// Values of numbers and quoted texts.
mod literal;
/// Tokens to the tree.
mod parser;
/// The tree back to text.
mod print;
/// Problems with their places.
mod problem;
/// The notation of test data.
pub mod series;
/// Words of the language.
mod token;

pub use ast::{Expr, ExprKind};
pub use print::{pretty, print};
pub use problem::{Problem, line_and_column};

/// Longest query text that is read. A person's longest rules are a few KiB; this leaves room for
/// generated ones and keeps one request from filling memory.
pub const QUERY_BYTES_MAX: usize = 1024 * 1024;

/// Deepest tree. Everything that walks the tree may recurse, and this is what keeps its stack small.
pub const TREE_DEPTH_MAX: usize = 512;

/// Which parts of the language are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseOptions {
    /// Functions and aggregations that are marked experimental.
    pub experimental_functions: bool,
    /// Arithmetic inside brackets and behind `offset`.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed`.
    pub extended_ranges: bool,
    /// `fill`, `fill_left` and `fill_right`.
    pub fill: bool,
}

impl Default for ParseOptions {
    /// A plain server: what is stable in the language.
    fn default() -> ParseOptions {
        ParseOptions {
            experimental_functions: false,
            duration_expressions: true,
            extended_ranges: false,
            fill: false,
        }
    }
}

impl ParseOptions {
    /// Everything on.
    pub fn all() -> ParseOptions {
        ParseOptions {
            experimental_functions: true,
            duration_expressions: true,
            extended_ranges: true,
            fill: true,
        }
    }
}

/// Reads and checks one expression. Every problem that was found, the first one first.
pub fn parse(text: &str, options: &ParseOptions) -> Result<Expr, Vec<Problem>> {
    parser::parse_text(text, options)
}

/// Reads a bare selector such as `up{job="a"}`, as `match[]` parameters hold it.
pub fn parse_selector(text: &str) -> Result<Vec<model::Matcher>, Vec<Problem>> {
    let expr = parse(text, &ParseOptions::default())?;
    match expr.kind {
        ExprKind::Vector(selector) if selector.modifiers == ast::Modifiers::default() => {
            Ok(selector.matchers)
        }
        _ => {
            let message = "expected a selector such as up{job=\"a\"} and nothing else";
            Err(vec![Problem::at(expr.span, message)])
        }
    }
}
