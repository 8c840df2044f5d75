//! Blocks written and read back.

/// Files that are damaged, lost, or of a later release.
mod damage;

use std::path::Path;
use std::sync::Arc;

use journal::disk::Disk;
use model::append::SeriesId;
use model::sample::stale_nan;
use model::{Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use proptest::prelude::*;

use super::cache::Cache;
use super::guard::GUARD_FILE;
use super::meta::{META_FILE, Meta, SAMPLES_FILE, checksum_text};
use super::writer::Heading;
use super::{Ask, Block, BlockRows, BlockWriter, Columns, Effort};
use crate::Error;
use crate::read::Want;

fn labels(number: u64) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("i", &format!("{number:05}"))])
}

fn write(dir: &Path, series: &[(Vec<i64>, Vec<f64>)]) -> Meta {
    let mut writer = BlockWriter::create(&Disk::real(), dir, Effort::Thorough).unwrap();
    for (number, (instants, values)) in (0..).zip(series) {
        writer.add(SeriesId(1000 - number), &labels(number), instants, values).unwrap();
    }
    let heading = Heading {
        block_id: "B".to_owned(),
        level: 0,
        created: TimestampMs(5),
        sources: Vec::new(),
        tombstones_applied: Vec::new(),
    };
    writer.finish(heading).unwrap()
}

fn open(dir: &Path) -> Result<Block, Error> {
    Block::open(&Disk::real(), dir, &Arc::new(Cache::new(1 << 20)))
}

