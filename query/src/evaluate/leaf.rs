//! Running the leaf operator: partitions on threads, batches back into blocks or folds.
//!
//! Place in the flow: a prepared leaf → **`leaf`** → `PromFragmentExec` → `Block` or `Fold`.
//!
//! A small selection runs on the query's own thread; a large one on several, all of which are
//! waited for, and one failure stops the others.
//!
//! Not here: what a partition does (`fragment::partition`).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use arrow::array::{Array, AsArray, BooleanBufferBuilder};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::datatypes::{Float64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion_common::DataFusionError;
use datafusion_physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use futures::executor::block_on;

use super::Evaluator;
use super::selector::PreparedLeaf;
use crate::block::{Block, Key};
use crate::counts::Looked;
use crate::error::Error;
use crate::fold::{Cell, Fold};
use crate::fragment::{Fragment, Partial, PromFragmentExec, Tally};
use crate::ledger::Charge;
use crate::value::NodeStats;

/// The batches of one partition, and what they are charged for.
type Drained = (Vec<RecordBatch>, Charge);

/// The output of a leaf: its batches in partition order, charged as long as this lives.
struct Output {
    batches: Vec<RecordBatch>,
    fragment: Arc<Fragment>,
    _charges: Vec<Charge>,
}

/// Series that one partition has at least; fewer are not worth a thread.
const SERIES_PER_PARTITION_MIN: usize = 16;

/// Folds of this size that a query's budget could hold, for each partition.
const FOLDS_IN_BUDGET_MIN: usize = 8;

impl Evaluator<'_> {
    /// Runs a leaf without aggregate.
    pub fn run_plain(&self, prepared: PreparedLeaf) -> Result<Block, Error> {
        if !prepared.beside.is_empty() {
            return self.run_beside(prepared);
        }
        let Output { batches, fragment, _charges } = self.run(prepared)?;
        let steps = self.grid.steps;
        let (series, values, valid) = join_lists(batches, steps);
        let labels = &fragment.selection.labels;
        let keys = series.iter().map(|own| Key::new(labels[*own as usize].clone())).collect();
        Block::new(keys, steps, values, valid, &self.context.ledger)
    }

    /// Runs a leaf with its partial aggregate, and merges the partitions' folds.
    pub fn run_folded(&self, prepared: PreparedLeaf) -> Result<(Fold, Arc<Fragment>), Error> {
        let partial = prepared.partial.as_ref().expect("a folded leaf has an aggregate");
        let (op, groups, steps) = (partial.op, partial.groups, self.grid.steps);
        let mut fold = Fold::new(op, groups, steps);
        let Output { batches, fragment, _charges } = self.run(prepared)?;
        for batch in &batches {
            let numbers = batch.column(0).as_primitive::<UInt32Type>().values().clone();
            let column = |index: usize| {
                batch
                    .column(index)
                    .as_fixed_size_list()
                    .values()
                    .as_primitive::<Float64Type>()
                    .clone()
            };
            let (a, b, count) = (column(1), column(2), column(3));
            for (row, group) in numbers.iter().enumerate() {
                let cells = (row * steps..(row + 1) * steps).map(|index| Cell {
                    a: a.value(index),
                    b: b.value(index),
                    count: count.value(index),
                });
                fold.merge_row(*group as usize, cells);
            }
        }
        Ok((fold, fragment))
    }

    /// Over how many threads a leaf is spread: few series are not worth one, and each holds a fold of
    /// its own.
    fn partitions(&self, series: usize, partial: Option<&Partial>) -> usize {
        let fold_bytes = partial.map_or(0, |own| Fold::bytes(own.groups, self.grid.steps));
        let fit = self.context.ledger.bytes_max().checked_div(FOLDS_IN_BUDGET_MIN * fold_bytes);
        let partitions_max = self.context.threads.min(fit.unwrap_or(usize::MAX)).max(1);
        (series / SERIES_PER_PARTITION_MIN).clamp(1, partitions_max)
    }

    /// Runs a leaf; the batches come in partition order.
    fn run(&self, prepared: PreparedLeaf) -> Result<Output, Error> {
        let started = Instant::now();
        let context = self.context;
        let series = prepared.selection.ids.len();
        if prepared.partial.is_none() {
            context.refuse_too_large(prepared.span, series, self.grid.steps)?;
        }
        let partitions = self.partitions(series, prepared.partial.as_ref());
        let readers = if series > 0 {
            let fold = prepared.partial.as_ref().map(|partial| partial.op);
            let want = prepared.leaf.want(prepared.times.right_ms.len(), fold);
            context.source.read(&prepared.selection.ids, prepared.range, want, partitions)?
        } else {
            Vec::new()
        };
        let fragment = Arc::new(Fragment {
            readers: Mutex::new(readers.into_iter().map(Some).collect()),
            selection: prepared.selection,
            times: prepared.times,
            leaf: prepared.leaf,
            partial: prepared.partial,
            ledger: context.ledger.clone(),
            counting: self.counting,
            tally: Tally::new(series, Looked::new(self.counting, self.grid.steps)),
            failure: OnceLock::new(),
        });
        let (mut batches, mut charges) = (Vec::new(), Vec::new());
        if series > 0 {
            let exec = Arc::new(PromFragmentExec::new(Arc::clone(&fragment), partitions));
            (batches, charges) = self.collect(&exec, partitions)?;
        }
        let tally = &fragment.tally;
        let node = NodeStats {
            text: context.text_of(prepared.span).to_owned(),
            span: prepared.span,
            series: series as u64,
            samples: tally.samples_read.load(Ordering::Relaxed),
            bytes: tally.bytes.load(Ordering::Relaxed),
            time_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            reads: *tally.reads.lock().unwrap_or_else(|held| held.into_inner()),
        };
        context.record(node, &tally.looked.lock().unwrap_or_else(|held| held.into_inner()));
        for warning in tally.warnings.lock().unwrap_or_else(|held| held.into_inner()).drain(..) {
            context.notes.partial(warning);
        }
        Ok(Output { batches, fragment, _charges: charges })
    }

    fn collect(
        &self,
        exec: &Arc<PromFragmentExec>,
        partitions: usize,
    ) -> Result<(Vec<RecordBatch>, Vec<Charge>), Error> {
        let context = self.context;
        let drain = |partition: usize| {
            let (exec, task) = (Arc::clone(exec), Arc::clone(&context.task));
            let mut charge = context.ledger.nothing();
            move || -> Result<Drained, DataFusionError> {
                let mut stream = exec.execute(partition, task)?;
                let mut batches = Vec::new();
                // What has left the operator but is no block yet is charged here.
                while let Some(batch) = block_on(stream.try_next())? {
                    let bytes = batch.get_array_memory_size();
                    charge.grow(0, bytes).map_err(|problem| {
                        let first = exec.fragment().failure.get_or_init(|| problem).clone();
                        DataFusionError::External(Box::new(first))
                    })?;
                    batches.push(batch);
                }
                Ok((batches, charge))
            }
        };
        // The first partition runs here; the others on threads that are all waited for.
        let others: Vec<_> = (1..partitions)
            .map(|partition| context.runtime.spawn_blocking(drain(partition)))
            .collect();
        let mut results = vec![drain(0)()];
        for other in others {
            results.push(block_on(other).unwrap_or_else(|problem| {
                Err(DataFusionError::Execution(format!("a partition ended early: {problem}")))
            }));
        }
        let (mut batches, mut charges) = (Vec::new(), Vec::new());
        for result in results {
            let (drained, charge) = result.map_err(from_datafusion)?;
            batches.extend(drained);
            charges.push(charge);
        }
        Ok((batches, charges))
    }
}

