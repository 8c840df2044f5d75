//! Reading one table for one statement, some of its series at a time.
//!
//! Place in the flow: `table` plans a [`Part`] per core → **here** → the store's readers → batches →
//! DataFusion's operators.
//!
//! Invariants: what waits for the statement is charged to its budget; between two series the
//! statement is asked whether to go on; memory does not grow with the table.
//!
//! Not here: which series (`filter`), how columns are filled (`columns`).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use model::TimeRange;
use model::append::SeriesId;
use model::sample::is_stale_nan;
use query::{Charge, Ledger};
use storage::{SeriesEntry, SeriesSlice, Store, Want};
use tokio::sync::mpsc::Sender;

use crate::columns::Rows;
use crate::shape::Shape;

/// Series read at a time, at first; doubled until the most, so that a small LIMIT reads little.
const CHUNK_SERIES_MIN: usize = 16;
/// Series read at a time.
const CHUNK_SERIES_MAX: usize = 1024;
/// Batches that wait for the statement.
const BATCHES_MAX: usize = 2;

/// What a statement has cost so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Series chosen by its tables.
    pub series: AtomicU64,
    /// Samples read.
    pub samples: AtomicU64,
    /// What could not be read.
    pub warnings: Mutex<Vec<String>>,
}

/// What all tables of a statement share.
#[derive(Debug)]
pub struct Shared {
    /// The statement's account.
    pub ledger: Ledger,
    /// What it has cost.
    pub tally: Tally,
    /// Most series of one table; 0: any number.
    pub series_max: usize,
}

impl Shared {
    fn warn(&self, warnings: &[String]) {
        let mut own = self.tally.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            if !own.contains(warning) {
                own.push(warning.clone());
            }
        }
    }
}

/// What a table has rows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Series.
    Series,
    /// Samples.
    Samples,
    /// Native histograms.
    Histograms,
}

/// Some series of one table.
pub struct Part {
    /// Where from.
    pub store: Arc<Store>,
    /// The columns that are used.
    pub shape: Shape,
    /// Rows of what.
    pub kind: Kind,
    /// Which series.
    pub series: Arc<Vec<SeriesEntry>>,
    /// Which of those.
    pub share: std::ops::Range<usize>,
    /// Which instants.
    pub range: TimeRange,
    /// The statement.
    pub shared: Arc<Shared>,
    /// The memory of the series' list.
    pub listed: Arc<Charge>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: series={}, range={:?}", self.kind, self.share.len(), self.range)
    }
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        self.shape.schema()
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(self.shape.schema());
        let mut builder = RecordBatchReceiverStreamBuilder::new(schema, BATCHES_MAX);
        let mut work = Work {
            store: Arc::clone(&self.store),
            shape: self.shape.clone(),
            range: self.range,
            shared: Arc::clone(&self.shared),
            sender: builder.tx(),
            rows: Rows::default(),
            in_flight: Default::default(),
        };
        let (kind, series, share) = (self.kind, Arc::clone(&self.series), self.share.clone());
        let listed = Arc::clone(&self.listed);
        builder.spawn_blocking(move || {
            let _listed = listed;
            match work.all(kind, &series[share]) {
                Ok(()) | Err(Ended::NobodyListens) => Ok(()),
                Err(Ended::Failed(error)) => Err(error),
            }
        });
        builder.build()
    }
}

/// Why reading ends before all is read.
enum Ended {
    /// The statement has enough, or its caller went away.
    NobodyListens,
    /// It can't go on.
    Failed(DataFusionError),
}

impl From<query::Error> for Ended {
    fn from(error: query::Error) -> Ended {
        Ended::Failed(DataFusionError::External(Box::new(error)))
    }
}

impl From<storage::Error> for Ended {
    fn from(error: storage::Error) -> Ended {
        query::Error::Storage(error.to_string()).into()
    }
}

struct Work {
    store: Arc<Store>,
    shape: Shape,
    range: TimeRange,
    shared: Arc<Shared>,
    sender: Sender<Result<RecordBatch>>,
    rows: Rows,
    /// Charges for the batches that were sent last: those before them have been taken.
    in_flight: std::collections::VecDeque<Charge>,
}

