//! The format, byte for byte, and that whatever is laid down is read back.

use super::*;
use crate::JournalOptions;
use crate::disk::SimulatedDisk;
use crate::journal::open_parts;
use crate::writer::Item;
use proptest::prelude::*;
use std::path::Path;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When this test fails, the format has changed: old files must still be read, and
/// docs/format/journal.md and the version must say so.
#[test]
fn the_bytes_of_a_segment() {
    let mut buffer = segment_header(7).to_vec();
    let mut encoder = Encoder { buffer: &mut buffer, segment: 7, offset: 0, sequence: 0 };
    encoder.push_record(3, b"abc");
    encoder.push_group(&[(1, b"x".to_vec()), (2, Vec::new())]);
    let expected = [
        // Magic, version 1, page of 32 KiB, segment 7, reserved, checksum.
        "42454c464a524e4c",
        "01000000",
        "00800000",
        "0700000000000000",
        "00000000",
        HEADER_SUM,
        // Magic, first and last, kind 3, 3 bytes, index 0, sequence 0, checksum, "abc".
        "be1f",
        "03",
        "03",
        "0300",
        "0000",
        "00000000",
        RECORD_SUM,
        "616263",
        // Magic, first, last and group, kind 0, 11 bytes, index 0, sequence 1, checksum.
        "be1f",
        "07",
        "00",
        "0b00",
        "0000",
        "01000000",
        GROUP_SUM,
        // Kind 1, 1 byte, "x"; kind 2, no bytes.
        "01",
        "01000000",
        "78",
        "02",
        "00000000",
    ];
    assert_eq!(hex(&buffer), expected.concat());
}

const HEADER_SUM: &str = "d4dd627d";
const RECORD_SUM: &str = "8680b9a0";
const GROUP_SUM: &str = "7925a35c";

#[test]
fn headers_are_judged() {
    let good = segment_header(7);
    assert_eq!(check_segment_header(&good, 7), HeaderState::Good);
    assert_eq!(check_segment_header(&good, 8), HeaderState::Damaged, "another file's header");
    assert_eq!(check_segment_header(&good[..31], 7), HeaderState::Damaged, "cut");
    for bit in 0..8 * SEGMENT_HEADER_BYTES {
        let mut flipped = good;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check_segment_header(&flipped, 7), HeaderState::Damaged, "bit {bit}");
    }
}

#[test]
fn groups_that_are_no_groups() {
    let check = |bytes: &[u8], count: Option<usize>| {
        assert_eq!(parse_group(bytes).map(|records| records.len()), count, "{bytes:?}");
    };
    check(&[], Some(0));
    check(&[1, 0, 0, 0, 0], Some(1));
    check(&[1, 0, 0, 0], None);
    check(&[1, 2, 0, 0, 0, 9], None);
    check(&[1, 255, 255, 255, 255, 9], None);
}

fn payload_bytes() -> impl Strategy<Value = usize> {
    let page = PAGE_BYTES;
    prop_oneof![6 => 0..200_usize, 2 => page - 100..page + 100, 1 => 2 * page..4 * page]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_laid_down_is_read_back(
        sizes in prop::collection::vec((any::<u8>(), payload_bytes(), 1..4_usize), 1..30),
    ) {
        let disk = SimulatedDisk::new(0).disk();
        let options = JournalOptions { segment_bytes_max: 200_000, ..JournalOptions::default() };
        let (mut writer, _) = open_parts(disk.clone(), Path::new("/log"), &options).expect("open");
        let mut expected = Vec::new();
        for (kind, size_bytes, count) in sizes {
            let records = vec![(kind, vec![kind ^ 0x5a; size_bytes]); count];
            expected.extend(records.clone());
            let item = match count {
                1 => Item::Record { kind, payload: records[0].1.clone() },
                _ => Item::Group(records),
            };
            let bytes_max = encoded_bytes_max(item.bytes());
            let before = writer.stats().written_bytes;
            writer.commit(&[item]).expect("commit");
            let written = (writer.stats().written_bytes - before) as usize;
            prop_assert!(written <= bytes_max + SEGMENT_HEADER_BYTES, "{written} > {bytes_max}");
        }
        let (_, mut replay) = open_parts(disk, Path::new("/log"), &options).expect("open");
        let found: Vec<_> = replay
            .by_ref()
            .map(|record| record.map(|record| (record.kind, record.payload)).expect("readable"))
            .collect();
        prop_assert!(found == expected);
        prop_assert!(replay.damage().is_empty(), "{:?}", replay.damage());
    }

    #[test]
    fn noise_is_read_without_panic(noise in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let disk = SimulatedDisk::new(0).disk();
        let dir = Path::new("/log");
        disk.create_dir_all(dir).expect("create");
        let path = crate::segment::segment_path(dir, 1);
        disk.create(&path).expect("create").append(&noise).expect("append");
        let (_, mut replay) = open_parts(disk, dir, &JournalOptions::default()).expect("open");
        prop_assert_eq!(replay.by_ref().count(), 0);
        prop_assert_eq!(replay.damaged_bytes(), noise.len() as u64);
    }
}
