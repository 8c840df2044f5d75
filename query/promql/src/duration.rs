//! Lengths of time inside a query: fixed ones, and expressions that need the query's step or range.
//!
//! Place in the flow: `parser` → **`duration`** → the query engine resolves them once per query.
//!
//! Not here: `5m` as an ordinary number (a number literal with the value 300).

use crate::Problem;
use crate::ast::{NumberLiteral, Span, UnaryOp};

/// Longest length of time, either way: what fits nanoseconds in 64 bits, about 292 years.
pub const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// A length of time written in brackets or behind `offset`.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    /// Known from the text alone, in milliseconds.
    Fixed {
        /// Milliseconds; negative only for an offset.
        ms: i64,
        /// Where it stands.
        span: Span,
    },
    /// Needs [`DurationContext`].
    Computed(DurationExpr),
}

/// What `step()` and `range()` stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DurationContext {
    /// The query's step; 0 for an instant query.
    pub step_ms: i64,
    /// End minus start of the query; 0 for an instant query.
    pub range_ms: i64,
}

impl Duration {
    /// Where it stands in the text.
    pub fn span(&self) -> Span {
        match self {
            Duration::Fixed { span, .. } => *span,
            Duration::Computed(expr) => expr.span,
        }
    }

    /// The milliseconds of an offset, which may be negative or zero.
    pub fn offset_ms(&self, context: DurationContext) -> Result<i64, Problem> {
        match self {
            Duration::Fixed { ms, .. } => Ok(*ms),
            Duration::Computed(expr) => expr.ms(context),
        }
    }

    /// The milliseconds of a range or step, which must be greater than zero.
    pub fn length_ms(&self, context: DurationContext) -> Result<i64, Problem> {
        let ms = self.offset_ms(context)?;
        if ms <= 0 {
            return Err(Problem::at(self.span(), "duration must be greater than 0"));
        }
        Ok(ms)
    }
}

/// A duration expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationExpr {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: DurationKind,
}

/// The operators between durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

impl DurationOp {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            DurationOp::Add => "+",
            DurationOp::Sub => "-",
            DurationOp::Mul => "*",
            DurationOp::Div => "/",
            DurationOp::Mod => "%",
            DurationOp::Pow => "^",
        }
    }
}

/// The kinds of duration expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationKind {
    /// Seconds, or a duration such as `5m`.
    Number(NumberLiteral),
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `min_of(a, b)`
    Min(Box<(DurationExpr, DurationExpr)>),
    /// `max_of(a, b)`
    Max(Box<(DurationExpr, DurationExpr)>),
    /// `-a`, `+a`
    Unary(UnaryOp, Box<DurationExpr>),
    /// `a op b`
    Binary(DurationOp, Box<(DurationExpr, DurationExpr)>),
    /// `(a)`
    Paren(Box<DurationExpr>),
}

impl DurationExpr {
    /// The value in milliseconds.
    pub fn ms(&self, context: DurationContext) -> Result<i64, Problem> {
        let seconds = self.seconds(context)?;
        ms_from_seconds(seconds).ok_or_else(|| Problem::at(self.span, "duration out of range"))
    }

    fn seconds(&self, context: DurationContext) -> Result<f64, Problem> {
        Ok(match &self.kind {
            DurationKind::Number(number) => number.value,
            DurationKind::Step => context.step_ms as f64 / 1000.0,
            DurationKind::Range => context.range_ms as f64 / 1000.0,
            DurationKind::Min(pair) => pair.0.seconds(context)?.min(pair.1.seconds(context)?),
            DurationKind::Max(pair) => pair.0.seconds(context)?.max(pair.1.seconds(context)?),
            DurationKind::Unary(UnaryOp::Plus, inner) | DurationKind::Paren(inner) => {
                inner.seconds(context)?
            }
            DurationKind::Unary(UnaryOp::Minus, inner) => -inner.seconds(context)?,
            DurationKind::Binary(op, pair) => {
                let (left, right) = (pair.0.seconds(context)?, pair.1.seconds(context)?);
                self.combine(*op, left, right)?
            }
        })
    }

    fn combine(&self, op: DurationOp, left: f64, right: f64) -> Result<f64, Problem> {
        Ok(match op {
            DurationOp::Add => left + right,
            DurationOp::Sub => left - right,
            DurationOp::Mul => left * right,
            DurationOp::Div if right == 0.0 => {
                return Err(Problem::at(self.span, "division by zero"));
            }
            DurationOp::Mod if right == 0.0 => {
                return Err(Problem::at(self.span, "modulo by zero"));
            }
            DurationOp::Div => left / right,
            DurationOp::Mod => left % right,
            DurationOp::Pow => left.powf(right),
        })
    }

    /// Whether the value does not depend on the query's step or range.
    pub fn is_constant(&self) -> bool {
        match &self.kind {
            DurationKind::Number(_) => true,
            DurationKind::Step | DurationKind::Range => false,
            DurationKind::Min(pair) | DurationKind::Max(pair) | DurationKind::Binary(_, pair) => {
                pair.0.is_constant() && pair.1.is_constant()
            }
            DurationKind::Unary(_, inner) | DurationKind::Paren(inner) => inner.is_constant(),
        }
    }
}

/// Milliseconds of a number of seconds; `None` when it is not finite or too long.
pub fn ms_from_seconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    (ms.is_finite() && ms.abs() <= DURATION_MS_MAX as f64).then_some(ms as i64)
}
