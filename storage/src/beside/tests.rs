//! Bytes of histograms, records, files and merges.

/// What is in no block yet.
mod memory;

use std::path::Path;
use std::sync::Arc;

use journal::disk::Disk;
use model::append::{Metadata, SeriesId};
use model::exporter::MetricKind;
use model::histogram::{Buckets, CUSTOM_SCHEMA, ResetHint, Span};
use model::sample::stale_nan;
use model::{Histogram, Labels, TimeRange, TimestampMs};
use proptest::prelude::*;

use super::exemplars::{Exemplar, Numbered};
use super::file::{EXEMPLARS_FILE, HISTOGRAMS_FILE, STARTS_FILE};
use super::histograms::SeriesHistograms;
use super::merge::Merge;
use super::records::{self, NumberedHistogram, NumberedStart, Record};
use super::{HistogramRow, Rows, codec, scan};
use crate::block::cache::Cache;
use crate::block::writer::Heading;
use crate::block::{Block, BlockWriter, Effort};
use crate::encoding::varint::Reader;

fn buckets(first: i32, counts: &[f64]) -> Buckets {
    Buckets::dense(first, counts.to_vec())
}

fn growing(step: u64) -> Histogram {
    let count = |bucket: u64| (step * (bucket % 3) + bucket) as f64;
    let counts: Vec<f64> = (0..20).map(count).collect();
    Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: step as f64,
        count: counts.iter().sum::<f64>() + step as f64,
        sum: (step as f64).sqrt() * 17.3,
        positive: buckets(-5, &counts),
        ..Histogram::default()
    }
}

fn count() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0u32..50).prop_map(f64::from),
        1 => (0u64..1 << 53).prop_map(|count| count as f64),
        1 => (0u32..5000).prop_map(|count| f64::from(count) / 8.0),
        1 => Just(f64::INFINITY),
    ]
}

fn side() -> impl Strategy<Value = Buckets> {
    proptest::collection::vec((0i32..5, proptest::collection::vec(count(), 0..6)), 0..4).prop_map(
        |parts| {
            let mut counts = Vec::new();
            let mut spans = Vec::new();
            for (offset, own) in parts {
                let offset = if spans.is_empty() { offset - 3 } else { offset };
                spans.push(Span { offset, length: own.len() as u32 });
                counts.extend(own);
            }
            Buckets::from_spans(spans, counts).expect("the parts fit")
        },
    )
}

pub fn any_histogram() -> impl Strategy<Value = Histogram> {
    let numbers = (count(), count(), any::<u64>(), 0u8..4);
    let exponential = (-4i32..=8, side(), side(), numbers).prop_map(
        |(schema, positive, negative, (zero_count, count, sum, hint))| Histogram {
            schema,
            zero_threshold: if sum % 2 == 0 { 2f64.powi(-128) } else { 0.0 },
            zero_count,
            count,
            sum: if sum % 7 == 0 { stale_nan() } else { f64::from_bits(sum) },
            positive,
            negative,
            custom_values: Vec::new(),
            hint: codec::hint_of(hint),
        },
    );
    let bounds = proptest::collection::btree_set(-1000i32..1000, 0..8);
    let custom = (bounds, count(), any::<f64>()).prop_map(|(bounds, count, sum)| {
        let custom_values: Vec<f64> = bounds.into_iter().map(|one| f64::from(one) / 4.0).collect();
        let counts = vec![count; custom_values.len() + 1];
        Histogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum,
            positive: buckets(0, &counts),
            custom_values,
            hint: ResetHint::Gauge,
            ..Histogram::default()
        }
    });
    prop_oneof![3 => exponential, 1 => custom]
}

/// Equal to the bit, hints and empty buckets included.
#[track_caller]
fn assert_same(own: &Histogram, expected: &Histogram) {
    assert!(codec::same_content(own, expected), "{own:?} is not {expected:?}");
    assert_eq!(own.hint, expected.hint);
}

fn assert_rows(own: &[HistogramRow], expected: &[HistogramRow]) {
    assert_eq!(own.len(), expected.len());
    for (own, expected) in own.iter().zip(expected) {
        assert_eq!((own.at_ms, own.start_ms), (expected.at_ms, expected.start_ms));
        assert_same(&own.histogram, &expected.histogram);
    }
}

