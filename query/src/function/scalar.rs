//! `time`, `scalar`, `vector`'s opposite, and what a query knows of its own range.
//!
//! Place in the flow: `function::call` → **`scalar`** → one number per step.
//!
//! Not here: number literals (`evaluate`).

use promql::ast::Expr;

use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::function::math::{larger, smaller};

/// Evaluates a function that gives a scalar; `None` when it is another kind of function.
pub fn call(own: &Evaluator, name: &str, args: &[Expr]) -> Result<Option<Vec<f64>>, Error> {
    let context = own.context;
    let everywhere = |value: f64| vec![value; own.grid.steps];
    Ok(Some(match name {
        "pi" => everywhere(std::f64::consts::PI),
        "time" => own.grid.instants().map(seconds).collect(),
        "start" => everywhere(seconds(context.start_ms)),
        "end" => everywhere(seconds(context.end_ms)),
        "step" => everywhere(seconds(context.durations.step_ms)),
        "range" => everywhere(seconds(context.durations.range_ms)),
        "min_of" => both(own, args, smaller)?,
        "max_of" => both(own, args, larger)?,
        "scalar" => scalar(own, &args[0])?,
        _ => return Ok(None),
    }))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The smaller or larger of two scalars.
fn both(own: &Evaluator, args: &[Expr], pick: fn(f64, f64) -> f64) -> Result<Vec<f64>, Error> {
    let (left, right) = (own.eval_scalar(&args[0])?, own.eval_scalar(&args[1])?);
    Ok(left.into_iter().zip(right).map(|(a, b)| pick(a, b)).collect())
}

/// The value of the only element; NaN when there is none or more than one.
fn scalar(own: &Evaluator, argument: &Expr) -> Result<Vec<f64>, Error> {
    let block = own.eval_vector(argument)?;
    let mut values = vec![f64::NAN; block.steps()];
    let mut counts = vec![0_u32; block.steps()];
    let pace = own.pace();
    for series in 0..block.len() {
        pace.spend(16 + block.steps())?;
        for (step, value) in block.points(series) {
            counts[step] += 1;
            values[step] = if counts[step] == 1 { value } else { f64::NAN };
        }
    }
    Ok(values)
}
