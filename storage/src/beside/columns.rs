//! Rows beside the numbers as columns, and back.
//!
//! Place in the flow: `file` collects rows here and writes the batch; `table` reads batches and asks
//! for rows. docs/format/block.md lists the columns.
//!
//! Invariant: rows come back with all bits, bucket counts in the column of whole numbers when all of
//! the row's are whole.
//!
//! Not here: files, checksums.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, Float64Array, Int8Array, Int32Array,
    Int64Array, ListArray, MapArray, StringArray, StructArray, TimestampMillisecondArray,
    UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Field, Fields, Float64Type, Int8Type, Int32Type, Int64Type, Schema, SchemaRef,
    TimeUnit, TimestampMillisecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::histogram::{Buckets, Span};
use model::{Histogram, Labels, TimestampMs};

use super::codec;
use super::exemplars::{Exemplar, Numbered};
use super::starts::Start;

/// One histogram of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramRow {
    /// When.
    pub at_ms: i64,
    /// When its counting began, if that was told.
    pub start_ms: Option<i64>,
    /// The distribution.
    pub histogram: Arc<Histogram>,
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", item, false)))
}

fn span_fields() -> Fields {
    Fields::from(vec![
        Field::new("offset", DataType::Int32, false),
        Field::new("length", DataType::UInt32, false),
    ])
}

/// The columns of `histograms.parquet`.
pub fn histograms_schema() -> SchemaRef {
    let spans = || list_of(DataType::Struct(span_fields()));
    let wholes = || list_of(DataType::Int64);
    let floats = || list_of(DataType::Float64);
    Arc::new(Schema::new(vec![
        Field::new("sid", DataType::UInt32, false),
        Field::new("ts", instant(), false),
        Field::new("st", instant(), true),
        Field::new("schema", DataType::Int8, false),
        Field::new("zero_threshold", DataType::Float64, false),
        Field::new("zero_count", DataType::Float64, false),
        Field::new("count", DataType::Float64, false),
        Field::new("sum", DataType::Float64, false),
        Field::new("reset_hint", DataType::UInt8, false),
        Field::new("positive_spans", spans(), false),
        Field::new("positive_counts", wholes(), true),
        Field::new("positive_float_counts", floats(), true),
        Field::new("negative_spans", spans(), false),
        Field::new("negative_counts", wholes(), true),
        Field::new("negative_float_counts", floats(), true),
        Field::new("custom_bounds", floats(), false),
    ]))
}

/// The columns of `starts.parquet`.
pub fn starts_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("sid", DataType::UInt32, false),
        Field::new("ts", instant(), false),
        Field::new("st", instant(), false),
    ]))
}

fn label_fields() -> Fields {
    Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Utf8, true),
    ])
}

/// The columns of `exemplars.parquet`.
pub fn exemplars_schema() -> SchemaRef {
    let entries = Arc::new(Field::new("entries", DataType::Struct(label_fields()), false));
    Arc::new(Schema::new(vec![
        Field::new("sid", DataType::UInt32, true),
        Field::new("ts", instant(), false),
        Field::new("series_id", DataType::UInt64, false),
        Field::new("value", DataType::Float64, false),
        Field::new("trace_id", DataType::Utf8, true),
        Field::new("labels", DataType::Map(entries, false), false),
    ]))
}

fn instants(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
}

/// A list column in the making.
#[derive(Debug, Default)]
struct Lists<T> {
    lengths: Vec<usize>,
    items: Vec<T>,
    is_valid: Vec<bool>,
}

impl<T> Lists<T> {
    fn push(&mut self, items: impl Iterator<Item = T>) {
        let before = self.items.len();
        self.items.extend(items);
        self.lengths.push(self.items.len() - before);
        self.is_valid.push(true);
    }

    fn push_none(&mut self) {
        self.lengths.push(0);
        self.is_valid.push(false);
    }

    fn finish(self, make: impl FnOnce(Vec<T>) -> ArrayRef) -> Result<ArrayRef, ArrowError> {
        let items = make(self.items);
        let field = Arc::new(Field::new("element", items.data_type().clone(), false));
        let mut valid = BooleanBufferBuilder::new(self.is_valid.len());
        valid.append_slice(&self.is_valid);
        let nulls = Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0);
        let offsets = OffsetBuffer::from_lengths(self.lengths);
        Ok(Arc::new(ListArray::try_new(field, offsets, items, nulls)?))
    }
}

/// The buckets of one side in the making.
#[derive(Debug, Default)]
struct Sides {
    spans: Lists<Span>,
    wholes: Lists<i64>,
    floats: Lists<f64>,
}

impl Sides {
    fn push(&mut self, side: &Buckets) {
        self.spans.push(side.spans().iter().copied());
        let counts = side.counts();
        if counts.iter().all(|count| codec::whole(*count).is_some()) {
            self.wholes.push(counts.iter().map(|count| *count as i64));
            self.floats.push_none();
        } else {
            self.wholes.push_none();
            self.floats.push(counts.iter().copied());
        }
    }

