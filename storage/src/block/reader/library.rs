//! Reading rows with the Parquet library: whatever is standard, however it is encoded.
//!
//! Place in the flow: a row group that `page` does not know → **library** → plain columns.
//!
//! Not here: row groups as this program writes them (`rows`).

use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int8Type, Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use model::TimeRange;
use model::sample::stale_nan;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::page::Fault;
use super::rows::READ;
use super::{Columns, Footer};
use crate::block::mend::PatchedFile;
use crate::encoding::decimal;
use crate::index::file::BlockSeries;

/// A file of the disk door as the library wants it: positioned reads only.
#[derive(Debug, Clone)]
pub struct DiskChunks {
    /// The file.
    pub file: Arc<PatchedFile>,
    /// Its size.
    pub size_bytes: u64,
    /// Whether the disk refused to give bytes: that is not damage, it may pass.
    refused: Arc<AtomicBool>,
}

impl DiskChunks {
    /// A file of a size.
    pub fn new(file: PatchedFile, size_bytes: u64) -> DiskChunks {
        DiskChunks { file: Arc::new(file), size_bytes, refused: Arc::default() }
    }
}

/// Reads on from a position.
pub struct ReadFrom {
    file: Arc<PatchedFile>,
    offset: u64,
}

impl Read for ReadFrom {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(self.offset, buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}

impl Length for DiskChunks {
    fn len(&self) -> u64 {
        self.size_bytes
    }
}

impl ChunkReader for DiskChunks {
    type T = BufReader<ReadFrom>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(ReadFrom { file: Arc::clone(&self.file), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.size_bytes) {
            return Err(ParquetError::EOF("a page reaches beyond the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(start, &mut bytes).inspect_err(|_| {
            self.refused.store(true, Ordering::Relaxed);
        })?;
        Ok(bytes.into())
    }
}

impl Footer {
    /// Appends the rows of a series that lie in the range.
    pub fn read_with_library(
        &self,
        series: &BlockSeries,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), Fault> {
        let file = DiskChunks { refused: Arc::default(), ..self.chunks.clone() };
        match self.read_rows(&file, series) {
            Ok(Some(read)) => {
                let start = read.instants_ms.partition_point(|at| *at < range.start_ms().0);
                let end = read.instants_ms.partition_point(|at| *at < range.end_ms().0);
                if start < end {
                    out.instants_ms.extend_from_slice(&read.instants_ms[start..end]);
                    out.values.extend_from_slice(&read.values[start..end]);
                }
                Ok(())
            }
            Ok(None) => Err(Fault::Damaged("its columns are of another kind, or rows are missing")),
            Err(reason) if file.refused.load(Ordering::Relaxed) => {
                Err(Fault::Disk(std::io::Error::other(reason)))
            }
            Err(_) => Err(Fault::Damaged("the library can't read it")),
        }
    }

    fn read_rows(
        &self,
        file: &DiskChunks,
        series: &BlockSeries,
    ) -> Result<Option<Columns>, ParquetError> {
        let group = self.group(series.row_group);
        let Some(rows) = group.and_then(|group| group.rows_of(series)) else { return Ok(None) };
        let total = group.map_or(0, |group| group.rows);
        let selected = rows.len();
        let selection = RowSelection::from_consecutive_ranges(std::iter::once(rows), total);
        let metadata = self.metadata.metadata();
        let mask = ProjectionMask::leaves(metadata.file_metadata().schema_descr(), READ);
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.metadata.clone())
                .with_row_groups(vec![series.row_group as usize])
                .with_row_selection(selection)
                .with_projection(mask)
                .with_batch_size(selected)
                .build()?;
        let mut read = Columns::default();
        for batch in reader {
            let batch = batch.map_err(|error| ParquetError::General(error.to_string()))?;
            if decode(&batch, &mut read).is_none() {
                return Ok(None);
            }
        }
        Ok((read.values.len() == selected).then_some(read))
    }
}

/// Turns the columns of the file into plain ones.
fn decode(batch: &RecordBatch, out: &mut Columns) -> Option<()> {
    let instants = batch.column(0).as_primitive_opt::<TimestampMillisecondType>()?;
    let wholes = batch.column(1).as_primitive_opt::<Int64Type>()?;
    let exponents = batch.column(2).as_primitive_opt::<Int8Type>()?.values();
    let floats = batch.column(3).as_primitive_opt::<Float64Type>()?;
    if exponents.iter().any(|exponent| !(0..=decimal::EXPONENT_MAX as i8).contains(exponent)) {
        return None;
    }
    out.instants_ms.extend_from_slice(instants.values());
    out.values.extend((0..batch.num_rows()).map(|row| {
        if wholes.is_valid(row) {
            decimal::value(wholes.value(row), exponents[row] as u8)
        } else if floats.is_valid(row) {
            floats.value(row)
        } else {
            stale_nan()
        }
    }));
    Some(())
}
