//! Reading rows of chosen series from `samples.parquet`, through the disk door.
//!
//! Place in the flow: a reader of series asks for ordinals and a range → **reader** → plain columns.
//!
//! Only pages that hold rows of the series asked for and touch the range are unpacked. They are read
//! by position, with the pages after them when those are wanted next (`ahead`), checked by their CRC
//! and decoded straight into columns (`rows`, `page`). What is
//! standard but not written by this program goes through the Parquet library (`library`).
//!
//! Not here: merging with memory and other blocks (`read`).

/// What will be wanted, and reading it at once.
mod ahead;
/// The header of a page.
mod header;
/// The library's way.
mod library;
/// Encodings of numbers.
mod numbers;
/// Pages of one column.
mod page;
/// Rows of series.
mod rows;

use std::ops::Range;
use std::sync::Arc;

use model::TimeRange;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::cache::{Entry, Kind};
use super::mend::PatchedFile;
use super::meta::{SAMPLES_FILE, checksum_text};
use super::{Block, schema};
use crate::Error;
use crate::error::at;
use crate::index::file::BlockSeries;
use crate::read::Want;
use library::DiskChunks;
use page::ColumnPlaces;

pub use page::Tools;
pub use rows::{Ask, BlockRows};

/// Instants and values of one series.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Columns {
    /// Ascending.
    pub instants_ms: Vec<i64>,
    /// One for each instant.
    pub values: Vec<f64>,
}

impl Columns {
    /// Keeps the first rows.
    pub fn truncate(&mut self, rows: usize) {
        self.instants_ms.truncate(rows);
        self.values.truncate(rows);
    }

    /// Forgets all rows, but keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }
}

/// The open samples file and where its pages are.
#[derive(Debug)]
pub struct Footer {
    chunks: DiskChunks,
    metadata: ArrowReaderMetadata,
    groups: Vec<Group>,
    /// Written by this program: the library knows nothing more of it.
    is_own: bool,
}

/// Where the pages of one row group are.
#[derive(Debug)]
struct Group {
    first_row: u64,
    rows: usize,
    /// Places of the columns that are read; `None` when only the library can.
    columns: Option<[ColumnPlaces; 5]>,
    /// The first and last instant in each page of instants; `None` when that is not known.
    bounds_ms: Option<Vec<Option<(i64, i64)>>>,
}

impl Group {
    fn of(metadata: &ParquetMetaData, group: usize, first_row: u64) -> Group {
        let places = |column| ColumnPlaces::of(metadata, group, column);
        let all: Option<Vec<_>> =
            rows::READ.into_iter().chain([schema::FLAGS]).map(places).collect();
        let columns = all.and_then(|all| <[ColumnPlaces; 5]>::try_from(all).ok());
        let bounds = metadata.column_index().and_then(|all| all.get(group)?.get(schema::TS));
        let bounds_ms = match bounds {
            Some(ColumnIndexMetaData::INT64(own)) => {
                let pages = 0..usize::try_from(own.num_pages()).unwrap_or(0);
                let bound = |page| own.min_value(page).copied().zip(own.max_value(page).copied());
                Some(pages.map(bound).collect())
            }
            _ => None,
        };
        let rows = usize::try_from(metadata.row_group(group).num_rows()).unwrap_or(0);
        Group { first_row, rows, columns, bounds_ms }
    }

    /// The rows of a series inside the group.
    fn rows_of(&self, series: &BlockSeries) -> Option<Range<usize>> {
        let start = usize::try_from(series.first_row.checked_sub(self.first_row)?).ok()?;
        let end = start.checked_add(usize::try_from(series.rows).ok()?)?;
        (end <= self.rows).then_some(start..end)
    }

    /// Whether a page of instants may hold some of the range.
    fn touches(&self, page: usize, range: TimeRange) -> bool {
        let bounds = self.bounds_ms.as_ref().and_then(|bounds| *bounds.get(page)?);
        bounds.is_none_or(|(min, max)| min < range.end_ms().0 && max >= range.start_ms().0)
    }
}

