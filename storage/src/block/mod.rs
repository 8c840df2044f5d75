//! An immutable time range on disk, in a folder of its own.
//!
//! Place in the flow: flush writes blocks; scan and label queries read them; compaction merges them.
//!
//! A block is trusted only as far as its checksums go: `meta.json` is covered by the manifest, the
//! footer and `series.parquet` by `meta.json`, every page by its own CRC, the index by its own. What
//! fails its checksum is made right again with the guard file (`mend`). Beyond that a damaged page
//! costs its rows, a damaged footer the block; all is named and the rest serves.
//!
//! Invariants: the bytes in the folder stay what they were when it was published, but for the index
//! file, which may be built again; a file that was damaged may be written anew. The folder of a block that the manifest names no more is removed when the
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
/// In which form the numbers of a page stand.
mod choice;
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
/// What files were: checksums and parity.
pub mod guard;
/// Damaged bytes made right again.
pub mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use journal::disk::Disk;
use model::TimeRange;

use crate::Error;
use crate::error::at;
use crate::index::BlockIndex;
use crate::index::file::Unusable;
use crate::tombstone::{Hidden, Tombstone};
use cache::Cache;
use folder::Folder;
use mend::Patches;
use meta::{Meta, SERIES_FILE};

pub use page::Effort;
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
    patches: Arc<Patches>,
    tombstones: Vec<Arc<Tombstone>>,
    hidden: OnceLock<Hidden>,
}

#[derive(Debug, Default)]
struct Damage {
    whole: Option<String>,
    /// Rows of the samples that are lost, by row group and first row in it.
    rows: BTreeMap<(u32, usize), String>,
    /// Files beside the samples: one row group, or all of the file.
    parts: BTreeMap<(&'static str, Option<u32>), String>,
    /// Places that were mended, by file and offset.
    mended: BTreeMap<(&'static str, u64), String>,
    /// Files that are still damaged on the disk.
    unhealed: BTreeSet<&'static str>,
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
            patches: Arc::default(),
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
            patches: Arc::clone(&self.patches),
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
        let damage = self.lock_damage();
        let lost = damage.rows.values().chain(damage.parts.values());
        damage.whole.iter().chain(lost).chain(damage.mended.values()).cloned().collect()
    }

    /// Whether something of it is lost, as far as is known.
    pub fn has_losses(&self) -> bool {
        let damage = self.lock_damage();
        damage.whole.is_some() || !damage.rows.is_empty() || !damage.parts.is_empty()
    }

    /// Whether nothing of it can be read.
    pub fn is_set_aside(&self) -> bool {
        self.lock_damage().whole.is_some()
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
        let mut damage = self.lock_damage();
        damage.whole.get_or_insert(text).clone()
    }

    fn lock_damage(&self) -> MutexGuard<'_, Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that rows of a row group of the samples are lost, counted from its first one.
    fn set_rows_aside(&self, row_group: u32, rows: Range<usize>, reason: &str) -> String {
        let text = format!(
            "block {}: rows {} to {} of row group {row_group} of {}: {reason}",
            self.meta.block_id,
            rows.start,
            rows.end - 1,
            meta::SAMPLES_FILE
        );
        let mut damage = self.lock_damage();
        let is_new = !damage.rows.contains_key(&(row_group, rows.start));
        if is_new {
            tracing::error!(damage = %text, "part of a block set aside");
        }
        damage.rows.entry((row_group, rows.start)).or_insert(text).clone()
    }

    /// Whether rows of a row group are known to be lost: then mending was tried.
    fn has_lost_rows(&self, row_group: u32) -> bool {
        let first = (row_group, 0);
        let damage = self.lock_damage();
        damage.rows.range(first..).next().is_some_and(|((group, _), _)| *group == row_group)
    }

    fn name_mended(&self, name: &'static str, offset: u64, reason: &str) {
        let text = format!("block {}: {name}: {reason}", self.meta.block_id);
        tracing::error!(damage = %text, "a file of a block was damaged");
        let mut damage = self.lock_damage();
        damage.unhealed.insert(name);
        damage.mended.insert((name, offset), text);
    }

    fn is_unhealed(&self, name: &str) -> bool {
        self.lock_damage().unhealed.contains(name)
    }

    fn note_healed(&self, name: &str) {
        self.lock_damage().unhealed.remove(name);
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
        let mut damage = self.lock_damage();
        damage.parts.entry((name, row_group)).or_insert(text).clone()
    }

    /// What is wrong with a part that was set aside.
    pub(crate) fn part_damage(&self, name: &'static str, row_group: Option<u32>) -> Option<String> {
        let damage = self.lock_damage();
        damage.parts.get(&(name, row_group)).cloned()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
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
        if let Ok(bytes) = self.disk.read(&path, FILE_BYTES_MAX) {
            match BlockIndex::decode(&bytes) {
                Ok(index) if index.series().len() as u64 == self.meta.series => return Ok(index),
                Err(Unusable::Newer) => {}
                _ => {
                    self.name_mended(INDEX_FILE, 0, "damaged, built again");
                }
            }
        }
        let index = self.read_series_file()?.into_index();
        // It serves from memory in any case; the file only saves the work at the next start.
        match self.disk.write_atomic(&path, &index.encode()) {
            Ok(()) => tracing::info!(path = %path.display(), "index was built again"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "can't write index"),
        }
        Ok(index)
    }

    /// Labels and numbers of its series: from `series.parquet`, or when that can't be read from the
    /// index.
    pub fn read_series(&self) -> Result<series_file::SeriesRows, Error> {
        self.read_series_file().or_else(|error| {
            let path = self.dir().join(INDEX_FILE);
            let bytes = self.disk.read(&path, FILE_BYTES_MAX).ok();
            let index = bytes.and_then(|bytes| BlockIndex::decode(&bytes).ok());
            index.map(|index| series_file::SeriesRows::of_index(&index)).ok_or(error)
        })
    }

    /// Labels and numbers of its series, from `series.parquet`.
    pub fn read_series_file(&self) -> Result<series_file::SeriesRows, Error> {
        let path = self.dir().join(SERIES_FILE);
        let bytes = self.read_whole(SERIES_FILE)?;
        let bytes = match self.meta.check(SERIES_FILE, &path, &bytes) {
            Ok(()) => bytes,
            Err(error) if !self.mend(SERIES_FILE, 0..bytes.len() as u64) => {
                self.set_part_aside(SERIES_FILE, None, &crate::error::chain(&error));
                return Err(error);
            }
            Err(_) => {
                let bytes = self.read_whole(SERIES_FILE)?;
                self.meta.check(SERIES_FILE, &path, &bytes)?;
                bytes
            }
        };
        series_file::read(bytes.into(), &path)
    }

    fn read_whole(&self, name: &'static str) -> Result<Vec<u8>, Error> {
        let path = self.dir().join(name);
        let mut bytes = self.disk.read(&path, FILE_BYTES_MAX).map_err(at("read", &path))?;
        self.patches.lay_over(name, 0, &mut bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
