//! What another server left on disk, as targets: chunks, a write-ahead log, OpenMetrics text.
//!
//! Place in the flow: valid bytes → the room import.
//!
//! Not here: our own files (`files`).

use std::path::Path;

use ::import::openmetrics::Pages;
use ::import::{Folder, Options};
use journal::disk::SimulatedDisk;

use super::Golden;
use crate::random::Random;

/// A chunk of three values: 1, 1, 2, a second apart.
const VALUES: [u8; 22] = [
    0, 3, 0xd0, 0x0f, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xe8, 0x07, 0x30, 0x1f, 0xc0, 0x80, 0, 0, 0, 0,
];

/// A chunk of one histogram with one bucket.
const HISTOGRAM: [u8; 26] = [
    0, 1, 0, 0, 0x02, 0x99, 0x20, 0x10, 0xbf, 0x40, 0x28, 0x99, 0x32, 0x40, 0x10, 0, 0, 0, 0, 0, 0,
    0x4c, 0x80, 0, 0, 0,
];

pub(super) fn chunk_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    vec![VALUES.to_vec(), HISTOGRAM.to_vec()]
}

pub(super) fn chunk(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    // Any answer is a good one; only a panic is not.
    let _ = ::import::xor::decode(bytes);
    let _ = ::import::histogram::decode(bytes, false);
    let _ = ::import::histogram::decode(bytes, true);
    Ok(())
}

fn fragment(record: &[u8]) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(u16::try_from(record.len()).expect("a short record").to_be_bytes());
    out.extend(crc32c::crc32c(record).to_be_bytes());
    out.extend_from_slice(record);
    out
}

/// Two series, samples and a deletion.
fn records() -> Vec<Vec<u8>> {
    let mut series = vec![1];
    for number in 1..=2_u64 {
        series.extend(number.to_be_bytes());
        series.extend(b"\x02\x08__name__\x01m\x01a\x01b");
    }
    let mut samples = vec![2];
    samples.extend(1_u64.to_be_bytes());
    samples.extend(1_700_000_000_000_u64.to_be_bytes());
    for (series, at) in [(0, 0), (2, 0), (0, 20)] {
        samples.extend([series, at]);
        samples.extend(1.5_f64.to_bits().to_be_bytes());
    }
    let mut deletion = vec![3];
    deletion.extend(2_u64.to_be_bytes());
    deletion.extend([0, 20]);
    vec![series, samples, deletion]
}

pub(super) fn record_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    records()
}

pub(super) fn record(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let _ = ::import::record::decode(bytes);
    Ok(())
}

pub(super) fn log_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    vec![records().iter().flat_map(|record| fragment(record)).collect()]
}

/// A folder with one segment: damage is named, never an error or a panic.
pub(super) fn log(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let disk = SimulatedDisk::new(1).disk();
    let folder = Path::new("/data/wal");
    let failed = |error: std::io::Error| error.to_string();
    disk.create_dir_all(folder).map_err(failed)?;
    let mut file = disk.create(&folder.join("00000000")).map_err(failed)?;
    file.append(bytes).map_err(failed)?;
    let folder = Folder::open(&disk, Path::new("/data")).map_err(|error| error.to_string())?;
    let mut batches = folder.batches(Options::default());
    while batches.next().is_some() {}
    Ok(())
}

pub(super) fn text_seeds(_: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    vec![
        b"# TYPE m counter\nm_total{a=\"b\"} 1 1.5 # {id=\"x\"} 0.5\nplain NaN 2\n# EOF\n".to_vec(),
    ]
}

pub(super) fn text(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let mut pages = Pages::new(bytes, Options::default());
    while pages.next().is_some() {}
    Ok(())
}
