//! A flipped bit and a lost sector in every file of a store in turn: the store opens, answers nothing
//! that is wrong, loses at most 64 KiB of samples, and names the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use journal::disk::SimulatedDisk;
use model::{Append, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{Settings, Store};

use crate::beside::{exemplars, full_batch, text};
use crate::support::{append, block_on, open, quiet, read, try_open};

/// What one place of damage may cost: samples of an instant and a value.
const LOST_MAX: usize = 64 * 1024 / 16;
/// Places that are tried in a file.
const PLACES: usize = 8;
const SECTOR_BYTES: usize = 512;

/// Everything a store answers, each thing under a name of its own.
type Content = BTreeMap<String, String>;

fn content(store: &Store) -> (Content, Vec<String>) {
    let (numbers, mut warnings) = read(store, TimeRange::ALL);
    let mut found = Content::new();
    for (labels, samples) in numbers {
        for (at_ms, bits) in samples {
            found.insert(format!("{labels:?} number {at_ms}"), format!("{bits:x}"));
        }
    }
    let everything = Matcher::new("__name__", MatchOp::NotEqual, "").unwrap();
    let entries = store.series(&[everything], TimeRange::ALL, 0).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut scan = store.beside(&ids, TimeRange::ALL).unwrap();
    for own in scan.by_ref() {
        let own = own.unwrap();
        let labels = &entries[own.position].labels;
        for (TimestampMs(at_ms), one) in own.histograms {
            found.insert(format!("{labels:?} histogram {at_ms}"), text(&one));
        }
        for (TimestampMs(at_ms), start) in own.starts {
            found.insert(format!("{labels:?} start {at_ms}"), format!("{start:?}"));
        }
    }
    warnings.extend(scan.warnings().iter().cloned());
    for (labels, own) in exemplars(store) {
        for one in own {
            found.insert(format!("{labels:?} exemplar {}", one.at.0), format!("{one:?}"));
        }
    }
    (found, warnings)
}

fn settings() -> Settings {
    // Two blocks of half an hour, and a rest in the journal.
    Settings { block_range_ms: 1_800_000, flush_margin_ms: 0, ..quiet() }
}

/// Numbers of every kind and all there is beside them, in two blocks and the journal.
fn filled() -> BTreeMap<PathBuf, Vec<u8>> {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), settings());
    for step in 1..=300i64 {
        let at_ms = step * 15_000;
        let numbers: Vec<(u64, i64, f64)> = (10..22)
            .map(|number| {
                let value = match number % 4 {
                    0 => number as f64,
                    1 => (step * number as i64) as f64,
                    2 => ((step * 7919 + number as i64) % 1000) as f64 / 10.0,
                    _ => (step as f64 * number as f64).sin(),
                };
                (number, at_ms, value)
            })
            .collect();
        append(&store, &numbers).unwrap();
        if step % 5 == 0 {
            block_on(store.append(full_batch(at_ms))).unwrap();
        }
        if step == 240 {
            store.flush().unwrap();
        }
    }
    drop(store);
    let door = disk.disk();
    let read = |path: PathBuf| (path.clone(), door.read(&path, usize::MAX).unwrap());
    disk.files().into_iter().map(|file| read(file.0)).collect()
}

fn disk_with(files: &BTreeMap<PathBuf, Vec<u8>>, path: &Path, bytes: &[u8]) -> SimulatedDisk {
    let disk = SimulatedDisk::new(2);
    let door = disk.disk();
    for (own, good) in files {
        door.create_dir_all(own.parent().unwrap()).unwrap();
        let bytes = if own == path { bytes } else { good };
        door.create(own).unwrap().append(bytes).unwrap();
    }
    disk
}

/// Whether one damaged place of the file costs nothing at all.
fn is_mended(path: &Path) -> bool {
    !path.starts_with("/store/journal")
}

