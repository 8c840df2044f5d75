//! Opening a store: what is on disk becomes what is in memory.
//!
//! Place in the flow: [`crate::Store::open`] → manifest → blocks → series log → journal → memory.
//!
//! What is damaged is set aside and named; the store opens with the rest. Only what a newer release
//! wrote, and a disk that can't be read or written, keep it from opening.
//!
//! A write that failed may come back here, since the disk may have kept it. Its samples were never
//! acknowledged; where they contradict later ones, the later ones win. A series that it created may
//! have been created again under another number; then the later number is the right one.
//!
//! Not here: filling memory (`memory`), starting threads (`store`).

/// Memory while it is filled.
mod memory;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::Disk;
use journal::{Damage, DamageKind, Journal, JournalOptions};

use crate::absent::AbsentBlock;
use crate::beside::hooks;
use crate::block::Block;
use crate::block::cache::Cache;
use crate::block::mend::meta_of_guard;
use crate::block::meta::{META_FILE, Meta, checksum_text};
use crate::block::name::is_ulid;
use crate::error::{at, chain};
use crate::flush::{BLOCKS_DIR, sort_blocks};
use crate::head::Head;
use crate::manifest::{BlockEntry, Found, Manifest};
use crate::repair::single_bit;
use crate::series_log::{self, SERIES_LOG_DIR};
use crate::shared::{Era, Flushing};
use crate::{Error, Settings};
use memory::Memory;

/// The folder of blocks that were set aside.
pub const QUARANTINE_DIR: &str = "quarantine";
/// The folder of the journal.
pub const JOURNAL_DIR: &str = "journal";
const META_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What opening found.
pub struct Opened {
    /// Registry, index and memtable.
    pub head: Head,
    /// Blocks that serve.
    pub blocks: Vec<Arc<Block>>,
    /// The state of the flush.
    pub flushing: Flushing,
    /// Series up to this slot are in the series log.
    pub logged_slots: u32,
    /// The journal's parts.
    pub eras: Vec<Era>,
    /// The journal, for new records.
    pub journal: Journal,
    /// The series log.
    pub series_log: Journal,
    /// The first number for new series.
    pub next_series_id: u64,
    /// What was set aside.
    pub damaged: Vec<String>,
    /// Blocks that the disk refused to open.
    pub absent: Vec<AbsentBlock>,
}

/// Reads everything below a store's folder.
pub fn open(
    disk: &Disk,
    dir: &Path,
    settings: &Settings,
    cache: &Arc<Cache>,
) -> Result<Opened, Error> {
    let blocks_dir = dir.join(BLOCKS_DIR);
    disk.create_dir_all(&blocks_dir).map_err(at("create", &blocks_dir))?;
    let mut folder = Folder { disk, dir, damaged: Vec::new(), absent: Vec::new() };
    folder.name_quarantined()?;
    let mut manifest = folder.manifest()?;
    let blocks = folder.blocks(&mut manifest, cache)?;
    let (mut damaged, absent) = (folder.damaged, folder.absent);

    let (series_log, log_replay) =
        Journal::open(disk.clone(), &dir.join(SERIES_LOG_DIR), options(settings))?;
    let mut memory = Memory::new(&manifest);
    let log_is_whole = memory.read_series_log(log_replay, &mut damaged)?;
    let logged = memory.head.registry.len() as u64;
    if !log_is_whole || logged < manifest.series_logged {
        memory.repair_series(&blocks, &series_log, &mut damaged)?;
    }
    let mut logged_slots = memory.head.registry.len() as u32;
    damaged.extend(memory.head.beside.families.read(disk, dir)?);
    hooks::load_exemplars(&mut memory.head, &blocks, settings.exemplars_max);

    let (journal, replay) = Journal::open(disk.clone(), &dir.join(JOURNAL_DIR), options(settings))?;
    let serving = blocks.iter().map(|block| block.meta().block_id.clone()).collect();
    memory.read_journal(replay, (&manifest, &serving), &mut damaged)?;
    name_kept(disk, &dir.join(JOURNAL_DIR), &mut damaged)?;
    // Those that only the journal had: one damaged place of it must not cost them from here on.
    match series_log::append_from(&series_log, &memory.head.registry, logged_slots) {
        Ok(slots) => logged_slots = slots,
        // The next flush tries again; a full disk must not keep the store from opening.
        Err(error) => tracing::warn!(error = %chain(&error), "can't write to the series log"),
    }
    // What is not in the journal has ended, for all that is known.
    let slots = memory.head.registry.len() as u32;
    memory.head.memtable.note_ended(slots, i64::MIN);
    // New records go to a segment behind all that were read.
    let segment = memory.eras.last().map_or(0, |era| era.segment + 1);
    memory.eras.push(Era { segment, newest_ms: None, bytes: 0 });
    Ok(Opened {
        head: memory.head,
        blocks,
        flushing: Flushing { manifest, looked_at: None, families_saved: 0 },
        logged_slots,
        eras: memory.eras,
        journal,
        series_log,
        next_series_id: memory.next_series_id,
        damaged,
        absent,
    })
}

