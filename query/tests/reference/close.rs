//! Whether two answers are the same: label sets exactly, numbers exactly or but for the last digits.

use crate::case::Answer;
use crate::naive::{Distribution, Point};

/// Numbers whose additions have no fixed order may differ by this share.
pub const SHARE: f64 = 1e-12;

/// The first difference; numbers may differ by a share.
pub fn difference(found: &Answer, expected: &Answer, share: f64) -> Option<String> {
    for (labels, points) in expected {
        let Some(own) = found.get(labels) else {
            return Some(format!("{labels:?} is missing: {points:?}"));
        };
        for (at_ms, point) in points {
            match own.get(at_ms) {
                None => return Some(format!("{labels:?} at {at_ms} is missing: {point:?}")),
                Some(own) if !is_close(own, point, share) => {
                    return Some(format!("{labels:?} at {at_ms}: {own:?} instead of {point:?}"));
                }
                Some(_) => {}
            }
        }
        if let Some((at_ms, point)) = own.iter().find(|(at_ms, _)| !points.contains_key(at_ms)) {
            return Some(format!("{labels:?} at {at_ms} is too much: {point:?}"));
        }
    }
    let more = found.iter().find(|(labels, _)| !expected.contains_key(*labels));
    more.map(|(labels, points)| format!("{labels:?} is too much: {points:?}"))
}

fn is_close(found: &Point, expected: &Point, share: f64) -> bool {
    match (found, expected) {
        (Point::Number(a), Point::Number(b)) => is_near(*a, *b, share),
        (Point::Histogram(a), Point::Histogram(b)) => is_alike(a, b),
        _ => false,
    }
}

fn is_near(a: f64, b: f64, share: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= share * a.abs().max(b.abs())
}

fn is_alike(a: &Distribution, b: &Distribution) -> bool {
    let side = |a: &std::collections::BTreeMap<i32, f64>,
                b: &std::collections::BTreeMap<i32, f64>| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && is_near(*a.1, *b.1, SHARE))
    };
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.custom_values == b.custom_values
        && is_near(a.zero_count, b.zero_count, SHARE)
        && is_near(a.count, b.count, SHARE)
        && is_near(a.sum, b.sum, SHARE)
        && side(&a.positive, &b.positive)
        && side(&a.negative, &b.negative)
}
