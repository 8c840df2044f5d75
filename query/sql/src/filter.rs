//! From SQL expressions to matchers and a range, so that the store reads only what is asked for.
//!
//! Place in the flow: DataFusion hands the conditions of a statement to a table; those of the form
//! `name = 'up'` and `ts >= …` are answered by the index and the blocks' time ranges. DataFusion
//! checks every condition again, so leaving one out is never wrong.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use model::Matcher;
use model::labels::METRIC_NAME;
use model::time::{TimeRange, TimestampMs};

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
    /// Reads the conditions that are joined by AND.
    pub fn new(filters: &[Expr]) -> Selection {
        let mut selection = Selection {
            matchers: Vec::new(),
            first: TimestampMs::MIN,
            last: TimestampMs(i64::MAX - 1),
        };
        for filter in filters {
            selection.add(filter);
        }
        selection
    }

    /// The range; `None` when the conditions exclude every instant.
    pub fn range(&self) -> Option<TimeRange> {
        TimeRange::closed(self.first, self.last)
    }

    fn add(&mut self, filter: &Expr) {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else {
            if let Expr::Between(between) = filter
                && !between.negated
                && column(&between.expr) == Some("ts")
            {
                self.bound(Operator::GtEq, &between.low);
                self.bound(Operator::LtEq, &between.high);
            }
            return;
        };
        if *op == Operator::And {
            self.add(left);
            self.add(right);
            return;
        }
        let (name, op, value) = match (column(left), column(right)) {
            (Some(name), None) => (name, *op, right),
            (None, Some(name)) => match op.swap() {
                Some(swapped) => (name, swapped, left),
                None => return,
            },
            _ => return,
        };
        match (name, op) {
            ("name", Operator::Eq) => {
                if let Some(text) = text(value) {
                    self.matchers.push(Matcher::equal(METRIC_NAME, &text));
                }
            }
            ("ts", _) => self.bound(op, value),
            _ => {}
        }
    }

    fn bound(&mut self, op: Operator, value: &Expr) {
        let Some(at_ms) = milliseconds(value) else { return };
        let at = TimestampMs(at_ms);
        match op {
            Operator::Eq => {
                self.first = self.first.max(at);
                self.last = self.last.min(at);
            }
            Operator::Gt => self.first = self.first.max(at.plus_ms(1)),
            Operator::GtEq => self.first = self.first.max(at),
            Operator::Lt => self.last = self.last.min(at.plus_ms(-1)),
            Operator::LtEq => self.last = self.last.min(at),
            _ => {}
        }
    }
}

fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.clone()
        }
        ScalarValue::Dictionary(_, inner) => text_of(inner),
        _ => None,
    }
}

fn text_of(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) => text.clone(),
        _ => None,
    }
}

/// Whole milliseconds only: a bound between two of them is left to DataFusion.
fn milliseconds(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::TimestampMillisecond(at, _) => *at,
        ScalarValue::TimestampSecond(at, _) => at.and_then(|at| at.checked_mul(1000)),
        ScalarValue::TimestampMicrosecond(Some(at), _) if at % 1000 == 0 => Some(at / 1000),
        ScalarValue::TimestampNanosecond(Some(at), _) if at % 1_000_000 == 0 => {
            Some(at / 1_000_000)
        }
        _ => None,
    }
}
