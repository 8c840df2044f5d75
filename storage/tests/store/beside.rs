//! What series have beside their numbers, through the store's public door: judged, stored, flushed,
//! restarted, cut off by power failures.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::append::{BatchExemplar, Column, Metadata, RefusedReason};
use model::exporter::MetricKind;
use model::histogram::{Buckets, CUSTOM_SCHEMA, ResetHint};
use model::sample::stale_nan;
use model::{Append, Batch, Histogram, Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{Exemplar, Settings, Store};

use crate::support::{block_on, cut_power, labels, open, quiet, read, try_open};

/// One of many shapes.
pub fn histogram(seed: u64) -> Histogram {
    let counts: Vec<f64> = (0..seed % 7).map(|bucket| (seed * 31 % (bucket + 5)) as f64).collect();
    let own = Histogram {
        count: counts.iter().sum(),
        sum: (seed as f64).sin() * 1e3,
        positive: Buckets::dense((seed % 5) as i32, counts.clone()),
        hint: [ResetHint::Unknown, ResetHint::NotReset, ResetHint::Reset, ResetHint::Gauge]
            [(seed % 4) as usize],
        ..Histogram::default()
    };
    match seed % 6 {
        0 => Histogram { sum: stale_nan(), ..Histogram::default() },
        1 => own.scaled(0.1),
        2 => Histogram {
            schema: CUSTOM_SCHEMA,
            custom_values: (0..10).map(|bound| f64::from(bound) * 0.25).collect(),
            ..own
        },
        3 => Histogram { count: 9e15, zero_count: (1u64 << 53) as f64, ..own },
        _ => Histogram {
            schema: (seed % 13) as i32 - 4,
            zero_threshold: 1e-9,
            negative: Buckets::dense(-3, counts),
            ..own
        },
    }
}

/// To the bit; NaN sums have no equality of their own.
pub fn text(own: &Histogram) -> String {
    format!("{own:?} {:x}", own.sum.to_bits())
}

/// Histograms as text and starts by series and instant.
pub type Content = BTreeMap<Labels, (BTreeMap<i64, String>, BTreeMap<i64, i64>)>;

#[track_caller]
pub fn content_in(store: &Store, range: TimeRange) -> Content {
    let everything = Matcher::new("__name__", MatchOp::NotEqual, "").unwrap();
    let entries = store.series(&[everything], range, 0).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut scan = store.beside(&ids, range).unwrap();
    let mut found = Content::new();
    let mut last = None;
    for beside in scan.by_ref() {
        let beside = beside.unwrap();
        assert!(last < Some(beside.position), "positions ascend");
        last = Some(beside.position);
        assert!(beside.histograms.windows(2).all(|pair| pair[0].0 < pair[1].0), "instants ascend");
        let histograms = beside.histograms.iter().map(|(at, own)| (at.0, text(own))).collect();
        let starts = beside.starts.iter().map(|(at, start)| (at.0, start.0)).collect();
        found.insert(entries[beside.position].labels.clone(), (histograms, starts));
    }
    assert_eq!(scan.warnings(), Vec::<String>::new());
    found
}

#[track_caller]
pub fn content(store: &Store) -> Content {
    content_in(store, TimeRange::ALL)
}

pub fn exemplar(at_ms: i64, value: f64) -> Exemplar {
    let labels = Labels::from_pairs([("trace_id", format!("t{at_ms}").as_str())]);
    Exemplar { at: TimestampMs(at_ms), value, labels }
}

pub fn exemplars(store: &Store) -> Vec<(Labels, Vec<Exemplar>)> {
    let found = store.exemplars(&[Vec::new()], TimeRange::ALL).unwrap();
    found.into_iter().map(|own| (own.labels, own.exemplars)).collect()
}

pub fn told(help: &str) -> Metadata {
    Metadata { kind: MetricKind::Counter, unit: "bytes".to_owned(), help: help.to_owned() }
}

/// One batch with everything: numbers in series 0 to 2, histograms in 2 to 5 (2 at another instant).
pub fn full_batch(at_ms: i64) -> Batch {
    let mut batch = Batch::new();
    for number in 0..6 {
        let series = batch.series(&labels(number));
        let at = TimestampMs(at_ms + i64::from(number == 2));
        if number < 3 {
            batch.sample(series, TimestampMs(at_ms), number as f64);
            batch.start(series, TimestampMs(at_ms), TimestampMs(at_ms / 100_000 * 100_000 - 7));
        }
        if number >= 2 {
            let own = histogram(at_ms as u64 / 1000 + number);
            batch.histogram(series, at, Arc::new(own));
            batch.start(series, at, TimestampMs(50));
        }
        if number % 2 == 0 {
            let Exemplar { at, value, labels } = exemplar(at_ms - 1, number as f64);
            batch.exemplar(BatchExemplar { series, at, value, labels });
        }
    }
    batch.metadata("metric", told(&format!("help {}", at_ms / 60_000)));
    batch
}

#[test]
fn everything_survives_flushes_and_restarts() {
    let disk = SimulatedDisk::new(1);
    let settings = Settings { block_range_ms: 60_000, flush_margin_ms: 0, ..quiet() };
    let mut store = open(&disk.disk(), settings.clone());
    let mut expected = Content::new();
    for step in 1..=40i64 {
        let at_ms = step * 15_000;
        let answer = block_on(store.append(full_batch(at_ms))).unwrap();
        assert_eq!(answer.refused, vec![]);
        let accepted = (answer.accepted, answer.histograms_accepted, answer.exemplars_accepted);
        assert_eq!(accepted, (3, 4, 3));
        for number in 0..6 {
            let own = expected.entry(labels(number)).or_default();
            if number < 3 {
                own.1.insert(at_ms, at_ms / 100_000 * 100_000 - 7);
            }
            if number >= 2 {
                let at = at_ms + i64::from(number == 2);
                own.0.insert(at, text(&histogram(at_ms as u64 / 1000 + number)));
                own.1.insert(at, 50);
            }
        }
        if step % 9 == 0 {
            store.flush().unwrap();
        }
        if step % 7 == 0 {
            drop(store);
            store = open(&disk.disk(), settings.clone());
        }
    }
    for when in ["in memory and blocks", "flushed", "restarted"] {
        match when {
            "flushed" => store.flush().unwrap(),
            "restarted" => {
                drop(store);
                store = open(&disk.disk(), settings.clone());
            }
            _ => {}
        }
        assert_eq!(content(&store), expected, "{when}");
        let found = exemplars(&store);
        assert_eq!(found.len(), 3, "{when}");
        let own: Vec<Exemplar> = (1..=40).map(|step| exemplar(step * 15_000 - 1, 2.0)).collect();
        assert_eq!(found[1], (labels(2), own), "{when}");
        let families = store.metadata(0, Some("metric")).unwrap();
        let newest: Vec<Metadata> =
            (3..=10).rev().map(|step| told(&format!("help {step}"))).collect();
        assert_eq!(families, vec![("metric".to_owned(), newest)], "{when}");
    }
    let stats = store.stats();
    assert_eq!((stats.histograms_in_memory, stats.memtable_bytes, stats.exemplars), (0, 0, 120));
    assert_eq!(stats.damaged, Vec::<String>::new());
    let range = TimeRange::new(TimestampMs(60_000), TimestampMs(75_000)).unwrap();
    let part = content_in(&store, range);
    assert_eq!(part[&labels(3)].0.keys().copied().collect::<Vec<_>>(), vec![60_000]);
}

#[test]
fn series_with_histograms_only_are_found() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let mut batch = Batch::new();
    let series = batch.series(&labels(7));
    batch.histogram(series, TimestampMs(100), Arc::new(histogram(4)));
    block_on(store.append(batch)).unwrap();
    let range = |start, end| TimeRange::new(TimestampMs(start), TimestampMs(end)).unwrap();
    for flushed in [false, true] {
        if flushed {
            store.flush().unwrap();
        }
        for (range, count) in [(range(0, 100), 0), (range(100, 101), 1), (TimeRange::ALL, 1)] {
            assert_eq!(store.series(&[], range, 0).unwrap().len(), count, "{range:?}, {flushed}");
            let values = store.label_values("number", &[], range, 0).unwrap();
            assert_eq!(values.len(), count, "{range:?}, {flushed}");
        }
        assert!(read(&store, TimeRange::ALL).0.is_empty(), "it has no numbers");
    }
    assert_eq!(store.stats().oldest_ms, Some(TimestampMs(100)));
}

