//! Deletions that meet newer samples, and what lies beside the numbers they hide.
//!
//! Not here: what deletions hide and when they are carried out (`upkeep`).

use journal::disk::SimulatedDisk;
use model::append::BatchExemplar;
use model::clock::{Clock, SystemClock};
use model::{Append, Batch, Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{Settings, Store, Undone};

use crate::support::{append, block_on, content, labels, open, quiet};

fn series(number: u64) -> [Matcher; 1] {
    [Matcher::new("number", MatchOp::Equal, &number.to_string()).unwrap()]
}

fn range(start_ms: i64, end_ms: i64) -> TimeRange {
    TimeRange::new(TimestampMs(start_ms), TimestampMs(end_ms)).unwrap()
}

#[track_caller]
fn check(store: &Store, expected: &[(i64, f64)]) {
    let found = content(store).remove(&labels(1)).unwrap_or_default();
    let expected: Vec<_> = expected.iter().map(|(at_ms, own)| (*at_ms, own.to_bits())).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}

/// A sample that was acknowledged in place of a deleted one is not covered by it.
#[test]
fn newer_samples_stay_when_a_deletion_is_taken_back() {
    for (is_flushed, undo_ms) in [(false, 0), (true, 0), (true, i64::MAX)] {
        let settings = Settings {
            out_of_order_window_ms: 3_600_000,
            deletion_undo_ms: undo_ms,
            block_range_ms: 3_600_000,
            ..quiet()
        };
        let disk = SimulatedDisk::new(1);
        let store = open(&disk.disk(), settings.clone());
        append(&store, &[(1, 100_000, 1.0), (1, 200_000, 2.0), (2, 1, 1.0)]).unwrap();
        let first = store.delete(&series(1), TimeRange::ALL).unwrap().unwrap();
        let late = [(1, 50_000, 9.0), (1, 100_000, 5.0)];
        assert_eq!(append(&store, &late).unwrap().refused, vec![]);
        if is_flushed {
            store.flush().unwrap();
        }
        assert_eq!(store.undelete(first).unwrap(), Undone::Nothing, "one is in the way");
        check(&store, &[(50_000, 9.0), (100_000, 5.0)]);
        // Without the one in the way the others come back, and it does not.
        let second = store.delete(&series(1), range(100_000, 100_001)).unwrap().unwrap();
        assert_eq!(store.undelete(first).unwrap(), Undone::Whole);
        check(&store, &[(50_000, 9.0), (200_000, 2.0)]);
        // Now two of them wait for the same place: one comes back.
        assert_eq!(store.undelete(second).unwrap(), Undone::Partly);
        let found = content(&store);
        assert_eq!(found[&labels(1)].len(), 3, "{found:?}");
        store.clean().unwrap();
        store.compact().unwrap();
        assert_eq!(content(&store), found);
        drop(store);
        assert_eq!(content(&open(&disk.disk(), settings)), found);
    }
}

/// The same value sent again is no obstacle.
#[test]
fn repeated_samples_are_not_in_the_way() {
    let settings = Settings { out_of_order_window_ms: 3_600_000, ..quiet() };
    let store = open(&SimulatedDisk::new(1).disk(), settings);
    append(&store, &[(1, 1_000, 1.0), (1, 2_000, 2.0)]).unwrap();
    let deletion = store.delete(&series(1), range(2_000, 3_000)).unwrap().unwrap();
    assert_eq!(append(&store, &[(1, 2_000, 2.0)]).unwrap().refused, vec![]);
    check(&store, &[(1_000, 1.0), (2_000, 2.0)]);
    assert_eq!(store.undelete(deletion).unwrap(), Undone::Whole);
    check(&store, &[(1_000, 1.0), (2_000, 2.0)]);
}

fn batch(number: u64, sample_ms: i64, exemplar_ms: i64) -> Batch {
    let mut batch = Batch::new();
    let series = batch.series(&labels(number));
    batch.sample(series, TimestampMs(sample_ms), 1.0);
    let own = Labels::from_pairs([("trace_id", "t")]);
    let at = TimestampMs(exemplar_ms);
    batch.exemplar(BatchExemplar { series, at, value: 1.0, labels: own });
    batch
}

fn with_exemplars(store: &Store) -> Vec<Labels> {
    let found = store.exemplars(&[Vec::new()], TimeRange::ALL).unwrap();
    found.into_iter().map(|own| own.labels).collect()
}

/// Exemplars go with the newest block of a flush, which may know nothing of their series.
#[test]
fn a_deletion_takes_exemplars_along() {
    let settings = Settings { block_range_ms: 60_000, ..quiet() };
    let disk = SimulatedDisk::new(1);
    let mut store = open(&disk.disk(), settings.clone());
    block_on(store.append(batch(1, 1_000, 1_000))).unwrap();
    block_on(store.append(batch(2, 70_000, 70_000))).unwrap();
    store.flush().unwrap();
    assert_eq!(store.stats().blocks, 2);
    let deletion = store.delete(&series(1), range(0, 60_000)).unwrap().unwrap();
    for when in ["deleted", "restarted", "cleaned", "restarted again"] {
        match when {
            "deleted" => {}
            "cleaned" => store.clean().unwrap(),
            _ => {
                drop(store);
                store = open(&disk.disk(), settings.clone());
            }
        }
        assert_eq!(with_exemplars(&store), [labels(2)], "{when}");
    }
    assert_eq!(store.undelete(deletion).unwrap(), Undone::Nothing);
}

/// When all samples around it are gone, an exemplar stands alone in its block, and is as young as
/// before.
#[test]
fn a_lonely_exemplar_keeps_its_age() {
    let settings = Settings { retention_ms: 3_600_000, ..quiet() };
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), settings.clone());
    let now_ms = SystemClock.now().0;
    block_on(store.append(batch(1, now_ms - 10_000, now_ms - 9_000))).unwrap();
    store.delete(&series(1), range(now_ms - 10_000, now_ms - 9_999)).unwrap().unwrap();
    store.clean().unwrap();
    append(&store, &[(2, now_ms, 1.0)]).unwrap();
    store.compact().unwrap();
    drop(store);
    let store = open(&disk.disk(), settings);
    assert_eq!(with_exemplars(&store), [labels(1)]);
    assert_eq!(store.stats().blocks_dropped_by_age_count, 0);
}

