//! Functions of histograms, classic and native: quantiles, fractions, count, sum, spread.
//!
//! Place in the flow: `function::call` → **`histogram`** → one series per histogram.
//!
//! Buckets are grouped once per query by all labels but `le`; at each step those that are there
//! form the histogram.
//!
//! Not here: what is computed from buckets (`kernel::histogram`, `histogram::shape`).

use std::collections::HashMap;

use model::sample::parse_value;
use model::{Histogram as NativeHistogram, Labels};
use promql::ast::{Expr, Span};

use crate::block::{Block, BlockBuilder, Key, MergingBuilder};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::histogram::shape as native;
use crate::kernel::Row;
use crate::kernel::histogram::{Bucket, fraction as fraction_of, quantile as quantile_of};
use crate::names::{label_name, quoted};
use crate::notes::{Notes, short};

/// The label that holds a bucket's upper bound.
const BUCKET: &str = "le";

/// One histogram: its key and the series of its buckets.
struct Histogram {
    key: Key,
    buckets: Vec<(f64, usize)>,
    natives: Vec<usize>,
}

/// What one histogram is at a step.
enum Shape<'a> {
    /// Its buckets are in the list handed in.
    Classic,
    /// It is one sample.
    Native(&'a NativeHistogram),
}

/// The numbers of a histogram's buckets.
struct Columns<'b> {
    block: &'b Block,
    histogram: &'b Histogram,
    /// Bound, series and values of each bucket; whether there is a number at every step.
    buckets: Vec<(f64, usize, &'b [f64], bool)>,
}

impl<'b> Columns<'b> {
    fn new(block: &'b Block, histogram: &'b Histogram) -> Columns<'b> {
        let column = |(upper, series): &(f64, usize)| {
            (*upper, *series, block.values(*series), block.is_full(*series))
        };
        let buckets = histogram.buckets.iter().map(column).collect();
        Columns { block, histogram, buckets }
    }

    /// What is there at a step; nothing when there are both kinds.
    fn at(
        &self,
        noted: (&Notes, Span),
        step: usize,
        buckets: &mut Vec<Bucket>,
    ) -> Option<Shape<'b>> {
        buckets.clear();
        buckets.extend(self.buckets.iter().filter_map(|(upper, series, values, is_full)| {
            let is_there = *is_full || self.block.is_valid(*series, step);
            is_there.then(|| Bucket { upper: *upper, count: values[step] })
        }));
        let mut natives = self.histogram.natives.iter();
        let native = natives.find_map(|series| self.block.histogram(*series, step));
        match (buckets.is_empty(), native) {
            (true, None) => None,
            (false, None) => Some(Shape::Classic),
            (true, Some(native)) => Some(Shape::Native(native)),
            (false, Some(_)) => {
                let text = "vector contains a mix of classic and native histograms";
                noted.0.warning(noted.1, text, self.histogram.key.labels.metric_name());
                None
            }
        }
    }
}