/// One histogram or number, and what becomes of it.
#[track_caller]
fn check(store: &Store, at_ms: i64, own: Result<f64, u64>, expected: Option<RefusedReason>) {
    let mut batch = Batch::new();
    let series = batch.series(&labels(1));
    match own {
        Ok(value) => batch.sample(series, TimestampMs(at_ms), value),
        Err(seed) => batch.histogram(series, TimestampMs(at_ms), Arc::new(histogram(seed))),
    }
    let answer = block_on(store.append(batch)).unwrap();
    assert_eq!(answer.refused.first().map(|one| one.reason), expected);
    let column = answer.refused.first().map(|one| one.column);
    assert!(column.is_none_or(|own_column| (own_column == Column::Samples) == own.is_ok()));
}

#[test]
fn histograms_and_numbers_share_one_time_line() {
    use RefusedReason::{DuplicateTimestamp, OutOfOrder};
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk.disk(), quiet());
    check(&store, 10, Ok(1.0), None);
    assert!(!store.has_more_than_numbers());
    check(&store, 20, Err(4), None);
    check(&store, 30, Ok(3.0), None);
    check(&store, 40, Err(5), None);
    for when in ["in memory", "restarted", "flushed", "flushed and restarted"] {
        match when {
            "flushed" => store.flush().unwrap(),
            "in memory" => {}
            _ => {
                drop(store);
                store = open(&disk.disk(), quiet());
            }
        }
        check(&store, 10, Ok(1.0), None);
        check(&store, 10, Ok(2.0), Some(DuplicateTimestamp));
        check(&store, 10, Err(4), Some(DuplicateTimestamp));
        check(&store, 15, Ok(1.0), Some(OutOfOrder));
        check(&store, 15, Err(4), Some(OutOfOrder));
        check(&store, 20, Err(4), None);
        check(&store, 20, Err(5), Some(DuplicateTimestamp));
        check(&store, 20, Ok(1.0), Some(DuplicateTimestamp));
        check(&store, 40, Err(5), None);
        check(&store, 40, Err(4), Some(DuplicateTimestamp));
        check(&store, 40, Ok(5.0), Some(DuplicateTimestamp));
        check(&store, 35, Ok(5.0), Some(OutOfOrder));
        let count = content(&store)[&labels(1)].0.len();
        assert_eq!(count, 2, "{when}");
        assert!(store.has_more_than_numbers(), "{when}");
    }
    check(&store, 50, Ok(5.0), None);
}

