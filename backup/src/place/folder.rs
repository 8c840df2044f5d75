//! Backups in a folder: one folder each, complete in itself.
//!
//! Place in the flow: behind [`super::Place`].
//!
//! `NAME.tmp` is a backup that is being made or removed; nobody counts it, and the next backup clears
//! it away.
//!
//! Invariants: a backup gets its name when every byte and every name in it is durable. Files are
//! never changed, so that backups can share them.
//!
//! Not here: which files there are.

use std::path::{Path, PathBuf};

use journal::disk::{Disk, DiskLock};

use super::{Fault, Summed, each_piece, index_path};
use crate::Error;
use crate::error::at;
use crate::index::{FileEntry, INDEX_BYTES_MAX, INDEX_FILE, Index};
use crate::source::join;

/// The files of a backup lie in this folder of it.
const DATA_FOLDER: &str = "data";
const LOCK_FILE: &str = "lock";
const UNFINISHED: &str = ".tmp";

/// Backups in a folder.
#[derive(Debug)]
pub struct Folder {
    disk: Disk,
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(disk: Disk, root: &Path) -> Folder {
        Folder { disk, root: root.to_owned() }
    }

    pub(super) fn text(&self, path: &str) -> String {
        if path.is_empty() {
            return self.root.display().to_string();
        }
        join(&self.root, path).display().to_string()
    }

    pub(super) fn is_mixed_with(&self, data: &Path) -> bool {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (root, data) = (absolute(&self.root), absolute(data));
        root.starts_with(&data) || data.starts_with(&root)
    }

    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        if !self.disk.exists(&self.root).map_err(at("look for", &self.root))? {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in self.disk.list(&self.root).map_err(at("list", &self.root))? {
            let index = self.root.join(&entry.name).join(INDEX_FILE);
            let is_backup = entry.is_dir && !entry.name.ends_with(UNFINISHED);
            if is_backup && self.disk.exists(&index).map_err(at("look for", &index))? {
                names.push(entry.name);
            }
        }
        Ok(names)
    }

    pub(super) fn index(&self, name: &str) -> Result<Index, Error> {
        let path = join(&self.root, &index_path(name));
        let bytes = self.disk.read(&path, INDEX_BYTES_MAX).map_err(at("read", &path))?;
        Index::decode(&bytes, &path.display().to_string())
    }

    pub(super) fn lock(&self) -> Result<DiskLock, Error> {
        self.disk.create_dir_all(&self.root).map_err(at("create", &self.root))?;
        let path = self.root.join(LOCK_FILE);
        self.disk.lock(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => Error::Busy(format!(
                "another backup to {} is under way; try again when it has ended",
                self.root.display()
            )),
            _ => at("lock", &path)(error),
        })
    }

    fn unfinished(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}{UNFINISHED}"))
    }

    pub(super) fn begin(&self, name: &str) -> Result<(), Error> {
        for entry in self.disk.list(&self.root).map_err(at("list", &self.root))? {
            let left = entry.name.strip_suffix(UNFINISHED).is_some_and(is_backup_name);
            if entry.is_dir && left {
                let path = self.root.join(&entry.name);
                self.disk.remove_dir_all(&path).map_err(at("remove", &path))?;
            }
        }
        let data = self.unfinished(name).join(DATA_FOLDER);
        self.disk.create_dir_all(&data).map_err(at("create", &data))
    }

    fn new_file(&self, name: &str, entry: &FileEntry) -> Result<PathBuf, Error> {
        let path = join(&self.unfinished(name).join(DATA_FOLDER), &entry.path);
        let folder = path.parent().unwrap_or(&self.root);
        self.disk.create_dir_all(folder).map_err(at("create", folder))?;
        Ok(path)
    }

    /// A second name for the file of an earlier backup. Whatever speaks against it, copying is the
    /// other way.
    pub(super) fn reuse(&self, name: &str, entry: &FileEntry, earlier: &str) -> bool {
        let from = join(&self.root.join(earlier).join(DATA_FOLDER), &entry.path);
        let Ok(to) = self.new_file(name, entry) else { return false };
        self.disk.hard_link(&from, &to).is_ok()
    }

    pub(super) fn put(
        &self,
        name: &str,
        entry: &FileEntry,
        (disk, from): (&Disk, &Path),
    ) -> Result<(), Error> {
        let to = self.new_file(name, entry)?;
        let mut file = self.disk.create(&to).map_err(at("create", &to))?;
        let mut sum = Summed::default();
        each_piece((disk, from), &mut |bytes| {
            sum.add(bytes);
            file.append(bytes).map_err(at("write", &to))
        })?;
        sum.check(entry).map_err(|what| changed(from, &what))?;
        file.sync_data().map_err(at("sync", &to))
    }

    pub(super) fn finish(&self, name: &str, index: &Index) -> Result<(), Error> {
        let unfinished = self.unfinished(name);
        self.sync_tree(&unfinished.join(DATA_FOLDER))?;
        let path = unfinished.join(INDEX_FILE);
        self.disk.write_atomic(&path, &index.encode()).map_err(at("write", &path))?;
        let to = self.root.join(name);
        self.disk.rename(&unfinished, &to).map_err(at("rename", &unfinished))?;
        self.disk.sync_dir(&self.root).map_err(at("sync", &self.root))
    }

    fn sync_tree(&self, folder: &Path) -> Result<(), Error> {
        for entry in self.disk.list(folder).map_err(at("list", folder))? {
            if entry.is_dir {
                self.sync_tree(&folder.join(&entry.name))?;
            }
        }
        self.disk.sync_dir(folder).map_err(at("sync", folder))
    }

    pub(super) fn read(
        &self,
        name: &str,
        entry: &FileEntry,
        sink: &mut (dyn FnMut(&[u8]) -> Result<(), Error> + Send),
    ) -> Result<(), Fault> {
        let path = join(&self.root.join(name).join(DATA_FOLDER), &entry.path);
        each_piece((&self.disk, &path), sink).map_err(|error| match error {
            Error::Io { path: own, source, .. } if own == path => match source.kind() {
                std::io::ErrorKind::NotFound => Fault::Missing,
                _ => Fault::Damaged(format!("it can't be read: {source}")),
            },
            error => Fault::Failed(error),
        })
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let (from, to) = (self.root.join(name), self.unfinished(name));
        self.disk.rename(&from, &to).map_err(at("rename", &from))?;
        self.disk.sync_dir(&self.root).map_err(at("sync", &self.root))?;
        self.disk.remove_dir_all(&to).map_err(at("remove", &to))
    }
}

/// A file that we read twice differs; nobody may write to it.
pub(super) fn changed(from: &Path, what: &str) -> Error {
    let what = format!("it changed while it was copied: {what}");
    Error::Damaged { file: from.display().to_string(), what }
}

/// Whether a name begins like those we give.
fn is_backup_name(name: &str) -> bool {
    let time = name.get(..16).unwrap_or_default().as_bytes();
    let is_right = |(index, byte): (usize, &u8)| match index {
        8 => *byte == b'T',
        15 => *byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    time.len() == 16 && time.iter().enumerate().all(is_right)
}
