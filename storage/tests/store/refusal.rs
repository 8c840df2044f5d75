//! What is refused and why, and when nothing is taken.

use std::sync::Arc;

use journal::disk::{Disk, Fault, SimulatedDisk};
use model::append::{RefusedReason, SeriesId};
use model::clock::{Clock, ManualClock, SystemClock};
use model::{Append, AppendError, Batch, Labels, TimestampMs};
use storage::{Settings, Store};

use crate::support::{append, block_on, content, cut_power, labels, open, quiet, wait_until};

fn reasons(store: &Store, samples: &[(u64, i64, f64)]) -> Vec<RefusedReason> {
    append(store, samples).unwrap().refused.iter().map(|refused| refused.reason).collect()
}

/// What stands for "the same, whatever holds the samples".
fn check_late_samples(store: &Store) {
    use RefusedReason::{DuplicateTimestamp, OutOfOrder};
    for (sample, expected) in [
        ((1, 1000, 1.0), vec![]),
        ((1, 1000, 9.0), vec![DuplicateTimestamp]),
        ((1, 3000, 3.0), vec![]),
        ((1, 3000, 9.0), vec![DuplicateTimestamp]),
        ((1, 2500, 9.0), vec![OutOfOrder]),
        ((1, 500, 9.0), vec![OutOfOrder]),
        ((2, 0, 0.0), vec![]),
        ((2, 0, -0.0), vec![DuplicateTimestamp]),
    ] {
        assert_eq!(reasons(store, &[sample]), expected, "{sample:?}");
    }
}

#[test]
fn late_samples_in_memory_in_blocks_and_after_a_restart() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    append(&store, &[(1, 1000, 1.0), (1, 2000, 2.0), (1, 3000, 3.0), (2, 0, 0.0)]).unwrap();
    let before = content(&store);
    check_late_samples(&store);
    store.flush().unwrap();
    check_late_samples(&store);
    drop(store);
    let store = open(&disk.disk(), quiet());
    check_late_samples(&store);
    assert_eq!(content(&store), before);
    let stats = store.stats();
    assert_eq!(stats.refused[&RefusedReason::OutOfOrder], 2);
    assert_eq!(stats.refused[&RefusedReason::DuplicateTimestamp], 3);
}

#[test]
fn duplicates_inside_one_batch() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let samples = [(1, 10, 1.0), (1, 20, 2.0), (1, 10, 1.0), (1, 10, 2.0), (1, 15, 1.0)];
    let answer = append(&store, &samples).unwrap();
    assert_eq!((answer.accepted, answer.series_created), (3, 1));
    assert_eq!(answer.ids, vec![Some(SeriesId(1)); 5]);
    let refused: Vec<_> = answer.refused.iter().map(|refused| refused.reason).collect();
    assert_eq!(refused, [RefusedReason::DuplicateTimestamp, RefusedReason::OutOfOrder]);
}

#[test]
fn the_future_is_bounded_and_the_past_is_not() {
    let clock = ManualClock::new(TimestampMs(1_700_000_000_000));
    let now_ms = clock.now().0;
    let disk = SimulatedDisk::new(1).disk();
    let store =
        Store::open(disk, std::path::Path::new("/s"), quiet(), Arc::new(clock.clone())).unwrap();
    assert_eq!(reasons(&store, &[(1, 0, 1.0), (2, now_ms + 600_000, 1.0)]), vec![]);
    let late = reasons(&store, &[(3, now_ms + 600_001, 1.0), (4, i64::MAX, 1.0)]);
    assert_eq!(late, [RefusedReason::TooFarInFuture; 2]);
    assert_eq!(reasons(&store, &[(5, -5_000_000, 1.0)]), vec![]);
    assert_eq!(store.stats().series, 3, "refused samples create no series");
    store.flush().unwrap();
    assert_eq!(content(&store).len(), 3);
}

