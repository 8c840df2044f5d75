//! Classic histograms: `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`.
//!
//! Place in the flow: `function::call` → **`histogram`** → one series per histogram.
//!
//! Buckets are grouped once per query by all labels but `le`; at each step those that are there
//! form the histogram.
//!
//! Not here: what is computed from buckets (`kernel::histogram`), native histograms.

use std::collections::HashMap;

use model::Labels;
use model::sample::parse_value;
use promql::ast::{Expr, Span};

use crate::block::{Block, BlockBuilder, Key, MergingBuilder};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::kernel::Row;
use crate::kernel::histogram::{Bucket, fraction as fraction_of, quantile as quantile_of};
use crate::names::{label_name, quoted};
use crate::notes::short;

/// The label that holds a bucket's upper bound.
const BUCKET: &str = "le";

/// One histogram: its key and the series of its buckets.
struct Histogram {
    key: Key,
    buckets: Vec<(f64, usize)>,
}

impl Histogram {
    /// The buckets that are there at a step.
    fn at(&self, block: &Block, step: usize, buckets: &mut Vec<Bucket>) {
        buckets.clear();
        buckets.extend(self.buckets.iter().filter_map(|(upper, series)| {
            block.get(*series, step).map(|count| Bucket { upper: *upper, count })
        }));
    }
}

fn gather(own: &Evaluator, span: Span, block: &Block) -> Vec<Histogram> {
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut positions: HashMap<Labels, usize> = HashMap::new();
    for (series, key) in block.keys().iter().enumerate() {
        let le = key.labels.get(BUCKET).unwrap_or("");
        let Some(upper) = parse_value(le) else {
            own.context.notes.bad_bucket(span, le, key.labels.metric_name());
            continue;
        };
        let labels = key.labels.without(BUCKET);
        let position = *positions.entry(labels).or_insert_with_key(|labels| {
            let key = Key { labels: labels.clone(), drop_name: key.drop_name };
            histograms.push(Histogram { key, buckets: Vec::new() });
            histograms.len() - 1
        });
        histograms[position].buckets.push((upper, series));
    }
    for histogram in &mut histograms {
        // Sorted once here, so that sorting them at every step finds them in order.
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    histograms
}

/// `histogram_quantile`
pub fn quantile(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let phis = own.eval_scalar(&args[0])?;
    let block = own.eval_vector(&args[1])?;
    check_phis(own, args[0].span, &phis);
    let histograms = gather(own, args[1].span, &block);
    let mut builder = BlockBuilder::new(block.steps(), &own.context.ledger);
    let mut row = Row::new(block.steps());
    for histogram in &histograms {
        own.context.ledger.check()?;
        quantile_row(own, &block, histogram, (args[1].span, &phis), &mut row);
        builder.push(histogram.key.clone(), &row)?;
    }
    own.drop_names(builder.finish())
}

/// `histogram_quantiles`: one series per φ, named by a label.
pub fn quantiles(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let block = own.eval_vector(&args[0])?;
    let label = own.eval_text(&args[1])?;
    let Some(label) = label_name(&label) else {
        return Err(Error::Execution(format!("invalid label name {}", quoted(&label))));
    };
    let histograms = gather(own, args[0].span, &block);
    let mut builder = MergingBuilder::new(block.steps(), &own.context.ledger);
    for argument in &args[2..] {
        let phis = own.eval_scalar(argument)?;
        check_phis(own, argument.span, &phis);
        for histogram in &histograms {
            own.context.ledger.check()?;
            let mut row = Row::new(block.steps());
            quantile_row(own, &block, histogram, (args[0].span, &phis), &mut row);
            push_by_phi(&mut builder, own, (&histogram.key, label), &phis, &row)?;
        }
    }
    let block = builder.finish(&own.context.ledger)?;
    own.drop_names(block)
}

/// Adds a row under a label that says φ, which may differ from step to step.
fn push_by_phi(
    builder: &mut MergingBuilder,
    own: &Evaluator,
    (key, label): (&Key, &str),
    phis: &[f64],
    row: &Row,
) -> Result<(), Error> {
    let mut rows: HashMap<u64, Row> = HashMap::new();
    for (step, phi) in phis.iter().enumerate() {
        if let Some(value) = row.get(step) {
            rows.entry(phi.to_bits()).or_insert_with(|| Row::new(own.grid.steps)).set(step, value);
        }
    }
    for (bits, row) in rows {
        let mut labels = key.labels.to_builder();
        labels.set(label, &as_label(f64::from_bits(bits)));
        builder.push(Key { labels: labels.build(), drop_name: key.drop_name }, &row)?;
    }
    Ok(())
}

/// A number as OpenMetrics writes it in labels: `0.5`, `1.0`, `+Inf`.
fn as_label(value: f64) -> String {
    let text = short(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

fn check_phis(own: &Evaluator, span: Span, phis: &[f64]) {
    for phi in phis.iter().filter(|phi| !(0.0..=1.0).contains(*phi)) {
        own.context.notes.invalid_quantile(span, *phi);
    }
}

fn quantile_row(
    own: &Evaluator,
    block: &Block,
    histogram: &Histogram,
    (span, phis): (Span, &[f64]),
    row: &mut Row,
) {
    row.clear();
    let mut buckets = Vec::new();
    for (step, phi) in phis.iter().enumerate() {
        histogram.at(block, step, &mut buckets);
        if buckets.is_empty() {
            continue;
        }
        let (value, raised) = quantile_of(*phi, &mut buckets);
        row.set(step, value);
        if let Some(raised) = raised {
            let metric = histogram.key.labels.metric_name();
            own.context.notes.forced_monotonicity(span, metric, raised, own.grid.at(step));
        }
    }
}

/// `histogram_fraction`
pub fn fraction(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let (lower, upper) = (own.eval_scalar(&args[0])?, own.eval_scalar(&args[1])?);
    let block = own.eval_vector(&args[2])?;
    let histograms = gather(own, args[2].span, &block);
    let mut builder = BlockBuilder::new(block.steps(), &own.context.ledger);
    let mut row = Row::new(block.steps());
    let mut buckets = Vec::new();
    for histogram in &histograms {
        own.context.ledger.check()?;
        row.clear();
        for step in 0..block.steps() {
            histogram.at(&block, step, &mut buckets);
            if !buckets.is_empty() {
                row.set(step, fraction_of(lower[step], upper[step], &mut buckets));
            }
        }
        builder.push(histogram.key.clone(), &row)?;
    }
    own.drop_names(builder.finish())
}
