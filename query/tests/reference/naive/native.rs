//! Native histograms as a table from bucket to count.
//!
//! Two of them meet on the coarser layout: the smaller schema, the wider zero bucket, or the custom
//! bounds that both have.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Point;

/// The schema with bounds of its own.
const CUSTOM: i32 = -53;

/// One histogram. Buckets hold counts that are neither cumulative nor zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Distribution {
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: BTreeMap<i32, f64>,
    pub negative: BTreeMap<i32, f64>,
    pub custom_values: Vec<f64>,
}

impl From<Distribution> for Point {
    fn from(own: Distribution) -> Point {
        Point::Histogram(Rc::new(own))
    }
}

/// One bucket between its bounds.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
    /// Whether observations are spread on a plain scale inside it.
    is_plain: bool,
}

impl Bucket {
    /// One of which nobody knows where its observations lie.
    fn unknown(count: f64) -> Bucket {
        Bucket { lower: f64::NEG_INFINITY, upper: f64::INFINITY, count, is_plain: true }
    }

    /// The share of its observations below a value inside of it.
    fn share(&self, at: f64) -> f64 {
        if self.is_plain {
            return (at - self.lower) / (self.upper - self.lower);
        }
        let (from, to) = (self.lower.abs().ln(), self.upper.abs().ln());
        (at.abs().ln() - from) / (to - from)
    }

    /// The middle of a part of it.
    fn middle(&self, from: f64, to: f64) -> f64 {
        match (from, to) {
            (f64::NEG_INFINITY, to) => to,
            (from, f64::INFINITY) => from,
            _ if self.is_plain => (from + to) / 2.0,
            _ => (from * to).sqrt() * self.upper.signum(),
        }
    }

    /// How many observations lie below a value, and the middle of those. An endless bucket has
    /// nothing that surely lies there, or all of it.
    fn below(&self, at: f64) -> (f64, f64) {
        match *self {
            Bucket { lower, upper, count, .. } if upper <= at => (count, self.middle(lower, upper)),
            Bucket { lower, upper, .. } if lower >= at || upper == f64::INFINITY => (0.0, 0.0),
            Bucket { lower: f64::NEG_INFINITY, count, .. } => (count, at),
            Bucket { lower, count, .. } => (count * self.share(at), self.middle(lower, at)),
        }
    }

    /// The same above a value.
    fn above(&self, at: f64) -> (f64, f64) {
        match *self {
            Bucket { lower, upper, count, .. } if lower >= at => (count, self.middle(lower, upper)),
            Bucket { lower: f64::NEG_INFINITY, .. } => (0.0, 0.0),
            Bucket { upper, .. } if upper <= at => (0.0, 0.0),
            Bucket { upper: f64::INFINITY, count, .. } => (count, at),
            Bucket { upper, count, .. } => (count * (1.0 - self.share(at)), self.middle(at, upper)),
        }
    }
}

impl Distribution {
    fn is_custom(&self) -> bool {
        self.schema == CUSTOM
    }

    fn bound(&self, index: i32) -> f64 {
        if self.is_custom() {
            return match usize::try_from(index) {
                Err(_) => f64::NEG_INFINITY,
                Ok(index) => self.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
            };
        }
        (f64::from(index) * (-f64::from(self.schema)).exp2()).exp2()
    }

    fn map(&self, change: impl Fn(f64) -> f64) -> Distribution {
        let side = |own: &BTreeMap<i32, f64>| {
            own.iter().map(|(index, count)| (*index, change(*count))).collect()
        };
        let mut changed = Distribution {
            zero_count: change(self.zero_count),
            count: change(self.count),
            sum: change(self.sum),
            positive: side(&self.positive),
            negative: side(&self.negative),
            custom_values: self.custom_values.clone(),
            ..*self
        };
        changed.compact();
        changed
    }

    fn compact(&mut self) {
        self.positive.retain(|_, count| *count != 0.0);
        self.negative.retain(|_, count| *count != 0.0);
    }

    pub fn times(&self, factor: f64) -> Distribution {
        self.map(|count| count * factor)
    }

    /// Divided by a number; nothing is in the buckets when that is zero.
    pub fn over(&self, divisor: f64) -> Distribution {
        let mut divided = self.map(|count| count / divisor);
        if divisor == 0.0 {
            divided.positive.clear();
            divided.negative.clear();
        }
        divided
    }

