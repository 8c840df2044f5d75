//! What of a group of batches is taken, what is refused and why. Changes nothing.
//!
//! Place in the flow: the committer plans each group here, then journals and applies it.
//!
//! A sample is judged against the newest of its series, in the group, in memory or in a block. One
//! that is older is looked for where it would stand: the same bits are an exact duplicate and count
//! as accepted, other bits are a conflict, nothing there means it came too late.
//!
//! Not here: writing (`commit`).

use std::collections::HashMap;
use std::sync::Arc;

use model::append::{BatchSample, Column, Refused, RefusedReason, SeriesId, SeriesKey};
use model::limits::FUTURE_MS_MAX;
use model::{Appended, Batch, Labels, SeriesIx};

use crate::beside::plan::{Accepted, has_beside};
use crate::beside::scan::histogram_in_blocks;
use crate::block::Block;
use crate::head::Head;
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
    /// Series the store takes.
    pub series_max: u64,
    /// The number of the next new series.
    pub next_series_id: u64,
}

/// A plan in the making.
pub struct Plan<'a> {
    pub(crate) present: Present<'a>,
    new_by_hash: HashMap<u64, Vec<u32>>,
    newest: NumberMap<Newest>,
    /// Built when the first sample of the group comes late.
    in_group: Option<HashMap<(u32, i64), f64>>,
    lookups_left: usize,
    pub(crate) finished: Finished,
}

/// What to do.
#[derive(Debug, Default)]
pub struct Finished {
    /// Series to add, in the order of their slots.
    pub new_series: Vec<(SeriesId, Labels)>,
    /// Samples to append, by slot.
    pub samples: Vec<(u32, NumberedSample)>,
    /// What was learned about series without samples in memory.
    pub looked_up: Vec<(u32, Newest)>,
    /// What is taken beside the numbers.
    pub beside: Accepted,
}

/// One series of a batch.
pub(crate) enum Resolved {
    Slot(u32, SeriesId),
    New(u64, Labels),
    Refused(RefusedReason),
}

pub(crate) enum Verdict {
    Append,
    Duplicate,
    Refuse(RefusedReason),
}

impl<'a> Plan<'a> {
    /// An empty plan.
    pub fn new(present: Present<'a>) -> Plan<'a> {
        Plan {
            present,
            new_by_hash: HashMap::new(),
            newest: NumberMap::default(),
            in_group: None,
            lookups_left: BLOCK_LOOKUPS_MAX,
            finished: Finished::default(),
        }
    }

    /// The plan as it is now.
    pub fn finish(self) -> Finished {
        self.finished
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
        if has_beside(batch) {
            self.add_beside(batch, &mut resolved, &mut appended);
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
        let indexes = self.new_by_hash.get(&hash)?;
        indexes.iter().find_map(|&index| {
            let (id, labels) = &self.finished.new_series[index as usize];
            let is_it = labels.ends() == ends && labels.text() == text;
            is_it.then(|| (self.present.head.registry.len() as u32 + index, *id))
        })
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
        let (slot, id) = self.place(series)?;
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

    /// The slot of a series, which is created if it is new.
    pub(crate) fn place(
        &mut self,
        series: &mut Resolved,
    ) -> Result<(u32, SeriesId), RefusedReason> {
        match series {
            Resolved::Slot(slot, id) => Ok((*slot, *id)),
            Resolved::New(hash, labels) => {
                let (slot, id) = self.create(*hash, labels)?;
                *series = Resolved::Slot(slot, id);
                Ok((slot, id))
            }
            Resolved::Refused(reason) => Err(*reason),
        }
    }

    fn create(&mut self, hash: u64, labels: &Labels) -> Result<(u32, SeriesId), RefusedReason> {
        // Two keys of one batch may name the same new series.
        if let Some(found) = self.find_new(hash, labels.text(), labels.ends()) {
            return Ok(found);
        }
        let index = self.finished.new_series.len();
        if (self.present.head.registry.len() + index) as u64 >= self.present.series_max {
            return Err(RefusedReason::SeriesLimit);
        }
        let id = SeriesId(self.present.next_series_id + index as u64);
        self.finished.new_series.push((id, labels.clone()));
        self.new_by_hash.entry(hash).or_default().push(index as u32);
        let slot = (self.present.head.registry.len() + index) as u32;
        self.newest.insert(u64::from(slot), Newest::None);
        Ok((slot, id))
    }

    pub(crate) fn newest(&mut self, slot: u32, id: SeriesId) -> Newest {
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
        if let Some(stored) = self.number_here(slot, sample.at_ms) {
            return same_or_conflict(stored, sample.value);
        }
        if self.histogram_here(slot, sample.at_ms).is_some() {
            return Verdict::Refuse(RefusedReason::DuplicateTimestamp);
        }
        if self.present.blocks.is_empty() {
            return Verdict::Refuse(RefusedReason::OutOfOrder);
        }
        if !self.may_look_into_blocks() {
            return Verdict::Refuse(RefusedReason::TooOld);
        }
        if let Some(stored) = value_in_blocks(self.present.blocks, id, sample.at_ms) {
            return same_or_conflict(stored, sample.value);
        }
        match histogram_in_blocks(self.present.blocks, id, sample.at_ms) {
            Some(_) => Verdict::Refuse(RefusedReason::DuplicateTimestamp),
            None => Verdict::Refuse(RefusedReason::OutOfOrder),
        }
    }

    /// The number of a series at an instant, in the group or in memory.
    pub(crate) fn number_here(&mut self, slot: u32, at_ms: i64) -> Option<f64> {
        let stored = self.in_group(slot, at_ms);
        stored.or_else(|| self.present.head.memtable.get(slot)?.at(at_ms))
    }

    /// Whether one more row of blocks may be read; takes it from the budget.
    pub(crate) fn may_look_into_blocks(&mut self) -> bool {
        let may = self.lookups_left > 0;
        self.lookups_left = self.lookups_left.saturating_sub(1);
        may
    }

    /// A histogram was taken: numbers up to it come late from now on.
    pub(crate) fn raise_newest(&mut self, slot: u32, at_ms: i64) {
        let known_ms = self.newest.get(&u64::from(slot)).and_then(|newest| newest.at_ms());
        if known_ms.is_none_or(|known_ms| known_ms < at_ms) {
            self.newest.insert(u64::from(slot), Newest::InBlock(at_ms));
        }
    }

    /// The newest instant of a series before this group.
    pub(crate) fn newest_before_ms(&mut self, slot: u32, id: SeriesId) -> Option<i64> {
        let in_memory = self.present.head.memtable.get(slot).map(|series| series.newest());
        match in_memory.unwrap_or_default() {
            Newest::Unknown => self.present.in_blocks.of(self.present.blocks, id).at_ms(),
            known => known.at_ms(),
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
