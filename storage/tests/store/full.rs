//! A full disk refuses samples and nothing else, and resumes by itself; a disk that refuses to read
//! costs what it refuses.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use journal::disk::SimulatedDisk;
use model::{AppendError, TimeRange};
use storage::{Settings, Store};

use crate::support::{Content, append, content, cut_power, labels, open, quiet, read, wait_until};

const RESERVE_BYTES: u64 = 128 * 1024;

fn settings() -> Settings {
    Settings { reserve_bytes: RESERVE_BYTES, ..quiet() }
}

fn used_bytes(disk: &SimulatedDisk) -> u64 {
    disk.files().iter().map(|file| file.1).sum()
}

fn has_reserve(disk: &SimulatedDisk) -> bool {
    disk.files().iter().any(|file| file.0 == Path::new("/store/reserve") && file.1 == RESERVE_BYTES)
}

/// A store with a block, a reserve, and samples in memory.
fn prepared(disk: &SimulatedDisk) -> std::sync::Arc<Store> {
    let store = open(&disk.disk(), settings());
    append(&store, &[(1, 1, 1.0), (2, 1, 0.1)]).unwrap();
    store.flush().unwrap();
    drop(store);
    let store = open(&disk.disk(), settings());
    wait_until("the reserve is made", || has_reserve(disk));
    append(&store, &[(1, 2, 2.0)]).unwrap();
    store
}

/// Appends until the store refuses; adds what it took.
fn until_refused(store: &Store, from_ms: i64, taken: &mut Content) -> i64 {
    for at_ms in from_ms..from_ms + 10_000 {
        let samples: Vec<_> =
            (0..200).map(|number| (number, at_ms, 0.1 + (number * at_ms as u64) as f64)).collect();
        match append(store, &samples) {
            Ok(answer) => assert_eq!(answer.accepted, 200),
            Err(AppendError::Unavailable { reason }) => {
                assert!(reason.contains("full"), "{reason}");
                return at_ms;
            }
            Err(error) => panic!("{error}"),
        }
        for (number, at_ms, value) in samples {
            taken.entry(labels(number)).or_default().insert(at_ms, value.to_bits());
        }
    }
    panic!("the disk is never full");
}

#[test]
fn a_disk_that_others_fill_and_empty() {
    let disk = SimulatedDisk::new(1);
    let store = prepared(&disk);
    let mut expected = content(&store);
    // Somebody else takes everything but a little.
    disk.set_space_bytes(Some(used_bytes(&disk) + 20_000));
    let at_ms = until_refused(&store, 10, &mut expected);
    wait_until("memory is written out with the reserve", || store.stats().samples_in_memtable == 0);
    assert_eq!(content(&store), expected, "queries go on");
    // Even less than is used, whether or not the reserve fitted again meanwhile.
    disk.set_space_bytes(Some(used_bytes(&disk) - 30_000));
    assert!(append(&store, &[(1, at_ms + 1, 1.0)]).is_err(), "short until the reserve fits again");
    assert!(store.stats().unavailable.is_some_and(|reason| reason.contains("full")));
    let start = Instant::now();
    disk.set_space_bytes(None);
    wait_until("appends resume", || append(&store, &[(1, at_ms + 2, 1.0)]).is_ok());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    expected.entry(labels(1)).or_default().insert(at_ms + 2, 1.0f64.to_bits());
    assert_eq!(store.stats().unavailable, None);
    assert!(has_reserve(&disk), "for the next time");
    assert_eq!(content(&store), expected);
    cut_power(&disk, store);
    assert_eq!(content(&open(&disk.disk(), settings())), expected);
}

