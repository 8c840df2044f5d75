//! Reading rows of chosen series from `samples.parquet`, through the disk door.
//!
//! Place in the flow: scan asks for ordinals and a range → **reader** → plain columns.
//!
//! Only pages that hold rows of the series asked for and touch the range are read. Each is checked
//! by its CRC; a page that fails costs its row group, which is named once and left out from then on.
//!
//! Not here: merging with memory and other blocks (`scan`).

use std::io::{BufReader, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int8Type, Int64Type, TimestampMillisecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use journal::disk::DiskFile;
use model::TimeRange;
use model::sample::stale_nan;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::cache::{Entry, Kind};
use super::meta::{SAMPLES_FILE, checksum_text};
use super::{Block, schema};
use crate::Error;
use crate::encoding::decimal;
use crate::error::at;
use crate::index::file::BlockSeries;

/// Instants and values of one series.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Columns {
    /// Ascending.
    pub instants_ms: Vec<i64>,
    /// One for each instant.
    pub values: Vec<f64>,
}

/// The open samples file and where its pages are.
#[derive(Debug)]
pub struct Footer {
    file: DiskChunks,
    metadata: ArrowReaderMetadata,
}

/// A file of the disk door as the Parquet library wants it: positioned reads only.
#[derive(Debug, Clone)]
struct DiskChunks {
    file: Arc<DiskFile>,
    size_bytes: u64,
    /// Whether the disk refused to give bytes: that is not damage, it may pass.
    refused: Arc<AtomicBool>,
}

/// Reads on from a position.
struct ReadFrom {
    file: Arc<DiskFile>,
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

/// A run of rows of one row group that belongs to one of the series asked for.
struct Run {
    rows: Range<usize>,
    position: usize,
}

impl Block {
    fn footer(&self) -> Result<Arc<Footer>, Error> {
        let key = (self.meta().block_id.clone(), Kind::Footer);
        if let Some(Entry::Footer(footer)) = self.cache.get(&key) {
            return Ok(footer);
        }
        let path = self.dir().join(SAMPLES_FILE);
        let damaged = |what: String| Error::Damaged { path: path.clone(), what };
        let file = self.disk.open(&path).map_err(at("open", &path))?;
        let size_bytes = file.size_bytes().map_err(at("measure", &path))?;
        let meta = self.meta().file(SAMPLES_FILE);
        let start = meta.and_then(|file| file.footer_offset_bytes);
        let start = start.filter(|start| *start <= size_bytes && size_bytes - start < 1 << 31);
        let start = start.ok_or_else(|| damaged("meta.json misses its footer".to_owned()))?;
        let mut bytes = vec![0; (size_bytes - start) as usize];
        file.read_exact_at(start, &mut bytes).map_err(at("read", &path))?;
        if meta.and_then(|file| file.footer_xxh3.as_deref()) != Some(&checksum_text(&bytes)) {
            return Err(damaged("the checksum of its footer is not the one in meta.json".into()));
        }
        let file = DiskChunks { file: Arc::new(file), size_bytes, refused: Arc::default() };
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&file)
            .and_then(|metadata| {
                ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            })
            .map_err(|error| damaged(error.to_string()))?;
        let footer = Arc::new(Footer { file, metadata });
        // The parsed form is about three times the bytes.
        self.cache.put(key, Entry::Footer(Arc::clone(&footer)), 3 * bytes.len() as u64);
        Ok(footer)
    }

    /// Reads the rows of series in the range. `wanted` names series of this block with the position
    /// in `out` that their rows are appended to, in ascending order of rows. What is damaged is
    /// left out and named in `warnings`.
    pub fn read(
        &self,
        wanted: &[(BlockSeries, usize)],
        range: TimeRange,
        out: &mut [Columns],
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        let footer = self.footer()?;
        for group in wanted.chunk_by(|one, other| one.0.row_group == other.0.row_group) {
            let row_group = group[0].0.row_group;
            if let Some(known) = self.row_group_damage(row_group) {
                warnings.push(known);
                continue;
            }
            let file = DiskChunks { refused: Arc::default(), ..footer.file.clone() };
            let Err(reason) = footer.read_group(&file, group, range, out) else { continue };
            let path = self.dir().join(SAMPLES_FILE);
            if file.refused.load(Ordering::Relaxed) {
                warnings.push(format!("can't read {}: {reason}", path.display()));
            } else {
                warnings.push(self.set_row_group_aside(row_group, &reason.to_string()));
            }
        }
        Ok(())
    }
}

