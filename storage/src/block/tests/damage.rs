//! Files that are damaged, lost, or of a later release: what is read nevertheless.

use model::TimeRange;

use super::super::guard::GUARD_FILE;
use super::super::meta::{META_FILE, SAMPLES_FILE, SERIES_FILE};
use super::super::{Columns, INDEX_FILE, schema};
use super::{bits, open, pages_of, read, regular, write};
use crate::Error;

#[test]
fn a_damaged_page_costs_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let series: Vec<_> =
        (0..200).map(|number| regular(2000, |at| (at * at * number) as f64)).collect();
    write(dir.path(), &series);
    let path = dir.path().join(SAMPLES_FILE);
    let good = std::fs::read(&path).unwrap();
    let pages = pages_of(dir.path(), schema::V_INT);
    let largest = pages.iter().max_by_key(|page| page.compressed_page_size).unwrap();
    let (place, end) = (largest.offset + 100, largest.offset + 200);
    assert!(i64::from(largest.compressed_page_size) > 300);
    let mut bytes = good.clone();
    bytes[place as usize] ^= 1;
    bytes[end as usize] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    for is_guarded in [true, false] {
        if !is_guarded {
            std::fs::remove_file(dir.path().join(GUARD_FILE)).unwrap();
        }
        let block = open(dir.path()).unwrap();
        for _ in 0..2 {
            let (all, warnings) = read(&block, 200, TimeRange::ALL);
            assert_eq!(warnings.len(), usize::from(!is_guarded), "{warnings:?}");
            assert_eq!((block.damage().len(), block.has_losses()), (1, !is_guarded));
            for (columns, own) in all.iter().zip(&series) {
                let whole = bits(&own.1);
                let found = bits(&columns.values);
                assert!(found == whole || found.is_empty(), "a page holds whole series");
            }
            let lost = all.iter().filter(|own| own.values.is_empty()).count();
            assert!(lost <= if is_guarded { 0 } else { 4 }, "{lost} series are lost");
        }
        if is_guarded {
            assert_eq!(block.heal().unwrap(), 1);
            assert!(std::fs::read(&path).unwrap() == good, "the file is whole again");
            assert_eq!(block.heal().unwrap(), 0);
            let mut bytes = good.clone();
            bytes[place as usize] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn labels_come_from_the_index_when_the_series_file_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let series: Vec<_> = (0..30).map(|number| regular(3, |_| number as f64)).collect();
    write(dir.path(), &series);
    let block = open(dir.path()).unwrap();
    let expected: Vec<_> =
        block.read_series_file().unwrap().entries().map(|(id, own)| (id, own.clone())).collect();
    std::fs::remove_file(dir.path().join(GUARD_FILE)).unwrap();
    let path = dir.path().join(SERIES_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let block = open(dir.path()).unwrap();
    assert!(block.read_series_file().is_err());
    let rows = block.read_series().unwrap();
    let found: Vec<_> = rows.entries().map(|(id, own)| (id, own.clone())).collect();
    assert_eq!(found, expected);
}

#[test]
fn damage_of_each_file() {
    let series: Vec<_> = (0..20).map(|number| regular(50, |at| (at * number) as f64)).collect();
    for (file, place, opens, index_works, reads) in [
        (INDEX_FILE, 0, true, true, true),
        (INDEX_FILE, 100, true, true, true),
        (SERIES_FILE, 200, true, true, true), // Only needed when the index is gone.
        (SAMPLES_FILE, usize::MAX, true, true, false), // The footer.
        (META_FILE, 0, false, false, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &series);
        std::fs::remove_file(dir.path().join(GUARD_FILE)).unwrap();
        let path = dir.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = place.min(bytes.len() - 20);
        bytes[place] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        let block = open(dir.path());
        assert_eq!(block.is_ok(), opens, "{file}");
        let Ok(block) = block else { continue };
        assert_eq!(block.index().is_ok(), index_works, "{file}");
        let index = block.index().unwrap();
        let wanted: Vec<_> = index.series().iter().copied().zip(0..).collect();
        let mut out = vec![Columns::default(); 20];
        let result = block.read(&wanted, TimeRange::ALL, &mut out, &mut Vec::new());
        assert_eq!(result.is_ok(), reads, "{file}");
        if file == INDEX_FILE {
            assert_ne!(std::fs::read(&path).unwrap(), bytes, "the index was written again");
        }
    }
}

#[test]
fn index_and_series_file_both_gone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[regular(5, |at| at as f64)]);
    std::fs::remove_file(dir.path().join(GUARD_FILE)).unwrap();
    std::fs::remove_file(dir.path().join(INDEX_FILE)).unwrap();
    assert!(open(dir.path()).unwrap().index().is_ok());
    std::fs::remove_file(dir.path().join(INDEX_FILE)).unwrap();
    let path = dir.path().join(SERIES_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = open(dir.path()).unwrap().index().unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    std::fs::remove_file(path).unwrap();
    assert!(open(dir.path()).is_err());
}

#[test]
fn a_newer_block_is_refused_by_its_version() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[regular(5, |at| at as f64)]);
    let path = dir.path().join(META_FILE);
    std::fs::write(&path, "{\"format_version\": 2, \"unknown\": []}").unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found_version: 2, .. }), "{error}");
}
