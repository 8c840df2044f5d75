//! A store's folder, as it is and with one file replaced.
//!
//! Place in the flow: built once per run of a target; every input gets a disk of its own from it.
//!
//! Not here: what is fed (`files`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::{Append, Batch, TimestampMs};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use storage::{Settings, Store};

use super::seal::{self, Page};
use crate::store::held::{content, labels};
use crate::store::story::{DIR, Story, open, settings};

/// Steps of the story that fills the store.
const STEPS: u64 = 40;

/// All files of a store that holds blocks, a journal and a series log.
#[derive(Debug, Clone)]
pub struct Golden {
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The pages of each Parquet file of samples.
    pages: BTreeMap<PathBuf, Vec<Page>>,
}

impl Golden {
    /// The folder that a seed brings.
    pub fn new(seed: u64) -> Golden {
        // Few blocks make many runs.
        let settings = Settings { block_range_ms: 1 << 50, ..settings() };
        let mut story = Story::with_settings(seed, settings);
        let mut store = None;
        for step in 0..STEPS {
            story.step(&mut store).expect("nothing fails on a calm disk");
            if step == STEPS / 2 {
                let open = store.get_or_insert_with(|| story.open().expect("a calm disk"));
                open.flush().expect("a calm disk");
            }
        }
        drop(store);
        let disk = story.disk.disk();
        let read = |(path, size_bytes): (PathBuf, u64)| {
            let bytes = disk.read(&path, size_bytes as usize).expect("a calm disk");
            (path, bytes)
        };
        let files: BTreeMap<PathBuf, Vec<u8>> = story.disk.files().into_iter().map(read).collect();
        let samples = files.iter().filter(|(path, _)| path.ends_with("samples.parquet"));
        let pages = samples.map(|(path, bytes)| (path.clone(), pages_of(bytes))).collect();
        Golden { files, pages }
    }

    /// All files with a name in a folder of the store (empty: any), sorted by path.
    pub fn named(&self, folder: &str, end: &str) -> Vec<(&PathBuf, &Vec<u8>)> {
        let folder = Path::new(DIR).join(folder);
        let fits = |path: &Path| path.starts_with(&folder) && path.to_string_lossy().ends_with(end);
        self.files.iter().filter(|(path, _)| fits(path)).collect()
    }

    /// The pages of a file of samples.
    pub fn pages(&self, path: &Path) -> &[Page] {
        self.pages.get(path).map_or(&[], Vec::as_slice)
    }

    /// A disk with all files, some of them replaced.
    pub fn disk_with(&self, replaced: &[(&Path, &[u8])]) -> SimulatedDisk {
        let simulated = SimulatedDisk::new(0);
        let disk = simulated.disk();
        for (path, bytes) in &self.files {
            let new = replaced.iter().find(|(own, _)| own == path).map(|(_, bytes)| *bytes);
            let folder = path.parent().expect("files lie in folders");
            disk.create_dir_all(folder).expect("a calm disk");
            let mut file = disk.create(path).expect("a calm disk");
            file.append(new.unwrap_or(bytes)).expect("a calm disk");
            file.sync_data().expect("a calm disk");
            disk.sync_dir(folder).expect("a calm disk");
        }
        simulated
    }

    /// A disk where a file of a block was replaced, and the checksums above it fit.
    pub fn disk_with_block_file(&self, path: &Path, bytes: &[u8]) -> SimulatedDisk {
        let folder = path.parent().expect("a block's folder");
        let meta_path = folder.join("meta.json");
        let meta = match path == meta_path {
            true => bytes.to_vec(),
            false => self.meta_for(&meta_path, path, bytes),
        };
        let block_id = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let manifest_path = Path::new(DIR).join("manifest");
        let manifest = seal::manifest(&self.files[&manifest_path]);
        let line_end = manifest.iter().position(|byte| *byte == b'\n').expect("a first line");
        let mut tree: serde_json::Value =
            serde_json::from_slice(&manifest[line_end + 1..]).expect("the manifest is JSON");
        for entry in tree["blocks"].as_array_mut().expect("blocks") {
            if entry["block_id"] == block_id {
                entry["meta_xxh3"] = seal::text(&meta).into();
            }
        }
        let body = serde_json::to_vec_pretty(&tree).expect("JSON");
        let manifest = seal::manifest(&[b"-\n", body.as_slice()].concat());
        self.disk_with(&[(path, bytes), (&meta_path, &meta), (&manifest_path, &manifest)])
    }

    /// `meta.json` with the checksums of a replaced file.
    fn meta_for(&self, meta_path: &Path, path: &Path, bytes: &[u8]) -> Vec<u8> {
        let mut meta: serde_json::Value =
            serde_json::from_slice(&self.files[meta_path]).expect("meta is JSON");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        for file in meta["files"].as_array_mut().expect("files") {
            if file["name"] != name {
                continue;
            }
            file["size_bytes"] = bytes.len().into();
            file["xxh3"] = seal::text(bytes).into();
            if let Some(offset) = file["footer_offset_bytes"].as_u64() {
                let footer = bytes.get(offset as usize..).unwrap_or_default();
                file["footer_xxh3"] = seal::text(footer).into();
            }
        }
        serde_json::to_vec_pretty(&meta).expect("JSON")
    }

    /// Opens the store on a disk, reads everything, appends, flushes, reads again. An error when it
    /// does not open for another reason than a newer format, or when one of its threads panicked.
    pub fn live_on(&self, simulated: &SimulatedDisk) -> Result<(), String> {
        let settings = Settings { block_range_ms: 1 << 50, ..settings() };
        let store = match open(&simulated.disk(), Path::new(DIR), &settings) {
            Ok(store) => store,
            Err(storage::Error::NewerFormat { .. }) => return Ok(()),
            Err(storage::Error::Journal(journal::Error::NewerFormat { .. })) => return Ok(()),
            Err(error) => return Err(format!("the store does not open: {error:?}")),
        };
        // What is read may be anything, since the checksums were made to fit; it must only end.
        let _ = content(&store);
        append_one(&store);
        let _ = store.flush();
        let _ = content(&store);
        let unavailable = store.stats().unavailable.unwrap_or_default();
        if unavailable.contains("panicked") {
            return Err(unavailable);
        }
        Ok(())
    }
}

fn append_one(store: &Arc<Store>) {
    let mut batch = Batch::new();
    for number in [1, 777] {
        let series = batch.series(&labels(number));
        batch.sample(series, TimestampMs(1_700_000_000_000), 1.5);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // Hostile files may make it refuse.
    let _ = runtime.block_on(store.append(batch));
}

fn pages_of(bytes: &[u8]) -> Vec<Page> {
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&bytes::Bytes::copy_from_slice(bytes))
        .expect("the store writes Parquet");
    let mut pages = Vec::new();
    for group in metadata.offset_index().expect("the store writes page indexes") {
        for column in group {
            for place in column.page_locations() {
                let bytes = place.compressed_page_size as usize;
                pages.push(Page { start: place.offset as usize, bytes });
            }
        }
    }
    pages
}
