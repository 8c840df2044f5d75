//! The disk door: every durable byte of Belfry goes through a [`Disk`] handed in from above.
//!
//! Place in the flow: below the record log and below every room that keeps files.
//!
//! There are two disks behind the door: the real one, and one in memory that loses, tears and
//! refuses bytes the way a real one does, by a seed. A room that only knows this door can be tested
//! against power cuts and full disks.
//!
//! Invariants:
//! - A file's bytes are durable after `sync_data`, its name after `sync_dir` on its folder.
//! - `create_dir_all` and `write_atomic` are durable when they return.
//!
//! Not here: what the bytes mean.

/// The bytes of one simulated file.
mod content;
/// The file system of this machine.
mod real;
/// A file system in memory with power cuts, bit flips, full disks and I/O errors.
mod simulated;
/// The names of the simulated disk.
mod tree;

#[cfg(test)]
pub(crate) use simulated::Random;
pub use simulated::{Fault, SimulatedDisk};

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much of a file is in memory while it is copied.
const COPY_PIECE_BYTES: usize = 1024 * 1024;

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length of a file; 0 for a folder.
    pub size_bytes: u64,
}

/// The space on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total_bytes: u64,
    /// What this process may still write.
    pub free_bytes: u64,
}

/// What a disk does; implemented by the real and by the simulated one.
pub(crate) trait Door: Send + Sync {
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileDoor>>;
    fn open(&self, path: &Path, writable: bool) -> io::Result<Box<dyn FileDoor>>;
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    fn exists(&self, path: &Path) -> io::Result<bool>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn space(&self, path: &Path) -> io::Result<DiskSpace>;
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// What an open file does.
pub(crate) trait FileDoor: Send + Sync {
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    fn sync_data(&self) -> io::Result<()>;
    fn size_bytes(&self) -> io::Result<u64>;
    fn truncate(&self, size_bytes: u64) -> io::Result<()>;
}

/// The disk door. A clone is cheap and leads to the same disk.
#[derive(Clone)]
pub struct Disk {
    door: Arc<dyn Door>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}

impl Disk {
    /// The file system of this machine.
    pub fn real() -> Disk {
        Disk { door: Arc::new(real::RealDisk) }
    }

    pub(crate) fn from_door(door: Arc<dyn Door>) -> Disk {
        Disk { door }
    }

    /// Creates a folder and the missing ones above it. All of them are durable when this returns.
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.door.create_dir_all(path)
    }

    /// Creates a file, or empties the one that is there. The name is durable after
    /// [`Disk::sync_dir`] on its folder.
    pub fn create(&self, path: &Path) -> io::Result<DiskFile> {
        Ok(DiskFile { file: self.door.create(path)?, end_bytes: 0, path: path.to_owned() })
    }

