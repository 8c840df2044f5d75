//! Straight lines through windows.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`regression`** → a row.
//!
//! In long windows that overlap a lot the sums slide: instants are whole milliseconds, so their sums
//! are kept exactly; sums with values are compensated; shifting the origin to where the line is asked
//! for happens once per window. Other windows are summed one by one.
//!
//! Not here: extrapolation of counters (`counter`), smoothing.

use super::sums::Sum;
use super::window::{Fold, IN_ORDER_MAX, overlap_a_lot, slide_fold};
use super::{Input, Row, Samples, Window};

/// The sums a regression needs, about a fixed origin.
#[derive(Debug, Clone, Copy)]
struct Line {
    count: i64,
    x_ms: i128,
    x_squared_ms: i128,
    y: Sum,
    xy: Sum,
    first_y: f64,
    is_constant: bool,
}

impl Line {
    fn of(x_ms: i64, y: f64) -> Line {
        Line {
            count: 1,
            x_ms: i128::from(x_ms),
            x_squared_ms: i128::from(x_ms) * i128::from(x_ms),
            y: Sum::of(y),
            xy: Sum::of(x_ms as f64 / 1000.0 * y),
            first_y: y,
            is_constant: true,
        }
    }

    /// Slope per second and the value at `at_ms` after the origin.
    fn slope_and_value(self, at_ms: i64) -> (f64, f64) {
        if self.is_constant {
            return constant(self.first_y);
        }
        let (count, at) = (i128::from(self.count), i128::from(at_ms));
        let x = (self.x_ms - count * at) as f64 / 1e3;
        let x_squared = (self.x_squared_ms - 2 * at * self.x_ms + count * at * at) as f64 / 1e6;
        let y = self.y.value();
        let shift = at_ms as f64 / 1000.0;
        let xy = self.xy.with(-shift * self.y.total).with(-shift * self.y.lost).value();
        let n = self.count as f64;
        let slope = (xy - x * y / n) / (x_squared - x * x / n);
        (slope, y / n - slope * x / n)
    }
}

impl Fold for Line {
    fn then(self, later: Line) -> Line {
        let same = self.first_y == later.first_y;
        Line {
            count: self.count + later.count,
            x_ms: self.x_ms + later.x_ms,
            x_squared_ms: self.x_squared_ms + later.x_squared_ms,
            y: self.y.then(later.y),
            xy: self.xy.then(later.xy),
            first_y: self.first_y,
            is_constant: self.is_constant && later.is_constant && same,
        }
    }
}

/// Calls `emit` with slope and value of the line through each window of two samples and more, at the
/// instant that `at_ms` tells of a step.
///
/// Short windows, and few of them, are summed in plain order about that instant, as the definition
/// has it: to the last digit. Others slide: there rounding shows less than time.
fn each_line(input: &Input, at_ms: impl Fn(usize) -> i64, mut emit: impl FnMut(usize, (f64, f64))) {
    let samples = input.samples;
    let Some(&origin_ms) = samples.ts.first() else { return };
    if !overlap_a_lot(input.windows, IN_ORDER_MAX) {
        for (step, window) in input.windows.iter().enumerate().filter(|own| own.1.len() >= 2) {
            if input.pace.is_over(window.len()) {
                return;
            }
            emit(step, direct(samples, *window, at_ms(step)));
        }
        return;
    }
    slide_fold(
        input.windows,
        |index| Line::of(samples.ts[index] - origin_ms, samples.values[index]),
        |step, window, line| {
            if window.len() >= 2 {
                let at_ms = at_ms(step);
                let (slope, value) = line.slope_and_value(at_ms - origin_ms);
                // About the origin of the series sums may be too large for a number.
                let is_final = slope.is_finite() && value.is_finite();
                let is_final = is_final || input.pace.is_over(window.len());
                let line = if is_final { (slope, value) } else { direct(samples, window, at_ms) };
                emit(step, line);
            }
        },
    );
}

/// Slope and value of a window's line at an instant, summed about that instant.
fn direct(samples: Samples, window: Window, at_ms: i64) -> (f64, f64) {
    let (ts, values) = (&samples.ts[window.lo..window.hi], &samples.values[window.lo..window.hi]);
    let [mut x, mut y, mut xy, mut x_squared] = [Sum::default(); 4];
    let mut is_constant = true;
    for (ts, value) in ts.iter().zip(values) {
        let own_x = (ts - at_ms) as f64 / 1000.0;
        is_constant &= *value == values[0];
        (x, y) = (x.with(own_x), y.with(*value));
        (xy, x_squared) = (xy.with(own_x * value), x_squared.with(own_x * own_x));
    }
    if is_constant {
        return constant(values[0]);
    }
    let (n, x, y) = (window.len() as f64, x.value(), y.value());
    let slope = (xy.value() - x * y / n) / (x_squared.value() - x * x / n);
    (slope, y / n - slope * x / n)
}

/// The line through equal values.
fn constant(value: f64) -> (f64, f64) {
    if value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, value) }
}

/// `deriv`: the slope.
pub fn deriv(input: &Input, row: &mut Row) {
    let first_ms = |step: usize| input.samples.ts[input.windows[step].lo];
    each_line(input, first_ms, |step, (slope, _)| row.set(step, slope));
}

/// `predict_linear`: the line's value so many seconds after the evaluation time.
pub fn predict_linear(input: &Input, row: &mut Row) {
    let at_ms = |step: usize| input.frames.eval_ms[step];
    each_line(input, at_ms, |step, (slope, value)| {
        row.set(step, slope * input.params[0][step] + value);
    });
}