/// A sender that was cut off brings both in one batch.
#[test]
fn one_batch_with_numbers_and_histograms_of_a_series() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    let batch = |start_ms: i64| {
        let mut batch = Batch::new();
        let series = batch.series(&labels(1));
        for step in 0..3 {
            batch.sample(series, TimestampMs(start_ms + step * 20), step as f64);
            let own = Arc::new(histogram(4 + step as u64));
            batch.histogram(series, TimestampMs(start_ms + step * 20 - 10), own);
        }
        batch.histogram(series, TimestampMs(start_ms + 20), Arc::new(histogram(4)));
        batch
    };
    for start_ms in [1000, 2000, 1000] {
        let answer = block_on(store.append(batch(start_ms))).unwrap();
        assert_eq!((answer.accepted, answer.histograms_accepted), (3, 3), "{start_ms}");
        assert_eq!(answer.refused.len(), 1);
        assert_eq!(answer.refused[0].reason, RefusedReason::DuplicateTimestamp);
    }
    let answer = block_on(store.append(batch(1500))).unwrap();
    assert_eq!((answer.accepted, answer.histograms_accepted), (0, 0));
    let before = content(&store);
    assert_eq!(before[&labels(1)].0.len(), 6);
    drop(store);
    assert_eq!(content(&open(&disk.disk(), quiet())), before);
}

