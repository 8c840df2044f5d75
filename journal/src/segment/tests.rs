//! Reading past damage: one flipped bit costs one append, and is named.

use super::*;
use crate::disk::{Random, SimulatedDisk};
use crate::expected::Expected;
use crate::frame::segment_header;
use crate::journal::open_parts;
use crate::writer::SegmentWriter;
use crate::{Error, JournalOptions, Replay};

const DIR: &str = "/log";

fn open(simulated: &SimulatedDisk) -> (SegmentWriter, Replay) {
    let options = JournalOptions { segment_bytes_max: 300_000, ..JournalOptions::default() };
    open_parts(simulated.disk(), Path::new(DIR), &options).expect("open")
}

/// A log of records of these (count, size) and a segment's end after each row.
fn write(rows: &[&[(u64, usize)]]) -> (SimulatedDisk, Expected) {
    let simulated = SimulatedDisk::new(0);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated);
    for row in rows {
        for (count, size_bytes) in *row {
            writer.commit(&[expected.item(*count, *size_bytes)]).expect("commit");
        }
        writer.rotate().expect("rotate");
    }
    (simulated, expected)
}

/// Turns a bit around, replays, judges, and puts the file back.
fn check_flip(simulated: &SimulatedDisk, expected: &Expected, path: &Path, offset: u64, bit: u8) {
    let disk = simulated.disk();
    let good = disk.read(path, 1 << 20).expect("read");
    simulated.flip_bit(path, offset, bit).expect("flip");
    let (_, mut replay) = open(simulated);
    let records: Vec<_> = replay.by_ref().map(|record| record.expect("readable")).collect();
    let context = format!("{} byte {offset} bit {bit}: {:?}", path.display(), replay.damage());
    let mut expected = expected.clone();
    expected.judge_with_losses(&records, 1).expect(&context);
    let [damage] = replay.damage() else { panic!("one damage is named, {context}") };
    assert_eq!(damage.file, path, "{context}");
    assert!(damage.offset_bytes <= offset, "{context}");
    assert!(offset < damage.offset_bytes + damage.bytes, "{context}");
    let mut file = disk.create(path).expect("create");
    file.append(&good).expect("restore");
}

#[test]
fn any_flipped_bit_costs_at_most_one_append() {
    let (simulated, mut expected) = write(&[
        &[(1, 40), (1, 8), (3, 100), (1, 500), (2, 8), (1, 300)],
        &[(1, 900), (4, 20), (1, 64)],
    ]);
    acknowledge(&mut expected);
    for (path, size_bytes) in simulated.files() {
        for offset in 0..size_bytes {
            check_flip(&simulated, &expected, &path, offset, (offset % 8) as u8);
        }
    }
}

#[test]
fn a_flipped_bit_in_many_pages_costs_at_most_one_append() {
    let row: Vec<(u64, usize)> =
        vec![(1, 20_000), (1, 10_000), (1, 100_000), (3, 9_000), (1, 32_736), (1, 700), (1, 700)];
    let (simulated, mut expected) = write(&[&row, &row]);
    acknowledge(&mut expected);
    let mut random = Random(7);
    let files: Vec<_> =
        simulated.files().into_iter().filter(|(_, size_bytes)| *size_bytes > 1000).collect();
    for _ in 0..150 {
        let (path, size_bytes) = &files[random.below(files.len() as u64) as usize];
        let offset = random.below(*size_bytes);
        check_flip(&simulated, &expected, path, offset, random.below(8) as u8);
    }
    // Around the page boundaries, where fragments end and begin.
    for boundary in (1..4).map(|page| page * PAGE_BYTES as u64) {
        for offset in boundary - 20..boundary + 20 {
            check_flip(&simulated, &expected, &files[0].0, offset, 3);
        }
    }
}

fn acknowledge(expected: &mut Expected) {
    expected.acknowledge_from(0);
}

