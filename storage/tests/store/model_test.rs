//! Any order of appends, flushes and restarts equals a plain map.

use journal::disk::SimulatedDisk;
use model::sample::stale_nan;
use model::{TimeRange, TimestampMs};
use proptest::prelude::*;
use storage::Settings;

use crate::support::{Content, append, content, labels, open, read};

#[derive(Debug, Clone)]
enum Step {
    /// Series, step in time (negative: late), value.
    Append(Vec<(u64, i64, u64)>),
    Flush,
    Restart,
    Read(i64, i64),
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0u64..1000).prop_map(|value| (value as f64).to_bits()),
        2 => (0u64..100_000).prop_map(|value| (value as f64 / 1000.0).to_bits()),
        1 => any::<u64>(),
        1 => 1u64..1 << 52, // Denormals.
        1 => 0x7ff0_0000_0000_0001u64..1 << 63, // Not a number, any payload.
        1 => (0u64..1 << 57).prop_map(|value| (value as f64 / 1e17).to_bits()),
        1 => Just(stale_nan().to_bits()),
        1 => Just((-0.0f64).to_bits()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let ahead = prop_oneof![
        6 => Just(15_000i64),
        2 => 1i64..60_000,
        1 => 1_000_000i64..20_000_000,
        1 => -40_000i64..=0,
        1 => (1i64..50).prop_map(|steps| steps * -15_000),
    ];
    let samples = proptest::collection::vec((0u64..6, ahead, value()), 1..60);
    prop_oneof![
        12 => samples.prop_map(Step::Append),
        2 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => (0i64..30_000_000, 1i64..20_000_000).prop_map(|(start, width)| Step::Read(start, width)),
    ]
}

fn check(steps: Vec<Step>, settings: &Settings) {
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk.disk(), settings.clone());
    let mut model = Content::new();
    for step in steps {
        match step {
            Step::Append(samples) => {
                let (mut batch, mut accepted) = (Vec::new(), 0);
                for (number, ahead, bits) in samples {
                    let series = model.entry(labels(number)).or_default();
                    let newest = series.last_key_value().map(|(at_ms, _)| *at_ms);
                    let at_ms = newest.unwrap_or(number as i64 * 1000) + ahead;
                    batch.push((number, at_ms, f64::from_bits(bits)));
                    let oldest = newest.map(|newest| newest - settings.out_of_order_window_ms);
                    let in_time = newest.is_none()
                        || settings.out_of_order_window_ms > 0 && oldest <= Some(at_ms)
                        || newest < Some(at_ms);
                    match series.get(&at_ms) {
                        Some(stored) => accepted += u64::from(*stored == bits),
                        None if in_time => {
                            series.insert(at_ms, bits);
                            accepted += 1;
                        }
                        None => {}
                    }
                }
                let answer = append(&store, &batch).unwrap();
                assert_eq!(answer.accepted, accepted, "refused: {:?}", answer.refused);
                assert_eq!(answer.accepted as usize + answer.refused.len(), batch.len());
            }
            Step::Flush => {
                store.flush().unwrap();
                assert_eq!(store.stats().samples_in_memtable, 0);
            }
            Step::Restart => {
                store.close().unwrap();
                drop(store);
                store = open(&disk.disk(), settings.clone());
                assert_eq!(store.stats().damaged, Vec::<String>::new());
            }
            Step::Read(start, width) => {
                let range = TimeRange::new(TimestampMs(start), TimestampMs(start + width)).unwrap();
                let mut expected = model.clone();
                expected.values_mut().for_each(|series| {
                    series.retain(|at_ms, _| range.contains(TimestampMs(*at_ms)));
                });
                expected.retain(|_, series| !series.is_empty());
                assert_eq!(read(&store, range).0, expected);
            }
        }
        model.retain(|_, series| !series.is_empty());
    }
    assert_eq!(content(&store), model);
    store.close().unwrap();
    drop(store);
    assert_eq!(content(&open(&disk.disk(), settings.clone())), model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 400, ..Default::default() })]
    #[test]
    fn equals_a_map(steps in proptest::collection::vec(step(), 1..40)) {
        check(steps, &Settings::default());
    }

    #[test]
    fn equals_a_map_without_a_window(steps in proptest::collection::vec(step(), 1..40)) {
        check(steps, &Settings { out_of_order_window_ms: 0, ..Settings::default() });
    }

    #[test]
    fn equals_a_map_with_small_ranges_and_budgets(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let settings = Settings {
            block_range_ms: 600_000,
            flush_margin_ms: 60_000,
            memtable_bytes_max: 1 << 20,
            cache_bytes_max: 4096,
            journal_bytes_max: 20_000,
            out_of_order_window_ms: 200_000,
            ..Settings::default()
        };
        check(steps, &settings);
    }
}
