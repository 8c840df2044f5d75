//! Smallest and largest values of sliding windows, by a monotonic queue.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`extrema`** → a row.
//!
//! NaN only wins when the window holds nothing else. Of equal values (0 and -0 are) the first one is
//! the extremum; its instant is that of the last one.
//!
//! Not here: `min` and `max` across series (`evaluate::aggregate`).

use std::collections::VecDeque;

use super::{Input, Row, Window};

/// Which extremum, and whether its value or its instant is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The instant of the last smallest value, in seconds.
    TsOfMin,
    /// The instant of the last largest value, in seconds.
    TsOfMax,
}

/// `min_over_time`, `max_over_time` and their `ts_of_` forms.
pub fn extremum(input: &Input, which: Which, row: &mut Row) {
    let values = input.samples.values;
    let is_min = matches!(which, Which::Min | Which::TsOfMin);
    let wants_ts = matches!(which, Which::TsOfMin | Which::TsOfMax);
    let output = |index: usize| {
        if wants_ts { input.samples.ts[index] as f64 / 1000.0 } else { values[index] }
    };
    if let [window] = input.windows {
        if !window.is_empty() {
            row.set(0, output(extremum_of(values, *window, is_min, wants_ts)));
        }
        return;
    }
    // Indices of candidates; the front is the extremum, later ones wait for it to leave.
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut reached = 0;
    for (step, window) in input.windows.iter().enumerate() {
        if window.is_empty() {
            continue;
        }
        reached = reached.max(window.lo);
        while reached < window.hi {
            let value = values[reached];
            if !value.is_nan() {
                let beaten = |&last: &usize| match (is_min, wants_ts) {
                    (true, true) => value <= values[last],
                    (true, false) => value < values[last],
                    (false, true) => value >= values[last],
                    (false, false) => value > values[last],
                };
                while queue.back().is_some_and(beaten) {
                    queue.pop_back();
                }
                queue.push_back(reached);
            }
            reached += 1;
        }
        while queue.front().is_some_and(|&first| first < window.lo) {
            queue.pop_front();
        }
        let index = queue.front().copied().unwrap_or(window.hi - 1);
        row.set(step, output(index));
    }
}

/// Where the extremum of a single window is, the first or the last one among equals; the last sample
/// when there is nothing but NaN.
fn extremum_of(values: &[f64], window: Window, is_min: bool, is_last: bool) -> usize {
    let own = &values[window.lo..window.hi];
    // `f64::min` leaves NaN out, and needs no decision per sample.
    let extremum = if is_min {
        own.iter().fold(f64::NAN, |best, value| best.min(*value))
    } else {
        own.iter().fold(f64::NAN, |best, value| best.max(*value))
    };
    let mut own = own.iter();
    let found = match is_last {
        true => own.rposition(|value| *value == extremum),
        false => own.position(|value| *value == extremum),
    };
    found.map_or(window.hi - 1, |at| window.lo + at)
}
