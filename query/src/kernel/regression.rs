//! Straight lines through windows, and double exponential smoothing.
//!
//! Place in the flow: `RangeFunction::evaluate` → **`regression`** → a row.
//!
//! In long windows that overlap a lot the sums slide: instants are whole milliseconds, so their sums
//! are kept exactly; sums with values are compensated; shifting the origin to where the line is asked
//! for happens once per window. Other windows are summed one by one.
//!
//! Not here: extrapolation of counters (`counter`).

use super::finite::are_finite;
use super::sums::Sum;
use super::window::{Fold, slide_fold};
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
    if !overlap_a_lot(input, LINE_WINDOW_MAX) {
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

/// Lines through windows of up to this many samples are summed window by window.
const LINE_WINDOW_MAX: usize = 32;
/// Up to so many windows that a sample lies in, about, are gone through one by one.
const DIRECT_TIMES_MAX: usize = 8;

/// Whether windows are so long and overlap so much that sliding takes less than going through each.
fn overlap_a_lot(input: &Input, window_max: usize) -> bool {
    let lengths = || input.windows.iter().map(|window| window.len());
    let is_long = lengths().max().is_some_and(|widest| widest > window_max);
    is_long && lengths().sum::<usize>() > DIRECT_TIMES_MAX * input.samples.ts.len()
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

/// `double_exponential_smoothing`; the parameters are the smoothing and the trend factor.
///
/// One sample turns level and trend by the same linear map and adds its share, so a run of samples
/// is a map too, and maps slide like sums. Short windows (where rounding would show more than time),
/// few windows (where sliding would take longer), values that are not finite, and factors that change
/// from step to step go sample by sample.
pub fn smooth(input: &Input, row: &mut Row) {
    let values = input.samples.values;
    let is_even = |factors: &[f64]| factors.windows(2).all(|pair| pair[0] == pair[1]);
    let slides = overlap_a_lot(input, DIRECT_WINDOW_MAX)
        && input.params.iter().all(|factors| is_even(factors))
        && are_finite(values);
    if !slides {
        return smooth_directly(input, row);
    }
    let (level, trend) = (input.params[0][0], input.params[1][0]);
    let turn = [[1.0 - level, 1.0 - level], [-trend * level, 1.0 - trend * level]];
    // The first sample of a window is where it starts from; the map covers the others.
    let start_after = |window: &Window| Window { lo: window.lo + 1, hi: window.hi };
    let rests: Vec<Window> = input.windows.iter().map(start_after).collect();
    slide_fold(
        &rests,
        |index| Smoothing { turn, add: [level * values[index], trend * level * values[index]] },
        |step, rest, map| {
            let first = values[rest.lo - 1];
            row.set(step, map.apply([first, values[rest.lo] - first])[0]);
        },
    );
}

/// Windows up to this many samples are smoothed sample by sample.
const DIRECT_WINDOW_MAX: usize = 64;
/// Windows that are smoothed side by side: each has to wait for its own sample before.
const LANES: usize = 4;

/// Smooths sample by sample.
fn smooth_directly(input: &Input, row: &mut Row) {
    let values = input.samples.values;
    let long = input.windows.iter().enumerate().filter(|(_, window)| window.len() >= 2);
    let long: Vec<usize> = long.map(|(step, _)| step).collect();
    for steps in long.chunks(LANES) {
        // Those that are missing are the first one once more.
        let lanes: [usize; LANES] =
            std::array::from_fn(|lane| *steps.get(lane).unwrap_or(&steps[0]));
        let windows = lanes.map(|step| &values[input.windows[step].lo..input.windows[step].hi]);
        if input.pace.is_over(windows.iter().map(|window| window.len()).sum()) {
            return;
        }
        let factors = lanes.map(|step| (input.params[0][step], input.params[1][step]));
        let levels = smooth_windows(windows, factors);
        steps.iter().zip(levels).for_each(|(step, level)| row.set(*step, level));
    }
}

/// What a run of samples does to level and trend.
#[derive(Debug, Clone, Copy)]
struct Smoothing {
    turn: [[f64; 2]; 2],
    add: [f64; 2],
}

impl Smoothing {
    fn apply(self, [level, trend]: [f64; 2]) -> [f64; 2] {
        let line =
            |row: usize| self.turn[row][0] * level + self.turn[row][1] * trend + self.add[row];
        [line(0), line(1)]
    }
}

impl Fold for Smoothing {
    fn then(self, later: Smoothing) -> Smoothing {
        let cell = |row: usize, column: usize| {
            later.turn[row][0] * self.turn[0][column] + later.turn[row][1] * self.turn[1][column]
        };
        let turn = [[cell(0, 0), cell(0, 1)], [cell(1, 0), cell(1, 1)]];
        Smoothing { turn, add: later.apply(self.add) }
    }
}

/// Smooths windows of at least two samples with their smoothing and trend factors.
fn smooth_windows(windows: [&[f64]; LANES], factors: [(f64, f64); LANES]) -> [f64; LANES] {
    let mut states = windows.map(|values| (values[0], values[1] - values[0]));
    let shared = windows.map(<[f64]>::len).into_iter().min().unwrap_or(0);
    let firsts = windows.map(|values| &values[..shared]);
    let value = |lane: usize, index: usize| firsts[lane][index];
    for index in 1..shared {
        for (lane, state) in states.iter_mut().enumerate() {
            *state = smoothed(*state, value(lane, index), factors[lane]);
        }
    }
    std::array::from_fn(|lane| {
        let rest = &windows[lane][shared..];
        rest.iter().fold(states[lane], |state, value| smoothed(state, *value, factors[lane])).0
    })
}

/// Level and trend after one more sample.
#[inline(always)]
fn smoothed((level, trend): (f64, f64), value: f64, (own, slope): (f64, f64)) -> (f64, f64) {
    let next = own * value + (1.0 - own) * (level + trend);
    (next, slope * (next - level) + (1.0 - slope) * trend)
}