    /// Opens a file for reading.
    pub fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = self.door.open(path, false)?;
        let end_bytes = file.size_bytes()?;
        Ok(DiskFile { file, end_bytes, path: path.to_owned() })
    }

    /// Opens a file for reading, and for appending at its present end.
    pub fn open_append(&self, path: &Path) -> io::Result<DiskFile> {
        let file = self.door.open(path, true)?;
        let end_bytes = file.size_bytes()?;
        Ok(DiskFile { file, end_bytes, path: path.to_owned() })
    }

    /// The whole of a file, refused when it is longer than `bytes_max`.
    pub fn read(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let size_bytes = file.size_bytes()?;
        if size_bytes > bytes_max as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} has {size_bytes} bytes, at most {bytes_max} are read", path.display()),
            ));
        }
        let mut bytes = vec![0; size_bytes as usize];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// What a folder holds, sorted by name. Names that are not UTF-8 are left out.
    pub fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = self.door.list(path)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Whether there is a file or folder of that name.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        self.door.exists(path)
    }

    /// Gives a file or folder another name, in place of a file that may be there. Durable after
    /// [`Disk::sync_dir`] on the folder of the new name.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.door.rename(from, to)
    }

    /// Removes a file. Durable after [`Disk::sync_dir`] on its folder.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.door.remove_file(path)
    }

    /// Removes a folder and everything in it. Durable after [`Disk::sync_dir`] on the folder above.
    pub fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.door.remove_dir_all(path)
    }

    /// Makes the names of a folder durable.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.door.sync_dir(path)
    }

    /// Gives a file a second name. Durable after [`Disk::sync_dir`] on the folder of the new name.
    pub fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.door.hard_link(from, to)
    }

    /// Keeps other processes out: holds a lock on a file, which is created, until the answer is
    /// dropped or the process ends. `WouldBlock` when somebody else holds it.
    pub fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        Ok(DiskLock { _held: self.door.lock(path)?, path: path.to_owned() })
    }

    /// Gives a file a second name, or where the file system can't (another device, no links there,
    /// too many of them) copies it. The bytes are durable then, the name after [`Disk::sync_dir`].
    /// For files that nobody changes any more.
    pub fn link_or_copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        match self.hard_link(from, to) {
            Err(error)
                if matches!(
                    error.kind(),
                    CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
                ) =>
            {
                self.copy(from, to)
            }
            done => done,
        }
    }

    /// Copies a file in pieces; the bytes are durable then, the name after [`Disk::sync_dir`].
    pub fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let source = self.open(from)?;
        let mut target = self.create(to)?;
        let (mut offset, mut piece) = (0, vec![0; COPY_PIECE_BYTES]);
        loop {
            let count = source.read_at(offset, &mut piece)?;
            if count == 0 {
                return target.sync_data();
            }
            target.append(&piece[..count])?;
            offset += count as u64;
        }
    }

    /// The space on the disk that a file or folder lies on.
    pub fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.door.space(path)
    }

    /// Replaces a file as a whole: after a crash it holds the old bytes or the new ones. Durable
    /// when this returns. The new bytes go through a file with `.tmp` at the end of its name.
    pub fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "path has no file name"))?
            .to_owned();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let written = self.write_and_rename(&temporary, path, bytes);
        if written.is_err() {
            // The half-written file only takes space; the error below is the one that matters.
            let _ = self.remove_file(&temporary);
        }
        written
    }

    fn write_and_rename(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(temporary)?;
        file.append(bytes)?;
        file.sync_data()?;
        self.rename(temporary, path)?;
        self.sync_dir(parent(path))
    }
}

/// The folder of a path; a bare name lies in the current one.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// A lock that is held.
pub struct DiskLock {
    _held: Box<dyn Send + Sync>,
    path: PathBuf,
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskLock({})", self.path.display())
    }
}

/// An open file. Appending needs `&mut`, reading at a place does not.
pub struct DiskFile {
    file: Box<dyn FileDoor>,
    /// Where the next append goes. Bytes of an append that failed lie behind it.
    end_bytes: u64,
    path: PathBuf,
}

impl fmt::Debug for DiskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiskFile({})", self.path.display())
    }
}

impl DiskFile {
    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all bytes at the end. When it fails, a part may have been written; the next append
    /// goes to the same place again.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(self.end_bytes, bytes)?;
        self.end_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Reads from a place into the buffer; fewer bytes than asked for mean the end of the file.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.file.read_at(offset + filled as u64, &mut buf[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Fills the whole buffer from a place, or fails with `UnexpectedEof`.
    pub fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let count = self.read_at(offset, buf)?;
        if count < buf.len() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!(
                    "{} ends {} bytes early at byte {}",
                    self.path.display(),
                    buf.len() - count,
                    offset + count as u64
                ),
            ));
        }
        Ok(())
    }

    /// Makes the bytes durable. After a failure the bytes since the last success must be
    /// considered lost, and calling again proves nothing: write them to another file.
    pub fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// The present length.
    pub fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }

    /// Cuts the file (or extends it with zeros); the next append goes to its end.
    pub fn truncate(&mut self, size_bytes: u64) -> io::Result<()> {
        self.file.truncate(size_bytes)?;
        self.end_bytes = size_bytes;
        Ok(())
    }
}

impl io::Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes)?;
        Ok(bytes.len())
    }

    /// Nothing is buffered here; durability is [`DiskFile::sync_data`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