#[test]
fn a_page_of_noise_costs_the_records_that_touch_it() {
    let (simulated, mut expected) = write(&[&[(1, 5_000); 40]]);
    acknowledge(&mut expected);
    let path = segment_path(Path::new(DIR), 1);
    for offset in PAGE_BYTES as u64..2 * PAGE_BYTES as u64 {
        simulated.flip_bit(&path, offset, (offset % 7) as u8).expect("flip");
    }
    let (_, mut replay) = open(&simulated);
    let records: Vec<_> = replay.by_ref().map(|record| record.expect("readable")).collect();
    expected.judge_with_losses(&records, 8).expect("the rest is there");
    assert_eq!(replay.damaged_places(), 1);
    assert!(replay.damaged_bytes() < 64 * 1024, "{:?}", replay.damage());
    assert_eq!(replay.damage()[0].what, DamageKind::Damaged);
}

#[test]
fn a_page_that_the_disk_refuses_is_skipped_and_named() {
    let (simulated, mut expected) = write(&[&[(1, 5_000); 40]]);
    acknowledge(&mut expected);
    let (_, mut replay) = open(&simulated);
    let mut records = vec![replay.next().expect("one").expect("readable")];
    simulated.fail_next(crate::disk::Fault::Read);
    records.extend(replay.by_ref().map(|record| record.expect("readable")));
    expected.judge_with_losses(&records, 8).expect("the rest is there");
    assert_eq!(replay.damage().len(), 1);
    assert_eq!(replay.damage()[0].what, DamageKind::Unreadable);
}

#[test]
fn a_segment_that_the_disk_refuses_is_named_and_kept() {
    let (simulated, _) = write(&[&[(1, 60_000); 4]]);
    let (_, mut replay) = open(&simulated);
    for _ in 0..100 {
        simulated.fail_next(crate::disk::Fault::Read);
    }
    // Fewer pages than the patience of the reader: all of it is named.
    assert!(replay.next().is_none());
    assert_eq!(replay.damaged_places(), 2, "{:?}", replay.damage());

    let simulated = SimulatedDisk::new(0);
    let mut expected = Expected::default();
    let (mut writer, _) = open(&simulated);
    writer.commit(&[expected.item(1, 2_000_000)]).expect("commit");
    let (_, mut replay) = open(&simulated);
    for _ in 0..100 {
        simulated.fail_next(crate::disk::Fault::Read);
    }
    // More than the patience: the rest is given up, and named to its end.
    assert!(replay.next().is_none());
    assert_eq!(replay.damage().len(), 1, "{:?}", replay.damage());
    assert_eq!(replay.damage()[0].what, DamageKind::Unreadable);
    assert!(replay.damaged_bytes() > 2_000_000, "{:?}", replay.damage());

    // Whoever removes it later leaves its bytes in the second name.
    let disk = simulated.disk();
    let kept = segment_path(&Path::new(DIR).join(crate::UNREADABLE_DIR), 1);
    let (mut writer, _) = open(&simulated);
    writer.commit(&[expected.item(2, 10)]).expect("commit");
    writer.remove_before(2).expect("remove");
    assert!(!disk.exists(&segment_path(Path::new(DIR), 1)).expect("look"));
    assert!(disk.open(&kept).expect("kept").size_bytes().expect("size") > 2_000_000);
}

#[test]
fn a_segment_that_can_be_read_again_is_whole_again() {
    let (simulated, mut expected) = write(&[&[(1, 5_000); 40], &[(1, 100)]]);
    acknowledge(&mut expected);
    let path = segment_path(Path::new(DIR), 1);
    simulated.set_unreadable(&path, true).expect("set");
    let kept = segment_path(&Path::new(DIR).join(crate::UNREADABLE_DIR), 1);
    let (_, mut replay) = open(&simulated);
    assert_eq!(replay.by_ref().count(), 1, "the next segment is read");
    assert_eq!(replay.damage()[0].file, path);
    assert!(simulated.disk().exists(&kept).expect("look"));
    simulated.set_unreadable(&path, false).expect("set");
    let (_, mut replay) = open(&simulated);
    let records: Vec<_> = replay.by_ref().map(|record| record.expect("readable")).collect();
    expected.judge(&records).expect("replay");
    assert!(!simulated.disk().exists(&kept).expect("look"), "the second name is gone");
}

