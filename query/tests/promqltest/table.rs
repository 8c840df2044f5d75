//! Series in memory: what the files load, without a store in between.
//!
//! Place in the flow: `run` fills it → the engine reads it as its source.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Histogram, Labels, Matcher, TimeRange, TimestampMs};
use query::Error;
use query::source::{Batches, Beside, BesideIter, Source};

use crate::native::Chunks;

/// What is loaded at one instant.
#[derive(Debug, Clone)]
pub struct Sample {
    pub element: Element,
    /// Where the counter began, when a line gave it.
    pub start: Option<TimestampMs>,
}

/// A number or a histogram.
#[derive(Debug, Clone)]
pub enum Element {
    Float(f64),
    Histogram(Arc<Histogram>),
}

type Samples = BTreeMap<TimestampMs, Sample>;

/// All series of one file.
#[derive(Default)]
pub struct Table {
    series: RwLock<Vec<(Labels, Samples)>>,
}

impl Table {
    /// Adds one sample; a sample of the same instant is replaced.
    pub fn add(&self, labels: &Labels, at: TimestampMs, sample: Sample) {
        let mut series = self.series.write().expect("no panic while it was held");
        let position = match series.iter().position(|(own, _)| own == labels) {
            Some(position) => position,
            None => {
                series.push((labels.clone(), Samples::new()));
                series.len() - 1
            }
        };
        series[position].1.insert(at, sample);
    }
}

impl Source for Table {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let series = self.series.read().expect("no panic while it was held");
        let mut found: Vec<(SeriesId, Labels)> = series
            .iter()
            .enumerate()
            .filter(|(_, (labels, _))| {
                matchers.iter().all(|matcher| matcher.matches_labels(labels))
            })
            .filter(|(_, (_, samples))| {
                samples.range(range.start_ms()..range.end_ms()).next().is_some()
            })
            .map(|(index, (labels, _))| (SeriesId(index as u64), labels.clone()))
            .collect();
        found.sort_by(|a, b| a.1.cmp(&b.1));
        Ok(found)
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let series = self.series.read().expect("no panic while it was held");
        let schema = Arc::new(Schema::new(vec![
            Field::new("series", DataType::UInt32, false),
            Field::new("ts", DataType::Int64, false),
            Field::new("value", DataType::Float64, false),
        ]));
        let mut batches = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            let samples = series[id.0 as usize].1.range(range.start_ms()..range.end_ms());
            let (times, values): (Vec<i64>, Vec<f64>) =
                samples.filter_map(|(at, sample)| Some((at.0, sample.float()?))).unzip();
            if times.is_empty() {
                continue;
            }
            let positions = vec![position as u32; times.len()];
            let batch = RecordBatch::try_new(
                schema.clone(),
                vec![
                    Arc::new(UInt32Array::from(positions)),
                    Arc::new(Int64Array::from(times)),
                    Arc::new(Float64Array::from(values)),
                ],
            );
            batches.push(batch.map_err(|error| Error::Storage(error.to_string())));
        }
        Ok(Box::new(TableBatches(batches.into_iter())))
    }

    fn beside(&self, ids: &[SeriesId], range: TimeRange) -> Result<BesideIter, Error> {
        let series = self.series.read().expect("no panic while it was held");
        let found = ids.iter().enumerate();
        let found = found.filter_map(|(at, id)| beside(at, &series[id.0 as usize].1, range));
        let found: Vec<_> = found.map(Ok).collect();
        Ok(Box::new(found.into_iter()))
    }
}

impl Sample {
    fn float(&self) -> Option<f64> {
        match &self.element {
            Element::Float(value) => Some(*value),
            Element::Histogram(_) => None,
        }
    }
}

/// What a series has beside its numbers, with the hints that a store gives.
fn beside(position: usize, samples: &Samples, range: TimeRange) -> Option<Beside> {
    let mut beside = Beside { position, ..Beside::default() };
    let mut chunks = Chunks::default();
    for (at, sample) in samples {
        let is_inside = range.start_ms() <= *at && *at < range.end_ms();
        match &sample.element {
            Element::Float(_) => chunks.end(),
            Element::Histogram(own) => {
                let own = chunks.read(own);
                if is_inside {
                    beside.histograms.push((*at, Arc::new(own)));
                }
            }
        }
        beside.starts.extend(sample.start.filter(|_| is_inside).map(|start| (*at, start)));
    }
    (!beside.histograms.is_empty() || !beside.starts.is_empty()).then_some(beside)
}

struct TableBatches(std::vec::IntoIter<Result<RecordBatch, Error>>);

impl Iterator for TableBatches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Batches for TableBatches {
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
