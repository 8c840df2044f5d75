//! What of a group of batches is taken, what is refused and why. Changes nothing.
//!
//! Place in the flow: the committer plans each group here, then journals and applies it.
//!
//! A sample is judged against the newest of its series, in the group, in memory or in a block. One
//! that is older is looked for where it would stand: the same bits are an exact duplicate and count
//! as accepted, other bits are a conflict, nothing there means it came too late.
//!
//! Not here: writing (`commit`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hashbrown::HashTable;
use model::append::{BatchSample, Column, Refused, RefusedReason, SeriesId, SeriesKey};
use model::limits::FUTURE_MS_MAX;
use model::{Appended, Batch, Labels, SeriesIx};

use crate::Settings;
use crate::block::Block;
use crate::head::Head;
use crate::index::pairs::Hashed;
use crate::limits::{Culprit, Tally};
use crate::memtable::{Newest, Sample};
use crate::record::NumberedSample;
use crate::series::{NumberMap, checked_labels};
use crate::source::{NewestInBlocks, value_in_blocks};

/// Rows of blocks read to judge late samples of one group; beyond it they are "too old" unread.
const BLOCK_LOOKUPS_MAX: usize = 64;

/// What a plan is made against.
pub struct Present<'a> {
    /// Memory.
    pub head: &'a Head,
    /// Blocks.
    pub blocks: &'a [Arc<Block>],
    /// What blocks know of series that memory does not.
    pub in_blocks: &'a mut NewestInBlocks,
    /// The clock.
    pub now_ms: i64,
    /// Limits.
    pub settings: &'a Settings,
    /// The number of the next new series.
    pub next_series_id: u64,
}

/// A plan in the making.
pub struct Plan<'a> {
    present: Present<'a>,
    new_by_hash: HashTable<Hashed>,
    tally: Tally,
    newest: NumberMap<Newest>,
    /// Built when the first sample of the group comes late.
    in_group: Option<HashMap<(u32, i64), f64>>,
    lookups_left: usize,
    finished: Finished,
}

/// What to do.
#[derive(Debug, Default)]
pub struct Finished {
    /// Series to add, in the order of their slots.
    pub new_series: Vec<(SeriesId, Labels)>,
    /// Samples to append, by slot.
    pub samples: Vec<(u32, NumberedSample)>,
    /// Samples refused for a limit of series, by who brought them.
    pub culprits: BTreeMap<Culprit, u64>,
    /// What was learned about series without samples in memory.
    pub looked_up: Vec<(u32, Newest)>,
}

/// One series of a batch.
enum Resolved {
    Slot(u32, SeriesId),
    New(u64, Labels),
    Refused(RefusedReason),
}

enum Verdict {
    Append,
    Duplicate,
    Refuse(RefusedReason),
}

