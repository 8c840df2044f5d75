//! What the store's threads call: replaying records, filling the ring, saving families, answering
//! questions.
//!
//! Place in the flow: opening the store, the flush and the store's public door hold small calls to
//! these, so that all that lies beside numbers stays in one room.
//!
//! Not here: the parts that are called.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::append::{Metadata, SeriesId};
use model::{Labels, Matcher, TimeRange};

use super::exemplars::{Exemplar, Ring};
use super::merge;
use super::metadata::METADATA_FILE;
use super::records::Record;
use crate::Error;
use crate::block::Block;
use crate::error::at;
use crate::head::Head;
use crate::shared::{Flushing, Shared};

/// The exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// Its labels.
    pub labels: Labels,
    /// Its exemplars, instants ascending.
    pub exemplars: Vec<Exemplar>,
}

/// What a record came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The highest series number in it.
    pub id_max: Option<SeriesId>,
    /// The newest instant that is in no block.
    pub newest_ms: Option<i64>,
    /// Entries of series that were lost.
    pub nameless: u64,
}

/// What is in blocks already.
pub struct Flushed<'a> {
    /// Whether what has an instant is.
    pub instant: &'a dyn Fn(i64) -> bool,
    /// Whether all exemplars of the record are.
    pub exemplars: bool,
}

/// Puts a record of the journal into memory.
pub fn replay(
    head: &mut Head,
    record: Record,
    aliases: &HashMap<SeriesId, SeriesId>,
    flushed: &Flushed<'_>,
) -> Replayed {
    let mut replayed = Replayed::default();
    let known = |id: SeriesId, head: &Head, replayed: &mut Replayed| {
        replayed.id_max = replayed.id_max.max(Some(id));
        let id = *aliases.get(&id).unwrap_or(&id);
        let slot = head.registry.slot_of(id);
        replayed.nameless += u64::from(slot.is_none());
        slot.map(|slot| (slot, id))
    };
    match record {
        Record::Histograms(all) => {
            for one in all.into_iter().filter(|one| !(flushed.instant)(one.at_ms)) {
                let Some((slot, _)) = known(one.id, head, &mut replayed) else { continue };
                head.beside.insert_histogram(slot, one.at_ms, one.histogram);
                head.memtable.raise_newest(slot, one.at_ms);
                replayed.newest_ms = replayed.newest_ms.max(Some(one.at_ms));
            }
        }
        Record::Starts(all) => {
            for one in all.into_iter().filter(|one| !(flushed.instant)(one.at_ms)) {
                let Some((slot, _)) = known(one.id, head, &mut replayed) else { continue };
                head.beside.insert_start(slot, (one.at_ms, one.start_ms));
                replayed.newest_ms = replayed.newest_ms.max(Some(one.at_ms));
            }
        }
        Record::Exemplars(all) => {
            for one in all {
                let Some((_, id)) = known(one.id, head, &mut replayed) else { continue };
                head.beside.exemplars.insert(id, one.exemplar, flushed.exemplars);
            }
        }
        Record::Metadata(all) => {
            for (name, metadata) in all {
                head.beside.families.tell(&name, metadata);
            }
        }
    }
    replayed
}

/// Makes the ring and fills it with the newest exemplars of blocks, which are sorted by age.
pub fn load_exemplars(head: &mut Head, blocks: &[Arc<Block>], exemplars_max: u64) {
    head.beside.exemplars = Ring::new(exemplars_max);
    let mut parts = Vec::new();
    let mut count = 0;
    for block in blocks.iter().rev() {
        if count as u64 >= exemplars_max {
            break;
        }
        // What can't be read is named by the block itself.
        let labels = |id| head.registry.slot_of(id).map(|slot| head.registry.labels(slot));
        let own = merge::exemplars(std::slice::from_ref(block), &labels, &|_| true);
        let own = own.unwrap_or_default();
        count += own.len();
        parts.push(own);
    }
    for one in parts.into_iter().rev().flatten() {
        if head.registry.slot_of(one.id).is_some() {
            head.beside.exemplars.insert(one.id, one.exemplar, true);
        }
    }
}

/// Replaces the file of families when there is news; the journal's records of them may go then.
pub fn save_families(shared: &Shared, flushing: &mut Flushing) -> Result<(), Error> {
    let (bytes, changes) = {
        let head = shared.head();
        let changes = head.beside.families.changes();
        if changes == flushing.families_saved {
            return Ok(());
        }
        (head.beside.families.encode(), changes)
    };
    let path = shared.dir.join(METADATA_FILE);
    shared.disk.write_atomic(&path, &bytes).map_err(at("write", &path))?;
    flushing.families_saved = changes;
    Ok(())
}

/// Exemplars of all series that pass one of the selectors, sorted by labels.
pub fn exemplars(
    shared: &Shared,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
) -> Vec<SeriesExemplars> {
    let head = shared.head();
    let ids: BTreeSet<SeriesId> = head.beside.exemplars.series().collect();
    let mut found: Vec<SeriesExemplars> = Vec::new();
    for id in ids {
        let Some(slot) = head.registry.slot_of(id) else { continue };
        let labels = head.registry.labels(slot);
        let passes =
            |matchers: &Vec<Matcher>| matchers.iter().all(|own| own.matches_labels(&labels));
        if !selectors.iter().any(passes) {
            continue;
        }
        let exemplars = head.beside.exemplars.find(id, range);
        if !exemplars.is_empty() {
            found.push(SeriesExemplars { labels, exemplars });
        }
    }
    drop(head);
    found.sort_by(|one, other| one.labels.cmp(&other.labels));
    found
}

/// What is known of families, by name.
pub fn metadata(
    shared: &Shared,
    limit: usize,
    metric: Option<&str>,
) -> Vec<(String, Vec<Metadata>)> {
    shared.head().beside.families.list(limit, metric)
}