/// The error of ours inside DataFusion's, or its text.
fn from_datafusion(problem: DataFusionError) -> Error {
    match problem {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::Execution(other.to_string()),
        },
        other => Error::Execution(other.to_string()),
    }
}

/// The rows of all batches in the order of their series; a single ordered batch is taken as it is.
fn join_lists(
    batches: Vec<RecordBatch>,
    steps: usize,
) -> (Vec<u32>, ScalarBuffer<f64>, BooleanBuffer) {
    let parts: Vec<(ScalarBuffer<u32>, ScalarBuffer<f64>, BooleanBuffer)> =
        batches.iter().map(columns_of).collect();
    if let [(series, values, valid)] = &parts[..]
        && series.is_sorted()
    {
        return (series.to_vec(), values.clone(), valid.clone());
    }
    let mut rows: Vec<(u32, u32, u32)> = Vec::new(); // Series, batch, row.
    for (part, (series, _, _)) in (0..).zip(&parts) {
        rows.extend(series.iter().zip(0..).map(|(series, row)| (*series, part, row)));
    }
    rows.sort_unstable();
    let mut values = Vec::with_capacity(rows.len() * steps);
    let mut valid = BooleanBufferBuilder::new(rows.len() * steps);
    for (_, part, row) in &rows {
        let (_, own_values, own_valid) = &parts[*part as usize];
        let start = *row as usize * steps;
        values.extend_from_slice(&own_values[start..start + steps]);
        valid.append_buffer(&own_valid.slice(start, steps));
    }
    let series = rows.into_iter().map(|(series, _, _)| series).collect();
    (series, ScalarBuffer::from(values), valid.finish())
}

/// The series, values and validity of a plain batch.
fn columns_of(batch: &RecordBatch) -> (ScalarBuffer<u32>, ScalarBuffer<f64>, BooleanBuffer) {
    let list = batch.column(1).as_fixed_size_list();
    let nulls = list.values().nulls().map(|nulls| nulls.inner().clone());
    let valid = nulls.unwrap_or_else(|| BooleanBuffer::new_set(list.values().len()));
    let series = batch.column(0).as_primitive::<UInt32Type>().values().clone();
    (series, list.values().as_primitive::<Float64Type>().values().clone(), valid)
}
