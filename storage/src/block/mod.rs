//! An immutable time range on disk, in a folder of its own.
//!
//! Place in the flow: flush writes blocks; scan and label queries read them; compaction merges them.
//!
//! A block is trusted only as far as its checksums go: `meta.json` is covered by the manifest, the
//! footer and `series.parquet` by `meta.json`, every page by its own CRC, the index by its own. A
//! damaged page costs its row group, a damaged footer the block; both are named and the rest serves.
//!
//! Invariants: nothing in the folder changes after it was published, but for the index file, which
//! may be built again. The folder of a block that the manifest names no more is removed when the
//! last reader lets go of it.
//!
//! Not here: which blocks there are (`manifest`), merging with memory (`scan`).

/// Names that sort by time.
pub mod name;
/// What a block says about itself.
pub mod meta;
/// Columns and their encodings.
pub mod schema;
/// Writing a block's folder.
pub mod writer;
/// In which order series stand.
pub mod order;
/// One row group before it is written.
mod columns;
/// Pages and column chunks, byte by byte.
mod page;
/// Whole numbers as differences.
mod delta;
/// Small numbers as runs.
mod runs;
/// `series.parquet`, both ways.
mod series_file;
/// Reading rows of chosen series.
pub mod reader;
/// Footers and indexes kept in memory, within a budget.
pub mod cache;
/// The folder, and its end.
mod folder;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use journal::disk::Disk;
use model::TimeRange;

use crate::Error;
use crate::error::at;
use crate::index::BlockIndex;
use crate::tombstone::{Hidden, Tombstone};
use cache::Cache;
use folder::Folder;
use meta::{Meta, SERIES_FILE};

pub use reader::{Ask, BlockRows, Columns};
pub use writer::BlockWriter;

/// The name of the index inside a block's folder.
pub const INDEX_FILE: &str = "index";
/// The largest index or series file that is read into memory.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 30;

/// One block that serves.
#[derive(Debug)]
pub struct Block {
    meta: Arc<Meta>,
    folder: Arc<Folder>,
    disk: Disk,
    cache: Arc<Cache>,
    damage: Arc<Mutex<Damage>>,
    tombstones: Vec<Arc<Tombstone>>,
    hidden: OnceLock<Hidden>,
}

#[derive(Debug, Default)]
struct Damage {
    whole: Option<String>,
    row_groups: BTreeMap<u32, String>,
    /// Files beside the samples: one row group, or all of the file.
    parts: BTreeMap<(&'static str, Option<u32>), String>,
}

impl Block {
    /// Opens the block in a folder: reads what it says about itself and looks whether its files are
    /// there in full length.
    pub fn open(disk: &Disk, dir: &Path, cache: &Arc<Cache>) -> Result<Block, Error> {
        let meta = Meta::read(disk, dir)?;
        for file in &meta.files {
            let path = dir.join(&file.name);
            let opened = disk.open(&path).map_err(at("open", &path))?;
            let size_bytes = opened.size_bytes().map_err(at("measure", &path))?;
            if size_bytes != file.size_bytes {
                let what = format!("has {size_bytes} bytes instead of {}", file.size_bytes);
                return Err(Error::Damaged { path, what });
            }
        }
        Ok(Block::written(meta, disk, dir, cache))
    }

    /// The block that was just written to a folder.
    pub fn written(meta: Meta, disk: &Disk, dir: &Path, cache: &Arc<Cache>) -> Block {
        Block {
            folder: Arc::new(Folder::new(disk, dir, &meta.block_id, cache)),
            meta: Arc::new(meta),
            disk: disk.clone(),
            cache: Arc::clone(cache),
            damage: Arc::default(),
            tombstones: Vec::new(),
            hidden: OnceLock::new(),
        }
    }

    /// The same block under these deletions.
    pub fn with_tombstones(&self, tombstones: Vec<Arc<Tombstone>>) -> Block {
        Block {
            meta: Arc::clone(&self.meta),
            folder: Arc::clone(&self.folder),
            disk: self.disk.clone(),
            cache: Arc::clone(&self.cache),
            damage: Arc::clone(&self.damage),
            tombstones,
            hidden: OnceLock::new(),
        }
    }

    /// The deletions that hide samples of it.
    pub fn tombstones(&self) -> &[Arc<Tombstone>] {
        &self.tombstones
    }

