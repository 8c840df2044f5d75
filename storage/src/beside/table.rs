//! Reading `histograms.parquet`, `starts.parquet` and `exemplars.parquet` of a block.
//!
//! Place in the flow: `scan` and `merge` ask for rows of series → **`Table`** reads one row group
//! after the other, checks it, and decodes the pages that hold the rows.
//!
//! What fails its checksum is mended, if the block's guard can. Beyond that a row group is set aside
//! and named, the rest of the file serves; a damaged footer costs the file, not the block.
//!
//! Not here: merging with memory (`scan`).

use std::io::Cursor;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use model::{TimeRange, TimestampMs};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::columns::{HistogramRow, exemplar_rows};
use super::exemplars::Numbered;
use super::file::{EXEMPLARS_FILE, ROW_GROUPS_KEY, SERIES_KEY, group_checksum};
use super::starts::Start;
use crate::Error;
use crate::block::Block;
use crate::block::cache::{Entry, Kind};
use crate::block::mend::PatchedFile;
use crate::block::meta::checksum_text;
use crate::error::at;

/// The column of instants.
const TS: usize = 1;

/// One row group.
#[derive(Debug)]
struct Group {
    bytes: Range<u64>,
    checksum: String,
    rows: Range<u64>,
}

/// The rows of one series.
#[derive(Debug)]
struct SeriesRows {
    sid: u32,
    rows: Range<u64>,
}

/// An open file and where its rows are.
#[derive(Debug)]
pub struct Table {
    name: &'static str,
    path: PathBuf,
    file: PatchedFile,
    metadata: ArrowReaderMetadata,
    groups: Vec<Group>,
    series: Vec<SeriesRows>,
}

/// Why a row group gave no rows.
enum Problem {
    /// The disk refused; it may pass.
    Refused(String),
    /// The bytes are not those that were written.
    Damaged(String),
}

/// A row group in memory, at its place in the file.
#[derive(Clone)]
struct GroupBytes {
    bytes: Bytes,
    start: u64,
}

impl GroupBytes {
    fn part(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        let outside = || ParquetError::EOF("a page reaches beyond its row group".to_owned());
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let from = from.filter(|from| *from <= self.bytes.len()).ok_or_else(outside)?;
        let to = length.map_or(Some(self.bytes.len()), |length| from.checked_add(length));
        let to = to.filter(|to| *to <= self.bytes.len()).ok_or_else(outside)?;
        Ok(self.bytes.slice(from..to))
    }
}

impl Length for GroupBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for GroupBytes {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.part(start, None).map(Cursor::new)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.part(start, Some(length))
    }
}

/// A row with an instant.
pub trait Timed {
    /// Its instant.
    fn at_ms(&self) -> i64;
}

impl Timed for HistogramRow {
    fn at_ms(&self) -> i64 {
        self.at_ms
    }
}

impl Timed for Start {
    fn at_ms(&self) -> i64 {
        self.0
    }
}

/// How the rows of a file are decoded.
pub type Decode<T> = fn(&RecordBatch) -> Option<Vec<T>>;

/// Opens one of a block's files, if the block has it. What is damaged is named.
pub fn open(block: &Block, name: &'static str, warnings: &mut Vec<String>) -> Option<Arc<Table>> {
    block.meta().file(name)?;
    if let Some(known) = block.part_damage(name, None) {
        warnings.push(known);
        return None;
    }
    let key = (block.meta().block_id.clone(), Kind::Beside(name));
    if let Some(Entry::Beside(table)) = block.cache().get(&key) {
        return Some(table);
    }
    let opened = match Table::open(block, name) {
        Err(Error::Damaged { .. }) if block.mend(name, 0..u64::MAX) => Table::open(block, name),
        other => other,
    };
    match opened {
        Ok((table, bytes)) => {
            let table = Arc::new(table);
            block.cache().put(key, Entry::Beside(Arc::clone(&table)), bytes);
            Some(table)
        }
        Err(error @ Error::Io { .. }) => {
            warnings.push(crate::error::chain(&error));
            None
        }
        Err(error) => {
            warnings.push(block.set_part_aside(name, None, &crate::error::chain(&error)));
            None
        }
    }
}

