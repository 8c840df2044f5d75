//! The series block: K series by S steps of numbers with a validity bitmap.
//!
//! Place in the flow: leaf → **`Block`** → functions, operators, aggregation → `Answer`.
//!
//! A label set is a value beside its row, never a set of columns. Absent is not NaN: a step has a
//! value only where its bit is set. Values and bits are Arrow buffers, so a block leaves the leaf as
//! one list column and comes back without a copy.
//!
//! Invariants: `values` and `valid` have one entry per key and step; a block is charged to its query
//! as long as it lives.
//!
//! What changes all keys or values stops when its query is over: nobody will look at the result.
//!
//! Histograms lie beside the values, only where there are any; a query without them pays nothing.
//!
//! Not here: what flows into a block (`evaluate`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use model::{Histogram, Labels};

use crate::error::Error;
use crate::kernel::{Element, Row};
use crate::ledger::{Charge, Ledger, Pace};

/// Whose row it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The label set, the metric name included as long as it is not dropped for good.
    pub labels: Labels,
    /// Whether the metric name goes when the query ends.
    pub drop_name: bool,
}

impl Key {
    /// A key that keeps its name.
    pub fn new(labels: Labels) -> Key {
        Key { labels, drop_name: false }
    }

    /// A key without any label.
    pub fn empty() -> Key {
        Key::new(Labels::empty())
    }
}

/// The instants a query is evaluated at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The first instant.
    pub start_ms: i64,
    /// From one to the next; anything when there is only one.
    pub step_ms: i64,
    /// How many.
    pub steps: usize,
}

impl Grid {
    /// A single instant.
    pub fn instant(at_ms: i64) -> Grid {
        Grid { start_ms: at_ms, step_ms: 1, steps: 1 }
    }

    /// From `start_ms` to `end_ms`, both inside. None at all when the end lies before the start.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Grid {
        let span_ms = i128::from(end_ms) - i128::from(start_ms);
        let steps = if span_ms < 0 { 0 } else { span_ms / i128::from(step_ms.max(1)) + 1 };
        Grid { start_ms, step_ms, steps: usize::try_from(steps).unwrap_or(usize::MAX) }
    }

    /// The instant of a step.
    pub fn at(self, step: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(step as i64))
    }

    /// The last instant.
    pub fn end_ms(self) -> i64 {
        self.at(self.steps.saturating_sub(1))
    }

    /// All instants.
    pub fn instants(self) -> impl Iterator<Item = i64> {
        (0..self.steps).map(move |step| self.at(step))
    }
}

/// What it takes to change a key, in simple operations.
const KEY_WORK: usize = 64;
/// What it takes to change a value.
const VALUE_WORK: usize = 4;
/// Values that are changed without asking whether to go on.
const VALUES_BETWEEN_LOOKS: usize = 4096;

/// Histograms by their place: series times steps plus step.
pub type Histograms = BTreeMap<usize, Arc<Histogram>>;

/// K series by S steps.
#[derive(Debug)]
pub struct Block {
    keys: Vec<Key>,
    steps: usize,
    values: ScalarBuffer<f64>,
    valid: BooleanBuffer,
    histograms: Histograms,
    charge: Charge,
}

impl Block {
    /// A block from its parts; charges the query for it.
    pub fn new(
        keys: Vec<Key>,
        steps: usize,
        values: ScalarBuffer<f64>,
        valid: BooleanBuffer,
        ledger: &Ledger,
    ) -> Result<Block, Error> {
        assert_eq!(values.len(), keys.len() * steps, "one value per key and step");
        assert_eq!(valid.len(), values.len(), "one bit per value");
        let bytes = values.len() * 8 + valid.len() / 8 + keys.len() * size_of::<Key>();
        let charge = ledger.charge(valid.count_set_bits(), bytes)?;
        Ok(Block { keys, steps, values, valid, histograms: Histograms::new(), charge })
    }

    /// A block without series.
    pub fn empty(steps: usize, ledger: &Ledger) -> Block {
        Block {
            keys: Vec::new(),
            steps,
            values: ScalarBuffer::from(Vec::new()),
            valid: BooleanBuffer::new_unset(0),
            histograms: Histograms::new(),
            charge: ledger.nothing(),
        }
    }

    /// How many series.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no series.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whose rows they are.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The values of one series; meaningless where [`Block::is_valid`] is false.
    pub fn values(&self, series: usize) -> &[f64] {
        &self.values[series * self.steps..(series + 1) * self.steps]
    }

    /// Whether a series has a number at a step.
    pub fn is_valid(&self, series: usize, step: usize) -> bool {
        self.valid.value(series * self.steps + step)
    }

    /// Whether a series has a number at every step.
    pub fn is_full(&self, series: usize) -> bool {
        self.valid.slice(series * self.steps, self.steps).count_set_bits() == self.steps
    }

    /// Whether a series has a number or a histogram at a step.
    pub fn has(&self, series: usize, step: usize) -> bool {
        self.is_valid(series, step) || self.histogram(series, step).is_some()
    }

