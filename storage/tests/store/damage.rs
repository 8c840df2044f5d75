//! Damage on disk: set aside, named, and the rest serves.

use std::path::{Path, PathBuf};

use journal::disk::{Fault, SimulatedDisk};

use crate::support::{append, content, cut_power, labels, open, quiet, read, try_open};
use model::TimeRange;

/// Three blocks with series 1, 2 and 3, and series 4 in the journal.
fn three_blocks() -> SimulatedDisk {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    for number in 1..=3 {
        append(&store, &[(number, number as i64 * 1000, number as f64)]).unwrap();
        store.flush().unwrap();
    }
    append(&store, &[(4, 9000, 4.0)]).unwrap();
    disk
}

fn files(disk: &SimulatedDisk, name: &str) -> Vec<PathBuf> {
    let named = |path: &Path| path.file_name().is_some_and(|own| own == name);
    disk.files().into_iter().map(|file| file.0).filter(|path| named(path)).collect()
}

#[test]
fn a_block_with_a_damaged_meta_file_is_set_aside() {
    let disk = three_unguarded_blocks();
    let path = files(&disk, "meta.json")[1].clone();
    disk.flip_bit(&path, 3, 1).unwrap();
    disk.flip_bit(&path, 9, 1).unwrap();
    for _ in 0..2 {
        let store = open(&disk.disk(), quiet());
        let numbers: Vec<_> = content(&store).into_keys().collect();
        assert_eq!(numbers, [labels(1), labels(3), labels(4)]);
        let stats = store.stats();
        assert_eq!((stats.blocks, stats.damaged.len()), (2, 1), "{:?}", stats.damaged);
        assert!(!disk.disk().exists(&path).unwrap());
    }
    let store = open(&disk.disk(), quiet());
    append(&store, &[(2, 10_000, 2.0)]).unwrap();
    assert_eq!(content(&store).len(), 4, "the number of series 2 is known by the series log");
}

#[test]
fn one_flipped_bit_in_the_words_about_blocks_is_turned_back() {
    for name in ["meta.json", "manifest"] {
        for place in (0..60).step_by(7) {
            let disk = three_blocks();
            disk.flip_bit(&files(&disk, name)[0], place, (place % 8) as u8).unwrap();
            let store = open(&disk.disk(), quiet());
            assert_eq!(content(&store).len(), 4, "{name} at {place}");
            let damaged = store.stats().damaged;
            assert!(damaged.len() == 1 && damaged[0].contains(name), "{damaged:?}");
            drop(store);
            assert_eq!(open(&disk.disk(), quiet()).stats().damaged, Vec::<String>::new());
        }
    }
}

/// Three blocks whose damage can't be mended.
fn three_unguarded_blocks() -> SimulatedDisk {
    let disk = three_blocks();
    files(&disk, "guard").iter().for_each(|path| disk.disk().remove_file(path).unwrap());
    disk
}

#[test]
fn a_damaged_footer_sets_the_block_aside_while_it_serves() {
    let disk = three_unguarded_blocks();
    let path = files(&disk, "samples.parquet")[0].clone();
    let size = disk.files().iter().find(|file| file.0 == path).unwrap().1;
    disk.flip_bit(&path, size - 20, 1).unwrap();
    let store = open(&disk.disk(), quiet());
    let (found, warnings) = read(&store, TimeRange::ALL);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [labels(2), labels(3), labels(4)]);
    assert_eq!(warnings.len(), 1);
    assert_eq!(store.stats().damaged, warnings);
    assert_eq!(store.stats().blocks, 2);
}

#[test]
fn a_damaged_page_costs_its_rows() {
    let disk = three_unguarded_blocks();
    let path = files(&disk, "samples.parquet")[2].clone();
    // Somewhere in each of the first columns, far from the footer.
    for place in [40, 100, 160] {
        disk.flip_bit(&path, place, 1).unwrap();
    }
    let store = open(&disk.disk(), quiet());
    for _ in 0..2 {
        let (found, warnings) = read(&store, TimeRange::ALL);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [labels(1), labels(2), labels(4)]);
        assert_eq!(warnings.len(), 1);
        assert_eq!(store.stats().damaged, warnings, "named once");
    }
}

#[test]
fn a_damaged_index_is_built_again() {
    let disk = three_blocks();
    for path in files(&disk, "index") {
        disk.flip_bit(&path, 40, 1).unwrap();
    }
    disk.disk().remove_file(&files(&disk, "index")[0]).unwrap();
    let store = open(&disk.disk(), quiet());
    assert_eq!(content(&store).len(), 4);
    let damaged = store.stats().damaged;
    assert_eq!(damaged.len(), 2, "one was missing: {damaged:?}");
    assert!(damaged.iter().all(|text| text.contains("index")), "{damaged:?}");
    assert_eq!(files(&disk, "index").len(), 3);
}

#[test]
fn a_damaged_or_missing_manifest_is_made_again() {
    for missing in [false, true] {
        let disk = three_blocks();
        let path = Path::new("/store/manifest");
        if missing {
            disk.disk().remove_file(path).unwrap();
        } else {
            disk.flip_bit(path, 60, 1).unwrap();
        }
        let store = open(&disk.disk(), quiet());
        assert_eq!(content(&store).len(), 4);
        assert_eq!(store.stats().damaged.len(), 1);
        append(&store, &[(5, 9000, 5.0)]).unwrap();
        store.flush().unwrap();
        drop(store);
        let store = open(&disk.disk(), quiet());
        assert_eq!(content(&store).len(), 5);
        assert_eq!(store.stats().damaged, Vec::<String>::new(), "it is whole again");
    }
}

