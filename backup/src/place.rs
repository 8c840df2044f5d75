//! Where backups lie: a folder or an S3 bucket, with one face.
//!
//! Place in the flow: `make`, `verify` and `restore` → **`Place`** → disk door or HTTP door.
//!
//! A folder holds one folder per backup, each complete in itself; files that did not change are
//! second names of those of the backup before. A bucket holds every file once, named by its path and
//! its checksum, and per backup only `backup.json`.
//!
//! Not here: which files belong to a backup (`source`, `index`).

/// Backups in a folder.
mod folder;
/// Backups in an S3 bucket.
mod bucket;
/// Requests of the bucket's client go out through the house's HTTP door.
mod dialler;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::Disk;
use model::Clock;
use model::http_door::HttpDoor;
use xxhash_rust::xxh3::Xxh3;

use crate::Error;
use crate::index::{FileEntry, INDEX_FILE, Index, checksum_text};
use crate::source::SourceFile;
pub use bucket::S3Settings;
use bucket::{Bucket, BucketLock};
use folder::Folder;

/// Where an operator wants backups to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An S3 bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// What names of objects begin with; empty for none.
        prefix: String,
    },
}

impl Address {
    /// `s3://bucket/prefix`, or the path of a folder.
    pub fn parse(text: &str) -> Result<Address, Error> {
        let refused = |why: &str| Error::Refused(format!("{text:?}: {why}"));
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text {
                "" => Err(refused("needs a folder or s3://bucket/prefix")),
                _ if text.contains("://") => Err(refused("only s3://bucket/prefix is understood")),
                _ => Ok(Address::Folder(PathBuf::from(text))),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.len() < 3 || bucket.len() > 63 || !bucket.chars().all(is_name) {
            return Err(refused("needs the name of a bucket behind s3://"));
        }
        let prefix = prefix.trim_matches('/').to_owned();
        Ok(Address::Bucket { bucket: bucket.to_owned(), prefix })
    }
}

/// Backups, wherever they lie.
#[derive(Debug)]
pub enum Place {
    /// In a folder.
    #[doc(hidden)]
    Folder(Folder),
    /// In a bucket.
    #[doc(hidden)]
    Bucket(Bucket),
}

/// Why a file of a backup can't be had.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not there.
    Missing,
    /// It is not what it was.
    Damaged(String),
    /// Nothing is known of it.
    Failed(Error),
}

/// What keeps others out while a backup is made. Given back with [`Lock::release`].
pub(crate) enum Lock {
    Folder { _held: journal::disk::DiskLock },
    Bucket(BucketLock),
}

impl Lock {
    /// Says that we are still here.
    pub(crate) async fn renew(&self) -> Result<(), Error> {
        match self {
            Lock::Folder { .. } => Ok(()),
            Lock::Bucket(lock) => lock.renew().await,
        }
    }

    pub(crate) async fn release(self) {
        if let Lock::Bucket(lock) = self {
            lock.release().await;
        }
    }
}

impl Place {
    /// Backups in a folder, which is created with the first of them.
    pub fn folder(disk: Disk, path: &Path) -> Place {
        Place::Folder(Folder::new(disk, path))
    }

    /// Backups in a bucket. Touches nothing.
    pub fn bucket(
        (bucket, prefix): (&str, &str),
        settings: &S3Settings,
        door: Arc<dyn HttpDoor>,
        clock: Arc<dyn Clock>,
    ) -> Result<Place, Error> {
        Ok(Place::Bucket(Bucket::new((bucket, prefix), settings, door, clock)?))
    }

    /// The backups that are there, oldest first.
    pub async fn names(&self) -> Result<Vec<String>, Error> {
        match self {
            Place::Folder(folder) => folder.names(),
            Place::Bucket(bucket) => bucket.names().await,
        }
    }

    /// What belongs to a backup.
    pub async fn index(&self, name: &str) -> Result<Index, Error> {
        match self {
            Place::Folder(folder) => folder.index(name),
            Place::Bucket(bucket) => bucket.index(name).await,
        }
    }

    /// The name that an operator gave, if there is such a backup; else the newest.
    pub async fn find(&self, name: Option<&str>) -> Result<String, Error> {
        let names = self.names().await?;
        let found = match name {
            Some(name) => names.iter().find(|own| *own == name),
            None => names.last(),
        };
        found.cloned().ok_or_else(|| match name {
            Some(name) => Error::NotFound(format!(
                "there is no backup {name} in {}: `belfry backup list` names those there are",
                self.text("")
            )),
            None => Error::NotFound(format!("there is no backup in {}", self.text(""))),
        })
    }

    /// How a path in it is called in messages.
    pub(crate) fn text(&self, path: &str) -> String {
        match self {
            Place::Folder(folder) => folder.text(path),
            Place::Bucket(bucket) => bucket.text(path),
        }
    }

    /// Whether a data folder and this place lie in each other.
    pub(crate) fn is_mixed_with(&self, data: &Path) -> bool {
        match self {
            Place::Folder(folder) => folder.is_mixed_with(data),
            Place::Bucket(_) => false,
        }
    }

    /// Keeps others out.
    pub(crate) async fn lock(&self) -> Result<Lock, Error> {
        match self {
            Place::Folder(folder) => Ok(Lock::Folder { _held: folder.lock()? }),
            Place::Bucket(bucket) => Ok(Lock::Bucket(bucket.lock().await?)),
        }
    }