fn labels(number: u64) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &format!("{number:05}"))])
}

fn write(dir: &Path, series: &[Rows], exemplars: Vec<Numbered>) -> Arc<Block> {
    let mut writer = BlockWriter::create(&Disk::real(), dir, Effort::Quick).unwrap();
    for (number, rows) in (0u64..).zip(series) {
        // Every other series has numbers too.
        let numbers: &[i64] = if number % 2 == 0 || rows.is_empty() { &[7] } else { &[] };
        let values: Vec<f64> = numbers.iter().map(|_| 1.5).collect();
        let own = (numbers, values.as_slice());
        writer.add_with(SeriesId(100 + number), &labels(number), own, rows).unwrap();
    }
    writer.add_exemplars(exemplars);
    let heading = Heading {
        tombstones_applied: Vec::new(),
        block_id: "B".to_owned(),
        level: 0,
        created: TimestampMs(5),
        sources: Vec::new(),
    };
    writer.finish(heading).unwrap();
    open(dir)
}

fn open(dir: &Path) -> Arc<Block> {
    Arc::new(Block::open(&Disk::real(), dir, &Arc::new(Cache::new(1 << 20))).unwrap())
}

fn read(block: &Block, count: usize, range: TimeRange) -> (Vec<Rows>, Vec<String>) {
    let ids: Vec<SeriesId> = (0..count as u64).map(|number| SeriesId(100 + number)).collect();
    let mut warnings = Vec::new();
    (scan::read_block(block, &ids, range, &mut warnings), warnings)
}

fn regular(count: u64, own: impl Fn(u64) -> Histogram) -> Rows {
    let row = |step: u64| HistogramRow {
        at_ms: step as i64 * 15_000,
        start_ms: step.is_multiple_of(2).then_some(-5),
        histogram: Arc::new(own(step)),
    };
    let starts = (0..count as i64).map(|step| (step * 15_000 + 7, 3)).collect();
    Rows { histograms: (0..count).map(row).collect(), starts }
}

#[test]
fn a_usual_series_takes_few_bytes() {
    let mut series = SeriesHistograms::default();
    for step in 0..480 {
        series.insert(step * 15_000, Arc::new(growing(step as u64)));
    }
    let per_histogram = series.bytes() / 480;
    assert!(per_histogram < 50, "{per_histogram} bytes for 20 buckets, 14 of which grow");
}

/// The bytes of docs/format/store-journal.md, written by hand.
#[test]
fn the_bytes_of_version_1() {
    let own = Histogram {
        schema: 1,
        count: 3.0,
        sum: 2.0,
        positive: buckets(-1, &[1.0, 0.0, 0.0, 2.0]),
        ..Histogram::default()
    };
    let one = NumberedHistogram { id: SeriesId(2), at_ms: 3, histogram: Arc::new(own.clone()) };
    let later = Histogram { count: 4.0, hint: ResetHint::NotReset, ..own };
    let two = NumberedHistogram { id: SeriesId(2), at_ms: 5, histogram: Arc::new(later) };
    let mut all = Vec::new();
    records::encode_histograms(&[one, two], &mut all);
    let first = [4, 6, 8, 2, 0, 0, 1, 1, 4, 0, 6, 5, 2, 1, 0, 0, 4, 0x07, 0x40];
    let second = [0, 4, 0x0d, 2, 0, 4, 0x80];
    assert_eq!(all, vec![(records::KIND_HISTOGRAMS, [&first[..], &second[..]].concat())]);
    let mut all = Vec::new();
    records::encode_starts(&[NumberedStart { id: SeriesId(2), at_ms: 3, start_ms: -1 }], &mut all);
    let labels = Labels::from_pairs([("a", "b")]);
    let exemplar = Exemplar { at: TimestampMs(3), value: 0.5, labels };
    records::encode_exemplars(&[Numbered { id: SeriesId(2), exemplar }], &mut all);
    let metadata = Metadata { kind: MetricKind::Gauge, unit: "s".to_owned(), help: "H".to_owned() };
    records::encode_families(&[("m".to_owned(), metadata)], &mut all);
    assert_eq!(all[0], (records::KIND_STARTS, vec![4, 6, 1]));
    assert_eq!(all[1], (records::KIND_EXEMPLARS, vec![4, 6, 0x51, 2, 1, 1, b'a', b'b']));
    assert_eq!(all[2], (records::KIND_METADATA, vec![1, b'm', 2, 1, b's', 1, b'H']));
}