impl Table {
    fn open(block: &Block, name: &'static str) -> Result<(Table, u64), Error> {
        let path = block.dir().join(name);
        let damaged = |what: &str| Error::Damaged { path: path.clone(), what: what.to_owned() };
        let file = block.open_file(name)?;
        let size_bytes = file.size_bytes().map_err(at("measure", &path))?;
        let meta = block.meta().file(name);
        let start = meta.and_then(|file| file.footer_offset_bytes);
        let start = start.filter(|start| *start <= size_bytes && size_bytes - start < 1 << 31);
        let start = start.ok_or_else(|| damaged("meta.json misses its footer"))?;
        let mut bytes = vec![0; (size_bytes - start) as usize];
        file.read_exact_at(start, &mut bytes).map_err(at("read", &path))?;
        if meta.and_then(|file| file.footer_xxh3.as_deref()) != Some(&checksum_text(&bytes)) {
            return Err(damaged("the checksum of its footer is not the one in meta.json"));
        }
        let kept_bytes = 3 * bytes.len() as u64;
        let footer = GroupBytes { bytes: bytes.into(), start };
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&footer)
            .and_then(|metadata| {
                ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            })
            .map_err(|error| damaged(&error.to_string()))?;
        let directory = groups(metadata.metadata()).zip(series(metadata.metadata()));
        let (groups, series) =
            directory.ok_or_else(|| damaged("its directory contradicts itself"))?;
        if groups.last().is_some_and(|group| group.bytes.end > start) {
            return Err(damaged("its row groups reach into its footer"));
        }
        Ok((Table { name, path, file, metadata, groups, series }, kept_bytes))
    }

    /// The rows of a series.
    pub fn rows_of(&self, sid: u32) -> Option<Range<u64>> {
        let found = self.series.binary_search_by_key(&sid, |series| series.sid).ok()?;
        Some(self.series[found].rows.clone())
    }

    /// Reads rows of series in the range. `wanted` names runs of rows, ascending, with the position
    /// in `out` that they are appended to. What is damaged is left out and named.
    pub fn read<T: Timed>(
        &self,
        wanted: &[(Range<u64>, usize)],
        (range, decode): (TimeRange, Decode<T>),
        out: &mut [Vec<T>],
        (block, warnings): (&Block, &mut Vec<String>),
    ) {
        for (number, group) in (0u32..).zip(&self.groups) {
            let first = wanted.partition_point(|run| run.0.end <= group.rows.start);
            let last = wanted.partition_point(|run| run.0.start < group.rows.end);
            let runs: Vec<(Range<usize>, usize)> = wanted[first..last.max(first)]
                .iter()
                .map(|(rows, position)| {
                    let from = rows.start.max(group.rows.start) - group.rows.start;
                    let to = rows.end.min(group.rows.end) - group.rows.start;
                    (from as usize..to as usize, *position)
                })
                .collect();
            if runs.is_empty() {
                continue;
            }
            if let Some(known) = block.part_damage(self.name, Some(number)) {
                warnings.push(known);
                continue;
            }
            match self.read_mended(number as usize, &runs, (range, decode), block) {
                Ok(read) => {
                    for (position, rows) in read {
                        let inside = |row: &T| range.contains(TimestampMs(row.at_ms()));
                        out[position].extend(rows.into_iter().filter(inside));
                    }
                }
                Err(Problem::Refused(reason)) => {
                    warnings.push(format!("can't read {}: {reason}", self.path.display()));
                }
                Err(Problem::Damaged(reason)) => {
                    warnings.push(block.set_part_aside(self.name, Some(number), &reason));
                }
            }
        }
    }

    /// The same as `read_group`, with a second try over mended bytes.
    fn read_mended<T>(
        &self,
        number: usize,
        runs: &[(Range<usize>, usize)],
        how: (TimeRange, Decode<T>),
        block: &Block,
    ) -> Result<Vec<(usize, Vec<T>)>, Problem> {
        let read = self.read_group(number, runs, how);
        let is_damaged = matches!(read, Err(Problem::Damaged(_)));
        if is_damaged && block.mend(self.name, self.groups[number].bytes.clone()) {
            return self.read_group(number, runs, how);
        }
        read
    }

    /// The rows of runs inside one row group, by position.
    fn read_group<T>(
        &self,
        number: usize,
        runs: &[(Range<usize>, usize)],
        (range, decode): (TimeRange, Decode<T>),
    ) -> Result<Vec<(usize, Vec<T>)>, Problem> {
        let group = &self.groups[number];
        let pages = pages_in_range(self.metadata.metadata(), number, range);
        let mut selected: Vec<(Range<usize>, usize)> = Vec::new();
        for (run, position) in runs {
            for page in &pages {
                let rows = run.start.max(page.start)..run.end.min(page.end);
                if !rows.is_empty() {
                    selected.push((rows, *position));
                }
            }
        }
        let count: usize = selected.iter().map(|(rows, _)| rows.len()).sum();
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; (group.bytes.end - group.bytes.start) as usize];
        let read = self.file.read_exact_at(group.bytes.start, &mut bytes);
        read.map_err(|error| Problem::Refused(error.to_string()))?;
        if group_checksum(&bytes) != group.checksum {
            return Err(Problem::Damaged("its checksum does not fit".to_owned()));
        }
        let bytes = GroupBytes { bytes: bytes.into(), start: group.bytes.start };
        let damaged = |error: ParquetError| Problem::Damaged(error.to_string());
        let ranges = selected.iter().map(|(rows, _)| rows.clone());
        let all = (group.rows.end - group.rows.start) as usize;
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, self.metadata.clone())
                .with_row_groups(vec![number])
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges, all))
                .with_batch_size(count)
                .build()
                .map_err(damaged)?;
        let mut rows = Vec::with_capacity(count);
        for batch in reader {
            let batch = batch.map_err(|error| Problem::Damaged(error.to_string()))?;
            let wrong = || Problem::Damaged("its columns are of another kind".to_owned());
            rows.extend(decode(&batch).ok_or_else(wrong)?);
        }
        if rows.len() != count {
            return Err(Problem::Damaged("rows are missing".to_owned()));
        }
        let mut rows = rows.into_iter();
        let hand_out = |(run, position): &(Range<usize>, usize)| {
            (*position, rows.by_ref().take(run.len()).collect())
        };
        Ok(selected.iter().map(hand_out).collect())
    }
}

