//! Merges, retention and deletions, calm and with the power failing.

use std::path::Path;
use std::sync::Arc;

use journal::disk::{Fault, SimulatedDisk};
use model::{MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{DeletionId, Settings, Store, Undone};

use crate::support::{Content, append, content, labels, open, quiet, read, try_open};

const MINUTE_MS: i64 = 60_000;

/// Ranges of a minute; nothing happens unless a test asks for it.
fn minutes() -> Settings {
    Settings { block_range_ms: MINUTE_MS, flush_margin_ms: 1 << 50, retention_ms: 0, ..quiet() }
}

/// One sample each ten seconds of some series.
fn fill(store: &Store, numbers: std::ops::Range<u64>, minutes: std::ops::Range<i64>) {
    let mut samples = Vec::new();
    for step in minutes.start * 6..minutes.end * 6 {
        let at_ms = step * 10_000;
        samples
            .extend(numbers.clone().map(|number| (number, at_ms, (at_ms + number as i64) as f64)));
    }
    assert_eq!(append(store, &samples).unwrap().refused, vec![]);
}

fn range(start_ms: i64, end_ms: i64) -> TimeRange {
    TimeRange::new(TimestampMs(start_ms), TimestampMs(end_ms)).unwrap()
}

fn number(value: &str) -> Matcher {
    Matcher::new("number", MatchOp::Regex, value).unwrap()
}

fn folders(disk: &SimulatedDisk) -> usize {
    disk.disk().list(Path::new("/store/blocks")).unwrap().len()
}

fn without(content: &Content, numbers: &[u64], hidden: TimeRange) -> Content {
    let mut left = content.clone();
    for number in numbers {
        if let Some(series) = left.get_mut(&labels(*number)) {
            series.retain(|at_ms, _| !hidden.contains(TimestampMs(*at_ms)));
        }
    }
    left.retain(|_, series| !series.is_empty());
    left
}

#[test]
fn blocks_become_one() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), minutes());
    for minute in 0..12 {
        fill(&store, 0..minute as u64 + 2, minute..minute + 1);
        store.flush().unwrap();
    }
    assert_eq!(store.stats().blocks, 12);
    let before = content(&store);
    store.compact().unwrap();
    let stats = store.stats();
    assert_eq!((stats.blocks, stats.damaged.len()), (1, 0), "{:?}", stats.blocks_by_level);
    assert!(stats.compactions_count > 0 && stats.compacted_bytes > 0);
    assert_eq!(stats.upkeep_failure, None);
    assert_eq!(content(&store), before);
    assert_eq!(folders(&disk), 1, "old folders are gone");
    drop(store);
    let store = open(&disk.disk(), minutes());
    assert_eq!(content(&store), before);
    assert_eq!(store.stats().blocks, 1);
}

#[test]
fn the_flusher_merges_by_itself() {
    let disk = SimulatedDisk::new(1);
    let settings = Settings { flush_margin_ms: 0, ..minutes() };
    let store = open(&disk.disk(), settings);
    for minute in 0..40 {
        fill(&store, 0..3, minute..minute + 1);
        crate::support::wait_until("ranges are flushed", || {
            store.stats().samples_in_memtable < 3 * 6 * 3
        });
    }
    // Three slots of twelve minutes, and what came after.
    crate::support::wait_until("blocks are merged", || store.stats().blocks <= 3 + 3);
    assert_eq!(content(&store).values().map(|series| series.len()).sum::<usize>(), 3 * 240);
}

#[test]
fn a_reader_keeps_its_blocks() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), minutes());
    for minute in 0..4 {
        fill(&store, 0..3, minute..minute + 1);
        store.flush().unwrap();
    }
    let everything = Matcher::new("__name__", MatchOp::NotEqual, "").unwrap();
    let entries = store.series(&[everything], TimeRange::ALL, 0).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let scan = store.scan(&ids, TimeRange::ALL).unwrap();
    store.compact().unwrap();
    assert_eq!(folders(&disk), 5, "the scan holds four");
    let rows: usize = scan.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 3 * 24);
    assert_eq!(folders(&disk), 1);
}

