//! The index of a block: symbols, and the series with their chunks. Versions 1 and 2.
//!
//! Place in the flow: `block` walks **`Index::next`** from the first series to the last.
//!
//! Only symbols and series are read. They stand in one piece each; what else the file holds (postings,
//! label tables) is for look-ups, which an import does not make. An entry whose checksum is wrong is
//! passed over: in version 2 entries begin at multiples of 16, so the next one can be found.
//!
//! Not here: the chunks themselves (`chunks`).

use std::path::Path;

use journal::disk::{Disk, DiskFile};
use model::Labels;

use crate::Error;
use crate::bytes::Bytes;
use crate::error::Malformed;

const MAGIC: u32 = 0xbaaa_d700;
/// Six offsets and their checksum.
const CONTENTS_BYTES: u64 = 52;
/// Bytes of series that are read at once.
const WINDOW_BYTES: usize = 1024 * 1024;
/// Longest series entry: millions of chunks.
const ENTRY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// All texts of a block.
const SYMBOLS_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024 - 1;
const CHECKSUM_BYTES: usize = 4;
/// Where entries of version 2 begin.
const ALIGNMENT: u64 = 16;

/// One chunk of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Its first instant.
    pub min_ms: i64,
    /// Its last instant.
    pub max_ms: i64,
    /// Where it stands.
    pub reference: u64,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its number in the block, as tombstones name it.
    pub number: u64,
    pub labels: Labels,
    pub chunks: Vec<ChunkPlace>,
}

/// An open index.
#[derive(Debug)]
pub struct Index {
    file: DiskFile,
    version: u8,
    symbols: Symbols,
    series_start: u64,
    series_end: u64,
    position: u64,
    window_start: u64,
    window: Vec<u8>,
}

/// All texts of a block.
#[derive(Debug)]
struct Symbols {
    version: u8,
    /// Where the bytes stand in the file.
    start: u64,
    bytes: Vec<u8>,
    /// Version 2: where each text begins in `bytes`.
    offsets: Vec<u32>,
}

/// What the next entry is.
#[derive(Debug)]
pub enum Next {
    Series(Series),
    /// An entry that can't be read, and why.
    Damaged(String),
    End,
}

impl Index {
    /// Opens an index and reads its symbols.
    pub fn open(disk: &Disk, path: &Path) -> Result<Index, Error> {
        let file = disk.open(path).map_err(Error::io("open", path))?;
        let size = file.size_bytes().map_err(Error::io("look at", path))?;
        let wrong = |reason: &str| Error::source(path, reason);
        let mut head = [0; 5];
        file.read_exact_at(0, &mut head).map_err(Error::io("read", path))?;
        let version = head[4];
        if head[..4] != MAGIC.to_be_bytes() || !matches!(version, 1 | 2) {
            return Err(wrong("is no index of version 1 or 2"));
        }
        let contents_at = size.checked_sub(CONTENTS_BYTES).ok_or_else(|| wrong("is cut off"))?;
        let mut contents = [0; CONTENTS_BYTES as usize];
        file.read_exact_at(contents_at, &mut contents).map_err(Error::io("read", path))?;
        let (offsets, checksum) = contents.split_at(48);
        if crc32c::crc32c(offsets).to_be_bytes() != checksum {
            return Err(wrong("the checksum of its table of contents is wrong"));
        }
        let mut reader = Bytes(offsets);
        let all: Vec<u64> = (0..6).filter_map(|_| reader.be64().ok()).collect();
        let (symbols_at, series_start) = (all[0], all[1]);
        let after = all.iter().copied().filter(|offset| *offset > series_start).min();
        let series_end = after.unwrap_or(contents_at).min(contents_at);
        let symbols = Symbols::read(&file, version, symbols_at, contents_at)
            .map_err(|reason| wrong(&reason))?;
        Ok(Index {
            file,
            version,
            symbols,
            series_start,
            series_end,
            position: series_start,
            window_start: 0,
            window: Vec::new(),
        })
    }

    /// Begins anew at the first series.
    pub fn rewind(&mut self) {
        self.position = self.series_start;
    }

    /// The next series.
    pub fn next(&mut self) -> Next {
        loop {
            if self.version == 2 {
                self.position = self.position.next_multiple_of(ALIGNMENT);
            }
            if self.position >= self.series_end {
                return Next::End;
            }
            let at = self.position;
            match self.entry(at) {
                // Zeros that fill up to the next section.
                Ok(None) => self.position += if self.version == 2 { ALIGNMENT } else { 1 },
                Ok(Some((series, bytes))) => {
                    self.position = at + bytes;
                    return Next::Series(series);
                }
                Err(reason) => {
                    self.resume(at);
                    return Next::Damaged(format!("series at byte {at}: {reason}"));
                }
            }
        }
    }

    /// Goes to the next place behind damage where an entry can be read.
    fn resume(&mut self, damaged_at: u64) {
        let step = if self.version == 2 { ALIGNMENT } else { 1 };
        let mut at = damaged_at + step;
        while at < self.series_end && !matches!(self.entry(at), Ok(Some(_))) {
            at += step;
        }
        self.position = at;
    }