    /// The same on a coarser schema.
    fn coarse(&self, schema: i32) -> Distribution {
        let by = self.schema - schema;
        let side = |own: &BTreeMap<i32, f64>| {
            let mut coarse = BTreeMap::new();
            for (index, count) in own {
                *coarse.entry(((index - 1) >> by) + 1).or_insert(0.0) += count;
            }
            coarse
        };
        let (positive, negative) = (side(&self.positive), side(&self.negative));
        Distribution { schema, positive, negative, custom_values: Vec::new(), ..*self }
    }

    /// The same with a zero bucket at least as wide; what it cuts goes into it whole.
    fn with_zero(&self, threshold: f64) -> Distribution {
        let mut threshold = threshold.max(self.zero_threshold);
        loop {
            let cut = self.positive.keys().chain(self.negative.keys()).find(|index| {
                self.bound(**index - 1) < threshold && self.bound(**index) > threshold
            });
            let Some(index) = cut else { break };
            threshold = self.bound(*index);
        }
        let mut wide = Distribution { zero_threshold: threshold, ..self.clone() };
        for side in [&mut wide.positive, &mut wide.negative] {
            side.retain(|index, count| {
                let is_inside = self.bound(*index) <= threshold;
                if is_inside {
                    wide.zero_count += *count;
                }
                !is_inside
            });
        }
        wide
    }

    /// The same on fewer custom bounds: each bucket goes to the next bound that is left.
    fn on_bounds(&self, bounds: &[f64]) -> Distribution {
        let mut positive = BTreeMap::new();
        for (index, count) in &self.positive {
            let upper = self.bound(*index);
            let next = bounds.iter().position(|bound| *bound >= upper).unwrap_or(bounds.len());
            *positive.entry(next as i32).or_insert(0.0) += count;
        }
        Distribution { positive, custom_values: bounds.to_vec(), ..self.clone() }
    }

    /// Both on the layout that they share; `None` for custom and exponential bounds.
    fn together(&self, other: &Distribution) -> Option<(Distribution, Distribution)> {
        if self.is_custom() != other.is_custom() {
            return None;
        }
        if self.is_custom() {
            let is_shared = |bound: &f64| other.custom_values.contains(bound);
            let shared: Vec<f64> = self.custom_values.iter().copied().filter(is_shared).collect();
            return Some((self.on_bounds(&shared), other.on_bounds(&shared)));
        }
        let (mut own, mut other) = (self.clone(), other.clone());
        while own.zero_threshold != other.zero_threshold {
            own = own.with_zero(other.zero_threshold);
            other = other.with_zero(own.zero_threshold);
        }
        let schema = own.schema.min(other.schema);
        Some((own.coarse(schema), other.coarse(schema)))
    }

    fn join(&self, other: &Distribution, sign: f64) -> Option<Distribution> {
        let (mut own, other) = self.together(other)?;
        own.zero_count += sign * other.zero_count;
        own.count += sign * other.count;
        own.sum += sign * other.sum;
        for (side, more) in
            [(&mut own.positive, &other.positive), (&mut own.negative, &other.negative)]
        {
            for (index, count) in more {
                *side.entry(*index).or_insert(0.0) += sign * count;
            }
        }
        own.compact();
        Some(own)
    }

    pub fn plus(&self, other: &Distribution) -> Option<Distribution> {
        self.join(other, 1.0)
    }

    pub fn minus(&self, other: &Distribution) -> Option<Distribution> {
        self.join(other, -1.0)
    }

    pub fn sum(all: &[&Distribution]) -> Option<Distribution> {
        let mut sum = all.first()?.map(|count| count);
        for own in &all[1..] {
            sum = sum.plus(own)?;
        }
        Some(sum)
    }

