//! Memory while it is filled: series from the log and the journal, samples from the journal.
//!
//! Place in the flow: part of opening a store (`open`): series log → **memory** ← journal, without
//! what serving blocks have.
//!
//! Invariant: a number stands for one label set. Where a failed write gave a label set two, the later
//! one counts, and the other is an alias of it.
//!
//! Not here: blocks and the manifest (`open`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use journal::{Journal, Replay};
use model::append::SeriesId;
use model::labels::hash_parts;

use super::{JOURNAL_DIR, remember_damage};
use crate::Error;
use crate::beside::{hooks, records};
use crate::block::Block;
use crate::error::chain;
use crate::head::Head;
use crate::manifest::Manifest;
use crate::memtable::Sample;
use crate::record::{KIND_SAMPLES, NumberedSample, decode_samples};
use crate::series_log::{self, SERIES_LOG_DIR};
use crate::series_record::{KIND_SERIES, KIND_SERIES_PACKED, each_series, unpack};
use crate::shared::Era;

/// No store gives so many numbers; a larger one is damage that a checksum missed.
const SERIES_ID_MAX: u64 = 1 << 62;

/// Memory while it is filled.
pub struct Memory {
    /// Registry, index and memtable.
    pub head: Head,
    /// The journal's parts.
    pub eras: Vec<Era>,
    /// The first number for new series.
    pub next_series_id: u64,
    /// Numbers that mean another number's series.
    aliases: HashMap<SeriesId, SeriesId>,
    logged_slots: usize,
}

impl Memory {
    /// Nothing yet.
    pub fn new(manifest: &Manifest) -> Memory {
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
    pub fn read_series_log(
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
    pub fn repair_series(
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
    pub fn read_journal(
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

/// The kinds of records in the journal.
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