/// Its own journal fills the disk: the blocks that it becomes are smaller, so it goes on by itself.
#[test]
fn a_disk_that_the_journal_fills() {
    let disk = SimulatedDisk::new(2);
    let store = prepared(&disk);
    let mut expected = content(&store);
    disk.set_space_bytes(Some(used_bytes(&disk) + 1_500_000));
    let mut at_ms = 10;
    for _ in 0..2 {
        at_ms = until_refused(&store, at_ms, &mut expected) + 1;
        let sample = [(1, at_ms, 1.0)];
        wait_until("it goes on by itself", || append(&store, &sample).is_ok());
        expected.entry(labels(1)).or_default().insert(at_ms, 1.0f64.to_bits());
        at_ms += 1;
        assert!(has_reserve(&disk), "the reserve is there again");
    }
    assert_eq!(content(&store), expected);
    cut_power(&disk, store);
    assert_eq!(content(&open(&disk.disk(), settings())), expected);
}

/// The reserve is what a flush of the journal may need.
#[test]
fn the_reserve_follows_the_journal() {
    let disk = SimulatedDisk::new(7);
    let settings = || Settings { reserve_bytes: 1 << 20, ..quiet() };
    let store = open(&disk.disk(), settings());
    let reserve = |bytes: u64| {
        let is_it = |file: &(PathBuf, u64)| file.0.ends_with("reserve") && file.1 == bytes;
        wait_until(&format!("a reserve of {bytes} bytes"), || disk.files().iter().any(is_it));
    };
    append(&store, &[(1, 1, 1.0)]).unwrap();
    store.flush().unwrap();
    reserve(256 << 10);
    let noise = |from: u64| -> Vec<_> {
        (from..from + 60_000).map(|at| (1, at as i64, 0.1 + (at as f64).sin())).collect()
    };
    append(&store, &noise(10)).unwrap();
    reserve(512 << 10);
    // What others take meanwhile leaves the reserve as it is.
    disk.set_space_bytes(Some(used_bytes(&disk) + 1_200_000));
    append(&store, &noise(100_000)).unwrap();
    reserve(512 << 10);
    disk.set_space_bytes(None);
    store.flush().unwrap();
    reserve(256 << 10);
    assert!(!disk.files().iter().any(|file| file.0.ends_with("reserve.tmp")));
}

#[test]
fn a_start_on_a_full_disk() {
    let disk = SimulatedDisk::new(3);
    let store = prepared(&disk);
    let expected = content(&store);
    cut_power(&disk, store);
    disk.set_space_bytes(Some(used_bytes(&disk)));
    let store = open(&disk.disk(), settings());
    assert_eq!(content(&store), expected);
    let error = append(&store, &[(5, 5, 5.0)]).unwrap_err();
    assert!(matches!(error, AppendError::Unavailable { .. }), "{error}");
    disk.set_space_bytes(None);
    wait_until("appends resume", || append(&store, &[(5, 6, 5.0)]).is_ok());
}

/// Any sequence of full and empty keeps what was acknowledged.
#[test]
fn full_again_and_again() {
    for seed in 0..12 {
        let disk = SimulatedDisk::new(seed);
        let store = open(&disk.disk(), Settings { reserve_bytes: 0, ..quiet() });
        let mut expected = Content::new();
        let mut state = seed;
        for at_ms in 0..60 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let room = [0, 100, 1000, 5000, 1 << 30][(state >> 33) as usize % 5];
            disk.set_space_bytes(Some(used_bytes(&disk) + room));
            let samples: Vec<_> = (0..20).map(|number| (number, at_ms, state as f64)).collect();
            if append(&store, &samples).is_ok() {
                for (number, at_ms, value) in samples {
                    expected.entry(labels(number)).or_default().insert(at_ms, value.to_bits());
                }
            }
            if state >> 60 == 0 {
                let _ = store.flush();
            }
            assert_eq!(content(&store), expected, "seed {seed}");
        }
        cut_power(&disk, store);
        let (found, _) = read(&open(&disk.disk(), quiet()), TimeRange::ALL);
        for (labels, series) in expected {
            for (at_ms, bits) in series {
                assert_eq!(found[&labels].get(&at_ms), Some(&bits), "seed {seed}");
            }
        }
    }
}