fn options(settings: &Settings) -> JournalOptions {
    // A segment must fit into the space the journal may take several times over.
    let default = JournalOptions::default();
    let segment_bytes_max = default.segment_bytes_max.min(settings.journal_bytes_max / 4);
    JournalOptions { segment_bytes_max: segment_bytes_max.max(1 << 20), ..default }
}

fn remember_damage(file: &str, damage: &[Damage], damaged: &mut Vec<String>) -> bool {
    // A torn end is what a power cut leaves of a write that nobody was told of.
    let real = damage.iter().filter(|damage| damage.what != DamageKind::TornTail);
    let before = damaged.len();
    damaged.extend(real.map(|damage| {
        let Damage { offset_bytes, bytes, .. } = damage;
        let reason = match damage.what {
            DamageKind::Unreadable => "the disk refuses to read them",
            _ => "skipped",
        };
        format!("{file} {}: {bytes} bytes at {offset_bytes}: {reason}", damage.file.display())
    }));
    damaged.len() > before
}

/// Names segments that the disk refused at an earlier start, and that were removed since.
fn name_kept(disk: &Disk, dir: &Path, damaged: &mut Vec<String>) -> Result<(), Error> {
    let folder = dir.join(journal::UNREADABLE_DIR);
    if !disk.exists(&folder).map_err(at("look for", &folder))? {
        return Ok(());
    }
    for entry in disk.list(&folder).map_err(at("list", &folder))? {
        if !disk.exists(&dir.join(&entry.name)).map_err(at("look for", dir))? {
            let path = folder.join(&entry.name);
            damaged.push(format!("{}: kept, the disk refused to read it", path.display()));
        }
    }
    Ok(())
}

/// The store's folder while it is put in order.
struct Folder<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    damaged: Vec<String>,
    absent: Vec<AbsentBlock>,
}

