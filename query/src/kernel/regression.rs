//! Straight lines through windows, and double exponential smoothing.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`regression`** → a row.
//!
//! Instants are whole milliseconds, so their sums are kept exactly; sums with values are
//! compensated. Shifting the origin to where the line is asked for happens once per window.
//!
//! Not here: extrapolation of counters (`counter`).

use super::sums::Sum;
use super::window::{Fold, slide_fold};
use super::{Input, Row};

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
            if self.first_y.is_infinite() {
                return (f64::NAN, f64::NAN);
            }
            return (0.0, self.first_y);
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

fn each_line(input: &Input, mut emit: impl FnMut(usize, i64, Line)) {
    let ts = input.samples.ts;
    let Some(&origin_ms) = ts.first() else { return };
    slide_fold(
        input.windows,
        |index| Line::of(ts[index] - origin_ms, input.samples.values[index]),
        |step, window, line| {
            if window.len() >= 2 {
                emit(step, origin_ms, line);
            }
        },
    );
}

/// `deriv`: the slope.
pub fn deriv(input: &Input, row: &mut Row) {
    let ts = input.samples.ts;
    each_line(input, |step, origin_ms, line| {
        let first_ms = ts[input.windows[step].lo] - origin_ms;
        row.set(step, line.slope_and_value(first_ms).0);
    });
}

/// `predict_linear`: the line's value so many seconds after the evaluation time.
pub fn predict_linear(input: &Input, row: &mut Row) {
    each_line(input, |step, origin_ms, line| {
        let (slope, value) = line.slope_and_value(input.frames.eval_ms[step] - origin_ms);
        row.set(step, slope * input.params[0][step] + value);
    });
}

/// `double_exponential_smoothing`; the parameters are the smoothing and the trend factor.
pub fn smooth(input: &Input, row: &mut Row) {
    for (step, window) in input.windows.iter().enumerate() {
        if window.len() < 2 {
            continue;
        }
        let (level_factor, trend_factor) = (input.params[0][step], input.params[1][step]);
        let values = &input.samples.values[window.lo..window.hi];
        let (mut level, mut trend) = (values[0], values[1] - values[0]);
        for (index, value) in values.iter().enumerate().skip(1) {
            let next = level_factor * value + (1.0 - level_factor) * (level + trend);
            if index + 1 < values.len() {
                trend = trend_factor * (next - level) + (1.0 - trend_factor) * trend;
            }
            level = next;
        }
        row.set(step, level);
    }
}
