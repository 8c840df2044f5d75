//! Any order of appends, flushes, merges, deletions and restarts equals plain maps; and any value
//! comes back bit for bit from wherever it went.

use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::histogram::{Buckets, CUSTOM_SCHEMA};
use model::sample::stale_nan;
use model::{Append, Histogram, MatchOp, Matcher, TimeRange, TimestampMs};
use proptest::prelude::*;
use storage::{DeletionId, Settings, Store, Undone};

use crate::naive::{Naive, Sent, Value, shown};
use crate::support::{append, block_on, content, labels, open, quiet};

/// Series at a time; with every churn others take their place.
const SERIES: u64 = 6;

#[derive(Debug, Clone)]
enum Step {
    /// Series, step in time (negative: late), value.
    Append(Vec<(u64, i64, Value)>),
    /// All series end, others begin.
    Churn,
    Flush,
    /// What is older than the newest by so much.
    FlushOld(i64),
    Compact,
    Clean,
    /// Which series (a number of them from one on), from when, how long.
    Delete(u64, u64, i64, i64),
    /// One of the deletions so far.
    Undelete(usize),
    Restart,
    PowerCut,
    Read(i64, i64),
}

/// The bits of any number, those that are hard to keep more often.
fn bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0u64..1000).prop_map(|value| (value as f64).to_bits()),
        2 => (0u64..100_000).prop_map(|value| (value as f64 / 1000.0).to_bits()),
        1 => any::<u64>(),
        1 => 1u64..1 << 52, // Denormals.
        1 => (0x7ff0_0000_0000_0001u64..1 << 63).prop_flat_map(|nan| {
            prop_oneof![Just(nan), Just(nan | 1 << 63)] // Not a number, any payload, any sign.
        }),
        1 => (0u64..1 << 57).prop_map(|value| (value as f64 / 1e17).to_bits()),
        1 => (any::<i64>(), 0i32..30).prop_map(|(digits, point)| {
            (digits as f64 / 10f64.powi(point)).to_bits() // Seventeen digits, and a point in them.
        }),
        1 => Just(stale_nan().to_bits()),
        1 => Just((-0.0f64).to_bits()),
        1 => Just(f64::INFINITY.to_bits()),
    ]
}

