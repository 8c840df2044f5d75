//! What one native histogram says about its distribution: quantile, fraction, variance; and trimming.
//!
//! Place in the flow: `function::histogram`, the trim operators → **`shape`**.
//!
//! Inside a bucket observations are spread evenly on a logarithmic scale; in the zero bucket and
//! between custom bounds evenly on a plain one. A first custom bucket that ends above zero begins at
//! zero.
//!
//! Not here: classic histograms (`kernel::histogram`).

use model::Histogram;
use model::histogram::{Bucket, Buckets};
use model::sum::Sum;

/// The note of `histogram_fraction` about a histogram with NaN observations.
pub const FRACTION_OF_NANS: &str =
    "input to histogram_fraction has NaN observations, which are excluded from all fractions";

/// What NaN observations did to a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nans {
    /// There is none.
    NoResult,
    /// They count as larger than everything.
    Skewed,
}

impl Nans {
    /// The note about it.
    pub fn text(self) -> &'static str {
        match self {
            Nans::NoResult => "input to histogram_quantile has NaN observations, result is NaN",
            Nans::Skewed => {
                "input to histogram_quantile has NaN observations, result is skewed higher"
            }
        }
    }
}

/// The buckets with the bounds that observations are spread between.
fn spread(own: &Histogram) -> Vec<Bucket> {
    let mut buckets = own.buckets();
    for bucket in &mut buckets {
        if own.is_custom() {
            if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
        } else if is_zero(own, bucket) {
            if own.negative.is_empty() && !own.positive.is_empty() {
                bucket.lower = 0.0;
            } else if own.positive.is_empty() && !own.negative.is_empty() {
                bucket.upper = 0.0;
            }
        }
    }
    buckets
}

fn is_zero(own: &Histogram, bucket: &Bucket) -> bool {
    !own.is_custom() && bucket.lower <= 0.0 && bucket.upper >= 0.0
}