#[test]
fn a_damaged_source_is_named_and_the_rest_merges() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), minutes());
    for minute in 0..4 {
        fill(&store, 0..3, minute..minute + 1);
        store.flush().unwrap();
    }
    let path = disk.files().into_iter().find(|file| file.0.ends_with("samples.parquet")).unwrap().0;
    for place in [30, 60, 90, 120, 150, 200] {
        disk.flip_bit(&path, place, 1).unwrap();
    }
    disk.disk().remove_file(&path.with_file_name("guard")).unwrap(); // Else it would be mended.
    store.compact().unwrap();
    let stats = store.stats();
    assert_eq!((stats.blocks, stats.damaged.len()), (2, 1), "{:?}", stats.damaged);
    assert_eq!(stats.compaction_failures_count, 1);
    let (found, warnings) = read(&store, TimeRange::ALL);
    assert_eq!(warnings.len(), 1);
    assert!(found.values().all(|series| series.len() == 18));
}

#[test]
fn no_merge_without_space() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), Settings { reserve_bytes: 0, ..minutes() });
    for minute in 0..4 {
        fill(&store, 0..3, minute..minute + 1);
        store.flush().unwrap();
    }
    let used: u64 = disk.files().iter().map(|file| file.1).sum();
    disk.set_space_bytes(Some(used + 100_000));
    let error = store.compact().unwrap_err();
    assert!(error.to_string().contains("free"), "{error}");
    assert_eq!(store.stats().blocks, 4);
    disk.set_space_bytes(None);
    store.compact().unwrap();
    assert_eq!(store.stats().blocks, 1);
}

#[test]
fn old_blocks_go() {
    let disk = SimulatedDisk::new(1);
    let settings = Settings { retention_ms: 5 * MINUTE_MS, ..minutes() };
    let store = open(&disk.disk(), settings.clone());
    for minute in 0..10 {
        fill(&store, 0..3, minute..minute + 1);
        store.flush().unwrap();
    }
    store.compact().unwrap();
    let stats = store.stats();
    assert_eq!(stats.blocks_dropped_by_age_count, 4);
    assert_eq!(stats.oldest_ms, Some(TimestampMs(4 * MINUTE_MS)));
    drop(store);
    let store = open(&disk.disk(), settings);
    assert_eq!(store.stats().oldest_ms, Some(TimestampMs(4 * MINUTE_MS)), "the journal is skipped");
}

#[test]
fn the_oldest_blocks_go_for_space() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), minutes());
    for minute in 0..10 {
        fill(&store, 0..3, minute..minute + 1);
        store.flush().unwrap();
    }
    let stats = store.stats();
    drop(store);
    let of_blocks = |disk: &SimulatedDisk| -> u64 {
        let files = disk.files().into_iter();
        files.filter(|file| file.0.starts_with("/store/blocks")).map(|file| file.1).sum()
    };
    let bytes_max = of_blocks(&disk) / 2 + stats.journal_bytes + 4096;
    let settings = Settings { retention_bytes_max: bytes_max, reserve_bytes: 0, ..minutes() };
    let store = open(&disk.disk(), settings);
    crate::support::wait_until("blocks are dropped", || {
        store.stats().blocks_dropped_by_size_count > 0
    });
    let error = store.compact().unwrap_err();
    assert!(error.to_string().contains("retention by size"), "{error}");
    let stats = store.stats();
    assert!((3..9).contains(&stats.blocks), "{} blocks", stats.blocks);
    assert!(of_blocks(&disk) + stats.journal_bytes <= bytes_max);
    let newest = content(&store).into_values().next().unwrap().into_keys().next_back();
    assert_eq!(newest, Some(10 * MINUTE_MS - 10_000));
}

fn blocks_and_memory() -> (SimulatedDisk, Arc<Store>) {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), minutes());
    for minute in 0..3 {
        fill(&store, 0..4, minute..minute + 1);
        if minute < 2 {
            store.flush().unwrap();
        }
    }
    (disk, store)
}

#[test]
fn a_deletion_hides_what_is_there_and_can_be_taken_back() {
    let (disk, store) = blocks_and_memory();
    let before = content(&store);
    let hidden = range(30_000, 150_000);
    let id = store.delete(&[number("1|2")], hidden).unwrap().unwrap();
    let mut expected = without(&before, &[1, 2], hidden);
    assert_eq!(content(&store), expected);
    // Samples that come later show, also inside of the range's end.
    append(&store, &[(1, 180_000, 7.0), (9, 60_000, 5.0)]).unwrap();
    expected.entry(labels(1)).or_default().insert(180_000, 7f64.to_bits());
    expected.entry(labels(9)).or_default().insert(60_000, 5f64.to_bits());
    assert_eq!(content(&store), expected);
    assert_eq!(store.stats().tombstones, 1);
    let listed = store.tombstones();
    assert_eq!((listed.len(), listed[0].id, listed[0].range), (1, id, hidden));
    drop(store);
    let store = open(&disk.disk(), minutes());
    assert_eq!(content(&store), expected, "after a restart");
    store.compact().unwrap();
    assert_eq!(store.stats().tombstones, 1, "it may still be taken back");
    assert_eq!(content(&store), expected);
    assert_eq!(store.undelete(id).unwrap(), Undone::Whole);
    assert_eq!(store.undelete(id).unwrap(), Undone::Nothing);
    let back = content(&store);
    assert_eq!(back[&labels(2)], before[&labels(2)]);
    assert_eq!(back[&labels(1)].len(), before[&labels(1)].len() + 1);
    assert_eq!(store.delete(&[number("77")], TimeRange::ALL).unwrap(), None);
}