fn files(disk: &SimulatedDisk, name: &str) -> Vec<PathBuf> {
    let paths = disk.files().into_iter().map(|file| file.0);
    paths.filter(|path| path.file_name().is_some_and(|own| own == name)).collect()
}

#[test]
fn a_block_that_cannot_be_read_for_now() {
    let disk = SimulatedDisk::new(4);
    let store = open(&disk.disk(), quiet());
    for number in 1..=3 {
        append(&store, &[(number, number as i64 * 1000, number as f64)]).unwrap();
        store.flush().unwrap();
    }
    drop(store);
    let path = files(&disk, "meta.json")[1].clone();
    disk.set_unreadable(&path, true).unwrap();
    let store = open(&disk.disk(), quiet());
    let (found, warnings) = read(&store, TimeRange::ALL);
    assert_eq!((found.len(), warnings.len()), (2, 1), "{warnings:?}");
    assert!(warnings[0].contains("meta.json"), "{warnings:?}");
    assert_eq!(store.stats().damaged, warnings);
    // It stays where it is, over a flush too, and is tried again.
    append(&store, &[(4, 9000, 4.0)]).unwrap();
    store.flush().unwrap();
    disk.set_unreadable(&path, false).unwrap();
    wait_until("the block is back", || store.stats().damaged.is_empty());
    assert_eq!(content(&store).len(), 4);
    drop(store);
    assert_eq!(content(&open(&disk.disk(), quiet())).len(), 4);
}

#[test]
fn samples_of_a_block_that_cannot_be_read_for_now() {
    for name in ["samples.parquet", "series.parquet", "index"] {
        let disk = SimulatedDisk::new(5);
        let store = open(&disk.disk(), quiet());
        for number in 1..=3 {
            append(&store, &[(number, number as i64 * 1000, number as f64)]).unwrap();
            store.flush().unwrap();
        }
        drop(store);
        let path = files(&disk, name)[1].clone();
        disk.set_unreadable(&path, true).unwrap();
        let store = open(&disk.disk(), quiet());
        let (found, warnings) = read(&store, TimeRange::ALL);
        let lost = usize::from(name == "samples.parquet");
        assert_eq!((found.len(), warnings.len()), (3 - lost, lost), "{name}: {warnings:?}");
        disk.set_unreadable(&path, false).unwrap();
        assert_eq!(content(&store).len(), 3, "{name}: it passes");
        assert_eq!(store.stats().damaged, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_journal_segment_that_cannot_be_read() {
    let disk = SimulatedDisk::new(6);
    for at_ms in 1..=3 {
        let store = open(&disk.disk(), quiet());
        append(&store, &[(1, at_ms, at_ms as f64)]).unwrap();
        drop(store);
    }
    let in_journal = |path: &&PathBuf| path.starts_with("/store/journal");
    let paths: Vec<PathBuf> = disk.files().into_iter().map(|file| file.0).collect();
    let path = paths.iter().filter(in_journal).nth(1).unwrap().clone();
    disk.set_unreadable(&path, true).unwrap();
    let store = open(&disk.disk(), quiet());
    assert_eq!(content(&store)[&labels(1)].keys().copied().collect::<Vec<_>>(), [1, 3]);
    let damaged = store.stats().damaged;
    assert!(damaged.len() == 1 && damaged[0].contains(path.to_str().unwrap()), "{damaged:?}");
    // A flush removes the journal, and not the only copy of what it could not read.
    append(&store, &[(1, 4, 4.0)]).unwrap();
    store.flush().unwrap();
    let kept = Path::new("/store/journal/unreadable").join(path.file_name().unwrap());
    assert!(!disk.disk().exists(&path).unwrap() && disk.disk().exists(&kept).unwrap());
    drop(store);
    let damaged = open(&disk.disk(), quiet()).stats().damaged;
    assert!(damaged.len() == 1 && damaged[0].contains(kept.to_str().unwrap()), "{damaged:?}");
}
