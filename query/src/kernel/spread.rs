//! Variances and standard deviations.
//!
//! Place in the flow: `RangeFunction::evaluate` and aggregations → **`spread`**.
//!
//! Range functions compensate what rounding takes, aggregations do not: as upstream.
//!
//! Not here: windows (`window`), sums and averages (`sums`).

use super::sums::Sum;
use super::window::{Fold, InOrder, each_fold};
use super::{Input, Row};

/// Count, mean and sum of squared distances from it, as aggregations have them.
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
        let count = self.count + 1.0;
        let distance = value - self.mean;
        let mean = self.mean + distance / count;
        Spread { count, mean, squares: self.squares + distance * (value - mean) }
    }

    /// The spread of all values of both.
    pub fn join(self, later: Spread) -> Spread {
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        let mean = self.mean + distance * later.count / count;
        let between = distance * distance * self.count * later.count / count;
        Spread { count, mean, squares: self.squares + later.squares + between }
    }

    /// The population variance.
    pub fn variance(self) -> f64 {
        self.squares / self.count
    }
}

/// The same with compensation, as range functions have it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Deviation {
    count: f64,
    mean: Sum,
    squares: Sum,
}

impl Deviation {
    /// The population variance.
    fn variance(self) -> f64 {
        self.squares.value() / self.count
    }
}

impl InOrder for Deviation {
    /// An infinite value has none: its distance is not a number.
    fn of(value: f64) -> Deviation {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Deviation { count: 1.0, mean: Sum::of(value), squares: Sum::of(squares) }
    }

    fn with(self, value: f64) -> Deviation {
        let count = self.count + 1.0;
        let distance = value - self.mean.value();
        let mean = self.mean.with(distance / count);
        let squares = self.squares.with(distance * (value - mean.value()));
        Deviation { count, mean, squares }
    }
}

impl Fold for Deviation {
    fn then(self, later: Deviation) -> Deviation {
        if later.count == 1.0 {
            return self.with(later.mean.total);
        }
        let count = self.count + later.count;
        let distance = later.mean.value() - self.mean.value();
        let mean = self.mean.with(distance * later.count / count);
        let between = distance * distance * self.count * later.count / count;
        Deviation { count, mean, squares: self.squares.then(later.squares).with(between) }
    }
}

/// `stddev_over_time` and `stdvar_over_time`
pub fn variance(input: &Input, square_root: bool, row: &mut Row) {
    each_fold(input, |step, deviation: Deviation| {
        let variance = deviation.variance();
        row.set(step, if square_root { variance.sqrt() } else { variance });
    });
}
