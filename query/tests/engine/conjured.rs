//! A source that has series for every selector: three instances, three buckets, whatever labels
//! equality asks for. For running expressions whose metrics nobody stores here.

use std::sync::{Arc, Mutex};

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Labels, LabelsBuilder, MatchOp, Matcher, TimeRange};
use query::Error;
use query::source::{Batches, Source};

/// From one sample to the next.
const STEP_MS: i64 = 15_000;

/// Remembers the series it made up.
#[derive(Default)]
pub struct Conjured {
    series: Mutex<Vec<Labels>>,
}

impl Source for Conjured {
    fn series(&self, matchers: &[Matcher], _: TimeRange) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let mut found = Vec::new();
        for instance in ["one", "two", "three"] {
            for le in ["0.5", "2", "+Inf"] {
                let mut builder = LabelsBuilder::new();
                builder.set("__name__", "anything_total").set("job", "work");
                builder.set("instance", instance).set("le", le);
                for matcher in matchers.iter().filter(|own| own.op() == MatchOp::Equal) {
                    builder.set(matcher.name(), matcher.value());
                }
                let labels = builder.build();
                if matchers.iter().all(|matcher| matcher.matches_labels(&labels)) {
                    found.push(labels);
                }
            }
        }
        found.sort();
        found.dedup();
        let mut series = self.series.lock().expect("no panic while it was held");
        let first = series.len();
        series.extend(found.iter().cloned());
        let ids = (first..).map(|index| SeriesId(index as u64));
        Ok(ids.zip(found).collect())
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let first = range.start_ms().0.max(0) / STEP_MS;
        let last = range.end_ms().0.min(7_200_000) / STEP_MS;
        let instants: Vec<i64> =
            (first..=last).map(|step| step * STEP_MS).filter(|at| *at < range.end_ms().0).collect();
        let (mut positions, mut ts, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (position, id) in ids.iter().enumerate() {
            for &at in &instants {
                positions.push(position as u32);
                ts.push(at);
                values.push((at / 1000 % 1200) as f64 + (id.0 % 7) as f64);
            }
        }
        let schema = Schema::new(vec![
            Field::new("series", DataType::UInt32, false),
            Field::new("ts", DataType::Int64, false),
            Field::new("value", DataType::Float64, false),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(UInt32Array::from(positions)),
                Arc::new(Int64Array::from(ts)),
                Arc::new(Float64Array::from(values)),
            ],
        );
        let batch = batch.map_err(|problem| Error::Storage(problem.to_string()));
        Ok(Box::new(OneBatch(Some(batch))))
    }
}

struct OneBatch(Option<Result<RecordBatch, Error>>);

impl Iterator for OneBatch {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take()
    }
}

impl Batches for OneBatch {
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