fn read(block: &Block, count: usize, range: TimeRange) -> (Vec<Columns>, Vec<String>) {
    let index = block.index().unwrap();
    let wanted: Vec<_> = index.series().iter().copied().zip(0..).collect();
    let (mut out, mut warnings) = (vec![Columns::default(); count], Vec::new());
    block.read(&wanted, range, &mut out, &mut warnings).unwrap();
    (out, warnings)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn regular(count: usize, value: impl Fn(usize) -> f64) -> (Vec<i64>, Vec<f64>) {
    ((0..count as i64).map(|at| at * 1000).collect(), (0..count).map(value).collect())
}

#[test]
fn many_series_over_several_row_groups_and_pages() {
    let dir = tempfile::tempdir().unwrap();
    let series: Vec<_> = (0..150)
        .map(|number| {
            // One is longer than a page, one needs floats, one is mixed.
            let count = if number == 70 { 40_000 } else { 2500 };
            regular(count, |at| match number {
                3 => (at as f64).sin(),
                4 if at % 100 == 0 => stale_nan(),
                4 => at as f64 / 8.0,
                _ => (at * number) as f64,
            })
        })
        .collect();
    let meta = write(dir.path(), &series);
    assert_eq!((meta.series, meta.min_ms, meta.max_ms), (150, 0, 39_999_000));
    let block = open(dir.path()).unwrap();
    let (all, warnings) = read(&block, 150, TimeRange::ALL);
    assert_eq!(warnings, Vec::<String>::new());
    for (number, (columns, (instants, values))) in all.iter().zip(&series).enumerate() {
        assert_eq!(&columns.instants_ms, instants, "series {number}");
        assert_eq!(bits(&columns.values), bits(values), "series {number}");
    }
    let range = TimeRange::new(TimestampMs(2_400_000), TimestampMs(2_410_000)).unwrap();
    let (part, _) = read(&block, 150, range);
    assert!(part.iter().all(|columns| columns.instants_ms.len() == 10), "ten rows of each series");
    let index = block.index().unwrap();
    let matcher = Matcher::new("i", MatchOp::Regex, "0007.").unwrap();
    assert_eq!(index.index().select(&[matcher]).len(), 10);
    assert_eq!(index.sid_of(SeriesId(930)), Some(70));
}

/// Where the pages of a column of the first row group are.
fn pages_of(dir: &Path, column: usize) -> Vec<PageLocation> {
    let file = std::fs::File::open(dir.join(SAMPLES_FILE)).unwrap();
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let reader = SerializedFileReader::new_with_options(file, options).unwrap();
    let offsets = reader.metadata().offset_index().unwrap();
    offsets[0][column].page_locations().clone()
}

/// Every third series misses its schedule once, every fifth ends early.
fn partly_regular() -> Vec<(Vec<i64>, Vec<f64>)> {
    let series = (0..90).map(|number: usize| {
        let count = if number % 5 == 4 { 700 } else { 1500 };
        let (mut instants, values) = regular(count, |at| ((at * at * number) % 9973) as f64);
        if number % 3 == 2 {
            instants[count / 2] += 1;
        }
        (instants, values)
    });
    series.collect()
}

#[test]
fn any_range_of_regular_and_other_series() {
    let dir = tempfile::tempdir().unwrap();
    let series = partly_regular();
    write(dir.path(), &series);
    let block = open(dir.path()).unwrap();
    let index = block.index().unwrap();
    for (own, (instants, _)) in index.series().iter().zip(&series) {
        let is_even = instants.windows(2).all(|pair| pair[1] - pair[0] == 1000);
        assert_eq!((own.is_regular, own.rows), (is_even, instants.len() as u64));
    }
    let rows = block.read_series_file().unwrap();
    assert_eq!(rows.series, index.series(), "series.parquet knows it too");
    for (start_ms, end_ms) in [
        (i64::MIN, i64::MAX),
        (i64::MIN, 0),
        (0, 1),
        (-5, 5),
        (1, 1000),
        (1, 1001),
        (699_000, 699_001),
        (349_500, 750_001),
        (1_499_000, i64::MAX),
        (1_499_001, i64::MAX),
    ] {
        let range = TimeRange::new(TimestampMs(start_ms), TimestampMs(end_ms)).unwrap();
        let (all, warnings) = read(&block, series.len(), range);
        assert_eq!(warnings, Vec::<String>::new());
        for (columns, (instants, values)) in all.iter().zip(&series) {
            let rows = instants.partition_point(|at| *at < start_ms)
                ..instants.partition_point(|at| *at < end_ms);
            assert_eq!(columns.instants_ms, instants[rows.clone()], "{start_ms}..{end_ms}");
            assert_eq!(bits(&columns.values), bits(&values[rows]), "{start_ms}..{end_ms}");
        }
    }
}

#[test]
fn parts_of_series_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let series: Vec<_> = (0..60usize)
        .map(|number| {
            let (mut instants, values) = regular(700, |at| match (number % 4, at % 3) {
                (0, _) | (2, 0) => (at as f64 + number as f64).sin(),
                (3, 0) => stale_nan(),
                _ => (at * at * number % 9973) as f64,
            });
            instants[350] += i64::from(number % 5 == 0);
            (instants, values)
        })
        .collect();
    write(dir.path(), &series);
    let block = open(dir.path()).unwrap();
    let index = block.index().unwrap();
    let mut rows = BlockRows::new(&block).unwrap();
    for round in 0..600 {
        let number = round * 37 % series.len();
        let start_ms = (round * 131 % 700) as i64 * 1000 - 50_000;
        let end_ms = start_ms + 1 + (round * 53 % 90) as i64 * 1000;
        let range = TimeRange::new(TimestampMs(start_ms), TimestampMs(end_ms)).unwrap();
        let (instants, values) = &series[number];
        let inside = instants.partition_point(|at| *at < start_ms)
            ..instants.partition_point(|at| *at < end_ms);
        let mut read = |want| {
            let (mut columns, mut warnings) = (Columns::default(), Vec::new());
            let ask = Ask { range, want, next: &|_| () };
            rows.append(&block, &index.series()[number], ask, (&mut columns, &mut warnings));
            assert_eq!(warnings, Vec::<String>::new());
            columns
        };
        let all = read(Want::All);
        assert_eq!(all.instants_ms, instants[inside.clone()], "{number} {range:?}");
        assert_eq!(bits(&all.values), bits(&values[inside.clone()]), "{number} {range:?}");
        let newest = read(Want::Newest);
        assert_eq!(newest.instants_ms.last(), all.instants_ms.last(), "{number} {range:?}");
        let last = |columns: &Columns| columns.values.last().map(|value| value.to_bits());
        assert_eq!(last(&newest), last(&all), "{number} {range:?}");
    }
}

