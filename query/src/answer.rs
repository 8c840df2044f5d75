//! From what the evaluator gives to an answer.
//!
//! Place in the flow: `engine` → evaluator → **`answer`** → `Answer`.
//!
//! A range answer is sorted by labels; an instant answer keeps the order it came in.
//!
//! Not here: JSON (dashboards).

use std::sync::atomic::Ordering;

use model::{Labels, TimestampMs};
use promql::ast::{Expr, ExprKind};

use crate::block::Block;
use crate::context::Context;
use crate::error::Error;
use crate::evaluate::{Evaluated, Evaluator};
use crate::value::{Answer, MatrixSeries, Stats, Value, VectorSample};

/// Evaluates an expression and shapes its value.
pub fn value(evaluator: &Evaluator, expr: &Expr, is_range: bool) -> Result<Value, Error> {
    let plain = expr.without_parens();
    if !is_range && matches!(plain.kind, ExprKind::Matrix(_) | ExprKind::Subquery(_)) {
        return raw(evaluator, plain);
    }
    let at = TimestampMs(evaluator.grid.start_ms);
    match evaluator.eval(expr)? {
        Evaluated::Text(bytes) => {
            Ok(Value::Text { at, text: String::from_utf8_lossy(&bytes).into_owned() })
        }
        Evaluated::Scalar(values) if is_range => {
            let points = evaluator.grid.instants().map(TimestampMs).zip(values).collect();
            Ok(Value::Matrix(vec![MatrixSeries { labels: Labels::empty(), points }]))
        }
        Evaluated::Scalar(values) => Ok(Value::Scalar { at, value: values[0] }),
        Evaluated::Vector(block) => {
            let block = evaluator.finish_names(block)?;
            if is_range { Ok(matrix(evaluator, &block)) } else { Ok(vector(&block, at)) }
        }
    }
}

fn vector(block: &Block, at: TimestampMs) -> Value {
    let samples = block.keys().iter().enumerate().filter_map(|(series, key)| {
        block.get(series, 0).map(|value| VectorSample { labels: key.labels.clone(), at, value })
    });
    Value::Vector(samples.collect())
}

fn matrix(evaluator: &Evaluator, block: &Block) -> Value {
    let mut series: Vec<MatrixSeries> = block
        .keys()
        .iter()
        .enumerate()
        .map(|(series, key)| {
            let points = block.points(series);
            let points = points.map(|(step, value)| (TimestampMs(evaluator.grid.at(step)), value));
            MatrixSeries { labels: key.labels.clone(), points: points.collect() }
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}

/// The samples of a range vector as they are stored, or as the subquery computed them.
fn raw(evaluator: &Evaluator, expr: &Expr) -> Result<Value, Error> {
    let mut all = match &expr.kind {
        ExprKind::Matrix(_) => evaluator.stored(expr)?,
        ExprKind::Subquery(subquery) => {
            let inner = evaluator.inner(subquery)?;
            let right_ms = inner.times.right_ms[0];
            let window = right_ms.saturating_sub(inner.range_ms)..right_ms;
            let block = evaluator.finish_names(inner.block)?;
            let series = block.keys().iter().enumerate().map(|(series, key)| {
                let points = block
                    .points(series)
                    .map(|(step, value)| (inner.grid.at(step), value))
                    .filter(|(at, _)| window.start < *at && *at <= window.end)
                    .map(|(at, value)| (TimestampMs(at), value));
                MatrixSeries { labels: key.labels.clone(), points: points.collect() }
            });
            series.collect()
        }
        _ => Vec::new(),
    };
    all.retain(|series| !series.points.is_empty());
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Value::Matrix(all))
}

/// The answer with everything that was noted on the way.
pub fn answer(value: Value, context: Context) -> Answer {
    let stats = Stats {
        series: context.series_total.load(Ordering::Relaxed),
        samples_total: context.samples_total.load(Ordering::Relaxed),
        samples_peak: context.ledger.samples_peak() as u64,
        bytes_peak: context.ledger.bytes_peak() as u64,
        nodes: context.nodes.into_inner().unwrap_or_else(|held| held.into_inner()),
        ..Stats::default()
    };
    let (warnings, infos) = context.notes.render(&context.text);
    Answer { value, warnings, infos, stats }
}
