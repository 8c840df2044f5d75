//! Reading samples as one stream of columns.
//!
//! Place in the flow: [`crate::Store::scan`] → **`Scan`** → SQL, and whoever wants Arrow.
//!
//! Invariants: rows stand in the order of the series asked for, time ascending and unique inside a
//! series; a series is never split across two batches; series without samples are absent.
//!
//! Not here: where samples come from (`read`).

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::Error;
use crate::error::columns;
use crate::read::{Reader, SeriesSlice};

/// Rows of a batch, unless a single series has more.
pub const BATCH_ROWS: usize = 64 * 1024;

/// Batches with the columns `series` (UInt32, the position in the slice asked for), `ts` (Int64,
/// milliseconds) and `value` (Float64).
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    reader: Reader,
    /// A series that did not fit into the batch before.
    left: Rows,
}

/// The columns of every batch.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::UInt32, false),
        Field::new("ts", DataType::Int64, false),
        Field::new("value", DataType::Float64, false),
    ]))
}

#[derive(Debug, Default)]
struct Rows {
    series: Vec<u32>,
    instants_ms: Vec<i64>,
    values: Vec<f64>,
}

impl Rows {
    fn add(&mut self, slice: SeriesSlice<'_>) {
        self.instants_ms.extend_from_slice(slice.instants_ms);
        self.values.extend_from_slice(slice.values);
        let position = u32::try_from(slice.position).expect("slices of series fit 32 bits");
        self.series.resize(self.values.len(), position);
    }
}

impl Scan {
    pub(crate) fn new(reader: Reader) -> Scan {
        Scan { schema: schema(), reader, left: Rows::default() }
    }

    /// What could not be read so far because it is damaged; empty when the answer is whole.
    pub fn warnings(&self) -> &[String] {
        self.reader.warnings()
    }

    fn batch(&self, rows: Rows) -> Result<RecordBatch, Error> {
        RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![
                Arc::new(UInt32Array::from(rows.series)),
                Arc::new(Int64Array::from(rows.instants_ms)),
                Arc::new(Float64Array::from(rows.values)),
            ],
        )
        .map_err(columns("build"))
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rows = std::mem::take(&mut self.left);
        while let Some(slice) = self.reader.next_series() {
            let before = rows.values.len();
            if before > 0 && before + slice.values.len() > BATCH_ROWS {
                self.left.add(slice);
                break;
            }
            rows.add(slice);
        }
        (!rows.values.is_empty()).then(|| self.batch(rows))
    }
}