#[test]
fn regular_series_do_not_need_their_instants() {
    let dir = tempfile::tempdir().unwrap();
    let mut series = partly_regular();
    // One page of instants of regular series, then pages of the others.
    series.sort_by_key(|own| own.0.windows(2).any(|pair| pair[1] - pair[0] != 1000));
    write(dir.path(), &series);
    std::fs::remove_file(dir.path().join(GUARD_FILE)).unwrap();
    let path = dir.path().join(SAMPLES_FILE);
    let pages = pages_of(dir.path(), super::schema::TS);
    assert!(pages[1].first_row_index > 40_000 && pages.len() > 5, "{pages:?}");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = pages.last().unwrap();
    bytes[pages[0].offset as usize..(last.offset + i64::from(last.compressed_page_size)) as usize]
        .fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    let block = open(dir.path()).unwrap();
    let (all, warnings) = read(&block, series.len(), TimeRange::ALL);
    let index = block.index().unwrap();
    for ((own, columns), (instants, values)) in index.series().iter().zip(&all).zip(&series) {
        if own.is_regular {
            assert_eq!(&columns.instants_ms, instants);
            assert_eq!(bits(&columns.values), bits(values));
        } else {
            assert_eq!(columns.values.len(), 0);
        }
    }
    let regular_rows = index.series().iter().filter(|own| own.is_regular).map(|own| own.rows).sum();
    let others = pages.iter().filter(|page| page.first_row_index as u64 >= regular_rows).count();
    assert_eq!(warnings.len(), others, "{warnings:?}");
}

#[test]
fn whole_numbers_come_back_from_each_form() {
    let dir = tempfile::tempdir().unwrap();
    let noise = |at: usize| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) >> 8;
    let series: Vec<_> = (0..40)
        .map(|number| {
            let mut total = 0;
            let values = (0..1500 + number * 10).map(|at| match number % 4 {
                0 => {
                    total += if noise(at) % 9 == 0 { 200 } else { noise(at) % 2 };
                    total as f64
                }
                1 => (noise(at) % 200) as f64 - 90.0,
                2 => (noise(at) % 1024) as f64 / 8.0,
                _ if at % 7 == 0 => (at as f64).sin(),
                _ => (noise(at + number) % 3 * 100_000) as f64,
            });
            let values: Vec<f64> = values.collect();
            ((0..values.len() as i64).map(|at| at * 15_000).collect(), values)
        })
        .collect();
    write(dir.path(), &series);
    let block = open(dir.path()).unwrap();
    let (all, warnings) = read(&block, series.len(), TimeRange::ALL);
    assert_eq!(warnings, Vec::<String>::new());
    for (columns, (instants, values)) in all.iter().zip(&series) {
        assert_eq!(&columns.instants_ms, instants);
        assert_eq!(bits(&columns.values), bits(values));
    }
    let file = std::fs::File::open(dir.path().join(SAMPLES_FILE)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let column = reader.metadata().row_group(0).column(super::schema::V_INT);
    for encoding in [Encoding::DELTA_BINARY_PACKED, Encoding::BYTE_STREAM_SPLIT] {
        assert!(column.encodings().any(|own| own == encoding), "{encoding}");
    }
}