#[test]
fn keys_known_unknown_and_invalid() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let id = append(&store, &[(1, 10, 1.0)]).unwrap().ids[0].unwrap();
    let mut batch = Batch::new();
    let known = batch.known_series(id);
    let unknown = batch.known_series(SeriesId(99));
    let unsorted = batch.series_from_sorted([("b", "1"), ("a", "2")].into_iter());
    let empty = batch.series(&Labels::empty());
    for series in [known, unknown, unsorted, empty] {
        batch.sample(series, TimestampMs(20), 2.0);
    }
    let answer = block_on(store.append(batch)).unwrap();
    assert_eq!((answer.accepted, answer.ids), (1, vec![Some(id), None, None, None]));
    let refused: Vec<_> = answer.refused.iter().map(|refused| refused.reason).collect();
    use RefusedReason::{InvalidLabels, UnknownSeries};
    assert_eq!(refused, [UnknownSeries, InvalidLabels, InvalidLabels]);
}

#[test]
fn known_series_flow_over_the_series_limit() {
    let settings = Settings { series_max: 2, ..quiet() };
    let store = open(&SimulatedDisk::new(1).disk(), settings);
    assert_eq!(
        reasons(&store, &[(1, 1, 1.0), (2, 1, 1.0), (3, 1, 1.0), (1, 2, 1.0)]),
        [RefusedReason::SeriesLimit]
    );
}

#[test]
fn a_full_disk_and_its_end() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), quiet());
    append(&store, &[(1, 1, 1.0)]).unwrap();
    let used: u64 = simulated.files().iter().map(|file| file.1).sum();
    simulated.set_space_bytes(Some(used));
    let before = content(&store);
    for at_ms in 2..5 {
        let big: Vec<_> = (0..2000).map(|number| (number, at_ms, 0.1 + number as f64)).collect();
        let error = append(&store, &big).unwrap_err();
        assert!(matches!(&error, AppendError::Unavailable { reason } if reason.contains("full")));
        assert!(store.flush().is_err());
        assert_eq!(content(&store), before, "queries go on, nothing half-done is seen");
    }
    assert!(store.stats().unavailable.is_some());
    simulated.set_space_bytes(None);
    append(&store, &[(1, 10, 1.0), (7, 10, 1.0)]).unwrap();
    assert_eq!(store.stats().unavailable, None);
    store.flush().unwrap();
    let after = content(&store);
    drop(store);
    assert_eq!(content(&open(&simulated.disk(), quiet())), after);
}

#[test]
fn series_of_a_failed_commit_are_created_anew() {
    for fault in [Fault::Write, Fault::Sync, Fault::Full] {
        let simulated = SimulatedDisk::new(3);
        let store = open(&simulated.disk(), quiet());
        append(&store, &[(1, 10, 1.0)]).unwrap();
        simulated.fail_next(fault);
        append(&store, &[(2, 10, 1.0), (3, 10, 1.0)]).unwrap_err();
        assert_eq!(content(&store).len(), 1);
        // The same series again, with other values and an older instant.
        append(&store, &[(3, 5, 7.0), (2, 10, 8.0)]).unwrap();
        append(&store, &[(3, 6, 7.0)]).unwrap();
        cut_power(&simulated, store);
        let store = open(&simulated.disk(), quiet());
        let found = content(&store);
        assert_eq!(found[&labels(2)][&10], 8.0f64.to_bits(), "{fault:?}: the later write wins");
        assert_eq!(found[&labels(3)][&5], 7.0f64.to_bits(), "{fault:?}");
        assert_eq!(found[&labels(3)][&6], 7.0f64.to_bits(), "{fault:?}");
        store.flush().unwrap();
        drop(store);
        assert_eq!(content(&open(&simulated.disk(), quiet())), found, "{fault:?}");
    }
}