/// A start timestamp that came once more with a repeated sample goes with it.
#[test]
fn a_repeated_start_is_deleted_too() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    let started = || {
        let mut batch = Batch::new();
        let series = batch.series(&labels(1));
        batch.sample(series, TimestampMs(1_000), 1.0);
        batch.start(series, TimestampMs(1_000), TimestampMs(7));
        batch
    };
    block_on(store.append(started())).unwrap();
    store.flush().unwrap();
    block_on(store.append(started())).unwrap();
    let id = store.series(&[], TimeRange::ALL, 0).unwrap()[0].id;
    assert_eq!(store.beside(&[id], TimeRange::ALL).unwrap().count(), 1);
    store.delete(&series(1), TimeRange::ALL).unwrap().unwrap();
    assert_eq!(store.beside(&[id], TimeRange::ALL).unwrap().count(), 0);
    assert_eq!(store.series(&[], TimeRange::ALL, 0).unwrap(), vec![]);
}

/// Series with nothing but histograms beside one with a single number: the number is read.
#[test]
fn a_block_of_many_histograms_and_one_number() {
    use model::Histogram;
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let mut batch = Batch::new();
    for number in 1..=5 {
        let series = batch.series(&labels(number));
        if number == 3 {
            batch.sample(series, TimestampMs(1_000), 0.25);
        } else {
            let own = std::sync::Arc::new(Histogram::default());
            batch.histogram(series, TimestampMs(1_000), own);
        }
    }
    block_on(store.append(batch)).unwrap();
    store.flush().unwrap();
    let found = content(&store);
    assert_eq!(found[&labels(3)][&1_000], 0.25f64.to_bits());
    assert_eq!(store.stats().damaged, Vec::<String>::new());
}
