//! Sums, differences and means of histograms, with compensation for what rounding loses.
//!
//! Place in the flow: aggregation and binary operators fold histograms into a **`Total`**.
//!
//! Two layouts meet on the coarser one: the smaller schema, the wider zero bucket, or the custom
//! bounds that both have.
//!
//! Not here: resets (`reset`), what an operator makes of an incompatible pair.

use super::{Buckets, Histogram, ResetHint, bound};
use crate::sum::Sum;

/// What happened when two histograms were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// One said that it was reset, the other that it was not.
    pub hints_collide: bool,
    /// Their custom bounds differed, and those they share were taken.
    pub bounds_reconciled: bool,
}

/// One has exponential bounds, the other custom ones: they cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incompatible;

type Pairs = Vec<(i32, Sum)>;

/// A sum of histograms in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Total {
    schema: i32,
    zero_threshold: f64,
    custom_values: Vec<f64>,
    hint: ResetHint,
    zero_count: Sum,
    count: Sum,
    sum: Sum,
    positive: Pairs,
    negative: Pairs,
}

fn pairs_of(buckets: &Buckets) -> Pairs {
    buckets.iter().map(|(index, count)| (index, Sum::of(count))).collect()
}

impl Total {
    /// The sum of one histogram.
    pub fn of(histogram: &Histogram) -> Total {
        Total {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            custom_values: histogram.custom_values.clone(),
            hint: histogram.hint,
            zero_count: Sum::of(histogram.zero_count),
            count: Sum::of(histogram.count),
            sum: Sum::of(histogram.sum),
            positive: pairs_of(&histogram.positive),
            negative: pairs_of(&histogram.negative),
        }
    }

    /// Adds a histogram times a factor (-1 subtracts).
    pub fn add(&mut self, histogram: &Histogram, factor: f64) -> Result<Added, Incompatible> {
        if (self.schema == super::CUSTOM_SCHEMA) != histogram.is_custom() {
            return Err(Incompatible);
        }
        let mut added = Added { hints_collide: self.take_hint(histogram.hint), ..Added::default() };
        let mut other = Total::of(histogram);
        if histogram.is_custom() {
            added.bounds_reconciled = self.share_bounds(&mut other);
        } else {
            while self.zero_threshold != other.zero_threshold {
                if self.zero_threshold < other.zero_threshold {
                    self.widen_zero(other.zero_threshold);
                } else {
                    other.widen_zero(self.zero_threshold);
                }
            }
            let schema = self.schema.min(other.schema);
            self.coarsen(schema);
            other.coarsen(schema);
        }
        other.scale(factor);
        self.zero_count = self.zero_count.then(other.zero_count);
        self.count = self.count.then(other.count);
        self.sum = self.sum.then(other.sum);
        self.positive = merged(&self.positive, &other.positive);
        self.negative = merged(&self.negative, &other.negative);
        Ok(added)
    }

