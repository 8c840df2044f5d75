//! The same series as a source of the engine: a plain table, or the real store.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use journal::disk::SimulatedDisk;
use model::append::SeriesId;
use model::clock::ManualClock;
use model::histogram::Buckets;
use model::{Append, Batch, Histogram, Labels, Matcher, TimeRange, TimestampMs};
use query::Error;
use query::source::{Batches, Beside, BesideIter, Source};

use crate::naive::{Distribution, Point, Series};

/// A distribution as the product has it.
pub fn histogram(own: &Distribution) -> Histogram {
    let side = |own: &std::collections::BTreeMap<i32, f64>| {
        Buckets::from_pairs(own.iter().map(|(index, count)| (*index, *count)))
    };
    Histogram {
        schema: own.schema,
        zero_threshold: own.zero_threshold,
        zero_count: own.zero_count,
        count: own.count,
        sum: own.sum,
        positive: side(&own.positive),
        negative: side(&own.negative),
        custom_values: own.custom_values.clone(),
        ..Histogram::default()
    }
}

/// A histogram of the product as a table.
pub fn distribution(own: &Histogram) -> Distribution {
    let side = |own: &Buckets| own.iter().filter(|(_, count)| *count != 0.0).collect();
    Distribution {
        schema: own.schema,
        zero_threshold: own.zero_threshold,
        zero_count: own.zero_count,
        count: own.count,
        sum: own.sum,
        positive: side(&own.positive),
        negative: side(&own.negative),
        custom_values: own.custom_values.clone(),
    }
}

type Row = (Labels, Vec<(i64, f64)>, Vec<(TimestampMs, Arc<Histogram>)>);

/// Series in memory, sorted by labels.
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn new(series: &[Series]) -> Table {
        let mut rows: Vec<Row> = Vec::new();
        for own in series {
            let (mut numbers, mut histograms) = (Vec::new(), Vec::new());
            for (ts, point) in &own.samples {
                match point {
                    Point::Number(value) => numbers.push((*ts, *value)),
                    Point::Histogram(own) => {
                        histograms.push((TimestampMs(*ts), Arc::new(histogram(own))));
                    }
                }
            }
            rows.push((Labels::from_pairs(&own.labels), numbers, histograms));
        }
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        Table { rows }
    }
}

fn is_inside(range: TimeRange, ts: i64) -> bool {
    range.start_ms().0 <= ts && ts < range.end_ms().0
}

impl Source for Table {
    fn series(&self, matchers: &[Matcher], _: TimeRange) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let all = self.rows.iter().enumerate();
        let found = all.filter(|(_, row)| matchers.iter().all(|own| own.matches_labels(&row.0)));
        Ok(found.map(|(index, row)| (SeriesId(index as u64), row.0.clone())).collect())
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let field = |name: &str, kind: DataType| Field::new(name, kind, false);
        let schema = Arc::new(Schema::new(vec![
            field("series", DataType::UInt32),
            field("ts", DataType::Int64),
            field("value", DataType::Float64),
        ]));
        let mut batches = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            let numbers = self.rows[id.0 as usize].1.iter();
            let (ts, values): (Vec<i64>, Vec<f64>) =
                numbers.filter(|own| is_inside(range, own.0)).copied().unzip();
            if ts.is_empty() {
                continue;
            }
            let batch = RecordBatch::try_new(
                schema.clone(),
                vec![
                    Arc::new(UInt32Array::from(vec![position as u32; ts.len()])),
                    Arc::new(Int64Array::from(ts)),
                    Arc::new(Float64Array::from(values)),
                ],
            );
            batches.push(batch.map_err(|problem| Error::Storage(problem.to_string())));
        }
        Ok(Box::new(All(batches.into_iter())))
    }

    fn beside(&self, ids: &[SeriesId], range: TimeRange) -> Result<BesideIter, Error> {
        let mut found = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            let own = self.rows[id.0 as usize].2.iter();
            let histograms: Vec<_> = own.filter(|own| is_inside(range, own.0.0)).cloned().collect();
            if !histograms.is_empty() {
                found.push(Ok(Beside { position, histograms, starts: Vec::new() }));
            }
        }
        Ok(Box::new(found.into_iter()))
    }
}

struct All(std::vec::IntoIter<Result<RecordBatch, Error>>);

impl Iterator for All {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Batches for All {
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The real store on a simulated disk: samples in memory, in blocks, or half and half.
pub struct Stored {
    pub store: Arc<storage::Store>,
    _disk: SimulatedDisk,
}

impl Stored {
    /// Writes everything before `flushed_until_ms`, flushes, and writes the rest.
    pub async fn new(series: &[Series], flushed_until_ms: Option<i64>) -> Result<Stored, String> {
        let disk = SimulatedDisk::new(1);
        let newest = series.iter().filter_map(|own| own.samples.last()).map(|own| own.0).max();
        let clock = ManualClock::new(TimestampMs(newest.unwrap_or(0)));
        let settings = storage::Settings::default();
        let store =
            storage::Store::open(disk.disk(), Path::new("/store"), settings, Arc::new(clock))
                .map_err(|error| format!("open store: {error}"))?;
        let until_ms = flushed_until_ms.unwrap_or(i64::MIN);
        for is_early in [true, false] {
            let batch = batch(series, |ts| (ts < until_ms) == is_early);
            let appended = store.append(batch).await.map_err(|error| error.to_string())?;
            if let Some(refused) = appended.refused.first() {
                return Err(format!("{} at {}", refused.reason.message(), refused.at));
            }
            if is_early && flushed_until_ms.is_some() {
                store.flush().map_err(|error| format!("flush store: {error}"))?;
            }
        }
        Ok(Stored { store, _disk: disk })
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        // The simulated disk goes with it; there is nobody left to tell.
        let _ = self.store.close();
    }
}

fn batch(series: &[Series], is_wanted: impl Fn(i64) -> bool) -> Batch {
    let mut batch = Batch::new();
    for own in series {
        let mut samples = own.samples.iter().filter(|sample| is_wanted(sample.0)).peekable();
        if samples.peek().is_none() {
            continue;
        }
        let position = batch.series(&Labels::from_pairs(&own.labels));
        for (ts, point) in samples {
            let at = TimestampMs(*ts);
            match point {
                Point::Number(value) => batch.sample(position, at, *value),
                Point::Histogram(own) => batch.histogram(position, at, Arc::new(histogram(own))),
            };
        }
    }
    batch
}
