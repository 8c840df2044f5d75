//! Sums that carry what rounding lost beside them (Neumaier's form of Kahan's), so that 1e100 + 1 -
//! 1e100 is 1.
//!
//! Place in the flow: range functions, aggregations and histograms add with it, as upstream does.

/// A compensated sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    /// The rounded sum.
    pub total: f64,
    /// What rounding lost.
    pub lost: f64,
}

impl Sum {
    /// A sum of one value.
    pub fn of(value: f64) -> Sum {
        Sum { total: value, lost: 0.0 }
    }

    /// Adds a value.
    #[inline]
    pub fn with(self, value: f64) -> Sum {
        let total = self.total + value;
        let lost = if total.is_infinite() {
            0.0
        } else if self.total.abs() >= value.abs() {
            self.lost + ((self.total - total) + value)
        } else {
            self.lost + ((value - total) + self.total)
        };
        Sum { total, lost }
    }

    /// Adds another sum.
    pub fn then(self, later: Sum) -> Sum {
        let sum = self.with(later.total);
        if sum.total.is_infinite() { sum } else { Sum { lost: sum.lost + later.lost, ..sum } }
    }

    /// Both parts times a factor.
    pub fn scaled(self, factor: f64) -> Sum {
        Sum { total: self.total * factor, lost: self.lost * factor }
    }

    /// The best single number for the sum.
    pub fn value(self) -> f64 {
        if self.total.is_infinite() { self.total } else { self.total + self.lost }
    }
}
