//! Which files there are in a data folder that nobody writes to, and what is known of them.
//!
//! Place in the flow: data folder → **`SourceFile`s** → `make`.
//!
//! Everything is taken but what another process, another backup or an operator put aside. A folder
//! that a later release adds is so covered without a word here.
//!
//! Not here: reading the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use journal::disk::Disk;
use storage::snapshot::{
    BLOCK_META_FILE, BLOCKS_FOLDER, MANIFEST_FILE, QUARANTINE_FOLDER, block_files, manifest_blocks,
};

use crate::Error;
use crate::error::at;
use crate::restore::RESTORING_FILE;

/// Names in the data folder that are not part of a backup: the lock of the running process,
/// snapshots, what a file system keeps for itself.
const LEFT_OUT: [&str; 3] = ["lock", "snapshots", "lost+found"];
/// The store's folder in the data folder.
pub(crate) const STORE_FOLDER: &str = "store";
/// Longest manifest or `meta.json`.
pub(crate) const META_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One file to back up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Its place in the data folder, with `/` between names.
    pub path: String,
    pub size_bytes: u64,
    /// What its checksum must be, when something else tells.
    pub expected_xxh3: Option<String>,
}

impl SourceFile {
    /// Where it lies.
    pub(crate) fn location(&self, data: &Path) -> PathBuf {
        join(data, &self.path)
    }
}

/// A path with `/` between names below a folder.
pub(crate) fn join(folder: &Path, path: &str) -> PathBuf {
    path.split('/').fold(folder.to_owned(), |folder, name| folder.join(name))
}

/// All files of a data folder, sorted by path, and what is wrong with it.
pub(crate) fn files(disk: &Disk, data: &Path) -> Result<(Vec<SourceFile>, Vec<String>), Error> {
    if disk.exists(&data.join(RESTORING_FILE)).map_err(at("look into", data))? {
        let data = data.display();
        return Err(Error::Refused(format!(
            "{data} holds a restore that did not end: remove {data} and restore again"
        )));
    }
    let store = data.join(STORE_FOLDER);
    if !disk.exists(&store).map_err(at("look into", data))? {
        let data = data.display();
        return Err(Error::Refused(format!(
            "{data} is no data folder of Belfry: there is no {STORE_FOLDER}/ in it"
        )));
    }
    let known = Known::read(disk, &store)?;
    let mut files = Vec::new();
    walk(disk, data, "", &mut |path, size_bytes| {
        if !known.is_leftover(&path) {
            let expected_xxh3 = known.sums.get(&path).cloned();
            files.push(SourceFile { path, size_bytes, expected_xxh3 });
        }
    })?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok((files, known.problems))
}

fn walk(
    disk: &Disk,
    folder: &Path,
    path: &str,
    found: &mut dyn FnMut(String, u64),
) -> Result<(), Error> {
    for entry in disk.list(folder).map_err(at("list", folder))? {
        let is_left_out = path.is_empty() && LEFT_OUT.contains(&entry.name.as_str());
        let is_quarantine = path == STORE_FOLDER && entry.name == QUARANTINE_FOLDER;
        if is_left_out || is_quarantine || entry.name.ends_with(".tmp") {
            continue;
        }
        let below =
            if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
        if entry.is_dir {
            walk(disk, &folder.join(&entry.name), &below, found)?;
        } else {
            found(below, entry.size_bytes);
        }
    }
    Ok(())
}

/// What the store's own files say about each other.
struct Known {
    /// Blocks of the manifest; `None` when it can't be read, then every block counts.
    named: Option<BTreeSet<String>>,
    /// Checksums by path.
    sums: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Known {
    fn read(disk: &Disk, store: &Path) -> Result<Known, Error> {
        let mut known = Known { named: None, sums: BTreeMap::new(), problems: Vec::new() };
        let path = store.join(MANIFEST_FILE);
        let read = disk.read(&path, META_BYTES_MAX).map_err(at("read", &path));
        let blocks = match read.and_then(|bytes| Ok(manifest_blocks(&bytes, &path)?)) {
            Ok(blocks) => blocks,
            Err(error @ Error::Store(storage::Error::NewerFormat { .. })) => return Err(error),
            Err(error) => {
                known.problems.push(error.to_string());
                return Ok(known);
            }
        };
        for block in &blocks {
            let folder = format!("{STORE_FOLDER}/{BLOCKS_FOLDER}/{}", block.block_id);
            let path =
                join(store, &format!("{BLOCKS_FOLDER}/{}/{BLOCK_META_FILE}", block.block_id));
            known.sums.insert(format!("{folder}/{BLOCK_META_FILE}"), block.meta_xxh3.clone());
            let read = disk.read(&path, META_BYTES_MAX).map_err(at("read", &path));
            match read.and_then(|bytes| Ok(block_files(&bytes, &path)?)) {
                Ok(files) => {
                    let sums = files.into_iter();
                    known
                        .sums
                        .extend(sums.map(|file| (format!("{folder}/{}", file.name), file.xxh3)));
                }
                Err(error @ Error::Store(storage::Error::NewerFormat { .. })) => return Err(error),
                Err(error) => known.problems.push(error.to_string()),
            }
        }
        known.named = Some(blocks.into_iter().map(|block| block.block_id).collect());
        Ok(known)
    }

    /// Whether a file belongs to a block that no manifest names.
    fn is_leftover(&self, path: &str) -> bool {
        let Some(named) = &self.named else { return false };
        let mut names = path.split('/');
        let is_block = names.next() == Some(STORE_FOLDER) && names.next() == Some(BLOCKS_FOLDER);
        is_block && names.next().is_some_and(|block_id| !named.contains(block_id))
    }
}