impl Work {
    fn all(&mut self, kind: Kind, series: &[SeriesEntry]) -> Result<(), Ended> {
        let mut rest = series;
        let mut chunk_series = CHUNK_SERIES_MIN;
        while !rest.is_empty() {
            self.shared.ledger.check()?;
            let (chunk, others) = rest.split_at(chunk_series.min(rest.len()));
            match kind {
                Kind::Series => self.series(chunk)?,
                Kind::Samples => self.samples(chunk)?,
                Kind::Histograms => self.histograms(chunk)?,
            }
            // Rows tell their series by the position in the chunk.
            self.send(chunk)?;
            rest = others;
            chunk_series = (chunk_series * 2).min(CHUNK_SERIES_MAX);
        }
        Ok(())
    }

    fn series(&mut self, chunk: &[SeriesEntry]) -> Result<(), Ended> {
        for position in 0..chunk.len() {
            self.rows.add_series(position);
        }
        Ok(())
    }

    fn samples(&mut self, chunk: &[SeriesEntry]) -> Result<(), Ended> {
        let ids: Vec<SeriesId> = chunk.iter().map(|entry| entry.id).collect();
        for mut reader in self.store.read(&ids, self.range, Want::All, 1)? {
            while let Some(slice) = reader.next_series() {
                self.shared.ledger.check()?;
                let samples = slice.values.len();
                // The reader holds the whole series, whatever is taken of it.
                let bytes = samples.saturating_mul(size_of::<(i64, f64)>());
                let _held = self.shared.ledger.charge(samples, bytes)?;
                self.shared.tally.samples.fetch_add(samples as u64, Ordering::Relaxed);
                self.slice(chunk, slice)?;
            }
            self.shared.warn(reader.warnings());
        }
        Ok(())
    }

    /// The samples of one series; the markers of its end are no samples.
    fn slice(&mut self, chunk: &[SeriesEntry], slice: SeriesSlice<'_>) -> Result<(), Ended> {
        let SeriesSlice { position, instants_ms, values } = slice;
        let mut start = 0;
        while start < values.len() {
            if self.rows.room() == 0 {
                self.send(chunk)?;
            }
            if is_stale_nan(values[start]) {
                start += 1;
                continue;
            }
            let most = &values[start..values.len().min(start + self.rows.room())];
            let rows = most.iter().position(|own| is_stale_nan(*own)).unwrap_or(most.len());
            let end = start + rows;
            self.rows.add_samples(position, &instants_ms[start..end], &values[start..end]);
            start = end;
        }
        Ok(())
    }

    fn histograms(&mut self, chunk: &[SeriesEntry]) -> Result<(), Ended> {
        let ids: Vec<SeriesId> = chunk.iter().map(|entry| entry.id).collect();
        let mut scan = self.store.beside(&ids, self.range)?;
        for beside in scan.by_ref() {
            self.shared.ledger.check()?;
            let beside = beside?;
            let samples = beside.histograms.len();
            self.shared.tally.samples.fetch_add(samples as u64, Ordering::Relaxed);
            for (at, histogram) in beside.histograms {
                if is_stale_nan(histogram.sum) {
                    continue;
                }
                if self.rows.room() == 0 {
                    self.send(chunk)?;
                }
                self.rows.add_histogram(beside.position, at.0, histogram);
            }
        }
        self.shared.warn(scan.warnings());
        Ok(())
    }

    fn send(&mut self, chunk: &[SeriesEntry]) -> Result<(), Ended> {
        if self.rows.len() == 0 {
            return Ok(());
        }
        let samples = self.rows.len();
        let batch = self.rows.take(&self.shape, chunk);
        let batch = batch.map_err(|error| Ended::Failed(error.into()))?;
        let charge = self.shared.ledger.charge(samples, batch.get_array_memory_size())?;
        // One batch is with the statement, the others wait for it.
        if self.in_flight.len() > BATCHES_MAX {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(charge);
        self.sender.blocking_send(Ok(batch)).map_err(|_| Ended::NobodyListens)
    }
}
