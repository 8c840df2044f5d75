//! From a backup to a data folder.
//!
//! Place in the flow: `place` → **`restore`** → a folder that a server opens.
//!
//! While it works, the folder holds a file that keeps servers and backups away from it; so half a
//! restore never looks whole. The folder itself is not renamed at the end, since it may be where a
//! disk is mounted.
//!
//! Invariant: every file that is written fits its checksum, unless an operator accepts damage.
//!
//! Not here: starting the server.

use std::path::Path;

use journal::disk::Disk;
use serde::Serialize;

use crate::error::at;
use crate::index::FileEntry;
use crate::place::{Fault, Place};
use crate::source::join;
use crate::verify::Problem;
use crate::{Error, Listener, Progress};

/// Stands in a data folder while it is restored.
pub const RESTORING_FILE: &str = "restoring";
/// Names that an empty data folder may hold.
const NOTHING: [&str; 2] = ["lock", "lost+found"];

/// What an operator may ask for.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Restore what there is: damaged files as they are, missing ones left out.
    pub accept_damage: bool,
}

/// A data folder that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The backup's name.
    pub name: String,
    /// Files written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was damaged or missing and was accepted.
    pub problems: Vec<Problem>,
}

/// Fills a data folder, which must be empty or not there.
pub async fn restore(
    place: &Place,
    name: &str,
    (disk, data): (&Disk, &Path),
    options: &RestoreOptions,
    listener: Listener<'_>,
) -> Result<Restored, Error> {
    let index = place.index(name).await?;
    disk.create_dir_all(data).map_err(at("create", data))?;
    let entries = disk.list(data).map_err(at("list", data))?;
    if let Some(entry) = entries.iter().find(|entry| !NOTHING.contains(&entry.name.as_str())) {
        return Err(Error::Refused(format!(
            "{} is not empty (it holds {}): restore to an empty folder",
            data.display(),
            entry.name
        )));
    }
    let marker = data.join(RESTORING_FILE);
    disk.write_atomic(&marker, b"A restore is under way here, or did not end.\n")
        .map_err(at("write", &marker))?;
    let mut restored = Restored { name: name.to_owned(), files: 0, bytes: 0, problems: Vec::new() };
    let mut progress = Progress {
        files: 0,
        files_total: index.files.len() as u64,
        bytes: 0,
        bytes_total: index.size_bytes(),
    };
    for entry in &index.files {
        listener(&progress);
        match write(place, name, (disk, data), entry).await {
            Ok(()) => {}
            Err(Fault::Failed(error)) => return Err(error),
            Err(fault) if !options.accept_damage => return Err(refused(place, name, entry, fault)),
            Err(fault) => {
                let what = text(fault);
                restored.problems.push(Problem { path: entry.path.clone(), what });
            }
        }
        progress.files += 1;
        progress.bytes += entry.size_bytes;
    }
    listener(&progress);
    sync_tree(disk, data)?;
    disk.remove_file(&marker).map_err(at("remove", &marker))?;
    disk.sync_dir(data).map_err(at("sync", data))?;
    (restored.files, restored.bytes) = (progress.files, progress.bytes);
    Ok(restored)
}

async fn write(
    place: &Place,
    name: &str,
    (disk, data): (&Disk, &Path),
    entry: &FileEntry,
) -> Result<(), Fault> {
    let path = join(data, &entry.path);
    let folder = path.parent().unwrap_or(data);
    let failed = |error: Error| Fault::Failed(error);
    disk.create_dir_all(folder).map_err(at("create", folder)).map_err(failed)?;
    let mut file = disk.create(&path).map_err(at("create", &path)).map_err(failed)?;
    let mut append = |bytes: &[u8]| file.append(bytes).map_err(at("write", &path));
    let read = place.read(name, entry, &mut append).await;
    if matches!(read, Err(Fault::Missing)) {
        disk.remove_file(&path).map_err(at("remove", &path)).map_err(failed)?;
        return read;
    }
    file.sync_data().map_err(at("sync", &path)).map_err(failed)?;
    read
}

fn text(fault: Fault) -> String {
    match fault {
        Fault::Missing => "it is missing".to_owned(),
        Fault::Damaged(what) => what,
        Fault::Failed(error) => error.to_string(),
    }
}

fn refused(place: &Place, name: &str, entry: &FileEntry, fault: Fault) -> Error {
    let file = place.text(&format!("{name}: {}", entry.path));
    let what = format!(
        "{}; take another backup, or restore what there is with --accept-damage into an empty folder",
        text(fault)
    );
    Error::Damaged { file, what }
}

fn sync_tree(disk: &Disk, folder: &Path) -> Result<(), Error> {
    for entry in disk.list(folder).map_err(at("list", folder))? {
        if entry.is_dir && entry.name != "lost+found" {
            sync_tree(disk, &folder.join(&entry.name))?;
        }
    }
    disk.sync_dir(folder).map_err(at("sync", folder))
}
