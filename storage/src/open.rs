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
//! Not here: starting threads (`store`).

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::Disk;
use journal::{Damage, DamageKind, Journal, JournalOptions, Replay};
use model::append::SeriesId;
use model::labels::hash_parts;

use crate::absent::AbsentBlock;
use crate::beside::{hooks, records};
use crate::block::Block;
use crate::block::cache::Cache;
use crate::block::mend::meta_of_guard;
use crate::block::meta::{META_FILE, Meta, checksum_text};
use crate::block::name::is_ulid;
use crate::error::{at, chain};
use crate::flush::{BLOCKS_DIR, sort_blocks};
use crate::head::Head;
use crate::manifest::{BlockEntry, Found, Manifest};
use crate::memtable::Sample;
use crate::record::{KIND_SAMPLES, NumberedSample, decode_samples};
use crate::repair::single_bit;
use crate::series_log::{self, SERIES_LOG_DIR};
use crate::series_record::{KIND_SERIES, KIND_SERIES_PACKED, each_series, unpack};
use crate::shared::{Era, Flushing};
use crate::{Error, Settings};

/// The folder of blocks that were set aside.
pub const QUARANTINE_DIR: &str = "quarantine";
/// The folder of the journal.
pub const JOURNAL_DIR: &str = "journal";
const META_BYTES_MAX: usize = 16 * 1024 * 1024;
/// No store gives so many numbers; a larger one is damage that a checksum missed.
const SERIES_ID_MAX: u64 = 1 << 62;

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
    hooks::load_exemplars(&mut memory.head, &blocks);

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

/// Memory while it is filled.
struct Memory {
    head: Head,
    eras: Vec<Era>,
    next_series_id: u64,
    /// Numbers that mean another number's series.
    aliases: HashMap<SeriesId, SeriesId>,
    logged_slots: usize,
}

impl Memory {
    fn new(manifest: &Manifest) -> Memory {
        Memory {
            head: Head::default(),
            eras: Vec::new(),
            next_series_id: manifest.next_series_id.clamp(1, SERIES_ID_MAX),
            aliases: HashMap::new(),
            logged_slots: 0,
        }
    }

    fn see(&mut self, id: SeriesId) {
        let next = id.0.saturating_add(1).min(SERIES_ID_MAX);
        self.next_series_id = self.next_series_id.max(next);
    }

    /// Adds a series. `false` when its number is that of another label set, or larger than any,
    /// which can't be.
    fn add_series(&mut self, id: SeriesId, text: &str, ends: &[u32]) -> bool {
        if id.0 >= SERIES_ID_MAX {
            return false;
        }
        self.see(id);
        let registry = &mut self.head.registry;
        let hash = hash_parts(text, ends);
        let found = registry.find(hash, text, ends);
        match (found, registry.slot_of(id)) {
            (Some(slot), Some(other)) => slot == other,
            (None, Some(_)) => false,
            (None, None) => {
                registry.insert_parts(id, hash, (text, ends));
                true
            }
            (Some(slot), None) => {
                let known = registry.get(slot).id;
                if (slot as usize) < self.logged_slots {
                    self.aliases.insert(id, known);
                } else {
                    registry.renumber(slot, id);
                    self.aliases.insert(known, id);
                }
                true
            }
        }
    }

    /// Adds the series of a record. In the series log a later number is the right one.
    fn add_record(&mut self, payload: &[u8], dir: &str, damaged: &mut Vec<String>) -> bool {
        let read = each_series(payload, |id, text, ends| {
            if !self.add_series(id, text, ends) {
                damaged.push(format!("{dir}: number {} given twice", id.0));
            }
        });
        if read.is_none() {
            damaged.push(format!("{dir}: a record that can't be read"));
        }
        read.is_some()
    }

    /// Fills the registry. `false` when something of the log was lost.
    fn read_series_log(
        &mut self,
        mut replay: Replay,
        damaged: &mut Vec<String>,
    ) -> Result<bool, Error> {
        let mut whole = true;
        for record in replay.by_ref() {
            let record = record?;
            check_kind(record.kind, &[KIND_SERIES, KIND_SERIES_PACKED], SERIES_LOG_DIR)?;
            let plain = match record.kind {
                KIND_SERIES_PACKED => unpack(&record.payload).unwrap_or_default(),
                _ => record.payload,
            };
            whole &= self.add_record(&plain, SERIES_LOG_DIR, damaged);
        }
        self.logged_slots = self.head.registry.len();
        whole &= !remember_damage("series log", replay.damage(), damaged);
        Ok(whole)
    }

    /// Takes the series that the log lost from the blocks, and writes the log anew.
    fn repair_series(
        &mut self,
        blocks: &[Arc<Block>],
        log: &Journal,
        damaged: &mut Vec<String>,
    ) -> Result<(), Error> {
        self.logged_slots = 0;
        for block in blocks {
            match block.read_series() {
                Ok(rows) => {
                    for (id, labels) in rows.entries() {
                        self.add_series(id, labels.text(), labels.ends());
                    }
                }
                Err(error) => damaged.push(chain(&error)),
            }
        }
        self.logged_slots = self.head.registry.len();
        let segment = log.rotate()?;
        let series = series_log::append_from(log, &self.head.registry, 0)?;
        log.remove_before(segment)?;
        tracing::warn!(series, "the series log was made again from the blocks");
        Ok(())
    }

