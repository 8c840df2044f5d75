//! The work of one partition: its share of the series, one after the other.
//!
//! Place in the flow: `PromFragmentExec::execute` → **`Work`** → record batches.
//!
//! Rows leave in batches of about a million numbers; a partial aggregate comes out at the end.
//!
//! Not here: what the columns mean (`fragment`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, BooleanBufferBuilder, FixedSizeListArray, Float64Array, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion_common::{DataFusionError, Result as DataFusionResult};
use model::sample::is_stale_nan;
use promql::ast::Extension;

use super::{Fragment, Leaf, Times};
use crate::counts::Looked;
use crate::error::Error;
use crate::fold::Fold;
use crate::kernel::counter::{Edges, Kind};
use crate::kernel::finite::are_finite;
use crate::kernel::window::{Reach, find};
use crate::kernel::{Frames, Input, RangeFunction, Row, Samples, Window, extended, lookback};
use crate::ledger::{Charge, Pace};
use crate::source::SeriesReader;

/// Numbers of one output batch, about; a larger answer leaves in several.
const BATCH_VALUES: usize = 1 << 20;
/// Samples and steps that are worked on between two looks at the deadline.
const WORK_BETWEEN_CHECKS: usize = 1 << 16;

/// Iterates over the output batches of one partition.
pub struct Work {
    fragment: Arc<Fragment>,
    schema: SchemaRef,
    partition: usize,
    reader: Option<Box<dyn SeriesReader>>,
    fold: Option<(Fold, Charge)>,
    evaluator: SeriesEvaluator,
    is_done: bool,
}

/// What is kept from one series to the next.
struct SeriesEvaluator {
    row: Row,
    /// The instants that `windows` belong to: series of one scrape have them in common.
    ts: Vec<i64>,
    windows: Vec<Window>,
    /// What the windows' instants say to functions that extrapolate; the others leave it alone.
    edges: Edges,
    /// Samples in all windows, once per window.
    windows_total: usize,
    /// Samples looked at.
    looked: Looked,
    /// Holds the samples of the widest window.
    widest: Charge,
    work: usize,
}

impl Work {
    /// Starts nothing; the reader is taken by the first call of `next`.
    pub fn new(fragment: Arc<Fragment>, partition: usize, schema: SchemaRef) -> Work {
        let evaluator = SeriesEvaluator {
            row: Row::new(fragment.times.right_ms.len()),
            ts: Vec::new(),
            windows: Vec::new(),
            edges: Edges::default(),
            windows_total: 0,
            looked: Looked::new(fragment.counting, fragment.times.right_ms.len()),
            widest: fragment.ledger.nothing(),
            work: 0,
        };
        let (reader, fold) = (None, None);
        Work { fragment, schema, partition, reader, fold, evaluator, is_done: false }
    }

