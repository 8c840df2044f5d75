//! What rate-like functions share: extrapolation to the window's edges, resets, changes.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`counter`** → a row.
//!
//! Resets are added up once per series, so that each window costs two look-ups.
//!
//! Not here: `anchored` and `smoothed` windows (`extended`), which do not extrapolate.

use std::ops::{ControlFlow, Range};

use super::finite::finite_and_falls;
use super::window::overlap_a_lot;
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
    are_looked_up: bool,
}

/// So many resets of a window are added one by one, in the order that upstream has: to the last digit.
/// Of more the sum is looked up when windows overlap a lot, where rounding shows less than time.
const ADDED_SINGLY_MAX: usize = 16;

impl Resets {
    /// Adds up the resets of a series that is looked at through windows.
    pub fn of(values: &[f64], windows: &[Window]) -> Resets {
        let (is_finite, falls) = finite_and_falls(values);
        let (at, lost) = (Vec::with_capacity(falls), Vec::with_capacity(falls));
        // Of sums that are infinite or not a number no difference can be taken.
        let are_looked_up =
            is_finite && falls > ADDED_SINGLY_MAX && overlap_a_lot(windows, ADDED_SINGLY_MAX);
        let mut resets = Resets { at, lost, are_looked_up };
        if falls > 0 {
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
        let before = |sample: usize| self.at.partition_point(|at| *at < sample);
        self.add_inside(change, values, before(first)..before(last))
    }

    /// Adds to a change what some of the resets took away.
    fn add_inside(&self, change: f64, values: &[f64], inside: Range<usize>) -> f64 {
        if inside.is_empty() {
            return change;
        }
        if inside.len() <= ADDED_SINGLY_MAX || !self.are_looked_up {
            return self.at[inside].iter().fold(change, |change, at| change + values[*at]);
        }
        let before = inside.start.checked_sub(1).map_or(0.0, |before| self.lost[before]);
        change + (self.lost[inside.end - 1] - before)
    }
}

/// Windows that are worked on together: what is known of them stays in the nearest cache.
const LANE: usize = 64;

/// `rate`, `increase` and `delta`.
pub fn extrapolated(input: &Input, kind: Kind, row: &mut Row) {
    let mut own = Edges::default();
    let edges = input.edges.unwrap_or_else(|| {
        own.find(input.samples.ts, input.windows, (input.frames, kind));
        &own
    });
    let values = input.samples.values;
    let resets = kind.is_counter().then(|| Resets::of(values, input.windows));
    let mut lost = resets.as_ref().filter(|resets| !resets.at.is_empty()).map(Sliding::new);
    let (mut firsts, mut changes) = ([0.0; LANE], [0.0; LANE]);
    for start in (0..input.windows.len()).step_by(LANE) {
        let windows = &input.windows[start..input.windows.len().min(start + LANE)];
        let steps = start..start + windows.len();
        let (firsts, changes) = (&mut firsts[..windows.len()], &mut changes[..windows.len()]);
        let known = firsts.iter_mut().zip(&mut *changes).zip(&mut row.valid[steps.clone()]);
        for (window, ((first, change), valid)) in windows.iter().zip(known) {
            *valid = window.len() >= 2;
            (*first, *change) = match *valid {
                true => (values[window.lo], values[window.hi - 1] - values[window.lo]),
                false => (0.0, 0.0),
            };
        }
        if let Some(lost) = &mut lost
            && lost.add_to_all(changes, windows, input).is_break()
        {
            return;
        }
        let out = &mut row.values[steps.clone()];
        if kind.is_counter() {
            if !edges.grow(steps, (firsts, changes), out) {
                grow_exactly((input, edges, kind), start, (firsts, changes), out);
            }
        } else {
            for (out, (factor, change)) in
                out.iter_mut().zip(edges.factor[steps].iter().zip(changes))
            {
                *out = *change * factor;
            }
        }
    }
}

/// Counters that may have been zero inside of their windows, one by one.
fn grow_exactly(
    (input, edges, kind): (&Input, &Edges, Kind),
    start: usize,
    (firsts, changes): (&[f64], &[f64]),
    out: &mut [f64],
) {
    let known = firsts.iter().zip(changes);
    for ((step, (first, change)), out) in (start..).zip(known).zip(out) {
        if !is_far_from_zero(edges.reach[step], (*first, *change)) {
            let reach = Reach::of(input.samples.ts, input.windows[step], (input.frames, step));
            *out = change * (reach.extrapolation(Some((*first, *change))) / kind.per(input.frames));
        }
    }
}

/// The resets of a series, passed by windows that go forward.
struct Sliding<'r> {
    resets: &'r Resets,
    inside: Range<usize>,
}

