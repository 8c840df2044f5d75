//! The reference: a parsed expression evaluated one step at a time, straight from the definitions of
//! the language.
//!
//! Place in the flow: the parser's tree and plain samples → **`Moment::eval`** → a value.
//!
//! It shares the parser with the engine and nothing else: every rule is written down a second time,
//! as slowly and plainly as it can be.
//!
//! Where the definition leaves a choice (which of two equal values `topk` takes), the world is marked
//! as ambiguous and the case is not compared. Where it leaves the order of additions open, a world
//! with noise shows how much that can matter.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use promql::ast::{Expr, ExprKind, UnaryOp};

/// `sum`, `topk`, `count_values` and the others.
mod aggregate;
/// Operators.
mod binary;
/// Buckets that are series of their own.
mod classic;
/// `anchored` and `smoothed`.
mod extended;
/// Functions by name.
mod function;
/// `info`.
mod info;
/// Buckets inside one sample.
pub mod native;
/// Annotations.
pub mod note;
/// Functions over windows.
mod range;
/// Which samples a selector sees.
mod select;

pub use native::Distribution;

/// A label set.
pub type Labels = BTreeMap<String, String>;

/// The label of a metric's name.
const NAME: &str = "__name__";

/// What a series has at one instant.
#[derive(Debug, Clone)]
pub enum Point {
    Number(f64),
    Histogram(Rc<Distribution>),
}

impl Point {
    fn number(&self) -> Option<f64> {
        match self {
            Point::Number(value) => Some(*value),
            Point::Histogram(_) => None,
        }
    }

    fn histogram(&self) -> Option<&Distribution> {
        match self {
            Point::Number(_) => None,
            Point::Histogram(own) => Some(own),
        }
    }

    /// Whether it marks the end of a series.
    pub fn is_stale(&self) -> bool {
        let value = match self {
            Point::Number(value) => *value,
            Point::Histogram(own) => own.sum,
        };
        value.to_bits() == STALE_BITS
    }
}

/// The bits of the stale marker.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// One stored series.
#[derive(Debug, Clone)]
pub struct Series {
    pub labels: Labels,
    /// Instants in milliseconds, ascending.
    pub samples: Vec<(i64, Point)>,
}

/// One element of a vector.
#[derive(Debug, Clone)]
pub struct Element {
    pub labels: Labels,
    /// Whether the name goes at the end of the query.
    pub drop_name: bool,
    pub point: Point,
}

/// The value of an expression at one instant.
#[derive(Debug, Clone)]
pub enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Element>),
}

/// A value, or why there is none.
pub type Outcome<T> = Result<T, String>;

/// What a query is evaluated on.
pub struct World<'a> {
    pub series: &'a [Series],
    pub lookback_ms: i64,
    /// Whether names are dropped at the end of the query rather than at once.
    pub is_delayed: bool,
    pub start_ms: i64,
    pub end_ms: i64,
    /// 0 for an instant query.
    pub step_ms: i64,
    pub subquery_step_ms: i64,
    /// Whether the definition left something open.
    pub is_ambiguous: Cell<bool>,
    /// State of the noise; 0 for none.
    pub noise: Cell<u64>,
    /// What is to be said of the answer.
    pub notes: RefCell<BTreeSet<String>>,
}

impl World<'_> {
    /// A number that other orders of the same additions would give in other last digits, about as
    /// large as `scale` on the way. The same number without noise.
    fn rounded(&self, value: f64, scale: f64) -> f64 {
        if self.noise.get() == 0 || !value.is_finite() || !scale.is_finite() {
            return value;
        }
        let next = self.noise.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.noise.set(next);
        let share = ((next >> 40) as f64 / (1_u64 << 24) as f64) * 2.0 - 1.0;
        value + share * scale.abs().max(value.abs()) * 1e-13
    }

    /// At one instant of the query.
    pub fn at(&self, at_ms: i64) -> Moment<'_> {
        let next_ms =
            Some(at_ms + self.step_ms).filter(|next| self.step_ms > 0 && *next <= self.end_ms);
        Moment { world: self, at_ms, next_ms }
    }
}

/// One instant at which an expression is evaluated.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    world: &'a World<'a>,
    at_ms: i64,
    /// The next one of the query or subquery, if there is one.
    next_ms: Option<i64>,
}

