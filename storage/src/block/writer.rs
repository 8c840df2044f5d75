//! Writing a block's folder, one whole series after the other.
//!
//! Place in the flow: flush (later compaction) → **block writer** → files, synced; the caller
//! renames the folder and records it in the manifest.
//!
//! Invariants: series come in ascending order of labels, each once, its instants ascending. Pages
//! and row groups end at series boundaries; only a series longer than a page is cut inside.
//!
//! Not here: which samples (`flush`), the columns' encodings (`schema`).

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::{Disk, DiskFile};
use model::append::SeriesId;
use model::sample::is_stale_nan;
use model::{Labels, TimestampMs};
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::column::writer::{ColumnWriter, get_column_writer};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::SchemaDescriptor;
use xxhash_rust::xxh3::Xxh3Default;

use super::meta::checksum_text;
use super::meta::{FORMAT_VERSION, FileMeta, META_FILE, Meta, SAMPLES_FILE, SERIES_FILE};
use super::page_crc::with_page_crcs;
use super::series_file::{self, SeriesRows};
use super::{INDEX_FILE, schema};
use crate::Error;
use crate::beside::exemplars::Numbered;
use crate::beside::{self, Rows};
use crate::encoding::decimal;
use crate::error::{at, columns};
use crate::index::file::BlockSeries;
use crate::index::{BlockIndex, Index};

/// A file that sums up what goes through it.
struct HashingFile {
    file: DiskFile,
    hash: Xxh3Default,
    size_bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.append(bytes)?;
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The rows of one row group before they are written.
#[derive(Default)]
struct RowGroup {
    sid: Vec<i32>,
    ts: Vec<i64>,
    v_int: Vec<i64>,
    v_int_levels: Vec<i16>,
    v_exp: Vec<i32>,
    v_float: Vec<f64>,
    v_float_levels: Vec<i16>,
    flags: Vec<i32>,
    /// Row, whole numbers and floats at which each page ends.
    page_ends: Vec<[usize; 3]>,
}

/// What the caller knows about the new block.
#[derive(Debug, Clone)]
pub struct Heading {
    /// Its name.
    pub block_id: String,
    /// 0 for a flush.
    pub level: u32,
    /// Now.
    pub created: TimestampMs,
    /// The blocks it is made of.
    pub sources: Vec<String>,
}

/// Writes one block.
pub struct BlockWriter {
    disk: Disk,
    dir: PathBuf,
    samples: SerializedFileWriter<HashingFile>,
    series: ArrowWriter<HashingFile>,
    group: RowGroup,
    pending: SeriesRows,
    all: Vec<BlockSeries>,
    index: Index,
    rows: u64,
    row_groups: u32,
    last_labels: Option<Labels>,
    beside: beside::file::Writer,
}

fn create(disk: &Disk, path: &Path) -> Result<HashingFile, Error> {
    let file = disk.create(path).map_err(at("create", path))?;
    Ok(HashingFile { file, hash: Xxh3Default::new(), size_bytes: 0 })
}

impl BlockWriter {
    /// Begins a block in a folder, which is created.
    pub fn create(disk: &Disk, dir: &Path) -> Result<BlockWriter, Error> {
        disk.create_dir_all(dir).map_err(at("create", dir))?;
        let samples = create(disk, &dir.join(SAMPLES_FILE))?;
        let series = create(disk, &dir.join(SERIES_FILE))?;
        // The encodings of each row group are given with it; these are for the file as a whole.
        let properties = Arc::new(schema::samples_properties(Encoding::PLAIN));
        let samples = SerializedFileWriter::new(samples, schema::samples(), properties)
            .map_err(columns("begin samples"))?;
        let series =
            ArrowWriter::try_new(series, schema::series(), Some(schema::series_properties()))
                .map_err(columns("begin series"))?;
        Ok(BlockWriter {
            disk: disk.clone(),
            dir: dir.to_owned(),
            samples,
            series,
            group: RowGroup::default(),
            pending: SeriesRows::default(),
            all: Vec::new(),
            index: Index::default(),
            rows: 0,
            row_groups: 0,
            last_labels: None,
            beside: beside::file::Writer::new(disk, dir),
        })
    }

    /// Adds all samples of one series, at least one.
    #[cfg(test)]
    pub fn add(
        &mut self,
        id: SeriesId,
        labels: &Labels,
        instants_ms: &[i64],
        values: &[f64],
    ) -> Result<(), Error> {
        self.add_with(id, labels, (instants_ms, values), &Rows::default())
    }

    /// Adds exemplars of any series, in the order they came.
    pub fn add_exemplars(&mut self, exemplars: Vec<Numbered>) {
        self.beside.add_exemplars(exemplars);
    }