    fn open(&mut self) -> Result<Box<dyn SeriesReader>, Error> {
        let fragment = &self.fragment;
        fragment.ledger.check()?;
        if let Some(partial) = &fragment.partial {
            let steps = fragment.times.right_ms.len();
            let charge = fragment.ledger.charge(0, Fold::bytes(partial.groups, steps))?;
            self.fold = Some((Fold::new(partial.op, partial.groups, steps), charge));
        }
        let mut readers = fragment.readers.lock().unwrap_or_else(|held| held.into_inner());
        let reader = readers.get_mut(self.partition).and_then(Option::take);
        reader.ok_or_else(|| Error::Execution("a partition was begun twice".to_owned()))
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, Error> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.open()?,
        };
        let rows = self.process(reader.as_mut())?;
        if let Some(rows) = rows {
            self.reader = Some(reader);
            add(&self.fragment.tally.bytes, rows.values.len() * 8);
            return rows.finish(&self.schema).map(Some);
        }
        self.is_done = true;
        let found = reader.warnings();
        let tally = &self.fragment.tally;
        let looked = &self.evaluator.looked;
        tally.looked.lock().unwrap_or_else(|held| held.into_inner()).merge(looked);
        *tally.reads.lock().unwrap_or_else(|held| held.into_inner()) += reader.reads();
        tally.warnings.lock().unwrap_or_else(|held| held.into_inner()).extend(found);
        match self.fold.take() {
            Some((fold, _charge)) => Ok(Some(self.partial_batch(fold)?)),
            None => Ok(None),
        }
    }

    /// Evaluates series until a batch is full, or to the end. `None` when no row came out.
    fn process(&mut self, reader: &mut dyn SeriesReader) -> Result<Option<RowsBuilder>, Error> {
        let fragment = Arc::clone(&self.fragment);
        let mut out = RowsBuilder::new(&fragment);
        let mut samples_read = 0;
        while out.values.len() < BATCH_VALUES {
            if let Some(failure) = fragment.failure.get() {
                return Err(failure.clone());
            }
            let Some(run) = reader.next_series()? else { break };
            samples_read += run.ts.len();
            let samples = Samples { ts: run.ts, values: run.values };
            self.evaluator.evaluate(&fragment, samples)?;
            let row = &self.evaluator.row;
            if !row.valid.contains(&true) {
                continue;
            }
            fragment.tally.produced[run.position].store(true, Ordering::Relaxed);
            match (&mut self.fold, &fragment.partial) {
                (Some((fold, _)), Some(partial)) => {
                    fold.add_row(partial.group_of[run.position] as usize, row);
                }
                _ => out.push(run.position, row)?,
            }
        }
        add(&fragment.tally.samples_read, samples_read);
        Ok((!out.positions.is_empty()).then_some(out))
    }

    fn partial_batch(&self, fold: Fold) -> Result<RecordBatch, Error> {
        let groups = self.fragment.partial.as_ref().map_or(0, |partial| partial.groups);
        let numbers = UInt32Array::from_iter_values(0..u32::try_from(groups).unwrap_or(u32::MAX));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(numbers)];
        for column in fold.into_columns() {
            columns.push(list_of(Float64Array::from(column), self.evaluator.row.values.len())?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(unexpected)
    }
}

impl SeriesEvaluator {
    /// Evaluates one series into `row`.
    fn evaluate(&mut self, fragment: &Fragment, samples: Samples) -> Result<(), Error> {
        let times = &fragment.times;
        self.work += samples.ts.len() + times.right_ms.len();
        if self.work > WORK_BETWEEN_CHECKS {
            fragment.ledger.check()?;
            self.work = 0;
        }
        self.row.clear();
        // Under `@` every step has the same window, so the first one answers for all.
        let once = times.is_fixed && !fragment.leaf.varies_in_equal_windows();
        let steps = if once { 1 } else { times.right_ms.len() };
        let right_ms = &times.right_ms[..steps];
        if let Leaf::LookBack { output, .. } = &fragment.leaf {
            self.find_windows(fragment, samples.ts, right_ms);
            lookback::newest(samples, &self.windows, *output, &mut self.row);
        } else {
            let cleaned = without_stale(samples);
            let samples = match &cleaned {
                Some((ts, values)) => Samples { ts, values },
                None => samples,
            };
            if self.find_windows(fragment, samples.ts, right_ms) {
                self.measure_windows()?;
                self.find_edges(fragment, samples.ts);
            }
            self.looked.add_windows(&self.windows, self.windows_total, times.right_ms.len());
            self.work = self.work.saturating_add(self.windows_total);
            let pace = Pace::new(&fragment.ledger);
            range(fragment, samples, (&self.windows, &self.edges, &pace), &mut self.row);
        }
        if once {
            self.row.spread_first();
        }
        if matches!(fragment.leaf, Leaf::LookBack { .. }) {
            self.looked.add_row(&self.row);
        }
        Ok(())
    }

    /// Finds the windows of a series, unless they are those of the series before. Answers whether
    /// they are new.
    fn find_windows(&mut self, fragment: &Fragment, ts: &[i64], right_ms: &[i64]) -> bool {
        if !self.windows.is_empty() && self.ts == ts {
            return false;
        }
        let (before_ms, after_ms) = fragment.leaf.reach_ms();
        find(ts, right_ms, Reach { before_ms, after_ms }, &mut self.windows);
        self.ts.clear();
        self.ts.extend_from_slice(ts);
        true
    }