#[test]
fn files_of_a_block_over_several_row_groups() {
    let dir = tempfile::tempdir().unwrap();
    let long = regular(20_000, |step| Histogram { count: step as f64, ..Histogram::default() });
    let mut series: Vec<Rows> = (0..40).map(|_| regular(300, growing)).collect();
    series[17] = long;
    series[3] = Rows::default();
    let exemplar = |id: u64| Numbered {
        id: SeriesId(id),
        exemplar: Exemplar {
            at: TimestampMs(-50),
            value: f64::NAN,
            labels: Labels::from_pairs([("trace_id", "abc"), ("x", "y")]),
        },
    };
    let block = write(dir.path(), &series, vec![exemplar(100), exemplar(7)]);
    for name in [HISTOGRAMS_FILE, STARTS_FILE, EXEMPLARS_FILE] {
        assert!(block.meta().file(name).is_some(), "{name}");
    }
    assert_eq!(block.meta().max_ms, 19_999 * 15_000 + 7);
    let (all, warnings) = read(&block, 40, TimeRange::ALL);
    assert_eq!(warnings, Vec::<String>::new());
    for (own, expected) in all.iter().zip(&series) {
        assert_rows(&own.histograms, &expected.histograms);
        assert_eq!(own.starts, expected.starts);
    }
    let range = TimeRange::new(TimestampMs(15_000), TimestampMs(60_000)).unwrap();
    let (part, _) = read(&block, 40, range);
    let counts: Vec<usize> = part.iter().map(|rows| rows.histograms.len()).collect();
    assert_eq!((counts[0], counts[3], counts[17]), (3, 0, 3));
    let back = super::table::exemplars(&block, &mut Vec::new());
    assert_eq!(format!("{back:?}"), format!("{:?}", [exemplar(100), exemplar(7)]));
}