impl Footer {
    fn read_group(
        &self,
        file: &DiskChunks,
        wanted: &[(BlockSeries, usize)],
        range: TimeRange,
        out: &mut [Columns],
    ) -> Result<(), ParquetError> {
        let metadata = self.metadata.metadata();
        let row_group = wanted[0].0.row_group as usize;
        let groups = metadata.row_groups();
        let wrong = |what: &str| ParquetError::General(what.to_owned());
        let count_rows = |group: &parquet::file::metadata::RowGroupMetaData| group.num_rows();
        let rows = groups.get(row_group).map(count_rows).ok_or_else(|| wrong("no row group"))?;
        let before: i64 = groups[..row_group].iter().map(count_rows).sum();
        let pages = pages_in_range(metadata, row_group, range);
        let mut runs = Vec::new();
        for (series, position) in wanted {
            let start = (series.first_row as i64 - before) as usize;
            let end = start + series.rows as usize;
            if end > rows as usize {
                return Err(wrong("the index names rows that are not there"));
            }
            for page in &pages {
                let rows = start.max(page.start)..end.min(page.end);
                if !rows.is_empty() {
                    runs.push(Run { rows, position: *position });
                }
            }
        }
        if runs.is_empty() {
            return Ok(());
        }
        let selected: usize = runs.iter().map(|run| run.rows.len()).sum();
        let ranges = runs.iter().map(|run| run.rows.clone());
        let selection = RowSelection::from_consecutive_ranges(ranges, rows as usize);
        let columns = [schema::TS, schema::V_INT, schema::V_EXP, schema::V_FLOAT];
        let mask = ProjectionMask::leaves(metadata.file_metadata().schema_descr(), columns);
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_row_selection(selection)
                .with_projection(mask)
                .with_batch_size(selected)
                .build()?;
        let mut read = Columns::default();
        for batch in reader {
            let columns = batch.map_err(|error| ParquetError::General(error.to_string()))?;
            decode(&columns, &mut read).ok_or_else(|| wrong("columns of another kind"))?;
        }
        if read.values.len() != selected {
            return Err(wrong("rows are missing"));
        }
        hand_out(&read, &runs, range, out);
        Ok(())
    }
}

/// The rows of the pages that touch the range, neighbours joined.
fn pages_in_range(
    metadata: &ParquetMetaData,
    row_group: usize,
    range: TimeRange,
) -> Vec<Range<usize>> {
    let rows = metadata.row_group(row_group).num_rows() as usize;
    let bounds = metadata.column_index().and_then(|groups| groups.get(row_group)?.get(schema::TS));
    let places = metadata.offset_index().and_then(|groups| groups.get(row_group)?.get(schema::TS));
    let (Some(ColumnIndexMetaData::INT64(bounds)), Some(places)) = (bounds, places) else {
        return std::iter::once(0..rows).collect();
    };
    let places = places.page_locations();
    let mut kept: Vec<Range<usize>> = Vec::new();
    for (page, place) in places.iter().enumerate() {
        let start = place.first_row_index as usize;
        let end = places.get(page + 1).map_or(rows, |next| next.first_row_index as usize);
        let touches = match (bounds.min_value(page), bounds.max_value(page)) {
            (Some(min), Some(max)) => *min < range.end_ms().0 && *max >= range.start_ms().0,
            _ => true,
        };
        match kept.last_mut() {
            Some(last) if touches && last.end == start => last.end = end,
            _ if touches => kept.push(start..end),
            _ => {}
        }
    }
    kept
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
    if wholes.null_count() == 0 {
        let pairs = wholes.values().iter().zip(exponents);
        out.values.extend(pairs.map(|(whole, exponent)| decimal::value(*whole, *exponent as u8)));
        return Some(());
    }
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

/// Gives each run of rows to its series, cut to the range.
fn hand_out(read: &Columns, runs: &[Run], range: TimeRange, out: &mut [Columns]) {
    let mut start = 0;
    for run in runs {
        let end = start + run.rows.len();
        let instants_ms = &read.instants_ms[start..end];
        let from = start + instants_ms.partition_point(|at_ms| *at_ms < range.start_ms().0);
        let to = start + instants_ms.partition_point(|at_ms| *at_ms < range.end_ms().0);
        let columns = &mut out[run.position];
        columns.instants_ms.extend_from_slice(&read.instants_ms[from..to]);
        columns.values.extend_from_slice(&read.values[from..to]);
        start = end;
    }
}