    /// Adds all samples of one series and what it has beside them, at least one of either.
    pub fn add_with(
        &mut self,
        id: SeriesId,
        labels: &Labels,
        (instants_ms, values): (&[i64], &[f64]),
        rows: &Rows,
    ) -> Result<(), Error> {
        assert!(values.len() == instants_ms.len(), "each sample has an instant");
        let numbers = instants_ms.first().copied().zip(instants_ms.last().copied());
        let span = numbers.into_iter().chain(rows.span_ms());
        let min_ms = span.clone().map(|span| span.0).min().expect("a series has something");
        let max_ms = span.map(|span| span.1).max().expect("a series has something");
        assert!(self.last_labels.as_ref() < Some(labels), "series come in label order, each once");
        self.last_labels = Some(labels.clone());
        let sid = u32::try_from(self.all.len()).expect("series_max keeps ordinals in 32 bits");
        self.group.add(sid, instants_ms, values);
        let series = BlockSeries {
            id,
            first_row: self.rows,
            rows: values.len() as u64,
            row_group: self.row_groups,
            min_ms,
            max_ms,
        };
        self.beside.add(sid, rows)?;
        self.rows += series.rows;
        self.all.push(series);
        self.index.insert(sid, labels);
        self.pending.series.push(series);
        self.pending.labels.push(labels.clone());
        if self.pending.series.len() == 8192 {
            self.write_series()?;
        }
        if self.group.ts.len() >= schema::ROW_GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_series(&mut self) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.pending);
        let first_sid = (self.all.len() - rows.series.len()) as u32;
        let batch = series_file::batch(first_sid, &rows).map_err(columns("build series"))?;
        self.series.write(&batch).map_err(columns("write series"))
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let group = std::mem::take(&mut self.group);
        group.write(&mut self.samples).map_err(columns("write samples"))?;
        self.row_groups += 1;
        Ok(())
    }

    /// Writes what is left, and syncs all files and the folder.
    pub fn finish(mut self, heading: Heading) -> Result<Meta, Error> {
        if !self.pending.series.is_empty() {
            self.write_series()?;
        }
        if !self.group.ts.is_empty() {
            self.write_group()?;
        }
        let footer_offset_bytes = self.samples.bytes_written() as u64;
        let samples = self.samples.into_inner().map_err(columns("end samples"))?;
        let series = self.series.into_inner().map_err(columns("end series"))?;
        let samples_path = self.dir.join(SAMPLES_FILE);
        let mut footer = vec![0; (samples.size_bytes - footer_offset_bytes) as usize];
        samples
            .file
            .read_exact_at(footer_offset_bytes, &mut footer)
            .map_err(at("read back", &samples_path))?;
        let mut samples = sealed(samples, &samples_path, SAMPLES_FILE)?;
        samples.footer_offset_bytes = Some(footer_offset_bytes);
        samples.footer_xxh3 = Some(checksum_text(&footer));
        let series = sealed(series, &self.dir.join(SERIES_FILE), SERIES_FILE)?;
        let sids: BTreeMap<SeriesId, u32> =
            self.all.iter().zip(0..).map(|(series, sid)| (series.id, sid)).collect();
        let beside = self.beside.finish(|id| sids.get(&id).copied())?;
        let meta = Meta {
            format_version: FORMAT_VERSION,
            block_id: heading.block_id,
            level: heading.level,
            min_ms: self.all.iter().map(|series| series.min_ms).min().unwrap_or(0),
            max_ms: self.all.iter().map(|series| series.max_ms).max().unwrap_or(0),
            rows: self.rows,
            series: self.all.len() as u64,
            series_id_max: self.all.iter().map(|series| series.id.0).max().unwrap_or(0),
            created_ms: heading.created.0,
            sources: heading.sources,
            tombstones_applied: Vec::new(),
            files: [samples, series].into_iter().chain(beside).collect(),
        };
        let index = BlockIndex::new(self.all, self.index).encode();
        for (name, bytes) in [(INDEX_FILE, index), (META_FILE, meta.encode())] {
            let path = self.dir.join(name);
            let mut file = self.disk.create(&path).map_err(at("create", &path))?;
            file.append(&bytes).map_err(at("write", &path))?;
            file.sync_data().map_err(at("sync", &path))?;
        }
        self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))?;
        Ok(meta)
    }
}

fn sealed(file: HashingFile, path: &Path, name: &str) -> Result<FileMeta, Error> {
    file.file.sync_data().map_err(at("sync", path))?;
    Ok(FileMeta {
        name: name.to_owned(),
        size_bytes: file.size_bytes,
        xxh3: format!("{:016x}", file.hash.digest()),
        footer_offset_bytes: None,
        footer_xxh3: None,
    })
}

/// The one exponent for a series: the largest that any decimal among its values needs. `None` when
/// most values are no decimals; then all stay floats.
fn common_exponent(values: &[f64]) -> Option<u8> {
    let mut exponent = 0;
    let mut misfits = 0;
    for value in values {
        if decimal::mantissa(*value, exponent).is_some() {
            continue;
        }
        match (exponent + 1..=decimal::EXPONENT_MAX)
            .find(|&larger| decimal::mantissa(*value, larger).is_some())
        {
            Some(larger) => exponent = larger,
            None => misfits += 1,
        }
    }
    (misfits * 2 <= values.len()).then_some(exponent)
}