    /// The entry at a place and how long it is; `None` where there is filling.
    fn entry(&mut self, at: u64) -> Result<Option<(Series, u64)>, String> {
        let head = self.bytes(at, 10)?;
        let mut reader = Bytes(head);
        let size = reader.uvarint().map_err(|error| error.to_string())?;
        let head_bytes = head.len() - reader.0.len();
        if size == 0 {
            return Ok(None);
        }
        let left = usize::try_from(self.series_end - at).unwrap_or(usize::MAX);
        let size = usize::try_from(size).ok().filter(|size| *size <= ENTRY_BYTES_MAX.min(left));
        let size = size.ok_or("its size is impossible")?;
        let all = head_bytes + size + CHECKSUM_BYTES;
        let bytes = self.bytes(at, all)?;
        if bytes.len() < all {
            return Err("it ends too early".to_owned());
        }
        let (data, checksum) = bytes[head_bytes..].split_at(size);
        if crc32c::crc32c(data).to_be_bytes() != checksum {
            return Err("its checksum is wrong".to_owned());
        }
        let data = data.to_vec();
        let number = if self.version == 2 { at / ALIGNMENT } else { at };
        let series = self.series(number, Bytes(&data)).map_err(|error| error.to_string())?;
        Ok(Some((series, all as u64)))
    }

    fn series(&self, number: u64, mut data: Bytes<'_>) -> Result<Series, Malformed> {
        let mut pairs = Vec::new();
        for _ in 0..data.count()? {
            let name = self.symbols.get(data.uvarint()?)?;
            pairs.push((name, self.symbols.get(data.uvarint()?)?));
        }
        let count = data.count()?;
        let mut chunks = Vec::with_capacity(count);
        let (mut last_ms, mut reference) = (0_i64, 0_u64);
        for index in 0..count {
            let min_ms = match index {
                0 => data.varint()?,
                _ => last_ms.wrapping_add(data.uvarint()?.cast_signed()),
            };
            let max_ms = min_ms.wrapping_add(data.uvarint()?.cast_signed());
            reference = match index {
                0 => data.uvarint()?,
                _ => reference.wrapping_add_signed(data.varint()?),
            };
            chunks.push(ChunkPlace { min_ms, max_ms, reference });
            last_ms = max_ms;
        }
        Ok(Series { number, labels: Labels::from_pairs(pairs), chunks })
    }

    /// Bytes of the file, fewer at its end.
    fn bytes(&mut self, at: u64, count: usize) -> Result<&[u8], String> {
        let start = at.checked_sub(self.window_start).and_then(|start| usize::try_from(start).ok());
        if start.is_none_or(|start| start + count > self.window.len()) {
            self.window.resize(count.max(WINDOW_BYTES), 0);
            let read = self.file.read_at(at, &mut self.window);
            self.window.truncate(*read.as_ref().unwrap_or(&0));
            self.window_start = at;
            read.map_err(|error| format!("read it: {error}"))?;
        }
        let start = (at - self.window_start) as usize;
        let end = (start + count).min(self.window.len());
        Ok(&self.window[start..end])
    }
}

impl Symbols {
    fn read(file: &DiskFile, version: u8, at: u64, end: u64) -> Result<Symbols, String> {
        let read = |offset: u64, bytes: &mut [u8]| {
            file.read_exact_at(offset, bytes).map_err(|error| format!("read its symbols: {error}"))
        };
        let mut size = [0; 4];
        read(at, &mut size)?;
        let size = u64::from(u32::from_be_bytes(size));
        if size > SYMBOLS_BYTES_MAX.min(end.saturating_sub(at)) {
            return Err("the size of its symbols is impossible".to_owned());
        }
        let mut bytes = vec![0; size as usize + CHECKSUM_BYTES];
        read(at + 4, &mut bytes)?;
        let checksum = bytes.split_off(size as usize);
        if crc32c::crc32c(&bytes).to_be_bytes() != checksum[..] {
            return Err("the checksum of its symbols is wrong".to_owned());
        }
        let mut symbols =
            Symbols { version, start: at + 4, bytes: Vec::new(), offsets: Vec::new() };
        let mut reader = Bytes(&bytes);
        let count = reader.be32().map_err(|error| format!("its symbols: {error}"))?;
        if version == 2 {
            for _ in 0..count {
                symbols.offsets.push((bytes.len() - reader.0.len()) as u32);
                reader.text().map_err(|error| format!("its symbols: {error}"))?;
            }
        }
        symbols.bytes = bytes;
        Ok(symbols)
    }

    fn get(&self, reference: u64) -> Result<&str, Malformed> {
        const NONE: Malformed = Malformed("it names a text that is not there");
        let offset = match self.version {
            1 => {
                usize::try_from(reference.checked_sub(self.start).ok_or(NONE)?).map_err(|_| NONE)?
            }
            _ => {
                let index = usize::try_from(reference).map_err(|_| NONE)?;
                *self.offsets.get(index).ok_or(NONE)? as usize
            }
        };
        Bytes(self.bytes.get(offset..).ok_or(NONE)?).text()
    }
}
