//! The manifest: which blocks there are, and what of the journal they hold. The one truth.
//!
//! Place in the flow: flush (later compaction, retention) replaces it as a whole; opening the store
//! begins with it.
//!
//! The file is one line of text (`BELFRY-MANIFEST`, version, checksum of what follows) and JSON, and,
//! one block of the disk away, the same once more: damage at one place costs nothing.
//!
//! Invariants: a block is part of the store exactly when it is named here. A flush is named together
//! with its blocks in one replacement, so a crash leaves the state before it or after it.
//!
//! Not here: the blocks' own figures (`block::meta`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use journal::disk::Disk;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::block::meta::checksum_text;
use crate::error::at;
use crate::repair::single_bit;

/// The name of the file in the store's folder.
pub const MANIFEST_FILE: &str = "manifest";
const MAGIC: &str = "BELFRY-MANIFEST";
/// The version this release writes.
pub const FORMAT_VERSION: u32 = 1;
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// The copy begins at a multiple of this, and at least so far behind the end of the first one.
const COPY_DISTANCE_BYTES: usize = 4096;

/// One block of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    /// Its name.
    pub block_id: String,
    /// xxh3 of its `meta.json`.
    pub meta_xxh3: String,
}

/// One flush whose samples may still stand in the journal too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushEntry {
    /// Samples in journal segments before this one …
    pub before_segment: u64,
    /// … and before this instant are in the blocks.
    pub before_ms: i64,
    /// The blocks.
    pub block_ids: Vec<String>,
}

/// A condition on one label, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatcherEntry {
    /// The label.
    pub name: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub op: String,
    /// The value or expression.
    pub value: String,
}

/// One deletion that is not carried out everywhere yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstoneEntry {
    /// Its number.
    pub id: u64,
    /// Which series.
    pub matchers: Vec<MatcherEntry>,
    /// From this instant on …
    pub start_ms: i64,
    /// … and before this one.
    pub end_ms: i64,
    /// When it was ordered.
    pub created_ms: i64,
    /// The blocks in which it hides samples.
    pub block_ids: Vec<String>,
    /// Whether it was carried out, or taken back, in other blocks already.
    #[serde(default)]
    pub is_partly_done: bool,
}

/// The content of the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// No series number from here on was ever given when this was written.
    pub next_series_id: u64,
    /// Series in the series log when this was written.
    pub series_logged: u64,
    /// Blocks ever written; makes their names differ.
    pub blocks_created: u64,
    /// The blocks.
    pub blocks: Vec<BlockEntry>,
    /// Flushes whose journal segments may not be removed yet.
    pub flushes: Vec<FlushEntry>,
    /// Deletions ever ordered; makes their numbers differ.
    #[serde(default)]
    pub deletions_created: u64,
    /// Deletions that hide samples of blocks.
    #[serde(default)]
    pub tombstones: Vec<TombstoneEntry>,
}

/// What was found in place of a manifest.
pub enum Found {
    /// It is whole.
    Whole(Manifest),
    /// There is none.
    Nothing,
    /// It was damaged like this, and is right again here.
    Repaired(Manifest, String),
    /// Its bytes are not what was written.
    Damaged(String),
}

impl Manifest {
    /// Where it lies in the store's folder.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(MANIFEST_FILE)
    }

    /// Reads it.
    pub fn read(disk: &Disk, dir: &Path) -> Result<Found, Error> {
        let path = Manifest::path(dir);
        if !disk.exists(&path).map_err(at("look for", &path))? {
            return Ok(Found::Nothing);
        }
        let bytes = disk.read(&path, BYTES_MAX).map_err(at("read", &path))?;
        let found = decode(&bytes, &path)?;
        if !matches!(found, Found::Damaged(_)) {
            return Ok(found);
        }
        // A file without a copy.
        let is_right = |bytes: &[u8]| matches!(split(texts(bytes).0), Ok((_, _, true)));
        let repaired = single_bit(&bytes, is_right);
        let decoded = repaired.map(|(bytes, place)| (decode(&bytes, &path), place));
        match decoded {
            Some((Ok(Found::Whole(manifest)), place)) => {
                let what = format!("a flipped bit at byte {place}, turned back");
                Ok(Found::Repaired(manifest, what))
            }
            _ => Ok(found),
        }
    }

    /// Replaces it; the new one is durable when this returns.
    pub fn write(&self, disk: &Disk, dir: &Path) -> Result<(), Error> {
        let path = Manifest::path(dir);
        disk.write_atomic(&path, &self.encode()).map_err(at("write", &path))
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec_pretty(self).expect("plain fields become JSON");
        body.push(b'\n');
        let version = FORMAT_VERSION.to_string();
        let head = format!("{MAGIC} {version} {}\n", checksum(&version, &body));
        let mut bytes = [head.as_bytes(), &body].concat();
        let copy = bytes.clone();
        // Empty lines, so that damage of one block of the disk can't reach both.
        let distance = bytes.len() + COPY_DISTANCE_BYTES;
        bytes.resize(distance.next_multiple_of(COPY_DISTANCE_BYTES), b'\n');
        bytes.extend_from_slice(&copy);
        bytes
    }

    /// Takes out flushes that say nothing any more: no segment before theirs is left.
    pub fn forget_flushes(&mut self, first_segment: u64) {
        self.flushes.retain(|flush| flush.before_segment > first_segment);
    }

    /// Forgets blocks that are damaged. Flushes go on naming them: their samples come from the
    /// journal again, as far as it still has them.
    pub fn forget_blocks(&mut self, lost: &[String]) {
        self.blocks.retain(|block| !lost.contains(&block.block_id));
        for tombstone in &mut self.tombstones {
            tombstone.block_ids.retain(|block_id| !lost.contains(block_id));
        }
        self.tombstones.retain(|tombstone| !tombstone.block_ids.is_empty());
    }

    /// Puts blocks in place of others everywhere. Deletions were carried out in the new ones.
    pub fn replace_blocks(&mut self, old: &[String], new: &[BlockEntry]) {
        self.blocks.retain(|block| !old.contains(&block.block_id));
        self.blocks.extend_from_slice(new);
        for flush in &mut self.flushes {
            let before = flush.block_ids.len();
            flush.block_ids.retain(|block_id| !old.contains(block_id));
            if flush.block_ids.len() < before {
                flush.block_ids.extend(new.iter().map(|block| block.block_id.clone()));
            }
        }
        for tombstone in &mut self.tombstones {
            let before = tombstone.block_ids.len();
            tombstone.block_ids.retain(|block_id| !old.contains(block_id));
            tombstone.is_partly_done |= tombstone.block_ids.len() < before;
        }
        self.tombstones.retain(|tombstone| !tombstone.block_ids.is_empty());
    }

    /// Samples of a journal segment before this instant are in blocks that serve.
    pub fn flushed_before_ms(&self, segment: u64, serving: &BTreeSet<String>) -> i64 {
        let serves = |flush: &&FlushEntry| {
            segment < flush.before_segment
                && flush.block_ids.iter().all(|block_id| serving.contains(block_id))
        };
        let before_ms = self.flushes.iter().filter(serves).map(|flush| flush.before_ms);
        before_ms.max().unwrap_or(i64::MIN)
    }
}

