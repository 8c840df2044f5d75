//! The memtable against a plain map.

use std::collections::BTreeMap;

use model::{TimeRange, TimestampMs};
use proptest::prelude::*;

use super::{Memtable, Sample, Taken};

fn content(memtable: &Memtable, slot: u32, range: TimeRange) -> Vec<(i64, u64)> {
    let (mut instants, mut values) = (Vec::new(), Vec::new());
    if let Some(piece) = memtable.get(slot).and_then(|series| series.piece(range)) {
        piece.decode(range, &mut instants, &mut values);
    }
    instants.into_iter().zip(values.into_iter().map(f64::to_bits)).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append(u32, u8, u64),
    Insert(u32, i64, u64),
    Drop(u32, i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![(0u64..100).prop_map(|v| (v as f64 / 4.0).to_bits()), any::<u64>()];
    let step = prop_oneof![
        20 => (0u32..3, 1u8..4, value.clone()).prop_map(|(s, d, v)| Step::Append(s, d, v)),
        1 => (0u32..3, 0i64..400, value).prop_map(|(s, t, v)| Step::Insert(s, t, v)),
        1 => (0u32..3, 0i64..400).prop_map(|(s, t)| Step::Drop(s, t)),
    ];
    proptest::collection::vec(step, 1..400)
}

proptest! {
    #[test]
    fn equals_a_map(steps in steps(), start in 0i64..300, width in 1i64..300) {
        let mut memtable = Memtable::default();
        let mut model: BTreeMap<u32, BTreeMap<i64, u64>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Append(slot, after, bits) => {
                    let series = model.entry(slot).or_default();
                    let last = series.last_key_value().map_or(0, |(at, _)| *at);
                    let at_ms = last + i64::from(after);
                    series.insert(at_ms, bits);
                    memtable.append(slot, Sample { at_ms, value: f64::from_bits(bits) });
                }
                Step::Insert(slot, at_ms, bits) => {
                    model.entry(slot).or_default().insert(at_ms, bits);
                    memtable.insert(slot, Sample { at_ms, value: f64::from_bits(bits) });
                }
                Step::Drop(slot, last_ms) => {
                    model.entry(slot).or_default().retain(|at, _| *at > last_ms);
                    memtable.drop_taken(&[Taken { slot, last_ms }]);
                }
            }
        }
        let range = TimeRange::new(TimestampMs(start), TimestampMs(start + width)).unwrap();
        for (slot, series) in &model {
            let all: Vec<_> = series.iter().map(|(at, bits)| (*at, *bits)).collect();
            prop_assert_eq!(content(&memtable, *slot, TimeRange::ALL), all);
            let part: Vec<_> =
                series.range(start..start + width).map(|(at, bits)| (*at, *bits)).collect();
            prop_assert_eq!(content(&memtable, *slot, range), part);
            for (at_ms, bits) in series {
                let found = memtable.get(*slot).and_then(|series| series.at(*at_ms));
                prop_assert_eq!(found.map(f64::to_bits), Some(*bits));
            }
        }
        let count: usize = model.values().map(BTreeMap::len).sum();
        prop_assert_eq!(memtable.samples(), count as u64);
        let filled = model.values().filter(|series| !series.is_empty()).count();
        prop_assert_eq!(memtable.active().len(), filled as u64);
        if count == 0 {
            prop_assert_eq!(memtable.bytes(), 0);
        }
    }
}

#[test]
fn a_series_of_two_hours_takes_less_than_a_kibibyte() {
    const SERIES: u32 = 64;
    let mut memtable = Memtable::default();
    for index in 0..480i64 {
        let value = (1_000_000 + index * 37 + index % 7) as f64;
        for slot in 0..SERIES {
            memtable.append(slot, Sample { at_ms: 1_700_000_000_000 + index * 15_000, value });
        }
    }
    let bytes = memtable.bytes() / u64::from(SERIES);
    assert!(bytes < 900, "{bytes} bytes");
}