    /// The change over a window, with what resets took away.
    pub fn change(all: &[&Distribution], is_counter: bool) -> Option<Distribution> {
        let is_reset = |index: usize| all[index].is_reset_after(all[index - 1]);
        let last = all[all.len() - 1];
        if !is_counter {
            return last.minus(all[0]);
        }
        // When the counter began anew right behind the first one, only its successors matter.
        let skips = is_reset(1);
        let rest = if skips { &all[1..] } else { all };
        let mut change = last.clone();
        if !last.is_custom() {
            let schema = rest.iter().map(|own| own.schema).min().unwrap_or(last.schema);
            if rest.iter().any(|own| own.is_custom()) {
                return None;
            }
            change = change.coarse(schema);
        } else if rest.iter().any(|own| !own.is_custom()) {
            return None;
        }
        if !skips {
            change = change.minus(all[0])?;
        }
        for index in 1..all.len() {
            if is_reset(index) && !(skips && index == 1) {
                change = change.plus(all[index - 1])?;
            }
        }
        Some(change)
    }

    /// Whether a counter that grew can't have gone from the one before to this.
    pub fn is_reset_after(&self, before: &Distribution) -> bool {
        if self.is_custom() != before.is_custom() || self.count < before.count {
            return true;
        }
        let has_fallen = |own: &BTreeMap<i32, f64>, before: &BTreeMap<i32, f64>| {
            before.iter().any(|(index, count)| own.get(index).copied().unwrap_or(0.0) < *count)
        };
        if self.is_custom() {
            let Some((own, before)) = self.together(before) else { return true };
            return has_fallen(&own.positive, &before.positive);
        }
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let before = before.with_zero(self.zero_threshold);
        if before.zero_threshold != self.zero_threshold || self.zero_count < before.zero_count {
            return true;
        }
        let before = before.coarse(self.schema);
        has_fallen(&self.positive, &before.positive) || has_fallen(&self.negative, &before.negative)
    }

    pub fn same(&self, other: &Distribution) -> bool {
        let (mut own, mut other) = (self.clone(), other.clone());
        own.compact();
        other.compact();
        let equal = |a: f64, b: f64| a == b || a.to_bits() == b.to_bits();
        equal(own.sum, other.sum) && {
            own.sum = 0.0;
            other.sum = 0.0;
            own == other
        }
    }

    /// The zero bucket, on one side of zero when there is nothing on the other.
    fn zero(&self) -> Option<Bucket> {
        let only_above = self.negative.is_empty() && !self.positive.is_empty();
        let only_below = self.positive.is_empty() && !self.negative.is_empty();
        let lower = if only_above { 0.0 } else { -self.zero_threshold };
        let upper = if only_below { 0.0 } else { self.zero_threshold };
        let own = Bucket { lower, upper, count: self.zero_count, is_plain: true };
        (self.zero_count != 0.0).then_some(own)
    }

    /// All buckets with something in them by ascending bounds, as observations are spread in them.
    fn buckets(&self) -> Vec<Bucket> {
        let mut all = Vec::new();
        let is_plain = self.is_custom();
        for (index, count) in self.negative.iter().rev() {
            let (lower, upper) = (-self.bound(*index), -self.bound(*index - 1));
            all.push(Bucket { lower, upper, count: *count, is_plain });
        }
        all.extend(self.zero());
        for (index, count) in &self.positive {
            let (mut lower, upper) = (self.bound(*index - 1), self.bound(*index));
            if lower == f64::NEG_INFINITY && upper > 0.0 {
                lower = 0.0;
            }
            all.push(Bucket { lower, upper, count: *count, is_plain });
        }
        all
    }

    pub fn quantile(&self, phi: f64) -> f64 {
        if !(0.0..=1.0).contains(&phi) {
            return match phi {
                phi if phi < 0.0 => f64::NEG_INFINITY,
                phi if phi > 1.0 => f64::INFINITY,
                _ => f64::NAN,
            };
        }
        let buckets = self.buckets();
        if self.count == 0.0 || buckets.is_empty() {
            return f64::NAN;
        }
        // The lower half is counted from below, the upper half from above.
        let mut seen = 0.0;
        let found = if phi < 0.5 {
            buckets.iter().find(|own| {
                seen += own.count;
                seen >= phi * self.count
            })
        } else {
            buckets.iter().rev().find(|own| {
                seen += own.count;
                seen >= (1.0 - phi) * self.count
            })
        };
        let last = if phi < 0.5 { buckets.last() } else { buckets.first() };
        let Some(bucket) = found.or(last) else { return f64::NAN };
        if self.is_custom() && bucket.lower == f64::NEG_INFINITY {
            return bucket.upper;
        }
        if self.is_custom() && bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
        let seen = seen.min(self.count);
        let share = match phi < 0.5 {
            true => (phi * self.count - (seen - bucket.count)) / bucket.count,
            false => (seen - (1.0 - phi) * self.count) / bucket.count,
        };
        if bucket.is_plain {
            return bucket.lower + (bucket.upper - bucket.lower) * share;
        }
        let (from, to) = (bucket.lower.abs().ln(), bucket.upper.abs().ln());
        (from + (to - from) * share).exp().copysign(bucket.upper)
    }

