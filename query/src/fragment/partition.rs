//! The work of one partition: its share of the series, batch by batch.
//!
//! Place in the flow: `PromFragmentExec::execute` → **`Work`** → record batches.
//!
//! One scan batch becomes at most one output batch; a partial aggregate comes out at the end.
//!
//! Not here: what the columns mean (`fragment`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, FixedSizeListArray, Float64Array, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion_common::{DataFusionError, Result as DataFusionResult};
use model::sample::is_stale_nan;
use promql::ast::Extension;

use super::{Fragment, Leaf};
use crate::error::Error;
use crate::fold::Fold;
use crate::kernel::counter::Kind;
use crate::kernel::window::{Reach, find};
use crate::kernel::{Frames, Input, RangeFunction, Row, Samples, Window, extended, lookback};
use crate::ledger::Charge;
use crate::source::Batches;

/// Iterates over the output batches of one partition.
pub struct Work {
    fragment: Arc<Fragment>,
    schema: SchemaRef,
    share: std::ops::Range<usize>,
    scan: Option<Box<dyn Batches>>,
    fold: Option<(Fold, Charge)>,
    row: Row,
    windows: Vec<Window>,
    is_done: bool,
}

impl Work {
    /// Starts nothing; the scan is opened by the first call of `next`.
    pub fn new(
        fragment: Arc<Fragment>,
        partition: usize,
        partitions: usize,
        schema: SchemaRef,
    ) -> Work {
        let series = fragment.selection.ids.len();
        let share = series * partition / partitions..series * (partition + 1) / partitions;
        let row = Row::new(fragment.times.right_ms.len());
        let (scan, fold, windows) = (None, None, Vec::new());
        Work { fragment, schema, share, scan, fold, row, windows, is_done: false }
    }

