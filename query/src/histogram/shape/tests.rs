//! Quantiles, fractions and trimming against values worked out by hand.

use model::histogram::CUSTOM_SCHEMA;

use super::*;

fn exponential() -> Histogram {
    let positive = Buckets::dense(0, vec![1.0, 2.0, 1.0]);
    Histogram { count: 4.0, sum: 5.0, positive, ..Histogram::default() }
}

fn custom() -> Histogram {
    let positive = Buckets::dense(0, vec![1.0, 6.0, 4.0, 3.0, 1.0]);
    let custom_values = vec![5.0, 10.0, 15.0, 20.0];
    let own = Histogram { schema: CUSTOM_SCHEMA, custom_values, ..Histogram::default() };
    Histogram { count: 15.0, sum: 172.5, positive, ..own }
}

#[test]
fn quantiles() {
    for (phi, expected) in [(0.0, 0.5), (0.5, std::f64::consts::SQRT_2), (1.0, 4.0)] {
        let (found, nans) = quantile(phi, &exponential());
        assert!((found - expected).abs() < 1e-12 && nans.is_none(), "{phi}: {found}");
    }
    assert_eq!(quantile(1.0, &custom()).0, 20.0);
    assert_eq!(quantile(2.0, &custom()).0, f64::INFINITY);
    assert!(quantile(0.5, &Histogram::default()).0.is_nan());
    let with_nans = Histogram { sum: f64::NAN, count: 8.0, ..exponential() };
    assert_eq!(quantile(0.9, &with_nans).1, Some(Nans::NoResult));
    assert_eq!(quantile(0.1, &with_nans).1, Some(Nans::Skewed));
}

#[test]
fn fractions() {
    assert_eq!(fraction(1.0, 2.0, &exponential()), 0.5);
    assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &exponential()), 1.0);
    assert_eq!(fraction(2.0, 1.0, &exponential()), 0.0);
    assert!((fraction(0.0, 12.5, &custom()) - 9.0 / 15.0).abs() < 1e-12);
}

#[test]
fn trims() {
    #[track_caller]
    fn check(at: f64, keeps_below: bool, count: f64, sum: f64) {
        let found = trimmed(&custom(), at, keeps_below);
        let is_near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(is_near(found.count, count) && is_near(found.sum, sum), "{found}");
    }
    check(15.0, true, 11.0, 97.5);
    check(13.0, true, 9.4, 75.1);
    check(13.0, false, 5.6, 94.9);
    check(50.0, true, 14.0, 150.0);
    check(0.0, false, 15.0, 172.5);
    check(f64::INFINITY, false, 0.0, 0.0);
}
