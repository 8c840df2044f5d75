//! Samples as they are stored: the answer to a bare range selector.
//!
//! Place in the flow: `answer` → **`stored`** → the store's scan.
//!
//! Not here: anything that computes; that is the leaf's.

use std::collections::BTreeMap;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use model::TimestampMs;
use model::sample::is_stale_nan;
use promql::ast::{Expr, ExprKind};

use super::Evaluator;
use crate::counts::Looked;
use crate::error::Error;
use crate::fragment::Leaf;
use crate::kernel::RangeFunction;
use crate::value::{MatrixSeries, NodeStats};

impl Evaluator<'_> {
    /// The samples of a range selector, stale markers left out.
    pub fn stored(&self, expr: &Expr) -> Result<Vec<MatrixSeries>, Error> {
        let ExprKind::Matrix(matrix) = &expr.kind else { return Ok(Vec::new()) };
        let started = Instant::now();
        let leaf = Leaf::Range {
            function: RangeFunction::Last,
            range_ms: self.length_ms(&matrix.range)?,
            params: Vec::new(),
            extension: None,
        };
        let prepared = self.prepare(expr.span, &matrix.selector, leaf)?;
        let mut found: BTreeMap<usize, MatrixSeries> = BTreeMap::new();
        if prepared.selection.ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut charge = self.context.ledger.nothing();
        let mut scan = self.context.source.scan(&prepared.selection.ids, prepared.range)?;
        for batch in scan.by_ref() {
            self.context.ledger.check()?;
            let batch = batch?;
            charge.grow(batch.num_rows(), batch.num_rows() * size_of::<(TimestampMs, f64)>())?;
            for (position, points) in series_of(&batch)? {
                let labels = prepared.selection.labels[position as usize].clone();
                let series = MatrixSeries { labels, points, histograms: Vec::new() };
                found.insert(position as usize, series);
            }
        }
        for beside in prepared.beside {
            let mut histograms = beside.histograms;
            histograms.retain(|(_, own)| !is_stale_nan(own.sum));
            let series = found.entry(beside.position).or_insert_with(|| {
                let labels = prepared.selection.labels[beside.position].clone();
                MatrixSeries { labels, points: Vec::new(), histograms: Vec::new() }
            });
            series.histograms = histograms;
        }
        for warning in scan.warnings() {
            self.context.notes.partial(warning);
        }
        let samples = found.values().map(|own| own.points.len() + own.histograms.len()).sum();
        let mut looked = Looked::new(self.counting, 1);
        looked.add_at_once(samples);
        let node = NodeStats {
            text: self.context.text_of(expr.span).to_owned(),
            span: expr.span,
            series: found.len() as u64,
            samples: samples as u64,
            time_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            ..NodeStats::default()
        };
        self.context.record(node, &looked);
        Ok(found.into_values().collect())
    }
}

/// Position and points of each series of a batch.
type SeriesPoints = Vec<(u32, Vec<(TimestampMs, f64)>)>;

fn series_of(batch: &RecordBatch) -> Result<SeriesPoints, Error> {
    let wrong = || Error::Storage("the scan has a column of a wrong type".to_owned());
    let column = |name: &str| batch.column_by_name(name).ok_or_else(wrong);
    let series = column("series")?.as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
    let ts = column("ts")?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
    let values = column("value")?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
    let mut found: SeriesPoints = Vec::new();
    for row in 0..batch.num_rows() {
        let position = series.value(row);
        if found.last().is_none_or(|last| last.0 != position) {
            found.push((position, Vec::new()));
        }
        if let Some((_, points)) = found.last_mut().filter(|_| !is_stale_nan(values.value(row))) {
            points.push((TimestampMs(ts.value(row)), values.value(row)));
        }
    }
    Ok(found)
}