#[test]
fn labels_of_deleted_series_do_not_show() {
    let (_disk, store) = blocks_and_memory();
    store.delete(&[number("1|2")], TimeRange::ALL).unwrap().unwrap();
    let values = store.label_values("number", &[], TimeRange::ALL, 0).unwrap();
    assert_eq!(values, ["0", "3"]);
    assert_eq!(store.series(&[], TimeRange::ALL, 0).unwrap().len(), 2);
    store.delete(&[number("0")], range(0, 60_000)).unwrap().unwrap();
    let in_range = store.label_values("number", &[], range(10_000, 50_000), 0).unwrap();
    assert_eq!(in_range, ["3"]);
    assert_eq!(store.label_values("number", &[], TimeRange::ALL, 0).unwrap(), ["0", "3"]);
}

#[test]
fn cleaning_carries_deletions_out() {
    let (disk, store) = blocks_and_memory();
    let before = content(&store);
    let hidden = range(0, 90_000);
    let id = store.delete(&[number("1")], hidden).unwrap().unwrap();
    let all = store.delete(&[number("2")], TimeRange::ALL).unwrap().unwrap();
    assert!(all > id);
    let samples = store.stats().block_samples;
    store.clean().unwrap();
    let expected = without(&without(&before, &[1], hidden), &[2], TimeRange::ALL);
    assert_eq!(content(&store), expected);
    let stats = store.stats();
    assert_eq!((stats.tombstones, stats.damaged.len()), (0, 0));
    assert!(stats.block_samples < samples, "rows were rewritten");
    assert_eq!(store.undelete(id).unwrap(), Undone::Nothing);
    assert_eq!(store.undelete(DeletionId(99)).unwrap(), Undone::Nothing);
    // Nothing at all is left: no block either.
    store.delete(&[], TimeRange::ALL).unwrap().unwrap();
    store.clean().unwrap();
    assert_eq!((content(&store).len(), store.stats().blocks), (0, 0));
    drop(store);
    let store = open(&disk.disk(), minutes());
    assert_eq!((content(&store).len(), store.stats().blocks), (0, 0));
}

#[test]
fn a_merge_carries_out_what_can_not_be_taken_back() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), Settings { deletion_undo_ms: 0, ..minutes() });
    for minute in 0..3 {
        fill(&store, 0..4, minute..minute + 1);
        store.flush().unwrap();
    }
    let before = content(&store);
    let id = store.delete(&[number("1")], TimeRange::ALL).unwrap().unwrap();
    store.compact().unwrap();
    assert_eq!((store.stats().tombstones, store.stats().blocks), (0, 1));
    assert_eq!(content(&store), without(&before, &[1], TimeRange::ALL));
    assert_eq!(store.undelete(id).unwrap(), Undone::Nothing);
}

/// What a power cut must not change: what was there, and whether the deletion is in force.
fn story(disk: &SimulatedDisk, settings: &Settings, step: &mut u32) -> Option<()> {
    let store = try_open(&disk.disk(), settings.clone()).ok()?;
    for minute in 0..5 {
        let samples: Vec<_> = (0..5).map(|own| (own, minute * MINUTE_MS, minute as f64)).collect();
        append(&store, &samples).ok()?;
        *step = 1 + minute as u32;
        store.flush().ok()?;
    }
    store.compact().ok()?;
    store.delete(&[number("1")], range(0, 3 * MINUTE_MS)).ok()?;
    *step = 6;
    store.clean().ok()?;
    store.delete(&[number("2")], TimeRange::ALL).ok()?;
    *step = 7;
    let samples: Vec<_> = (0..5).map(|own| (own, 5 * MINUTE_MS, 5.0)).collect();
    append(&store, &samples).ok()?;
    *step = 8;
    store.compact().ok()?;
    Some(())
}

