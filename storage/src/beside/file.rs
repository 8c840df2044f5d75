//! Writing `histograms.parquet`, `starts.parquet` and `exemplars.parquet` of a block.
//!
//! Place in the flow: the block writer hands over the rows of one series after the other → **this
//! writer** → files, synced. A file is only made when it has rows.
//!
//! A row group is at most a few MiB, ends at a series boundary where it can, and is covered by a
//! checksum of its own that stands in the file's metadata, together with the number of rows of each
//! series. The footer is covered by `meta.json`.
//!
//! Not here: the columns (`columns`), reading (`table`).

use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use journal::disk::{Disk, DiskFile};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::columns::{
    HistogramColumns, exemplars_batch, exemplars_schema, histograms_schema, starts_batch,
    starts_schema,
};
use super::exemplars::Numbered;
use super::{Rows, Start};
use crate::Error;
use crate::block::guard::{Builder, FileGuard};
use crate::block::meta::{FileMeta, checksum_text};
use crate::error::{at, columns};

/// Histograms.
pub const HISTOGRAMS_FILE: &str = "histograms.parquet";
/// Start timestamps of numbers.
pub const STARTS_FILE: &str = "starts.parquet";
/// Exemplars.
pub const EXEMPLARS_FILE: &str = "exemplars.parquet";

/// Where in the file's metadata the rows of each series stand: `sid:rows,…`, ascending, each sid
/// less the one before.
pub const SERIES_KEY: &str = "belfry.series";
/// Where the row groups' ends and checksums stand: `end_bytes:xxh3,…`.
pub const ROW_GROUPS_KEY: &str = "belfry.row_groups";

/// Rows after which a row group ends, at the next series boundary.
const ROW_GROUP_ROWS: usize = 8 * 1024;
/// Rows after which it ends inside a series.
const ROW_GROUP_ROWS_MAX: usize = 2 * ROW_GROUP_ROWS;
/// Memory of pending histograms after which a row group ends inside a series.
const ROW_GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows of a page.
const PAGE_ROWS: usize = 1024;

/// A file that sums up what goes through it, as a whole and since the last row group.
struct Sealing {
    file: DiskFile,
    all: Xxh3Default,
    group: Xxh3Default,
    guard: Builder,
    size_bytes: u64,
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.append(bytes)?;
        self.all.update(bytes);
        self.group.update(bytes);
        self.guard.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One file in the making.
struct Table {
    name: &'static str,
    path: PathBuf,
    writer: ArrowWriter<Sealing>,
    /// Rows by series.
    series: Vec<(u32, u64)>,
    row_groups: Vec<String>,
}

fn properties() -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let zstd = |level| Compression::ZSTD(ZstdLevel::try_new(level).expect("zstd knows the level"));
    let mut properties = WriterProperties::builder()
        .set_created_by("belfry".to_owned())
        .set_compression(zstd(3))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_max_row_group_row_count(Some(4 * ROW_GROUP_ROWS_MAX))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(column("sid"), EnabledStatistics::Page)
        .set_column_statistics_enabled(column("ts"), EnabledStatistics::Page);
    for name in ["ts", "st"] {
        properties = properties
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["sum", "count", "zero_count", "value"] {
        properties = properties.set_column_dictionary_enabled(column(name), false);
    }
    properties.build()
}

impl Table {
    fn create(
        disk: &Disk,
        dir: &Path,
        name: &'static str,
        schema: SchemaRef,
    ) -> Result<Table, Error> {
        let path = dir.join(name);
        let file = disk.create(&path).map_err(at("create", &path))?;
        let sealing = Sealing {
            file,
            all: Xxh3Default::new(),
            group: Xxh3Default::new(),
            guard: Builder::default(),
            size_bytes: 0,
        };
        let writer = ArrowWriter::try_new(sealing, schema, Some(properties()));
        let writer = writer.map_err(columns("begin a file"))?;
        Ok(Table { name, path, writer, series: Vec::new(), row_groups: Vec::new() })
    }

    fn count(&mut self, sid: u32, rows: usize) {
        match self.series.last_mut() {
            Some((last, count)) if *last == sid => *count += rows as u64,
            _ => self.series.push((sid, rows as u64)),
        }
    }

    /// Writes one row group.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.writer.write(batch).map_err(columns("write rows"))?;
        self.writer.flush().map_err(columns("write rows"))?;
        self.writer.sync().map_err(at("write", &self.path))?;
        let sealing = self.writer.inner_mut();
        let checksum = std::mem::replace(&mut sealing.group, Xxh3Default::new()).digest();
        self.row_groups.push(format!("{}:{checksum:016x}", sealing.size_bytes));
        Ok(())
    }