impl Folder<'_> {
    fn blocks_dir(&self) -> PathBuf {
        self.dir.join(BLOCKS_DIR)
    }

    fn name_quarantined(&mut self) -> Result<(), Error> {
        let path = self.dir.join(QUARANTINE_DIR);
        if !self.disk.exists(&path).map_err(at("look for", &path))? {
            return Ok(());
        }
        for entry in self.disk.list(&path).map_err(at("list", &path))? {
            self.damaged.push(format!("{}: set aside at an earlier start", entry.name));
        }
        Ok(())
    }

    fn block_names(&self) -> Result<Vec<String>, Error> {
        let path = self.blocks_dir();
        let entries = self.disk.list(&path).map_err(at("list", &path))?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// The manifest; a new one for a new store, one made from the blocks when it is damaged.
    fn manifest(&mut self) -> Result<Manifest, Error> {
        let names = self.block_names()?;
        let whole: Vec<String> = names.into_iter().filter(|name| is_ulid(name)).collect();
        let what = match Manifest::read(self.disk, self.dir)? {
            Found::Whole(manifest) => return Ok(manifest),
            Found::Nothing if whole.is_empty() => {
                let manifest = Manifest { next_series_id: 1, ..Manifest::default() };
                manifest.write(self.disk, self.dir)?;
                return Ok(manifest);
            }
            Found::Nothing => "it is missing".to_owned(),
            Found::Repaired(manifest, what) => {
                let text = format!("manifest: {what}");
                tracing::error!(damage = %text, "manifest damaged");
                self.damaged.push(text);
                manifest.write(self.disk, self.dir)?;
                return Ok(manifest);
            }
            Found::Damaged(what) => what,
        };
        let text = format!("manifest: {what}; made again from {} blocks", whole.len());
        tracing::error!(damage = %text, "manifest damaged");
        self.damaged.push(text);
        let mut manifest = Manifest { next_series_id: 1, ..Manifest::default() };
        // Names made from this count must not meet those of blocks that are gone.
        manifest.blocks_created = 1 << 32;
        // A crash may have left the sources of a merge beside its result.
        let mut merged: BTreeSet<String> = BTreeSet::new();
        for block_id in whole {
            let path = self.blocks_dir().join(&block_id).join(META_FILE);
            let Ok(bytes) = self.disk.read(&path, META_BYTES_MAX) else { continue };
            manifest.blocks.push(BlockEntry { block_id, meta_xxh3: checksum_text(&bytes) });
            if let Ok(meta) = Meta::decode(&bytes, &path) {
                merged.extend(meta.sources);
            }
        }
        manifest.blocks.retain(|entry| !merged.contains(&entry.block_id));
        manifest.write(self.disk, self.dir)?;
        Ok(manifest)
    }

    /// Opens the blocks of the manifest, sets damaged ones aside, removes what no manifest names.
    fn blocks(
        &mut self,
        manifest: &mut Manifest,
        cache: &Arc<Cache>,
    ) -> Result<Vec<Arc<Block>>, Error> {
        let mut blocks = Vec::new();
        let mut kept = Vec::new();
        for entry in &manifest.blocks {
            match open_block(self.disk, self.dir, entry, cache) {
                Ok((block, repaired)) => {
                    self.damaged.extend(repaired);
                    manifest.next_series_id =
                        manifest.next_series_id.max(block.meta().series_id_max.saturating_add(1));
                    blocks.push(Arc::new(block));
                    kept.push(entry.clone());
                }
                Err(error @ Error::NewerFormat { .. }) => return Err(error),
                Err(error) => {
                    let text = format!("block {}: {}", entry.block_id, chain(&error));
                    tracing::error!(damage = %text, "block set aside");
                    if matches!(error, Error::Io { .. }) && !self.is_missing(&entry.block_id) {
                        // The disk may be well again later.
                        kept.push(entry.clone());
                        self.absent.push(AbsentBlock { entry: entry.clone(), reason: text });
                    } else {
                        self.damaged.push(text);
                        self.quarantine(&entry.block_id)?;
                    }
                }
            }
        }
        if kept.len() < manifest.blocks.len() {
            let is_lost = |entry: &&BlockEntry| !kept.contains(entry);
            let lost: Vec<String> = manifest
                .blocks
                .iter()
                .filter(is_lost)
                .map(|entry| entry.block_id.clone())
                .collect();
            manifest.forget_blocks(&lost);
            manifest.write(self.disk, self.dir)?;
        }
        let named: BTreeSet<&str> =
            manifest.blocks.iter().map(|entry| entry.block_id.as_str()).collect();
        for name in self.block_names()?.iter().filter(|name| !named.contains(name.as_str())) {
            let path = self.blocks_dir().join(name);
            if let Err(error) = self.disk.remove_dir_all(&path) {
                tracing::warn!(%error, path = %path.display(), "can't remove what no manifest names");
            }
        }
        crate::tombstone::show(manifest, &mut blocks);
        sort_blocks(&mut blocks);
        Ok(blocks)
    }

    fn is_missing(&self, block_id: &str) -> bool {
        let dir = self.blocks_dir().join(block_id);
        let files = [META_FILE, crate::block::meta::SAMPLES_FILE, crate::block::meta::SERIES_FILE];
        let meta = Meta::read(self.disk, &dir).ok();
        let named = meta.iter().flat_map(|meta| meta.files.iter().map(|file| file.name.as_str()));
        files
            .into_iter()
            .chain(named)
            .any(|file| self.disk.exists(&dir.join(file)).is_ok_and(|exists| !exists))
    }

    fn quarantine(&self, block_id: &str) -> Result<(), Error> {
        let from = self.blocks_dir().join(block_id);
        if !self.disk.exists(&from).map_err(at("look for", &from))? {
            return Ok(());
        }
        let folder = self.dir.join(QUARANTINE_DIR);
        self.disk.create_dir_all(&folder).map_err(at("create", &folder))?;
        let to = folder.join(block_id);
        self.disk.rename(&from, &to).map_err(at("set aside", &from))?;
        self.disk.sync_dir(&folder).map_err(at("sync", &folder))?;
        self.disk.sync_dir(&self.blocks_dir()).map_err(at("sync", &folder))
    }
}

/// Opens a block of the manifest; tells what was repaired for that.
pub fn open_block(
    disk: &Disk,
    dir: &Path,
    entry: &BlockEntry,
    cache: &Arc<Cache>,
) -> Result<(Block, Option<String>), Error> {
    let dir = dir.join(BLOCKS_DIR).join(&entry.block_id);
    let path = dir.join(META_FILE);
    let bytes = disk.read(&path, META_BYTES_MAX).map_err(at("read", &path))?;
    let is_right = |bytes: &[u8]| checksum_text(bytes) == entry.meta_xxh3;
    if is_right(&bytes) {
        return Ok((Block::open(disk, &dir, cache)?, None));
    }
    let turned = single_bit(&bytes, is_right)
        .map(|(right, place)| (right, format!("a flipped bit at byte {place}, turned back")));
    let copied = || {
        let right = meta_of_guard(disk, &dir, is_right)?;
        Some((right, "damaged, taken from the guard file".to_owned()))
    };
    let Some((right, what)) = turned.or_else(copied) else {
        let what = "its checksum is not the one in the manifest".to_owned();
        return Err(Error::Damaged { path, what });
    };
    let text = format!("{}: {what}", path.display());
    tracing::error!(damage = %text, "block damaged");
    disk.write_atomic(&path, &right).map_err(at("write", &path))?;
    Ok((Block::open(disk, &dir, cache)?, Some(text)))
}
