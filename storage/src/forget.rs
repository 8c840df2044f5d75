//! Series that have no sample any more leave memory and the series log.
//!
//! Place in the flow: retention removes blocks → the flusher → **forget** → registry, index, log.
//!
//! Series come and go while samples are only kept for a time, so without this the registry and the
//! log would hold every series there ever was. It is done rarely, when a third of them are gone, and by
//! building everything anew: what is left gets new slots. One that returns later is a new series with
//! a new number.
//!
//! Appends wait meanwhile, about a second per million series that stay; questions do not.
//!
//! Invariants: a series with a sample in memory or in a block that is named stays. While a block can't
//! be read nothing is forgotten. A number that was given is not given again: the manifest remembers
//! the largest.
//!
//! Not here: which samples go (retention, deletes).

use roaring::RoaringBitmap;

use crate::head::Head;
use crate::series::Registry;
use crate::shared::{Flushing, Shared, lock};
use crate::{Error, series_log};

/// Fewer series that are gone are not worth the work.
const GONE_MIN: u64 = 1000;

/// Looks whether many series are gone, and then forgets those. It looks only after the oldest block
/// has changed; answers how many were forgotten.
pub fn forget_gone(shared: &Shared) -> Result<u64, Error> {
    let mut flushing = lock(&shared.flushing);
    let oldest = shared.blocks().first().map(|block| block.meta().block_id.clone());
    let looked_at = flushing.looked_at.replace(oldest.clone());
    // After a start nothing has gone yet, and reading every index would make it slow.
    if looked_at.is_none_or(|looked_at| looked_at == oldest) {
        return Ok(0);
    }
    let Some(kept) = with_samples(shared) else { return Ok(0) };
    let gone = shared.head().registry.len() as u64 - kept.len();
    if gone < GONE_MIN || gone < kept.len() / 2 {
        return Ok(0);
    }
    let forgotten = forget(shared, &mut flushing)?;
    tracing::info!(forgotten, "series without samples were forgotten");
    Ok(forgotten)
}

/// The slots of series that have samples; `None` while that can't be told.
fn with_samples(shared: &Shared) -> Option<RoaringBitmap> {
    let mut ids = Vec::new();
    for block in shared.blocks().iter() {
        let index = block.index().ok()?;
        ids.extend(index.series().iter().map(|series| series.id));
    }
    if !shared.absent.warnings().is_empty() {
        return None;
    }
    let head = shared.head();
    let mut slots: Vec<u32> = ids.iter().filter_map(|id| head.registry.slot_of(*id)).collect();
    slots.sort_unstable();
    slots.dedup();
    let in_blocks = RoaringBitmap::from_sorted_iter(slots).expect("they were just sorted");
    Some(in_blocks | head.with_samples())
}

/// Forgets. No block comes or goes, since `flushing` is held, and no series comes, since `eras` is.
fn forget(shared: &Shared, flushing: &mut Flushing) -> Result<u64, Error> {
    let forgotten = {
        let mut logged_slots = lock(&shared.logged_slots);
        let _no_commit = lock(&shared.eras);
        // Again, since appends went on until now.
        let Some(kept) = with_samples(shared) else { return Ok(0) };
        let registry = {
            let head = shared.head();
            let largest = head.registry.largest_id();
            let next = &mut flushing.manifest.next_series_id;
            *next = (*next).max(largest.0.saturating_add(1));
            only(&head.registry, &kept)
        };
        let mut head = shared.head_mut();
        let forgotten = head.registry.len() as u64 - kept.len();
        head.renumber(registry, &kept);
        // Whatever becomes of the log: the next flush writes what is missing.
        *logged_slots = 0;
        forgotten
    };
    series_log::rewrite(shared, |logged| {
        flushing.manifest.series_logged = u64::from(logged);
        flushing.manifest.write(&shared.disk, &shared.dir)
    })?;
    Ok(forgotten)
}

/// A registry of some series, in the same order.
fn only(registry: &Registry, kept: &RoaringBitmap) -> Registry {
    let mut smaller = Registry::default();
    for slot in kept {
        smaller.insert(registry.get(slot).id, &registry.labels(slot));
    }
    smaller
}

impl Head {
    /// Series that have samples in memory.
    fn with_samples(&self) -> RoaringBitmap {
        let exemplars = self.beside.exemplars.series();
        let exemplars: RoaringBitmap =
            exemplars.filter_map(|id| self.registry.slot_of(id)).collect();
        self.memtable.active() | self.beside.slots() | exemplars
    }

    /// Takes a registry of only the series in `kept`, whose slots change.
    fn renumber(&mut self, registry: Registry, kept: &RoaringBitmap) {
        assert_eq!(registry.len() as u64, kept.len(), "a slot for each that is kept");
        // Whoever adds a part by slots renumbers it here.
        let Head { registry: own, memtable, beside, generation } = self;
        *own = registry;
        memtable.renumber(kept);
        beside.renumber(kept);
        *generation += 1;
    }
}

#[cfg(test)]
mod tests;