    /// Whether any series has a histogram at any step.
    pub fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    /// The histogram of a series at a step, if it has one.
    pub fn histogram(&self, series: usize, step: usize) -> Option<&Arc<Histogram>> {
        if self.histograms.is_empty() {
            return None;
        }
        self.histograms.get(&(series * self.steps + step))
    }

    /// The steps at which a series has a histogram, with the histogram.
    pub fn histograms(&self, series: usize) -> impl Iterator<Item = (usize, &Arc<Histogram>)> {
        let first = series * self.steps;
        self.histograms.range(first..first + self.steps).map(move |(at, own)| (at - first, own))
    }

    /// What a series has at a step, if anything.
    pub fn element(&self, series: usize, step: usize) -> Option<Element> {
        match self.get(series, step) {
            Some(value) => Some(Element::Float(value)),
            None => self.histogram(series, step).map(|own| Element::Histogram(Arc::clone(own))),
        }
    }

    /// Takes all histograms out.
    pub fn take_histograms(&mut self) -> Histograms {
        std::mem::take(&mut self.histograms)
    }

    /// The same block with these histograms.
    pub fn with_histograms(mut self, histograms: Histograms) -> Block {
        self.histograms = histograms;
        self
    }

    /// The value of a series at a step, if it has one.
    pub fn get(&self, series: usize, step: usize) -> Option<f64> {
        let index = series * self.steps + step;
        self.valid.value(index).then(|| self.values[index])
    }

    /// The steps at which a series has a value, with the value.
    pub fn points(&self, series: usize) -> impl ExactSizeIterator<Item = (usize, f64)> + '_ {
        let bits = self.valid.slice(series * self.steps, self.steps);
        let values = self.values(series);
        // Most series have a value at every step: then there is nothing to look up.
        let is_full = bits.count_set_bits() == self.steps;
        let steps: Vec<usize> = if is_full { Vec::new() } else { bits.set_indices().collect() };
        let count = if is_full { self.steps } else { steps.len() };
        (0..count).map(move |index| {
            let step = if is_full { index } else { steps[index] };
            (step, values[step])
        })
    }

    /// Copies a series into a row.
    pub fn read_row(&self, series: usize, row: &mut Row) {
        row.values.copy_from_slice(self.values(series));
        let bits = self.valid.slice(series * self.steps, self.steps);
        if bits.count_set_bits() == self.steps {
            row.valid.fill(true);
        } else {
            for (valid, bit) in row.valid.iter_mut().zip(bits.iter()) {
                *valid = bit;
            }
        }
        row.histograms.clear();
        if self.has_histograms() {
            let own = self.histograms(series).map(|(step, own)| (step, Arc::clone(own)));
            row.histograms.extend(own);
        }
    }

    /// Takes from a row what a series has no number for.
    pub fn restrict(&self, series: usize, valid: &mut [bool]) {
        let bits = self.valid.slice(series * self.steps, self.steps);
        if bits.count_set_bits() < self.steps {
            for (valid, bit) in valid.iter_mut().zip(bits.iter()) {
                *valid &= bit;
            }
        }
    }

    /// The same block with other keys.
    pub fn with_keys(mut self, keys: Vec<Key>) -> Block {
        assert_eq!(keys.len(), self.keys.len(), "one key per series");
        self.keys = keys;
        self
    }

    /// The same block with every key changed.
    pub fn map_keys(mut self, mut change: impl FnMut(&mut Key)) -> Block {
        let pace = Pace::new(self.charge.ledger());
        for key in &mut self.keys {
            if pace.is_over(KEY_WORK) {
                break;
            }
            change(key);
        }
        self
    }

    /// The same block with every number changed; the function sees the step too. Histograms go.
    pub fn map_values(mut self, mut change: impl FnMut(usize, f64) -> f64) -> Block {
        let steps = self.steps;
        let mut values = into_vec(std::mem::take(&mut self.values));
        let pace = Pace::new(self.charge.ledger());
        for row in values.chunks_mut(steps.max(1)) {
            if pace.is_over(steps * VALUE_WORK) {
                break;
            }
            for (step, value) in row.iter_mut().enumerate() {
                *value = change(step, *value);
            }
        }
        self.values = ScalarBuffer::from(values);
        self.histograms.clear();
        self
    }

    /// The same block with only those numbers for which the function says yes; it may change them.
    /// Histograms go.
    pub fn filter_map_values(mut self, mut change: impl FnMut(usize, f64) -> Option<f64>) -> Block {
        let steps = self.steps;
        let mut values = into_vec(std::mem::take(&mut self.values));
        let mut valid = BooleanBufferBuilder::new(values.len());
        let pace = Pace::new(self.charge.ledger());
        let mut is_over = false;
        for (index, value) in values.iter_mut().enumerate() {
            if index % VALUES_BETWEEN_LOOKS == 0 {
                is_over = pace.is_over(VALUES_BETWEEN_LOOKS * VALUE_WORK);
            }
            let has_value = self.valid.value(index) && !is_over;
            let kept = has_value.then(|| change(index % steps, *value)).flatten();
            valid.append(kept.is_some());
            *value = kept.unwrap_or(0.0);
        }
        self.values = ScalarBuffer::from(values);
        self.valid = valid.finish();
        self.histograms.clear();
        self
    }

    /// How many samples the block is charged for.
    pub fn sample_count(&self) -> usize {
        self.charge.samples()
    }
}

