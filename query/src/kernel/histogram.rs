//! Classic histograms: quantile and fraction from cumulative buckets.
//!
//! Place in the flow: `function::histogram` gathers the buckets of one step → **`histogram`**.
//!
//! Buckets that fall (scrapes are not atomic) are raised to their predecessor; tiny falls silently.
//!
//! Not here: native histograms.

/// One cumulative bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The value of `le`.
    pub upper: f64,
    /// Observations at or below it.
    pub count: f64,
}

/// What had to be raised to make the buckets cumulative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raised {
    /// Smallest upper bound that was raised.
    pub lowest: f64,
    /// Largest upper bound that was raised.
    pub highest: f64,
    /// Largest amount.
    pub difference: f64,
}

/// Differences below this share of the values are rounding, not a fall.
const SMALL_DELTA: f64 = 1e-12;

/// The φ-quantile, and what was raised on the way.
pub fn quantile(phi: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Raised>) {
    if phi.is_nan() {
        return (f64::NAN, None);
    }
    if phi < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if phi > 1.0 {
        return (f64::INFINITY, None);
    }
    if !prepare(buckets) {
        return (f64::NAN, None);
    }
    let raised = make_cumulative(buckets);
    if buckets.len() < 2 {
        return (f64::NAN, raised);
    }
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 {
        return (f64::NAN, raised);
    }
    let rank = phi * observations;
    let last = buckets.len() - 1;
    let found = first_reaching(rank, &buckets[..last]);
    let value = if found == last {
        buckets[last - 1].upper
    } else if found == 0 && buckets[0].upper <= 0.0 {
        buckets[0].upper
    } else {
        let below = if found == 0 { Bucket { upper: 0.0, count: 0.0 } } else { buckets[found - 1] };
        let width = buckets[found].upper - below.upper;
        below.upper + width * ((rank - below.count) / (buckets[found].count - below.count))
    };
    (value, raised)
}

/// The first bucket that reaches a rank, or how many there are. By halves, which decides what is
/// found when counts are no numbers, and so not in order.
fn first_reaching(rank: f64, buckets: &[Bucket]) -> usize {
    let (mut low, mut high) = (0, buckets.len());
    while low < high {
        let middle = (low + high) / 2;
        if buckets[middle].count >= rank {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The share of observations between two values.
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (below_upper, below_lower) = (rank_of(upper, buckets, 0.0), rank_of(lower, buckets, 1.0));
    (below_upper.min(count) - below_lower.min(count)) / count
}

/// How many observations lie below a value, by the line through its bucket. There is no line
/// through a bucket that begins at -Inf: `endless_share` of it counts.
fn rank_of(value: f64, buckets: &[Bucket], endless_share: f64) -> f64 {
    let mut rank = 0.0;
    for (index, bucket) in buckets.iter().enumerate() {
        let bucket_lower = match index {
            0 if bucket.upper > 0.0 => 0.0,
            0 => f64::NEG_INFINITY,
            _ => buckets[index - 1].upper,
        };
        if bucket_lower >= value {
            return rank;
        }
        if bucket.upper > value {
            let share = if bucket_lower.is_infinite() {
                endless_share
            } else {
                (value - bucket_lower) / (bucket.upper - bucket_lower)
            };
            return rank + (bucket.count - rank) * share;
        }
        rank = bucket.count;
    }
    rank
}

/// Sorts, joins buckets of equal bounds; false when there is no `+Inf` bucket.
fn prepare(buckets: &mut Vec<Bucket>) -> bool {
    if !buckets.is_sorted_by(|a, b| a.upper.total_cmp(&b.upper).is_le()) {
        buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    }
    if buckets.last().is_none_or(|last| last.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

fn make_cumulative(buckets: &mut [Bucket]) -> Option<Raised> {
    let mut raised: Option<Raised> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if nearly_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            let difference = before - bucket.count;
            let so_far = raised.unwrap_or(Raised {
                lowest: bucket.upper,
                highest: bucket.upper,
                difference,
            });
            raised = Some(Raised {
                lowest: so_far.lowest.min(bucket.upper),
                highest: so_far.highest.max(bucket.upper),
                difference: so_far.difference.max(difference),
            });
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    raised
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}
