//! The writer against a disk that fails: power cuts, errors, no space, planted bugs.

use super::*;
use crate::disk::{Fault, Random, SimulatedDisk};
use crate::expected::Expected;
use crate::journal::open_parts;
use crate::{Error, JournalOptions, ReplayedRecord};
use std::path::Path;

const DIR: &str = "/data/log";

fn options() -> JournalOptions {
    JournalOptions { segment_bytes_max: 40 * 1024, ..JournalOptions::default() }
}

/// One life of the process: open, replay, work.
fn open(simulated: &SimulatedDisk) -> Result<(SegmentWriter, Vec<ReplayedRecord>), Error> {
    let (writer, replay) = open_parts(simulated.disk(), Path::new(DIR), &options())?;
    let records = replay.collect::<Result<Vec<_>, Error>>()?;
    Ok((writer, records))
}

/// Commits, rotations and removals by a seed. Errors are taken as they come.
fn work(writer: &mut SegmentWriter, expected: &mut Expected, random: &mut Random, steps: u64) {
    // What was appended before the last rotation, and the segment that it answered.
    let mut released = None;
    for _ in 0..steps {
        match random.below(10) {
            0 => {
                let before = expected.len();
                released = writer.rotate().ok().map(|segment| (before, segment));
            }
            1 => {
                if let Some((before, segment)) = released {
                    expected.release_before(before);
                    let _ = writer.remove_before(segment);
                }
            }
            _ => {
                let from = expected.len();
                let items: Vec<Item> =
                    (0..=random.below(3)).map(|_| random_item(expected, random)).collect();
                if writer.commit(&items).is_ok() {
                    expected.acknowledge_from(from);
                }
            }
        }
    }
}

fn random_item(expected: &mut Expected, random: &mut Random) -> Item {
    match random.below(12) {
        0 => expected.item(1, 30_000 + random.below(40_000) as usize),
        1..4 => expected.item(2 + random.below(4), 8 + random.below(900) as usize),
        _ => expected.item(1, 8 + random.below(600) as usize),
    }
}

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    CrashAt(u64),
    FaultAt(u64, Fault),
    NoSyncs { crash_at: u64 },
    NoDirSyncs { crash_at: u64 },
}

