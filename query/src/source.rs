//! Where series come from: the store's contract as the engine needs it.
//!
//! Place in the flow: `evaluate::selector` → **`Source`** → storage's index and scan.
//!
//! `Arc<storage::Store>` is a `Source`; a test may bring a table of its own.
//!
//! Not here: what is done with the samples (`fragment`).

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Histogram, Labels, Matcher, TimeRange, TimestampMs};

use crate::error::Error;

/// Selects series and reads their samples.
pub trait Source: Send + Sync + 'static {
    /// The series that pass every matcher and may have samples in the range, sorted by labels.
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error>;

    /// The samples of these series inside the range.
    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error>;

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

impl Source for storage::Store {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let entries = storage::Store::series(self, matchers, range, 0).map_err(unreadable)?;
        Ok(entries.into_iter().map(|entry| (entry.id, entry.labels)).collect())
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let scan = storage::Store::scan(self, ids, range).map_err(unreadable)?;
        Ok(Box::new(StoreBatches(scan)))
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
