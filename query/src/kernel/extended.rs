//! `anchored` and `smoothed` windows: a value at each edge instead of extrapolation.
//!
//! Place in the flow: the leaf hands windows that reach one look-back further → **`extended`** → a
//! row.
//!
//! An anchored edge takes the last sample at or before it (else the first one inside); a smoothed
//! edge lies on the line between its neighbours, and a counter that was reset between them starts
//! from zero.
//!
//! Not here: which functions allow which modifier (`evaluate::range`).

use super::counter::{Kind, Resets, is_change, is_reset, running_tally};
use super::{Input, Row, Samples, Window};

/// The samples that matter for one window: `first..=last`, edges included.
#[derive(Debug, Clone, Copy)]
pub struct Edges {
    /// The last sample at or before the left edge, else the first one inside.
    pub first: usize,
    /// The last sample inside; of a smoothed window the first one at or behind its right edge.
    pub last: usize,
    /// The left edge.
    pub left_ms: i64,
    /// The right edge.
    pub right_ms: i64,
    /// Whether edges lie between their neighbours.
    pub smoothed: bool,
}

impl Edges {
    /// Finds them; nothing when no sample touches the window.
    pub fn find(
        ts: &[i64],
        window: Window,
        (left_ms, right_ms): (i64, i64),
        smoothed: bool,
    ) -> Option<Edges> {
        if window.is_empty() {
            return None;
        }
        let own = &ts[window.lo..window.hi];
        let after_left = own.partition_point(|&at| at <= left_ms);
        let first = window.lo + after_left.saturating_sub(1);
        let last = if smoothed {
            (window.lo + own.partition_point(|&at| at < right_ms)).min(window.hi - 1)
        } else {
            window.hi - 1
        };
        let touches = ts[last] > left_ms && ts[first] <= right_ms;
        touches.then_some(Edges { first, last, left_ms, right_ms, smoothed })
    }
}

fn edges(input: &Input, step: usize, window: Window, smoothed: bool) -> Option<Edges> {
    let right_ms = input.frames.right_ms[step];
    let left_ms = right_ms - input.frames.range_ms;
    Edges::find(input.samples.ts, window, (left_ms, right_ms), smoothed)
}

/// `rate`, `increase` and `delta` over extended windows.
pub fn change(input: &Input, kind: Kind, smoothed: bool, row: &mut Row) {
    let samples = input.samples;
    let resets = Resets::of(samples.values, input.windows);
    for (step, window) in input.windows.iter().enumerate() {
        let Some(edges) = edges(input, step, *window, smoothed) else { continue };
        let (mut first, mut last) = (edges.first, edges.last);
        let mut left = samples.values[first];
        if smoothed && samples.ts[first] < edges.left_ms && first + 1 < samples.ts.len() {
            left = between(samples, first, edges.left_ms, kind.is_counter());
        }
        let mut right = samples.values[last];
        if smoothed && last > window.lo && samples.ts[last] > edges.right_ms {
            right = between(samples, last - 1, edges.right_ms, kind.is_counter());
        }
        let mut change = right - left;
        if kind.is_counter() {
            if input.pace.is_over(window.len()) {
                return;
            }
            // Between the edges lie the samples strictly inside the window.
            if samples.ts[first] <= edges.left_ms {
                first += 1;
            }
            let mut inside = last + 1;
            if samples.ts[last] >= edges.right_ms {
                inside = last;
            }
            let (mut before, mut lost) = (left, 0.0);
            if first < inside {
                last = inside - 1;
                if samples.values[first] < before {
                    lost += before;
                }
                lost = resets.add(lost, samples.values, first, last);
                before = samples.values[last];
            }
            if right < before {
                lost += before;
            }
            change += lost;
        }
        if kind == Kind::Rate {
            change /= input.frames.range_ms as f64 / 1000.0;
        }
        row.set(step, change);
    }
}

/// The value at `at_ms` on the line from sample `index` to the next one.
fn between(samples: Samples, index: usize, at_ms: i64, is_counter: bool) -> f64 {
    let (start_ms, end_ms) = (samples.ts[index], samples.ts[index + 1]);
    let (mut start, end) = (samples.values[index], samples.values[index + 1]);
    if is_counter && end < start {
        start = 0.0;
    }
    start + (end - start) * (at_ms - start_ms) as f64 / (end_ms - start_ms) as f64
}

/// `changes` over anchored windows.
pub fn changes(input: &Input, row: &mut Row) {
    tally(input, is_change, row);
}

/// `resets` over anchored windows.
pub fn resets(input: &Input, row: &mut Row) {
    tally(input, is_reset, row);
}

fn tally(input: &Input, counts: impl Fn(f64, f64) -> bool, row: &mut Row) {
    let tally = running_tally(input.samples.values, counts);
    for (step, window) in input.windows.iter().enumerate() {
        if let Some(edges) = edges(input, step, *window, false) {
            row.set(step, f64::from(tally[edges.last] - tally[edges.first]));
        }
    }
}

/// A smoothed instant selector: the line between the samples around each step. Windows reach one
/// look-back to both sides.
pub fn instant(input: &Input, row: &mut Row) {
    let samples = input.samples;
    for (step, window) in input.windows.iter().enumerate() {
        let at_ms = input.frames.right_ms[step];
        let ts = &samples.ts[window.lo..window.hi.max(window.lo)];
        let after = window.lo + ts.partition_point(|&at| at <= at_ms);
        if after == window.lo {
            continue;
        }
        let value = if after == window.hi || samples.ts[after - 1] == at_ms {
            samples.values[after - 1]
        } else {
            between(samples, after - 1, at_ms, false)
        };
        row.set(step, value);
    }
}
