//! Functions: from a name and arguments to a value.
//!
//! Place in the flow: `Evaluator::eval` → **`function::call`** → one of the rooms below.
//!
//! Not here: range functions (`evaluate::range`), types and counts of arguments (promql's checks).

use promql::ast::{Call, Expr, ExprKind, Span};

use crate::block::{Block, BlockBuilder, Key};
use crate::error::Error;
use crate::evaluate::{Evaluated, Evaluator};
use crate::kernel::Row;

/// `time`, `scalar`, `vector` and other steps between types.
mod scalar;
/// Functions of one number.
mod math;
/// Parts of a date.
mod date;
/// `absent`, `absent_over_time`.
mod absent;
/// Classic histograms.
mod histogram;
/// `label_replace`, `label_join`.
mod label;
/// `sort` and its forms.
mod sort;
/// `info`: labels from info metrics.
mod info;

/// Evaluates a call.
pub fn call(own: &Evaluator, span: Span, call: &Call) -> Result<Evaluated, Error> {
    let name = call.function.name;
    if let Some(value) = scalar::call(own, name, &call.args)? {
        return Ok(Evaluated::Scalar(value));
    }
    if let Some(range) = own.range_call(call)? {
        return own.range_function(range).map(Evaluated::Vector);
    }
    if let Some(function) = math::of(name) {
        let block = own.eval_vector(&call.args[0])?;
        let block = block.map_values(|_, value| function(value));
        return own.drop_names(block).map(Evaluated::Vector);
    }
    if let Some(part) = date::of(name) {
        return date::call(own, part, &call.args).map(Evaluated::Vector);
    }
    vector_call(own, span, name, &call.args).map(Evaluated::Vector)
}

fn vector_call(own: &Evaluator, span: Span, name: &str, args: &[Expr]) -> Result<Block, Error> {
    match name {
        "absent" => absent::absent(own, &args[0]),
        "absent_over_time" => absent::absent_over_time(own, &args[0]),
        "clamp" | "clamp_min" | "clamp_max" | "round" => math::call(own, name, args),
        "histogram_quantile" => histogram::quantile(own, args),
        "histogram_quantiles" => histogram::quantiles(own, args),
        "histogram_fraction" => histogram::fraction(own, args),
        "info" => info::info(own, args),
        "label_join" => label::join(own, args),
        "label_replace" => label::replace(own, args),
        "sort" | "sort_desc" => sort::by_value(own, span, &args[0], name == "sort_desc"),
        "sort_by_label" | "sort_by_label_desc" => {
            sort::by_label(own, span, args, name == "sort_by_label_desc")
        }
        "timestamp" => timestamp(own, &args[0]),
        "vector" => vector(own, &args[0]),
        "histogram_avg" | "histogram_count" | "histogram_sum" | "histogram_stddev"
        | "histogram_stdvar" => histogram::property(own, name, &args[0]),
        "start_timestamp" => {
            let plain = args[0].without_parens();
            if let ExprKind::Vector(selector) = &plain.kind {
                return own.start_times(plain.span, selector);
            }
            // What was computed has no start; the argument may still be wrong in itself.
            own.eval_vector(&args[0])?;
            Ok(own.empty_block())
        }
        _ => Err(Error::Execution(format!("function {name:?} is not known to this engine"))),
    }
}

/// The instants of the samples of a plain selector; of anything else the evaluation times.
fn timestamp(own: &Evaluator, argument: &Expr) -> Result<Block, Error> {
    let plain = argument.without_parens();
    if let ExprKind::Vector(selector) = &plain.kind
        && selector.extension.is_none()
    {
        return own.sample_times(plain.span, selector);
    }
    let grid = own.grid;
    let block = own.eval_vector(argument)?;
    let mut builder = BlockBuilder::new(grid.steps, &own.context.ledger);
    let mut row = Row::new(grid.steps);
    let pace = own.pace();
    for (series, key) in block.keys().iter().enumerate() {
        pace.spend(64 + 4 * grid.steps)?;
        row.clear();
        for step in (0..grid.steps).filter(|step| block.has(series, *step)) {
            row.set(step, grid.at(step) as f64 / 1000.0);
        }
        builder.push(key.clone(), &row)?;
    }
    own.drop_names(builder.finish())
}

fn vector(own: &Evaluator, argument: &Expr) -> Result<Block, Error> {
    one_series(own, own.eval_scalar(argument)?)
}

/// A vector of one element without labels.
fn one_series(own: &Evaluator, values: Vec<f64>) -> Result<Block, Error> {
    let row = Row { valid: vec![true; values.len()], values, ..Row::default() };
    let mut builder = BlockBuilder::new(own.grid.steps, &own.context.ledger);
    builder.push(Key::empty(), &row)?;
    Ok(builder.finish())
}
