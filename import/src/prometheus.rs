//! A whole Prometheus data directory, as batches: blocks from the oldest to the newest, then the
//! write-ahead log.
//!
//! Place in the flow: folder → **`Batches::next`** → the store, or a running server.
//!
//! Importing twice changes nothing: the store ignores exact duplicates.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use journal::disk::Disk;
use model::append::BatchExemplar;
use model::{Batch, Matcher, TimeRange, TimestampMs};

use crate::Error;
use crate::block::{Block, Filter, Meta, Piece};
use crate::record::Record;
use crate::wal::{LogFiles, Wal};

/// Samples of one batch; a histogram counts for ten.
const BATCH_SAMPLES: usize = 50_000;
/// Samples of one series that are put into one batch.
const PIECE_SAMPLES: usize = 20_000;
/// A histogram's share of a batch.
const HISTOGRAM_SAMPLES: usize = 10;
/// Series of one batch: their labels are most of its bytes.
const BATCH_SERIES: usize = 10_000;
/// A block folder's name.
const ULID_CHARS: usize = 26;

/// What is taken of a source.
#[derive(Debug, Clone)]
pub struct Options {
    /// From when to when.
    pub range: TimeRange,
    /// Which series: those that pass all of them.
    pub matchers: Vec<Matcher>,
}

impl Default for Options {
    fn default() -> Options {
        Options { range: TimeRange::ALL, matchers: Vec::new() }
    }
}

/// How far an import is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is read now.
    pub place: String,
    /// Samples and histograms so far.
    pub samples: u64,
}

/// A data directory.
#[derive(Debug)]
pub struct Folder {
    disk: Disk,
    path: PathBuf,
    blocks: Vec<Meta>,
    log: LogFiles,
    damage: Vec<String>,
}

impl Folder {
    /// Finds the blocks and the log of a data directory.
    pub fn open(disk: &Disk, path: &Path) -> Result<Folder, Error> {
        let mut blocks = Vec::new();
        let mut damage = Vec::new();
        for entry in disk.list(path).map_err(Error::io("list", path))? {
            let is_ulid = entry.name.len() == ULID_CHARS
                && entry
                    .name
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
            if !entry.is_dir || !is_ulid {
                continue;
            }
            match Meta::read(disk, &path.join(&entry.name)) {
                Ok(meta) => blocks.push(meta),
                Err(reason) => damage.push(format!("block {}: {reason}; skipped", entry.name)),
            }
        }
        blocks.sort_by_key(|meta| (meta.min_ms, meta.max_ms));
        let log = LogFiles::find(disk, path)?;
        if blocks.is_empty() && damage.is_empty() && log.is_empty() {
            let reason = "holds neither blocks nor a write-ahead log: is it a Prometheus data \
                          directory (--storage.tsdb.path), or a snapshot of one?";
            return Err(Error::source(path, reason));
        }
        Ok(Folder { disk: disk.clone(), path: path.to_owned(), blocks, log, damage })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many blocks there are, and how many samples they hold.
    pub fn size(&self) -> (usize, i64) {
        (self.blocks.len(), self.blocks.iter().map(|meta| meta.samples).sum())
    }

    /// Whether there is a write-ahead log.
    pub fn has_log(&self) -> bool {
        !self.log.is_empty()
    }

    /// Everything in it.
    pub fn batches(self, options: Options) -> Batches {
        let Options { range, matchers } = options;
        // What a damaged block held may still stand in the log.
        let in_blocks = self.blocks.iter().filter(|meta| !meta.is_out_of_order);
        let valid_from_ms = match self.damage.is_empty() {
            true => in_blocks.map(|meta| meta.max_ms).max().unwrap_or(i64::MIN),
            false => i64::MIN,
        };
        Batches {
            disk: self.disk,
            waiting: self.blocks.into(),
            block: None,
            rest: None,
            log: Some(self.log),
            wal: None,
            valid_from_ms,
            filter: Filter { range, matchers },
            damage: self.damage,
            progress: Progress::default(),
            blocks_total: 0,
        }
        .counted()
    }
}

/// The batches of a folder.
#[derive(Debug)]
pub struct Batches {
    disk: Disk,
    waiting: VecDeque<Meta>,
    block: Option<Block>,
    /// What did not fit into the batch before.
    rest: Option<Piece>,
    log: Option<LogFiles>,
    wal: Option<Wal>,
    valid_from_ms: i64,
    filter: Filter,
    damage: Vec<String>,
    progress: Progress,
    blocks_total: usize,
}

impl Batches {
    fn counted(mut self) -> Batches {
        self.blocks_total = self.waiting.len();
        self
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// What was skipped since the last question.
    pub fn take_damage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damage)
    }

