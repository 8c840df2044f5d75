//! A source that takes the time of choosing series and of reading samples.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Labels, Matcher, TimeRange};
use query::source::{Grouped, Keep};
use query::{Batches, Error, Run, SeriesReader, Source, Want};
use storage::Store;

/// A store with a stopwatch.
pub struct Timed {
    store: Arc<Store>,
    select_ns: AtomicU64,
    read_ns: Arc<AtomicU64>,
}

impl Timed {
    /// Over a store.
    pub fn new(store: Arc<Store>) -> Timed {
        Timed { store, select_ns: AtomicU64::new(0), read_ns: Arc::default() }
    }

    /// Back to zero.
    pub fn reset(&self) {
        self.select_ns.store(0, Ordering::Relaxed);
        self.read_ns.store(0, Ordering::Relaxed);
    }

    /// Time spent choosing series.
    pub fn select_ms(&self) -> f64 {
        self.select_ns.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// Time spent reading samples, on all threads together.
    pub fn read_ms(&self) -> f64 {
        self.read_ns.load(Ordering::Relaxed) as f64 / 1e6
    }
}

fn add(counter: &AtomicU64, since: Instant) {
    let ns = u64::try_from(since.elapsed().as_nanos()).expect("runs are short");
    counter.fetch_add(ns, Ordering::Relaxed);
}

impl Source for Timed {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let started = Instant::now();
        let found = Source::series(self.store.as_ref(), matchers, range);
        add(&self.select_ns, started);
        found
    }

    fn series_at_most(&self, matchers: &[Matcher]) -> Option<u64> {
        Source::series_at_most(self.store.as_ref(), matchers)
    }

    fn has_more_than_numbers(&self) -> bool {
        Source::has_more_than_numbers(self.store.as_ref())
    }

    fn grouped(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        ways: &[Keep<'_>],
    ) -> Result<Grouped, Error> {
        let started = Instant::now();
        let found = Source::grouped(self.store.as_ref(), matchers, range, ways);
        add(&self.select_ns, started);
        found
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let started = Instant::now();
        let inner = Source::scan(self.store.as_ref(), ids, range)?;
        add(&self.read_ns, started);
        Ok(Box::new(TimedBatches { inner, read_ns: Arc::clone(&self.read_ns) }))
    }

    fn read(
        &self,
        ids: &[SeriesId],
        range: TimeRange,
        want: Want,
        parts: usize,
    ) -> Result<Vec<Box<dyn SeriesReader>>, Error> {
        let started = Instant::now();
        let readers = Source::read(self.store.as_ref(), ids, range, want, parts)?;
        add(&self.read_ns, started);
        let timed = |inner| {
            let read_ns = Arc::clone(&self.read_ns);
            Box::new(TimedReader { inner, read_ns }) as Box<dyn SeriesReader>
        };
        Ok(readers.into_iter().map(timed).collect())
    }
}

struct TimedReader {
    inner: Box<dyn SeriesReader>,
    read_ns: Arc<AtomicU64>,
}

impl SeriesReader for TimedReader {
    fn next_series(&mut self) -> Result<Option<Run<'_>>, Error> {
        let started = Instant::now();
        let next = self.inner.next_series();
        add(&self.read_ns, started);
        next
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }
}

struct TimedBatches {
    inner: Box<dyn Batches>,
    read_ns: Arc<AtomicU64>,
}

impl Iterator for TimedBatches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let started = Instant::now();
        let next = self.inner.next();
        add(&self.read_ns, started);
        next
    }
}

impl Batches for TimedBatches {
    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }
}
