//! Whether a backup is whole: every file against its checksum, and the store's files against each
//! other.
//!
//! Place in the flow: `place` → **`verify`** → what an operator reads.
//!
//! Not here: mending. A new backup with every file copied anew does that.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;
use storage::snapshot::{
    BLOCK_META_FILE, BLOCKS_FOLDER, MANIFEST_FILE, block_files, manifest_blocks,
};

use crate::index::{FileEntry, Index};
use crate::place::{Fault, Place};
use crate::source::{META_BYTES_MAX, STORE_FOLDER};
use crate::{Error, Listener, Progress};

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its place in the data folder.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The backup's name.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged or missing; empty when it is whole.
    pub problems: Vec<Problem>,
}

/// Reads all of a backup.
pub async fn verify(place: &Place, name: &str, listener: Listener<'_>) -> Result<Verified, Error> {
    let index = place.index(name).await?;
    let mut found = Found { problems: Vec::new(), kept: HashMap::new() };
    for text in &index.damaged {
        let (path, what) = text.split_once(": ").unwrap_or((text, "damaged"));
        found.add(path, &format!("it was damaged before it was copied: {what}"));
    }
    let mut progress = Progress {
        files: 0,
        files_total: index.files.len() as u64,
        bytes: 0,
        bytes_total: index.size_bytes(),
    };
    for entry in &index.files {
        listener(&progress);
        found.read(place, name, entry).await?;
        progress.files += 1;
        progress.bytes += entry.size_bytes;
    }
    listener(&progress);
    found.check_store(&index)?;
    found.problems.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Verified {
        name: name.to_owned(),
        files: progress.files,
        bytes: progress.bytes,
        problems: found.problems,
    })
}

struct Found {
    problems: Vec<Problem>,
    /// The bytes of files that speak about others.
    kept: HashMap<String, Vec<u8>>,
}

impl Found {
    fn add(&mut self, path: &str, what: &str) {
        self.problems.push(Problem { path: path.to_owned(), what: what.to_owned() });
    }

    async fn read(&mut self, place: &Place, name: &str, entry: &FileEntry) -> Result<(), Error> {
        let own_name = entry.path.rsplit('/').next().unwrap_or_default();
        let speaks = matches!(own_name, BLOCK_META_FILE | MANIFEST_FILE);
        let mut kept = Vec::new();
        let mut keep = |bytes: &[u8]| {
            if speaks && kept.len() < META_BYTES_MAX {
                kept.extend_from_slice(bytes);
            }
            Ok(())
        };
        match place.read(name, entry, &mut keep).await {
            Ok(()) if speaks => drop(self.kept.insert(entry.path.clone(), kept)),
            Ok(()) => {}
            Err(Fault::Missing) => self.add(&entry.path, "it is missing"),
            Err(Fault::Damaged(what)) => self.add(&entry.path, &what),
            Err(Fault::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    /// Every block of the manifest is there with the files that its `meta.json` names.
    fn check_store(&mut self, index: &Index) -> Result<(), Error> {
        let sums: HashMap<&str, &str> =
            index.files.iter().map(|file| (file.path.as_str(), file.xxh3.as_str())).collect();
        let manifest_path = format!("{STORE_FOLDER}/{MANIFEST_FILE}");
        if !sums.contains_key(manifest_path.as_str()) {
            self.add(&manifest_path, "the backup has none");
            return Ok(());
        }
        // One that could not be read is a problem already.
        let Some(bytes) = self.kept.remove(&manifest_path) else { return Ok(()) };
        let blocks = match manifest_blocks(&bytes, Path::new(&manifest_path)) {
            Err(error @ storage::Error::NewerFormat { .. }) => return Err(error.into()),
            Err(error) => {
                self.add(&manifest_path, &error.to_string());
                return Ok(());
            }
            Ok(blocks) => blocks,
        };
        for block in blocks {
            let folder = format!("{STORE_FOLDER}/{BLOCKS_FOLDER}/{}", block.block_id);
            let path = format!("{folder}/{BLOCK_META_FILE}");
            self.expect(&sums, &path, &block.meta_xxh3);
            let Some(bytes) = self.kept.remove(&path) else { continue };
            match block_files(&bytes, Path::new(&path)) {
                Err(error @ storage::Error::NewerFormat { .. }) => return Err(error.into()),
                Err(error) => self.add(&path, &error.to_string()),
                Ok(files) => {
                    for file in files {
                        self.expect(&sums, &format!("{folder}/{}", file.name), &file.xxh3);
                    }
                }
            }
        }
        Ok(())
    }

    fn expect(&mut self, sums: &HashMap<&str, &str>, path: &str, xxh3: &str) {
        match sums.get(path) {
            None => self.add(path, "the store needs it and the backup has none"),
            Some(found) if *found != xxh3 && !self.problems.iter().any(|own| own.path == path) => {
                self.add(path, "it is not the file that the store knows");
            }
            Some(_) => {}
        }
    }
}