/// How far into a bucket a value inside it lies, from 0 to 1.
fn share(own: &Histogram, bucket: &Bucket, value: f64) -> f64 {
    if own.is_custom() || is_zero(own, bucket) {
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    (value.abs().log2() - lower) / (upper - lower)
}

/// The φ-quantile.
pub fn quantile(phi: f64, own: &Histogram) -> (f64, Option<Nans>) {
    if phi < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if phi > 1.0 {
        return (f64::INFINITY, None);
    }
    if own.count == 0.0 || phi.is_nan() {
        return (f64::NAN, None);
    }
    // NaN observations are above everything, so with them there only is a way from below.
    let forwards = own.sum.is_nan() || phi < 0.5;
    let mut buckets = spread(own);
    let mut rank = phi * own.count;
    if !forwards {
        buckets.reverse();
        rank = (1.0 - phi) * own.count;
    }
    let mut count = 0.0;
    let mut found = None;
    for bucket in buckets.iter().filter(|bucket| bucket.count != 0.0) {
        count += bucket.count;
        found = Some(*bucket);
        if count >= rank {
            break;
        }
    }
    count = count.min(own.count);
    let Some(bucket) = found.filter(|_| count >= rank || !own.sum.is_nan()) else {
        return (f64::NAN, own.sum.is_nan().then_some(Nans::NoResult));
    };
    let nans = own.sum.is_nan().then_some(Nans::Skewed);
    if own.is_custom() && bucket.lower == f64::NEG_INFINITY {
        return (bucket.upper, nans);
    }
    if own.is_custom() && bucket.upper == f64::INFINITY {
        return (bucket.lower, nans);
    }
    let rank = if forwards { rank - (count - bucket.count) } else { count - rank };
    (value_at(own, &bucket, rank / bucket.count), nans)
}

/// The value that lies so far into a bucket.
fn value_at(own: &Histogram, bucket: &Bucket, share: f64) -> f64 {
    if own.is_custom() || is_zero(own, bucket) {
        return bucket.lower + (bucket.upper - bucket.lower) * share;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    (lower + (upper - lower) * share).exp2().copysign(bucket.lower)
}

/// The share of all observations that lie between two values. NaN observations are in no such share.
pub fn fraction(lower: f64, upper: f64, own: &Histogram) -> f64 {
    if own.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let buckets = spread(own);
    let (below_upper, below_lower) =
        (rank_of(own, &buckets, upper, 0.0), rank_of(own, &buckets, lower, 1.0));
    (below_upper.min(own.count) - below_lower.min(own.count)) / own.count
}

/// How many observations lie below a value. There is no line through a first bucket that begins at
/// -Inf: `endless_share` of it counts.
fn rank_of(own: &Histogram, buckets: &[Bucket], value: f64, endless_share: f64) -> f64 {
    let mut rank = 0.0;
    for bucket in buckets {
        if bucket.lower >= value {
            return rank;
        }
        if bucket.upper > value {
            let share = match bucket.lower.is_infinite() {
                true => endless_share,
                false => share(own, bucket, value),
            };
            return rank + bucket.count * share;
        }
        rank += bucket.count;
    }
    if own.sum.is_nan() { rank } else { own.count }
}

/// The middle of a bucket: on a logarithmic scale, or on a plain one.
fn middle(own: &Histogram, bucket: &Bucket) -> f64 {
    if own.is_custom() {
        return (bucket.lower + bucket.upper) / 2.0;
    }
    if is_zero(own, bucket) {
        return 0.0;
    }
    (bucket.lower * bucket.upper).sqrt().copysign(bucket.upper)
}

/// The population variance, each observation in the middle of its bucket.
pub fn variance(own: &Histogram) -> f64 {
    let mean = own.sum / own.count;
    let mut sum = Sum::default();
    for bucket in own.buckets().iter().filter(|bucket| bucket.count != 0.0) {
        let distance = middle(own, bucket) - mean;
        sum = sum.with(bucket.count * distance * distance);
    }
    sum.value() / own.count
}

/// What is left of a bucket: how many observations, and their mean.
type Rest = (f64, f64);

/// The observations below (or above) a value. The sum is estimated anew when anything goes.
pub fn trimmed(own: &Histogram, at: f64, keeps_below: bool) -> Histogram {
    let (mut count, mut sum) = (Sum::default(), Sum::default());
    let mut has_gone = false;
    let mut rest_of = |raw: Bucket| {
        let rest = if keeps_below { below(own, raw, at) } else { above(own, raw, at) };
        has_gone |= rest.0 != raw.count;
        if rest.0 != 0.0 {
            count = count.with(rest.0);
            sum = sum.with(rest.0 * rest.1);
        }
        rest.0
    };
    let negative = Buckets::from_pairs(own.negative.iter().map(|(index, count)| {
        let (lower, upper) = own.bounds(index);
        (index, rest_of(Bucket { lower: -upper, upper: -lower, count }))
    }));
    let zero =
        Bucket { lower: -own.zero_threshold, upper: own.zero_threshold, count: own.zero_count };
    let zero_count = if own.zero_count == 0.0 { 0.0 } else { rest_of(zero) };
    let positive = Buckets::from_pairs(own.positive.iter().map(|(index, count)| {
        let (lower, upper) = own.bounds(index);
        (index, rest_of(Bucket { lower, upper, count }))
    }));
    if !has_gone {
        return own.clone();
    }
    Histogram {
        zero_count,
        count: count.value(),
        sum: sum.value(),
        positive,
        negative,
        custom_values: own.custom_values.clone(),
        ..*own
    }
}

/// The bucket as observations are spread in it, one side of the zero bucket if the other is unused.
fn narrowed(own: &Histogram, mut bucket: Bucket) -> Bucket {
    if is_zero(own, &bucket) {
        if own.negative.is_empty() && !own.positive.is_empty() {
            bucket.lower = 0.0;
        } else if own.positive.is_empty() && !own.negative.is_empty() {
            bucket.upper = 0.0;
        }
    } else if own.is_custom() && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
        bucket.lower = 0.0;
    }
    bucket
}

/// The mean of what lies between two values of a bucket.
fn mean_between(own: &Histogram, bucket: &Bucket, lower: f64, upper: f64) -> f64 {
    if lower == f64::NEG_INFINITY {
        return upper;
    }
    if upper == f64::INFINITY {
        return lower;
    }
    if own.is_custom() || is_zero(own, bucket) {
        return (lower + upper) / 2.0;
    }
    (lower * upper).sqrt().copysign(bucket.upper + bucket.lower)
}

fn below(own: &Histogram, raw: Bucket, at: f64) -> Rest {
    let bucket = narrowed(own, raw);
    if bucket.upper <= at {
        return (raw.count, mean_between(own, &bucket, bucket.lower, bucket.upper));
    }
    if bucket.lower >= at || raw.upper == f64::INFINITY {
        return (0.0, 0.0);
    }
    if bucket.lower == f64::NEG_INFINITY {
        return (raw.count, at); // Nobody knows how far down it reaches.
    }
    (raw.count * share(own, &bucket, at), mean_between(own, &bucket, bucket.lower, at))
}

fn above(own: &Histogram, raw: Bucket, at: f64) -> Rest {
    let bucket = narrowed(own, raw);
    if raw.lower == f64::NEG_INFINITY && at != f64::NEG_INFINITY {
        // Below its first bound nobody knows where observations lie, unless they begin at zero.
        if bucket.lower == f64::NEG_INFINITY || raw.upper == f64::INFINITY || at < bucket.lower {
            return (0.0, 0.0);
        }
    }
    if bucket.lower >= at {
        return (raw.count, mean_between(own, &bucket, bucket.lower, bucket.upper));
    }
    if bucket.upper <= at {
        return (0.0, 0.0);
    }
    if bucket.upper == f64::INFINITY {
        return (raw.count, at);
    }
    let left = 1.0 - share(own, &bucket, at);
    (raw.count * left, mean_between(own, &bucket, at, bucket.upper))
}

#[cfg(test)]
mod tests;
