//! Deletions of a block: which series, from when to when.
//!
//! Place in the flow: `block` asks **`Tombstones::hides`** for each sample.

use std::collections::HashMap;
use std::path::Path;

use journal::disk::Disk;

use crate::bytes::Bytes;
use crate::error::Malformed;

const MAGIC: u32 = 0x0130_ba30;
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// Longest file: some ten million deletions.
const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Deletions by the number of the series; both ends are inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones(HashMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// Reads the file of a block; none is no deletion.
    pub fn open(disk: &Disk, path: &Path) -> Result<Tombstones, String> {
        match disk.exists(path) {
            Ok(false) => return Ok(Tombstones::default()),
            Ok(true) => {}
            Err(error) => return Err(format!("look for tombstones: {error}")),
        }
        let bytes = disk.read(path, FILE_BYTES_MAX);
        let bytes = bytes.map_err(|error| format!("read tombstones: {error}"))?;
        Tombstones::read(&bytes).map_err(|error| format!("tombstones: {error}"))
    }

    fn read(bytes: &[u8]) -> Result<Tombstones, Malformed> {
        let end = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(Malformed("ends too early"))?;
        let (data, checksum) = bytes.split_at(end);
        let mut reader = Bytes(data);
        if reader.be32()? != MAGIC || reader.u8()? != VERSION {
            return Err(Malformed("is no file of version 1"));
        }
        // Upstream leaves magic and version out of the checksum.
        if crc32c::crc32c(reader.0).to_be_bytes() != checksum {
            return Err(Malformed("its checksum is wrong"));
        }
        let mut tombstones = Tombstones::default();
        while !reader.is_empty() {
            tombstones.add(reader.uvarint()?, reader.varint()?, reader.varint()?);
        }
        Ok(tombstones)
    }

    /// Notes one more deletion.
    pub fn add(&mut self, series: u64, first_ms: i64, last_ms: i64) {
        self.0.entry(series).or_default().push((first_ms, last_ms));
    }

    /// The deletions of a series.
    pub fn of(&self, series: u64) -> &[(i64, i64)] {
        self.0.get(&series).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether one of the deletions holds an instant.
pub fn hides(deletions: &[(i64, i64)], at_ms: i64) -> bool {
    deletions.iter().any(|(first, last)| (*first..=*last).contains(&at_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file() {
        let entries = [7, 2, 20]; // Series 7 from 1 to 10.
        let mut file = [&MAGIC.to_be_bytes()[..], &[VERSION], &entries].concat();
        file.extend(crc32c::crc32c(&entries).to_be_bytes());
        let read = Tombstones::read(&file).expect("a good file");
        assert_eq!(read.of(7), [(1, 10)]);
        assert!(hides(read.of(7), 10) && !hides(read.of(7), 11) && !hides(read.of(8), 5));
        file[6] ^= 1;
        assert_eq!(Tombstones::read(&file), Err(Malformed("its checksum is wrong")));
    }
}