    /// Works out what series with the same windows have in common.
    fn find_edges(&mut self, fragment: &Fragment, ts: &[i64]) {
        let Leaf::Range { function, range_ms, extension: None, .. } = &fragment.leaf else {
            return;
        };
        if let Some(kind) = function.extrapolates() {
            let frames = frames(&fragment.times, self.windows.len(), *range_ms);
            self.edges.find(ts, &self.windows, (frames, kind));
        }
    }

    /// The widest window counts against the sample limit while series are evaluated.
    fn measure_windows(&mut self) -> Result<(), Error> {
        let lengths = self.windows.iter().map(|window| window.len());
        let (total, widest) =
            lengths.fold((0, 0), |(total, widest), len| (total + len, len.max(widest)));
        self.windows_total = total;
        self.widest.grow(widest.saturating_sub(self.widest.samples()), 0)
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
                let first = self.fragment.failure.get_or_init(|| problem).clone();
                Some(Err(DataFusionError::External(Box::new(first))))
            }
        }
    }
}

/// Where the first windows lie.
fn frames(times: &Times, steps: usize, range_ms: i64) -> Frames<'_> {
    Frames { right_ms: &times.right_ms[..steps], eval_ms: &times.eval_ms[..steps], range_ms }
}

/// Evaluates a range function or a smoothed selector.
fn range(
    fragment: &Fragment,
    samples: Samples,
    (windows, edges, pace): (&[Window], &Edges, &Pace),
    row: &mut Row,
) {
    let frames = |range_ms| frames(&fragment.times, windows.len(), range_ms);
    match &fragment.leaf {
        Leaf::LookBack { .. } => {}
        Leaf::Smoothed { lookback_ms } => {
            let frames = frames(*lookback_ms);
            let input = Input { samples, windows, frames, params: &[], edges: None, pace };
            extended::instant(&input, row);
        }
        Leaf::Range { function, range_ms, params, extension } => {
            let frames = frames(*range_ms);
            // Extended windows have none.
            let edges = extension.is_none().then_some(edges);
            let input = Input { samples, windows, frames, params, edges, pace };
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
    if are_finite(samples.values) || !samples.values.iter().copied().any(is_stale_nan) {
        return None;
    }
    let pairs = samples.ts.iter().copied().zip(samples.values.iter().copied());
    Some(pairs.filter(|(_, value)| !is_stale_nan(*value)).unzip())
}

/// Rows that are charged for at once, at most.
const ROWS_CHARGED_MAX: usize = 64;

/// Collects plain rows into one batch.
struct RowsBuilder {
    positions: Vec<u32>,
    values: Vec<f64>,
    valid: BooleanBufferBuilder,
    steps: usize,
    charge: Charge,
    charged_rows: usize,
}

impl RowsBuilder {
    fn new(fragment: &Fragment) -> RowsBuilder {
        RowsBuilder {
            positions: Vec::new(),
            values: Vec::new(),
            valid: BooleanBufferBuilder::new(0),
            steps: fragment.times.right_ms.len(),
            charge: fragment.ledger.nothing(),
            charged_rows: 0,
        }
    }

    fn push(&mut self, position: usize, row: &Row) -> Result<(), Error> {
        if self.positions.len() == self.charged_rows {
            // Twice as many as before: the account is not asked for every row.
            let more = self.charged_rows.clamp(1, ROWS_CHARGED_MAX);
            self.charge.grow(0, more * (self.steps * 8 + self.steps / 8))?;
            self.charged_rows += more;
        }
        self.positions.push(u32::try_from(position).expect("the evaluator caps a selection"));
        self.values.extend_from_slice(&row.values);
        if row.valid.contains(&false) {
            self.valid.append_slice(&row.valid);
        } else {
            self.valid.append_n(self.steps, true);
        }
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

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

fn unexpected(problem: impl std::fmt::Display) -> Error {
    Error::Execution(format!("a block could not be built: {problem}"))
}