impl<'a> Plan<'a> {
    /// An empty plan.
    pub fn new(present: Present<'a>) -> Plan<'a> {
        Plan {
            present,
            new_by_hash: HashTable::new(),
            tally: Tally::default(),
            newest: NumberMap::default(),
            in_group: None,
            lookups_left: BLOCK_LOOKUPS_MAX,
            finished: Finished::default(),
        }
    }

    /// The plan as it is now.
    pub fn finish(self) -> Finished {
        Finished { culprits: self.tally.into_refused(), ..self.finished }
    }

    /// Adds a batch and says what becomes of it if the plan succeeds.
    pub fn add(&mut self, batch: &Batch) -> Appended {
        let created_before = self.finished.new_series.len();
        let mut resolved: Vec<Resolved> = (0..batch.series_count() as u32)
            .map(|index| self.resolve(batch.key(SeriesIx(index))))
            .collect();
        let mut appended = Appended::default();
        self.finished.samples.reserve(batch.samples().len());
        for sample in batch.samples() {
            match self.add_sample(&mut resolved[sample.series.0 as usize], sample) {
                Ok(()) => appended.accepted += 1,
                Err(reason) => {
                    let refused = Refused {
                        column: Column::Samples,
                        series: sample.series,
                        at: sample.at,
                        reason,
                    };
                    appended.refused.push(refused);
                }
            }
        }
        let id = |series: &Resolved| match series {
            Resolved::Slot(_, id) => Some(*id),
            Resolved::New(..) | Resolved::Refused(_) => None,
        };
        appended.ids = resolved.iter().map(id).collect();
        appended.series_created = (self.finished.new_series.len() - created_before) as u64;
        appended
    }

    fn resolve(&self, key: SeriesKey<'_>) -> Resolved {
        let registry = &self.present.head.registry;
        let (text, ends) = match key {
            SeriesKey::Known(id) => {
                return match registry.slot_of(id).or_else(|| self.new_slot_of(id)) {
                    Some(slot) => Resolved::Slot(slot, id),
                    None => Resolved::Refused(RefusedReason::UnknownSeries),
                };
            }
            SeriesKey::Labels { text, ends } => (text, ends),
        };
        let hash = model::labels::hash_parts(text, ends);
        if let Some(slot) = registry.find(hash, text, ends) {
            return Resolved::Slot(slot, registry.get(slot).id);
        }
        if let Some((slot, id)) = self.find_new(hash, text, ends) {
            return Resolved::Slot(slot, id);
        }
        match checked_labels(text, ends) {
            Some(labels) => Resolved::New(hash, labels),
            None => Resolved::Refused(RefusedReason::InvalidLabels),
        }
    }

    fn new_slot_of(&self, id: SeriesId) -> Option<u32> {
        let index = id.0.checked_sub(self.present.next_series_id)?;
        let known = index < self.finished.new_series.len() as u64;
        known.then(|| self.present.head.registry.len() as u32 + index as u32)
    }

    fn find_new(&self, hash: u64, text: &str, ends: &[u32]) -> Option<(u32, SeriesId)> {
        let is_it = |entry: &Hashed| {
            let labels = &self.finished.new_series[entry.number as usize].1;
            entry.hash == hash as u32 && labels.ends() == ends && labels.text() == text
        };
        let index = self.new_by_hash.find(Hashed::spread(hash as u32), is_it)?.number;
        let slot = self.present.head.registry.len() as u32 + index;
        Some((slot, self.finished.new_series[index as usize].0))
    }

    fn add_sample(
        &mut self,
        series: &mut Resolved,
        sample: &BatchSample,
    ) -> Result<(), RefusedReason> {
        if let Resolved::Refused(reason) = series {
            return Err(*reason);
        }
        if sample.at.0 > self.present.now_ms.saturating_add(FUTURE_MS_MAX) {
            return Err(RefusedReason::TooFarInFuture);
        }
        let (slot, id) = match series {
            Resolved::Slot(slot, id) => (*slot, *id),
            Resolved::New(hash, labels) => {
                let (slot, id) = self.create(*hash, labels)?;
                *series = Resolved::Slot(slot, id);
                (slot, id)
            }
            Resolved::Refused(reason) => return Err(*reason),
        };
        let one = Sample { at_ms: sample.at.0, value: sample.value };
        match self.judge(slot, id, one) {
            Verdict::Duplicate => Ok(()),
            Verdict::Refuse(reason) => Err(reason),
            Verdict::Append => {
                self.newest.insert(u64::from(slot), Newest::At(one));
                if let Some(in_group) = &mut self.in_group {
                    in_group.insert((slot, one.at_ms), one.value);
                }
                let numbered = NumberedSample { id, at_ms: one.at_ms, value: one.value };
                self.finished.samples.push((slot, numbered));
                Ok(())
            }
        }
    }

    fn create(&mut self, hash: u64, labels: &Labels) -> Result<(u32, SeriesId), RefusedReason> {
        // Two keys of one batch may name the same new series.
        if let Some(found) = self.find_new(hash, labels.text(), labels.ends()) {
            return Ok(found);
        }
        let index = self.finished.new_series.len();
        let Present { head, settings, .. } = &self.present;
        if !self.tally.admit(&head.registry, settings, labels) {
            return Err(RefusedReason::SeriesLimit);
        }
        let id = SeriesId(self.present.next_series_id + index as u64);
        self.finished.new_series.push((id, labels.clone()));
        let entry = Hashed { hash: hash as u32, number: index as u32 };
        self.new_by_hash.insert_unique(Hashed::of(&entry), entry, Hashed::of);
        let slot = (self.present.head.registry.len() + index) as u32;
        self.newest.insert(u64::from(slot), Newest::None);
        Ok((slot, id))
    }

    fn newest(&mut self, slot: u32, id: SeriesId) -> Newest {
        if let Some(newest) = self.newest.get(&u64::from(slot)) {
            return *newest;
        }
        let in_memory = self.present.head.memtable.get(slot).map(|series| series.newest());
        let newest = match in_memory.unwrap_or_default() {
            Newest::Unknown => {
                let found = self.present.in_blocks.of(self.present.blocks, id);
                self.finished.looked_up.push((slot, found));
                found
            }
            known => known,
        };
        self.newest.insert(u64::from(slot), newest);
        newest
    }

    fn judge(&mut self, slot: u32, id: SeriesId, sample: Sample) -> Verdict {
        match self.newest(slot, id) {
            Newest::None => return Verdict::Append,
            Newest::At(newest) if sample.at_ms > newest.at_ms => return Verdict::Append,
            Newest::InBlock(at_ms) if sample.at_ms > at_ms => return Verdict::Append,
            Newest::At(newest) if sample.at_ms == newest.at_ms => {
                return same_or_conflict(newest.value, sample.value);
            }
            Newest::At(_) | Newest::InBlock(_) => {}
            Newest::Unknown => unreachable!("the newest sample was just looked up"),
        }
        let stored = self.in_group(slot, sample.at_ms);
        let in_memory = || self.present.head.memtable.get(slot)?.at(sample.at_ms);
        if let Some(stored) = stored.or_else(in_memory) {
            return same_or_conflict(stored, sample.value);
        }
        if self.present.blocks.is_empty() {
            return Verdict::Refuse(RefusedReason::OutOfOrder);
        }
        if self.lookups_left == 0 {
            return Verdict::Refuse(RefusedReason::TooOld);
        }
        self.lookups_left -= 1;
        match value_in_blocks(self.present.blocks, id, sample.at_ms) {
            Some(stored) => same_or_conflict(stored, sample.value),
            None => Verdict::Refuse(RefusedReason::OutOfOrder),
        }
    }

    fn in_group(&mut self, slot: u32, at_ms: i64) -> Option<f64> {
        let samples = &self.finished.samples;
        let in_group = self.in_group.get_or_insert_with(|| {
            samples.iter().map(|(slot, sample)| ((*slot, sample.at_ms), sample.value)).collect()
        });
        in_group.get(&(slot, at_ms)).copied()
    }
}

fn same_or_conflict(stored: f64, offered: f64) -> Verdict {
    if stored.to_bits() == offered.to_bits() {
        Verdict::Duplicate
    } else {
        Verdict::Refuse(RefusedReason::DuplicateTimestamp)
    }
}
