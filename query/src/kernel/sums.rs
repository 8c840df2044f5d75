//! Sums and averages with compensation.
//!
//! Place in the flow: `RangeFunction::evaluate` and `evaluate::aggregate` → **`sums`**.
//!
//! An average divides the sum, and only when that overflows goes on with a running mean.
//!
//! Not here: windows (`window`), deviations (`spread`).

pub use model::sum::Sum;

use super::window::{Fold, InOrder, each_fold};
use super::{Input, Row};

impl Fold for Sum {
    fn then(self, later: Sum) -> Sum {
        Sum::then(self, later)
    }
}

impl InOrder for Sum {
    fn of(value: f64) -> Sum {
        Sum::of(value)
    }

    fn with(self, value: f64) -> Sum {
        Sum::with(self, value)
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

impl InOrder for Mean {
    fn of(value: f64) -> Mean {
        Mean::of(value)
    }

    fn with(self, value: f64) -> Mean {
        Mean::with(self, value)
    }
}

/// `sum_over_time`
pub fn sum(input: &Input, row: &mut Row) {
    each_fold(input, |step, sum: Sum| row.set(step, sum.value()));
}

/// `avg_over_time`
pub fn avg(input: &Input, row: &mut Row) {
    each_fold(input, |step, mean: Mean| row.set(step, mean.value()));
}