    fn finish(self) -> Result<[ArrayRef; 3], ArrowError> {
        let spans = |spans: Vec<Span>| -> ArrayRef {
            let offsets = spans.iter().map(|span| span.offset).collect::<Int32Array>();
            let lengths = spans.iter().map(|span| span.length).collect::<UInt32Array>();
            let columns: Vec<ArrayRef> = vec![Arc::new(offsets), Arc::new(lengths)];
            Arc::new(StructArray::new(span_fields(), columns, None))
        };
        Ok([
            self.spans.finish(spans)?,
            self.wholes.finish(|items| Arc::new(Int64Array::from(items)))?,
            self.floats.finish(|items| Arc::new(Float64Array::from(items)))?,
        ])
    }
}

/// Rows of `histograms.parquet` in the making.
#[derive(Debug, Default)]
pub struct HistogramColumns {
    sid: Vec<u32>,
    ts: Vec<i64>,
    st: Vec<Option<i64>>,
    schema: Vec<i8>,
    numbers: [Vec<f64>; 4],
    hint: Vec<u8>,
    positive: Sides,
    negative: Sides,
    bounds: Lists<f64>,
}

impl HistogramColumns {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.sid.len()
    }

    /// Memory of the buckets, roughly.
    pub fn bytes(&self) -> usize {
        let side = |side: &Sides| {
            8 * (side.spans.items.len() + side.wholes.items.len() + side.floats.items.len())
        };
        self.len() * 128 + side(&self.positive) + side(&self.negative) + self.bounds.items.len() * 8
    }

    /// Adds one row.
    pub fn push(&mut self, sid: u32, row: &HistogramRow) {
        let own = &row.histogram;
        self.sid.push(sid);
        self.ts.push(row.at_ms);
        self.st.push(row.start_ms);
        // Schemas lie between -53 and 8; `codec::problem` refused all others.
        self.schema.push(i8::try_from(own.schema).unwrap_or(i8::MIN));
        let numbers = [own.zero_threshold, own.zero_count, own.count, own.sum];
        self.numbers.iter_mut().zip(numbers).for_each(|(column, value)| column.push(value));
        self.hint.push(codec::hint_number(own.hint));
        self.positive.push(&own.positive);
        self.negative.push(&own.negative);
        self.bounds.push(own.custom_values.iter().copied());
    }

    /// All rows as columns.
    pub fn finish(self) -> Result<RecordBatch, ArrowError> {
        let [zero_threshold, zero_count, count, sum] =
            self.numbers.map(|column| Arc::new(Float64Array::from(column)) as ArrayRef);
        let [positive_spans, positive, positive_floats] = self.positive.finish()?;
        let [negative_spans, negative, negative_floats] = self.negative.finish()?;
        let st = TimestampMillisecondArray::from(self.st).with_timezone("UTC");
        RecordBatch::try_new(
            histograms_schema(),
            vec![
                Arc::new(UInt32Array::from(self.sid)),
                instants(self.ts),
                Arc::new(st),
                Arc::new(Int8Array::from(self.schema)),
                zero_threshold,
                zero_count,
                count,
                sum,
                Arc::new(UInt8Array::from(self.hint)),
                positive_spans,
                positive,
                positive_floats,
                negative_spans,
                negative,
                negative_floats,
                self.bounds.finish(|items| Arc::new(Float64Array::from(items)))?,
            ],
        )
    }
}

/// Rows of `starts.parquet` as columns.
pub fn starts_batch(rows: &[(u32, Start)]) -> Result<RecordBatch, ArrowError> {
    let sids = rows.iter().map(|row| row.0).collect::<UInt32Array>();
    let column = |value: fn(&(u32, Start)) -> i64| instants(rows.iter().map(value).collect());
    RecordBatch::try_new(
        starts_schema(),
        vec![Arc::new(sids), column(|row| row.1.0), column(|row| row.1.1)],
    )
}

/// Rows of `exemplars.parquet` as columns; `None` for a series that the block does not hold.
pub fn exemplars_batch(rows: &[(Option<u32>, Numbered)]) -> Result<RecordBatch, ArrowError> {
    let (mut keys, mut values, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for (_, row) in rows {
        for (name, value) in row.exemplar.labels.iter() {
            keys.push(name);
            values.push(value);
        }
        lengths.push(row.exemplar.labels.len());
    }
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(keys)), Arc::new(StringArray::from(values))];
    let entries = StructArray::try_new(label_fields(), columns, None)?;
    let field = Arc::new(Field::new("entries", DataType::Struct(label_fields()), false));
    let labels =
        MapArray::try_new(field, OffsetBuffer::from_lengths(lengths), entries, None, false)?;
    let traces = rows.iter().map(|(_, row)| row.exemplar.labels.get("trace_id"));
    RecordBatch::try_new(
        exemplars_schema(),
        vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<UInt32Array>()),
            instants(rows.iter().map(|row| row.1.exemplar.at.0).collect()),
            Arc::new(rows.iter().map(|row| row.1.id.0).collect::<UInt64Array>()),
            Arc::new(rows.iter().map(|row| row.1.exemplar.value).collect::<Float64Array>()),
            Arc::new(traces.collect::<StringArray>()),
            Arc::new(labels),
        ],
    )
}

