//! The power fails at every operation: what was acknowledged is there, nothing else is invented.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use journal::disk::{Fault, SimulatedDisk};
use model::{Labels, TimeRange};
use storage::{Settings, Store};

use crate::support::{append, content, cut_power, labels, open, quiet, read, try_open};

/// What was sent and what was acknowledged.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeMap<(Labels, i64), u64>,
    sent: BTreeSet<(Labels, i64, u64)>,
    next_ms: i64,
}

impl Ledger {
    /// Sends one sample to each of some series; `false` when the store did not take them.
    fn send(&mut self, store: &Store, numbers: std::ops::Range<u64>) -> bool {
        self.next_ms += 15_000;
        let at_ms = self.next_ms;
        let value = |number: u64| (number as f64) * 0.5 + at_ms as f64;
        let samples: Vec<_> = numbers.map(|number| (number, at_ms, value(number))).collect();
        for (number, at_ms, value) in &samples {
            self.sent.insert((labels(*number), *at_ms, value.to_bits()));
        }
        let Ok(answer) = append(store, &samples) else { return false };
        assert_eq!(answer.refused, vec![]);
        for (number, at_ms, value) in samples {
            self.acknowledged.insert((labels(number), at_ms), value.to_bits());
        }
        true
    }

    #[track_caller]
    fn check(&self, store: &Store, when: &str) {
        let found = content(store);
        for ((labels, at_ms), bits) in &self.acknowledged {
            let stored = found.get(labels).and_then(|series| series.get(at_ms));
            assert_eq!(stored, Some(bits), "{when}: {labels} at {at_ms} was acknowledged");
        }
        for (labels, series) in &found {
            for (at_ms, bits) in series {
                let sample = (labels.clone(), *at_ms, *bits);
                assert!(self.sent.contains(&sample), "{when}: {sample:?} was never sent");
            }
        }
    }
}

/// Appends, flushes and restarts until something fails.
fn story(disk: &SimulatedDisk, ledger: &mut Ledger, settings: &Settings) -> Option<()> {
    let mut store = try_open(&disk.disk(), settings.clone()).ok()?;
    for round in 0..3 {
        for step in 0..3 {
            ledger.send(&store, 0..4 + round + step).then_some(())?;
        }
        store.flush().ok()?;
        ledger.send(&store, 2..8 + round).then_some(())?;
        if round == 1 {
            store.close().ok()?;
            drop(store);
            store = try_open(&disk.disk(), settings.clone()).ok()?;
        }
    }
    Some(())
}

fn crash_everywhere(seed: u64, step: usize, settings: &Settings) {
    let calm = SimulatedDisk::new(seed);
    assert!(story(&calm, &mut Ledger::default(), settings).is_some(), "without a power cut");
    let operations = calm.operations();
    assert!(operations > 60, "{operations} operations");
    for operation in (0..operations).step_by(step) {
        let disk = SimulatedDisk::new(seed + operation);
        let mut ledger = Ledger::default();
        disk.crash_at(operation);
        story(&disk, &mut ledger, settings);
        disk.crash_and_restart();
        let when = format!("power cut at operation {operation} of seed {seed}");
        let store = open(&disk.disk(), settings.clone());
        assert_eq!(store.stats().damaged, Vec::<String>::new(), "{when}");
        ledger.check(&store, &when);
        // Life goes on, over a flush and another power cut.
        assert!(ledger.send(&store, 0..12), "{when}: appends go on");
        store.flush().unwrap();
        assert!(ledger.send(&store, 0..12), "{when}: appends go on");
        ledger.check(&store, &when);
        cut_power(&disk, store);
        let store = open(&disk.disk(), settings.clone());
        ledger.check(&store, &format!("{when}, then another"));
    }
}

#[test]
fn power_cuts_at_every_operation() {
    crash_everywhere(1, 1, &quiet());
}

#[test]
fn power_cuts_with_other_luck() {
    crash_everywhere(1000, 3, &quiet());
}

/// The flusher works beside the appends, so every run is another one.
#[test]
fn power_cuts_while_the_flusher_works() {
    let settings = Settings { block_range_ms: 60_000, flush_margin_ms: 0, ..Settings::default() };
    crash_everywhere(2000, 4, &settings);
}

