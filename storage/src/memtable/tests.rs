//! The memtable against a plain map.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use model::{TimeRange, TimestampMs};
use proptest::prelude::*;

use super::{Memtable, Piece, Sample, Taken};

fn content(memtable: &Memtable, slot: u32, range: TimeRange) -> Vec<(i64, u64)> {
    let (mut instants, mut values) = (Vec::new(), Vec::new());
    if let Some(piece) = memtable.get(slot).and_then(|series| series.piece(range)) {
        piece.decode(range, &mut instants, &mut values);
    }
    instants.into_iter().zip(values.into_iter().map(f64::to_bits)).collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// Series, how much later than its newest sample, value.
    Append(u32, i64, u64),
    /// A run of appends at the same step.
    Regular(u32, i64, u8, u64),
    /// Any instant; the value counts also when there is one.
    Insert(u32, i64, u64),
    /// An instant that is not there.
    Late(u32, i64, u64),
    /// A flush up to an instant, during which a late sample comes.
    Drop(u32, i64, Option<i64>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![(0u64..100).prop_map(|v| (v as f64 / 4.0).to_bits()), any::<u64>()];
    let ahead = prop_oneof![6 => Just(3i64), 3 => 1i64..9, 1 => Just(1i64 << 40)];
    let step = prop_oneof![
        20 => (0u32..3, ahead, value.clone()).prop_map(|(s, d, v)| Step::Append(s, d, v)),
        4 => (0u32..3, 1i64..4, any::<u8>(), value.clone())
            .prop_map(|(s, d, n, v)| Step::Regular(s, d, n, v)),
        1 => (0u32..3, 0i64..400, value.clone()).prop_map(|(s, t, v)| Step::Insert(s, t, v)),
        8 => (0u32..3, -20i64..600, value).prop_map(|(s, t, v)| Step::Late(s, t, v)),
        1 => (0u32..3, 0i64..900, proptest::option::of(0i64..900))
            .prop_map(|(s, t, late)| Step::Drop(s, t, late)),
    ];
    proptest::collection::vec(step, 1..400)
}

type Model = BTreeMap<u32, BTreeMap<i64, u64>>;

fn append(memtable: &mut Memtable, model: &mut Model, (slot, after, bits): (u32, i64, u64)) {
    let series = model.entry(slot).or_default();
    let newest = memtable.newest_ms_of(slot);
    let last = newest.max(series.last_key_value().map(|(at, _)| *at)).unwrap_or(0);
    let at_ms = last + after;
    series.insert(at_ms, bits);
    memtable.put(slot, Sample { at_ms, value: f64::from_bits(bits) });
}

proptest! {
    #[test]
    fn equals_a_map(steps in steps(), start in 0i64..300, width in 1i64..300) {
        let mut memtable = Memtable::default();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Append(slot, after, bits) => {
                    append(&mut memtable, &mut model, (slot, after, bits));
                }
                Step::Regular(slot, after, count, bits) => {
                    for _ in 0..count {
                        append(&mut memtable, &mut model, (slot, after, bits));
                    }
                }
                Step::Insert(slot, at_ms, bits) => {
                    model.entry(slot).or_default().insert(at_ms, bits);
                    memtable.insert(slot, Sample { at_ms, value: f64::from_bits(bits) });
                }
                Step::Late(slot, at_ms, bits) => {
                    if let Entry::Vacant(place) = model.entry(slot).or_default().entry(at_ms) {
                        place.insert(bits);
                        memtable.put(slot, Sample { at_ms, value: f64::from_bits(bits) });
                    }
                }
                Step::Drop(slot, until_ms, late) => {
                    memtable.begin_flush();
                    let range = TimeRange::new(TimestampMs::MIN, TimestampMs(until_ms + 1)).unwrap();
                    let mut piece: Option<Piece> =
                        memtable.get(slot).and_then(|series| series.piece(range));
                    if let Some(piece) = &mut piece {
                        piece.cut(until_ms + 1);
                    }
                    let series = model.entry(slot).or_default();
                    let late = late.filter(|at_ms| !series.contains_key(at_ms));
                    series.retain(|at, _| *at > until_ms);
                    if let Some(at_ms) = late {
                        series.insert(at_ms, 7);
                        memtable.put(slot, Sample { at_ms, value: f64::from_bits(7) });
                    }
                    let last_ms = piece.and_then(|piece| piece.last_ms());
                    let Some(last_ms) = last_ms else { continue };
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

fn filled(series: u32, samples: i64, value: impl Fn(i64) -> f64) -> Memtable {
    let mut memtable = Memtable::default();
    for index in 0..samples {
        for slot in 0..series {
            let at_ms = 1_700_000_000_000 + index * 15_000;
            memtable.put(slot, Sample { at_ms, value: value(index) });
        }
    }
    memtable
}

#[test]
fn what_a_series_takes() {
    let counter = |index: i64| (1_000_000 + index * 37 + index % 7) as f64;
    let gauge = |index: i64| (500.0 + ((index * 7919) % 200) as f64) / 10.0;
    let constant = |_: i64| 17.0;
    for (name, samples, bytes_max, value) in [
        ("young counter", 20, 230, &counter as &dyn Fn(i64) -> f64),
        ("young gauge", 20, 230, &gauge),
        ("young constant", 20, 230, &constant),
        ("counter of two hours", 480, 900, &counter),
        ("gauge of two hours", 480, 1100, &gauge),
        ("constant of two hours", 480, 620, &constant),
    ] {
        let bytes = filled(64, samples, value).bytes() / 64;
        println!("{name}: {bytes} bytes");
        assert!(bytes <= bytes_max, "{name}: {bytes} bytes");
    }
}

/// Values that are easily spoilt, over every place a sample passes in memory.
#[test]
fn values_come_back_bit_for_bit() {
    let values = [
        f64::NAN.to_bits() | 0x1234,
        model::sample::stale_nan().to_bits(),
        0xfff8_0000_0000_0001,
        1,
        0x000f_ffff_ffff_ffff,
        (-0.0f64).to_bits(),
        0.0f64.to_bits(),
        0.1234567890123456f64.to_bits(),
        2.141592653589793f64.to_bits(),
        1.7976931348623157e308f64.to_bits(),
        123_456_789_012_345.67f64.to_bits(),
        9_007_199_254_740_993.0f64.to_bits(),
        f64::NEG_INFINITY.to_bits(),
    ];
    let mut memtable = Memtable::default();
    let mut expected = Vec::new();
    for index in 0..1000i64 {
        let bits = values[(index as usize * 7 + index as usize / 50) % values.len()];
        memtable.put(3, Sample { at_ms: index * 10, value: f64::from_bits(bits) });
        expected.push((index * 10, bits));
        if index % 4 == 0 {
            let at_ms = index * 10 - 23;
            memtable.put(3, Sample { at_ms, value: f64::from_bits(bits) });
            expected.push((at_ms, bits));
        }
    }
    expected.sort_unstable();
    assert!(content(&memtable, 3, TimeRange::ALL) == expected);
}

/// A flush drops what it has written and nothing that came meanwhile, however close they stand.
#[test]
fn late_samples_sealed_during_a_flush_stay_apart() {
    let mut memtable = Memtable::default();
    let sample = |at_ms: i64| Sample { at_ms, value: at_ms as f64 };
    memtable.put(0, sample(1_000_000));
    (0..63).for_each(|index| memtable.put(0, sample(index * 10)));
    memtable.begin_flush();
    memtable.put(0, sample(5)); // The one that seals them all.
    memtable.drop_taken(&[Taken { slot: 0, last_ms: 1_000_000 }]);
    assert_eq!(content(&memtable, 0, TimeRange::ALL), [(5, 5.0f64.to_bits())]);
    assert_eq!(memtable.samples(), 1);
}
