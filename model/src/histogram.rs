//! Native histograms: one sample that holds a whole distribution.
//!
//! Place in the flow: test data and later the store make them → **`Histogram`** → the query engine
//! adds, scales and looks into them.
//!
//! All counts are floats and absolute: neither cumulative nor deltas. Schemas -4 to 8 have bounds at
//! powers of 2^(2^-schema); schema -53 brings bounds of its own, with an endless bucket behind the
//! last one.
//!
//! Invariants: `spans` of a [`Buckets`] describe as many buckets as there are counts; indices ascend.
//!
//! Not here: quantiles and fractions (the query engine), storage.

use std::fmt;

/// Resets between two histograms of a series.
mod reset;
/// Sums, differences and means.
mod total;

pub use total::{Added, Incompatible, Total};

/// The schema of histograms with bounds of their own.
pub const CUSTOM_SCHEMA: i32 = -53;
/// The coarsest schema with exponential bounds.
pub const SCHEMA_MIN: i32 = -4;
/// The finest schema with exponential bounds.
pub const SCHEMA_MAX: i32 = 8;

/// What is known about a reset just before a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetHint {
    /// Nothing.
    #[default]
    Unknown,
    /// It was reset.
    Reset,
    /// It was not reset.
    NotReset,
    /// It is a gauge: it may fall.
    Gauge,
}

/// Some consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// The gap to the end of the span before; the index of the first bucket in the first span.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// The buckets of one side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    spans: Vec<Span>,
    counts: Vec<f64>,
}

impl Buckets {
    /// Consecutive buckets from an index on.
    pub fn dense(offset: i32, counts: Vec<f64>) -> Buckets {
        if counts.is_empty() {
            return Buckets::default();
        }
        let length = u32::try_from(counts.len()).expect("a histogram has fewer buckets than that");
        Buckets { spans: vec![Span { offset, length }], counts }
    }

    /// Buckets from their index and count, indices ascending; empty ones are left out.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (i32, f64)>) -> Buckets {
        let mut buckets = Buckets::default();
        let mut next = 0;
        for (index, count) in pairs {
            if count == 0.0 {
                continue;
            }
            match buckets.spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => buckets.spans.push(Span { offset: index - next, length: 1 }),
            }
            buckets.counts.push(count);
            next = index + 1;
        }
        buckets
    }

    /// Buckets from their parts, empty buckets kept as they are. `None` when the parts do not fit each
    /// other or an index leaves the range of an i32.
    pub fn from_spans(spans: Vec<Span>, counts: Vec<f64>) -> Option<Buckets> {
        let mut next = 0i32;
        let mut buckets = 0u64;
        for (index, span) in spans.iter().enumerate() {
            if index > 0 && span.offset < 0 {
                return None;
            }
            buckets += u64::from(span.length);
            let length = i32::try_from(span.length).ok()?;
            next = next.checked_add(span.offset)?.checked_add(length)?;
        }
        (buckets == counts.len() as u64).then_some(Buckets { spans, counts })
    }

    /// The spans.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The counts.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Whether there is no bucket, not even an empty one.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Index and count of each bucket, indices ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + '_ {
        let mut first = 0;
        let ranges = self.spans.iter().map(move |span| {
            let start = first + span.offset;
            first = start + span.length as i32;
            start..first
        });
        let indices: Vec<i32> = ranges.flatten().collect();
        indices.into_iter().zip(self.counts.iter().copied())
    }

    /// The same buckets without empty ones.
    pub fn compacted(&self) -> Buckets {
        Buckets::from_pairs(self.iter())
    }

    fn scaled(&self, factor: f64) -> Buckets {
        let counts = self.counts.iter().map(|count| count * factor).collect();
        Buckets { spans: self.spans.clone(), counts }
    }
}

/// One bucket with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Observations between them.
    pub count: f64,
}

/// A native histogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// How fine the buckets are.
    pub schema: i32,
    /// Half the width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Buckets above zero; of custom bounds, all buckets.
    pub positive: Buckets,
    /// Buckets below zero, mirrored.
    pub negative: Buckets,
    /// Upper bounds of schema -53, ascending, without +Inf.
    pub custom_values: Vec<f64>,
    /// What is known about a reset before it.
    pub hint: ResetHint,
}