/// Errors of the disk, each at every third operation, without a power cut until the end.
#[test]
fn errors_of_the_disk() {
    let settings = quiet();
    let calm = SimulatedDisk::new(5);
    story(&calm, &mut Ledger::default(), &settings).unwrap();
    for fault in [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create] {
        for operation in (4..calm.operations()).step_by(5) {
            let disk = SimulatedDisk::new(operation);
            let mut ledger = Ledger::default();
            disk.fail_at(operation, fault);
            let when = format!("{fault:?} at operation {operation}");
            let Ok(store) = try_open(&disk.disk(), settings.clone()) else { continue };
            for round in 0..6 {
                // A batch that is refused is sent no second time; the next one must work again.
                ledger.send(&store, 0..4 + round);
                if round % 2 == 1 && store.flush().is_err() {
                    ledger.send(&store, 0..6);
                }
            }
            ledger.check(&store, &when);
            // The one fault may still come; after it everything works again.
            let resumes = |ledger: &mut Ledger| (0..2).any(|_| ledger.send(&store, 0..20));
            assert!(resumes(&mut ledger), "{when}: appends resume");
            assert!((0..2).any(|_| store.flush().is_ok()), "{when}: flushes resume");
            assert!(resumes(&mut ledger), "{when}: appends resume");
            ledger.check(&store, &when);
            cut_power(&disk, store);
            let store = open(&disk.disk(), settings.clone());
            ledger.check(&store, &format!("{when}, then a power cut"));
        }
    }
}

/// A process that is killed leaves records that no sync made durable. A sender that repeats them is
/// told that they are stored, so they must be.
#[test]
fn a_kill_then_a_repetition_then_a_power_cut() {
    for seed in 0..20 {
        let disk = SimulatedDisk::new(seed);
        let mut ledger = Ledger::default();
        let store = open(&disk.disk(), quiet());
        assert!(ledger.send(&store, 0..5));
        drop(store);
        for (path, size_bytes) in disk.files() {
            if path.starts_with("/store/journal") {
                let bytes = disk.disk().read(&path, size_bytes as usize).unwrap();
                disk.disk().create(&path).unwrap().append(&bytes).unwrap(); // And no sync.
            }
        }
        let store = open(&disk.disk(), quiet());
        ledger.next_ms = 0;
        assert!(ledger.send(&store, 0..5), "the repetition is acknowledged");
        cut_power(&disk, store);
        ledger.check(&open(&disk.disk(), quiet()), &format!("seed {seed}"));
    }
}

/// A flush that fails again and again must not fill the disk with its blocks.
#[test]
fn a_failed_flush_leaves_no_blocks_behind() {
    let prepared = |seed| {
        let disk = SimulatedDisk::new(seed);
        let store = open(&disk.disk(), Settings { block_range_ms: 60_000, ..quiet() });
        let mut ledger = Ledger::default();
        (0..9).for_each(|_| assert!(ledger.send(&store, 0..4)));
        (disk, store)
    };
    let (disk, store) = prepared(1);
    let start = disk.operations();
    store.flush().unwrap();
    assert!(store.stats().blocks > 1);
    for operation in start..disk.operations() {
        for fault in [Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create] {
            let (disk, store) = prepared(1);
            disk.fail_at(operation, fault);
            let done = store.flush();
            let door = disk.disk();
            let manifest = door.read(Path::new("/store/manifest"), 1 << 20).unwrap();
            let manifest = String::from_utf8(manifest).unwrap();
            for entry in door.list(Path::new("/store/blocks")).unwrap() {
                let name = entry.name;
                assert!(manifest.contains(&name), "{fault:?} at {operation}: {name}, {done:?}");
            }
        }
    }
}

/// The tests above would notice: a disk that only says it synced loses what was acknowledged.
#[test]
fn a_disk_that_lies_is_found_out() {
    type Lie = fn(&SimulatedDisk, bool);
    let loses = |seed: u64, lie: Lie, while_flushing: bool| {
        let disk = SimulatedDisk::new(seed);
        let mut ledger = Ledger::default();
        let store = open(&disk.disk(), quiet());
        lie(&disk, !while_flushing);
        (0..5).for_each(|_| assert!(ledger.send(&store, 0..5)));
        if while_flushing {
            lie(&disk, true);
            store.flush().unwrap();
        }
        cut_power(&disk, store);
        let Ok(store) = try_open(&disk.disk(), quiet()) else { return true };
        let (found, _) = read(&store, TimeRange::ALL);
        let stored: usize = found.values().map(|series| series.len()).sum();
        stored < ledger.acknowledged.len()
    };
    for (lie, while_flushing, what) in [
        (SimulatedDisk::ignore_sync as Lie, false, "records of the journal"),
        (SimulatedDisk::ignore_sync_dir, false, "the names of segments"),
        (SimulatedDisk::ignore_sync, true, "the files of blocks"),
        (SimulatedDisk::ignore_sync_dir, true, "the names of blocks"),
    ] {
        assert!((0..30).any(|seed| loses(seed, lie, while_flushing)), "{what} are not synced");
    }
}