/// Writes the samples of a block anew, as another program might.
fn rewrite(dir: &Path, properties: WriterProperties) {
    let path = dir.join(SAMPLES_FILE);
    let file = std::fs::File::open(&path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut out = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut out, reader.schema().clone(), Some(properties)).unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
    std::fs::write(&path, &out).unwrap();
    let mut meta = Meta::read(&Disk::real(), dir).unwrap();
    let own = meta.files.iter_mut().find(|file| file.name == SAMPLES_FILE).unwrap();
    own.size_bytes = out.len() as u64;
    own.footer_offset_bytes = Some(4);
    own.footer_xxh3 = Some(checksum_text(&out[4..]));
    std::fs::write(dir.join(META_FILE), meta.encode()).unwrap();
}

#[test]
fn every_standard_encoding_is_read() {
    let series: Vec<_> = (0..30)
        .map(|number| {
            regular(700, |at| match number % 5 {
                0 => 7.0,
                1 => (at * number) as f64 / 8.0,
                2 => (at as f64).sin(),
                3 if at % 50 < 20 => (at as f64).cos(),
                3 => at as f64,
                _ if at % 90 == 89 => stale_nan(),
                _ => at as f64 * 1.5,
            })
        })
        .collect();
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    for (version, compression, dictionary, encoding) in [
        (WriterVersion::PARQUET_1_0, Compression::UNCOMPRESSED, true, Encoding::PLAIN),
        (WriterVersion::PARQUET_1_0, zstd, false, Encoding::PLAIN),
        (WriterVersion::PARQUET_1_0, Compression::UNCOMPRESSED, false, Encoding::PLAIN),
        (WriterVersion::PARQUET_2_0, zstd, true, Encoding::PLAIN),
        (WriterVersion::PARQUET_2_0, zstd, false, Encoding::DELTA_BINARY_PACKED),
        (WriterVersion::PARQUET_2_0, Compression::UNCOMPRESSED, false, Encoding::BYTE_STREAM_SPLIT),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &series);
        let mut properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(compression)
            .set_dictionary_enabled(dictionary)
            .set_data_page_row_count_limit(1000)
            .set_write_batch_size(100);
        if !dictionary {
            let floats = encoding != Encoding::DELTA_BINARY_PACKED;
            properties = properties.set_encoding(Encoding::PLAIN);
            if floats {
                properties = properties.set_column_encoding("v_float".into(), encoding);
            } else {
                for column in ["ts", "v_int", "v_exp"] {
                    properties = properties.set_column_encoding(column.into(), encoding);
                }
            }
        }
        rewrite(dir.path(), properties.build());
        let block = open(dir.path()).unwrap();
        let (all, warnings) = read(&block, 30, TimeRange::ALL);
        let what = format!("{version:?}, {compression:?}, {dictionary}, {encoding:?}");
        assert_eq!(warnings, Vec::<String>::new(), "{what}");
        for (number, (columns, (instants, values))) in all.iter().zip(&series).enumerate() {
            assert_eq!(&columns.instants_ms, instants, "{what}, series {number}");
            assert_eq!(bits(&columns.values), bits(values), "{what}, series {number}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_value_comes_back(
        series in proptest::collection::vec(
            proptest::collection::vec((1i64..1 << 40, any::<u64>(), 0u8..4), 1..60),
            1..5,
        )
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut plain = Vec::new();
        for samples in series {
            let (mut at, mut instants, mut values) = (-(1i64 << 41), Vec::new(), Vec::new());
            for (step, bits, kind) in samples {
                at += step;
                instants.push(at);
                values.push(match kind {
                    0 => f64::from_bits(bits),
                    1 => (bits % 100_000) as f64 / 1000.0,
                    2 => f64::from_bits(0x7ff0_0000_0000_0000 | (bits % 4)),
                    _ => bits as i32 as f64,
                });
            }
            plain.push((instants, values));
        }
        write(dir.path(), &plain);
        let (all, warnings) = read(&open(dir.path()).unwrap(), plain.len(), TimeRange::ALL);
        prop_assert!(warnings.is_empty());
        for (columns, (instants, values)) in all.iter().zip(&plain) {
            prop_assert_eq!(&columns.instants_ms, instants);
            prop_assert_eq!(bits(&columns.values), bits(values));
        }
    }
}