#[test]
fn damage_costs_a_row_group_or_one_file() {
    let series: Vec<Rows> = (0..60).map(|_| regular(300, growing)).collect();
    for (name, from_end, whole) in [(HISTOGRAMS_FILE, false, false), (HISTOGRAMS_FILE, true, true)]
    {
        let dir = tempfile::tempdir().unwrap();
        drop(write(dir.path(), &series, Vec::new()));
        let path = dir.path().join(name);
        let guard = dir.path().join(crate::block::guard::GUARD_FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = if from_end { bytes.len() - 30 } else { 1000 };
        bytes[place] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        let block = open(dir.path());
        let (all, warnings) = read(&block, 60, TimeRange::ALL);
        assert_eq!((warnings.len(), block.damage().len()), (0, 1), "it is mended");
        assert!(all.iter().all(|rows| rows.histograms.len() == 300));
        std::fs::remove_file(guard).unwrap();
        let block = open(dir.path());
        let (all, warnings) = read(&block, 60, TimeRange::ALL);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!(block.damage(), warnings);
        assert!(warnings[0].contains(name), "{warnings:?}");
        let left = all.iter().filter(|rows| rows.histograms.len() == 300).count();
        assert_eq!(left == 0, whole, "{left} series are left");
        assert!(all.iter().all(|rows| rows.starts.len() == 300), "the other file serves");
        assert!(!block.is_set_aside());
        let order = (0..60).map(|number| SeriesId(100 + number));
        let mut merge = Merge::new(&[block], order);
        assert!(merge.series(SeriesId(100), &|_| true).is_err(), "a merge stops at damage");
    }
}

#[test]
fn blocks_become_one() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let early: Vec<Rows> = (0..100).map(|_| regular(20, growing)).collect();
    let mut late = early.clone();
    for rows in &mut late {
        rows.histograms.iter_mut().for_each(|row| row.at_ms += 15 * 15_000);
        rows.starts.clear();
    }
    let blocks = [write(one.path(), &early, Vec::new()), write(two.path(), &late, Vec::new())];
    let order = || (0..100).map(|number| SeriesId(100 + number));
    let mut merge = Merge::new(&blocks, order());
    for number in order().filter(|id| id.0 % 3 > 0) {
        let rows = merge.series(number, &|at_ms| at_ms >= 30_000).unwrap();
        assert_eq!((rows.histograms.len(), rows.starts.len()), (33, 18));
        let instants: Vec<i64> = rows.histograms.iter().map(|row| row.at_ms / 15_000).collect();
        assert_eq!(instants, (2..35).collect::<Vec<_>>());
        let overlapping = &rows.histograms[15 - 2].histogram;
        assert_same(overlapping, &growing(0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_histogram_comes_back(all in proptest::collection::vec(any_histogram(), 1..12)) {
        let mut bytes = Vec::new();
        let mut previous = None;
        for own in &all {
            codec::put(previous, own, &mut bytes);
            previous = Some(own);
        }
        let mut reader = Reader::new(&bytes);
        let mut back: Vec<Histogram> = Vec::new();
        for _ in &all {
            let own = codec::read(back.last(), &mut reader).expect("what was written");
            back.push(own);
        }
        prop_assert!(reader.is_empty());
        for (own, expected) in back.iter().zip(&all) {
            assert_same(own, expected);
        }
        for end in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..end]);
            while codec::read(back.first(), &mut reader).is_some() {} // Must not panic.
        }
    }

    #[test]
    fn records_come_back(
        all in proptest::collection::vec((0u64..9, any::<i32>(), any_histogram()), 0..30),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let numbered = |(id, at, own): &(u64, i32, Histogram)| NumberedHistogram {
            id: SeriesId(*id),
            at_ms: i64::from(*at),
            histogram: Arc::new(own.clone()),
        };
        let all: Vec<NumberedHistogram> = all.iter().map(numbered).collect();
        let mut encoded = Vec::new();
        records::encode_histograms(&all, &mut encoded);
        let mut back = Vec::new();
        for (kind, payload) in &encoded {
            match records::decode(*kind, payload) {
                Some(Record::Histograms(own)) => back.extend(own),
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(back.len(), all.len());
        for (own, expected) in back.iter().zip(&all) {
            prop_assert_eq!((own.id, own.at_ms), (expected.id, expected.at_ms));
            assert_same(&own.histogram, &expected.histogram);
        }
        for kind in records::KINDS {
            records::decode(kind, &bytes); // Must not panic.
        }
    }

    #[test]
    fn files_bring_back_any_histogram(
        all in proptest::collection::vec(proptest::collection::vec(any_histogram(), 0..20), 1..6)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let rows = |own: &Vec<Histogram>| Rows {
            histograms: (0i64..)
                .zip(own)
                .map(|(at_ms, own)| HistogramRow {
                    at_ms,
                    start_ms: (at_ms % 3 == 0).then_some(at_ms - 10),
                    histogram: Arc::new(own.clone()),
                })
                .collect(),
            starts: Vec::new(),
        };
        let series: Vec<Rows> = all.iter().map(rows).collect();
        let block = write(dir.path(), &series, Vec::new());
        let (back, warnings) = read(&block, series.len(), TimeRange::ALL);
        prop_assert!(warnings.is_empty());
        for (own, expected) in back.iter().zip(&series) {
            assert_rows(&own.histograms, &expected.histograms);
        }
    }
}

/// What a usual histogram takes on disk; `growing` has 20 buckets, 14 of which grow.
#[test]
fn a_usual_histogram_takes_few_bytes_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let series: Vec<Rows> = (0..60)
        .map(|number| Rows {
            starts: Vec::new(),
            ..regular(480, |step| growing(step + number * 17))
        })
        .collect();
    let block = write(dir.path(), &series, Vec::new());
    let bytes = block.meta().file(HISTOGRAMS_FILE).map_or(0, |file| file.size_bytes) / (60 * 480);
    assert!(bytes < 40, "{bytes} bytes a histogram");
}