fn histogram() -> impl Strategy<Value = Histogram> {
    let counts = proptest::collection::vec(0u32..9, 0..6);
    (bits(), counts, -3i32..5, 0u8..3).prop_map(|(sum, counts, offset, kind)| {
        let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
        let own = Histogram {
            count: counts.iter().sum(),
            sum: f64::from_bits(sum),
            positive: Buckets::dense(offset.max(0), counts.clone()),
            ..Histogram::default()
        };
        match kind {
            0 => own,
            1 => Histogram {
                schema: CUSTOM_SCHEMA,
                custom_values: (0..12).map(|bound| f64::from(bound) * 0.25).collect(),
                ..own
            },
            _ => Histogram {
                schema: offset,
                zero_threshold: 1e-9,
                negative: Buckets::dense(offset, counts),
                ..own
            },
        }
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        5 => bits().prop_map(Value::Number),
        1 => histogram().prop_map(|own| Value::Histogram(Arc::new(own))),
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
    let samples = proptest::collection::vec((0u64..SERIES, ahead, value()), 1..40);
    let delete = (0..SERIES, 1..SERIES, 0i64..30_000_000, 1i64..40_000_000);
    prop_oneof![
        12 => samples.prop_map(Step::Append),
        1 => Just(Step::Churn),
        2 => Just(Step::Flush),
        1 => (0i64..10_000_000).prop_map(Step::FlushOld),
        1 => Just(Step::Compact),
        1 => Just(Step::Clean),
        2 => delete.prop_map(|(first, count, start, width)| Step::Delete(first, count, start, width)),
        2 => (0usize..4).prop_map(Step::Undelete),
        1 => Just(Step::Restart),
        1 => Just(Step::PowerCut),
        1 => (0i64..30_000_000, 1i64..20_000_000).prop_map(|(start, width)| Step::Read(start, width)),
    ]
}

fn range(start_ms: i64, width_ms: i64) -> TimeRange {
    TimeRange::new(TimestampMs(start_ms), TimestampMs(start_ms + width_ms)).unwrap()
}

/// A store and the model of it.
struct Pair {
    disk: SimulatedDisk,
    settings: Settings,
    store: Arc<Store>,
    model: Naive,
    /// The number of the first series.
    first: u64,
    deletions: Vec<DeletionId>,
}

impl Pair {
    fn new(settings: Settings) -> Pair {
        let disk = SimulatedDisk::new(1);
        let store = open(&disk.disk(), settings.clone());
        let model = Naive::new(settings.out_of_order_window_ms);
        Pair { disk, settings, store, model, first: 0, deletions: Vec::new() }
    }

    fn append(&mut self, samples: Vec<(u64, i64, Value)>) {
        let mut sent: Vec<Sent> = Vec::new();
        for (number, ahead_ms, value) in samples {
            let number = self.first + number;
            let in_batch = sent.iter().filter(|one| one.0 == number).map(|one| one.1).max();
            let newest_ms = self.model.newest_ms(number).max(in_batch);
            sent.push((number, newest_ms.unwrap_or(number as i64 * 1000) + ahead_ms, value));
        }
        let answer = block_on(self.store.append(Naive::batch(&sent))).unwrap();
        self.model.append(&sent, &answer);
    }

    fn delete(&mut self, numbers: &[u64], range: TimeRange) {
        let any: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let matcher = Matcher::new("number", MatchOp::Regex, &any.join("|")).unwrap();
        let id = self.store.delete(&[matcher], range).unwrap();
        let showed = self.model.delete(self.deletions.len(), numbers, range);
        assert!(id.is_some() || !showed, "it finds what shows");
        self.deletions.push(id.unwrap_or(DeletionId(u64::MAX)));
    }

    fn undelete(&mut self, index: usize) {
        let Some(id) = self.deletions.get(index).copied() else { return };
        let undone = self.store.undelete(id).unwrap();
        if undone != Undone::Nothing {
            self.model.undelete(index, undone, &shown(&self.store, TimeRange::ALL));
        }
    }

    fn restart(&mut self, is_power_cut: bool) {
        if is_power_cut {
            self.disk.power_off();
        }
        self.store.close().unwrap();
        if is_power_cut {
            self.disk.crash_and_restart();
        }
        self.store = open(&self.disk.disk(), self.settings.clone());
        assert_eq!(self.store.stats().damaged, Vec::<String>::new());
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(samples) => self.append(samples),
            Step::Churn => self.first += SERIES,
            Step::Flush => {
                self.store.flush().unwrap();
                assert_eq!(self.store.stats().samples_in_memtable, 0);
            }
            Step::FlushOld(back_ms) => {
                let newest = self.store.stats().newest_ms.unwrap_or(TimestampMs(0));
                self.store.flush_before(TimestampMs(newest.0 - back_ms)).unwrap();
            }
            Step::Compact => self.store.compact().unwrap(),
            Step::Clean => self.store.clean().unwrap(),
            Step::Delete(first, count, start_ms, width_ms) => {
                let numbers: Vec<u64> =
                    (first..first + count).map(|own| self.first + own).collect();
                self.delete(&numbers, range(start_ms, width_ms));
            }
            Step::Undelete(index) => self.undelete(index),
            Step::Restart => self.restart(false),
            Step::PowerCut => self.restart(true),
            Step::Read(start_ms, width_ms) => {
                let range = range(start_ms, width_ms);
                assert_eq!(shown(&self.store, range), self.model.shown(range));
            }
        }
    }

    fn compare(&self, when: &str) {
        assert_eq!(shown(&self.store, TimeRange::ALL), self.model.shown(TimeRange::ALL), "{when}");
    }
}

fn check(steps: Vec<Step>, settings: Settings) {
    let mut pair = Pair::new(settings);
    steps.into_iter().for_each(|step| pair.step(step));
    pair.compare("at the end");
    pair.restart(true);
    pair.compare("after a power cut");
    pair.store.clean().unwrap();
    pair.store.compact().unwrap();
    pair.compare("merged");
    pair.restart(false);
    pair.compare("merged and restarted");
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 2000, ..Default::default() })]
    #[test]
    fn equals_a_map(steps in steps()) {
        check(steps, Settings { retention_ms: 0, ..Settings::default() });
    }

    #[test]
    fn equals_a_map_without_a_window(steps in steps()) {
        let settings = Settings { retention_ms: 0, deletion_undo_ms: 0, ..Settings::default() };
        check(steps, Settings { out_of_order_window_ms: 0, ..settings });
    }

    #[test]
    fn equals_a_map_with_small_ranges_and_budgets(steps in steps()) {
        let settings = Settings {
            block_range_ms: 600_000,
            flush_margin_ms: 60_000,
            memtable_bytes_max: 1 << 20,
            cache_bytes_max: 4096,
            journal_bytes_max: 20_000,
            out_of_order_window_ms: 200_000,
            retention_ms: 0,
            deletion_undo_ms: 0,
            ..Settings::default()
        };
        check(steps, settings);
    }

    /// Through memory, the journal, a block and a merge, alone and among others of their kind.
    #[test]
    fn any_value_comes_back_bit_for_bit(
        kinds in proptest::collection::vec(proptest::collection::vec(bits(), 1..200), 1..6)
    ) {
        let disk = SimulatedDisk::new(1);
        let mut store = open(&disk.disk(), quiet());
        let mut expected = crate::support::Content::new();
        for half in 0..2 {
            for (number, values) in kinds.iter().enumerate() {
                let at_ms = |index: usize| (half * values.len() + index) as i64 * 15_000;
                let value = |(index, bits): (usize, &u64)| (at_ms(index), *bits);
                let own = values.iter().enumerate().map(value);
                let samples: Vec<(u64, i64, f64)> = own
                    .clone()
                    .map(|(at_ms, bits)| (number as u64, at_ms, f64::from_bits(bits)))
                    .collect();
                append(&store, &samples).unwrap();
                expected.entry(labels(number as u64)).or_default().extend(own);
            }
            prop_assert_eq!(&content(&store), &expected, "memory");
            store.close().unwrap();
            store = open(&disk.disk(), quiet());
            prop_assert_eq!(&content(&store), &expected, "journal");
            store.flush().unwrap();
            prop_assert_eq!(&content(&store), &expected, "block");
        }
        store.compact().unwrap();
        prop_assert_eq!(store.stats().blocks, 1);
        prop_assert_eq!(&content(&store), &expected, "merged");
        store.close().unwrap();
        prop_assert_eq!(&content(&open(&disk.disk(), quiet())), &expected, "restarted");
    }
}