    /// Prepares for a new backup. Needs the lock.
    pub(crate) async fn begin(&self, name: &str) -> Result<(), Error> {
        match self {
            Place::Folder(folder) => folder.begin(name),
            Place::Bucket(bucket) => bucket.begin().await,
        }
    }

    /// Takes a file over from an earlier backup; `false` when it must be copied.
    pub(crate) fn reuse(&self, name: &str, entry: &FileEntry, earlier: Option<&str>) -> bool {
        match self {
            Place::Folder(folder) => earlier.is_some_and(|old| folder.reuse(name, entry, old)),
            Place::Bucket(bucket) => bucket.has(entry),
        }
    }

    /// Copies a file in; what was copied fits the entry's checksum.
    pub(crate) async fn put(
        &self,
        name: &str,
        entry: &FileEntry,
        (disk, from): (&Disk, &Path),
    ) -> Result<(), Error> {
        match self {
            Place::Folder(folder) => folder.put(name, entry, (disk, from)),
            Place::Bucket(bucket) => bucket.put(entry, (disk, from)).await,
        }
    }

    /// Makes the backup one.
    pub(crate) async fn finish(&self, name: &str, index: &Index) -> Result<(), Error> {
        match self {
            Place::Folder(folder) => folder.finish(name, index),
            Place::Bucket(bucket) => bucket.finish(name, index).await,
        }
    }

    /// Hands the bytes of a file to `sink`, and answers `Ok` when they were what was written.
    pub(crate) async fn read(
        &self,
        name: &str,
        entry: &FileEntry,
        sink: &mut (dyn FnMut(&[u8]) -> Result<(), Error> + Send),
    ) -> Result<(), Fault> {
        let mut sum = Summed::default();
        let mut both = |bytes: &[u8]| {
            sum.add(bytes);
            sink(bytes)
        };
        match self {
            Place::Folder(folder) => folder.read(name, entry, &mut both)?,
            Place::Bucket(bucket) => bucket.read(entry, &mut both).await?,
        }
        sum.check(entry).map_err(Fault::Damaged)
    }

    /// Removes a backup; its files may stay until [`Place::sweep`].
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Error> {
        match self {
            Place::Folder(folder) => folder.remove(name),
            Place::Bucket(bucket) => bucket.remove(name).await,
        }
    }

    /// Removes files that none of these backups needs. Needs the lock.
    pub(crate) async fn sweep(&self, kept: &[Index]) -> Result<(), Error> {
        match self {
            Place::Folder(_) => Ok(()),
            Place::Bucket(bucket) => bucket.sweep(kept).await,
        }
    }
}

/// The name of a backup's index below the place.
fn index_path(name: &str) -> String {
    format!("{name}/{INDEX_FILE}")
}

/// Length and checksum of bytes that come in pieces.
#[derive(Default)]
pub(crate) struct Summed {
    size_bytes: u64,
    sum: Xxh3,
}

impl Summed {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        self.sum.update(bytes);
    }

    /// Says what does not fit.
    pub(crate) fn check(&self, entry: &FileEntry) -> Result<(), String> {
        if self.size_bytes != entry.size_bytes {
            return Err(format!(
                "it has {} bytes instead of {}",
                self.size_bytes, entry.size_bytes
            ));
        }
        let found = checksum_text(self.sum.digest());
        if found != entry.xxh3 {
            return Err(format!("its checksum is {found} instead of {}", entry.xxh3));
        }
        Ok(())
    }
}

/// How much of a file is in memory at a time.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// Hands the bytes of a file of this machine to `sink`, piece by piece.
fn each_piece(
    (disk, from): (&Disk, &Path),
    sink: &mut (dyn FnMut(&[u8]) -> Result<(), Error> + Send),
) -> Result<(), Error> {
    let file = disk.open(from).map_err(crate::error::at("open", from))?;
    let size_bytes = file.size_bytes().map_err(crate::error::at("measure", from))?;
    let mut piece = vec![0; PIECE_BYTES.min(size_bytes as usize + 1)];
    let mut offset = 0;
    loop {
        let count = file.read_at(offset, &mut piece).map_err(crate::error::at("read", from))?;
        if count == 0 {
            return Ok(());
        }
        sink(&piece[..count])?;
        offset += count as u64;
    }
}

/// Measures a file as it is.
pub(crate) fn measure(disk: &Disk, data: &Path, file: &SourceFile) -> Result<FileEntry, Error> {
    let mut sum = Summed::default();
    each_piece((disk, &file.location(data)), &mut |bytes| {
        sum.add(bytes);
        Ok(())
    })?;
    Ok(FileEntry {
        path: file.path.clone(),
        size_bytes: sum.size_bytes,
        xxh3: checksum_text(sum.sum.digest()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let bucket = |bucket: &str, prefix: &str| {
            Some(Address::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
        };
        for (text, expected) in [
            ("/var/backups", Some(Address::Folder("/var/backups".into()))),
            ("here", Some(Address::Folder("here".into()))),
            ("s3://bucket", bucket("bucket", "")),
            ("s3://bucket/", bucket("bucket", "")),
            ("s3://my.bucket/site/north/", bucket("my.bucket", "site/north")),
            ("s3://", None),
            ("s3://b/x", None),
            ("s3://us er@host/x", None),
            ("https://host/x", None),
            ("", None),
        ] {
            assert_eq!(Address::parse(text).ok(), expected, "{text}");
        }
    }
}
