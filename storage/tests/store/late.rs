//! Samples out of order: inside the window they are taken, beyond it they are refused, and what is
//! there already counts as accepted.

use std::collections::BTreeMap;

use journal::disk::{Fault, SimulatedDisk};
use model::append::RefusedReason::{self, DuplicateTimestamp, OutOfOrder, TooOld};
use model::sample::stale_nan;
use storage::{Settings, Store};

use crate::support::{append, content, labels, open, quiet};

const STEP_MS: i64 = 15_000;

fn windowed(window_ms: i64) -> Settings {
    Settings { out_of_order_window_ms: window_ms, ..quiet() }
}

fn reasons(store: &Store, samples: &[(u64, i64, f64)]) -> Vec<RefusedReason> {
    append(store, samples).unwrap().refused.iter().map(|refused| refused.reason).collect()
}

#[test]
fn the_window_begins_at_the_newest_sample_of_the_series() {
    for (window_ms, at_ms, expected) in [
        (0, 9_999, vec![OutOfOrder]),
        (1, 9_999, vec![]),
        (1, 9_998, vec![TooOld]),
        (10_000, 0, vec![]),
        (10_000, -1, vec![TooOld]),
        (i64::MAX, -9_000_000_000_000_000_000, vec![]),
    ] {
        let store = open(&SimulatedDisk::new(1).disk(), windowed(window_ms));
        // Another series is far ahead: that does not count.
        append(&store, &[(1, 10_000, 1.0), (2, 1_000_000_000, 1.0)]).unwrap();
        assert_eq!(reasons(&store, &[(1, at_ms, 2.0)]), expected, "{window_ms} {at_ms}");
        assert_eq!(content(&store)[&labels(1)].len(), 2 - expected.len());
    }
}

#[test]
fn refusals_stand_in_the_order_of_the_batch() {
    let store = open(&SimulatedDisk::new(1).disk(), windowed(1000));
    append(&store, &[(1, 10_000, 1.0)]).unwrap();
    let batch = [
        (1, i64::MAX, 1.0),
        (1, 10_000, 2.0),
        (1, 11_000, 3.0),
        (1, 10_500, 4.0),
        (1, 10_500, 5.0),
        (1, 10_500, 4.0),
        (1, 1, 1.0),
        (2, i64::MAX, 1.0),
    ];
    let expected = [
        RefusedReason::TooFarInFuture,
        DuplicateTimestamp,
        DuplicateTimestamp,
        TooOld,
        RefusedReason::TooFarInFuture,
    ];
    let answer = append(&store, &batch).unwrap();
    let found: Vec<_> = answer.refused.iter().map(|refused| refused.reason).collect();
    assert_eq!(found, expected);
    assert_eq!(answer.accepted, 3);
    let instants: Vec<i64> = answer.refused.iter().map(|refused| refused.at.0).collect();
    assert_eq!(instants, [i64::MAX, 10_000, 10_500, 1, i64::MAX]);
}

/// An hour of every second sample, then the others late, over restarts and flushes; then all of it
/// once more, as a sender does that lost its connection.
#[test]
fn late_samples_stay_over_flush_and_restart_and_history_may_come_twice() {
    let simulated = SimulatedDisk::new(1);
    let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
    let value = |index: i64| if index % 50 == 7 { stale_nan() } else { index as f64 / 4.0 };
    let all: Vec<(u64, i64, f64)> = (0..240)
        .flat_map(|index| (0..20).map(move |series| (series, index * STEP_MS, value(index))))
        .collect();
    let is_late = |sample: &&(u64, i64, f64)| sample.1 / STEP_MS % 2 == 1;
    let early: Vec<_> = all.iter().filter(|sample| !is_late(sample)).copied().collect();
    let late: Vec<_> = all.iter().filter(is_late).copied().collect();
    for sample in &all {
        expected.insert(sample.1, sample.2.to_bits());
    }
    let settings = Settings { out_of_order_window_ms: 3_600_000, ..quiet() };
    let store = open(&simulated.disk(), settings.clone());
    assert_eq!(reasons(&store, &early), vec![]);
    store.flush().unwrap();
    let (first, second) = late.split_at(late.len() / 2);
    assert_eq!(reasons(&store, second), vec![]);
    assert_eq!(content(&store)[&labels(3)].len(), 180);
    drop(store);
    simulated.crash_and_restart();
    let store = open(&simulated.disk(), settings.clone());
    assert_eq!(reasons(&store, first), vec![]);
    let check = |store: &Store| {
        let found = content(store);
        assert_eq!(found.len(), 20);
        assert!(found.values().all(|series| *series == expected));
        let answer = append(store, &all).unwrap();
        assert_eq!((answer.accepted as usize, answer.refused.len()), (all.len(), 0));
        let other: Vec<_> = all.iter().map(|one| (one.0, one.1, -9.0)).collect();
        let answer = append(store, &other).unwrap();
        assert!(answer.refused.iter().all(|one| one.reason == DuplicateTimestamp));
        assert_eq!((answer.accepted, answer.refused.len()), (0, all.len()));
        assert!(content(store).values().all(|series| *series == expected));
    };
    check(&store);
    store.flush().unwrap();
    check(&store);
    drop(store);
    check(&open(&simulated.disk(), settings));
}