/// Three lives on one disk; answers the operations of the first and what the checks said.
fn run(seed: u64, trouble: Trouble) -> (u64, Result<(), String>) {
    let simulated = SimulatedDisk::new(seed);
    match trouble {
        Trouble::None => {}
        Trouble::CrashAt(operation) => simulated.crash_at(operation),
        Trouble::FaultAt(operation, fault) => simulated.fail_at(operation, fault),
        Trouble::NoSyncs { crash_at } => {
            simulated.ignore_sync(true);
            simulated.crash_at(crash_at);
        }
        Trouble::NoDirSyncs { crash_at } => {
            simulated.ignore_sync_dir(true);
            simulated.crash_at(crash_at);
        }
    }
    let mut random = Random(seed);
    let mut expected = Expected::default();
    let mut operations = 0;
    for life in 0..3 {
        let judged = match open(&simulated) {
            Ok((mut writer, records)) => {
                let judged = expected.judge(&records);
                if judged.is_ok() {
                    work(&mut writer, &mut expected, &mut random, if life == 0 { 14 } else { 5 });
                }
                judged
            }
            // The power cut may come this early.
            Err(_) if life < 2 => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = judged {
            return (operations, Err(format!("seed {seed}, {trouble:?}, life {life}: {why}")));
        }
        if life == 0 {
            operations = simulated.operations();
        }
        simulated.crash_and_restart();
        if life == 0 && matches!(trouble, Trouble::CrashAt(_)) {
            simulated.crash_at(simulated.operations() + random.below(10));
        }
    }
    (operations, Ok(()))
}

#[track_caller]
fn check(seed: u64, trouble: Trouble) {
    let (_, judged) = run(seed, trouble);
    judged.expect("a crash loses nothing that was acknowledged");
}

#[test]
fn nothing_acknowledged_is_lost_at_any_cut() {
    for seed in 0..25 {
        let (operations, judged) = run(seed, Trouble::None);
        judged.expect("without trouble");
        assert!(operations > 15, "seed {seed} has only {operations} operations");
        for operation in 0..operations {
            check(seed, Trouble::CrashAt(operation));
        }
    }
}

#[test]
fn one_error_fails_one_commit_and_no_other() {
    for seed in 100..110 {
        let (operations, _) = run(seed, Trouble::None);
        for operation in 0..operations {
            for fault in [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create] {
                check(seed, Trouble::FaultAt(operation, fault));
            }
        }
    }
}

/// Whether the crash test notices a planted bug.
fn notices(trouble: impl Fn(u64) -> Trouble) -> bool {
    (200..210).any(|seed| {
        let (operations, _) = run(seed, Trouble::None);
        (0..operations).any(|operation| run(seed, trouble(operation)).1.is_err())
    })
}

#[test]
fn the_crash_test_notices_missing_syncs() {
    assert!(notices(|crash_at| Trouble::NoSyncs { crash_at }), "files are not synced");
    assert!(notices(|crash_at| Trouble::NoDirSyncs { crash_at }), "folders are not synced");
}

#[test]
fn a_full_disk_fails_appends_until_there_is_space() {
    let simulated = SimulatedDisk::new(1);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated).expect("open");
    simulated.set_space_bytes(Some(10_000));
    let mut refused = 0;
    for round in 0..40 {
        if round == 20 {
            simulated.set_space_bytes(Some(100_000));
        }
        let from = expected.len();
        match writer.commit(&[expected.item(1, 900)]) {
            Ok(()) => expected.acknowledge_from(from),
            Err(error) => {
                assert!(matches!(error, Error::Full { .. }), "{error}");
                assert!((10..20).contains(&round), "round {round}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 5);
    assert_eq!(writer.stats().abandoned_segments, 0, "a full disk costs no segment");
    assert_eq!(writer.stats().failed_appends, refused);
    simulated.crash_and_restart();
    let (_, records) = open(&simulated).expect("open again");
    assert_eq!(records.len() as u64, 40 - refused, "a refused record does not come back");
    expected.judge(&records).expect("replay");
}

#[test]
fn a_disk_that_is_full_from_the_start_is_read_and_then_written() {
    let simulated = SimulatedDisk::new(2);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated).expect("open");
    writer.commit(&[expected.item(1, 500)]).expect("commit");
    expected.acknowledge_from(0);
    drop(writer);
    simulated.set_space_bytes(Some(0));
    let (mut writer, records) = open(&simulated).expect("open a full disk");
    expected.judge(&records).expect("replay from a full disk");
    for _ in 0..3 {
        let error = writer.commit(&[expected.item(1, 500)]).expect_err("full");
        assert!(matches!(error, Error::Full { .. }), "{error}");
    }
    assert_eq!(simulated.files().len(), 1, "no half-begun segment stays: {:?}", simulated.files());
    simulated.set_space_bytes(None);
    let from = expected.len();
    writer.commit(&[expected.item(1, 500)]).expect("commit with space");
    expected.acknowledge_from(from);
    simulated.crash_and_restart();
    expected.judge(&open(&simulated).expect("open").1).expect("replay");
}

#[test]
fn a_failed_sync_is_not_tried_again_on_the_same_file() {
    let simulated = SimulatedDisk::new(3);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated).expect("open");
    writer.commit(&[expected.item(1, 100)]).expect("first");
    let before = simulated.files();
    simulated.fail_next(Fault::Sync);
    let from = expected.len();
    let error = writer.commit(&[expected.item(1, 100)]).expect_err("the sync fails");
    assert!(matches!(error, Error::Io { action: "sync", .. }), "{error}");
    assert_eq!(simulated.files(), before, "the failed record is cut off");
    writer.commit(&[expected.item(1, 100)]).expect("the next one goes elsewhere");
    expected.acknowledge_from(from + 1);
    assert_eq!(simulated.files().len(), 2);
    assert_eq!(simulated.files()[0], before[0], "the failed segment is not touched again");
    assert_eq!(writer.stats().abandoned_segments, 1);
    simulated.crash_and_restart();
    expected.judge(&open(&simulated).expect("open").1).expect("replay");
}

#[test]
fn segments_end_at_their_size_and_numbers_are_not_used_twice() {
    let simulated = SimulatedDisk::new(4);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated).expect("open");
    for _ in 0..100 {
        writer.commit(&[expected.item(1, 4_000)]).expect("commit");
    }
    for (path, size_bytes) in simulated.files() {
        assert!(size_bytes <= 40 * 1024, "{} has {size_bytes} bytes", path.display());
    }
    assert_eq!(simulated.files().len() as u64, writer.stats().segments);
    let total: u64 = simulated.files().iter().map(|(_, size_bytes)| size_bytes).sum();
    assert_eq!(total, writer.stats().size_bytes);

    let segment = writer.rotate().expect("rotate");
    assert_eq!(writer.rotate().expect("rotate"), segment, "an empty segment is not ended");
    writer.remove_before(segment).expect("remove");
    assert_eq!(simulated.files().len(), 1);
    assert_eq!(writer.stats().size_bytes, SEGMENT_HEADER_BYTES as u64);
    drop(writer);
    simulated.crash_and_restart();
    let (mut writer, records) = open(&simulated).expect("open");
    assert!(records.is_empty());
    assert!(writer.rotate().expect("rotate") > segment);
}

#[test]
fn removing_segments_frees_a_full_disk() {
    let simulated = SimulatedDisk::new(5);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated).expect("open");
    writer.commit(&[expected.item(1, 3_000)]).expect("commit");
    let segment = writer.rotate().expect("rotate");
    simulated.fail_next(Fault::Sync);
    writer.commit(&[expected.item(1, 100)]).expect_err("the segment is left");
    simulated.set_space_bytes(Some(0));
    writer.remove_before(segment).expect("needs no space");
    assert_eq!(simulated.files().len(), 1, "{:?}", simulated.files());
    simulated.set_space_bytes(None);
    assert!(writer.rotate().expect("rotate") > segment);
}
