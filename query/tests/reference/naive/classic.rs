//! Histograms whose buckets are series of their own, by their label `le`.

/// A cumulative bucket: its upper bound and how many observations lie at or below it.
pub type Bucket = (f64, f64);

/// Buckets ascending, equal bounds joined, never falling. Nothing without one that holds all.
fn prepared(mut buckets: Vec<Bucket>, is_monotonic: bool) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut joined: Vec<Bucket> = Vec::new();
    for own in buckets {
        match joined.last_mut() {
            Some(last) if last.0 == own.0 => last.1 += own.1,
            _ => joined.push(own),
        }
    }
    if joined.last().is_none_or(|own| own.0 != f64::INFINITY) {
        return None;
    }
    if is_monotonic {
        for index in 1..joined.len() {
            let before = joined[index - 1].1;
            let own = &mut joined[index].1;
            // A difference in the last digits is one of rounding.
            let is_near = (*own - before).abs() / (own.abs() + before.abs()) < 1e-12;
            if *own < before || is_near {
                *own = before;
            }
        }
    }
    Some(joined)
}

pub fn quantile(phi: f64, buckets: Vec<Bucket>) -> f64 {
    if !(0.0..=1.0).contains(&phi) {
        return match phi {
            phi if phi < 0.0 => f64::NEG_INFINITY,
            phi if phi > 1.0 => f64::INFINITY,
            _ => f64::NAN,
        };
    }
    let Some(buckets) = prepared(buckets, true) else { return f64::NAN };
    let all = buckets[buckets.len() - 1].1;
    if buckets.len() < 2 || all == 0.0 || all.is_nan() {
        return f64::NAN;
    }
    let rank = phi * all;
    let last = buckets.len() - 1;
    let index = buckets.iter().position(|own| own.1 >= rank).unwrap_or(last);
    let (upper, count) = buckets[index];
    if index == last {
        return buckets[last - 1].0;
    }
    if index == 0 && upper <= 0.0 {
        return upper;
    }
    let (lower, before) = if index == 0 { (0.0, 0.0) } else { buckets[index - 1] };
    lower + (upper - lower) * ((rank - before) / (count - before))
}

pub fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = prepared(buckets, false) else { return f64::NAN };
    let all = buckets[buckets.len() - 1].1;
    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64, endless: f64| {
        let mut before = (if buckets[0].0 > 0.0 { 0.0 } else { f64::NEG_INFINITY }, 0.0);
        for own in &buckets {
            if before.0 >= value {
                return before.1;
            }
            if own.0 > value {
                let share = match before.0.is_infinite() {
                    true => endless,
                    false => (value - before.0) / (own.0 - before.0),
                };
                return before.1 + (own.1 - before.1) * share;
            }
            before = *own;
        }
        before.1
    };
    (below(upper, 0.0).min(all) - below(lower, 1.0).min(all)) / all
}