impl Moment<'_> {
    /// The value of any expression but a range vector.
    pub fn eval(&self, expr: &Expr) -> Outcome<Value> {
        match &expr.kind {
            ExprKind::Number(number) => Ok(Value::Scalar(number.value)),
            ExprKind::String(text) => Ok(Value::Text(text.lossy())),
            ExprKind::Paren(inner) => self.eval(inner),
            ExprKind::Vector(selector) => self.instant(selector).map(Value::Vector),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => Err("a range vector".to_owned()),
            ExprKind::Unary(unary) => match (unary.op, self.eval(&unary.operand)?) {
                (UnaryOp::Plus, value) => Ok(value),
                (UnaryOp::Minus, Value::Scalar(value)) => Ok(Value::Scalar(-value)),
                (UnaryOp::Minus, Value::Vector(all)) => {
                    let negated = all.into_iter().map(|own| Element {
                        point: match own.point {
                            Point::Number(value) => Point::Number(-value),
                            Point::Histogram(own) => Point::Histogram(Rc::new(own.times(-1.0))),
                        },
                        ..own
                    });
                    self.nameless(negated.collect()).map(Value::Vector)
                }
                (UnaryOp::Minus, Value::Text(_)) => Err("a negative text".to_owned()),
            },
            ExprKind::Binary(binary) => self.binary(binary),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate).map(Value::Vector),
            ExprKind::Call(call) => self.call(call),
        }
    }

    pub fn vector(&self, expr: &Expr) -> Outcome<Vec<Element>> {
        match self.eval(expr)? {
            Value::Vector(all) => Ok(all),
            other => Err(format!("{other:?} is no vector")),
        }
    }

    fn scalar(&self, expr: &Expr) -> Outcome<f64> {
        match self.eval(expr)? {
            Value::Scalar(value) => Ok(value),
            other => Err(format!("{other:?} is no scalar")),
        }
    }

    fn text(&self, expr: &Expr) -> Outcome<String> {
        match self.eval(expr)? {
            Value::Text(text) => Ok(text),
            other => Err(format!("{other:?} is no text")),
        }
    }

    /// The same elements as new metrics: their name goes, now or at the end.
    fn nameless(&self, mut all: Vec<Element>) -> Outcome<Vec<Element>> {
        for own in &mut all {
            if self.world.is_delayed {
                own.drop_name = true;
            } else {
                drop_name(&mut own.labels);
            }
        }
        unique(&all)?;
        Ok(all)
    }
}

/// Takes the labels away that say which metric it is.
pub fn drop_name(labels: &mut Labels) {
    labels.retain(|name, _| !["__name__", "__type__", "__unit__"].contains(&name.as_str()));
}

/// Two elements of one vector never have the same labels.
pub fn unique(all: &[Element]) -> Outcome<()> {
    let mut seen = BTreeSet::new();
    match all.iter().all(|own| seen.insert(&own.labels)) {
        true => Ok(()),
        false => Err("vector cannot contain metrics with the same labelset".to_owned()),
    }
}

/// A sum with what rounding lost beside it, in the order of the values.
pub fn sum_of(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, lost) = sum_and_lost(values);
    if sum.is_infinite() { sum } else { sum + lost }
}

fn sum_and_lost(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        if next.is_infinite() {
            lost = 0.0;
        } else if sum.abs() >= value.abs() {
            lost += (sum - next) + value;
        } else {
            lost += (value - next) + sum;
        }
        sum = next;
    }
    (sum, lost)
}

/// The mean: the sum divided, or, when the sum of finite values is too large for a number, the sum
/// of the shares.
pub fn mean_of(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (sum, lost) = sum_and_lost(values.iter().copied());
    if values.iter().any(|value| !value.is_finite()) {
        // Only these matter: infinities of one sign win, all else is no number.
        return values.iter().filter(|value| !value.is_finite()).sum();
    }
    if sum.is_infinite() || sum.is_nan() {
        return sum_of(values.iter().map(|value| value / count));
    }
    sum / count + lost / count
}

/// The largest size among some numbers, for judging what rounding can do.
pub fn scale_of(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |scale: f64, value| scale.max(value.abs()))
}
