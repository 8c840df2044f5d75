//! Quantiles and medians of sliding windows, by an order-statistic window.
//!
//! Place in the flow: `RangeFunction::evaluate`, `evaluate::aggregate` → **`order`**.
//!
//! The window's values are kept sorted (NaN first); a sample that comes or goes costs a binary
//! search and a move of memory, and a step costs two look-ups.
//!
//! Not here: quantiles of histograms (`histogram`).

use std::cmp::Ordering;

use super::{Input, Row, Window};

/// Ascending, NaN before everything.
pub fn compare(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.total_cmp(b),
    }
}

/// The φ-quantile of sorted values, between neighbours by weight.
pub fn quantile_of_sorted(phi: f64, sorted: &[f64]) -> f64 {
    if sorted.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let rank = phi * (sorted.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

/// The values of a window, sorted.
#[derive(Debug, Default)]
struct SortedWindow {
    values: Vec<f64>,
    window: Window,
}

impl SortedWindow {
    /// Moves to a window that starts and ends no earlier than the last one; answers about how many
    /// operations that took.
    fn move_to(&mut self, window: Window, values: &[f64]) -> usize {
        let moved = window.hi - self.window.hi + window.lo - self.window.lo;
        let kept = self.window.hi.saturating_sub(window.lo);
        if kept * 2 < window.len() {
            // Little is left of the old window: sorting anew is cheaper than inserting one by one.
            self.values.clear();
            self.values.extend_from_slice(&values[window.lo..window.hi]);
            self.values.sort_unstable_by(compare);
            self.window = window;
            return window.len() * 16;
        } else {
            for value in &values[self.window.lo..window.lo] {
                let found = self.values.binary_search_by(|own| compare(own, value));
                self.values.remove(found.expect("a value that came in is still there"));
            }
            for value in &values[self.window.hi..window.hi] {
                let at = self.values.partition_point(|own| compare(own, value).is_lt());
                self.values.insert(at, *value);
            }
        }
        self.window = window;
        moved * (16 + self.values.len() / 8)
    }
}

/// `quantile_over_time`; the first parameter is φ.
pub fn quantile_over_time(input: &Input, row: &mut Row) {
    each_sorted(input, row, 0, |step, sorted| quantile_of_sorted(input.params[0][step], sorted));
}

/// `mad_over_time`: the median distance from the median.
pub fn mad_over_time(input: &Input, row: &mut Row) {
    let mut distances = Vec::new();
    each_sorted(input, row, 4, |_, sorted| {
        if sorted[0].is_nan() {
            return f64::NAN; // NaN sorts first, so one look finds it.
        }
        let median = quantile_of_sorted(0.5, sorted);
        distances.clear();
        distances.extend(sorted.iter().map(|value| (value - median).abs()));
        median_of(&mut distances)
    });
}

/// The median in linear time.
fn median_of(values: &mut [f64]) -> f64 {
    let rank = 0.5 * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let (_, low, rest) = values.select_nth_unstable_by(lower, compare);
    let low = *low;
    if rank == rank.floor() {
        return low;
    }
    let high = rest.iter().copied().min_by(compare).unwrap_or(low);
    low * 0.5 + high * 0.5
}

/// Gives every window's values in order; `work` is what the output costs per value.
fn each_sorted(
    input: &Input,
    row: &mut Row,
    work: usize,
    mut output: impl FnMut(usize, &[f64]) -> f64,
) {
    let mut sorted = SortedWindow::default();
    for (step, window) in input.windows.iter().enumerate() {
        if !window.is_empty() {
            let moved = sorted.move_to(*window, input.samples.values);
            if input.pace.is_over(moved + window.len() * work) {
                return;
            }
            row.set(step, output(step, &sorted.values));
        }
    }
}
