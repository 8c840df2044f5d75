//! Resets: whether a counter was set back between two histograms.
//!
//! Place in the flow: `rate` and its kin ask for each pair of neighbours.
//!
//! Not here: what is done about a reset.

use super::total::{Total, reduce_custom};
use super::{Buckets, Histogram, ResetHint};

impl Histogram {
    /// Whether a counter was reset between `previous` and this histogram. A hint decides alone;
    /// otherwise every count that fell, and every layout that only a new counter can have.
    pub fn is_reset_after(&self, previous: &Histogram) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.is_custom() != previous.is_custom() || self.count < previous.count {
            return true;
        }
        if self.is_custom() && self.custom_values != previous.custom_values {
            return has_fallen_custom(self, previous);
        }
        // A finer schema or a narrower zero bucket cannot come from counting on.
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        if self.schema == previous.schema && self.zero_threshold == previous.zero_threshold {
            return self.zero_count < previous.zero_count
                || has_fallen(&self.positive, previous.positive.iter())
                || has_fallen(&self.negative, previous.negative.iter());
        }
        let mut before = Total::of(previous);
        if before.widen_zero(self.zero_threshold) != self.zero_threshold {
            return true; // The threshold lies inside a bucket that held something.
        }
        before.coarsen(self.schema);
        let before = before.value();
        self.zero_count < before.zero_count
            || has_fallen(&self.positive, before.positive.iter())
            || has_fallen(&self.negative, before.negative.iter())
    }
}

/// Whether any bucket holds less than before.
fn has_fallen(now: &Buckets, before: impl Iterator<Item = (i32, f64)>) -> bool {
    let mut own = now.iter().peekable();
    for (index, count) in before {
        while own.peek().is_some_and(|(own_index, _)| *own_index < index) {
            own.next();
        }
        let found = own.peek().filter(|(own_index, _)| *own_index == index);
        if found.map_or(0.0, |(_, own_count)| *own_count) < count {
            return true;
        }
    }
    false
}

/// The same for custom bounds that differ: on those both have.
fn has_fallen_custom(now: &Histogram, before: &Histogram) -> bool {
    let shared: Vec<f64> = now
        .custom_values
        .iter()
        .copied()
        .filter(|bound| before.custom_values.contains(bound))
        .collect();
    let reduced = |own: &Histogram| {
        let pairs: Vec<(i32, f64)> = own.positive.iter().collect();
        Buckets::from_pairs(reduce_custom(&pairs, &own.custom_values, &shared, |a, b| a + b))
    };
    has_fallen(&reduced(now), reduced(before).iter())
}
