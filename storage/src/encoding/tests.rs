//! Round trips of the encodings, on chosen values and on random ones.

use super::timestamps::{Form, Grid};
use super::varint::Reader;
use super::{decimal, float, timestamps, varint};
use proptest::prelude::*;

/// The fewest digits after the point that are exact.
fn exponent_of(value: f64) -> Option<u8> {
    (0..=decimal::EXPONENT_MAX).find(|&exponent| decimal::mantissa(value, exponent).is_some())
}

fn any_f64() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i32>().prop_map(f64::from),
        (-1_000_000i64..1_000_000, 0u8..7).prop_map(|(m, e)| decimal::value(m, e)),
        proptest::sample::select(vec![
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            model::sample::stale_nan(),
            f64::MIN_POSITIVE,
            9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            -9_007_199_254_740_993.0,
            0.1 + 0.2,
        ]),
    ]
}

#[test]
fn decimals_are_exact_or_refused() {
    for (value, exponent) in [
        (0.0, Some(0)),
        (-0.0, None),
        (1.0, Some(0)),
        (-17.0, Some(0)),
        (0.1, Some(1)),
        (0.25, Some(2)),
        (1.000001, Some(6)),
        (0.1 + 0.2, None),
        (9_007_199_254_740_991.0, Some(0)),
        (9_007_199_254_740_992.0, None),
        (f64::NAN, None),
        (f64::INFINITY, None),
        (1e300, None),
    ] {
        assert_eq!(exponent_of(value), exponent, "value {value}");
    }
}

#[test]
fn damaged_bytes_give_nothing() {
    assert_eq!(Reader::new(&[0x80; 11]).u64(), None);
    assert_eq!(Reader::new(&[0x80]).u64(), None);
    assert_eq!(Reader::new(&[200, 1]).count(), None);
    assert_eq!(float::decode(&mut Reader::new(&[0x99]), 1, &mut Vec::new()), None);
    assert_eq!(decimal::decode(&mut Reader::new(&[0, 0, 60]), 2, 0, &mut Vec::new()), None);
    assert_eq!(decimal::decode(&mut Reader::new(&[0, 0, 0]), 2, 9, &mut Vec::new()), None);
}

#[test]
fn a_regular_counter_costs_few_bytes() {
    let instants: Vec<i64> = (0..128).map(|index| 1_700_000_000_000 + index * 15_000).collect();
    let mut out = Vec::new();
    assert_eq!(timestamps::encode(&instants, (0, false), &mut out), Form::Regular);
    assert!(out.len() <= 10, "{} bytes", out.len());
    let mut packed = Vec::new();
    decimal::encode(&(0..128).map(|index| 1_000_000 + index * 37).collect::<Vec<_>>(), &mut packed);
    assert!(packed.len() <= 8, "{} bytes", packed.len());
}

#[test]
fn numbers_spread_over_bytes() {
    for bits in 0..56 {
        for number in
            [1u64 << bits, (1 << bits) - 1, (1 << bits) | 0x55_5555_5555_5555 >> (55 - bits)]
        {
            let mut expected = Vec::new();
            varint::put_u64(&mut expected, number);
            let (bytes, count) = varint::spread(number);
            assert_eq!(bytes[..count], expected, "{number:#x}");
        }
    }
}

/// The longest decimals: nine bytes.
#[test]
fn long_decimals_stand_alone() {
    for value in [9_007_199_254_740_991.0, -9_007_199_254_740_991.0, 9_007_199_254.740_993, 4e15] {
        let mut out = Vec::new();
        float::put_singles(&mut out, [value, 1.0].into_iter());
        let mut reader = Reader::new(&out);
        assert_eq!(float::single(&mut reader), Some(value));
        assert_eq!(float::single(&mut reader), Some(1.0));
        assert!(reader.is_empty());
    }
}

proptest! {
    #[test]
    fn numbers(values in proptest::collection::vec(any::<i64>(), 0..50)) {
        let mut out = Vec::new();
        values.iter().for_each(|&value| varint::put_i64(&mut out, value));
        let mut reader = Reader::new(&out);
        for value in values {
            prop_assert_eq!(reader.i64(), Some(value));
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn instants(
        values in proptest::collection::vec(any::<i64>(), 0..70),
        step in any::<i32>(),
        base in any::<i64>(),
    ) {
        let regular: Vec<i64> = (0..70).map(|index| index * i64::from(step)).collect();
        for instants in [values, regular] {
            let (mut out, mut back) = (Vec::new(), Vec::new());
            let form = timestamps::encode(&instants, (base, false), &mut out);
            let mut reader = Reader::new(&out);
            let mut grid = Grid { last_ms: 0, step_ms: 0 };
            let count = (instants.len(), form);
            timestamps::decode(&mut reader, count, (base, &mut grid), &mut back).unwrap();
            prop_assert_eq!(&back, &instants);
            prop_assert!(reader.is_empty());
            if let Some(last_ms) = instants.last() {
                prop_assert_eq!(grid.last_ms, *last_ms);
                let next = last_ms.wrapping_add(grid.step_ms);
                let count = (1, Form::Continued);
                timestamps::decode(&mut reader, count, (base, &mut grid), &mut back).unwrap();
                prop_assert_eq!(back.last(), Some(&next));
            }
        }
    }

    #[test]
    fn floats(values in proptest::collection::vec(any_f64(), 0..70)) {
        let bits: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        let (mut out, mut back) = (Vec::new(), Vec::new());
        float::encode(&values, &mut out);
        float::decode(&mut Reader::new(&out), values.len(), &mut back).unwrap();
        prop_assert_eq!(back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), bits.clone());

        let mut singles = Vec::new();
        float::put_singles(&mut singles, values.iter().copied());
        let mut reader = Reader::new(&singles);
        for expected in bits {
            prop_assert_eq!(float::single(&mut reader).map(f64::to_bits), Some(expected));
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn decimals(values in proptest::collection::vec(any_f64(), 1..70)) {
        let mut mantissas = vec![0; values.len()];
        for value in &values {
            if let Some(exponent) = exponent_of(*value) {
                let mantissa = decimal::mantissa(*value, exponent).unwrap();
                prop_assert_eq!(decimal::value(mantissa, exponent).to_bits(), value.to_bits());
            }
        }
        if let Some(exponent) = decimal::mantissas(&values, &mut mantissas) {
            let (mut out, mut back) = (Vec::new(), Vec::new());
            decimal::encode(&mantissas, &mut out);
            let mut reader = Reader::new(&out);
            decimal::decode(&mut reader, values.len(), exponent, &mut back).unwrap();
            prop_assert!(reader.is_empty());
            for (value, back) in values.iter().zip(back) {
                prop_assert_eq!(value.to_bits(), back.to_bits());
            }
        }
    }
}