    pub fn fraction(&self, lower: f64, upper: f64) -> f64 {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        // A bucket without width, of nothing but zeros, does not lie below them.
        let is_below = |own: &Bucket, value: f64| own.upper <= value && own.lower < value;
        let below = |value: f64, endless: f64| {
            let mut seen = 0.0;
            for own in self.buckets() {
                if is_below(&own, value) {
                    seen += own.count;
                } else if own.lower < value {
                    let share = match (own.lower, own.is_plain) {
                        (f64::NEG_INFINITY, _) => endless,
                        (_, true) => (value - own.lower) / (own.upper - own.lower),
                        (_, false) => {
                            let (from, to) = (own.lower.abs().ln(), own.upper.abs().ln());
                            (value.abs().ln() - from) / (to - from)
                        }
                    };
                    seen += own.count * share;
                }
            }
            if self.buckets().last().is_none_or(|own| is_below(own, value)) {
                return self.count;
            }
            seen.min(self.count)
        };
        (below(upper, 0.0) - below(lower, 1.0)) / self.count
    }

    /// What lies below a value, or above it. The sum is estimated anew when anything goes: every
    /// observation lies in the middle of what is left of its bucket.
    pub fn trimmed(&self, at: f64, keeps_below: bool) -> Distribution {
        let (mut count, mut sum, mut has_gone) = (0.0, 0.0, false);
        let mut keep = |own: Bucket| {
            let (kept, middle) = if keeps_below { own.below(at) } else { own.above(at) };
            has_gone |= kept != own.count;
            count += kept;
            sum += if kept == 0.0 { 0.0 } else { kept * middle };
            kept
        };
        let is_plain = self.is_custom();
        let side = |own: &BTreeMap<i32, f64>, keep: &mut dyn FnMut(Bucket) -> f64, sign: f64| {
            let bounds = |index: i32| (self.bound(index - 1), self.bound(index));
            let kept = own.iter().map(|(index, count)| {
                let (lower, upper) = match bounds(*index) {
                    (near, far) if sign < 0.0 => (-far, -near),
                    // Below its first bound a histogram begins at zero, if that lies there.
                    (f64::NEG_INFINITY, upper) if upper > 0.0 && upper < f64::INFINITY => {
                        if !keeps_below && at < 0.0 && at > f64::NEG_INFINITY {
                            return (*index, keep(Bucket::unknown(*count)));
                        }
                        (0.0, upper)
                    }
                    both => both,
                };
                (*index, keep(Bucket { lower, upper, count: *count, is_plain }))
            });
            kept.collect::<BTreeMap<i32, f64>>()
        };
        let negative = side(&self.negative, &mut keep, -1.0);
        let zero = self.zero();
        let zero_count = zero.map_or(0.0, &mut keep);
        let positive = side(&self.positive, &mut keep, 1.0);
        if !has_gone {
            return self.clone();
        }
        let mut rest = Distribution { zero_count, count, sum, positive, negative, ..self.clone() };
        rest.compact();
        rest
    }

    /// The variance with every observation in the middle of its bucket.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let zero = (-self.zero_threshold, self.zero_threshold);
        let mut sum = 0.0;
        for (side, sign) in [(&self.negative, -1.0), (&self.positive, 1.0)] {
            for (index, count) in side {
                let (lower, upper) = (self.bound(*index - 1), self.bound(*index));
                let middle = match self.is_custom() {
                    true => (lower + upper) / 2.0,
                    false => (lower * upper).sqrt(),
                };
                sum += count * (sign * middle - mean) * (sign * middle - mean);
            }
        }
        sum += self.zero_count * ((zero.0 + zero.1) / 2.0 - mean).powi(2);
        sum / self.count
    }
}