impl Histogram {
    /// Whether the bounds are custom ones.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    /// Why it cannot be stored, if it cannot.
    pub fn problem(&self) -> Option<&'static str> {
        let is_ascending = self.custom_values.windows(2).all(|pair| pair[0] < pair[1]);
        if self.is_custom() {
            if !is_ascending || self.custom_values.iter().any(|bound| bound.is_nan()) {
                return Some("custom bounds must ascend");
            }
            if self.zero_count != 0.0 || self.zero_threshold != 0.0 || !self.negative.is_empty() {
                return Some("custom bounds allow neither a zero bucket nor negative buckets");
            }
            let last = self.positive.iter().next_back().map_or(0, |(index, _)| index);
            let first = self.positive.iter().next().map_or(0, |(index, _)| index);
            if first < 0 || last as usize > self.custom_values.len() {
                return Some("a bucket has no custom bound");
            }
        } else if !(SCHEMA_MIN..=SCHEMA_MAX).contains(&self.schema) {
            return Some("the schema must be -53 or lie between -4 and 8");
        } else if !self.custom_values.is_empty() {
            return Some("only schema -53 has custom bounds");
        }
        let mut counts = self.positive.counts.iter().chain(&self.negative.counts);
        let is_negative = |count: &f64| *count < 0.0;
        if counts.any(is_negative) || is_negative(&self.zero_count) || is_negative(&self.count) {
            return Some("counts must not be negative");
        }
        None
    }

    /// Everything times a factor. A negative factor makes a gauge of it.
    pub fn scaled(&self, factor: f64) -> Histogram {
        let hint = if factor < 0.0 { ResetHint::Gauge } else { self.hint };
        Histogram {
            zero_count: self.zero_count * factor,
            count: self.count * factor,
            sum: self.sum * factor,
            positive: self.positive.scaled(factor),
            negative: self.negative.scaled(factor),
            custom_values: self.custom_values.clone(),
            hint,
            ..*self
        }
    }

    /// Everything divided by a number; nothing is left in the buckets when that is zero.
    pub fn divided(&self, divisor: f64) -> Histogram {
        let divide = |buckets: &Buckets| {
            if divisor == 0.0 {
                return Buckets::default();
            }
            let counts = buckets.counts.iter().map(|count| count / divisor).collect();
            Buckets { spans: buckets.spans.clone(), counts }
        };
        Histogram {
            zero_count: self.zero_count / divisor,
            count: self.count / divisor,
            sum: self.sum / divisor,
            positive: divide(&self.positive),
            negative: divide(&self.negative),
            custom_values: self.custom_values.clone(),
            hint: if divisor < 0.0 { ResetHint::Gauge } else { self.hint },
            ..*self
        }
    }

    /// The same histogram without empty buckets.
    pub fn compacted(&self) -> Histogram {
        Histogram {
            positive: self.positive.compacted(),
            negative: self.negative.compacted(),
            custom_values: self.custom_values.clone(),
            ..*self
        }
    }

    /// Whether two histograms say the same, whatever their hints; equal bits, so NaN equals NaN.
    pub fn same(&self, other: &Histogram) -> bool {
        let is_equal = |a: f64, b: f64| a.to_bits() == b.to_bits() || a == b;
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.custom_values == other.custom_values
            && is_equal(self.zero_count, other.zero_count)
            && is_equal(self.count, other.count)
            && is_equal(self.sum, other.sum)
            && self.positive.compacted() == other.positive.compacted()
            && self.negative.compacted() == other.negative.compacted()
    }

    /// The bounds of a bucket on the positive side.
    pub fn bounds(&self, index: i32) -> (f64, f64) {
        if !self.is_custom() {
            return (bound(self.schema, index - 1), bound(self.schema, index));
        }
        let at = |index: i32| match usize::try_from(index) {
            Err(_) => f64::NEG_INFINITY,
            Ok(index) => self.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
        };
        (at(index - 1), at(index))
    }

    /// All buckets by ascending bounds, the zero bucket where it belongs if it holds anything.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut all =
            Vec::with_capacity(self.negative.counts.len() + self.positive.counts.len() + 1);
        for (index, count) in self.negative.iter().rev() {
            let (lower, upper) = self.bounds(index);
            all.push(Bucket { lower: -upper, upper: -lower, count });
        }
        if self.zero_count != 0.0 {
            let (lower, upper) = (-self.zero_threshold, self.zero_threshold);
            all.push(Bucket { lower, upper, count: self.zero_count });
        }
        for (index, count) in self.positive.iter() {
            let (lower, upper) = self.bounds(index);
            all.push(Bucket { lower, upper, count });
        }
        all
    }

    /// Bytes it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        let sides = [&self.positive, &self.negative];
        let buckets: usize = sides.iter().map(|side| side.counts.len() + side.spans.len()).sum();
        size_of::<Histogram>() + (buckets + self.custom_values.len()) * 8
    }
}

/// The upper bound of a bucket with an exponential schema.
pub fn bound(schema: i32, index: i32) -> f64 {
    if schema <= 0 {
        let exponent = i64::from(index) << (-schema).min(32);
        let upper = (exponent.clamp(-1100, 1100) as f64).exp2();
        return if exponent == 1024 { f64::MAX } else { upper };
    }
    let (whole, part) = (index >> schema, index & ((1 << schema) - 1));
    if whole == 1024 && part == 0 {
        return f64::MAX; // The last bucket that any number can be in ends at the largest one.
    }
    let fraction = (f64::from(part) / f64::from(1 << schema)).exp2();
    // Two steps, since 2^whole alone may be too large or small where the product is not.
    let half = whole.div_euclid(2);
    fraction * f64::from(half).exp2() * f64::from(whole - half).exp2()
}

/// `{count:4, sum:5, (0.5,1]:1, (1,2]:2}`, as upstream writes it; empty buckets are left out.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = crate::sample::format_value;
        write!(f, "{{count:{}, sum:{}", number(self.count), number(self.sum))?;
        for bucket in self.buckets() {
            if bucket.count == 0.0 {
                continue;
            }
            let is_zero = !self.is_custom() && bucket.lower <= 0.0 && bucket.upper >= 0.0;
            let is_first = self.is_custom() && bucket.lower == f64::NEG_INFINITY;
            let left = if is_zero || is_first || bucket.upper <= 0.0 && !self.is_custom() {
                '['
            } else {
                '('
            };
            let right = if bucket.upper > 0.0 || is_zero || self.is_custom() { ']' } else { ')' };
            let (lower, upper) = (number(bucket.lower), number(bucket.upper));
            write!(f, ", {left}{lower},{upper}{right}:{}", number(bucket.count))?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests;
