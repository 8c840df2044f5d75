//! A picture of the running store in another folder, and what a backup must know of a store's files.
//!
//! Place in the flow: [`crate::Store::snapshot`] → **`take`** → a folder that opens as a store by
//! itself. A backup reads the folder of a stopped store, or such a picture, and asks
//! [`manifest_blocks`] and [`block_files`] what belongs together.
//!
//! Blocks and journal segments are files that nobody changes any more, so the picture is made of
//! second names of them: it costs no space and hardly any time, and appends go on meanwhile. What is
//! in memory lies in the journal; it is not flushed, which would leave the store with many small
//! blocks.
//!
//! Invariant: the folder has its final name only when it is whole and durable.
//!
//! Not here: what else a data folder holds (belfry), copying to another place (backup).

use std::path::{Path, PathBuf};

use crate::Error;
use crate::beside::metadata::METADATA_FILE;
use crate::block::meta::Meta;
use crate::error::at;
use crate::flush::BLOCKS_DIR;
use crate::manifest::Found;
use crate::open::JOURNAL_DIR;
use crate::series_log::SERIES_LOG_DIR;
use crate::shared::{Era, Shared, lock};

pub use crate::beside::metadata::METADATA_FILE as FAMILIES_FILE;
pub use crate::block::meta::META_FILE as BLOCK_META_FILE;
pub use crate::flush::BLOCKS_DIR as BLOCKS_FOLDER;
pub use crate::manifest::MANIFEST_FILE;
pub use crate::open::QUARANTINE_DIR as QUARANTINE_FOLDER;

/// A block that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockName {
    /// The name of its folder.
    pub block_id: String,
    /// xxh3 of its `meta.json`, in sixteen hexadecimal digits.
    pub meta_xxh3: String,
}

/// A file that a block's `meta.json` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockFile {
    /// Its name in the block's folder.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// xxh3 of all its bytes, in sixteen hexadecimal digits.
    pub xxh3: String,
}

/// The blocks that the bytes of a manifest name; `path` is for the error.
pub fn manifest_blocks(bytes: &[u8], path: &Path) -> Result<Vec<BlockName>, Error> {
    match crate::manifest::decode(bytes, path)? {
        Found::Whole(manifest) => Ok(manifest
            .blocks
            .into_iter()
            .map(|entry| BlockName { block_id: entry.block_id, meta_xxh3: entry.meta_xxh3 })
            .collect()),
        Found::Damaged(what) => Err(Error::Damaged { path: path.to_owned(), what }),
        Found::Nothing | Found::Repaired(..) => Ok(Vec::new()),
    }
}

/// The files that the bytes of a block's `meta.json` name; `path` is for the error.
pub fn block_files(bytes: &[u8], path: &Path) -> Result<Vec<BlockFile>, Error> {
    let meta = Meta::decode(bytes, path)?;
    let file = |own: crate::block::meta::FileMeta| BlockFile {
        name: own.name,
        size_bytes: own.size_bytes,
        xxh3: own.xxh3,
    };
    Ok(meta.files.into_iter().map(file).collect())
}

/// Makes a picture of the store in the folder `to`, which must not be there.
pub(crate) fn take(shared: &Shared, to: &Path, include_head: bool) -> Result<(), Error> {
    let disk = &shared.disk;
    if disk.exists(to).map_err(at("look for", to))? {
        let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(Error::Io { action: "make a snapshot in", path: to.to_owned(), source });
    }
    let temporary = temporary(to);
    if disk.exists(&temporary).map_err(at("look for", &temporary))? {
        disk.remove_dir_all(&temporary).map_err(at("remove", &temporary))?;
    }
    let taken = fill(shared, &temporary, include_head).and_then(|()| {
        disk.rename(&temporary, to).map_err(at("rename", &temporary))?;
        let above = to.parent().unwrap_or(to);
        disk.sync_dir(above).map_err(at("sync", above))
    });
    if taken.is_err() {
        // Only space is lost when this fails; the next snapshot of that name tries again.
        let _ = disk.remove_dir_all(&temporary);
    }
    taken
}

fn temporary(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    to.with_file_name(name)
}

fn fill(shared: &Shared, dir: &Path, include_head: bool) -> Result<(), Error> {
    let disk = &shared.disk;
    let blocks_dir = dir.join(BLOCKS_DIR);
    disk.create_dir_all(&blocks_dir).map_err(at("create", &blocks_dir))?;
    // While this is held no block comes or goes and no journal segment is removed.
    let flushing = lock(&shared.flushing);
    let mut manifest = flushing.manifest.clone();
    if include_head {
        // Entries about segments that are not copied would fit the new ones there.
        manifest.forget_flushes(copy_journal(shared, &dir.join(JOURNAL_DIR))?);
    } else {
        // They tell which samples of the journal to skip, and its numbers begin anew there.
        manifest.flushes.clear();
    }
    shared.series_log.copy_to(&dir.join(SERIES_LOG_DIR))?;
    for entry in &manifest.blocks {
        let from = shared.dir.join(BLOCKS_DIR).join(&entry.block_id);
        link_folder(shared, &from, &blocks_dir.join(&entry.block_id))?;
    }
    let metadata = shared.dir.join(METADATA_FILE);
    if disk.exists(&metadata).map_err(at("look for", &metadata))? {
        // Replaced as a whole, never changed.
        let to = dir.join(METADATA_FILE);
        disk.link_or_copy(&metadata, &to).map_err(at("link", &metadata))?;
    }
    drop(flushing);
    disk.sync_dir(&blocks_dir).map_err(at("sync", &blocks_dir))?;
    manifest.write(disk, dir)
}

/// Copies the journal; answers the first segment that is copied.
fn copy_journal(shared: &Shared, to: &Path) -> Result<u64, Error> {
    let mut eras = lock(&shared.eras);
    let segment = shared.journal.copy_to(to)?;
    if eras.last().is_none_or(|era| era.segment < segment) {
        eras.push(Era { segment, newest_ms: None, bytes: 0 });
    }
    Ok(eras.first().map_or(segment, |era| era.segment))
}

/// Gives the files of a block's folder second names in another.
fn link_folder(shared: &Shared, from: &Path, to: &Path) -> Result<(), Error> {
    let disk = &shared.disk;
    disk.create_dir_all(to).map_err(at("create", to))?;
    for entry in disk.list(from).map_err(at("list", from))? {
        if !entry.is_dir {
            let file = from.join(&entry.name);
            disk.link_or_copy(&file, &to.join(&entry.name)).map_err(at("link", &file))?;
        }
    }
    disk.sync_dir(to).map_err(at("sync", to))
}
