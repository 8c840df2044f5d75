//! Chunks come back bit for bit, and no bytes make the reader panic.

use proptest::prelude::*;

use super::decode;
use crate::testing;

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|(at, value)| (*at, value.to_bits())).collect()
}

#[test]
fn edges() {
    let all: [&[(i64, f64)]; 5] = [
        &[],
        &[(0, 0.0)],
        &[(-5, f64::NAN), (7, f64::INFINITY), (7_000_000_000_000, -0.0)],
        &[(1, 1.0), (2, 1.0), (3, 2.0), (1000, 1e300), (1001, f64::MIN_POSITIVE)],
        &[(i64::MIN, 1.0), (i64::MAX, 2.0), (0, 3.0)],
    ];
    for samples in all {
        let read = decode(&testing::values(samples)).expect("a good chunk");
        assert_eq!(bits(&read), bits(samples));
    }
    assert!(decode(&[0]).is_err() && decode(&[0, 1]).is_err());
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        start in -1_000_000_000_000_i64..2_000_000_000_000,
        steps in prop::collection::vec((0_i64..200_000, any::<u64>(), 0_u8..3), 0..200),
    ) {
        let mut samples: Vec<(i64, f64)> = Vec::new();
        let (mut at, mut value) = (start, 0.0);
        for (step, random, kind) in steps {
            at += if kind == 2 { step * 1000 } else { 15_000 + step % 3 };
            value = if kind == 0 { value + 1.0 } else { f64::from_bits(random) };
            samples.push((at, value));
        }
        let read = decode(&testing::values(&samples)).expect("a good chunk");
        prop_assert_eq!(bits(&read), bits(&samples));
    }

    #[test]
    fn any_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        // Damage must be an error or other samples, never a panic.
        let _ = decode(&data);
    }
}
