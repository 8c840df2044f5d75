//! From SQL conditions to matchers and a range, so that the store reads only what is asked for.
//!
//! Place in the flow: DataFusion hands the conditions of a statement to a table; those on labels and
//! on `ts` are answered by the index and the blocks' time ranges. DataFusion checks every condition
//! again, so leaving one out is never wrong; taking one must never drop a row that passes.
//!
//! In SQL an absent label is NULL, which passes no comparison; to a matcher it is the empty text. So
//! `!=` lets a little more through than it must, and the check afterwards drops it.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use model::Matcher;
use model::matcher::MatchOp;
use model::time::{TimeRange, TimestampMs};

use crate::shape::{Column, Shape};

/// What the store is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Conditions on labels.
    pub matchers: Vec<Matcher>,
    /// First and last instant.
    first: TimestampMs,
    last: TimestampMs,
}

impl Selection {
    /// Reads the conditions, which are joined by AND.
    pub fn new(shape: &Shape, filters: &[Expr]) -> Selection {
        let mut selection = Selection {
            matchers: Vec::new(),
            first: TimestampMs::MIN,
            last: TimestampMs(i64::MAX - 1),
        };
        for filter in filters {
            selection.add(shape, filter);
        }
        selection
    }

    /// The range; `None` when the conditions exclude every instant.
    pub fn range(&self) -> Option<TimeRange> {
        TimeRange::closed(self.first, self.last)
    }

    fn add(&mut self, shape: &Shape, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.add(shape, left);
                self.add(shape, right);
            }
            Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => {
                let mut values = Vec::new();
                if let Some(label) = alternatives(shape, filter, &mut values) {
                    self.one_of(&label, &values, MatchOp::Regex);
                }
            }
            Expr::BinaryExpr(binary) => self.compare(shape, binary),
            Expr::Between(between) if !between.negated && is_ts(shape, &between.expr) => {
                self.bound(Operator::GtEq, &between.low);
                self.bound(Operator::LtEq, &between.high);
            }
            Expr::InList(InList { expr, list, negated }) => {
                let values: Option<Vec<&str>> = list.iter().map(text).collect();
                if let (Some(label), Some(values)) = (label(shape, expr), values) {
                    let op = if *negated { MatchOp::NotRegex } else { MatchOp::Regex };
                    self.one_of(&label, &values, op);
                }
            }
            Expr::Like(like) => self.like(shape, like),
            Expr::IsNotNull(inner) => {
                if let Some(label) = label(shape, inner) {
                    self.push(&label, MatchOp::NotEqual, "");
                }
            }
            Expr::IsNull(inner) => {
                if let Some(label) = label(shape, inner) {
                    self.push(&label, MatchOp::Equal, "");
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, shape: &Shape, BinaryExpr { left, op, right }: &BinaryExpr) {
        if is_ts(shape, left) {
            return self.bound(*op, right);
        }
        if is_ts(shape, right) {
            return op.swap().into_iter().for_each(|op| self.bound(op, left));
        }
        let (label, op, value) = match (label(shape, left), label(shape, right)) {
            (Some(label), None) => (label, Some(*op), right),
            (None, Some(label)) => (label, op.swap(), left),
            _ => return,
        };
        let (Some(op), Some(value)) = (op, text(value)) else { return };
        match op {
            Operator::Eq => self.push(&label, MatchOp::Equal, value),
            Operator::NotEq => self.push(&label, MatchOp::NotEqual, value),
            Operator::RegexMatch if is_plain_regex(value) => {
                self.push(&label, MatchOp::Regex, &format!("(?s:.*)(?:{value})(?s:.*)"));
            }
            _ => {}
        }
    }

    /// `%` and `_` of LIKE, when no character is escaped.
    fn like(&mut self, shape: &Shape, like: &Like) {
        let (Some(label), Some(pattern)) = (label(shape, &like.expr), text(&like.pattern)) else {
            return;
        };
        if like.negated || like.case_insensitive || pattern.contains('\\') {
            return;
        }
        if like.escape_char.is_some() {
            return;
        }
        let mut regex = String::new();
        for own in pattern.chars() {
            match own {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                other => escape(other, &mut regex),
            }
        }
        self.push(&label, MatchOp::Regex, &regex);
    }

    fn one_of(&mut self, label: &str, values: &[&str], op: MatchOp) {
        let mut regex = String::new();
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                regex.push('|');
            }
            value.chars().for_each(|own| escape(own, &mut regex));
        }
        self.push(label, op, &regex);
    }

    /// A condition that can't be compiled, such as one of very many values, is left to DataFusion.
    fn push(&mut self, label: &str, op: MatchOp, value: &str) {
        if let Ok(matcher) = Matcher::new(label, op, value) {
            self.matchers.push(matcher);
        }
    }

    fn bound(&mut self, op: Operator, value: &Expr) {
        let Some(at_ns) = nanoseconds(value) else { return };
        // The instants below and above, which are one when it is a whole millisecond.
        let floor = at_ns.div_euclid(1_000_000);
        let ceiling = floor + i128::from(at_ns.rem_euclid(1_000_000) > 0);
        match op {
            Operator::Eq => {
                self.first = self.first.max(clamped(ceiling));
                self.last = self.last.min(clamped(floor));
            }
            Operator::Gt => self.first = self.first.max(clamped(floor + 1)),
            Operator::GtEq => self.first = self.first.max(clamped(ceiling)),
            Operator::Lt => self.last = self.last.min(clamped(ceiling - 1)),
            Operator::LtEq => self.last = self.last.min(clamped(floor)),
            _ => {}
        }
    }
}

