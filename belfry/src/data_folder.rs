//! The data folder: created, found, and held by one process at a time.
//!
//! Place in the flow: `run`, `backup` and `restore` begin with it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use backup::RESTORING_FILE;
use journal::disk::{Disk, DiskLock};

/// The file that the running process locks.
const LOCK_FILE: &str = "lock";

/// Creates the folder for a server. Half a restore is none.
pub fn prepare(data: &Path) -> Result<PathBuf, String> {
    std::fs::create_dir_all(data)
        .map_err(|error| format!("create the data folder {}: {error}", data.display()))?;
    let data = find(data)?;
    if data.join(RESTORING_FILE).exists() {
        let data = data.display();
        return Err(format!(
            "{data} holds a restore that did not end: remove what is in {data} and restore again"
        ));
    }
    Ok(data)
}

/// The folder's absolute path.
pub fn find(data: &Path) -> Result<PathBuf, String> {
    data.canonicalize().map_err(|error| format!("find the data folder {}: {error}", data.display()))
}

/// Two processes on one folder would damage it: the first holds this lock as long as it lives.
/// `None` when another process does.
pub fn try_lock(disk: &Disk, data: &Path) -> Result<Option<DiskLock>, String> {
    let path = data.join(LOCK_FILE);
    match disk.lock(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(format!("lock {}: {error}", path.display())),
    }
}

/// The lock, or what to do when another process has it.
pub fn lock(disk: &Disk, data: &Path) -> Result<DiskLock, String> {
    try_lock(disk, data)?.ok_or_else(|| {
        format!("{} is in use by another Belfry; stop it or choose another --data", data.display())
    })
}