    /// Fills the memtable with what is not in a serving block.
    fn read_journal(
        &mut self,
        mut replay: Replay,
        (manifest, serving): (&Manifest, &BTreeSet<String>),
        damaged: &mut Vec<String>,
    ) -> Result<(), Error> {
        let mut nameless_samples = 0u64;
        let mut flushed_before_ms = i64::MIN;
        for record in replay.by_ref() {
            let record = record?;
            check_kind(record.kind, &JOURNAL_KINDS, JOURNAL_DIR)?;
            if self.eras.last().is_none_or(|era| era.segment < record.segment) {
                self.eras.push(Era { segment: record.segment, newest_ms: None, bytes: 0 });
                flushed_before_ms = manifest.flushed_before_ms(record.segment, serving);
            }
            if record.kind == KIND_SERIES {
                self.add_record(&record.payload, JOURNAL_DIR, damaged);
                continue;
            }
            if records::KINDS.contains(&record.kind) {
                match records::decode(record.kind, &record.payload) {
                    Some(found) => {
                        nameless_samples +=
                            self.read_beside(found, record.segment, (manifest, serving));
                    }
                    None => damaged.push(format!("{JOURNAL_DIR}: a record that can't be read")),
                }
                continue;
            }
            let Some(samples) = decode_samples(&record.payload) else {
                damaged.push(format!("{JOURNAL_DIR}: a record that can't be read"));
                continue;
            };
            nameless_samples += self.add_samples(&samples, flushed_before_ms);
        }
        remember_damage("journal", replay.damage(), damaged);
        if nameless_samples > 0 {
            damaged.push(format!("journal: {nameless_samples} samples of series that were lost"));
        }
        Ok(())
    }

    /// Puts what stands beside numbers into memory; gives how much of it belongs to lost series.
    fn read_beside(
        &mut self,
        found: records::Record,
        segment: u64,
        (manifest, serving): (&Manifest, &BTreeSet<String>),
    ) -> u64 {
        let flushed_before_ms = manifest.flushed_before_ms(segment, serving);
        let is_flushed = |at_ms: i64| at_ms < flushed_before_ms;
        // A flush takes all exemplars of the segments before it, whatever their instants.
        let flushed = hooks::Flushed { instant: &is_flushed, exemplars: is_flushed(i64::MIN) };
        let replayed = hooks::replay(&mut self.head, found, &self.aliases, &flushed);
        if let Some(id) = replayed.id_max {
            self.see(id);
        }
        if let Some(era) = self.eras.last_mut() {
            era.newest_ms = era.newest_ms.max(replayed.newest_ms);
        }
        replayed.nameless
    }
}

const JOURNAL_KINDS: [u8; 6] = [
    KIND_SERIES,
    KIND_SAMPLES,
    records::KIND_HISTOGRAMS,
    records::KIND_STARTS,
    records::KIND_EXEMPLARS,
    records::KIND_METADATA,
];
impl Memory {
    /// Adds the samples of a record that are not in a block; answers how many belong to no series.
    fn add_samples(&mut self, samples: &[NumberedSample], flushed_before_ms: i64) -> u64 {
        let (mut nameless, mut newest) = (0, (None, SeriesId(0)));
        for sample in samples {
            newest.1 = newest.1.max(sample.id);
            if sample.at_ms < flushed_before_ms {
                continue;
            }
            let slot = self.head.registry.slot_of(sample.id);
            let Some(slot) = slot.or_else(|| self.slot_of_alias(sample.id)) else {
                nameless += 1;
                continue;
            };
            let value = Sample { at_ms: sample.at_ms, value: sample.value };
            self.head.memtable.insert(slot, value);
            if !self.head.beside.is_empty() {
                self.head.beside.give_way(slot, sample.at_ms);
            }
            newest.0 = newest.0.max(Some(sample.at_ms));
        }
        if !samples.is_empty() {
            self.see(newest.1);
        }
        if let Some(era) = self.eras.last_mut() {
            era.newest_ms = era.newest_ms.max(newest.0);
        }
        nameless
    }

    /// The slot of a number that was given up for another one.
    fn slot_of_alias(&self, id: SeriesId) -> Option<u32> {
        let mut id = id;
        for _ in 0..self.aliases.len() {
            id = *self.aliases.get(&id)?;
            if let Some(slot) = self.head.registry.slot_of(id) {
                return Some(slot);
            }
        }
        None
    }
}

fn check_kind(kind: u8, known: &[u8], dir: &str) -> Result<(), Error> {
    if known.contains(&kind) {
        return Ok(());
    }
    let known_version = u32::from(known.iter().copied().max().unwrap_or(0));
    Err(Error::NewerFormat { path: dir.into(), found_version: u32::from(kind), known_version })
}