    fn finish(mut self) -> Result<(FileMeta, FileGuard), Error> {
        let mut previous = 0;
        let series = self.series.iter().map(|(sid, rows)| {
            let step = sid - previous;
            previous = *sid;
            format!("{step}:{rows}")
        });
        let series: Vec<String> = series.collect();
        for (key, value) in [(SERIES_KEY, series), (ROW_GROUPS_KEY, self.row_groups)] {
            let pair = KeyValue::new(key.to_owned(), value.join(","));
            self.writer.append_key_value_metadata(pair);
        }
        let footer_offset_bytes = self.writer.inner().size_bytes;
        let sealing = self.writer.into_inner().map_err(columns("end a file"))?;
        let mut footer = vec![0; (sealing.size_bytes - footer_offset_bytes) as usize];
        let read = sealing.file.read_exact_at(footer_offset_bytes, &mut footer);
        read.map_err(at("read back", &self.path))?;
        sealing.file.sync_data().map_err(at("sync", &self.path))?;
        let meta = FileMeta {
            name: self.name.to_owned(),
            size_bytes: sealing.size_bytes,
            xxh3: format!("{:016x}", sealing.all.digest()),
            footer_offset_bytes: Some(footer_offset_bytes),
            footer_xxh3: Some(checksum_text(&footer)),
        };
        Ok((meta, sealing.guard.finish(self.name)))
    }
}

/// The checksum of a row group, as it stands in the file's metadata.
pub fn group_checksum(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

/// Writes what the series of a block have beside their numbers.
pub struct Writer {
    disk: Disk,
    dir: PathBuf,
    histograms: Option<Table>,
    starts: Option<Table>,
    pending: HistogramColumns,
    pending_starts: Vec<(u32, Start)>,
    exemplars: Vec<Numbered>,
}

impl Writer {
    /// A writer that has made no file yet.
    pub fn new(disk: &Disk, dir: &Path) -> Writer {
        Writer {
            disk: disk.clone(),
            dir: dir.to_owned(),
            histograms: None,
            starts: None,
            pending: HistogramColumns::default(),
            pending_starts: Vec::new(),
            exemplars: Vec::new(),
        }
    }

    /// Adds all rows of a series; ordinals ascend.
    pub fn add(&mut self, sid: u32, rows: &Rows) -> Result<(), Error> {
        for row in &rows.histograms {
            self.pending.push(sid, row);
            if self.pending.len() >= ROW_GROUP_ROWS_MAX
                || self.pending.bytes() >= ROW_GROUP_BYTES_MAX
            {
                self.write_histograms()?;
            }
            self.table(HISTOGRAMS_FILE)?.count(sid, 1);
        }
        for start in &rows.starts {
            self.pending_starts.push((sid, *start));
            if self.pending_starts.len() >= ROW_GROUP_ROWS_MAX {
                self.write_starts()?;
            }
            self.table(STARTS_FILE)?.count(sid, 1);
        }
        if self.pending.len() >= ROW_GROUP_ROWS {
            self.write_histograms()?;
        }
        if self.pending_starts.len() >= ROW_GROUP_ROWS {
            self.write_starts()?;
        }
        Ok(())
    }

    /// Adds exemplars of any series, in the order they came.
    pub fn add_exemplars(&mut self, exemplars: Vec<Numbered>) {
        self.exemplars.extend(exemplars);
    }

    /// From the first to the last exemplar.
    pub fn exemplars_span_ms(&self) -> Option<(i64, i64)> {
        let instants = || self.exemplars.iter().map(|one| one.exemplar.at.0);
        instants().min().zip(instants().max())
    }

    fn table(&mut self, name: &'static str) -> Result<&mut Table, Error> {
        let (table, schema) = match name {
            HISTOGRAMS_FILE => (&mut self.histograms, histograms_schema()),
            _ => (&mut self.starts, starts_schema()),
        };
        if table.is_none() {
            *table = Some(Table::create(&self.disk, &self.dir, name, schema)?);
        }
        Ok(table.as_mut().expect("it was just made"))
    }

    fn write_histograms(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending);
        let batch = rows.finish().map_err(columns("build histograms"))?;
        self.table(HISTOGRAMS_FILE)?.write(&batch)
    }

    fn write_starts(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending_starts);
        let batch = starts_batch(&rows).map_err(columns("build starts"))?;
        self.table(STARTS_FILE)?.write(&batch)
    }

    /// Writes what is left and syncs the files. `sid_of` tells the ordinal of a series, if the block
    /// holds it.
    pub fn finish(
        mut self,
        sid_of: impl Fn(model::append::SeriesId) -> Option<u32>,
    ) -> Result<Vec<(FileMeta, FileGuard)>, Error> {
        if self.pending.len() > 0 {
            self.write_histograms()?;
        }
        if !self.pending_starts.is_empty() {
            self.write_starts()?;
        }
        let mut files = Vec::new();
        for table in [self.histograms.take(), self.starts.take()].into_iter().flatten() {
            files.push(table.finish()?);
        }
        if !self.exemplars.is_empty() {
            let schema = exemplars_schema();
            let mut table = Table::create(&self.disk, &self.dir, EXEMPLARS_FILE, schema)?;
            for part in self.exemplars.chunks(ROW_GROUP_ROWS) {
                let rows: Vec<_> = part.iter().map(|one| (sid_of(one.id), one.clone())).collect();
                let batch = exemplars_batch(&rows).map_err(columns("build exemplars"))?;
                table.write(&batch)?;
            }
            files.push(table.finish()?);
        }
        Ok(files)
    }
}
