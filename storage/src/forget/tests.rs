//! Most series are gone: memory and log shrink, the rest stays what it was.

use std::path::Path;
use std::sync::Arc;

use journal::disk::{Disk, SimulatedDisk};
use model::clock::SystemClock;
use model::{Append, Batch, Labels, Matcher, TimeRange, TimestampMs};

use super::*;
use crate::{Settings, Store};

fn open(disk: &Disk) -> Arc<Store> {
    let settings = Settings { block_range_ms: 1 << 50, ..Settings::default() };
    Store::open(disk.clone(), Path::new("/s"), settings, Arc::new(SystemClock)).unwrap()
}

fn append(store: &Store, numbers: std::ops::Range<u64>, at_ms: i64) {
    let mut batch = Batch::new();
    for number in numbers {
        let number = number.to_string();
        let series = batch.series(&Labels::from_pairs([("__name__", "m"), ("i", &number)]));
        batch.sample(series, TimestampMs(at_ms), 1.0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(store.append(batch)).unwrap().refused, vec![]);
}

/// Numbers of all series and how many samples each has, by label.
fn content(store: &Store) -> Vec<(String, u64, usize)> {
    let entries = store.series(&[Matcher::equal("__name__", "m")], TimeRange::ALL, 0).unwrap();
    let rows = |id| -> usize {
        store.scan(&[id], TimeRange::ALL).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
    };
    let one = |entry: &crate::SeriesEntry| (entry.labels.to_string(), entry.id.0, rows(entry.id));
    entries.iter().map(one).collect()
}

/// Removes all blocks, as retention does.
fn drop_blocks(shared: &Shared) {
    let mut flushing = lock(&shared.flushing);
    flushing.manifest.blocks.clear();
    flushing.manifest.write(&shared.disk, &shared.dir).unwrap();
    *shared.blocks.write().unwrap() = Arc::default();
}

#[test]
fn most_series_are_gone() {
    let simulated = SimulatedDisk::new(1);
    let disk = simulated.disk();
    let store = open(&disk);
    append(&store, 0..3000, 1000);
    store.flush().unwrap();
    append(&store, 2990..3010, 2000);
    assert_eq!(forget_gone(store.shared()).unwrap(), 0, "the blocks hold them");
    let log_bytes = store.shared().series_log.size_bytes();
    drop_blocks(store.shared());
    assert_eq!(forget_gone(store.shared()).unwrap(), 2990);
    assert_eq!(forget_gone(store.shared()).unwrap(), 0);
    assert_eq!(store.stats().series, 20);
    assert!(store.shared().series_log.size_bytes() < log_bytes / 4);
    let before = content(&store);
    assert_eq!(before.len(), 20);
    assert!(before.iter().all(|(_, id, rows)| *id > 2990 && *rows == 1), "{before:?}");
    // Known ones go on with newer samples only, one that returns is new.
    append(&store, 3000..3010, 3000);
    append(&store, 5..6, 3000);
    let now = content(&store);
    assert_eq!(now.len(), 21);
    assert!(now.iter().any(|one| *one == ("m{i=\"5\"}".to_owned(), 3011, 1)), "{now:?}");
    assert!(now.iter().any(|one| *one == ("m{i=\"3000\"}".to_owned(), 3001, 2)), "{now:?}");
    drop(store);
    let store = open(&disk);
    assert_eq!(content(&store), now);
    append(&store, 7777..7778, 3000);
    assert!(content(&store).iter().any(|one| one.1 == 3012), "numbers go on");
    assert!(store.stats().damaged.is_empty(), "{:?}", store.stats().damaged);
}

#[test]
fn power_cuts_while_forgetting() {
    for operations in 0..40 {
        let simulated = SimulatedDisk::new(operations);
        let disk = simulated.disk();
        let store = open(&disk);
        append(&store, 0..2000, 1000);
        store.flush().unwrap();
        append(&store, 1990..2010, 2000);
        let before = content(&store);
        assert_eq!(forget_gone(store.shared()).unwrap(), 0);
        drop_blocks(store.shared());
        simulated.crash_at(simulated.operations() + operations);
        let done = forget_gone(store.shared());
        drop(store);
        simulated.crash_and_restart();
        let store = open(&disk);
        let after = content(&store);
        let expected: Vec<_> =
            before.iter().filter(|one| one.1 > 1990).map(|one| (one.0.clone(), one.1, 1)).collect();
        assert_eq!(after, expected, "{operations} {done:?}");
        append(&store, 9000..9001, 3000);
        assert!(content(&store).iter().any(|one| one.1 == 2011), "{operations}");
        assert!(store.stats().damaged.is_empty(), "{:?}", store.stats().damaged);
    }
}
