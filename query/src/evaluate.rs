//! The evaluator: one value per node of the tree, for all steps at once.
//!
//! Place in the flow: `engine` → **`Evaluator`** → leaves, functions, operators → `Answer`.
//!
//! It walks the tree once; what flows are whole series blocks, so that every operator is array work
//! over steps. A subquery is an evaluator with steps of its own.
//!
//! Not here: text, admission, answers (`engine`).

use std::sync::Arc;
use std::time::Instant;

use promql::ast::{Expr, ExprKind, Span, UnaryOp};

use crate::block::{Block, Grid, Key, MergingBuilder};
use crate::context::Context;
use crate::counts::Counting;
use crate::error::Error;
use crate::function;
use crate::kernel::Row;
use crate::ledger::Pace;
use crate::names;

/// Instant selectors, and when they are evaluated.
pub mod selector;
/// Running the leaf operator.
pub mod leaf;
/// Range functions over selectors and subqueries.
pub mod range;
/// Expressions with steps of their own.
pub mod subquery;
/// Samples as they are stored.
pub mod stored;
/// Aggregation across series.
pub mod aggregate;
/// Arithmetic and comparison with scalars.
pub mod binary;
/// Which series of two vectors have the labels in common that must agree.
pub mod signature;
/// What an operator between two vectors need not read.
pub mod narrow;
/// Matching two vectors.
pub mod join;
/// `and`, `or`, `unless`.
pub mod set;

/// The value of a node.
#[derive(Debug)]
pub enum Evaluated {
    /// One number per step.
    Scalar(Vec<f64>),
    /// A text.
    Text(Vec<u8>),
    /// Series.
    Vector(Block),
}

/// Evaluates expressions at the instants of a grid.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// What the whole query shares.
    pub context: &'a Context,
    /// The instants.
    pub grid: Grid,
    /// Where the reset hints of histograms come from.
    pub hints: Hints,
    /// Which of the samples it looks at are counted.
    pub counting: Counting,
}

/// Where the reset hints of histograms come from, in one part of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hints {
    /// From the store, until something says otherwise.
    #[default]
    Undecided,
    /// Only count and sum are asked for: what the store does not know is found out on the way.
    Derived,
    /// From the store, whatever is further down.
    Stored,
}