impl RowGroup {
    fn add(&mut self, sid: u32, instants_ms: &[i64], values: &[f64]) {
        let exponent = common_exponent(values);
        for (at_ms, &value) in instants_ms.iter().zip(values) {
            let whole = exponent.and_then(|exponent| decimal::mantissa(value, exponent));
            let stale = is_stale_nan(value);
            self.sid.push(sid as i32);
            self.ts.push(*at_ms);
            self.v_exp.push(i32::from(exponent.unwrap_or(0)));
            self.flags.push(if stale { schema::FLAG_STALE } else { 0 });
            self.v_int_levels.push(i16::from(whole.is_some()));
            self.v_float_levels.push(i16::from(whole.is_none() && !stale));
            match whole {
                Some(mantissa) => self.v_int.push(mantissa),
                None if stale => {}
                None => self.v_float.push(value),
            }
            if self.page_rows() >= schema::PAGE_ROWS_MAX {
                self.end_page();
            }
        }
        if self.page_rows() >= schema::PAGE_ROWS {
            self.end_page();
        }
    }

    fn page_rows(&self) -> usize {
        self.ts.len() - self.page_ends.last().map_or(0, |ends| ends[0])
    }

    fn end_page(&mut self) {
        self.page_ends.push([self.ts.len(), self.v_int.len(), self.v_float.len()]);
    }

    fn write(mut self, file: &mut SerializedFileWriter<HashingFile>) -> Result<(), ParquetError> {
        if self.page_rows() > 0 {
            self.end_page();
        }
        let v_float = self.float_encoding()?;
        let properties = Arc::new(schema::samples_properties(v_float));
        let descriptor = SchemaDescriptor::new(schema::samples());
        let mut row_group = file.next_row_group()?;
        for column in 0..descriptor.num_columns() {
            let mut chunk = TrackedWrite::new(Vec::new());
            let pages = Box::new(SerializedPageWriter::new(&mut chunk));
            let description = descriptor.column(column);
            let mut writer = get_column_writer(description, Arc::clone(&properties), pages);
            let mut before = [0; 3];
            for ends in &self.page_ends {
                let [rows, wholes, floats] = [0, 1, 2].map(|index| before[index]..ends[index]);
                self.write_page(column, &mut writer, (rows, wholes, floats))?;
                before = *ends;
            }
            let close = close_column(writer)?;
            let (chunk, close) = with_page_crcs(&chunk.into_inner()?, close)?;
            row_group.append_column(&chunk, close)?;
        }
        row_group.close()?;
        Ok(())
    }

    fn write_page(
        &self,
        column: usize,
        writer: &mut ColumnWriter<'_>,
        (rows, wholes, floats): (Range<usize>, Range<usize>, Range<usize>),
    ) -> Result<(), ParquetError> {
        match writer {
            ColumnWriter::Int32ColumnWriter(writer) => {
                let values = match column {
                    schema::SID => &self.sid,
                    schema::V_EXP => &self.v_exp,
                    _ => &self.flags,
                };
                writer.write_batch(&values[rows], None, None)?
            }
            ColumnWriter::Int64ColumnWriter(writer) if column == schema::TS => {
                writer.write_batch(&self.ts[rows], None, None)?
            }
            ColumnWriter::Int64ColumnWriter(writer) => {
                writer.write_batch(&self.v_int[wholes], Some(&self.v_int_levels[rows]), None)?
            }
            ColumnWriter::DoubleColumnWriter(writer) => {
                let levels = Some(&self.v_float_levels[rows]);
                writer.write_batch(&self.v_float[floats], levels, None)?
            }
            _ => unreachable!("the schema has no other kinds of columns"),
        };
        Ok(())
    }

    /// Tries both encodings on a prefix of the floats: neither is best for all data.
    fn float_encoding(&self) -> Result<Encoding, ParquetError> {
        const TRIAL_VALUES_MAX: usize = 32 * 1024;
        let trial = &self.v_float[..self.v_float.len().min(TRIAL_VALUES_MAX)];
        if trial.is_empty() {
            return Ok(Encoding::PLAIN);
        }
        let plain: Vec<u8> = trial.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut split = Vec::with_capacity(plain.len());
        for place in 0..8 {
            split.extend(trial.iter().map(|value| value.to_le_bytes()[place]));
        }
        let size = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).map(|packed| packed.len());
        let split_wins = size(&split)? < size(&plain)?;
        Ok(if split_wins { Encoding::BYTE_STREAM_SPLIT } else { Encoding::PLAIN })
    }
}

fn close_column(
    writer: ColumnWriter<'_>,
) -> Result<parquet::column::writer::ColumnCloseResult, ParquetError> {
    match writer {
        ColumnWriter::Int32ColumnWriter(writer) => writer.close(),
        ColumnWriter::Int64ColumnWriter(writer) => writer.close(),
        ColumnWriter::DoubleColumnWriter(writer) => writer.close(),
        _ => unreachable!("the schema has no other kinds of columns"),
    }
}