fn gather(own: &Evaluator, span: Span, block: &Block) -> Result<Vec<Histogram>, Error> {
    let mut histograms: Vec<Histogram> = Vec::new();
    let mut positions: HashMap<Labels, usize> = HashMap::new();
    let pace = own.pace();
    for (series, key) in block.keys().iter().enumerate() {
        pace.spend(256)?;
        let is_native = block.histograms(series).next().is_some();
        let has_floats = !is_native || block.points(series).next().is_some();
        let le = key.labels.get(BUCKET).unwrap_or("");
        let upper = parse_value(le).filter(|_| has_floats);
        if has_floats && upper.is_none() {
            own.context.notes.bad_bucket(span, le, key.labels.metric_name());
        }
        if upper.is_none() && !is_native {
            continue;
        }
        let labels = key.labels.without(BUCKET);
        let position = *positions.entry(labels).or_insert_with_key(|labels| {
            let key = Key { labels: labels.clone(), drop_name: key.drop_name };
            histograms.push(Histogram { key, buckets: Vec::new(), natives: Vec::new() });
            histograms.len() - 1
        });
        histograms[position].buckets.extend(upper.map(|upper| (upper, series)));
        histograms[position].natives.extend(is_native.then_some(series));
    }
    for histogram in &mut histograms {
        // Once, rather than at every step.
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    Ok(histograms)
}

/// `histogram_count` and others that make one number of a native histogram; of numbers nothing.
pub fn property(own: &Evaluator, name: &str, argument: &Expr) -> Result<Block, Error> {
    let of: fn(&NativeHistogram) -> f64 = match name {
        "histogram_count" => |own| own.count,
        "histogram_sum" => |own| own.sum,
        "histogram_avg" => |own| own.sum / own.count,
        "histogram_stddev" => |own| native::variance(own).sqrt(),
        _ => native::variance,
    };
    let needs_buckets = matches!(name, "histogram_stddev" | "histogram_stdvar");
    let inner = if needs_buckets { *own } else { own.for_histograms(false) };
    let block = inner.eval_vector(argument)?;
    let mut builder = BlockBuilder::new(block.steps(), &own.context.ledger);
    let mut row = Row::new(block.steps());
    let pace = own.pace();
    for (series, key) in block.keys().iter().enumerate() {
        pace.spend(64 + block.steps())?;
        row.clear();
        block.histograms(series).for_each(|(step, own)| row.set(step, of(own)));
        builder.push(key.clone(), &row)?;
    }
    own.drop_names(builder.finish())
}

/// `histogram_quantile`
pub fn quantile(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let phis = own.eval_scalar(&args[0])?;
    let block = own.for_histograms(true).eval_vector(&args[1])?;
    check_phis(own, args[0].span, &phis);
    let histograms = gather(own, args[1].span, &block)?;
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
    let block = own.for_histograms(true).eval_vector(&args[0])?;
    let label = own.eval_text(&args[1])?;
    let Some(label) = label_name(&label) else {
        return Err(Error::Execution(format!("invalid label name {}", quoted(&label))));
    };
    let histograms = gather(own, args[0].span, &block)?;
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
    let block = builder.finish();
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
    let columns = Columns::new(block, histogram);
    let mut buckets = Vec::with_capacity(histogram.buckets.len());
    let (notes, metric) = (&own.context.notes, histogram.key.labels.metric_name());
    let pace = own.pace();
    for (step, phi) in phis.iter().enumerate() {
        if pace.is_over(64 + 16 * histogram.buckets.len()) {
            return;
        }
        let (value, raised) = match columns.at((notes, span), step, &mut buckets) {
            None => continue,
            Some(Shape::Classic) => quantile_of(*phi, &mut buckets),
            Some(Shape::Native(native)) => {
                let (value, nans) = native::quantile(*phi, native);
                if let Some(nans) = nans {
                    notes.info(span, nans.text(), metric);
                }
                (value, None)
            }
        };
        row.set(step, value);
        if let Some(raised) = raised {
            notes.forced_monotonicity(span, metric, raised, own.grid.at(step));
        }
    }
}

/// `histogram_fraction`
pub fn fraction(own: &Evaluator, args: &[Expr]) -> Result<Block, Error> {
    let (lower, upper) = (own.eval_scalar(&args[0])?, own.eval_scalar(&args[1])?);
    let block = own.for_histograms(true).eval_vector(&args[2])?;
    let histograms = gather(own, args[2].span, &block)?;
    let mut builder = BlockBuilder::new(block.steps(), &own.context.ledger);
    let mut row = Row::new(block.steps());
    let mut buckets = Vec::new();
    let pace = own.pace();
    for histogram in &histograms {
        row.clear();
        let columns = Columns::new(&block, histogram);
        for step in 0..block.steps() {
            pace.spend(64 + 16 * histogram.buckets.len())?;
            let noted = (&own.context.notes, args[2].span);
            let (lower, upper) = (lower[step], upper[step]);
            let value = match columns.at(noted, step, &mut buckets) {
                None => continue,
                Some(Shape::Classic) => fraction_of(lower, upper, &mut buckets),
                Some(Shape::Native(native)) => {
                    if native.sum.is_nan() && native.count != 0.0 {
                        let metric = histogram.key.labels.metric_name();
                        noted.0.info(noted.1, native::FRACTION_OF_NANS, metric);
                    }
                    native::fraction(lower, upper, native)
                }
            };
            row.set(step, value);
        }
        builder.push(histogram.key.clone(), &row)?;
    }
    own.drop_names(builder.finish())
}