    fn open(&mut self) -> Result<(), Error> {
        let fragment = &self.fragment;
        let ids = &fragment.selection.ids[self.share.clone()];
        self.scan = Some(fragment.source.scan(ids, fragment.range)?);
        if let Some(partial) = &fragment.partial {
            let steps = fragment.times.right_ms.len();
            // Twice: once as cells, once as the columns they leave in.
            let charge = fragment.ledger.charge(0, 2 * Fold::bytes(partial.groups, steps))?;
            self.fold = Some((Fold::new(partial.op, partial.groups, steps), charge));
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, Error> {
        if self.scan.is_none() {
            self.open()?;
        }
        loop {
            let Some(batch) = self.scan.as_mut().and_then(Iterator::next) else {
                self.is_done = true;
                self.keep_warnings();
                return match self.fold.take() {
                    Some((fold, _charge)) => Ok(Some(self.partial_batch(&fold)?)),
                    None => Ok(None),
                };
            };
            if let Some(batch) = self.process(&batch?)? {
                return Ok(Some(batch));
            }
        }
    }

    fn keep_warnings(&self) {
        let found = self.scan.as_ref().map(|scan| scan.warnings()).unwrap_or_default();
        let mut warnings =
            self.fragment.tally.warnings.lock().unwrap_or_else(|held| held.into_inner());
        warnings.extend(found);
    }

    /// Evaluates every series of a scan batch.
    fn process(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>, Error> {
        let (series, ts, values) = columns(batch)?;
        add(&self.fragment.tally.samples_read, ts.len());
        let mut out = RowsBuilder::new(&self.fragment);
        let mut start = 0;
        while start < series.len() {
            self.fragment.ledger.check()?;
            let end = start + series[start..].partition_point(|own| *own == series[start]);
            let position = self.share.start + series[start] as usize;
            self.evaluate(Samples { ts: &ts[start..end], values: &values[start..end] })?;
            start = end;
            if !self.row.valid.contains(&true) {
                continue;
            }
            self.fragment.tally.produced[position].store(true, Ordering::Relaxed);
            match (&mut self.fold, &self.fragment.partial) {
                (Some((fold, _)), Some(partial)) => {
                    fold.add_row(partial.group_of[position] as usize, &self.row);
                }
                _ => out.push(position, &self.row)?,
            }
        }
        if out.positions.is_empty() {
            return Ok(None);
        }
        let bytes = out.positions.len() * self.row.values.len() * 8;
        add(&self.fragment.tally.bytes, bytes);
        out.finish(&self.schema).map(Some)
    }

    /// Evaluates one series into `self.row`.
    fn evaluate(&mut self, samples: Samples) -> Result<(), Error> {
        let fragment = Arc::clone(&self.fragment);
        let times = &fragment.times;
        self.row.clear();
        // Under `@` every step has the same window, so the first one answers for all.
        let once = times.is_fixed && !fragment.leaf.varies_in_equal_windows();
        let steps = if once { 1 } else { times.right_ms.len() };
        let right_ms = &times.right_ms[..steps];
        let (before_ms, after_ms) = fragment.leaf.reach_ms();
        let reach = Reach { before_ms, after_ms };
        if let Leaf::LookBack { output, .. } = &fragment.leaf {
            find(samples.ts, right_ms, reach, &mut self.windows);
            lookback::newest(samples, &self.windows, *output, &mut self.row);
            add(&fragment.tally.samples_total, self.row.count());
        } else {
            let cleaned = without_stale(samples);
            let samples = match &cleaned {
                Some((ts, values)) => Samples { ts, values },
                None => samples,
            };
            find(samples.ts, right_ms, reach, &mut self.windows);
            self.charge_windows()?;
            range(&fragment, samples, &self.windows, &mut self.row);
        }
        if once {
            self.row.spread_first();
        }
        Ok(())
    }

    /// The widest window counts against the sample limit while its series is evaluated.
    fn charge_windows(&self) -> Result<(), Error> {
        let lengths = self.windows.iter().map(|window| window.len());
        let (total, widest) =
            lengths.fold((0, 0), |(total, widest), len| (total + len, len.max(widest)));
        add(&self.fragment.tally.samples_total, total);
        self.fragment.ledger.charge(widest, 0).map(drop)
    }

    fn partial_batch(&self, fold: &Fold) -> Result<RecordBatch, Error> {
        let groups = self.fragment.partial.as_ref().map_or(0, |partial| partial.groups);
        let cells = || (0..groups).flat_map(|group| fold.cells(group));
        let list = |values: Vec<f64>| list_of(Float64Array::from(values), self.row.values.len());
        let numbers = UInt32Array::from_iter_values(0..u32::try_from(groups).unwrap_or(u32::MAX));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(numbers),
            list(cells().map(|cell| cell.a).collect())?,
            list(cells().map(|cell| cell.b).collect())?,
            list(cells().map(|cell| cell.count).collect())?,
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(unexpected)
    }
}

impl Iterator for Work {
    type Item = DataFusionResult<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        match self.advance() {
            Ok(batch) => batch.map(Ok),
            Err(problem) => {
                self.is_done = true;
                Some(Err(DataFusionError::External(Box::new(problem))))
            }
        }
    }
}

/// Evaluates a range function or a smoothed selector.
fn range(fragment: &Fragment, samples: Samples, windows: &[Window], row: &mut Row) {
    let times = &fragment.times;
    let steps = windows.len();
    let frames = |range_ms| Frames {
        right_ms: &times.right_ms[..steps],
        eval_ms: &times.eval_ms[..steps],
        range_ms,
    };
    match &fragment.leaf {
        Leaf::LookBack { .. } => {}
        Leaf::Smoothed { lookback_ms } => {
            let frames = frames(*lookback_ms);
            extended::instant(&Input { samples, windows, frames, params: &[] }, row);
        }
        Leaf::Range { function, range_ms, params, extension } => {
            let input = Input { samples, windows, frames: frames(*range_ms), params };
            match extension {
                None => function.evaluate(&input, row),
                Some((extension, _)) => extend(*function, *extension, &input, row),
            }
        }
    }
}

/// Evaluates a function over an anchored or smoothed selector; the evaluator let only those pass
/// that have a meaning there.
pub fn extend(function: RangeFunction, extension: Extension, input: &Input, row: &mut Row) {
    let smoothed = extension == Extension::Smoothed;
    match function {
        RangeFunction::Rate => extended::change(input, Kind::Rate, smoothed, row),
        RangeFunction::Increase => extended::change(input, Kind::Increase, smoothed, row),
        RangeFunction::Delta => extended::change(input, Kind::Delta, smoothed, row),
        RangeFunction::Changes => extended::changes(input, row),
        RangeFunction::Resets => extended::resets(input, row),
        _ => unreachable!("the evaluator refuses other functions of extended ranges"),
    }
}

/// The samples without stale markers; `None` when there is none.
fn without_stale(samples: Samples) -> Option<(Vec<i64>, Vec<f64>)> {
    if !samples.values.iter().copied().any(is_stale_nan) {
        return None;
    }
    let pairs = samples.ts.iter().copied().zip(samples.values.iter().copied());
    Some(pairs.filter(|(_, value)| !is_stale_nan(*value)).unzip())
}

/// Collects plain rows into one batch.
struct RowsBuilder {
    positions: Vec<u32>,
    values: Vec<f64>,
    valid: BooleanBufferBuilder,
    steps: usize,
    charge: Charge,
}

impl RowsBuilder {
    fn new(fragment: &Fragment) -> RowsBuilder {
        RowsBuilder {
            positions: Vec::new(),
            values: Vec::new(),
            valid: BooleanBufferBuilder::new(0),
            steps: fragment.times.right_ms.len(),
            charge: fragment.ledger.nothing(),
        }
    }

    fn push(&mut self, position: usize, row: &Row) -> Result<(), Error> {
        self.charge.grow(0, self.steps * 8 + self.steps / 8)?;
        self.positions.push(u32::try_from(position).expect("the evaluator caps a selection"));
        self.values.extend_from_slice(&row.values);
        self.valid.append_slice(&row.valid);
        Ok(())
    }

    fn finish(mut self, schema: &SchemaRef) -> Result<RecordBatch, Error> {
        let nulls = NullBuffer::new(self.valid.finish());
        let values = Float64Array::new(self.values.into(), Some(nulls));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(UInt32Array::from(self.positions)), list_of(values, self.steps)?];
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(unexpected)
    }
}

fn list_of(values: Float64Array, steps: usize) -> Result<ArrayRef, Error> {
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let steps = i32::try_from(steps).map_err(unexpected)?;
    let list = FixedSizeListArray::try_new(item, steps, Arc::new(values), None);
    Ok(Arc::new(list.map_err(unexpected)?))
}

/// The three columns of a scan batch.
type Columns<'a> = (&'a [u32], &'a [i64], &'a [f64]);

fn columns(batch: &RecordBatch) -> Result<Columns<'_>, Error> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .filter(|column| column.null_count() == 0)
            .ok_or_else(|| Error::Storage(format!("the scan has no column {name} without nulls")))
    };
    let wrong = |name: &str| Error::Storage(format!("the scan's column {name} has a wrong type"));
    let series =
        column("series")?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong("series"))?;
    let ts = column("ts")?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("ts"))?;
    let values =
        column("value")?.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong("value"))?;
    Ok((series.values(), ts.values(), values.values()))
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

fn unexpected(problem: impl std::fmt::Display) -> Error {
    Error::Execution(format!("a block could not be built: {problem}"))
}