    /// What those hide; `None` when nothing is hidden.
    pub fn hidden(&self, index: &BlockIndex) -> Option<&Hidden> {
        if self.tombstones.is_empty() {
            return None;
        }
        Some(self.hidden.get_or_init(|| Hidden::new(&self.tombstones, index)))
    }

    /// The manifest names it no more: its folder goes when the last reader does.
    pub fn remove_when_unused(&self) {
        self.folder.remove_when_unused();
    }

    /// What it says about itself.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// From its first to its last sample.
    pub fn range(&self) -> TimeRange {
        self.meta.range()
    }

    /// What was found damaged so far.
    pub fn damage(&self) -> Vec<String> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = damage.row_groups.values();
        damage.whole.iter().chain(groups).chain(damage.parts.values()).cloned().collect()
    }

    /// Whether nothing of it can be read.
    pub fn is_set_aside(&self) -> bool {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).whole.is_some()
    }

    /// Remembers that nothing of it can be read, unless it was only the disk that refused, and
    /// gives the words for it.
    pub(crate) fn set_aside(&self, error: &Error) -> String {
        let text = format!("block {}: {}", self.meta.block_id, crate::error::chain(error));
        if matches!(error, Error::Io { .. }) {
            tracing::warn!(problem = %text, "block can't be read for now");
            return text;
        }
        tracing::error!(damage = %text, "block set aside");
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.whole.get_or_insert(text).clone()
    }

    fn set_row_group_aside(&self, row_group: u32, reason: &str) -> String {
        let text = format!(
            "block {}: row group {row_group} of {}: {reason}",
            self.meta.block_id,
            meta::SAMPLES_FILE
        );
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.row_groups.entry(row_group).or_insert(text).clone()
    }

    fn row_group_damage(&self, row_group: u32) -> Option<String> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.row_groups.get(&row_group).cloned()
    }

    /// Remembers that a row group of a file beside the samples can't be read, or all of the file.
    pub(crate) fn set_part_aside(
        &self,
        name: &'static str,
        row_group: Option<u32>,
        reason: &str,
    ) -> String {
        let block_id = &self.meta.block_id;
        let text = match row_group {
            Some(row_group) => {
                format!("block {block_id}: row group {row_group} of {name}: {reason}")
            }
            None => format!("block {block_id}: {name}: {reason}"),
        };
        tracing::error!(damage = %text, "part of a block set aside");
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.parts.entry((name, row_group)).or_insert(text).clone()
    }

    /// What is wrong with a part that was set aside.
    pub(crate) fn part_damage(&self, name: &'static str, row_group: Option<u32>) -> Option<String> {
        let damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.parts.get(&(name, row_group)).cloned()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The index; read from its file, or built again from `series.parquet`.
    pub fn index(&self) -> Result<Arc<BlockIndex>, Error> {
        let key = (self.meta.block_id.clone(), cache::Kind::Index);
        if let Some(cache::Entry::Index(index)) = self.cache.get(&key) {
            return Ok(index);
        }
        let index = Arc::new(self.load_index()?);
        self.cache.put(key, cache::Entry::Index(Arc::clone(&index)), index.bytes());
        Ok(index)
    }

    fn load_index(&self) -> Result<BlockIndex, Error> {
        let path = self.dir().join(INDEX_FILE);
        let found = self.disk.read(&path, FILE_BYTES_MAX).ok();
        let decoded = found.and_then(|bytes| BlockIndex::decode(&bytes).ok());
        if let Some(index) = decoded
            && index.series().len() as u64 == self.meta.series
        {
            return Ok(index);
        }
        let index = self.read_series_file()?.into_index();
        // It serves from memory in any case; the file only saves the work at the next start.
        match self.disk.write_atomic(&path, &index.encode()) {
            Ok(()) => tracing::info!(path = %path.display(), "index was built again"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "can't write index"),
        }
        Ok(index)
    }

    /// Labels and numbers of its series, from `series.parquet`.
    pub fn read_series_file(&self) -> Result<series_file::SeriesRows, Error> {
        let path = self.dir().join(SERIES_FILE);
        let bytes = self.disk.read(&path, FILE_BYTES_MAX).map_err(at("read", &path))?;
        self.meta.check(SERIES_FILE, &path, &bytes)?;
        series_file::read(bytes.into(), &path)
    }
}

#[cfg(test)]
mod tests;
