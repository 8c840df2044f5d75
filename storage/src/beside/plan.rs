//! What of the columns beside the numbers is taken, what is refused and why. Changes nothing.
//!
//! Place in the flow: the plan of a batch calls this after its numbers, if the batch has such
//! columns at all.
//!
//! A histogram is judged as a number is: a series has one time line for both. The same content at
//! the same instant counts as accepted; a number there, or another histogram, is a conflict.
//!
//! Not here: numbers (`plan`), writing (`commit`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::append::SeriesId;
use model::append::{BatchExemplar, BatchHistogram, Column, Metadata, Refused, RefusedReason};
use model::limits::{EXEMPLAR_LABELS_CHARS_MAX, FUTURE_MS_MAX};
use model::{Appended, Batch, Histogram, SeriesIx};

use super::codec;
use super::exemplars::{Exemplar, Numbered, order};
use super::metadata::{self, NAME_BYTES_MAX};
use super::records::{
    NumberedHistogram, NumberedStart, encode_exemplars, encode_families, encode_histograms,
    encode_starts,
};
use super::scan::histogram_in_blocks;
use crate::plan::{Plan, Resolved, Verdict};

/// What a plan takes beside the numbers.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Histograms by slot.
    pub histograms: Vec<(u32, NumberedHistogram)>,
    /// Start timestamps by slot.
    pub starts: Vec<(u32, NumberedStart)>,
    /// Exemplars.
    pub exemplars: Vec<Numbered>,
    /// News of families.
    pub families: Vec<(String, Metadata)>,
    /// Positions in `histograms`.
    by_place: HashMap<(u32, i64), usize>,
    /// Positions in `families` of the last word on each.
    newest_family: HashMap<String, usize>,
    /// Positions in `exemplars` of the last one of each series.
    newest_exemplar: HashMap<SeriesId, usize>,
    /// The newest histogram of each slot.
    newest_ms: HashMap<u32, i64>,
}

impl Accepted {
    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.histograms.is_empty()
            && self.starts.is_empty()
            && self.exemplars.is_empty()
            && self.families.is_empty()
    }

    /// Appends the records of the journal.
    pub fn encode(&self, records: &mut Vec<(u8, Vec<u8>)>) {
        if self.is_empty() {
            return;
        }
        let mut histograms: Vec<_> = self.histograms.iter().map(|one| one.1.clone()).collect();
        histograms.sort_by_key(|one| (one.id, one.at_ms));
        encode_histograms(&histograms, records);
        let mut starts: Vec<_> = self.starts.iter().map(|one| one.1).collect();
        starts.sort_by_key(|one| (one.at_ms, one.id));
        encode_starts(&starts, records);
        encode_exemplars(&self.exemplars, records);
        encode_families(&self.families, records);
    }

    /// The newest instant that must not leave the journal before it is in a block.
    pub fn newest_ms(&self) -> Option<i64> {
        let histograms = self.histograms.iter().map(|one| one.1.at_ms);
        histograms.chain(self.starts.iter().map(|one| one.1.at_ms)).max()
    }

    fn histogram_at(&self, slot: u32, at_ms: i64) -> Option<&Arc<Histogram>> {
        let index = self.by_place.get(&(slot, at_ms))?;
        Some(&self.histograms[*index].1.histogram)
    }
}

/// Whether a batch has anything but numbers.
pub fn has_beside(batch: &Batch) -> bool {
    !(batch.histograms().is_empty()
        && batch.exemplars().is_empty()
        && batch.starts().is_empty()
        && batch.families().is_empty())
}

