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
use crate::counts::Counting;
use crate::error::Error;
use crate::evaluate::{Evaluated, Evaluator};
use crate::kernel::Element;
use crate::ledger::{Ledger, Pace};
use crate::value::{Answer, Held, MatrixSeries, Stats, Value, VectorSample};

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
            let (labels, histograms) = (Labels::empty(), Vec::new());
            Ok(Value::Matrix(vec![MatrixSeries { labels, points, histograms }]))
        }
        Evaluated::Scalar(values) => Ok(Value::Scalar { at, value: values[0] }),
        Evaluated::Vector(block) => {
            let block = evaluator.finish_names(block)?;
            let ledger = &evaluator.context.ledger;
            if is_range { Ok(matrix(evaluator, &block)) } else { Ok(vector(&block, at, ledger)) }
        }
    }
}

fn vector(block: &Block, at: TimestampMs, ledger: &Ledger) -> Value {
    let pace = Pace::new(ledger);
    let wanted = block.keys().iter().enumerate().take_while(|_| !pace.is_over(64));
    let samples = wanted.filter_map(|(series, key)| {
        block.element(series, 0).map(|element| {
            let (value, histogram) = match element {
                Element::Float(value) => (value, None),
                Element::Histogram(histogram) => (f64::NAN, Some(histogram)),
            };
            VectorSample { labels: key.labels.clone(), at, value, histogram }
        })
    });
    Value::Vector(samples.collect())
}

fn matrix(evaluator: &Evaluator, block: &Block) -> Value {
    let pace = evaluator.pace();
    let mut series: Vec<MatrixSeries> = block
        .keys()
        .iter()
        .enumerate()
        .take_while(|_| !pace.is_over(64 + 4 * block.steps()))
        .map(|(series, key)| {
            let at = |step: usize| TimestampMs(evaluator.grid.at(step));
            let points = block.points(series).map(|(step, value)| (at(step), value));
            let histograms = block.histograms(series).map(|(step, own)| (at(step), own.clone()));
            MatrixSeries {
                labels: key.labels.clone(),
                points: points.collect(),
                histograms: histograms.collect(),
            }
        })
        .filter(|series| !is_empty(series))
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Value::Matrix(series)
}

fn is_empty(series: &MatrixSeries) -> bool {
    series.points.is_empty() && series.histograms.is_empty()
}

/// The samples of a range vector as they are stored, or as the subquery computed them.
fn raw(evaluator: &Evaluator, expr: &Expr) -> Result<Value, Error> {
    let mut all = match &expr.kind {
        ExprKind::Matrix(_) => evaluator.stored(expr)?,
        ExprKind::Subquery(subquery) => {
            let inner = evaluator.inner(subquery, Counting::Total)?;
            let right_ms = inner.times.right_ms[0];
            let window = right_ms.saturating_sub(inner.range_ms)..right_ms;
            let block = evaluator.finish_names(inner.block)?;
            let series = block.keys().iter().enumerate().map(|(series, key)| {
                let at = |step: usize| TimestampMs(inner.grid.at(step));
                let is_inside = |at: TimestampMs| window.start < at.0 && at.0 <= window.end;
                let points = block.points(series).map(|(step, value)| (at(step), value));
                let histograms = block.histograms(series);
                let histograms = histograms.map(|(step, own)| (at(step), own.clone()));
                MatrixSeries {
                    labels: key.labels.clone(),
                    points: points.filter(|(at, _)| is_inside(*at)).collect(),
                    histograms: histograms.filter(|(at, _)| is_inside(*at)).collect(),
                }
            });
            series.collect()
        }
        _ => Vec::new(),
    };
    all.retain(|series| !is_empty(series));
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Value::Matrix(all))
}

/// The answer with everything that was noted on the way.
pub fn answer(value: Value, context: Context) -> Result<Answer, Error> {
    let held = Held::new(context.ledger.charge(0, bytes(&value))?);
    let looked = context.looked.into_inner().unwrap_or_else(|held| held.into_inner());
    let nodes = context.nodes.into_inner().unwrap_or_else(|held| held.into_inner());
    let stats = Stats {
        series: context.series_total.load(Ordering::Relaxed),
        samples_total: looked.total,
        samples_read: nodes.iter().map(|node| node.samples).sum(),
        samples_by_step: looked.per_step,
        samples_peak: context.ledger.samples_peak() as u64,
        bytes_peak: context.ledger.bytes_peak() as u64,
        nodes,
        tree: None,
        ..Stats::default()
    };
    let (warnings, infos) = context.notes.render(&context.text);
    Ok(Answer { value, warnings, infos, stats, held })
}

/// The memory of a result, roughly: labels are shared with the store.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Scalar { .. } | Value::Text { .. } => 0,
        Value::Vector(samples) => samples.len() * size_of::<VectorSample>(),
        Value::Matrix(all) => {
            let own = |one: &MatrixSeries| {
                size_of::<MatrixSeries>()
                    + one.points.len() * size_of::<(TimestampMs, f64)>()
                    + one.histograms.iter().map(|(_, own)| own.bytes()).sum::<usize>()
            };
            all.iter().map(own).sum()
        }
    }
}
