//! Damaged bytes of a block's files, made right again in memory.
//!
//! Place in the flow: a reader's checksum is wrong → **mend** asks the guard file → the reader tries
//! again, over the bytes of the disk with the mended ones laid over them.
//!
//! The file on the disk stays as it is until upkeep writes it anew (`heal`), so every reader of the
//! block shares what was mended. Each place is named once.
//!
//! Invariant: mended bytes have the guard's checksum; readers check them with their own.
//!
//! Not here: how it is found out what bytes were (`guard`).

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use journal::disk::{Disk, DiskFile};

use super::guard::{GUARD_FILE, Guard};
use super::{Block, FILE_BYTES_MAX};
use crate::Error;
use crate::error::at;

/// Mended bytes by file and offset.
#[derive(Debug, Default)]
pub struct Patches {
    is_any: AtomicBool,
    by_place: Mutex<BTreeMap<(&'static str, u64), Vec<u8>>>,
}

impl Patches {
    /// Lays the mended bytes of a file over those read from an offset on.
    pub fn lay_over(&self, name: &'static str, offset: u64, bytes: &mut [u8]) {
        if !self.is_any.load(Ordering::Acquire) {
            return;
        }
        let end = offset + bytes.len() as u64;
        let by_place = self.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, start), patch) in by_place.range((name, 0)..(name, end)) {
            let (from, to) = ((*start).max(offset), (start + patch.len() as u64).min(end));
            if from < to {
                let own = &patch[(from - start) as usize..(to - start) as usize];
                bytes[(from - offset) as usize..(to - offset) as usize].copy_from_slice(own);
            }
        }
    }

    /// Adds a place; `false` when it was known.
    fn add(&self, name: &'static str, offset: u64, bytes: Vec<u8>) -> bool {
        let mut by_place = self.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = by_place.insert((name, offset), bytes).is_none();
        self.is_any.store(true, Ordering::Release);
        is_new
    }

    /// The files with mended places.
    fn files(&self) -> Vec<&'static str> {
        let by_place = self.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<&'static str> = by_place.keys().map(|key| key.0).collect();
        names.dedup();
        names
    }
}

/// A file of a block with mended bytes laid over it.
#[derive(Debug)]
pub struct PatchedFile {
    file: DiskFile,
    name: &'static str,
    patches: Arc<Patches>,
}

impl PatchedFile {
    /// Fills a buffer from an offset on.
    pub fn read_exact_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(offset, out)?;
        self.patches.lay_over(self.name, offset, out);
        Ok(())
    }

    /// Reads what there is from an offset on.
    pub fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(offset, out)?;
        self.patches.lay_over(self.name, offset, &mut out[..count]);
        Ok(count)
    }

    /// Its size.
    pub fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
}

impl Block {
    /// Opens one of its files.
    pub(crate) fn open_file(&self, name: &'static str) -> Result<PatchedFile, Error> {
        let path = self.dir().join(name);
        let file = self.disk.open(&path).map_err(at("open", &path))?;
        Ok(PatchedFile { file, name, patches: Arc::clone(&self.patches) })
    }

    /// Makes the damaged bytes of a file right that touch a range, as far as the guard can. Whether
    /// there is any news: then reading it again is worth while. What is found is named.
    pub(crate) fn mend(&self, name: &'static str, range: Range<u64>) -> bool {
        self.mend_and_tell(name, range).0
    }

    /// Reads a part of a file that nobody asked for, mends what is damaged, and names also what is
    /// beyond mending.
    pub(crate) fn look_after(&self, name: &'static str, range: Range<u64>) {
        if !self.disk.exists(&self.dir().join(GUARD_FILE)).unwrap_or(true) {
            return;
        }
        for offset in self.mend_and_tell(name, range).1 {
            self.name_mended(name, offset, &format!("damage at {offset}, beyond mending"));
        }
    }

    /// Whether there is news, and the places that can't be made right.
    fn mend_and_tell(&self, name: &'static str, range: Range<u64>) -> (bool, Vec<u64>) {
        let nothing = (false, Vec::new());
        let Ok(file) = self.open_file(name) else { return nothing };
        let Ok(size_bytes) = file.size_bytes() else { return nothing };
        let path = self.dir().join(GUARD_FILE);
        let bytes = self.disk.read(&path, FILE_BYTES_MAX).ok();
        let Some(guard) = bytes.and_then(|bytes| Guard::decode(&bytes)) else {
            tracing::error!(path = %path.display(), "damage can't be mended: no whole guard file");
            return nothing;
        };
        let read = |offset: u64, out: &mut [u8]| file.read_exact_at(offset, out);
        let Some(mending) = guard.mend((name, size_bytes), range, &read) else { return nothing };
        let mut is_news = false;
        for (offset, bytes) in mending.mended {
            let reason = format!("damage in the {} bytes at {offset}, mended", bytes.len());
            if self.patches.add(name, offset, bytes) {
                is_news = true;
                self.name_mended(name, offset, &reason);
            }
        }
        (is_news, mending.lost)
    }

    /// Writes files with mended places anew, so that the next damage meets whole ones; answers how
    /// many. One that has damage beyond mending stays as it is.
    pub(crate) fn heal(&self) -> Result<usize, Error> {
        let mut healed = 0;
        for name in self.patches.files() {
            if !self.is_unhealed(name) {
                continue;
            }
            let path = self.dir().join(name);
            let size_bytes = self.meta.file(name).map_or(0, |file| file.size_bytes);
            self.mend(name, 0..size_bytes);
            let unfinished = self.dir().join(format!("{name}.tmp"));
            let written = self.write_anew(name, &unfinished);
            let is_whole = match &written {
                Ok(xxh3) => self.meta.file(name).is_some_and(|file| file.xxh3 == *xxh3),
                Err(_) => false,
            };
            if is_whole {
                self.disk.rename(&unfinished, &path).map_err(at("rename", &unfinished))?;
                self.disk.sync_dir(self.dir()).map_err(at("sync", self.dir()))?;
                tracing::info!(path = %path.display(), "a damaged file was written anew");
                healed += 1;
            } else {
                // It may not be there.
                let _ = self.disk.remove_file(&unfinished);
            }
            written?;
            self.note_healed(name);
        }
        Ok(healed)
    }

    /// Copies a file as it should be; answers the checksum of the copy.
    fn write_anew(&self, name: &'static str, to: &Path) -> Result<String, Error> {
        const PART_BYTES: u64 = 1 << 20;
        let file = self.open_file(name)?;
        let path = self.dir().join(name);
        let size_bytes = file.size_bytes().map_err(at("measure", &path))?;
        let mut copy = self.disk.create(to).map_err(at("create", to))?;
        let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
        let mut offset = 0;
        while offset < size_bytes {
            let mut part = vec![0; PART_BYTES.min(size_bytes - offset) as usize];
            file.read_exact_at(offset, &mut part).map_err(at("read", &path))?;
            copy.append(&part).map_err(at("write", to))?;
            hash.update(&part);
            offset += part.len() as u64;
        }
        copy.sync_data().map_err(at("sync", to))?;
        Ok(format!("{:016x}", hash.digest()))
    }
}

/// A block's words about itself as its guard has them, when they pass the check.
pub fn meta_of_guard(disk: &Disk, dir: &Path, is_right: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let bytes = disk.read(&dir.join(GUARD_FILE), FILE_BYTES_MAX).ok()?;
    Guard::decode(&bytes).map(|guard| guard.meta).filter(|meta| is_right(meta))
}