/// The values as a vector, without a copy when nobody else holds them.
fn into_vec(values: ScalarBuffer<f64>) -> Vec<f64> {
    values.into_inner().into_vec::<f64>().unwrap_or_else(|shared| shared.typed_data().to_vec())
}

/// Builds a block row by row.
#[derive(Debug)]
pub struct BlockBuilder {
    keys: Vec<Key>,
    steps: usize,
    values: Vec<f64>,
    valid: BooleanBufferBuilder,
    histograms: Histograms,
    charge: Charge,
}

impl BlockBuilder {
    /// An empty builder, charged to the query as it grows.
    pub fn new(steps: usize, ledger: &Ledger) -> BlockBuilder {
        BlockBuilder {
            keys: Vec::new(),
            steps,
            values: Vec::new(),
            valid: BooleanBufferBuilder::new(0),
            histograms: Histograms::new(),
            charge: ledger.nothing(),
        }
    }

    /// Adds a series, unless its row has no value at all.
    pub fn push(&mut self, key: Key, row: &Row) -> Result<(), Error> {
        assert_eq!(row.values.len(), self.steps, "a row has one entry per step");
        let count = row.count();
        if count == 0 {
            return Ok(());
        }
        let bytes = self.steps * 8 + self.steps / 8 + size_of::<Key>();
        self.charge.grow(count, bytes + row.histogram_bytes())?;
        let first = self.keys.len() * self.steps;
        let histograms = row.histograms.iter();
        self.histograms.extend(histograms.map(|(step, own)| (first + step, Arc::clone(own))));
        self.keys.push(key);
        self.values.extend_from_slice(&row.values);
        self.valid.append_slice(&row.valid);
        Ok(())
    }

    /// The finished block.
    pub fn finish(mut self) -> Block {
        Block {
            keys: self.keys,
            steps: self.steps,
            values: ScalarBuffer::from(self.values),
            valid: self.valid.finish(),
            histograms: self.histograms,
            charge: self.charge,
        }
    }
}

/// Builds a block whose rows may come in pieces: rows of equal keys are merged, and two values of
/// one key at one step are an error.
#[derive(Debug)]
pub struct MergingBuilder {
    positions: HashMap<Labels, usize>,
    keys: Vec<Key>,
    values: Vec<f64>,
    valid: Vec<bool>,
    histograms: Histograms,
    steps: usize,
    charge: Charge,
}

/// What upstream says when two elements of a vector have the same labels.
pub const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

impl MergingBuilder {
    /// An empty builder, charged to the query as it grows.
    pub fn new(steps: usize, ledger: &Ledger) -> MergingBuilder {
        MergingBuilder {
            positions: HashMap::new(),
            keys: Vec::new(),
            values: Vec::new(),
            valid: Vec::new(),
            histograms: Histograms::new(),
            steps,
            charge: ledger.nothing(),
        }
    }

    /// Merges a row in; the name is dropped when either side drops it.
    pub fn push(&mut self, key: Key, row: &Row) -> Result<(), Error> {
        let count = row.count();
        if count == 0 {
            return Ok(());
        }
        self.charge.grow(count, row.histogram_bytes())?;
        let first = match self.positions.get(&key.labels) {
            Some(&position) => {
                self.keys[position].drop_name |= key.drop_name;
                self.merge_numbers(position * self.steps, row)?;
                position * self.steps
            }
            None => self.add(key, row)?,
        };
        for (step, histogram) in &row.histograms {
            let at = first + step;
            if self.valid[at] || self.histograms.insert(at, Arc::clone(histogram)).is_some() {
                return Err(Error::Execution(SAME_LABELSET.to_owned()));
            }
        }
        Ok(())
    }

    /// Adds the numbers of a row whose key is new; answers where they stand.
    fn add(&mut self, key: Key, row: &Row) -> Result<usize, Error> {
        self.charge.grow(0, self.steps * 9 + size_of::<Key>())?;
        self.positions.insert(key.labels.clone(), self.keys.len());
        self.keys.push(key);
        self.values.extend_from_slice(&row.values);
        self.valid.extend_from_slice(&row.valid);
        Ok(self.values.len() - self.steps)
    }

    fn merge_numbers(&mut self, first: usize, row: &Row) -> Result<(), Error> {
        for step in 0..self.steps {
            let at = first + step;
            if !row.valid[step] {
                continue;
            }
            if self.valid[at] || self.histograms.contains_key(&at) {
                return Err(Error::Execution(SAME_LABELSET.to_owned()));
            }
            (self.values[at], self.valid[at]) = (row.values[step], true);
        }
        Ok(())
    }

    /// The finished block.
    pub fn finish(self) -> Block {
        let mut valid = BooleanBufferBuilder::new(self.valid.len());
        valid.append_slice(&self.valid);
        Block {
            keys: self.keys,
            steps: self.steps,
            values: ScalarBuffer::from(self.values),
            valid: valid.finish(),
            histograms: self.histograms,
            charge: self.charge,
        }
    }
}
