//! The tables' columns, filled from the store.
//!
//! Place in the flow: store's batches (position, ts, value) and label sets → **columns** → rows of
//! `samples` and `series`. Only columns that a statement uses are filled.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, MapBuilder, RecordBatch,
    RecordBatchOptions, StringArray, StringBuilder, TimestampMillisecondArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, UInt32Type};
use arrow::error::ArrowError;
use storage::SeriesEntry;

/// The time zone of `ts`.
const UTC: &str = "+00:00";

fn name_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8))
}

fn labels_type() -> DataType {
    let entry = Field::new(
        "entries",
        DataType::Struct(
            vec![
                Field::new("keys", DataType::Utf8, false),
                Field::new("values", DataType::Utf8, true),
            ]
            .into(),
        ),
        false,
    );
    DataType::Map(Arc::new(entry), false)
}

/// `series(series_id, name, labels)`.
pub fn series_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("series_id", DataType::UInt64, false),
        Field::new("name", name_type(), false),
        Field::new("labels", labels_type(), false),
    ]))
}

/// `samples(series_id, name, labels, ts, value)`.
pub fn samples_schema() -> SchemaRef {
    let mut fields = series_schema().fields().to_vec();
    let ts = DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()));
    fields.push(Arc::new(Field::new("ts", ts, false)));
    fields.push(Arc::new(Field::new("value", DataType::Float64, false)));
    Arc::new(Schema::new(fields))
}

/// One row per series.
pub fn series_batch(schema: &SchemaRef, series: &[SeriesEntry]) -> Result<RecordBatch, ArrowError> {
    let positions: Vec<u32> = (0..u32::try_from(series.len()).unwrap_or(u32::MAX)).collect();
    let columns = schema
        .fields()
        .iter()
        .map(|field| label_column(field.name(), series, &positions))
        .collect::<Result<Vec<_>, _>>()?;
    assemble(schema, columns, series.len())
}

/// One row per sample of a batch of the store's scan over `series`.
pub fn samples_batch(
    schema: &SchemaRef,
    series: &[SeriesEntry],
    scanned: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let positions = primitive::<UInt32Array>(scanned, 0)?;
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "ts" => {
                let ts = primitive::<Int64Array>(scanned, 1)?;
                let array = TimestampMillisecondArray::new(ts.values().clone(), None);
                Ok(Arc::new(array.with_timezone(UTC)) as ArrayRef)
            }
            "value" => {
                let values = primitive::<Float64Array>(scanned, 2)?;
                Ok(Arc::new(values.clone()) as ArrayRef)
            }
            name => label_column(name, series, positions.values()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    assemble(schema, columns, scanned.num_rows())
}

fn assemble(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    // `count(*)` asks for no column at all, but for the number of rows.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn primitive<A: 'static>(batch: &RecordBatch, index: usize) -> Result<&A, ArrowError> {
    let column = batch.column(index).as_any().downcast_ref::<A>();
    column.ok_or_else(|| ArrowError::SchemaError(format!("column {index} of a scan")))
}

fn label_column(
    name: &str,
    series: &[SeriesEntry],
    positions: &[u32],
) -> Result<ArrayRef, ArrowError> {
    let entries = positions.iter().map(|&position| &series[position as usize]);
    match name {
        "series_id" => Ok(Arc::new(UInt64Array::from_iter_values(entries.map(|e| e.id.0)))),
        "name" => {
            let names: StringArray =
                series.iter().map(|entry| Some(entry.labels.metric_name())).collect();
            let keys = UInt32Array::from_iter_values(positions.iter().copied());
            Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, Arc::new(names))?))
        }
        _ => {
            let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
            for entry in entries {
                for (label, value) in entry.labels.iter() {
                    if label != model::labels::METRIC_NAME {
                        builder.keys().append_value(label);
                        builder.values().append_value(value);
                    }
                }
                builder.append(true)?;
            }
            Ok(Arc::new(builder.finish()))
        }
    }
}
