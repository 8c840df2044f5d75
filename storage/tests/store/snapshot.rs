//! Pictures of a running store: they open by themselves, hold what was acknowledged, and a power
//! cut leaves none that only looks whole.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use journal::disk::{Disk, Fault, SimulatedDisk};
use model::clock::SystemClock;
use storage::{Settings, Store};

use crate::support::{Content, append, content, cut_power, open, quiet, wait_until};

const TO: &str = "/snapshots/one";

fn open_at(disk: &Disk, dir: &str) -> Arc<Store> {
    Store::open(disk.clone(), Path::new(dir), quiet(), Arc::new(SystemClock)).unwrap()
}

/// Blocks, a journal that is partly in blocks, and samples only in memory.
fn fill(store: &Store) {
    append(store, &[(1, 1_000, 1.0), (2, 1_000, 2.0)]).unwrap();
    store.flush().unwrap();
    append(store, &[(5, 500, 0.5), (3, 2_000, 3.0)]).unwrap();
    store.flush().unwrap();
    append(store, &[(1, 3_000, 4.0), (4, 3_000, 5.0)]).unwrap();
}

fn snapshots_dir(disk: &Disk) {
    disk.create_dir_all(Path::new("/snapshots")).unwrap();
}

#[test]
fn it_opens_by_itself_with_the_same_samples() {
    let simulated = SimulatedDisk::new(1);
    let disk = simulated.disk();
    snapshots_dir(&disk);
    let store = open(&disk, quiet());
    fill(&store);
    let before = content(&store);
    store.snapshot(Path::new(TO), true).unwrap();
    store.snapshot(Path::new("/snapshots/blocks"), false).unwrap();
    let again = store.snapshot(Path::new(TO), true).unwrap_err();
    assert!(again.to_string().contains(TO), "{again}");
    // What comes later is not in it, and what it does is not in the store.
    append(&store, &[(9, 9_000, 9.0)]).unwrap();
    store.flush().unwrap();
    let later = content(&store);
    store.close().unwrap();
    simulated.crash_and_restart();
    let copy = open_at(&disk, TO);
    assert_eq!(copy.stats().damaged, Vec::<String>::new());
    assert_eq!(content(&copy), before);
    append(&copy, &[(7, 7_000, 7.0), (1, 9_000, 1.0)]).unwrap();
    copy.flush().unwrap();
    copy.close().unwrap();
    assert_eq!(content(&open(&disk, quiet())), later);
}

#[test]
fn without_the_head_it_holds_the_blocks_and_takes_new_samples() {
    let simulated = SimulatedDisk::new(2);
    let disk = simulated.disk();
    snapshots_dir(&disk);
    let store = open(&disk, quiet());
    fill(&store);
    store.snapshot(Path::new(TO), false).unwrap();
    let copy = open_at(&disk, TO);
    let found = content(&copy);
    assert_eq!(found.values().map(|samples| samples.len()).sum::<usize>(), 4, "{found:?}");
    // Older than what was flushed before: a leftover of the manifest would hide it at the replay.
    append(&copy, &[(8, 700, 7.0)]).unwrap();
    let expected = content(&copy);
    drop(copy);
    assert_eq!(content(&open_at(&disk, TO)), expected);
}

#[test]
fn links_that_can_not_be_made_are_copies() {
    let simulated = SimulatedDisk::new(3);
    let disk = simulated.disk();
    snapshots_dir(&disk);
    let store = open(&disk, quiet());
    fill(&store);
    (0..3).for_each(|_| simulated.fail_next(Fault::Link));
    store.snapshot(Path::new(TO), true).unwrap();
    let before = content(&store);
    simulated.crash_and_restart();
    assert_eq!(content(&open_at(&disk, TO)), before);
}