impl Footer {
    fn new(chunks: DiskChunks, metadata: ArrowReaderMetadata) -> Footer {
        let own = metadata.metadata();
        let mut first_row = 0;
        let mut groups = Vec::with_capacity(own.num_row_groups());
        for group in 0..own.num_row_groups() {
            let group = Group::of(own, group, first_row);
            first_row += group.rows as u64;
            groups.push(group);
        }
        let is_own = own.file_metadata().created_by() == Some(schema::CREATED_BY);
        Footer { chunks, metadata, groups, is_own }
    }

    fn group(&self, row_group: u32) -> Option<&Group> {
        self.groups.get(row_group as usize)
    }

    fn file(&self) -> &PatchedFile {
        &self.chunks.file
    }

    /// The bytes of a row group.
    fn bytes_of(&self, row_group: u32) -> Range<u64> {
        let groups = self.metadata.metadata().row_groups();
        let columns = groups.get(row_group as usize).map_or(&[][..], |group| group.columns());
        let ranges = columns.iter().map(|column| column.byte_range());
        let joined = ranges
            .map(|(start, length)| start..start.saturating_add(length))
            .reduce(|one, other| one.start.min(other.start)..one.end.max(other.end));
        joined.unwrap_or(0..0)
    }
}

impl Block {
    fn footer(&self) -> Result<Arc<Footer>, Error> {
        let key = (self.meta().block_id.clone(), Kind::Footer);
        if let Some(Entry::Footer(footer)) = self.cache.get(&key) {
            return Ok(footer);
        }
        let footer = match self.read_footer() {
            Err(Error::Damaged { .. }) if self.mend(SAMPLES_FILE, self.footer_bytes()) => {
                self.read_footer()
            }
            other => other,
        };
        let (footer, bytes) = footer?;
        let footer = Arc::new(footer);
        // The parsed form is about four times the bytes.
        self.cache.put(key, Entry::Footer(Arc::clone(&footer)), 4 * bytes);
        Ok(footer)
    }

    fn footer_bytes(&self) -> Range<u64> {
        let meta = self.meta().file(SAMPLES_FILE);
        let start = meta.and_then(|file| file.footer_offset_bytes).unwrap_or(0);
        start..u64::MAX
    }

    /// The footer, and its bytes in the file.
    fn read_footer(&self) -> Result<(Footer, u64), Error> {
        let path = self.dir().join(SAMPLES_FILE);
        let damaged = |what: String| Error::Damaged { path: path.clone(), what };
        let file = self.open_file(SAMPLES_FILE)?;
        let size_bytes = file.size_bytes().map_err(at("measure", &path))?;
        let meta = self.meta().file(SAMPLES_FILE);
        let start = meta.and_then(|file| file.footer_offset_bytes);
        let start = start.filter(|start| *start <= size_bytes && size_bytes - start < 1 << 31);
        let start = start.ok_or_else(|| damaged("meta.json misses its footer".to_owned()))?;
        let mut bytes = vec![0; (size_bytes - start) as usize];
        file.read_exact_at(start, &mut bytes).map_err(at("read", &path))?;
        let is_right =
            meta.and_then(|file| file.footer_xxh3.as_deref()) == Some(&checksum_text(&bytes));
        // The planted bug shows that the tests would notice.
        if !is_right && !cfg!(feature = "planted") {
            return Err(damaged("the checksum of its footer is not the one in meta.json".into()));
        }
        let chunks = DiskChunks::new(file, size_bytes);
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&chunks)
            .and_then(|metadata| {
                ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            })
            .map_err(|error| damaged(error.to_string()))?;
        Ok((Footer::new(chunks, metadata), bytes.len() as u64))
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
        let mut rows = BlockRows::new(self)?;
        for (index, (series, position)) in wanted.iter().enumerate() {
            let rest = &wanted[index + 1..];
            let next = |show: &mut dyn FnMut(Range<u64>) -> bool| {
                let rows = |own: &BlockSeries| own.first_row..own.first_row + own.rows;
                let _ = rest.iter().all(|(series, _)| show(rows(series)));
            };
            let mut found = Vec::new();
            let ask = Ask { range, want: Want::All, next: &next };
            rows.append(self, series, ask, (&mut out[*position], &mut found));
            for warning in found {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(())
    }
}