/// All exemplars of a block, in the order they came.
pub fn exemplars(block: &Block, warnings: &mut Vec<String>) -> Vec<Numbered> {
    let Some(table) = open(block, EXEMPLARS_FILE, warnings) else { return Vec::new() };
    let mut all = Vec::new();
    for number in 0..table.groups.len() {
        let rows = 0..(table.groups[number].rows.end - table.groups[number].rows.start) as usize;
        match table.read_mended(number, &[(rows, 0)], (TimeRange::ALL, exemplar_rows), block) {
            Ok(read) => all.extend(read.into_iter().flat_map(|(_, rows)| rows)),
            Err(Problem::Refused(reason)) => {
                warnings.push(format!("can't read {}: {reason}", table.path.display()));
            }
            Err(Problem::Damaged(reason)) => {
                warnings.push(block.set_part_aside(EXEMPLARS_FILE, Some(number as u32), &reason));
            }
        }
    }
    all
}

fn text<'m>(metadata: &'m ParquetMetaData, key: &str) -> Option<&'m str> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

fn groups(metadata: &ParquetMetaData) -> Option<Vec<Group>> {
    let (mut start, mut first) = (0u64, 0u64);
    let mut groups = Vec::new();
    let parts = text(metadata, ROW_GROUPS_KEY)?.split(',');
    let mut of_file = metadata.row_groups().iter();
    for part in parts {
        let (end, checksum) = part.split_once(':')?;
        let end = end.parse().ok().filter(|end| *end > start && end - start < 1 << 31)?;
        let rows = u64::try_from(of_file.next()?.num_rows()).ok()?;
        let checksum = checksum.to_owned();
        groups.push(Group { bytes: start..end, checksum, rows: first..first + rows });
        (start, first) = (end, first + rows);
    }
    of_file.next().is_none().then_some(groups)
}

/// Empty for exemplars, whose rows stand in the order they came.
fn series(metadata: &ParquetMetaData) -> Option<Vec<SeriesRows>> {
    let all = text(metadata, SERIES_KEY).unwrap_or("");
    let (mut sid, mut first) = (0u32, 0u64);
    let mut series = Vec::new();
    for part in all.split(',').filter(|part| !part.is_empty()) {
        let (step, rows) = part.split_once(':')?;
        sid = sid.checked_add(step.parse().ok()?)?;
        let end = first.checked_add(rows.parse().ok()?)?;
        series.push(SeriesRows { sid, rows: first..end });
        first = end;
    }
    Some(series)
}

/// The rows of the pages that touch the range.
fn pages_in_range(
    metadata: &ParquetMetaData,
    row_group: usize,
    range: TimeRange,
) -> Vec<Range<usize>> {
    let rows = metadata.row_group(row_group).num_rows() as usize;
    let bounds = metadata.column_index().and_then(|groups| groups.get(row_group)?.get(TS));
    let places = metadata.offset_index().and_then(|groups| groups.get(row_group)?.get(TS));
    let (Some(ColumnIndexMetaData::INT64(bounds)), Some(places)) = (bounds, places) else {
        return std::iter::once(0..rows).collect();
    };
    let places = places.page_locations();
    let touches = |page: &usize| match (bounds.min_value(*page), bounds.max_value(*page)) {
        (Some(min), Some(max)) => *min < range.end_ms().0 && *max >= range.start_ms().0,
        _ => true,
    };
    let rows_of = |page: usize| {
        let end = places.get(page + 1).map_or(rows, |next| next.first_row_index as usize);
        places[page].first_row_index as usize..end
    };
    (0..places.len()).filter(touches).map(rows_of).collect()
}