/// The power fails at every operation of a snapshot, once with a store that appends meanwhile.
#[test]
fn a_power_cut_leaves_all_of_it_or_nothing() {
    let prepared = |seed| {
        let simulated = SimulatedDisk::new(seed);
        let disk = simulated.disk();
        snapshots_dir(&disk);
        let store = open(&disk, quiet());
        fill(&store);
        (simulated, disk, store)
    };
    let (calm, _, store) = prepared(7);
    let start = calm.operations();
    store.snapshot(Path::new(TO), true).unwrap();
    let end = calm.operations();
    assert!(end > start + 10, "{start}..{end}");
    let (mut whole, mut nothing) = (0, 0);
    for operation in start..=end {
        for seed in 0..6 {
            let (simulated, disk, store) = prepared(seed * 1000 + operation);
            let before = content(&store);
            simulated.crash_at(operation);
            let done = store.snapshot(Path::new(TO), true);
            cut_power(&simulated, store);
            let when = format!("power cut at {operation}, seed {seed}, {done:?}");
            if disk.exists(Path::new(TO)).unwrap() {
                whole += 1;
                let copy = open_at(&disk, TO);
                assert_eq!(copy.stats().damaged, Vec::<String>::new(), "{when}");
                assert_eq!(content(&copy), before, "{when}");
            } else {
                nothing += 1;
                assert!(done.is_err(), "{when}: it was acknowledged");
            }
            let store = open(&disk, quiet());
            assert_eq!(content(&store), before, "{when}: the store itself");
            // What a cut left is no obstacle.
            store.snapshot(Path::new("/snapshots/next"), true).unwrap();
            if !disk.exists(Path::new(TO)).unwrap() {
                store.snapshot(Path::new(TO), true).unwrap();
                assert_eq!(content(&open_at(&disk, TO)), before, "{when}: the next try");
            }
        }
    }
    assert!(whole > 0 && nothing > 0, "{whole} whole, {nothing} nothing");
}

/// A failed snapshot takes no space.
#[test]
fn errors_leave_nothing_behind() {
    for fault in [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create] {
        for skip in 0..12 {
            let simulated = SimulatedDisk::new(skip);
            let disk = simulated.disk();
            snapshots_dir(&disk);
            let store = open(&disk, quiet());
            fill(&store);
            simulated.fail_at(simulated.operations() + skip, fault);
            let done = store.snapshot(Path::new(TO), true);
            let names = disk.list(Path::new("/snapshots")).unwrap();
            let names: Vec<_> = names.iter().map(|entry| entry.name.as_str()).collect();
            let when = format!("{fault:?} after {skip}: {done:?}");
            match done {
                Ok(()) => assert_eq!(names, ["one"], "{when}"),
                // After the rename only the sync of the folder can fail; then it is there, and whole.
                Err(_) => assert!(names.is_empty() || names == ["one"], "{when}: {names:?}"),
            }
        }
    }
}

/// Writers, flushes and snapshots at the same time, with a flush every few samples.
#[test]
fn snapshots_under_load_hold_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::real();
    let dir = folder.path().join("store");
    let settings =
        Settings { block_range_ms: 60_000, flush_margin_ms: 0, seed: 5, ..Settings::default() };
    let store = Store::open(disk.clone(), &dir, settings, Arc::new(SystemClock)).unwrap();
    let acknowledged: Mutex<Vec<(u64, i64, f64)>> = Mutex::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..2_u64 {
            let (store, acknowledged, stop) = (&store, &acknowledged, &stop);
            scope.spawn(move || {
                for step in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let at_ms = 1_000_000 + step * 5_000;
                    let samples: Vec<_> =
                        (0..5).map(|own| (writer * 10 + own, at_ms, step as f64)).collect();
                    append(store, &samples).unwrap();
                    acknowledged.lock().unwrap().extend(samples);
                }
            });
        }
        for round in 0..10 {
            wait_until("more is acknowledged", || acknowledged.lock().unwrap().len() > round * 200);
            let before = acknowledged.lock().unwrap().clone();
            let to = folder.path().join(format!("snapshot-{round}"));
            store.snapshot(&to, true).unwrap();
            let copy = Store::open(disk.clone(), &to, quiet(), Arc::new(SystemClock)).unwrap();
            assert_eq!(copy.stats().damaged, Vec::<String>::new());
            let found: Content = content(&copy);
            for (number, at_ms, value) in before {
                let samples = &found[&crate::support::labels(number)];
                assert_eq!(samples.get(&at_ms), Some(&value.to_bits()), "{number} at {at_ms}");
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(store.stats().blocks_written_count > 0, "flushes ran");
}

/// A flush just before leaves no segment to copy; its entry must not fit the copy's own segments.
#[test]
fn late_samples_of_a_copy_survive_its_restarts() {
    let simulated = SimulatedDisk::new(6);
    let disk = simulated.disk();
    snapshots_dir(&disk);
    let store = open(&disk, quiet());
    append(&store, &[(1, 90_000, 1.0), (2, 1_000, 2.0)]).unwrap();
    store.flush().unwrap();
    store.snapshot(Path::new(TO), true).unwrap();
    let copy = open_at(&disk, TO);
    // Older than what was flushed, newer than all of its series.
    append(&copy, &[(2, 5_000, 3.0)]).unwrap();
    let before = content(&copy);
    copy.close().unwrap();
    for _ in 0..2 {
        let copy = open_at(&disk, TO);
        assert_eq!(content(&copy), before);
        copy.close().unwrap();
    }
}
