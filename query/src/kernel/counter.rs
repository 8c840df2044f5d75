//! What rate-like functions share: extrapolation to the window's edges, resets, changes.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`counter`** → a row.
//!
//! Resets are added up once per series, so that each window costs two look-ups.
//!
//! Not here: `anchored` and `smoothed` windows (`extended`), which do not extrapolate.

use super::{Input, Row};

/// Which rate-like function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Per second, resets corrected.
    Rate,
    /// Over the window, resets corrected.
    Increase,
    /// Over the window, as it is.
    Delta,
}

impl Kind {
    /// Whether a falling value is a reset.
    pub fn is_counter(self) -> bool {
        self != Kind::Delta
    }
}

/// What resets took away, summed from the start of the series.
#[derive(Debug)]
pub struct Resets {
    at: Vec<usize>, // The samples before a fall, ascending.
    lost: Vec<f64>, // The sum of their values up to each of them, itself included.
    exact: bool,    // Whether differences of `lost` may be taken: all values are finite.
}

/// So many resets of a window are added one by one, in the order that upstream has; of more the sum
/// is looked up.
const ADDED_SINGLY_MAX: usize = 16;

impl Resets {
    /// Adds up the resets of a series.
    pub fn of(values: &[f64]) -> Resets {
        // Without an early end, so that several values are looked at in one step.
        let exact = values.iter().fold(true, |exact, value| exact & value.is_finite());
        let falls = values.windows(2).fold(false, |falls, pair| falls | (pair[1] < pair[0]));
        let mut resets = Resets { at: Vec::new(), lost: Vec::new(), exact };
        if falls {
            let mut sum = 0.0;
            for (index, pair) in values.windows(2).enumerate() {
                if pair[1] < pair[0] {
                    sum += pair[0];
                    resets.at.push(index);
                    resets.lost.push(sum);
                }
            }
        }
        resets
    }

    /// Adds to a change what was lost between two samples of the series, both inclusive.
    pub fn add(&self, change: f64, values: &[f64], first: usize, last: usize) -> f64 {
        if self.at.is_empty() {
            return change;
        }
        let inside =
            self.at.partition_point(|at| *at < first)..self.at.partition_point(|at| *at < last);
        if inside.is_empty() {
            return change;
        }
        if inside.len() <= ADDED_SINGLY_MAX || !self.exact {
            return self.at[inside].iter().fold(change, |change, at| change + values[*at]);
        }
        let before = inside.start.checked_sub(1).map_or(0.0, |before| self.lost[before]);
        change + (self.lost[inside.end - 1] - before)
    }
}

/// `rate`, `increase` and `delta`.
pub fn extrapolated(input: &Input, kind: Kind, row: &mut Row) {
    let values = input.samples.values;
    let resets = if kind.is_counter() { Some(Resets::of(values)) } else { None };
    let per = if kind == Kind::Rate { input.frames.range_ms as f64 / 1000.0 } else { 1.0 };
    let mut shape = Shape::default();
    for (step, window) in input.windows.iter().enumerate() {
        if window.len() < 2 {
            continue;
        }
        let (first, last) = (window.lo, window.hi - 1);
        let mut change = values[last] - values[first];
        if let Some(resets) = &resets {
            if !resets.exact && input.pace.is_over(window.len()) {
                return;
            }
            change = resets.add(change, values, first, last);
        }
        let (first_ms, last_ms) = (input.samples.ts[first], input.samples.ts[last]);
        let right_ms = input.frames.right_ms[step];
        let reach = Reach {
            left_ms: right_ms - input.frames.range_ms,
            right_ms,
            first_ms,
            last_ms,
            samples: window.len(),
            zero_ms: None,
        };
        shape.update(reach, per);
        let counter = kind.is_counter().then_some((values[first], change));
        let factor = match counter.filter(|own| !shape.is_far_from_zero(*own)) {
            Some(counter) => reach.extrapolation(Some(counter)) / per,
            None => shape.factor,
        };
        row.set(step, change * factor);
    }
}

/// What windows of one shape have in common: regular samples give the same window again and again,
/// and its divisions are made once.
#[derive(Debug, Default)]
struct Shape {
    to_first_ms: i64,
    to_last_ms: i64,
    to_right_ms: i64,
    samples: usize,
    /// The extrapolation of a window that no zero cuts short, per unit of time.
    factor: f64,
    to_start: f64,
    sampled: f64,
}

