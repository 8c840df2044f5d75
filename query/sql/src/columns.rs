//! The tables' columns, filled from the store.
//!
//! Place in the flow: runs of samples and label sets → **`Filler`** → batches of rows. Only columns
//! that a statement uses are filled.
//!
//! Not here: which columns there are (`shape`), what is read (`reading`).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Float64Builder, Int32Array, ListArray, MapBuilder, RecordBatch,
    RecordBatchOptions, StringBuilder, StringViewBuilder, StructArray, TimestampMillisecondArray,
    UInt64Array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use model::labels::METRIC_NAME;
use model::{Histogram, Labels};
use storage::SeriesEntry;

use crate::shape::{Column, Part, Shape, UTC, bucket_fields};

/// Rows of a batch.
pub const BATCH_ROWS: usize = 8192;

/// Rows that become a batch.
#[derive(Debug, Default)]
pub struct Rows {
    /// Positions of series in the slice at hand, each with how many rows follow from it.
    runs: Vec<(usize, usize)>,
    instants_ms: Vec<i64>,
    values: Vec<f64>,
    histograms: Vec<Arc<Histogram>>,
    rows: usize,
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// How many more belong into a batch.
    pub fn room(&self) -> usize {
        BATCH_ROWS - self.rows
    }

    /// A series without samples.
    pub fn add_series(&mut self, position: usize) {
        self.run(position, 1);
    }

    /// Samples of a series.
    pub fn add_samples(&mut self, position: usize, instants_ms: &[i64], values: &[f64]) {
        self.instants_ms.extend_from_slice(instants_ms);
        self.values.extend_from_slice(values);
        self.run(position, values.len());
    }

    /// A native histogram of a series.
    pub fn add_histogram(&mut self, position: usize, at_ms: i64, histogram: Arc<Histogram>) {
        self.instants_ms.push(at_ms);
        self.histograms.push(histogram);
        self.run(position, 1);
    }

    fn run(&mut self, position: usize, rows: usize) {
        self.rows += rows;
        match self.runs.last_mut() {
            Some((own, count)) if *own == position => *count += rows,
            _ => self.runs.push((position, rows)),
        }
    }

    /// The batch of these rows, which are gone then.
    pub fn take(
        &mut self,
        shape: &Shape,
        series: &[SeriesEntry],
    ) -> Result<RecordBatch, ArrowError> {
        let own = std::mem::take(self);
        let columns = shape
            .columns()
            .iter()
            .map(|column| own.column(column, series))
            .collect::<Result<Vec<_>, _>>()?;
        // `count(*)` asks for no column at all, but for the number of rows.
        let options = RecordBatchOptions::new().with_row_count(Some(own.rows));
        RecordBatch::try_new_with_options(Arc::clone(shape.schema()), columns, &options)
    }

    fn column(&self, column: &Column, series: &[SeriesEntry]) -> Result<ArrayRef, ArrowError> {
        Ok(match column {
            Column::SeriesId => {
                let ids = self.runs.iter().flat_map(|(position, rows)| {
                    std::iter::repeat_n(series[*position].id.0, *rows)
                });
                Arc::new(UInt64Array::from_iter_values(ids))
            }
            Column::Label(name) => self.label(name, series)?,
            Column::Labels => {
                let labels = self.runs.iter().flat_map(|(position, rows)| {
                    std::iter::repeat_n(&series[*position].labels, *rows)
                });
                labels_array(labels)?
            }
            Column::Ts => instants(self.instants_ms.clone()),
            Column::Value => Arc::new(Float64Array::from(self.values.clone())),
            Column::Histogram(part) => self.part(*part)?,
        })
    }

    /// One label: its text stands once per series in the array, however many rows there are.
    fn label(&self, name: &str, series: &[SeriesEntry]) -> Result<ArrayRef, ArrowError> {
        let mut texts = Vec::new();
        let mut places = Vec::with_capacity(self.runs.len());
        for (position, rows) in &self.runs {
            let place = series[*position].labels.get(name).map(|value| {
                let start = texts.len();
                texts.extend_from_slice(value.as_bytes());
                (start, value.len())
            });
            places.push((place, *rows));
        }
        let small = |number: usize| {
            u32::try_from(number).map_err(|_| ArrowError::OffsetOverflowError(number))
        };
        let mut builder = StringViewBuilder::with_capacity(self.rows);
        let block = builder.append_block(Buffer::from_vec(texts));
        for (place, rows) in places {
            for _ in 0..rows {
                match place {
                    Some((start, length)) => {
                        builder.try_append_view(block, small(start)?, small(length)?)?;
                    }
                    None => builder.append_null(),
                }
            }
        }
        Ok(Arc::new(builder.finish()))
    }

    fn part(&self, part: Part) -> Result<ArrayRef, ArrowError> {
        let number = |of: fn(&Histogram) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(self.histograms.iter().map(|own| of(own))))
        };
        Ok(match part {
            Part::Count => number(|own| own.count),
            Part::Sum => number(|own| own.sum),
            Part::ZeroThreshold => number(|own| own.zero_threshold),
            Part::ZeroCount => number(|own| own.zero_count),
            Part::Schema => {
                let schemas = self.histograms.iter().map(|own| own.schema);
                Arc::new(Int32Array::from_iter_values(schemas))
            }
            Part::Buckets => self.buckets()?,
        })
    }

    fn buckets(&self) -> Result<ArrayRef, ArrowError> {
        let mut columns: [Float64Builder; 3] = Default::default();
        let mut lengths = Vec::with_capacity(self.histograms.len());
        for histogram in &self.histograms {
            let buckets = histogram.buckets();
            lengths.push(buckets.len());
            for bucket in buckets {
                columns[0].append_value(bucket.lower);
                columns[1].append_value(bucket.upper);
                columns[2].append_value(bucket.count);
            }
        }
        let columns = columns.map(|mut own| Arc::new(own.finish()) as ArrayRef).to_vec();
        let items = StructArray::try_new(bucket_fields(), columns, None)?;
        let field =
            Field::new_list_field(arrow::datatypes::DataType::Struct(bucket_fields()), true);
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::new(field), offsets, Arc::new(items), None)?))
    }
}

/// Times as a column.
pub fn instants(instants_ms: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(instants_ms).with_timezone(UTC))
}

/// Label sets as maps, without the metric's name.
pub fn labels_array<'a>(labels: impl Iterator<Item = &'a Labels>) -> Result<ArrayRef, ArrowError> {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for own in labels {
        for (label, value) in own.iter().filter(|(label, _)| *label != METRIC_NAME) {
            builder.keys().append_value(label);
            builder.values().append_value(value);
        }
        builder.append(true)?;
    }
    Ok(Arc::new(builder.finish()))
}
