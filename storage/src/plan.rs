//! What of a group of batches is taken, what is refused and why. Changes nothing but what the
//! committer alone knows.
//!
//! Place in the flow: the committer plans each group here, then journals and applies it.
//!
//! A sample that is newer than all of its series is taken after one comparison: the newest instant of
//! each series stands in a table by slot. Any other one waits until the batch is through, and is then
//! judged together with the rest of them (`judge`).
//!
//! Invariant: the table of newest instants is what memory and blocks say, raised by the samples of
//! the plan; [`Work::forget`] takes a plan back that could not be written.
//!
//! Not here: late samples and duplicates (`judge`), writing (`commit`).

use std::sync::Arc;

use model::append::{BatchSample, Column, Refused, RefusedReason, SeriesId, SeriesKey};
use model::limits::FUTURE_MS_MAX;
use model::{Appended, Batch, Labels, SeriesIx};

use crate::Settings;
use crate::beside::plan::{Accepted, has_beside};
use crate::block::Block;
use crate::head::Head;
use crate::judge::Candidate;
use crate::limits::Tally;
use crate::memtable::Memtable;
use crate::paged::Paged;
use crate::record::NumberedSample;
use crate::series::{NumberMap, checked_labels};
use crate::source::NewestInBlocks;

/// The newest instant of a slot that nobody has looked up: nothing is newer.
const UNKNOWN_MS: i64 = i64::MAX;
/// The newest instant of a series without samples: everything but itself is newer.
pub const NONE_MS: i64 = i64::MIN;
/// Single places of blocks looked at for one group; beyond it late histograms are "too old" unread.
const BLOCK_LOOKUPS_MAX: usize = 64;
/// Samples of a group that the buffers keep room for.
const KEPT_SAMPLES_MAX: usize = 256 * 1024;

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
    /// Limits, and how much older than the newest of its series a sample may be.
    pub settings: &'a Settings,
    /// The number of the next new series.
    pub next_series_id: u64,
}

/// A sample that is taken.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// What goes to the journal.
    pub numbered: NumberedSample,
    /// The slot of its series.
    pub slot: u32,
    /// The sample of the same series before it in this plan, if that is one.
    before: u32,
}

/// A series that the plan adds.
#[derive(Debug)]
pub struct NewSeries {
    /// Its number.
    pub id: SeriesId,
    /// Its labels.
    pub labels: Labels,
    /// Another new one with the same hash.
    same_hash: Option<u32>,
}

/// What the committer knows of one slot.
#[derive(Debug, Clone, Copy)]
struct SlotState {
    newest_ms: i64,
    /// The last sample of the series in the plan; anything when there is none.
    last: u32,
}

impl Default for SlotState {
    fn default() -> SlotState {
        SlotState { newest_ms: UNKNOWN_MS, last: 0 }
    }
}

/// What the committer keeps between plans: the table of slots, and buffers.
#[derive(Debug, Default)]
pub struct Work {
    slots: Paged<SlotState>,
    /// Series to add, in the order of their slots.
    pub new_series: Vec<NewSeries>,
    /// Samples to append.
    pub samples: Vec<Planned>,
    new_by_hash: NumberMap<u32>,
    resolved: Vec<Resolved>,
    /// What is taken beside the numbers.
    pub beside: Accepted,
    /// Samples of the batch that are not newer than all of their series.
    pub(crate) candidates: Vec<Candidate>,
    /// New series and those refused for a limit.
    pub tally: Tally,
}

impl Work {
    /// Forgets the table: slots mean other series now.
    pub fn forget_slots(&mut self) {
        self.slots = Paged::default();
    }

    /// Forgets what memory has forgotten.
    pub fn forget_ended(&mut self, memtable: &Memtable) {
        for page in (0..self.slots.pages()).filter(|page| memtable.is_forgotten(*page)) {
            self.slots.free(page);
        }
    }

    /// Ends a plan: nothing of it is left but what the table of slots learned.
    pub fn clear(&mut self) {
        self.new_series.clear();
        self.tally = Tally::default();
        self.samples.clear();
        self.samples.shrink_to(KEPT_SAMPLES_MAX);
        self.new_by_hash.clear();
        self.new_by_hash.shrink_to(KEPT_SAMPLES_MAX / 16);
        self.candidates.clear();
        self.candidates.shrink_to(KEPT_SAMPLES_MAX);
        if !self.beside.is_empty() {
            self.beside = Accepted::default();
        }
        self.resolved.shrink_to(KEPT_SAMPLES_MAX);
    }

    /// Takes back a plan that was not written, with `known` series before it.
    pub fn forget(&mut self, known: usize) {
        let slots = self.samples.iter().map(|planned| planned.slot);
        let slots = slots.chain(self.beside.histograms.iter().map(|one| one.0));
        let new = known..known + self.new_series.len();
        for slot in slots.chain(new.map(|slot| slot as u32)) {
            if let Some(state) = self.slots.get_mut(slot) {
                state.newest_ms = UNKNOWN_MS;
            }
        }
        self.clear();
    }
}