#[test]
fn memory_has_a_budget() {
    let settings = Settings { memtable_bytes_max: 1 << 16, ..quiet() };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Disk::real(), dir.path(), settings, Arc::new(SystemClock)).unwrap();
    let (mut sent, mut turned_away) = (0, 0);
    for at_ms in 0..200i64 {
        let samples: Vec<_> = (0..50).map(|number| (number, at_ms, (at_ms as f64).sin())).collect();
        loop {
            match append(&store, &samples) {
                Ok(answer) => {
                    assert_eq!(answer.accepted, 50);
                    let bytes = store.stats().memtable_bytes;
                    assert!(bytes < (1 << 16) + 50 * 200, "at most one group more: {bytes}");
                    sent += 50;
                    break;
                }
                Err(AppendError::Unavailable { .. }) => {
                    turned_away += 1;
                    wait_until("a flush makes room", || store.stats().memtable_bytes < 1 << 16);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(store.stats().blocks_written_count > 0, "turned away {turned_away} times");
    let found: usize = content(&store).values().map(|series| series.len()).sum();
    assert_eq!(found, sent);
}

#[test]
fn a_closed_store_takes_nothing() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    append(&store, &[(1, 1, 1.0)]).unwrap();
    store.close().unwrap();
    assert_eq!(append(&store, &[(1, 2, 1.0)]), Err(AppendError::Stopping));
    assert_eq!(content(&store).len(), 1, "reading goes on");
}

#[test]
fn settings_that_cannot_work() {
    for settings in [
        Settings { memtable_bytes_max: 1, ..Settings::default() },
        Settings { block_range_ms: 0, ..Settings::default() },
        Settings { flush_margin_ms: -1, ..Settings::default() },
        Settings { queue_bytes_max: 0, ..Settings::default() },
        Settings { series_max: 0, ..Settings::default() },
    ] {
        let refused = settings.validate();
        assert!(matches!(refused, Err(storage::Error::Setting { .. })), "{settings:?}");
    }
}

/// A clock that breaks on demand.
struct BrokenClock(std::sync::atomic::AtomicBool);

impl Clock for BrokenClock {
    fn now(&self) -> TimestampMs {
        assert!(!self.0.load(std::sync::atomic::Ordering::SeqCst), "the clock of the test breaks");
        TimestampMs(1000)
    }
}

#[test]
fn a_committer_that_panics_leaves_nobody_waiting() {
    let clock = Arc::new(BrokenClock(false.into()));
    let disk = SimulatedDisk::new(1).disk();
    let store = Store::open(disk, std::path::Path::new("/s"), quiet(), clock.clone()).unwrap();
    append(&store, &[(1, 1, 1.0)]).unwrap();
    clock.0.store(true, std::sync::atomic::Ordering::SeqCst);
    for at_ms in 2..4 {
        let store = Arc::clone(&store);
        let (answer, answered) = std::sync::mpsc::channel();
        std::thread::spawn(move || answer.send(append(&store, &[(1, at_ms, 1.0)])));
        let answer = answered.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(answer.expect("an answer"), Err(AppendError::Stopping));
    }
    let unavailable = store.stats().unavailable.unwrap();
    assert!(unavailable.contains("restart"), "{unavailable}");
    assert_eq!(content(&store).len(), 1, "reading goes on");
}

#[test]
fn a_batch_larger_than_a_journal_record() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), quiet());
    let value = "v".repeat(model::limits::LABEL_VALUE_BYTES_MAX);
    let names: Vec<String> = (0..120).map(|index| format!("label_{index:03}")).collect();
    let mut batch = Batch::new();
    for number in 10..50 {
        let number = number.to_string();
        let first = ("a", number.as_str());
        let rest = names.iter().map(|name| (name.as_str(), value.as_str()));
        let series = batch.series_from_sorted(std::iter::once(first).chain(rest));
        batch.sample(series, TimestampMs(10), 1.0);
    }
    let answer = block_on(store.append(batch)).unwrap();
    assert_eq!((answer.accepted, answer.series_created), (40, 40));
    cut_power(&simulated, store);
    let store = open(&simulated.disk(), quiet());
    assert_eq!((store.stats().series, store.stats().samples_in_memtable), (40, 40));
}

/// The far past is taken as any other time, over a flush and a restart.
#[test]
fn instants_at_the_edge_of_time() {
    let simulated = SimulatedDisk::new(1);
    for settings in [quiet(), Settings { block_range_ms: 60_000, ..quiet() }] {
        let store = open(&simulated.disk(), settings.clone());
        let edges = [i64::MIN, i64::MIN + 1, i64::MIN + 59_999, -1, 0, 1_700_000_000_000];
        append(&store, &edges.map(|at_ms| (1, at_ms, at_ms as f64))).unwrap();
        append(&store, &[(2, i64::MIN, f64::MAX), (3, -1, f64::NEG_INFINITY)]).unwrap();
        let before = content(&store);
        assert_eq!(before.values().map(|series| series.len()).sum::<usize>(), 8);
        store.flush().unwrap();
        assert_eq!(content(&store), before);
        drop(store);
        assert_eq!(content(&open(&simulated.disk(), settings)), before);
    }
}