/// Version, body, and whether the checksum fits; or what is wrong with the first line.
fn split(bytes: &[u8]) -> Result<(&str, &[u8], bool), &'static str> {
    let line_end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (head, body) = (&bytes[..line_end], &bytes[line_end + 1..]);
    let words: Vec<&str> = std::str::from_utf8(head).unwrap_or("").split(' ').collect();
    let [MAGIC, version, _] = words[..] else {
        return Err("its first line is not that of a manifest");
    };
    Ok((version, body, words[2] == checksum(version, body)))
}

/// The version is covered too: a flipped bit must not look like a newer release.
fn checksum(version: &str, body: &[u8]) -> String {
    checksum_text(&[version.as_bytes(), b"\n", body].concat())
}

/// The first text of the file, which ends before an empty line, and what follows the empty lines.
fn texts(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").map_or(bytes.len(), |at| at + 1);
    let (first, rest) = bytes.split_at(end);
    let lines = rest.iter().take_while(|byte| **byte == b'\n').count();
    (first, &rest[lines..])
}

/// What the bytes of the file say.
pub fn decode(bytes: &[u8], path: &Path) -> Result<Found, Error> {
    let (first, copy) = texts(bytes);
    match decode_one(first, path)? {
        // Before there was a copy, and a copy that is one.
        Found::Whole(manifest) if copy.is_empty() || copy == first => Ok(Found::Whole(manifest)),
        Found::Whole(manifest) => {
            Ok(Found::Repaired(manifest, "its copy is damaged, written anew".to_owned()))
        }
        found => {
            for start in (0..bytes.len()).step_by(COPY_DISTANCE_BYTES).skip(1) {
                let is_copy = bytes[start..].starts_with(MAGIC.as_bytes());
                if is_copy && let Found::Whole(manifest) = decode_one(&bytes[start..], path)? {
                    let what = "damaged, taken from its copy".to_owned();
                    return Ok(Found::Repaired(manifest, what));
                }
            }
            Ok(found)
        }
    }
}

/// What one text of the file says.
fn decode_one(bytes: &[u8], path: &Path) -> Result<Found, Error> {
    let damaged = |what: &str| Ok(Found::Damaged(what.to_owned()));
    let (version, body) = match split(bytes) {
        // The planted bug shows that the tests would notice.
        Ok((version, body, is_right)) if is_right || cfg!(feature = "planted") => (version, body),
        Ok(_) => return damaged("its checksum does not fit"),
        Err(what) => return damaged(what),
    };
    match version.parse() {
        Ok(FORMAT_VERSION) => {}
        Ok(found_version) => {
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found_version,
                known_version: FORMAT_VERSION,
            });
        }
        Err(_) => return damaged("its version is not a number"),
    }
    match serde_json::from_slice(body) {
        Ok(manifest) => Ok(Found::Whole(manifest)),
        Err(error) => damaged(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_or_is_refused() {
        let manifest = Manifest {
            next_series_id: 7,
            flushes: vec![FlushEntry {
                before_segment: 4,
                before_ms: 100,
                block_ids: vec!["B".into()],
            }],
            ..Manifest::default()
        };
        let path = Path::new("m");
        let bytes = manifest.encode();
        assert!(matches!(decode(&bytes, path), Ok(Found::Whole(back)) if back == manifest));
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            let found = decode(&damaged, path);
            let is_same = matches!(&found, Ok(Found::Repaired(back, _)) if *back == manifest);
            assert!(is_same, "byte {index}");
            damaged[index..(index + 512).min(bytes.len())].fill(0);
            let found = decode(&damaged, path);
            assert!(matches!(found, Ok(Found::Repaired(back, _)) if back == manifest), "{index}");
        }
        let alone = texts(&bytes).0;
        assert!(matches!(decode(alone, path), Ok(Found::Whole(back)) if back == manifest));
        let serving = BTreeSet::from(["B".to_owned()]);
        assert_eq!(manifest.flushed_before_ms(3, &serving), 100);
        assert_eq!(manifest.flushed_before_ms(4, &serving), i64::MIN);
        assert_eq!(manifest.flushed_before_ms(3, &BTreeSet::new()), i64::MIN);
    }
}
