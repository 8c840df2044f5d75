//! What a block says about itself: `meta.json`.
//!
//! Place in the flow: the writer writes it last, opening a block reads it first.
//!
//! Invariant: the sizes and checksums in it are those of the files beside it.
//!
//! Not here: the manifest's view (`manifest`), which holds the checksum of this file.

use std::path::Path;

use journal::disk::Disk;
use model::{TimeRange, TimestampMs};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::error::at;

/// The name of the file.
pub const META_FILE: &str = "meta.json";
/// The rows.
pub const SAMPLES_FILE: &str = "samples.parquet";
/// The series.
pub const SERIES_FILE: &str = "series.parquet";
/// The version this release writes.
pub const FORMAT_VERSION: u32 = 1;
const META_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One file of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// xxh3 of all its bytes, in sixteen hexadecimal digits.
    pub xxh3: String,
    /// Where its footer (page index and metadata) begins; only for Parquet files read in parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer_offset_bytes: Option<u64>,
    /// xxh3 of the footer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footer_xxh3: Option<String>,
}

/// What a block says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The version of the block's format.
    pub format_version: u32,
    /// Its name; the folder has the same.
    pub block_id: String,
    /// 0: flushed from memory; one more with every merge.
    pub level: u32,
    /// The first instant in it.
    pub min_ms: i64,
    /// The last instant in it.
    pub max_ms: i64,
    /// Its samples.
    pub rows: u64,
    /// Its series.
    pub series: u64,
    /// The largest series number in it.
    pub series_id_max: u64,
    /// When it was written.
    pub created_ms: i64,
    /// The blocks it was merged from.
    pub sources: Vec<String>,
    /// Deletions that were carried out in it.
    pub tombstones_applied: Vec<String>,
    /// Its Parquet files.
    pub files: Vec<FileMeta>,
}

/// A checksum as it stands in files of text.
pub fn checksum_text(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

impl Meta {
    /// Reads and checks the file in a block's folder.
    pub fn read(disk: &Disk, dir: &Path) -> Result<Meta, Error> {
        let path = dir.join(META_FILE);
        let bytes = disk.read(&path, META_BYTES_MAX).map_err(at("read", &path))?;
        Meta::decode(&bytes, &path)
    }

    /// Checks the bytes of the file.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Meta, Error> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
        let version: Version =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if version.format_version > FORMAT_VERSION {
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found_version: version.format_version,
                known_version: FORMAT_VERSION,
            });
        }
        let meta: Meta =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if meta.min_ms > meta.max_ms || meta.file(SAMPLES_FILE).is_none() {
            return Err(damaged("its fields contradict each other".to_owned()));
        }
        Ok(meta)
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("plain fields become JSON");
        bytes.push(b'\n');
        bytes
    }

    /// From the first to the last sample.
    pub fn range(&self) -> TimeRange {
        TimeRange::closed(TimestampMs(self.min_ms), TimestampMs(self.max_ms))
            .unwrap_or(TimeRange::ALL)
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> Option<&FileMeta> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The bytes of all its Parquet files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Whether these are the bytes that were written.
    pub fn check(&self, name: &str, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let expected = self.file(name).map(|file| file.xxh3.as_str());
        if expected == Some(checksum_text(bytes).as_str()) {
            return Ok(());
        }
        let what = "its checksum is not the one in meta.json".to_owned();
        Err(Error::Damaged { path: path.to_owned(), what })
    }
}