fn clamped(at_ms: i128) -> TimestampMs {
    let limit = i128::from(i64::MAX - 1);
    TimestampMs(i64::try_from(at_ms.clamp(-limit, limit)).expect("clamped to what fits"))
}

/// The column behind an expression; a cast to a finer time changes no comparison.
fn column<'a>(shape: &'a Shape, expr: &Expr) -> Option<&'a Column> {
    use datafusion::arrow::datatypes::{DataType, TimeUnit};
    let keeps = |kind: &DataType| {
        !matches!(kind, DataType::Timestamp(TimeUnit::Second, _))
            && matches!(
                kind,
                DataType::Timestamp(..) | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
            )
    };
    match expr {
        Expr::Column(own) => shape.column(&own.name),
        // A time as text is compared as text: only casts to times keep a time.
        Expr::Cast(cast) if keeps(cast.field.data_type()) => {
            let inner = column(shape, &cast.expr)?;
            let is_time = matches!(cast.field.data_type(), DataType::Timestamp(..));
            ((*inner == Column::Ts) == is_time).then_some(inner)
        }
        _ => None,
    }
}

fn is_ts(shape: &Shape, expr: &Expr) -> bool {
    column(shape, expr) == Some(&Column::Ts)
}

/// The label that an expression stands for: its own column, or `labels['…']`.
fn label(shape: &Shape, expr: &Expr) -> Option<String> {
    if let Some(Column::Label(name)) = column(shape, expr) {
        return Some(name.clone());
    }
    let Expr::ScalarFunction(function) = expr else { return None };
    let [of, name] = function.args.as_slice() else { return None };
    if function.name() != "get_field" || column(shape, of) != Some(&Column::Labels) {
        return None;
    }
    // The map does not have the metric's name.
    text(name).filter(|name| *name != model::labels::METRIC_NAME).map(str::to_owned)
}

/// `label = 'a' OR label = 'b' …`.
fn alternatives<'a>(shape: &Shape, expr: &'a Expr, values: &mut Vec<&'a str>) -> Option<String> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    match op {
        Operator::Or => {
            let first = alternatives(shape, left, values)?;
            let second = alternatives(shape, right, values)?;
            (first == second).then_some(first)
        }
        Operator::Eq => {
            values.push(text(right)?);
            label(shape, left)
        }
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.as_deref()
        }
        _ => None,
    }
}

fn escape(own: char, regex: &mut String) {
    if own.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(own);
}

/// Whether an expression means the same in SQL and in a matcher, or less in SQL.
fn is_plain_regex(text: &str) -> bool {
    text.chars().all(|own| own.is_alphanumeric() || "_-.*+?|()/: ,^$".contains(own))
        && !text.contains("(?")
}

fn nanoseconds(expr: &Expr) -> Option<i128> {
    let Expr::Literal(value, _) = expr else { return None };
    let (at, factor) = match value {
        ScalarValue::TimestampSecond(at, _) => (at, 1_000_000_000),
        ScalarValue::TimestampMillisecond(at, _) => (at, 1_000_000),
        ScalarValue::TimestampMicrosecond(at, _) => (at, 1000),
        ScalarValue::TimestampNanosecond(at, _) => (at, 1),
        _ => return None,
    };
    at.map(|at| i128::from(at) * factor)
}

#[cfg(test)]
mod tests;