/// Looks at a store in which one file has other bytes; whether damage was named.
#[track_caller]
fn check(disk: &SimulatedDisk, path: &Path, expected: &Content, goes_on: bool) -> bool {
    let store = try_open(&disk.disk(), settings()).unwrap();
    let (found, warnings) = content(&store);
    for (key, value) in &found {
        assert_eq!(expected.get(key), Some(value), "{key}: {warnings:?}");
    }
    let lost = expected.len() - found.len();
    let damaged = store.stats().damaged;
    assert!(lost == 0 || !damaged.is_empty(), "{lost} are lost and nothing is named");
    assert!(lost <= LOST_MAX, "{lost} are lost: {damaged:?}");
    assert!(lost == 0 || !is_mended(path), "{lost} are lost: {damaged:?} {warnings:?}");
    if !goes_on {
        return !damaged.is_empty();
    }
    // It goes on, and is not worse after a flush, a merge and another start.
    store.compact().unwrap();
    drop(store);
    let store = open(&disk.disk(), settings());
    let (again, _) = content(&store);
    assert!(again == found, "{} of {} after another start", again.len(), found.len());
    !damaged.is_empty()
}

#[test]
fn damage_of_one_place_in_every_file() {
    let files = filled();
    let expected = {
        let disk = disk_with(&files, Path::new("none"), &[]);
        let (content, warnings) = content(&open(&disk.disk(), settings()));
        assert_eq!(warnings, Vec::<String>::new());
        content
    };
    assert!(expected.len() > 4_000, "{}", expected.len());
    for (path, good) in &files {
        let step = good.len().div_ceil(PLACES).max(1);
        let (mut named, mut tried) = (0, 0);
        for place in (0..good.len()).step_by(step) {
            let mut flipped = good.clone();
            flipped[place] ^= 1 << (place / step % 8);
            let mut zeroed = good.clone();
            let sector = place / SECTOR_BYTES * SECTOR_BYTES;
            zeroed[sector..(sector + SECTOR_BYTES).min(good.len())].fill(0);
            for bytes in [flipped, zeroed].iter().filter(|bytes| *bytes != good) {
                let disk = disk_with(&files, path, bytes);
                // All of it would take long.
                named += usize::from(check(&disk, path, &expected, tried % 5 == 0));
                tried += 1;
            }
        }
        println!("{}: {} bytes, {tried} places, {named} named", path.display(), good.len());
    }
}

/// Two places of damage in one page are more than the guard mends: the page's rows are lost, and no
/// others.
#[test]
fn damage_beyond_mending_costs_the_pages_it_touches() {
    let disk = SimulatedDisk::new(3);
    let store = open(&disk.disk(), quiet());
    for part in 0..60 {
        let at = |index: u64| (part * 500 + index % 500) as i64 * 1000;
        let value = |index: u64| ((index * 7919 + part) as f64).sin();
        let samples: Vec<_> =
            (0..4000).map(|index| (index / 500, at(index), value(index))).collect();
        append(&store, &samples).unwrap();
    }
    store.flush().unwrap();
    let (expected, _) = read(&store, TimeRange::ALL);
    drop(store);
    let samples = |file: &(PathBuf, u64)| file.0.ends_with("samples.parquet");
    let (path, size) = disk.files().into_iter().find(samples).unwrap();
    let door = disk.disk();
    let mut bytes = door.read(&path, usize::MAX).unwrap();
    // Far apart, so that each chunk shares a lane with one of the others.
    let middle = size as usize / 2;
    bytes[middle..middle + 140 * 1024].fill(0x55);
    door.write_atomic(&path, &bytes).unwrap();
    let store = open(&door, quiet());
    let (found, warnings) = read(&store, TimeRange::ALL);
    let count = |content: &crate::support::Content| content.values().map(|own| own.len()).sum();
    let (lost, all): (usize, usize) = (count(&expected) - count(&found), count(&expected));
    for (labels, own) in &found {
        assert!(own.iter().all(|(at_ms, bits)| expected[labels].get(at_ms) == Some(bits)));
    }
    // About eight bytes a sample; and the pages at both ends.
    assert!(lost > 0 && lost < 140 * 1024 / 8 + 2 * 8192, "{lost} of {all}: {warnings:?}");
    assert!(!warnings.is_empty());
    assert_eq!(
        store.stats().damaged.iter().filter(|own| own.contains("rows")).count(),
        warnings.len()
    );
}