#[test]
fn a_lost_series_log_is_made_again_from_the_blocks() {
    let disk = three_blocks();
    disk.disk().remove_dir_all(Path::new("/store/series")).unwrap();
    for round in 0..2 {
        let store = open(&disk.disk(), quiet());
        assert_eq!(content(&store).len(), 4 + round);
        let answer = append(&store, &[(6, 9000, 1.0), (1, 100_000, 1.0)]).unwrap();
        assert_eq!(answer.ids[1].unwrap().0, 1, "the number is the old one");
        assert!(answer.ids[0].unwrap().0 > 4, "no number is given twice");
        cut_power(&disk, store);
    }
}

#[test]
fn a_flipped_bit_in_the_journal_costs_its_record() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    append(&store, &[(1, 0, 0.0), (2, 0, 0.0)]).unwrap();
    for at_ms in 1..200 {
        let values: Vec<_> = (1..=2).map(|number| (number, at_ms, at_ms as f64)).collect();
        append(&store, &values).unwrap();
    }
    drop(store);
    let in_journal = |path: &Path| path.starts_with("/store/journal");
    let (path, size) = disk
        .files()
        .into_iter()
        .filter(|file| in_journal(&file.0))
        .max_by_key(|file| file.1)
        .unwrap();
    disk.flip_bit(&path, size / 2, 3).unwrap();
    let store = open(&disk.disk(), quiet());
    assert_eq!(store.stats().damaged.len(), 1, "{:?}", store.stats().damaged);
    for series in content(&store).values() {
        assert!((198..200).contains(&series.len()), "{} samples", series.len());
        assert!(series.iter().all(|(at_ms, bits)| f64::from_bits(*bits) == *at_ms as f64));
    }
}

#[test]
fn a_flipped_bit_in_the_journal_costs_no_series() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    for at_ms in 0..100 {
        append(&store, &[(1, at_ms, 1.0), (2, at_ms, 2.0)]).unwrap();
    }
    drop(store);
    let path =
        disk.files().into_iter().find(|file| file.0.starts_with("/store/journal")).unwrap().0;
    disk.flip_bit(&path, 60, 3).unwrap(); // In the record that names the two series.
    let store = open(&disk.disk(), quiet());
    let found = content(&store);
    assert_eq!(found.len(), 2, "{:?}", store.stats().damaged);
    assert!(found.values().all(|series| series.len() == 99), "{found:?}");
    assert_eq!(store.stats().damaged.len(), 1, "{:?}", store.stats().damaged);
}

#[test]
fn a_flipped_bit_costs_little_of_a_large_batch() {
    let disk = SimulatedDisk::new(1);
    let store = open(&disk.disk(), quiet());
    let samples: Vec<_> =
        (0..800_000).map(|index| (1, index, 0.1 + (index as f64).sin())).collect();
    append(&store, &samples).unwrap();
    drop(store);
    let journal = |file: &(PathBuf, u64)| file.0.starts_with("/store/journal");
    let (path, size) = disk.files().into_iter().find(journal).unwrap();
    disk.flip_bit(&path, size / 2, 3).unwrap();
    let store = open(&disk.disk(), quiet());
    let left = store.stats().samples_in_memtable;
    assert!((600_000..800_000).contains(&left), "{left} are left");
    assert_eq!(store.stats().damaged.len(), 1, "{:?}", store.stats().damaged);
}

#[test]
fn what_a_newer_release_wrote_is_refused() {
    let disk = three_blocks();
    let door = disk.disk();
    let path = Path::new("/store/manifest");
    let text = String::from_utf8(door.read(path, 1 << 20).unwrap()).unwrap();
    let (_, body) = text.split_once('\n').unwrap();
    let (body, _) = body.split_once("\n\n").unwrap(); // The copy stands behind empty lines.
    let body = format!("{body}\n");
    let checksum = xxhash_rust::xxh3::xxh3_64(format!("2\n{body}").as_bytes());
    let newer = format!("BELFRY-MANIFEST 2 {checksum:016x}\n{body}");
    door.write_atomic(path, newer.as_bytes()).unwrap();
    let error = try_open(&door, quiet()).err().unwrap();
    assert!(matches!(error, storage::Error::NewerFormat { found_version: 2, .. }), "{error}");
    assert!(error.to_string().contains("start the release that wrote it"));
}

#[test]
fn a_disk_that_refuses_to_read_is_not_damage() {
    let disk = three_blocks();
    let store = open(&disk.disk(), quiet());
    assert_eq!(content(&store).len(), 4); // Footers and indexes are in memory now.
    disk.fail_next(Fault::Read);
    let (found, warnings) = read(&store, TimeRange::ALL);
    assert_eq!((found.len(), warnings.len()), (3, 1), "{warnings:?}");
    assert_eq!(content(&store).len(), 4, "it passes");
    assert_eq!(store.stats().damaged, Vec::<String>::new());
}