#[test]
fn what_cannot_be_stored() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let mut batch = Batch::new();
    let series = batch.series(&labels(1));
    let negative = Histogram { count: -1.0, ..Histogram::default() };
    batch.histogram(series, TimestampMs(1), Arc::new(negative));
    batch.histogram(series, TimestampMs(i64::MAX), Arc::new(histogram(4)));
    let long = Labels::from_pairs([("trace_id", "x".repeat(200).as_str())]);
    let (at, value) = (TimestampMs(1), 1.0);
    batch.exemplar(BatchExemplar { series, at, value, labels: long });
    batch.metadata("", told("nobody's"));
    let answer = block_on(store.append(batch)).unwrap();
    let reasons: Vec<RefusedReason> = answer.refused.iter().map(|one| one.reason).collect();
    let expected = [
        RefusedReason::InvalidHistogram,
        RefusedReason::TooFarInFuture,
        RefusedReason::InvalidExemplar,
    ];
    assert_eq!(reasons, expected);
    assert_eq!((answer.histograms_accepted, answer.exemplars_accepted), (0, 0));
    assert_eq!(answer.series_created, 0);
    assert!(store.metadata(0, None).unwrap().is_empty());
}

#[test]
fn exemplars_that_are_shown_again_are_no_news() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let send = |at_ms: i64, value: f64| {
        let mut batch = Batch::new();
        let series = batch.series(&labels(1));
        let Exemplar { at, value, labels } = exemplar(at_ms, value);
        batch.exemplar(BatchExemplar { series, at, value, labels });
        let answer = block_on(store.append(batch)).unwrap();
        answer.refused.first().map(|one| one.reason)
    };
    assert_eq!(send(10, 1.0), None);
    assert_eq!(send(20, 2.0), None);
    assert_eq!(send(20, 2.0), None);
    assert_eq!(send(20, 3.0), None);
    assert_eq!(send(10, 1.0), None);
    assert_eq!(send(15, 1.0), Some(RefusedReason::OutOfOrder));
    assert_eq!(exemplars(&store)[0].1.len(), 3);
    let number = |number: &str| Matcher::new("number", MatchOp::Equal, number).unwrap();
    let late = TimeRange::new(TimestampMs(15), TimestampMs(30)).unwrap();
    for (selectors, range, count) in [
        (vec![vec![number("1")]], late, 2),
        (vec![vec![number("2")], vec![number("1")]], TimeRange::ALL, 3),
        (vec![vec![number("2")]], TimeRange::ALL, 0),
        (vec![], TimeRange::ALL, 0),
    ] {
        let found = store.exemplars(&selectors, range).unwrap();
        let found: usize = found.iter().map(|own| own.exemplars.len()).sum();
        assert_eq!(found, count);
    }
}

/// The newest are kept, over a flush and a restart with other settings too.
#[test]
fn as_many_exemplars_are_kept_as_wanted() {
    let disk = SimulatedDisk::new(1);
    let kept = |store: &Store| -> Vec<i64> {
        let found = exemplars(store).into_iter().flat_map(|own| own.1);
        found.map(|one| one.at.0).collect()
    };
    let with = |exemplars_max| open(&disk.disk(), Settings { exemplars_max, ..quiet() });
    let send = |store: &Store, at_ms: i64| {
        let mut batch = Batch::new();
        let series = batch.series(&labels(1));
        batch.sample(series, TimestampMs(at_ms), 1.0);
        let Exemplar { at, value, labels } = exemplar(at_ms, 1.0);
        batch.exemplar(BatchExemplar { series, at, value, labels });
        let answer = block_on(store.append(batch)).unwrap();
        assert!(answer.refused.is_empty(), "{:?}", answer.refused);
        answer.exemplars_accepted
    };
    let store = with(3);
    let accepted: Vec<u64> = (1..=5).map(|at_ms| send(&store, at_ms)).collect();
    assert_eq!((accepted, kept(&store)), (vec![1; 5], vec![3, 4, 5]));
    store.flush().unwrap();
    drop(store);
    let store = with(2);
    assert_eq!(kept(&store), [4, 5]);
    assert_eq!((send(&store, 6), kept(&store)), (1, vec![5, 6]));
    drop(store);
    let store = with(0);
    assert_eq!((send(&store, 7), kept(&store)), (0, vec![]), "none are taken, none is refused");
    assert_eq!(store.stats().exemplars, 0);
}

