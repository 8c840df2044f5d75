//! The pages of a write-ahead log: segment files of 32 KiB pages with fragments of records.
//!
//! Place in the flow: segment files → **`Segments::next`** → records, unpacked → `record`.
//!
//! A fragment whose checksum is wrong costs the rest of its page and the record it belongs to; reading
//! goes on at the next page. (Prometheus itself drops everything behind such a place.) A record that
//! does not end in the last segment was being written when the server stopped: that is no damage.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};

use journal::disk::{Disk, DiskFile};

const PAGE_BYTES: usize = 32 * 1024;
const HEAD_BYTES: usize = 7;
/// Longest record, packed or not.
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bits of the first byte of a fragment.
const KIND_MASK: u8 = 0b0000_0111;
const SNAPPY: u8 = 0b0000_1000;
const ZSTD: u8 = 0b0001_0000;

/// A record, or what was skipped.
pub type Read1 = Result<Vec<u8>, String>;

/// Segment files, one after the other.
#[derive(Debug)]
pub struct Segments {
    disk: Disk,
    waiting: VecDeque<PathBuf>,
    current: Option<Current>,
    total: usize,
}

/// The segment that is read now.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    file: DiskFile,
    page: Vec<u8>,
    page_start: u64,
    position: usize,
    record: Vec<u8>,
    /// Whether the beginning of a record was read.
    is_open: bool,
    flags: u8,
}

/// What a fragment is.
enum Fragment {
    /// The record is whole.
    Whole,
    /// More of it follows.
    Part,
    /// The page has no more.
    PageEnds,
    /// The file has no more.
    FileEnds,
}

impl Segments {
    /// Reads these files in this order.
    pub fn new(disk: &Disk, paths: Vec<PathBuf>) -> Segments {
        let total = paths.len();
        Segments { disk: disk.clone(), waiting: paths.into(), current: None, total }
    }

    /// How many files have been begun, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.total - self.waiting.len(), self.total)
    }

    /// The next record.
    pub fn next(&mut self) -> Option<Read1> {
        loop {
            let Some(current) = &mut self.current else {
                let path = self.waiting.pop_front()?;
                match Current::open(&self.disk, path) {
                    Ok(current) => self.current = Some(current),
                    Err(reason) => return Some(Err(reason)),
                }
                continue;
            };
            match current.fragment() {
                Ok(Fragment::Whole) => return Some(current.unpacked()),
                Ok(Fragment::Part | Fragment::PageEnds) => {}
                Ok(Fragment::FileEnds) => {
                    let is_cut = current.is_open;
                    let name = current.path.display().to_string();
                    self.current = None;
                    if is_cut && !self.waiting.is_empty() {
                        return Some(Err(format!("{name}: its last record does not end")));
                    }
                }
                Err(reason) => {
                    let at = current.page_start + current.position as u64;
                    let reason = format!("{}: byte {at}: {reason}", current.path.display());
                    current.is_open = false;
                    current.record.clear();
                    current.position = PAGE_BYTES;
                    return Some(Err(reason));
                }
            }
        }
    }
}

impl Current {
    fn open(disk: &Disk, path: PathBuf) -> Result<Current, String> {
        let file = disk.open(&path).map_err(|error| format!("open {}: {error}", path.display()))?;
        Ok(Current {
            path,
            file,
            page: Vec::new(),
            page_start: 0,
            position: PAGE_BYTES,
            record: Vec::new(),
            is_open: false,
            flags: 0,
        })
    }

    /// Whether there is another page, which is read.
    fn next_page(&mut self) -> Result<bool, String> {
        self.page_start += self.page.len() as u64;
        self.position = 0;
        self.page.resize(PAGE_BYTES, 0);
        let read = self.file.read_at(self.page_start, &mut self.page);
        self.page.truncate(*read.as_ref().unwrap_or(&0));
        read.map_err(|error| format!("read it: {error}"))?;
        Ok(!self.page.is_empty())
    }

    fn fragment(&mut self) -> Result<Fragment, String> {
        if self.position >= PAGE_BYTES && !self.next_page()? {
            return Ok(Fragment::FileEnds);
        }
        let rest = &self.page[self.position..];
        let first = rest.first().copied().unwrap_or_default();
        if rest.len() < HEAD_BYTES || first & KIND_MASK == 0 {
            let is_last = self.page.len() < PAGE_BYTES;
            if rest.iter().any(|byte| *byte != 0) {
                if !is_last || rest.len() >= HEAD_BYTES {
                    return Err("there is something where nothing should be".to_owned());
                }
                self.is_open = true; // Cut off while it was written.
            }
            self.position = PAGE_BYTES;
            return Ok(Fragment::PageEnds);
        }
        let size = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
        let Some(data) = rest[HEAD_BYTES..].get(..size) else {
            if self.page.len() < PAGE_BYTES {
                // Cut off while it was written: the file ends in it.
                self.is_open = true;
                self.position = PAGE_BYTES;
                return Ok(Fragment::PageEnds);
            }
            return Err("a fragment is longer than its page".to_owned());
        };
        if crc32c::crc32c(data).to_be_bytes() != rest[3..HEAD_BYTES] {
            return Err("the checksum of a fragment is wrong".to_owned());
        }
        self.position += HEAD_BYTES + size;
        let kind = first & KIND_MASK;
        let begins = matches!(kind, 1 | 2);
        if begins {
            let was_open = std::mem::replace(&mut self.is_open, true);
            self.record.clear();
            self.flags = first;
            if was_open {
                self.record.extend_from_slice(data);
                return Err("a record does not end before the next one".to_owned());
            }
        } else if !self.is_open {
            // The rest of a record whose beginning was damaged.
            return Ok(Fragment::Part);
        }
        if self.record.len() + size > RECORD_BYTES_MAX {
            return Err("a record is too long".to_owned());
        }
        self.record.extend_from_slice(data);
        match kind {
            1 | 4 => {
                self.is_open = false;
                Ok(Fragment::Whole)
            }
            2 | 3 => Ok(Fragment::Part),
            other => Err(format!("a fragment of kind {other} is not known")),
        }
    }

    fn unpacked(&mut self) -> Read1 {
        let packed = std::mem::take(&mut self.record);
        let at = self.page_start + self.position as u64;
        unpack(&packed, self.flags).map_err(|reason| {
            format!("{}: the record before byte {at}: {reason}", self.path.display())
        })
    }
}

fn unpack(packed: &[u8], flags: u8) -> Result<Vec<u8>, String> {
    if flags & SNAPPY != 0 {
        let size = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
        if size > RECORD_BYTES_MAX {
            return Err("it is too long".to_owned());
        }
        return snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| error.to_string());
    }
    if flags & ZSTD != 0 {
        let mut record = Vec::new();
        let decoder =
            zstd::stream::read::Decoder::new(packed).map_err(|error| error.to_string())?;
        let taken = decoder.take(RECORD_BYTES_MAX as u64 + 1).read_to_end(&mut record);
        taken.map_err(|error| error.to_string())?;
        return if record.len() > RECORD_BYTES_MAX {
            Err("it is too long".into())
        } else {
            Ok(record)
        };
    }
    Ok(packed.to_vec())
}

/// The segment files of a folder in order, those from a number on.
pub fn files(disk: &Disk, folder: &Path, from: u64) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in disk.list(folder)? {
        let number = entry.name.parse::<u64>().ok();
        if let (false, 8, Some(number)) = (entry.is_dir, entry.name.len(), number)
            && number >= from
        {
            found.push((number, folder.join(&entry.name)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests;