/// A plan in the making.
pub struct Plan<'a> {
    pub(crate) present: Present<'a>,
    pub(crate) work: &'a mut Work,
    /// Rows of blocks that may still be read for this group.
    pub(crate) rows_left: u64,
    /// Single places of blocks that may still be looked at for this group.
    lookups_left: usize,
    /// No block has a later instant.
    blocks_newest_ms: i64,
}

/// One series of a batch.
#[derive(Debug)]
pub(crate) enum Resolved {
    Slot(u32, SeriesId),
    New(u64, Labels),
    Refused(RefusedReason),
}

/// What becomes of one sample of any kind.
pub(crate) enum Verdict {
    Append,
    Duplicate,
    Refuse(RefusedReason),
}

/// What becomes of one number at first.
enum Outcome {
    Taken,
    /// It is judged when the batch is through.
    Candidate,
    Refused(RefusedReason),
}

impl<'a> Plan<'a> {
    /// An empty plan.
    pub fn new(present: Present<'a>, work: &'a mut Work) -> Plan<'a> {
        work.clear();
        let rows_left = crate::judge::LOOKUP_ROWS_MAX;
        let blocks_newest_ms = present.blocks.iter().map(|block| block.meta().max_ms).max();
        let blocks_newest_ms = blocks_newest_ms.unwrap_or(NONE_MS);
        Plan { present, work, rows_left, lookups_left: BLOCK_LOOKUPS_MAX, blocks_newest_ms }
    }

    /// How many samples are taken so far.
    pub fn samples_count(&self) -> usize {
        self.work.samples.len()
    }

    /// Adds a batch and says what becomes of it if the plan succeeds.
    pub fn add(&mut self, batch: &Batch) -> Appended {
        let created_before = self.work.new_series.len();
        let mut resolved = std::mem::take(&mut self.work.resolved);
        let keys = (0..batch.series_count() as u32).map(|index| batch.key(SeriesIx(index)));
        resolved.extend(keys.map(|key| self.resolve(key)));
        let mut appended = Appended::default();
        self.work.samples.reserve(batch.samples().len());
        for (index, sample) in batch.samples().iter().enumerate() {
            let series = &mut resolved[sample.series.0 as usize];
            match self.add_sample(series, sample, index as u32) {
                Outcome::Taken => appended.accepted += 1,
                Outcome::Candidate => {}
                Outcome::Refused(reason) => appended.refused.push(refused(sample, reason)),
            }
        }
        if !self.work.candidates.is_empty() {
            self.add_candidates(batch, &mut appended);
        }
        if has_beside(batch) {
            self.add_beside(batch, &mut resolved, &mut appended);
        }
        let id = |series: &Resolved| match series {
            Resolved::Slot(_, id) => Some(*id),
            Resolved::New(..) | Resolved::Refused(_) => None,
        };
        appended.ids = resolved.iter().map(id).collect();
        appended.series_created = (self.work.new_series.len() - created_before) as u64;
        resolved.clear();
        self.work.resolved = resolved;
        appended
    }

    fn add_candidates(&mut self, batch: &Batch, appended: &mut Appended) {
        let verdicts = self.judge_candidates(batch);
        if verdicts.iter().all(|(_, verdict)| verdict.is_ok()) {
            appended.accepted += verdicts.len() as u64;
            return;
        }
        // In the order of the batch, among those that were refused at once.
        let at_once = std::mem::take(&mut appended.refused);
        let mut at_once = at_once.into_iter().peekable();
        let mut late = verdicts.into_iter().peekable();
        for (index, sample) in batch.samples().iter().enumerate() {
            let is_it = |one: &Refused| (one.series, one.at) == (sample.series, sample.at);
            if let Some((_, verdict)) = late.next_if(|(own, _)| *own as usize == index) {
                match verdict {
                    Ok(()) => appended.accepted += 1,
                    Err(reason) => appended.refused.push(refused(sample, reason)),
                }
            } else if let Some(one) = at_once.next_if(is_it) {
                appended.refused.push(one);
            }
        }
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
        let known = index < self.work.new_series.len() as u64;
        known.then(|| self.present.head.registry.len() as u32 + index as u32)
    }

    fn find_new(&self, hash: u64, text: &str, ends: &[u32]) -> Option<(u32, SeriesId)> {
        let mut next = self.work.new_by_hash.get(&hash).copied();
        while let Some(index) = next {
            let new = &self.work.new_series[index as usize];
            if new.labels.ends() == ends && new.labels.text() == text {
                return Some((self.present.head.registry.len() as u32 + index, new.id));
            }
            next = new.same_hash;
        }
        None
    }

    fn add_sample(&mut self, series: &mut Resolved, sample: &BatchSample, index: u32) -> Outcome {
        let at_ms = sample.at.0;
        if at_ms > self.present.now_ms.saturating_add(FUTURE_MS_MAX) {
            if let Resolved::Refused(reason) = series {
                return Outcome::Refused(*reason);
            }
            return Outcome::Refused(RefusedReason::TooFarInFuture);
        }
        let (slot, id) = match self.place(series) {
            Ok(place) => place,
            Err(reason) => return Outcome::Refused(reason),
        };
        let numbered = NumberedSample { id, at_ms, value: sample.value };
        let state = self.work.slots.place(slot);
        if at_ms > state.newest_ms {
            state.newest_ms = at_ms;
            self.take(slot, numbered);
            return Outcome::Taken;
        }
        if state.newest_ms == UNKNOWN_MS && at_ms > self.blocks_newest_ms {
            // Blocks need not be asked, which after a restart would be a question for each series.
            let newest_ms = self.present.head.memtable.newest_ms_of(slot).unwrap_or(NONE_MS);
            if at_ms > newest_ms {
                state.newest_ms = at_ms;
                self.take(slot, numbered);
                return Outcome::Taken;
            }
        }
        let newest_ms = self.newest_ms(slot, id);
        if at_ms > newest_ms {
            self.work.slots.place(slot).newest_ms = at_ms;
            self.take(slot, numbered);
            return Outcome::Taken;
        }
        self.work.candidates.push(Candidate::new(index, (slot, id), newest_ms));
        Outcome::Candidate
    }

    /// The slot of a series, which is created if it is new.
    #[inline]
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

    /// Takes a sample into the plan.
    #[inline]
    pub(crate) fn take(&mut self, slot: u32, numbered: NumberedSample) {
        let last = self.work.samples.len() as u32;
        let before = std::mem::replace(&mut self.work.slots.place(slot).last, last);
        self.work.samples.push(Planned { numbered, slot, before });
    }

    /// The value that the plan has for a series at an instant.
    pub(crate) fn planned_value(&self, slot: u32, at_ms: i64) -> Option<f64> {
        let mut index = self.work.slots.get(slot)?.last;
        let mut end = self.work.samples.len() as u32;
        // What stood in the table before this plan leads nowhere, or to a sample of another series.
        while index < end {
            let planned = &self.work.samples[index as usize];
            if planned.slot != slot {
                return None;
            }
            if planned.numbered.at_ms == at_ms {
                return Some(planned.numbered.value);
            }
            (index, end) = (planned.before, index);
        }
        None
    }

    fn create(&mut self, hash: u64, labels: &Labels) -> Result<(u32, SeriesId), RefusedReason> {
        // Two keys of one batch may name the same new series.
        if let Some(found) = self.find_new(hash, labels.text(), labels.ends()) {
            return Ok(found);
        }
        let index = self.work.new_series.len();
        let slot = self.present.head.registry.len() + index;
        let Present { head, settings, .. } = &self.present;
        if !self.work.tally.admit(head, settings, labels) {
            return Err(RefusedReason::SeriesLimit);
        }
        let id = SeriesId(self.present.next_series_id + index as u64);
        let same_hash = self.work.new_by_hash.insert(hash, index as u32);
        self.work.new_series.push(NewSeries { id, labels: labels.clone(), same_hash });
        *self.work.slots.place(slot as u32) = SlotState { newest_ms: NONE_MS, last: 0 };
        Ok((slot as u32, id))
    }

    /// The newest instant of a series, the samples of this plan included; [`NONE_MS`] without any.
    pub(crate) fn newest_ms(&mut self, slot: u32, id: SeriesId) -> i64 {
        let known_ms = self.work.slots.place(slot).newest_ms;
        if known_ms != UNKNOWN_MS {
            return known_ms;
        }
        let found_ms = self.look_up_newest(slot, id).unwrap_or(NONE_MS);
        self.work.slots.place(slot).newest_ms = found_ms;
        found_ms
    }

    /// What memory and blocks say: the newest instant before this group.
    pub(crate) fn look_up_newest(&mut self, slot: u32, id: SeriesId) -> Option<i64> {
        // Both: after a restart memory may hold nothing but late samples of a series.
        let in_memory = self.present.head.memtable.newest_ms_of(slot);
        in_memory.max(self.present.in_blocks.of(self.present.blocks, id))
    }

    /// A histogram was taken: numbers up to it come late from now on.
    pub(crate) fn raise_newest(&mut self, slot: u32, at_ms: i64) {
        let state = self.work.slots.place(slot);
        state.newest_ms = state.newest_ms.max(at_ms);
    }

    /// The number of a series at an instant, in the group or in memory.
    pub(crate) fn number_here(&self, slot: u32, at_ms: i64) -> Option<f64> {
        let planned = self.planned_value(slot, at_ms);
        planned.or_else(|| self.present.head.memtable.get(slot)?.at(at_ms))
    }

    /// Whether one more place of blocks may be looked at; takes it from the budget.
    pub(crate) fn may_look_into_blocks(&mut self) -> bool {
        let may = self.lookups_left > 0;
        self.lookups_left = self.lookups_left.saturating_sub(1);
        may
    }
}

fn refused(sample: &BatchSample, reason: RefusedReason) -> Refused {
    Refused { column: Column::Samples, series: sample.series, at: sample.at, reason }
}
