//! Histograms, numbers and start timestamps in any order of appends, flushes and restarts equal plain
//! maps.
//!
//! Not here: deletions and merges (`model_test`).

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::{Append, Batch, TimeRange, TimestampMs};
use proptest::prelude::*;
use storage::Settings;

use crate::beside::{Content, content, histogram, text};
use crate::support::{append, block_on, labels, open, quiet, read};

#[derive(Debug, Clone)]
enum Step {
    /// Series, step in time, what: a number, a histogram.
    Append(Vec<(u64, i64, Result<u16, u64>, bool)>),
    Flush,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let ahead = prop_oneof![5 => Just(15_000i64), 2 => 1i64..60_000, 1 => -40_000i64..=0];
    let what =
        prop_oneof![any::<u16>().prop_map(Ok), any::<u16>().prop_map(|seed| Err(seed.into()))];
    let samples = proptest::collection::vec((0u64..5, ahead, what, any::<bool>()), 1..30);
    prop_oneof![8 => samples.prop_map(Step::Append), 1 => Just(Step::Flush), 1 => Just(Step::Restart)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any order of appends, flushes and restarts equals a plain map.
    #[test]
    fn any_order_of_steps(steps in proptest::collection::vec(step(), 1..25)) {
        let disk = SimulatedDisk::new(1);
        let settings = Settings { block_range_ms: 100_000, flush_margin_ms: 0, ..quiet() };
        let mut store = open(&disk.disk(), settings.clone());
        let mut expected = Content::new();
        let mut numbers: BTreeMap<(u64, i64), u16> = BTreeMap::new();
        let mut now = [i64::MIN; 5];
        for step in steps {
            match step {
                Step::Append(samples) => {
                    for (number, ahead, what, has_start) in samples {
                        let newest = now[number as usize];
                        let at_ms = if newest == i64::MIN { 0 } else { newest } + ahead;
                        let mut batch = Batch::new();
                        let series = batch.series(&labels(number));
                        let at = TimestampMs(at_ms);
                        match what {
                            Ok(value) => batch.sample(series, at, f64::from(value)),
                            Err(seed) => batch.histogram(series, at, Arc::new(histogram(seed))),
                        }
                        if has_start {
                            batch.start(series, at, TimestampMs(-9));
                        }
                        let answer = block_on(store.append(batch)).unwrap();
                        let is_taken = answer.refused.is_empty();
                        let own = expected.entry(labels(number)).or_default();
                        let stored = (
                            numbers.get(&(number, at_ms)).copied(),
                            own.0.get(&at_ms).cloned(),
                        );
                        let fits = match (&what, &stored) {
                            (_, (None, None)) => at_ms > newest,
                            (Ok(value), (known, None)) => Some(*value) == *known,
                            (Err(seed), (None, Some(known))) => *known == text(&histogram(*seed)),
                            _ => false,
                        };
                        prop_assert_eq!(is_taken, fits, "{:?} at {}", what, at_ms);
                        if !is_taken {
                            continue;
                        }
                        match what {
                            Ok(value) => drop(numbers.insert((number, at_ms), value)),
                            Err(seed) => drop(own.0.insert(at_ms, text(&histogram(seed)))),
                        }
                        if has_start {
                            own.1.insert(at_ms, -9);
                        }
                        now[number as usize] = now[number as usize].max(at_ms);
                    }
                }
                Step::Flush => store.flush().unwrap(),
                Step::Restart => {
                    drop(store);
                    store = open(&disk.disk(), settings.clone());
                }
            }
            expected.retain(|_, own| !(own.0.is_empty() && own.1.is_empty()));
            prop_assert_eq!(content(&store), expected.clone());
            let found: usize = read(&store, TimeRange::ALL).0.values().map(BTreeMap::len).sum();
            prop_assert_eq!(found, numbers.len());
        }
        prop_assert_eq!(store.stats().damaged, Vec::<String>::new());
        let _ = append(&store, &[]);
    }
}