/// A batch is there with numbers, histograms and all, or not at all; what was acknowledged is there.
#[test]
fn power_cuts_leave_whole_batches() {
    let settings = quiet();
    let story = |disk: &SimulatedDisk, acknowledged: &mut Vec<i64>| -> Option<()> {
        let store = try_open(&disk.disk(), settings.clone()).ok()?;
        for step in 1..9 {
            block_on(store.append(full_batch(step * 15_000))).ok()?;
            acknowledged.push(step * 15_000);
            if step % 3 == 0 {
                store.flush().ok()?;
            }
        }
        Some(())
    };
    let calm = SimulatedDisk::new(1);
    story(&calm, &mut Vec::new()).expect("without a power cut");
    for operation in 0..calm.operations() {
        let disk = SimulatedDisk::new(operation);
        disk.crash_at(operation);
        let mut acknowledged = Vec::new();
        let _ = story(&disk, &mut acknowledged);
        disk.crash_and_restart();
        let mut store = open(&disk.disk(), settings.clone());
        let when = format!("power cut at operation {operation}");
        assert_eq!(store.stats().damaged, Vec::<String>::new(), "{when}");
        for round in ["after it", "and a flush", "and another restart"] {
            let (numbers, beside, examples) =
                (read(&store, TimeRange::ALL).0, content(&store), exemplars(&store));
            for step in 1..9 {
                let at_ms = step * 15_000;
                let has_number = |number: &u64| {
                    numbers.get(&labels(*number)).is_some_and(|own| own.contains_key(&at_ms))
                };
                let has_beside = |number: &u64| {
                    let at = at_ms + i64::from(*number == 2);
                    let own = beside.get(&labels(*number));
                    own.is_some_and(|(all, starts)| {
                        (*number < 2 || all.contains_key(&at)) && starts.contains_key(&at)
                    })
                };
                let count = (0..3).filter(has_number).count()
                    + (0..6).filter(has_beside).count()
                    + examples
                        .iter()
                        .filter(|own| {
                            own.1.contains(&exemplar(at_ms - 1, {
                                own.0.get("number").unwrap().parse().unwrap()
                            }))
                        })
                        .count();
                let is_there = count == 3 + 6 + 3;
                assert!(is_there || count == 0, "{when} {round}: {count} of batch {at_ms}");
                assert!(is_there || !acknowledged.contains(&at_ms), "{when} {round}: {at_ms}");
            }
            if round == "after it" {
                store.flush().unwrap();
            } else {
                cut_power(&disk, store);
                store = open(&disk.disk(), settings.clone());
            }
        }
    }
}

#[test]
fn a_damaged_metadata_file_costs_only_itself() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    block_on(store.append(full_batch(15_000))).unwrap();
    store.flush().unwrap();
    drop(store);
    let path = Path::new("/store/metadata");
    let mut bytes = disk.disk().read(path, 1 << 20).unwrap();
    let place = bytes.len() - 5;
    bytes[place] ^= 1;
    disk.disk().write_atomic(path, &bytes).unwrap();
    let store = open(&disk.disk(), quiet());
    let damaged = store.stats().damaged;
    assert!(damaged.len() == 1 && damaged[0].starts_with("metadata"), "{damaged:?}");
    assert!(store.metadata(0, None).unwrap().is_empty());
    block_on(store.append(full_batch(30_000))).unwrap();
    assert_eq!(store.metadata(0, None).unwrap().len(), 1);
    assert_eq!(content(&store)[&labels(4)].0.len(), 2);
}
