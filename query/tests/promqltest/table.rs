//! Series in memory: what the files load, without a store in between.
//!
//! Place in the flow: `run` fills it → the engine reads it as its source.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Labels, Matcher, TimeRange, TimestampMs};
use query::Error;
use query::source::{Batches, Source};

type Samples = BTreeMap<TimestampMs, f64>;

/// All series of one file.
#[derive(Default)]
pub struct Table {
    series: RwLock<Vec<(Labels, Samples)>>,
}

impl Table {
    /// Adds one sample; a sample of the same instant is replaced.
    pub fn add(&self, labels: &Labels, at: TimestampMs, value: f64) {
        let mut series = self.series.write().expect("no panic while it was held");
        let position = match series.iter().position(|(own, _)| own == labels) {
            Some(position) => position,
            None => {
                series.push((labels.clone(), Samples::new()));
                series.len() - 1
            }
        };
        series[position].1.insert(at, value);
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
                samples.map(|(at, value)| (at.0, *value)).unzip();
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
