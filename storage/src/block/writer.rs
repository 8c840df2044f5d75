//! Writing a block's folder, one whole series after the other.
//!
//! Place in the flow: flush and compaction → **block writer** → files, synced; the caller
//! renames the folder and records it in the manifest.
//!
//! Invariants: series come in the order of blocks (`order`), each once, its instants ascending. Row
//! groups end at series boundaries.
//!
//! Not here: which samples (`flush`, `compact`), the columns' encodings (`columns`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::{Disk, DiskFile};
use model::append::SeriesId;
use model::{Labels, TimestampMs};
use parquet::arrow::ArrowWriter;
use parquet::file::writer::SerializedFileWriter;
use xxhash_rust::xxh3::Xxh3Default;

use super::columns::RowGroup;
use super::guard::{Builder, FileGuard, GUARD_FILE, Guard};
use super::meta::checksum_text;
use super::meta::{FORMAT_VERSION, FileMeta, META_FILE, Meta, SAMPLES_FILE, SERIES_FILE};
use super::page::{Effort, Packer};
use super::series_file::{self, SeriesRows};
use super::{INDEX_FILE, order, schema};
use crate::Error;
use crate::beside::exemplars::Numbered;
use crate::beside::{self, Rows};
use crate::error::{at, columns};
use crate::index::file::BlockSeries;
use crate::index::{BlockIndex, Index};

/// A file that sums up what goes through it.
struct HashingFile {
    file: DiskFile,
    hash: Xxh3Default,
    guard: Builder,
    size_bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.append(bytes)?;
        self.hash.update(bytes);
        self.guard.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
    /// Deletions that were carried out.
    pub tombstones_applied: Vec<String>,
}

/// Writes one block.
pub struct BlockWriter {
    disk: Disk,
    dir: PathBuf,
    samples: SerializedFileWriter<HashingFile>,
    series: ArrowWriter<HashingFile>,
    group: RowGroup,
    packer: Packer,
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
    Ok(HashingFile { file, hash: Xxh3Default::new(), guard: Builder::default(), size_bytes: 0 })
}

impl BlockWriter {
    /// Begins a block in a folder, which is created.
    pub fn create(disk: &Disk, dir: &Path, effort: Effort) -> Result<BlockWriter, Error> {
        disk.create_dir_all(dir).map_err(at("create", dir))?;
        let samples = create(disk, &dir.join(SAMPLES_FILE))?;
        let series = create(disk, &dir.join(SERIES_FILE))?;
        let properties = Arc::new(schema::samples_properties());
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
            packer: Packer::new(effort).map_err(columns("begin samples"))?,
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
        let ascends = |last: &Labels| order::compare(last, labels) == Ordering::Less;
        assert!(self.last_labels.as_ref().is_none_or(ascends), "series come in order, each once");
        self.last_labels = Some(labels.clone());
        let sid = u32::try_from(self.all.len()).expect("series_max keeps ordinals in 32 bits");
        let is_regular = is_even(instants_ms) && numbers == Some((min_ms, max_ms));
        self.group.add(sid, instants_ms, values, is_regular);
        let series = BlockSeries {
            id,
            first_row: self.rows,
            rows: values.len() as u64,
            row_group: self.row_groups,
            min_ms,
            max_ms,
            is_regular,
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
        if self.group.rows() >= schema::ROW_GROUP_ROWS {
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
        group.write(&mut self.samples, &mut self.packer).map_err(columns("write samples"))?;
        self.row_groups += 1;
        Ok(())
    }

    /// From the first to the last instant; a block of nothing but exemplars has theirs.
    fn span_ms(&self) -> (i64, i64) {
        let series = self.all.iter().map(|series| (series.min_ms, series.max_ms));
        let span = series.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        span.or_else(|| self.beside.exemplars_span_ms()).unwrap_or((0, 0))
    }

    /// Writes what is left, and syncs all files and the folder.
    pub fn finish(mut self, heading: Heading) -> Result<Meta, Error> {
        if !self.pending.series.is_empty() {
            self.write_series()?;
        }
        if self.group.rows() > 0 {
            self.write_group()?;
        }
        let span_ms = self.span_ms();
        let footer_offset_bytes = self.samples.bytes_written() as u64;
        let samples = self.samples.into_inner().map_err(columns("end samples"))?;
        let series = self.series.into_inner().map_err(columns("end series"))?;
        let samples_path = self.dir.join(SAMPLES_FILE);
        let mut footer = vec![0; (samples.size_bytes - footer_offset_bytes) as usize];
        samples
            .file
            .read_exact_at(footer_offset_bytes, &mut footer)
            .map_err(at("read back", &samples_path))?;
        let (mut samples, samples_guard) = sealed(samples, &samples_path, SAMPLES_FILE)?;
        samples.footer_offset_bytes = Some(footer_offset_bytes);
        samples.footer_xxh3 = Some(checksum_text(&footer));
        let (series, series_guard) = sealed(series, &self.dir.join(SERIES_FILE), SERIES_FILE)?;
        let sids: BTreeMap<SeriesId, u32> =
            self.all.iter().zip(0..).map(|(series, sid)| (series.id, sid)).collect();
        let beside = self.beside.finish(|id| sids.get(&id).copied())?;
        let (beside, beside_guards): (Vec<_>, Vec<_>) = beside.into_iter().unzip();
        let meta = Meta {
            format_version: FORMAT_VERSION,
            block_id: heading.block_id,
            level: heading.level,
            min_ms: span_ms.0,
            max_ms: span_ms.1,
            rows: self.rows,
            series: self.all.len() as u64,
            series_id_max: self.all.iter().map(|series| series.id.0).max().unwrap_or(0),
            created_ms: heading.created.0,
            sources: heading.sources,
            tombstones_applied: heading.tombstones_applied,
            files: [samples, series].into_iter().chain(beside).collect(),
        };
        let index = BlockIndex::new(self.all, self.index).encode();
        let guards = [samples_guard, series_guard].into_iter().chain(beside_guards).collect();
        let guard = Guard::new(guards, meta.encode()).encode();
        for (name, bytes) in [(INDEX_FILE, index), (GUARD_FILE, guard), (META_FILE, meta.encode())]
        {
            let path = self.dir.join(name);
            let mut file = self.disk.create(&path).map_err(at("create", &path))?;
            file.append(&bytes).map_err(at("write", &path))?;
            file.sync_data().map_err(at("sync", &path))?;
        }
        self.disk.sync_dir(&self.dir).map_err(at("sync", &self.dir))?;
        Ok(meta)
    }
}

/// Whether instants lie evenly from the first to the last.
fn is_even(instants_ms: &[i64]) -> bool {
    let step = |pair: &[i64]| pair[1].wrapping_sub(pair[0]);
    let mut steps = instants_ms.windows(2).map(step);
    match steps.next() {
        Some(first) => first > 0 && steps.all(|own| own == first),
        None => !instants_ms.is_empty(),
    }
}

fn sealed(file: HashingFile, path: &Path, name: &str) -> Result<(FileMeta, FileGuard), Error> {
    file.file.sync_data().map_err(at("sync", path))?;
    let meta = FileMeta {
        name: name.to_owned(),
        size_bytes: file.size_bytes,
        xxh3: format!("{:016x}", file.hash.digest()),
        footer_offset_bytes: None,
        footer_xxh3: None,
    };
    Ok((meta, file.guard.finish(name)))
}