impl Plan<'_> {
    /// Adds the columns beside the numbers of a batch whose numbers were added before.
    pub(crate) fn add_beside(
        &mut self,
        batch: &Batch,
        resolved: &mut [Resolved],
        appended: &mut Appended,
    ) {
        for one in batch.histograms() {
            match self.add_histogram(&mut resolved[one.series.0 as usize], one) {
                Ok(()) => appended.histograms_accepted += 1,
                Err(reason) => {
                    let (series, at) = (one.series, one.at);
                    let column = Column::Histograms;
                    appended.refused.push(Refused { column, series, at, reason });
                }
            }
        }
        self.add_starts(batch, resolved, appended);
        let takes_exemplars = self.present.settings.exemplars_max > 0;
        for one in batch.exemplars().iter().filter(|_| takes_exemplars) {
            match self.add_exemplar(&mut resolved[one.series.0 as usize], one) {
                Ok(()) => appended.exemplars_accepted += 1,
                Err(reason) => {
                    let (series, at) = (one.series, one.at);
                    let column = Column::Exemplars;
                    appended.refused.push(Refused { column, series, at, reason });
                }
            }
        }
        for (family, told) in batch.families() {
            let told = metadata::cut(told);
            let accepted = &mut self.work.beside;
            let is_news = match accepted.newest_family.get(family) {
                Some(index) => accepted.families[*index].1 != told,
                None => self.present.head.beside.families.is_news(family, &told),
            };
            if is_news && !family.is_empty() && family.len() <= NAME_BYTES_MAX {
                accepted.newest_family.insert(family.clone(), accepted.families.len());
                accepted.families.push((family.clone(), told));
            }
        }
    }

    fn add_histogram(
        &mut self,
        series: &mut Resolved,
        one: &BatchHistogram,
    ) -> Result<(), RefusedReason> {
        if let Resolved::Refused(reason) = series {
            return Err(*reason);
        }
        if codec::problem(&one.histogram).is_some() {
            return Err(RefusedReason::InvalidHistogram);
        }
        if one.at.0 > self.present.now_ms.saturating_add(FUTURE_MS_MAX) {
            return Err(RefusedReason::TooFarInFuture);
        }
        let (slot, id) = self.place(series)?;
        let own = NumberedHistogram { id, at_ms: one.at.0, histogram: Arc::clone(&one.histogram) };
        match self.judge_histogram(slot, &own) {
            Verdict::Duplicate => Ok(()),
            Verdict::Refuse(reason) => Err(reason),
            Verdict::Append => {
                self.raise_newest(slot, own.at_ms);
                let accepted = &mut self.work.beside;
                accepted.by_place.insert((slot, own.at_ms), accepted.histograms.len());
                accepted.newest_ms.insert(slot, own.at_ms);
                accepted.histograms.push((slot, own));
                Ok(())
            }
        }
    }

    fn judge_histogram(&mut self, slot: u32, own: &NumberedHistogram) -> Verdict {
        if own.at_ms > self.newest_ms(slot, own.id) {
            return Verdict::Append;
        }
        if let Some(stored) = self.histogram_here(slot, own.at_ms) {
            return same_or_conflict(&stored, &own.histogram);
        }
        if self.number_here(slot, own.at_ms).is_some() {
            return Verdict::Refuse(RefusedReason::DuplicateTimestamp);
        }
        // The numbers of its own batch were added first: against them it does not come late.
        let in_group_ms = self.work.beside.newest_ms.get(&slot).copied();
        let before_ms = self.look_up_newest(slot, own.id).max(in_group_ms);
        if before_ms.is_none_or(|before_ms| own.at_ms > before_ms) {
            return Verdict::Append;
        }
        if self.present.blocks.is_empty() {
            return Verdict::Refuse(RefusedReason::OutOfOrder);
        }
        if !self.may_look_into_blocks() {
            return Verdict::Refuse(RefusedReason::TooOld);
        }
        if let Some(stored) = histogram_in_blocks(self.present.blocks, own.id, own.at_ms) {
            return same_or_conflict(&stored, &own.histogram);
        }
        match crate::source::value_in_blocks(self.present.blocks, own.id, own.at_ms) {
            Some(_) => Verdict::Refuse(RefusedReason::DuplicateTimestamp),
            None => Verdict::Refuse(RefusedReason::OutOfOrder),
        }
    }

    /// The histogram of a series at an instant, in the group or in memory.
    pub(crate) fn histogram_here(&self, slot: u32, at_ms: i64) -> Option<Arc<Histogram>> {
        let in_group = self.work.beside.histogram_at(slot, at_ms).cloned();
        in_group.or_else(|| self.present.head.beside.histogram_at(slot, at_ms))
    }

    /// Starts of what was taken (or was there already).
    fn add_starts(&mut self, batch: &Batch, resolved: &[Resolved], appended: &Appended) {
        if batch.starts().is_empty() {
            return;
        }
        let is_sample = |one: &&Refused| one.column != Column::Exemplars;
        let refused: HashSet<(SeriesIx, i64)> =
            appended.refused.iter().filter(is_sample).map(|one| (one.series, one.at.0)).collect();
        for one in batch.starts() {
            let Resolved::Slot(slot, id) = resolved[one.series.0 as usize] else { continue };
            if one.start.0 == 0 || refused.contains(&(one.series, one.at.0)) {
                continue; // Zero is how senders say that they don't know.
            }
            let start = NumberedStart { id, at_ms: one.at.0, start_ms: one.start.0 };
            self.work.beside.starts.push((slot, start));
        }
    }

    fn add_exemplar(
        &mut self,
        series: &mut Resolved,
        one: &BatchExemplar,
    ) -> Result<(), RefusedReason> {
        if let Resolved::Refused(reason) = series {
            return Err(*reason);
        }
        if one.labels.text().chars().count() > EXEMPLAR_LABELS_CHARS_MAX {
            return Err(RefusedReason::InvalidExemplar);
        }
        if one.at.0 > self.present.now_ms.saturating_add(FUTURE_MS_MAX) {
            return Err(RefusedReason::TooFarInFuture);
        }
        let (_, id) = self.place(series)?;
        let own = Exemplar { at: one.at, value: one.value, labels: one.labels.clone() };
        let accepted = &mut self.work.beside;
        let in_group = accepted.newest_exemplar.get(&id);
        let newest = in_group.map(|index| &accepted.exemplars[*index].exemplar);
        let ring = &self.present.head.beside.exemplars;
        let newest = newest.or_else(|| ring.of(id).next_back());
        match newest.map(|newest| order(newest, &own)) {
            None | Some(std::cmp::Ordering::Less) => {
                accepted.newest_exemplar.insert(id, accepted.exemplars.len());
                accepted.exemplars.push(Numbered { id, exemplar: own });
                Ok(())
            }
            // What a target shows again is no news, and nothing is wrong with it.
            Some(std::cmp::Ordering::Equal) => Ok(()),
            Some(std::cmp::Ordering::Greater) => {
                let is_it = |other: &Exemplar| order(other, &own).is_eq();
                let group = &accepted.exemplars;
                let is_known = ring.of(id).any(is_it)
                    || group.iter().any(|other| other.id == id && is_it(&other.exemplar));
                if is_known { Ok(()) } else { Err(RefusedReason::OutOfOrder) }
            }
        }
    }
}

fn same_or_conflict(stored: &Histogram, offered: &Histogram) -> Verdict {
    if codec::same_content(stored, offered) {
        Verdict::Duplicate
    } else {
        Verdict::Refuse(RefusedReason::DuplicateTimestamp)
    }
}