impl Shape {
    fn update(&mut self, reach: Reach, per: f64) {
        let to_first_ms = reach.first_ms - reach.left_ms;
        let to_last_ms = reach.last_ms - reach.left_ms;
        let to_right_ms = reach.right_ms - reach.left_ms;
        let own = (self.to_first_ms, self.to_last_ms, self.to_right_ms, self.samples);
        if own == (to_first_ms, to_last_ms, to_right_ms, reach.samples) {
            return;
        }
        (self.to_first_ms, self.to_last_ms, self.to_right_ms, self.samples) =
            (to_first_ms, to_last_ms, to_right_ms, reach.samples);
        let (sampled, to_start, to_end) = reach.edges();
        self.factor = (sampled + to_start + to_end) / sampled / per;
        (self.to_start, self.sampled) = (to_start, sampled);
    }

    /// Whether a counter that begins with the first number and grows by the second is certain not to
    /// reach zero before the window's start: then nothing is cut short. By a margin that rounding
    /// can't cross; in doubt the answer is no.
    fn is_far_from_zero(&self, (first, increase): (f64, f64)) -> bool {
        increase <= 0.0
            || first < 0.0
            || self.sampled * first > self.to_start * increase * (1.0 + 1e-9)
                && first.is_finite()
                && increase >= 1e-280
    }
}

/// Where a window and its first and last samples lie.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// The window's left edge.
    pub left_ms: i64,
    /// The window's right edge.
    pub right_ms: i64,
    /// The first sample.
    pub first_ms: i64,
    /// The last sample.
    pub last_ms: i64,
    /// How many samples, at least two.
    pub samples: usize,
    /// Where the counter was zero, when that is known and lies before the first sample.
    pub zero_ms: Option<i64>,
}

impl Reach {
    /// By how much the change between the first and last sample grows when it is drawn out to the
    /// window's edges: all the way when the gap is about as long as the usual one, half a usual gap
    /// otherwise, and for a counter (its first value and increase are given) never below zero.
    pub fn extrapolation(self, counter: Option<(f64, f64)>) -> f64 {
        let (sampled, mut to_start, to_end) = self.edges();
        let growing = |(first, increase): &(f64, f64)| *increase > 0.0 && *first >= 0.0;
        if let Some((first, increase)) = counter.filter(growing) {
            to_start = to_start.min(sampled * (first / increase));
        }
        (sampled + to_start + to_end) / sampled
    }

    /// Seconds between the first and last sample, and how many more it is drawn out to both sides.
    fn edges(self) -> (f64, f64, f64) {
        let seconds = |from_ms: i64, to_ms: i64| (to_ms - from_ms) as f64 / 1000.0;
        let begin_ms = self.zero_ms.unwrap_or(self.first_ms);
        let mut to_start = seconds(self.left_ms, begin_ms);
        let mut to_end = seconds(self.last_ms, self.right_ms);
        let sampled = seconds(begin_ms, self.last_ms);
        let gaps = self.samples.saturating_sub(1).max(1); // A lone sample has no gap, of length 0.
        let average = seconds(self.first_ms, self.last_ms) / gaps as f64;
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        (sampled, to_start, to_end)
    }
}

/// `irate` and `idelta`: from the last two samples.
pub fn last_two(input: &Input, per_second: bool, row: &mut Row) {
    let samples = input.samples;
    for (step, window) in input.windows.iter().enumerate() {
        if window.len() < 2 {
            continue;
        }
        let last = window.hi - 1;
        let span_ms = samples.ts[last] - samples.ts[last - 1];
        if span_ms == 0 {
            continue;
        }
        let (before, value) = (samples.values[last - 1], samples.values[last]);
        let mut change = if per_second && value < before { value } else { value - before };
        if per_second {
            change /= span_ms as f64 / 1000.0;
        }
        row.set(step, change);
    }
}

/// Whether a value differs from the one before; NaN equals NaN here.
pub fn is_change(before: f64, value: f64) -> bool {
    value != before && !(value.is_nan() && before.is_nan())
}

/// Whether a value fell.
pub fn is_reset(before: f64, value: f64) -> bool {
    value < before
}

/// Running counts of pairs of neighbours that `counts` says yes to.
pub fn running_tally(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> Vec<u32> {
    let mut tally = Vec::with_capacity(values.len());
    let mut count = 0;
    for index in 0..values.len() {
        count += u32::from(index > 0 && counts(values[index - 1], values[index]));
        tally.push(count);
    }
    tally
}

/// `changes` and `resets`.
pub fn tally(input: &Input, counts: impl Fn(f64, f64) -> bool, row: &mut Row) {
    let tally = running_tally(input.samples.values, counts);
    for (step, window) in input.windows.iter().enumerate() {
        if !window.is_empty() {
            row.set(step, f64::from(tally[window.hi - 1] - tally[window.lo]));
        }
    }
}
