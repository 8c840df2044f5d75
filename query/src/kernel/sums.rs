//! Sums, averages and deviations with compensation.
//!
//! Place in the flow: `RangeFunction::evaluate` and `evaluate::aggregate` → **`sums`**.
//!
//! An average divides the sum, and only when that overflows goes on with a running mean.
//!
//! Not here: windows (`window`).

pub use model::sum::Sum;

use super::window::{Fold, slide_fold};
use super::{Input, Row};

impl Fold for Sum {
    fn then(self, later: Sum) -> Sum {
        Sum::then(self, later)
    }
}

/// A mean in the making: a sum while that fits, a running mean afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mean {
    /// The sum, or the mean once `is_running` is set.
    pub sum: Sum,
    /// How many values went in.
    pub count: f64,
    /// Whether the sum overflowed.
    pub is_running: bool,
}

impl Mean {
    /// The mean of one value.
    pub fn of(value: f64) -> Mean {
        Mean { sum: Sum::of(value), count: 1.0, is_running: false }
    }

    /// Takes in a value.
    pub fn with(self, value: f64) -> Mean {
        let count = self.count + 1.0;
        let mut sum = self.sum;
        if !self.is_running {
            let next = sum.with(value);
            if !next.total.is_infinite() {
                return Mean { sum: next, count, is_running: false };
            }
            sum = Sum { total: sum.total / self.count, lost: sum.lost / self.count };
        }
        let share = self.count / count;
        let scaled = Sum { total: sum.total * share, lost: sum.lost * share };
        Mean { sum: scaled.with(value / count), count, is_running: true }
    }

    /// The mean of all values of both.
    pub fn join(self, later: Mean) -> Mean {
        if self.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return self;
        }
        let count = self.count + later.count;
        if !self.is_running && !later.is_running {
            let sum = self.sum.then(later.sum);
            if !sum.total.is_infinite() {
                return Mean { sum, count, is_running: false };
            }
        }
        let part = |mean: Mean| {
            let scale = if mean.is_running { mean.count / count } else { 1.0 / count };
            Sum { total: mean.sum.total * scale, lost: mean.sum.lost * scale }
        };
        Mean { sum: part(self).then(part(later)), count, is_running: true }
    }

    /// The mean.
    pub fn value(self) -> f64 {
        if self.is_running {
            return self.sum.total + self.sum.lost;
        }
        self.sum.total / self.count + self.sum.lost / self.count
    }
}

impl Fold for Mean {
    fn then(self, later: Mean) -> Mean {
        if later.count == 1.0 { self.with(later.sum.total) } else { self.join(later) }
    }
}

/// Count, mean and sum of squared distances from it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// How many values went in.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// Sum of squared distances.
    pub squares: f64,
}

impl Spread {
    /// The spread of one value. An infinite value has none: its distance is not a number.
    pub fn of(value: f64) -> Spread {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Spread { count: 1.0, mean: value, squares }
    }

    /// Takes in a value.
    pub fn with(self, value: f64) -> Spread {
        self.then(Spread::of(value))
    }

    /// The population variance.
    pub fn variance(self) -> f64 {
        self.squares / self.count
    }
}

impl Fold for Spread {
    fn then(self, later: Spread) -> Spread {
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        let mean = self.mean + distance * later.count / count;
        let between = distance * distance * self.count * later.count / count;
        Spread { count, mean, squares: self.squares + later.squares + between }
    }
}

/// `sum_over_time`
pub fn sum(input: &Input, row: &mut Row) {
    let values = input.samples.values;
    slide_fold(
        input.windows,
        |index| Sum::of(values[index]),
        |step, _, sum| row.set(step, sum.value()),
    );
}

/// `avg_over_time`
pub fn avg(input: &Input, row: &mut Row) {
    let values = input.samples.values;
    slide_fold(
        input.windows,
        |index| Mean::of(values[index]),
        |step, _, mean| row.set(step, mean.value()),
    );
}

/// `stddev_over_time` and `stdvar_over_time`
pub fn variance(input: &Input, square_root: bool, row: &mut Row) {
    let values = input.samples.values;
    slide_fold(
        input.windows,
        |index| Spread::of(values[index]),
        |step, _, spread: Spread| {
            let variance = spread.variance();
            row.set(step, if square_root { variance.sqrt() } else { variance });
        },
    );
}
