//! Selectors and subqueries: which series, and when.
//!
//! Place in the flow: part of `ast`.

use model::Matcher;

use super::{Duration, Expr, Span};

/// What `@` fixes the evaluation time to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTime {
    /// `@ 1609746000`, in milliseconds.
    Fixed(model::TimestampMs),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// The `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// From the sign `@` to the end of the time.
    pub span: Span,
    /// The time.
    pub time: AtTime,
}

/// How a selector looks beyond its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

impl Extension {
    /// The keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Extension::Anchored => "anchored",
            Extension::Smoothed => "smoothed",
        }
    }
}

/// The modifiers that shift or fix the time of a selector or subquery.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Modifiers {
    /// `offset 5m`; positive looks back.
    pub offset: Option<Duration>,
    /// `@ …`; the offset applies relative to it.
    pub at: Option<At>,
}

/// Which series, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric name when it was written as a name (`up`, `{"my.metric"}`).
    pub name: Option<String>,
    /// All conditions, the one on `__name__` included when `name` is given.
    pub matchers: Vec<Matcher>,
    /// Offset and `@`. Of a range selector: those behind the brackets.
    pub modifiers: Modifiers,
    /// `anchored` or `smoothed`.
    pub extension: Option<Extension>,
}

/// A selector with a window.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// The series and the modifiers.
    pub selector: VectorSelector,
    /// Where the selector before the brackets stands.
    pub selector_span: Span,
    /// The window's length; greater than zero when it is fixed.
    pub range: Duration,
}

/// An expression evaluated over a window of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// The window's length.
    pub range: Duration,
    /// The step; the engine's default when left out.
    pub step: Option<Duration>,
    /// Offset and `@`.
    pub modifiers: Modifiers,
}
