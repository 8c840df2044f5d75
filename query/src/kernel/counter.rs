//! What rate-like functions share: extrapolation to the window's edges, resets, changes.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`counter`** → a row.
//!
//! Resets are added up once per series, so that each window costs two look-ups.
//!
//! Not here: `anchored` and `smoothed` windows (`extended`), which do not extrapolate.

use super::{Frames, Input, Row, Window};

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

    /// The seconds that a change is divided by.
    fn per(self, frames: Frames) -> f64 {
        if self == Kind::Rate { frames.range_ms as f64 / 1000.0 } else { 1.0 }
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
    #[inline]
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
    let mut own = Vec::new();
    let edges = if input.edges.len() == input.windows.len() {
        input.edges
    } else {
        edges(input.samples.ts, input.windows, (input.frames, kind), &mut own);
        &own
    };
    let values = input.samples.values;
    let is_counter = kind.is_counter();
    let resets = if is_counter { Some(Resets::of(values)) } else { None };
    let out = row.values.iter_mut().zip(&mut row.valid);
    for ((step, (window, edges)), (out, valid)) in
        (0..).zip(input.windows.iter().zip(edges)).zip(out)
    {
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
        let factor = if !is_counter || edges.is_far_from_zero((values[first], change)) {
            edges.factor
        } else {
            let reach = Reach::of(input.samples.ts, *window, (input.frames, step));
            reach.extrapolation(Some((values[first], change))) / kind.per(input.frames)
        };
        (*out, *valid) = (change * factor, true);
    }
}

/// What the instants of a window alone say about its extrapolation. Series of one scrape have them in
/// common.
#[derive(Debug, Clone, Copy, Default)]
pub struct Edges {
    /// The extrapolation of a window that no zero cuts short, per unit of time.
    factor: f64,
    to_start: f64,
    sampled: f64,
}

/// Finds the edges of every window that has at least two samples.
pub fn edges(ts: &[i64], windows: &[Window], (frames, kind): (Frames, Kind), out: &mut Vec<Edges>) {
    let per = kind.per(frames);
    let (mut shape, mut edges) = (None, Edges::default());
    out.clear();
    out.extend(windows.iter().enumerate().map(|(step, window)| {
        if window.len() < 2 {
            return Edges::default();
        }
        let reach = Reach::of(ts, *window, (frames, step));
        // Regular samples give windows of one shape again and again: their divisions are made once.
        let own = (
            reach.first_ms - reach.left_ms,
            reach.last_ms - reach.left_ms,
            reach.right_ms - reach.left_ms,
            reach.samples,
        );
        if shape != Some(own) {
            let (sampled, to_start, to_end) = reach.edges();
            edges =
                Edges { factor: (sampled + to_start + to_end) / sampled / per, to_start, sampled };
            shape = Some(own);
        }
        edges
    }));
}

impl Edges {
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
    /// Where a window of at least two samples lies.
    fn of(ts: &[i64], window: Window, (frames, step): (Frames, usize)) -> Reach {
        let right_ms = frames.right_ms[step];
        Reach {
            left_ms: right_ms - frames.range_ms,
            right_ms,
            first_ms: ts[window.lo],
            last_ms: ts[window.hi - 1],
            samples: window.len(),
            zero_ms: None,
        }
    }

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