/// A sync that fails while opening: what it should have written goes to another file.
#[test]
fn a_failed_sync_at_the_start_loses_nothing() {
    for seed in 0..20 {
        let simulated = SimulatedDisk::new(seed);
        let disk = simulated.disk();
        let mut expected = Expected::default();
        let (mut writer, _) = open(&simulated);
        writer.commit(&[expected.item(1, 2_000)]).expect("commit");
        acknowledge(&mut expected);
        let path = segment_path(Path::new(DIR), 1);
        let bytes = disk.read(&path, 1 << 20).expect("read");
        disk.create(&path).expect("create").append(&bytes).expect("append, and no sync");
        simulated.kill_and_restart();
        simulated.fail_next(crate::disk::Fault::Sync);
        drop(open(&simulated));
        simulated.crash_and_restart();
        let (_, mut replay) = open(&simulated);
        let records: Vec<_> = replay.by_ref().map(|record| record.expect("readable")).collect();
        expected.judge(&records).unwrap_or_else(|what| panic!("seed {seed}: {what:?}"));
    }
}

#[test]
fn a_torn_tail_is_cut_once() {
    let (simulated, mut expected) = write(&[&[(1, 100), (1, 100)]]);
    let disk = simulated.disk();
    let path = segment_path(Path::new(DIR), 1);
    disk.remove_file(&segment_path(Path::new(DIR), 2)).expect("remove the empty one");
    let good_bytes = disk.open(&path).expect("open").size_bytes().expect("size");
    disk.open_append(&path).expect("open").append(&[0xBE, 0x1F, 3, 0, 9]).expect("append");

    let (_, mut replay) = open(&simulated);
    let records: Vec<_> = replay.by_ref().map(|record| record.expect("readable")).collect();
    acknowledge(&mut expected);
    expected.judge(&records).expect("replay");
    let torn = Damage {
        file: path.clone(),
        offset_bytes: good_bytes,
        bytes: 5,
        what: DamageKind::TornTail,
    };
    assert_eq!(replay.damage(), [torn]);
    assert_eq!(disk.open(&path).expect("open").size_bytes().expect("size"), good_bytes);

    let (_, mut replay) = open(&simulated);
    assert_eq!(replay.by_ref().count(), 2);
    assert!(replay.damage().is_empty());
}

#[test]
fn a_fragment_of_another_place_is_no_fragment() {
    // The second segment is a byte-wise copy of the first: right checksums, wrong place.
    let (simulated, _) = write(&[&[(1, 100), (1, 100)]]);
    let disk = simulated.disk();
    let bytes = disk.read(&segment_path(Path::new(DIR), 1), 1 << 20).expect("read");
    let mut file = disk.create(&segment_path(Path::new(DIR), 2)).expect("create");
    file.append(&bytes).expect("append");
    let (_, mut replay) = open(&simulated);
    assert_eq!(replay.by_ref().count(), 2);
    assert_eq!(replay.damage().len(), 1, "{:?}", replay.damage());
}

#[test]
fn names_of_segments() {
    assert_eq!(segment_number("000000000001.journal"), Some(1));
    assert_eq!(segment_number("1000000000000.journal"), Some(1_000_000_000_000));
    for other in ["1.journal", "0000000000001.journal", "000000000001.log", "+00000000001.journal"]
    {
        assert_eq!(segment_number(other), None, "{other}");
    }
}

#[test]
fn a_newer_segment_is_refused() {
    let (simulated, _) = write(&[&[(1, 100)]]);
    let mut header = segment_header(9);
    header[8..12].copy_from_slice(&2_u32.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..32].copy_from_slice(&checksum.to_le_bytes());
    let path = segment_path(Path::new(DIR), 9);
    simulated.disk().create(&path).expect("create").append(&header).expect("append");
    let options = JournalOptions::default();
    let error = open_parts(simulated.disk(), Path::new(DIR), &options).expect_err("newer");
    assert!(matches!(error, Error::NewerFormat { found: 2, known: 1, .. }), "{error}");
}