    /// The next batch, which is not empty.
    #[allow(clippy::should_implement_trait)] // It has more to tell than an iterator does.
    pub fn next(&mut self) -> Option<Batch> {
        loop {
            let batch = match (&self.block, &self.wal) {
                (Some(_), _) => self.of_block(),
                (None, Some(_)) => self.of_wal(),
                (None, None) => {
                    self.open_next()?;
                    continue;
                }
            };
            if !batch.is_empty() {
                let count = batch.samples().len() + batch.histograms().len();
                self.progress.samples += count as u64;
                return Some(batch);
            }
        }
    }

    /// Opens the next block, or the log; `None` when there is no more.
    fn open_next(&mut self) -> Option<()> {
        let Some(meta) = self.waiting.pop_front() else {
            let files = self.log.take().filter(|files| !files.is_empty())?;
            self.progress.place = "write-ahead log".to_owned();
            self.wal = Some(Wal::open(&self.disk, &files, self.valid_from_ms));
            return Some(());
        };
        let number = self.blocks_total - self.waiting.len();
        self.progress.place = format!("block {number} of {}, {}", self.blocks_total, meta.name);
        let name = meta.name.clone();
        match Block::open(&self.disk, meta, &self.filter) {
            Ok(block) => self.block = block,
            Err(error) => {
                self.valid_from_ms = i64::MIN;
                self.damage.push(format!("block {name}: {error}; skipped"));
            }
        }
        Some(())
    }

    fn of_block(&mut self) -> Batch {
        let Batches { block: open, filter, rest, damage, .. } = self;
        let block = open.as_mut().expect("it was looked at before");
        let mut batch = Batch::new();
        while size(&batch) < BATCH_SAMPLES && batch.series_count() < BATCH_SERIES {
            let Some(mut piece) = rest.take().or_else(|| block.next(filter)) else {
                damage.extend(block.take_damage());
                *open = None;
                return batch;
            };
            let left = Piece {
                labels: piece.labels.clone(),
                values: split(&mut piece.values, PIECE_SAMPLES),
                histograms: split(&mut piece.histograms, PIECE_SAMPLES / HISTOGRAM_SAMPLES),
            };
            if !left.values.is_empty() || !left.histograms.is_empty() {
                *rest = Some(left);
            }
            let series = batch.series(&piece.labels);
            for (at, value) in piece.values {
                batch.sample(series, TimestampMs(at), value);
            }
            for (at, histogram) in piece.histograms {
                batch.histogram(series, TimestampMs(at), histogram);
            }
        }
        damage.extend(block.take_damage());
        batch
    }

    fn of_wal(&mut self) -> Batch {
        let Batches { wal: open, filter, damage, progress, .. } = self;
        let wal = open.as_mut().expect("it was looked at before");
        let mut batch = Batch::new();
        while size(&batch) < BATCH_SAMPLES && batch.series_count() < BATCH_SERIES {
            let Some(record) = wal.next(filter) else {
                damage.extend(wal.take_damage());
                *open = None;
                return batch;
            };
            add(&mut batch, wal, record);
        }
        damage.extend(wal.take_damage());
        let (begun, total) = wal.progress();
        progress.place = format!("write-ahead log, segment {begun} of {total}");
        batch
    }
}

/// What is behind the first so many.
fn split<T>(list: &mut Vec<T>, count: usize) -> Vec<T> {
    if list.len() > count { list.split_off(count) } else { Vec::new() }
}

fn size(batch: &Batch) -> usize {
    batch.samples().len() + HISTOGRAM_SAMPLES * batch.histograms().len() + batch.exemplars().len()
}

/// Puts a record of the log into a batch. Series that are not known were sorted out before.
fn add(batch: &mut Batch, wal: &Wal, record: Record) {
    match record {
        Record::Samples(list) => {
            for (series, at, value) in list {
                if let Some(labels) = wal.labels(series) {
                    let series = batch.series(labels);
                    batch.sample(series, TimestampMs(at), value);
                }
            }
        }
        Record::Histograms(list) => {
            for (series, at, histogram) in list {
                if let Some(labels) = wal.labels(series) {
                    let series = batch.series(labels);
                    batch.histogram(series, TimestampMs(at), histogram);
                }
            }
        }
        Record::Exemplars(list) => {
            for (series, at, value, labels) in list {
                if let Some(own) = wal.labels(series) {
                    let series = batch.series(own);
                    batch.exemplar(BatchExemplar { series, at: TimestampMs(at), value, labels });
                }
            }
        }
        Record::Metadata(list) => {
            for (series, metadata) in list {
                if let Some(labels) = wal.labels(series) {
                    batch.metadata(family(labels.metric_name(), metadata.kind), metadata);
                }
            }
        }
        Record::Series(_) | Record::Tombstones(_) | Record::Marker | Record::Unknown(_) => {}
    }
}

/// The family of a series by the name of one of its parts.
fn family(name: &str, kind: model::MetricKind) -> &str {
    use model::MetricKind::{Histogram, Summary};
    if !matches!(kind, Histogram | Summary) {
        return name;
    }
    let parts = ["_bucket", "_sum", "_count"];
    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}
