//! The folder of a block, and its end.
//!
//! Place in the flow: a block holds it; all forms of the same block share it.
//!
//! Invariant: a folder goes only after the manifest stopped naming it, and after its last reader.
//!
//! Not here: folders that a crash left behind (the next start removes what no manifest names).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use journal::disk::Disk;

use super::cache::Cache;

/// Removes the folder when the last reader is gone, if it was told to.
#[derive(Debug)]
pub struct Folder {
    disk: Disk,
    path: PathBuf,
    block_id: String,
    cache: Arc<Cache>,
    is_removed: AtomicBool,
}

impl Folder {
    /// The folder of a block.
    pub fn new(disk: &Disk, path: &Path, block_id: &str, cache: &Arc<Cache>) -> Folder {
        Folder {
            disk: disk.clone(),
            path: path.to_owned(),
            block_id: block_id.to_owned(),
            cache: Arc::clone(cache),
            is_removed: AtomicBool::new(false),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It goes with its last reader.
    pub fn remove_when_unused(&self) {
        self.is_removed.store(true, Ordering::Release);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_removed.load(Ordering::Acquire) {
            return;
        }
        // The file that the cache holds open would keep the space.
        self.cache.forget(&self.block_id);
        if let Err(error) = self.disk.remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "can't remove an old block");
        }
    }
}
