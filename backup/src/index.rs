//! `backup.json`: what belongs to a backup, with the checksum of every file and of itself.
//!
//! Place in the flow: `make` writes it last, everybody else begins with it.
//!
//! It is plain JSON, so that a person without Belfry can find and check every file. Its own checksum
//! is that of its bytes with the sixteen digits of the field `index_xxh3` as zeros.
//!
//! Not here: where files lie (`place`).

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::Error;

/// The name of the file.
pub const INDEX_FILE: &str = "backup.json";
/// The version this release writes.
pub const FORMAT_VERSION: u32 = 1;
/// Longest index read: a million files.
pub(crate) const INDEX_BYTES_MAX: usize = 256 * 1024 * 1024;
const NO_CHECKSUM: &str = "0000000000000000";

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its place in the data folder, with `/` between names.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// xxh3 of all its bytes, in sixteen hexadecimal digits.
    pub xxh3: String,
}

/// The content of `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The version of the format.
    pub format_version: u32,
    /// The checksum of this file.
    pub index_xxh3: String,
    /// The backup's name.
    pub name: String,
    /// When it was begun, milliseconds since the epoch.
    pub created_ms: i64,
    /// The release that wrote it.
    pub belfry_version: String,
    /// Files that were damaged already when they were copied, and how.
    pub damaged: Vec<String>,
    /// The files, sorted by path.
    pub files: Vec<FileEntry>,
}

/// A checksum as it stands in files of text.
pub(crate) fn checksum_text(sum: u64) -> String {
    format!("{sum:016x}")
}

impl Index {
    /// The bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// The bytes of `backup.json`; fills in the checksum.
    pub fn encode(&self) -> Vec<u8> {
        let mut own = self.clone();
        own.index_xxh3 = NO_CHECKSUM.to_owned();
        own.index_xxh3 = checksum_text(xxh3_64(&own.text()));
        own.text()
    }

    fn text(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("plain fields become JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Checks the bytes; `file` is what errors call them.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Index, Error> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let damaged = |what: String| Error::Damaged { file: file.to_owned(), what };
        let version: Version =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if version.format_version > FORMAT_VERSION {
            return Err(Error::NewerFormat {
                file: file.to_owned(),
                found_version: version.format_version,
                known_version: FORMAT_VERSION,
            });
        }
        let index: Index =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if index.encode() != bytes {
            return Err(damaged("its checksum is not that of its bytes".to_owned()));
        }
        match index.files.iter().find(|entry| !is_inside(&entry.path)) {
            Some(entry) => Err(damaged(format!("the path {:?} leads out of it", entry.path))),
            None => Ok(index),
        }
    }
}

/// Whether a path stays inside the folder that it is joined to.
fn is_inside(path: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name != "." && name != "..";
    path.split('/').all(is_name) && !path.contains('\0') && !path.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(paths: &[&str]) -> Index {
        let file = |path: &&str| FileEntry {
            path: (*path).to_owned(),
            size_bytes: 3,
            xxh3: checksum_text(7),
        };
        Index {
            format_version: FORMAT_VERSION,
            index_xxh3: String::new(),
            name: "20260102T030405Z".to_owned(),
            created_ms: 5,
            belfry_version: "0.1.0".to_owned(),
            damaged: vec![],
            files: paths.iter().map(file).collect(),
        }
    }

    #[test]
    fn it_comes_back_or_is_refused() {
        let own = index(&["store/manifest", "store/blocks/A/meta.json"]);
        let bytes = own.encode();
        let back = Index::decode(&bytes, "b").expect("whole");
        assert_eq!((back.files, back.name), (own.files, own.name));
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(Index::decode(&damaged, "b").is_err(), "byte {position}");
        }
    }

    #[test]
    fn a_newer_one_is_refused_by_name() {
        let text = "{\"format_version\": 7, \"something\": \"else\"}";
        let error = Index::decode(text.as_bytes(), "/backups/x/backup.json").expect_err("newer");
        assert_eq!(
            error.to_string(),
            "/backups/x/backup.json has format version 7, this release reads up to 1: \
             use the release that wrote it"
        );
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../x", "/etc/passwd", "a//b", "a/./b", "a/..", "", "a\\b", "a\0b"] {
            let error = Index::decode(&index(&[path]).encode(), "b").expect_err(path);
            assert!(error.to_string().contains("leads out"), "{path}: {error}");
        }
    }
}
