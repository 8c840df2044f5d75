//! `series.parquet`: one row per series of a block, in order of ordinals.
//!
//! Place in the flow: the block writer collects rows here; the index and, after damage, the registry
//! are built again from it.
//!
//! Not here: the samples (`writer`, `reader`).

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, new_null_array};
use arrow::array::{
    ArrayRef, Int64Array, MapArray, MapBuilder, StringArray, StringBuilder,
    TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType, UInt32Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use model::Labels;
use model::append::SeriesId;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::schema;
use crate::Error;
use crate::index::file::BlockSeries;
use crate::index::{BlockIndex, Index};

/// Series of one block in order of ordinals.
#[derive(Debug, Default)]
pub struct SeriesRows {
    /// Where each stands.
    pub series: Vec<BlockSeries>,
    /// Its labels.
    pub labels: Vec<Labels>,
}

impl SeriesRows {
    /// The index over them.
    pub fn into_index(self) -> BlockIndex {
        let mut index = Index::default();
        for (sid, labels) in (0u32..).zip(&self.labels) {
            index.insert(sid, labels);
        }
        BlockIndex::new(self.series, index)
    }

    /// The same, as the index knows it.
    pub fn of_index(index: &BlockIndex) -> SeriesRows {
        let series = index.series().to_vec();
        let (own, pairs) = (index.index(), index.index().pairs());
        let mut by_series: Vec<Vec<u32>> = vec![Vec::new(); series.len()];
        for pair in own.labels_sorted().into_iter().flat_map(|label| own.pairs_sorted(label)) {
            for sid in own.postings(pair).iter() {
                by_series[sid as usize].push(pair);
            }
        }
        let labels = by_series.into_iter().map(|found| {
            Labels::from_pairs(found.iter().map(|pair| (pairs.name(*pair), pairs.value(*pair))))
        });
        SeriesRows { labels: labels.collect(), series }
    }

    /// Their numbers and labels.
    pub fn entries(&self) -> impl Iterator<Item = (SeriesId, &Labels)> {
        self.series.iter().map(|series| series.id).zip(&self.labels)
    }
}

/// One batch of rows; the first has ordinal `first_sid`.
pub fn batch(first_sid: u32, rows: &SeriesRows) -> Result<RecordBatch, arrow::error::ArrowError> {
    let count = rows.series.len();
    let schema = schema::series();
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for labels in &rows.labels {
        for (name, value) in labels.iter() {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true)?;
    }
    let text = |name: &str| -> ArrayRef {
        Arc::new(rows.labels.iter().map(|labels| labels.get(name)).collect::<StringArray>())
    };
    let names = rows.labels.iter().map(|labels| Some(labels.metric_name()));
    let longs = |value: fn(&BlockSeries) -> u64| -> ArrayRef {
        Arc::new(rows.series.iter().map(value).collect::<UInt64Array>())
    };
    let instants = |value: fn(&BlockSeries) -> i64| -> ArrayRef {
        let values = rows.series.iter().map(value).collect::<Vec<_>>();
        Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
    };
    let sids = (first_sid..).take(count).collect::<UInt32Array>();
    let groups = rows.series.iter().map(|series| series.row_group).collect::<UInt32Array>();
    let steps = rows.series.iter().map(|series| series.is_regular.then(|| series.step_ms()));
    let none = new_null_array(&DataType::Utf8, count);
    RecordBatch::try_new(
        schema,
        vec![
            Arc::new(sids),
            longs(|series| series.id.0),
            Arc::new(names.collect::<StringArray>()),
            Arc::new(maps.finish()),
            text("job"),
            text("instance"),
            Arc::clone(&none),
            Arc::clone(&none),
            none,
            instants(|series| series.min_ms),
            instants(|series| series.max_ms),
            longs(|series| series.rows),
            longs(|series| series.first_row),
            Arc::new(groups),
            Arc::new(steps.collect::<Int64Array>()),
        ],
    )
}

/// Reads the whole file.
pub fn read(bytes: Bytes, path: &Path) -> Result<SeriesRows, Error> {
    let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(8192).build())
        .map_err(|error| damaged(error.to_string()))?;
    let mut rows = SeriesRows::default();
    for batch in reader {
        let batch = batch.map_err(|error| damaged(error.to_string()))?;
        read_batch(&batch, &mut rows)
            .ok_or_else(|| damaged("its columns are not those of series.parquet".to_owned()))?;
    }
    Ok(rows)
}

fn read_batch(batch: &RecordBatch, rows: &mut SeriesRows) -> Option<()> {
    let long = |name| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>();
    let instant = |name| batch.column_by_name(name)?.as_primitive_opt::<TimestampMillisecondType>();
    let (ids, counts, firsts) = (long("series_id")?, long("rows")?, long("first_row")?);
    let (mins, maxs) = (instant("min_ts")?, instant("max_ts")?);
    let groups = batch.column_by_name("row_group")?.as_primitive_opt::<UInt32Type>()?;
    // Blocks of earlier releases do not have it.
    let steps = match batch.column_by_name("step_ms") {
        Some(column) => Some(column.as_primitive_opt::<Int64Type>()?),
        None => None,
    };
    let maps: &MapArray = batch.column_by_name("labels")?.as_map_opt()?;
    let keys = maps.keys().as_string_opt::<i32>()?;
    let values = maps.values().as_string_opt::<i32>()?;
    for row in 0..batch.num_rows() {
        rows.series.push(BlockSeries {
            id: SeriesId(ids.value(row)),
            first_row: firsts.value(row),
            rows: counts.value(row),
            row_group: groups.value(row),
            min_ms: mins.value(row),
            max_ms: maxs.value(row),
            is_regular: steps.is_some_and(|steps| steps.is_valid(row)),
        });
        let start = usize::try_from(*maps.value_offsets().get(row)?).ok()?;
        let end = start + usize::try_from(maps.value_length(row)).ok()?;
        let pairs = (start..end).map(|index| (keys.value(index), values.value(index)));
        rows.labels.push(Labels::from_pairs(pairs));
    }
    Some(())
}
