//! A source of one very long series and of very many short ones, made up as they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Labels, Matcher, TimeRange};
use query::Error;
use query::source::{Batches, Source};

/// Samples of the long series, one per second.
pub const LONG: i64 = 200_000;
/// How many short series there are.
pub const MANY: usize = 150_000;
/// The number of the long series.
const LONG_ID: SeriesId = SeriesId(u64::MAX);
/// Series of one batch.
const BATCH: usize = 8192;

/// `long` is one series; `many` has one sample per series and minute.
pub struct Heavy {
    long: Labels,
    many: Vec<Labels>,
    /// The scan of this series fails.
    damaged: Option<usize>,
    /// Batches that were read.
    pub batches: Arc<AtomicUsize>,
}

impl Heavy {
    pub fn new(damaged: Option<usize>) -> Heavy {
        let many = (0..MANY).map(|index| {
            let (instance, job) = (format!("{index:06}"), (index % 7).to_string());
            let le = ["0.5", "+Inf"][index % 2];
            Labels::from_pairs([
                ("__name__", "many"),
                ("instance", &instance),
                ("job", &job),
                ("le", le),
            ])
        });
        let long = Labels::from_pairs([("__name__", "long")]);
        Heavy { long, many: many.collect(), damaged, batches: Arc::default() }
    }
}

impl Source for Heavy {
    fn series(&self, matchers: &[Matcher], _: TimeRange) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let passes = |own: &Labels| matchers.iter().all(|matcher| matcher.matches_labels(own));
        if passes(&self.long) {
            return Ok(vec![(LONG_ID, self.long.clone())]);
        }
        if !self.many.first().is_some_and(passes) {
            return Ok(Vec::new());
        }
        let ids = (0..).map(SeriesId);
        Ok(ids.zip(self.many.iter().cloned()).collect())
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        let (first, last) = (range.start_ms().0.max(0), range.end_ms().0.min(LONG * 1000));
        let batches: Vec<Made> = match ids {
            [LONG_ID] => vec![Made { ids: vec![LONG_ID], start: 0, first, last, damaged: None }],
            _ => {
                let chunks = ids.chunks(BATCH).zip((0_u32..).step_by(BATCH));
                let made = |(ids, start): (&[SeriesId], u32)| Made {
                    ids: ids.to_vec(),
                    start,
                    first,
                    last,
                    damaged: self.damaged,
                };
                chunks.map(made).collect()
            }
        };
        Ok(Box::new(All(batches.into_iter(), Arc::clone(&self.batches))))
    }
}

/// A batch that is yet to be made.
struct Made {
    ids: Vec<SeriesId>,
    start: u32,
    first: i64,
    last: i64,
    damaged: Option<usize>,
}

impl Made {
    fn batch(self) -> Result<RecordBatch, Error> {
        let is_damaged = |id: &SeriesId| self.damaged.is_some_and(|damaged| id.0 == damaged as u64);
        if self.ids.iter().any(is_damaged) {
            return Err(Error::Storage("a page is damaged".to_owned()));
        }
        let step_ms = if self.ids == [LONG_ID] { 1000 } else { 60_000 };
        let (mut positions, mut ts, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (position, id) in (self.start..).zip(&self.ids) {
            let begin = self.first.div_euclid(step_ms);
            for index in begin..self.last.div_euclid(step_ms) {
                let at_ms = index * step_ms;
                if at_ms < self.first {
                    continue;
                }
                positions.push(position);
                ts.push(at_ms);
                // One infinite value keeps running sums from helping.
                let value = (index * 7919 % 10_007 + (id.0 % 1013) as i64) as f64;
                values.push(if index == 10_000 { f64::INFINITY } else { value });
            }
        }
        let field = |name: &str, kind: DataType| Field::new(name, kind, false);
        let schema = Schema::new(vec![
            field("series", DataType::UInt32),
            field("ts", DataType::Int64),
            field("value", DataType::Float64),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(UInt32Array::from(positions)),
                Arc::new(Int64Array::from(ts)),
                Arc::new(Float64Array::from(values)),
            ],
        );
        batch.map_err(|problem| Error::Storage(problem.to_string()))
    }
}

struct All(std::vec::IntoIter<Made>, Arc<AtomicUsize>);

impl Iterator for All {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.next().map(Made::batch)
    }
}

impl Batches for All {
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
