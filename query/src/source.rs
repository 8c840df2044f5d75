//! Where series come from: the store's contract as the engine needs it.
//!
//! Place in the flow: `evaluate::selector` → **`Source`** → storage's index and scan.
//!
//! `Arc<storage::Store>` is a `Source`; a test may bring a table of its own.
//!
//! Not here: what is done with the samples (`fragment`).

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Histogram, Labels, Matcher, TimeRange, TimestampMs};

pub use storage::grouped::{Grouped, Groups, Keep};
pub use storage::{Reads, Want};

use crate::error::Error;

/// Selects series and reads their samples.
pub trait Source: Send + Sync + 'static {
    /// The series that pass every matcher and may have samples in the range, sorted by labels.
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error>;

    /// How many series can pass the matchers at most, when a few look-ups tell: a bound, whatever the
    /// range is.
    fn series_at_most(&self, _matchers: &[Matcher]) -> Option<u64> {
        None
    }

    /// Whether any series may have more than numbers; in doubt yes.
    fn has_more_than_numbers(&self) -> bool {
        true
    }

    /// The same series, in any order and without their labels, put into groups in each of the ways.
    fn grouped(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        ways: &[Keep<'_>],
    ) -> Result<Grouped, Error> {
        let found = self.series(matchers, range)?;
        let group = |keep: &Keep<'_>| Groups::of(found.iter().map(|(_, labels)| labels), keep);
        let ways = ways.iter().map(group).collect();
        Ok(Grouped { ids: found.into_iter().map(|(id, _)| id).collect(), ways })
    }

    /// The samples of these series inside the range.
    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error>;

    /// The samples of these series inside the range, split among `parts` readers; a store that
    /// keeps series in an order of its own gives them in that order.
    fn read(
        &self,
        ids: &[SeriesId],
        range: TimeRange,
        _want: Want,
        parts: usize,
    ) -> Result<Vec<Box<dyn SeriesReader>>, Error> {
        let share = |part: usize| ids.len() * part / parts..ids.len() * (part + 1) / parts;
        let open = |part: usize| {
            let batches = self.scan(&ids[share(part)], range)?;
            let first = share(part).start;
            let reader = FromBatches { batches, first, batch: None, row: 0 };
            Ok(Box::new(reader) as Box<dyn SeriesReader>)
        };
        (0..parts).map(open).collect()
    }

    /// What these series have beside their numbers inside the range, by position. A source that
    /// holds nothing but numbers leaves this as it is, and its queries pay nothing for it.
    fn beside(&self, _ids: &[SeriesId], _range: TimeRange) -> Result<BesideIter, Error> {
        Ok(Box::new(Vec::new().into_iter()))
    }
}

/// One entry per series that has anything beside its numbers, positions ascending.
pub type BesideIter = Box<dyn Besides>;

/// What is beside the numbers of series, one after the other.
pub trait Besides: Iterator<Item = Result<Beside, Error>> + Send {
    /// What could not be read so far; empty when the answer is whole.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Besides for std::vec::IntoIter<Result<Beside, Error>> {}

/// What one series has beside its numbers.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Its position in the ids asked for.
    pub position: usize,
    /// Its histogram samples, instants ascending; none at the instant of a number. One whose sum is
    /// the stale marker is the stale marker.
    pub histograms: Vec<(TimestampMs, Arc<Histogram>)>,
    /// Start timestamps of those samples (numbers and histograms) that have one: instant, start.
    pub starts: Vec<(TimestampMs, TimestampMs)>,
}

/// Batches of columns `series` (UInt32, position in the ids asked for), `ts` (Int64, ms) and `value`
/// (Float64); rows by series, then time; a series is never split across two batches.
pub trait Batches: Iterator<Item = Result<RecordBatch, Error>> + Send {
    /// What could not be read so far; empty when the answer is whole.
    fn warnings(&self) -> Vec<String>;
}

/// The samples of one series.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its position in the ids asked for.
    pub position: usize,
    /// Instants in milliseconds, ascending.
    pub ts: &'a [i64],
    /// Values, as many as instants.
    pub values: &'a [f64],
}

