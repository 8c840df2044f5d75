//! `absent` and `absent_over_time`: an element where there is none.
//!
//! Place in the flow: `function::call` → **`absent`** → at most one series.
//!
//! Over a selector they only count, so that no block is made of what is there.
//!
//! Not here: which samples lie in a window (`leaf`).

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp};
use promql::ast::{Expr, ExprKind, VectorSelector};

use crate::block::{Block, BlockBuilder, Key};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::evaluate::range::any_valid;
use crate::kernel::Row;

/// `absent`
pub fn absent(own: &Evaluator, argument: &Expr) -> Result<Block, Error> {
    let plain = argument.without_parens();
    match &plain.kind {
        ExprKind::Vector(selector) => {
            let prepared = own.prepare(plain.span, selector, own.instant_leaf(selector)?)?;
            let present = own.any_in_leaf(prepared)?;
            where_missing(own, present, equality_labels(selector))
        }
        _ => {
            let present = any_valid(&own.eval_vector(argument)?, &own.context.ledger)?;
            where_missing(own, present, Labels::empty())
        }
    }
}

/// `absent_over_time`
pub fn absent_over_time(own: &Evaluator, argument: &Expr) -> Result<Block, Error> {
    let labels = match &argument.without_parens().kind {
        ExprKind::Matrix(matrix) => equality_labels(&matrix.selector),
        _ => Labels::empty(),
    };
    let present = own.any_in_range(argument)?;
    where_missing(own, present, labels)
}

fn where_missing(own: &Evaluator, present: Vec<bool>, labels: Labels) -> Result<Block, Error> {
    let mut row = Row::new(present.len());
    for (step, present) in present.into_iter().enumerate() {
        if !present {
            row.set(step, 1.0);
        }
    }
    let mut builder = BlockBuilder::new(own.grid.steps, &own.context.ledger);
    builder.push(Key::new(labels), &row)?;
    Ok(builder.finish())
}

/// The labels that the missing element would surely have: those of equality matchers, unless a
/// label is matched twice.
fn equality_labels(selector: &VectorSelector) -> Labels {
    let mut builder = LabelsBuilder::new();
    for (index, matcher) in selector.matchers.iter().enumerate() {
        let name = matcher.name();
        let mut others = selector.matchers.iter().enumerate();
        let is_alone = !others.any(|(other, own)| other != index && own.name() == name);
        if name != METRIC_NAME && is_alone && matcher.op() == MatchOp::Equal {
            builder.set(name, matcher.value());
        }
    }
    builder.build()
}