#[test]
fn a_late_sample_of_a_failed_commit_may_come_again() {
    for fault in [Fault::Write, Fault::Sync, Fault::Full] {
        let simulated = SimulatedDisk::new(3);
        let store = open(&simulated.disk(), windowed(1000));
        append(&store, &[(1, 10_000, 1.0), (2, 10_000, 1.0)]).unwrap();
        simulated.fail_next(fault);
        append(&store, &[(1, 9_500, 2.0), (2, 12_000, 3.0)]).unwrap_err();
        assert_eq!(content(&store)[&labels(1)].len(), 1);
        // What failed counts for nothing: neither as newest nor as there.
        assert_eq!(reasons(&store, &[(2, 10_001, 4.0), (1, 9_500, 5.0)]), vec![], "{fault:?}");
        assert_eq!(content(&store)[&labels(1)][&9_500], 5.0f64.to_bits());
        assert_eq!(content(&store)[&labels(2)].len(), 2);
    }
}

/// Memory then holds nothing but the late sample; `content` asks for the newest ones too.
#[test]
fn after_a_restart_the_newest_sample_may_be_in_a_block() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), windowed(3_600_000));
    append(&store, &[(1, 1_000_000, 1.0), (2, 1_000_000, 2.0)]).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    let store = open(&simulated.disk(), windowed(3_600_000));
    assert_eq!(reasons(&store, &[(1, 900_000, 3.0)]), vec![]);
    let found = content(&store);
    assert_eq!(found[&labels(1)].keys().copied().collect::<Vec<_>>(), [900_000, 1_000_000]);
}

/// What stands there can't be told: the sample is refused, and never put over another one.
#[test]
fn a_place_that_cannot_be_read_takes_nothing() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), windowed(3_600_000));
    append(&store, &[(1, 1_000, 1.0), (1, 9_000, 9.0)]).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    let is_samples = |path: &std::path::PathBuf| path.ends_with("samples.parquet");
    let path = simulated.files().into_iter().map(|file| file.0).find(is_samples).unwrap();
    let store = open(&simulated.disk(), windowed(3_600_000));
    simulated.set_unreadable(&path, true).unwrap();
    assert_eq!(reasons(&store, &[(1, 1_000, 2.0), (1, 5_000, 5.0)]), [TooOld, TooOld]);
    assert_eq!(reasons(&store, &[(1, 10_000, 10.0)]), vec![], "newer ones are taken");
    simulated.set_unreadable(&path, false).unwrap();
    assert_eq!(reasons(&store, &[(1, 1_000, 2.0)]), [DuplicateTimestamp]);
    assert_eq!(reasons(&store, &[(1, 5_000, 5.0)]), vec![], "it may come again");
    let found = content(&store);
    let instants: Vec<i64> = found[&labels(1)].keys().copied().collect();
    assert_eq!(instants, [1_000, 5_000, 9_000, 10_000]);
    assert_eq!(found[&labels(1)][&1_000], 1.0f64.to_bits());
}