/// Gives series one after the other, each at most once; those without samples are left out.
pub trait SeriesReader: Send {
    /// The next series.
    fn next_series(&mut self) -> Result<Option<Run<'_>>, Error>;

    /// What could not be read so far; empty when the answer is whole.
    fn warnings(&self) -> Vec<String>;

    /// What was read of the disk so far.
    fn reads(&self) -> Reads {
        Reads::default()
    }
}

/// Series out of batches.
struct FromBatches {
    batches: Box<dyn Batches>,
    first: usize,
    batch: Option<RecordBatch>,
    row: usize,
}

impl SeriesReader for FromBatches {
    fn next_series(&mut self) -> Result<Option<Run<'_>>, Error> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            (self.batch, self.row) = (self.batches.next().transpose()?, 0);
            if self.batch.is_none() {
                return Ok(None);
            }
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let (series, ts, values) = columns(batch)?;
        let start = self.row;
        self.row += series[start..].partition_point(|own| *own == series[start]);
        let position = self.first + series[start] as usize;
        let rows = start..self.row;
        Ok(Some(Run { position, ts: &ts[rows.clone()], values: &values[rows] }))
    }

    fn warnings(&self) -> Vec<String> {
        self.batches.warnings()
    }
}

/// The three columns of a batch.
type Columns<'b> = (&'b [u32], &'b [i64], &'b [f64]);

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

impl SeriesReader for storage::Reader {
    fn next_series(&mut self) -> Result<Option<Run<'_>>, Error> {
        let slice = storage::Reader::next_series(self);
        Ok(slice.map(|own| Run { position: own.position, ts: own.instants_ms, values: own.values }))
    }

    fn warnings(&self) -> Vec<String> {
        storage::Reader::warnings(self).to_vec()
    }

    fn reads(&self) -> Reads {
        storage::Reader::reads(self)
    }
}

impl Source for storage::Store {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let entries = storage::Store::series(self, matchers, range, 0).map_err(unreadable)?;
        Ok(entries.into_iter().map(|entry| (entry.id, entry.labels)).collect())
    }

    fn series_at_most(&self, matchers: &[Matcher]) -> Option<u64> {
        Some(storage::Store::series_at_most(self, matchers))
    }

    fn has_more_than_numbers(&self) -> bool {
        storage::Store::has_more_than_numbers(self)
    }

    fn grouped(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        ways: &[Keep<'_>],
    ) -> Result<Grouped, Error> {
        storage::Store::grouped(self, matchers, range, ways).map_err(unreadable)
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let scan = storage::Store::scan(self, ids, range).map_err(unreadable)?;
        Ok(Box::new(StoreBatches(scan)))
    }

    fn read(
        &self,
        ids: &[SeriesId],
        range: TimeRange,
        want: Want,
        parts: usize,
    ) -> Result<Vec<Box<dyn SeriesReader>>, Error> {
        let readers = storage::Store::read(self, ids, range, want, parts).map_err(unreadable)?;
        let boxed = |reader| Box::new(reader) as Box<dyn SeriesReader>;
        Ok(readers.into_iter().map(boxed).collect())
    }

    fn beside(&self, ids: &[SeriesId], range: TimeRange) -> Result<BesideIter, Error> {
        let scan = storage::Store::beside(self, ids, range).map_err(unreadable)?;
        Ok(Box::new(StoreBesides(scan)))
    }
}

struct StoreBesides(storage::BesideScan);

impl Iterator for StoreBesides {
    type Item = Result<Beside, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let beside = self.0.next()?;
        Some(beside.map_err(unreadable).map(|own| {
            let storage::Beside { position, histograms, starts } = own;
            Beside { position, histograms, starts }
        }))
    }
}

impl Besides for StoreBesides {
    fn warnings(&self) -> Vec<String> {
        self.0.warnings().to_vec()
    }
}

struct StoreBatches(storage::Scan);

impl Iterator for StoreBatches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map_err(unreadable))
    }
}

impl Batches for StoreBatches {
    fn warnings(&self) -> Vec<String> {
        self.0.warnings().to_vec()
    }
}

fn unreadable(problem: storage::Error) -> Error {
    Error::Storage(problem.to_string())
}
