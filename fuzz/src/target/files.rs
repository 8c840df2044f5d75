//! Files of a store as targets.
//!
//! Place in the flow: a golden folder → one file changed, checksums made right → the store opens,
//! reads, appends and flushes on it.
//!
//! Not here: the changes (`mutate`), the folder (`golden`).

use std::path::{Path, PathBuf};

use journal::disk::SimulatedDisk;
use journal::{Journal, JournalOptions};

use super::Golden;
use super::seal;
use crate::random::Random;
use crate::store::story::DIR;

fn all(files: Vec<(&PathBuf, &Vec<u8>)>) -> Vec<Vec<u8>> {
    files.into_iter().map(|(_, bytes)| bytes.clone()).collect()
}

/// Journal segments.
pub fn segments(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    all(golden.named("journal", ".journal"))
}

fn replay(bytes: &[u8]) -> Result<(), String> {
    let simulated = SimulatedDisk::new(0);
    let (disk, dir) = (simulated.disk(), Path::new("/log"));
    let path = dir.join("000000000001.journal");
    disk.create_dir_all(dir).and_then(|()| disk.create(&path)?.append(bytes)).expect("calm");
    let opened = Journal::open(disk, dir, JournalOptions::default());
    let (journal, mut replay) = match opened {
        Ok(opened) => opened,
        Err(journal::Error::NewerFormat { .. }) => return Ok(()),
        Err(error) => return Err(format!("the journal does not open: {error:?}")),
    };
    let read: usize = replay.by_ref().filter_map(Result::ok).map(|own| own.payload.len()).sum();
    if read > bytes.len() {
        return Err(format!("{read} bytes of records out of {} bytes", bytes.len()));
    }
    journal.append_blocking(1, b"after".to_vec()).map_err(|error| error.to_string())
}

/// A segment as it is, checksums wrong mostly.
pub fn journal_replay(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    replay(bytes)
}

/// A segment with right checksums.
pub fn journal_fragments(_: &Golden, bytes: &[u8]) -> Result<(), String> {
    let mut bytes = bytes.to_vec();
    seal::segment(&mut bytes, 1);
    replay(&bytes)
}

/// The first byte is the record's kind.
fn records_of(golden: &Golden, folder: &str) -> Vec<Vec<u8>> {
    let simulated = golden.disk_with(&[]);
    let dir = Path::new(DIR).join(folder);
    let opened = Journal::open(simulated.disk(), &dir, JournalOptions::default());
    let (_, replay) = opened.expect("the golden store opens");
    let records = replay.filter_map(Result::ok);
    records.map(|own| [vec![own.kind], own.payload].concat()).collect()
}

fn with_record(golden: &Golden, folder: &str, bytes: &[u8]) -> Result<(), String> {
    let Some((kind, payload)) = bytes.split_first() else { return Ok(()) };
    let simulated = golden.disk_with(&[]);
    let dir = Path::new(DIR).join(folder);
    let opened = Journal::open(simulated.disk(), &dir, JournalOptions::default());
    let (journal, replay) = opened.expect("the golden store opens");
    drop(replay);
    journal.append_blocking(*kind, payload.to_vec()).map_err(|error| error.to_string())?;
    drop(journal);
    golden.live_on(&simulated)
}

/// Records of the store's journal.
pub fn records(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    records_of(golden, "journal")
}

/// A store with one more record in its journal.
pub fn store_records(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    with_record(golden, "journal", bytes)
}

/// Records of the series log.
pub fn series_records(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    records_of(golden, "series")
}

/// A store with one more record in its series log.
pub fn series_log(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    with_record(golden, "series", bytes)
}

/// The manifest.
pub fn manifests(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    all(golden.named("", "manifest"))
}

/// A store with another manifest.
pub fn manifest(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    let sealed = seal::manifest(bytes);
    golden.live_on(&golden.disk_with(&[(&Path::new(DIR).join("manifest"), &sealed)]))
}

/// The first of some files.
fn first<'a>(golden: &'a Golden, end: &str) -> &'a Path {
    golden.named("blocks", end).first().expect("the golden store has blocks").0
}

/// `meta.json` of the first block.
pub fn metas(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    all(golden.named("blocks", "meta.json"))
}

/// A store with another `meta.json`.
pub fn block_meta(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    golden.live_on(&golden.disk_with_block_file(first(golden, "meta.json"), bytes))
}

/// Index files.
pub fn indexes(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    all(golden.named("blocks", "index"))
}

/// A store with another index in its first block.
pub fn index(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    let mut bytes = bytes.to_vec();
    seal::index(&mut bytes);
    golden.live_on(&golden.disk_with(&[(first(golden, "index"), &bytes)]))
}

/// The samples of the first block.
pub fn samples_files(golden: &Golden, _: &mut Random) -> Vec<Vec<u8>> {
    let mut files = all(golden.named("blocks", "samples.parquet"));
    files.truncate(1);
    files
}

/// A store with changed pages, their checksums right.
pub fn block_pages(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    let path = first(golden, "samples.parquet");
    let (mut file, pages) = (bytes.to_vec(), golden.pages(path));
    // The footer stays what it was.
    let end = pages.iter().map(|page| page.start + page.bytes).max().unwrap_or(0);
    let original = golden.named("blocks", "samples.parquet")[0].1;
    file.resize(original.len(), 0);
    file[end..].copy_from_slice(&original[end..]);
    seal::pages(&mut file, pages);
    golden.live_on(&golden.disk_with_block_file(path, &file))
}

/// A store with a changed footer, its checksum right.
pub fn block_footer(golden: &Golden, bytes: &[u8]) -> Result<(), String> {
    let path = first(golden, "samples.parquet");
    let original = golden.named("blocks", "samples.parquet")[0].1;
    let end = golden.pages(path).iter().map(|page| page.start + page.bytes).max().unwrap_or(0);
    let mut file = original[..end].to_vec();
    file.extend_from_slice(bytes.get(end..).unwrap_or_default());
    golden.live_on(&golden.disk_with_block_file(path, &file))
}
