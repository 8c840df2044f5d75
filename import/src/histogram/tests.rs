//! Histograms come back as they were, and no bytes make the reader panic.

use proptest::prelude::*;

use super::*;
use crate::testing;

fn histogram(counts: &[u8], sum: f64, schema: i32) -> Histogram {
    let spans = vec![Span { offset: -3, length: 1 }, Span { offset: 2, length: 2 }];
    let numbers = |range: std::ops::Range<usize>| -> Vec<f64> {
        counts[range].iter().map(|count| f64::from(*count)).collect()
    };
    let is_custom = schema == CUSTOM_SCHEMA;
    let spans = if is_custom { vec![Span { offset: 0, length: 3 }] } else { spans };
    let positive = Buckets::from_spans(spans.clone(), numbers(0..3)).expect("fits");
    let negative = Buckets::from_spans(spans, numbers(3..6)).expect("fits");
    Histogram {
        schema,
        zero_threshold: if is_custom { 0.0 } else { 0.001 },
        zero_count: if is_custom { 0.0 } else { f64::from(counts[6]) },
        count: counts.iter().map(|count| f64::from(*count)).sum(),
        sum,
        positive,
        negative: if is_custom { Buckets::default() } else { negative },
        custom_values: if is_custom { vec![0.005, 1.0, 1e9] } else { Vec::new() },
        hint: ResetHint::Unknown,
    }
}

fn check(samples: &[(i64, Histogram)], is_float: bool) {
    let read = decode(&testing::histograms(samples, 0b1000_0000, is_float), is_float);
    let read = read.expect("a good chunk");
    assert_eq!(read.len(), samples.len());
    for (index, ((at, histogram), (own_at, own))) in samples.iter().zip(&read).enumerate() {
        let hint = if index == 0 { ResetHint::Reset } else { ResetHint::NotReset };
        assert_eq!((at, &Histogram { hint, ..histogram.clone() }), (own_at, &**own));
    }
}

#[test]
fn stale_markers() {
    let stale = Histogram { sum: model::sample::stale_nan(), ..Histogram::default() };
    for is_float in [false, true] {
        let chunk = testing::histograms(&[(5, stale.clone())], 0, is_float);
        let read = decode(&chunk, is_float).expect("a good chunk");
        assert!(is_stale_nan(read[0].1.sum) && read[0].1.positive.is_empty());
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in prop::collection::vec((prop::array::uniform7(0_u8..200), -1e6_f64..1e6, 1_i64..100_000), 1..50),
        schema in prop::sample::select(vec![-4, 0, 8, CUSTOM_SCHEMA]),
        is_float in any::<bool>(),
    ) {
        let mut at = 1_700_000_000_000;
        let samples: Vec<(i64, Histogram)> = rows
            .iter()
            .map(|(counts, sum, step)| {
                at += step;
                (at, histogram(counts, *sum, schema))
            })
            .collect();
        check(&samples, is_float);
    }

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..300), is_float in any::<bool>()) {
        // Damage must be an error or other histograms, never a panic.
        let _ = decode(&data, is_float);
    }
}