    /// The hint of both together; true when they collide.
    fn take_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        let collide = matches!((self.hint, other), (Reset, NotReset) | (NotReset, Reset));
        self.hint = match (self.hint, other) {
            (own, other) if own == other => own,
            (Gauge, _) | (_, Gauge) => Gauge,
            _ => Unknown,
        };
        collide
    }

    /// Both on the custom bounds that they share; whether that changed anything.
    fn share_bounds(&mut self, other: &mut Total) -> bool {
        if self.custom_values == other.custom_values {
            return false;
        }
        let is_shared = |bound: &f64| other.custom_values.contains(bound);
        let shared: Vec<f64> = self.custom_values.iter().copied().filter(is_shared).collect();
        for own in [self, other] {
            own.positive = reduce_custom(&own.positive, &own.custom_values, &shared, Sum::then);
            own.custom_values.clone_from(&shared);
        }
        true
    }

    /// Everything times a factor; the hint stays.
    pub fn scale(&mut self, factor: f64) {
        self.zero_count = self.zero_count.scaled(factor);
        self.count = self.count.scaled(factor);
        self.sum = self.sum.scaled(factor);
        for (_, sum) in self.positive.iter_mut().chain(&mut self.negative) {
            *sum = sum.scaled(factor);
        }
    }

    /// Widens the zero bucket to at least `threshold` and gives the threshold it has then: a bucket
    /// with something in it goes into the zero bucket as a whole.
    pub fn widen_zero(&mut self, threshold: f64) -> f64 {
        let schema = self.schema;
        let mut threshold = threshold.max(self.zero_threshold);
        loop {
            let before = threshold;
            for (index, sum) in self.positive.iter().chain(&self.negative) {
                let (lower, upper) = (bound(schema, index - 1), bound(schema, *index));
                if lower < threshold && upper > threshold && sum.value() != 0.0 {
                    threshold = upper;
                }
            }
            if threshold == before {
                break;
            }
        }
        if threshold > self.zero_threshold {
            let mut zero_count = self.zero_count;
            for side in [&mut self.positive, &mut self.negative] {
                side.retain(|(index, sum)| {
                    let is_inside = bound(schema, index - 1) < threshold;
                    if is_inside {
                        zero_count = zero_count.then(*sum);
                    }
                    !is_inside
                });
            }
            self.zero_count = zero_count;
            self.zero_threshold = threshold;
        }
        threshold
    }

    /// Joins buckets until the schema is as coarse as asked for.
    pub fn coarsen(&mut self, schema: i32) {
        let by = u32::try_from(self.schema - schema).unwrap_or(0);
        if by == 0 {
            return;
        }
        for side in [&mut self.positive, &mut self.negative] {
            let mut coarse: Pairs = Vec::with_capacity(side.len());
            for (index, sum) in side.iter() {
                let index = ((index - 1) >> by) + 1;
                match coarse.last_mut() {
                    Some((last, own)) if *last == index => *own = own.then(*sum),
                    _ => coarse.push((index, *sum)),
                }
            }
            *side = coarse;
        }
        self.schema = schema;
    }

    /// Whether any number of it is too large to go on summing.
    pub fn has_overflowed(&self) -> bool {
        let mut buckets = self.positive.iter().chain(&self.negative);
        [self.zero_count, self.count, self.sum].iter().any(|own| own.total.is_infinite())
            || buckets.any(|(_, own)| own.total.is_infinite())
    }

    /// The histogram, without empty buckets.
    pub fn value(&self) -> Histogram {
        let side = |pairs: &Pairs| {
            Buckets::from_pairs(pairs.iter().map(|(index, sum)| (*index, sum.value())))
        };
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.value(),
            count: self.count.value(),
            sum: self.sum.value(),
            positive: side(&self.positive),
            negative: side(&self.negative),
            custom_values: self.custom_values.clone(),
            hint: self.hint,
        }
    }
}

/// Two sides added, bucket by bucket.
fn merged(own: &Pairs, other: &Pairs) -> Pairs {
    let mut sums = Vec::with_capacity(own.len().max(other.len()));
    let (mut left, mut right) = (own.iter().peekable(), other.iter().peekable());
    loop {
        let next = match (left.peek(), right.peek()) {
            (None, None) => return sums,
            (Some(one), None) => (one.0, left.next().copied(), None),
            (None, Some(one)) => (one.0, None, right.next().copied()),
            (Some(a), Some(b)) if a.0 < b.0 => (a.0, left.next().copied(), None),
            (Some(a), Some(b)) if a.0 > b.0 => (b.0, None, right.next().copied()),
            (Some(a), Some(_)) => (a.0, left.next().copied(), right.next().copied()),
        };
        let (index, own, other) = next;
        let sum = own.map(|own| own.1).unwrap_or_default();
        sums.push((index, other.map_or(sum, |other| sum.then(other.1))));
    }
}

/// Buckets on custom bounds brought to fewer of these bounds: each goes to the first bound at or
/// above its own.
pub(super) fn reduce_custom<T: Copy>(
    pairs: &[(i32, T)],
    bounds: &[f64],
    fewer: &[f64],
    join: impl Fn(T, T) -> T,
) -> Vec<(i32, T)> {
    let mut reduced: Vec<(i32, T)> = Vec::with_capacity(fewer.len() + 1);
    for (index, value) in pairs {
        let upper = usize::try_from(*index).ok().and_then(|index| bounds.get(index));
        let upper = upper.copied().unwrap_or(f64::INFINITY);
        let index = fewer.partition_point(|bound| *bound < upper) as i32;
        match reduced.last_mut() {
            Some((last, own)) if *last == index => *own = join(*own, *value),
            _ => reduced.push((index, *value)),
        }
    }
    reduced
}
