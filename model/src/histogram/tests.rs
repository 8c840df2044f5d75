//! Native histograms: bounds, sums, resets by table; what addition keeps by random histograms.

use proptest::prelude::*;

use super::*;

fn histogram(schema: i32, offset: i32, counts: &[f64]) -> Histogram {
    let count = counts.iter().fold(0.0, |sum, count| sum + count);
    let positive = Buckets::dense(offset, counts.to_vec());
    Histogram { schema, count, sum: count * 2.0, positive, ..Histogram::default() }
}

fn custom(bounds: &[f64], counts: &[f64]) -> Histogram {
    Histogram { custom_values: bounds.to_vec(), ..histogram(CUSTOM_SCHEMA, 0, counts) }
}

fn plus(a: &Histogram, b: &Histogram, factor: f64) -> (Histogram, Added) {
    let mut total = Total::of(a);
    let added = total.add(b, factor).expect("compatible");
    (total.value(), added)
}

#[test]
fn bounds_are_powers() {
    for (schema, index, expected) in [
        (0, 0, 1.0),
        (0, 3, 8.0),
        (0, -2, 0.25),
        (-1, 1, 4.0),
        (1, 1, std::f64::consts::SQRT_2),
        (8, 256, 2.0),
        (0, 1024, f64::MAX),
        (8, 1024 * 256, f64::MAX),
        (0, 1025, f64::INFINITY),
        (3, -8 * 1070, f64::from_bits(1 << 4)),
    ] {
        assert_eq!(bound(schema, index), expected, "schema {schema}, index {index}");
    }
}

#[test]
fn sums_meet_on_the_coarser_layout() {
    let (sum, _) = plus(&histogram(0, 0, &[1.0, 2.0, 1.0]), &histogram(1, 1, &[1.0, 1.0]), 1.0);
    assert!(sum.same(&Histogram { sum: 12.0, ..histogram(0, 0, &[1.0, 4.0, 1.0]) }), "{sum}");
    let (sum, added) = plus(&custom(&[5.0, 10.0], &[1.0, 2.0, 3.0]), &custom(&[10.0], &[4.0]), 1.0);
    assert!(added.bounds_reconciled);
    assert!(sum.same(&custom(&[10.0], &[7.0, 3.0])), "{sum}");
    let mut total = Total::of(&histogram(0, 0, &[1.0]));
    assert_eq!(total.add(&custom(&[5.0], &[1.0]), 1.0), Err(Incompatible));
}

#[test]
fn a_wider_zero_bucket_swallows_whole_buckets() {
    let wide =
        Histogram { zero_threshold: 1.5, zero_count: 1.0, count: 1.0, ..histogram(0, 0, &[]) };
    let (sum, _) = plus(&histogram(0, 0, &[1.0, 2.0, 4.0]), &wide, 1.0);
    assert_eq!((sum.zero_threshold, sum.zero_count), (2.0, 4.0));
    assert_eq!(sum.positive, Buckets::dense(2, vec![4.0]));
}

#[test]
fn resets() {
    let before = histogram(0, 0, &[1.0, 2.0, 1.0]);
    let check = |now: Histogram, expected: bool| {
        assert_eq!(now.is_reset_after(&before), expected, "{now}");
    };
    check(histogram(0, 0, &[1.0, 2.0, 1.0]), false);
    check(histogram(0, 0, &[1.0, 1.0, 3.0]), true);
    check(histogram(0, 0, &[1.0, 2.0]), true);
    check(histogram(1, 0, &[9.0, 9.0, 9.0, 9.0, 9.0]), true);
    check(histogram(-1, 0, &[1.0, 3.0]), false);
    check(Histogram { hint: ResetHint::Reset, ..before.clone() }, true);
    check(Histogram { hint: ResetHint::NotReset, ..histogram(0, 0, &[]) }, false);
    check(custom(&[5.0], &[9.0]), true);
}

#[test]
fn hints_combine() {
    use ResetHint::{Gauge, NotReset, Reset, Unknown};
    for (a, b, expected, collide) in [
        (NotReset, NotReset, NotReset, false),
        (NotReset, Unknown, Unknown, false),
        (Gauge, NotReset, Gauge, false),
        (Reset, NotReset, Unknown, true),
    ] {
        let with = |hint| Histogram { hint, ..histogram(0, 0, &[1.0]) };
        let (sum, added) = plus(&with(a), &with(b), 1.0);
        assert_eq!((sum.hint, added.hints_collide), (expected, collide), "{a:?} and {b:?}");
    }
}

#[test]
fn as_text() {
    let own =
        Histogram { zero_count: 1.0, zero_threshold: 0.5, ..histogram(0, 1, &[2.0, 0.0, 3.0]) };
    assert_eq!(own.to_string(), "{count:5, sum:10, [-0.5,0.5]:1, (1,2]:2, (4,8]:3}");
    let negative = Histogram { negative: Buckets::dense(0, vec![1.0]), ..histogram(0, 0, &[]) };
    assert_eq!(negative.to_string(), "{count:0, sum:0, [-1,-0.5):1}");
}

#[test]
fn problems() {
    assert_eq!(histogram(0, 0, &[1.0]).problem(), None);
    assert!(histogram(9, 0, &[1.0]).problem().is_some());
    assert!(histogram(0, 0, &[-1.0]).problem().is_some());
    assert!(custom(&[5.0, 5.0], &[1.0]).problem().is_some());
    assert!(custom(&[5.0], &[1.0, 1.0, 1.0]).problem().is_some());
}

#[test]
fn parts_that_do_not_fit() {
    let span = |offset, length| Span { offset, length };
    for (spans, counts, fits) in [
        (vec![], 0, true),
        (vec![span(-3, 2), span(0, 0), span(1, 1)], 3, true),
        (vec![span(1, 2)], 1, false),
        (vec![span(1, 1), span(-1, 1)], 2, false),
        (vec![span(i32::MAX, 1)], 1, false),
    ] {
        let made = Buckets::from_spans(spans.clone(), vec![0.0; counts]);
        assert_eq!(made.is_some(), fits, "{spans:?}");
    }
}

fn any_histogram() -> impl Strategy<Value = Histogram> {
    (-4..=8_i32, -20..20_i32, prop::collection::vec(0..100_u32, 0..20), 0..50_u32).prop_map(
        |(schema, offset, counts, zero)| {
            let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
            let zero_count = f64::from(zero);
            let own = histogram(schema, offset, &counts);
            Histogram { zero_count, count: own.count + zero_count, ..own }
        },
    )
}

proptest! {
    #[test]
    fn addition_keeps_observations(a in any_histogram(), b in any_histogram()) {
        let (sum, _) = plus(&a, &b, 1.0);
        let inside: f64 = sum.buckets().iter().map(|bucket| bucket.count).sum();
        prop_assert_eq!(sum.count, a.count + b.count);
        prop_assert_eq!(inside, sum.count);
        let (back, _) = plus(&sum, &b, -1.0);
        let (coarse, _) = plus(&a, &Histogram { schema: sum.schema, ..Histogram::default() }, 1.0);
        prop_assert!(back.same(&coarse));
    }

    #[test]
    fn growing_is_no_reset(a in any_histogram(), b in any_histogram()) {
        let (sum, _) = plus(&a, &b, 1.0);
        prop_assert!(!sum.is_reset_after(&a));
    }

    #[test]
    fn pairs_survive_compaction(a in any_histogram()) {
        let pairs: Vec<_> = a.positive.iter().filter(|pair| pair.1 != 0.0).collect();
        let compacted: Vec<_> = a.positive.compacted().iter().collect();
        prop_assert_eq!(pairs, compacted);
    }
}