fn check_story(store: &Store, step: u32, when: &str) {
    let found = content(store);
    let minutes = if step >= 8 { 6 } else { i64::from(step.min(5)) };
    for own in 0..5u64 {
        for minute in 0..minutes {
            let at_ms = minute * MINUTE_MS;
            let stored = found.get(&labels(own)).and_then(|series| series.get(&at_ms)).copied();
            let is_deleted =
                (own == 1 && minute < 3 && step >= 6) || (own == 2 && minute < 5 && step >= 7);
            // While the call runs it may be in force or not.
            let may_be =
                (own == 1 && minute < 3 && step == 5) || (own == 2 && minute < 5 && step == 6);
            if is_deleted {
                assert_eq!(stored, None, "{when}: {own} at {minute} was deleted");
            } else if !(may_be && stored.is_none()) {
                let bits = (minute as f64).to_bits();
                assert_eq!(stored, Some(bits), "{when}: {own} at {minute} was acknowledged");
            }
        }
    }
}

fn cut_everywhere(seed: u64, settings: &Settings) {
    let calm = SimulatedDisk::new(seed);
    let mut step = 0;
    story(&calm, settings, &mut step).expect("without a power cut");
    check_story(&open(&calm.disk(), settings.clone()), step, "calm");
    for operation in 0..calm.operations() {
        let disk = SimulatedDisk::new(seed + operation);
        disk.crash_at(operation);
        let mut step = 0;
        story(&disk, settings, &mut step);
        disk.crash_and_restart();
        let when = format!("power cut at operation {operation} of seed {seed}");
        let store = open(&disk.disk(), settings.clone());
        assert_eq!(store.stats().damaged, Vec::<String>::new(), "{when}");
        check_story(&store, step, &when);
        store.compact().unwrap();
        store.clean().unwrap();
        check_story(&store, step, &format!("{when}, then merged"));
        drop(store);
        let store = open(&disk.disk(), settings.clone());
        check_story(&store, step, &format!("{when}, then merged and restarted"));
        assert_eq!(folders(&disk) as u64, store.stats().blocks, "{when}: nothing is left behind");
    }
}

#[test]
fn power_cuts_while_merging_and_deleting() {
    cut_everywhere(1, &minutes());
    cut_everywhere(5000, &Settings { deletion_undo_ms: 0, ..minutes() });
}

#[test]
fn power_cuts_while_dropping() {
    let settings = Settings { retention_ms: 3 * MINUTE_MS, ..minutes() };
    let calm = SimulatedDisk::new(9);
    let story = |disk: &SimulatedDisk| {
        let store = try_open(&disk.disk(), settings.clone()).ok()?;
        for minute in 0..8 {
            append(&store, &[(1, minute * MINUTE_MS, minute as f64)]).ok()?;
            store.flush().ok()?;
        }
        store.compact().ok()
    };
    story(&calm).expect("without a power cut");
    for operation in 0..calm.operations() {
        let disk = SimulatedDisk::new(operation);
        disk.crash_at(operation);
        story(&disk);
        disk.crash_and_restart();
        let store = open(&disk.disk(), settings.clone());
        assert_eq!(store.stats().damaged, Vec::<String>::new(), "at {operation}");
        // Read once: the flusher goes on dropping meanwhile.
        let found = read(&store, TimeRange::ALL).0.remove(&labels(1)).unwrap_or_default();
        let Some(newest) = found.keys().next_back().copied() else { continue };
        for at_ms in (0..=newest).step_by(MINUTE_MS as usize) {
            let is_kept = found.contains_key(&at_ms);
            assert!(is_kept || at_ms < newest - 3 * MINUTE_MS, "at {operation}: {at_ms} is gone");
        }
    }
}

#[test]
fn errors_of_the_disk_while_merging() {
    let prepared = || {
        let disk = SimulatedDisk::new(3);
        let store = open(&disk.disk(), minutes());
        for minute in 0..3 {
            fill(&store, 0..3, minute..minute + 1);
            store.flush().unwrap();
        }
        (disk, store)
    };
    let (disk, store) = prepared();
    let (start, before) = (disk.operations(), content(&store));
    store.compact().unwrap();
    for operation in start..disk.operations() {
        for fault in [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create] {
            let (disk, store) = prepared();
            disk.fail_at(operation, fault);
            let done = store.compact();
            let when = format!("{fault:?} at operation {operation}: {done:?}");
            assert_eq!(content(&store), before, "{when}");
            store.compact().unwrap();
            assert_eq!(content(&store), before, "{when}");
            drop(store);
            let store = open(&disk.disk(), minutes());
            assert_eq!(content(&store), before, "{when}");
            assert_eq!(folders(&disk) as u64, store.stats().blocks, "{when}: nothing is left");
        }
    }
}
