//! What is in no block yet: histograms and start times against a plain list, exemplars, families.

use std::sync::Arc;

use journal::disk::Disk;
use model::append::{Metadata, SeriesId};
use model::exporter::MetricKind;
use model::{Labels, TimeRange, TimestampMs};
use proptest::prelude::*;

use super::super::exemplars::{Exemplar, Ring};
use super::super::metadata::{DESCRIPTIONS_MAX, Families};
use super::super::starts::SeriesStarts;
use super::super::{HistogramRow, Memory, Taken};
use super::{any_histogram, assert_rows, growing};

#[test]
fn the_ring_is_bounded_and_forgets_the_oldest() {
    const EXEMPLARS_MAX: usize = 1000;
    let mut ring = Ring::new(EXEMPLARS_MAX as u64);
    let exemplar = |number: usize| Exemplar {
        at: TimestampMs(number as i64),
        value: 1.0,
        labels: Labels::from_pairs([("trace_id", &number.to_string())]),
    };
    for number in 0..EXEMPLARS_MAX + 10 {
        ring.insert(SeriesId(number as u64 % 3), exemplar(number), false);
    }
    ring.insert(SeriesId(2), exemplar(EXEMPLARS_MAX + 1), false);
    assert_eq!(ring.len(), EXEMPLARS_MAX, "one that is there already is not taken twice");
    let oldest = ring.series().flat_map(|id| ring.of(id).next()).map(|one| one.at.0).min();
    assert_eq!(oldest, Some(10));
    let (unflushed, end) = ring.unflushed();
    assert_eq!(unflushed.len(), EXEMPLARS_MAX);
    ring.set_flushed(end);
    ring.insert(SeriesId(9), exemplar(5), false);
    assert_eq!(ring.unflushed().0.len(), 1);
}

#[test]
fn families_keep_a_few_descriptions_each() {
    let told = |help: &str| Metadata {
        kind: MetricKind::Counter,
        unit: String::new(),
        help: help.to_owned(),
    };
    let mut families = Families::default();
    assert!(families.is_news("m", &told("a")));
    for help in ["a", "b", "a"] {
        families.tell("m", told(help));
    }
    assert!(!families.is_news("m", &told("a")));
    assert_eq!(families.list(0, None), vec![("m".to_owned(), vec![told("a"), told("b")])]);
    (0..20).for_each(|number| families.tell("m", told(&number.to_string())));
    assert_eq!(families.list(0, Some("m"))[0].1.len(), DESCRIPTIONS_MAX);
    families.tell("n", told("x"));
    assert_eq!((families.list(1, None).len(), families.list(0, Some("o")).len()), (1, 0));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metadata");
    let bytes = families.encode();
    for index in 0..bytes.len() + 1 {
        let mut own = bytes.clone();
        if let Some(byte) = own.get_mut(index) {
            *byte ^= 1;
        }
        std::fs::write(&path, own).unwrap();
        let mut back = Families::default();
        match back.read(&Disk::real(), dir.path()) {
            Ok(None) => assert_eq!(index, bytes.len(), "only the whole file is taken"),
            Ok(Some(_)) | Err(crate::Error::NewerFormat { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        if index == bytes.len() {
            assert_eq!(back.list(0, None), families.list(0, None));
        }
    }
}

#[test]
fn slots_are_numbered_anew() {
    let mut memory = Memory::default();
    for slot in [3, 7, 20] {
        memory.insert_histogram(slot, i64::from(slot), Arc::new(growing(1)));
    }
    memory.insert_start(9, (5, 1));
    let kept = memory.slots() | roaring::RoaringBitmap::from_iter([1, 30]);
    let bytes = memory.bytes();
    memory.renumber(&kept);
    assert_eq!(memory.slots().iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(memory.active().iter().collect::<Vec<_>>(), [1, 2, 4]);
    assert!(memory.histogram_at(4, 20).is_some() && memory.histogram_at(2, 7).is_some());
    assert_eq!(memory.bytes(), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_is_a_sorted_list(
        steps in proptest::collection::vec((0i64..400, any_histogram()), 1..150),
        removed in proptest::collection::btree_set(0i64..400, 0..40),
    ) {
        let mut memory = Memory::default();
        let mut plain = std::collections::BTreeMap::new();
        for (at_ms, own) in steps {
            memory.insert_histogram(4, at_ms, Arc::new(own.clone()));
            memory.insert_start(4, (at_ms, at_ms / 100));
            plain.insert(at_ms, own);
        }
        let taken: Vec<i64> = removed.into_iter().filter(|at_ms| plain.remove(at_ms).is_some()).collect();
        let taken = Taken { slot: 4, starts_ms: taken.clone(), histograms_ms: taken };
        memory.remove(&[taken]);
        prop_assert_eq!(memory.count(), plain.len() as u64);
        prop_assert_eq!(memory.oldest_ms(), plain.keys().next().copied());
        prop_assert_eq!(memory.newest_ms(), plain.keys().next_back().copied());
        prop_assert_eq!(memory.active().contains(4), !plain.is_empty());
        let rows = memory.piece(4, TimeRange::ALL).map(|piece| piece.rows(TimeRange::ALL));
        let rows = rows.unwrap_or_default();
        prop_assert!(rows.starts.is_empty());
        let expected: Vec<HistogramRow> = plain
            .iter()
            .map(|(at_ms, own)| HistogramRow {
                at_ms: *at_ms,
                start_ms: Some(at_ms / 100),
                histogram: Arc::new(own.clone()),
            })
            .collect();
        assert_rows(&rows.histograms, &expected);
        let instants: Vec<i64> = plain.keys().copied().collect();
        memory.remove(&[Taken { slot: 4, starts_ms: instants.clone(), histograms_ms: instants }]);
        prop_assert_eq!((memory.bytes(), memory.count(), memory.is_empty()), (0, 0, true));
    }

    #[test]
    fn starts_come_back(all in proptest::collection::vec((0i64..1000, -5i64..5), 0..80)) {
        let mut starts = SeriesStarts::default();
        let mut plain = std::collections::BTreeMap::new();
        for (at_ms, start_ms) in all {
            starts.insert((at_ms, start_ms));
            plain.insert(at_ms, start_ms);
        }
        prop_assert_eq!(starts.decode(TimeRange::ALL), plain.into_iter().collect::<Vec<_>>());
    }
}