impl Evaluator<'_> {
    /// Evaluates any expression but a range vector.
    pub fn eval(&self, expr: &Expr) -> Result<Evaluated, Error> {
        self.context.ledger.check()?;
        if self.context.trace.is_none() {
            return self.eval_kind(expr);
        }
        let started = Instant::now();
        let value = self.eval_kind(expr)?;
        self.trace(expr.span, started, &value);
        Ok(value)
    }

    /// Notes what a part cost, when that was asked for.
    pub fn trace(&self, span: Span, started: Instant, value: &Evaluated) {
        if let Some(trace) = &self.context.trace {
            trace.lock().unwrap_or_else(|held| held.into_inner()).note(span, started, value);
        }
    }

    fn eval_kind(&self, expr: &Expr) -> Result<Evaluated, Error> {
        match &expr.kind {
            ExprKind::Number(number) => Ok(Evaluated::Scalar(vec![number.value; self.grid.steps])),
            ExprKind::String(text) => Ok(Evaluated::Text(text.bytes.clone())),
            ExprKind::Paren(inner) => self.eval(inner),
            ExprKind::Vector(selector) => {
                self.instant_selector(expr.span, selector).map(Evaluated::Vector)
            }
            ExprKind::Unary(unary) => {
                let operand = self.eval(&unary.operand)?;
                if unary.op == UnaryOp::Plus { Ok(operand) } else { self.negate(operand) }
            }
            ExprKind::Binary(binary) => self.binary(expr.span, binary),
            ExprKind::Aggregate(aggregate) => {
                self.aggregate(expr.span, aggregate).map(Evaluated::Vector)
            }
            ExprKind::Call(call) => function::call(self, expr.span, call),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => {
                Err(Error::Execution("a range vector is no value of its own here".to_owned()))
            }
        }
    }

    /// Evaluates an expression that the checks made sure is an instant vector.
    pub fn eval_vector(&self, expr: &Expr) -> Result<Block, Error> {
        match self.eval(expr)? {
            Evaluated::Vector(block) => Ok(block),
            _ => Err(unexpected_type("an instant vector")),
        }
    }

    /// Evaluates an expression that the checks made sure is a scalar.
    pub fn eval_scalar(&self, expr: &Expr) -> Result<Vec<f64>, Error> {
        match self.eval(expr)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(unexpected_type("a scalar")),
        }
    }

    /// Evaluates an expression that the checks made sure is a string.
    pub fn eval_text(&self, expr: &Expr) -> Result<Vec<u8>, Error> {
        match self.eval(expr)? {
            Evaluated::Text(text) => Ok(text),
            _ => Err(unexpected_type("a string")),
        }
    }

    fn negate(&self, operand: Evaluated) -> Result<Evaluated, Error> {
        Ok(match operand {
            Evaluated::Scalar(values) => {
                Evaluated::Scalar(values.into_iter().map(|value| -value).collect())
            }
            Evaluated::Vector(block) => {
                let mut block = block;
                let mut histograms = block.take_histograms();
                for own in histograms.values_mut() {
                    *own = Arc::new(own.scaled(-1.0));
                }
                let block = block.map_values(|_, value| -value).with_histograms(histograms);
                Evaluated::Vector(self.drop_names(block)?)
            }
            Evaluated::Text(_) => return Err(unexpected_type("a number")),
        })
    }

    /// The same evaluator for an argument of a function that reads histograms.
    pub fn for_histograms(&self, needs_buckets: bool) -> Self {
        let hints = match (self.hints, needs_buckets) {
            (Hints::Stored, _) | (_, true) => Hints::Stored,
            _ => Hints::Derived,
        };
        Evaluator { hints, ..*self }
    }

    /// The pace of a loop of this query.
    pub fn pace(&self) -> Pace<'_> {
        Pace::new(&self.context.ledger)
    }

    /// An empty block of this grid.
    pub fn empty_block(&self) -> Block {
        Block::empty(self.grid.steps, &self.context.ledger)
    }

    /// Marks all names to be dropped; without delayed removal drops them now.
    pub fn drop_names(&self, block: Block) -> Result<Block, Error> {
        if self.context.settings.delayed_name_removal {
            return Ok(block.map_keys(|key| key.drop_name = true));
        }
        let block = block.map_keys(|key| key.labels = names::without_name(&key.labels));
        self.merge_equal(block)
    }

    /// The key of a result whose name is dropped.
    pub fn nameless(&self, key: &Key) -> Key {
        if self.context.settings.delayed_name_removal {
            return Key { labels: key.labels.clone(), drop_name: true };
        }
        Key::new(names::without_name(&key.labels))
    }

    /// Merges series of equal labels; an error if two of them have a value at the same step.
    pub fn merge_equal(&self, block: Block) -> Result<Block, Error> {
        let pace = self.pace();
        let mut seen = std::collections::HashSet::with_capacity(block.len());
        if block.keys().iter().all(|key| !pace.is_over(64) && seen.insert(&key.labels)) {
            return Ok(block);
        }
        let mut builder = MergingBuilder::new(block.steps(), &self.context.ledger);
        let mut row = Row::new(block.steps());
        for (series, key) in block.keys().iter().enumerate() {
            pace.spend(64 + block.steps())?;
            block.read_row(series, &mut row);
            builder.push(key.clone(), &row)?;
        }
        Ok(builder.finish())
    }

    /// Drops the names that are to be dropped, at the end of the query.
    pub fn finish_names(&self, block: Block) -> Result<Block, Error> {
        if !block.keys().iter().any(|key| key.drop_name) {
            return Ok(block);
        }
        let block = block.map_keys(|key| {
            if key.drop_name {
                *key = Key::new(names::without_name(&key.labels));
            }
        });
        self.merge_equal(block)
    }
}

fn unexpected_type(expected: &str) -> Error {
    Error::Execution(format!("the expression is not {expected}"))
}