fn side_of(batch: &RecordBatch, first: usize, row: usize) -> Option<Buckets> {
    let spans = batch.column(first).as_list_opt::<i32>()?.value(row);
    let spans = spans.as_struct_opt()?;
    let offsets = spans.column(0).as_primitive_opt::<Int32Type>()?.values();
    let lengths = spans.column(1).as_primitive_opt::<UInt32Type>()?.values();
    let pairs = offsets.iter().zip(lengths);
    let spans = pairs.map(|(&offset, &length)| Span { offset, length }).collect();
    let wholes = batch.column(first + 1).as_list_opt::<i32>()?;
    let floats = batch.column(first + 2).as_list_opt::<i32>()?;
    let counts: Vec<f64> = if wholes.is_valid(row) {
        let wholes = wholes.value(row);
        wholes.as_primitive_opt::<Int64Type>()?.values().iter().map(|count| *count as f64).collect()
    } else {
        floats.value(row).as_primitive_opt::<Float64Type>()?.values().to_vec()
    };
    Buckets::from_spans(spans, counts)
}

/// The rows of a batch of [`histograms_schema`].
pub fn histogram_rows(batch: &RecordBatch) -> Option<Vec<HistogramRow>> {
    let ts = batch.column(1).as_primitive_opt::<TimestampMillisecondType>()?;
    let st = batch.column(2).as_primitive_opt::<TimestampMillisecondType>()?;
    let schema = batch.column(3).as_primitive_opt::<Int8Type>()?;
    let number = |column: usize| batch.column(column).as_primitive_opt::<Float64Type>();
    let (zero_threshold, zero_count, count, sum) = (number(4)?, number(5)?, number(6)?, number(7)?);
    let hint = batch.column(8).as_primitive_opt::<UInt8Type>()?;
    let bounds = batch.column(15).as_list_opt::<i32>()?;
    (0..batch.num_rows())
        .map(|row| {
            let custom_values = bounds.value(row);
            let histogram = Histogram {
                schema: i32::from(schema.value(row)),
                zero_threshold: zero_threshold.value(row),
                zero_count: zero_count.value(row),
                count: count.value(row),
                sum: sum.value(row),
                positive: side_of(batch, 9, row)?,
                negative: side_of(batch, 12, row)?,
                custom_values: custom_values.as_primitive_opt::<Float64Type>()?.values().to_vec(),
                hint: codec::hint_of(hint.value(row)),
            };
            Some(HistogramRow {
                at_ms: ts.value(row),
                start_ms: st.is_valid(row).then(|| st.value(row)),
                histogram: Arc::new(histogram),
            })
        })
        .collect()
}

/// The rows of a batch of [`starts_schema`].
pub fn start_rows(batch: &RecordBatch) -> Option<Vec<Start>> {
    let ts = batch.column(1).as_primitive_opt::<TimestampMillisecondType>()?.values();
    let st = batch.column(2).as_primitive_opt::<TimestampMillisecondType>()?.values();
    Some(ts.iter().copied().zip(st.iter().copied()).collect())
}

/// The rows of a batch of [`exemplars_schema`].
pub fn exemplar_rows(batch: &RecordBatch) -> Option<Vec<Numbered>> {
    let ts = batch.column(1).as_primitive_opt::<TimestampMillisecondType>()?;
    let ids = batch.column(2).as_primitive_opt::<UInt64Type>()?;
    let values = batch.column(3).as_primitive_opt::<Float64Type>()?;
    let maps = batch.column(5).as_map_opt()?;
    let keys = maps.keys().as_string_opt::<i32>()?;
    let texts = maps.values().as_string_opt::<i32>()?;
    (0..batch.num_rows())
        .map(|row| {
            let start = usize::try_from(*maps.value_offsets().get(row)?).ok()?;
            let end = start + usize::try_from(maps.value_length(row)).ok()?;
            let pairs = (start..end).map(|index| (keys.value(index), texts.value(index)));
            let labels = Labels::from_pairs(pairs);
            let exemplar =
                Exemplar { at: TimestampMs(ts.value(row)), value: values.value(row), labels };
            Some(Numbered { id: SeriesId(ids.value(row)), exemplar })
        })
        .collect()
}