impl Sliding<'_> {
    fn new(resets: &Resets) -> Sliding<'_> {
        Sliding { resets, inside: 0..0 }
    }

    /// Adds to the changes of windows what was lost inside of them, until the query is over.
    fn add_to_all(
        &mut self,
        changes: &mut [f64],
        windows: &[Window],
        input: &Input,
    ) -> ControlFlow<()> {
        let Resets { at, are_looked_up, .. } = self.resets;
        let before = |sample: usize, from: usize| {
            from + at[from..].iter().take_while(|at| **at < sample).count()
        };
        for (change, window) in changes.iter_mut().zip(windows).filter(|(_, own)| own.len() >= 2) {
            if !are_looked_up && input.pace.is_over(window.len()) {
                return ControlFlow::Break(());
            }
            self.inside.start = before(window.lo, self.inside.start);
            self.inside.end = before(window.hi - 1, self.inside.end.max(self.inside.start));
            let values = input.samples.values;
            *change = self.resets.add_inside(*change, values, self.inside.clone());
        }
        ControlFlow::Continue(())
    }
}

/// What the instants of windows alone say about their extrapolation, a number per window. Series of
/// one scrape have it in common.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    /// The extrapolation when no zero cuts it short, per unit of time; 0 of less than two samples.
    factor: Vec<f64>,
    /// How much of its own increase a counter must begin with to be far from zero.
    reach: Vec<f64>,
}

impl Edges {
    /// Finds the edges of every window that has at least two samples.
    pub fn find(&mut self, ts: &[i64], windows: &[Window], (frames, kind): (Frames, Kind)) {
        let per = kind.per(frames);
        self.factor.clear();
        self.reach.clear();
        let (mut shape, mut own) = (None, (0.0, 0.0));
        for (step, window) in windows.iter().enumerate() {
            if window.len() < 2 {
                self.push((0.0, 0.0));
                continue;
            }
            let reach = Reach::of(ts, *window, (frames, step));
            // Regular samples give windows of one shape again and again: their divisions are made once.
            let from_left = |at_ms: i64| at_ms - reach.left_ms;
            let (first, last) = (from_left(reach.first_ms), from_left(reach.last_ms));
            let seen = (first, last, from_left(reach.right_ms), reach.samples);
            if shape != Some(seen) {
                let (sampled, to_start, to_end) = reach.edges();
                let factor = (sampled + to_start + to_end) / sampled / per;
                own = (factor, to_start / sampled * (1.0 + MARGIN));
                shape = Some(seen);
            }
            self.push(own);
        }
    }

    fn push(&mut self, (factor, reach): (f64, f64)) {
        self.factor.push(factor);
        self.reach.push(reach);
    }

    /// Draws the changes of counters out to the edges of their windows, without a branch, so that
    /// several windows take one step. Answers `false` when one of them may have been zero inside.
    fn grow(
        &self,
        steps: Range<usize>,
        (firsts, changes): (&[f64], &[f64]),
        out: &mut [f64],
    ) -> bool {
        let count = steps.len();
        let (factors, reach) = (&self.factor[steps.clone()], &self.reach[steps]);
        let (firsts, changes) = (&firsts[..count], &changes[..count]);
        let out = &mut out[..count];
        let mut all_far = true;
        for at in 0..count {
            all_far &= is_far_from_zero(reach[at], (firsts[at], changes[at]));
            out[at] = changes[at] * factors[at];
        }
        all_far
    }
}

/// What rounding can't cross.
const MARGIN: f64 = 1e-9;

/// Whether a counter that begins with the one number and grows by the other is certain not to reach
/// zero before the window's start: then nothing is cut short. In doubt the answer is no.
#[inline(always)]
fn is_far_from_zero(reach: f64, (first, increase): (f64, f64)) -> bool {
    // An infinite counter does not grow by a number above zero; the smallest ones have no margin.
    (increase <= 0.0) | (first < 0.0) | ((first > reach * increase) & (increase >= 1e-280))
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
    (value != before) & !(value.is_nan() & before.is_nan())
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

/// `changes` and `resets`. Windows that overlap a lot share running counts; others are counted one by
/// one, several pairs in one step.
pub fn tally(input: &Input, counts: impl Fn(f64, f64) -> bool, row: &mut Row) {
    let values = input.samples.values;
    let windows = input.windows.iter().enumerate().filter(|(_, window)| !window.is_empty());
    if overlap_a_lot(input.windows, 0) {
        let tally = running_tally(values, counts);
        for (step, window) in windows {
            row.set(step, f64::from(tally[window.hi - 1] - tally[window.lo]));
        }
        return;
    }
    for (step, window) in windows {
        let (before, after) =
            (&values[window.lo..window.hi - 1], &values[window.lo + 1..window.hi]);
        let pairs = before.iter().zip(after);
        let count: u32 = pairs.map(|(before, value)| u32::from(counts(*before, *value))).sum();
        row.set(step, f64::from(count));
    }
}
