//! Keeping blocks few, compact and young: retention, then merges, after every flush.
//!
//! Place in the flow: flush → **upkeep** → fewer and larger blocks. [`crate::Store::compact`] and
//! [`crate::Store::clean`] ask for it at once.
//!
//! It runs in the flusher thread, one merge at a time, and stops between two windows of series when
//! the store closes. Before each merge it is made sure that the new block fits on the disk, and into
//! the space that retention allows.
//!
//! Invariant: what a reader is told does not depend on whether a merge has run, but for samples older
//! than retention.
//!
//! Not here: which blocks (`plan`), one merge (`run`), what is dropped (`retention`).

/// Which blocks are merged next.
mod plan;
/// Merging some blocks into one.
mod run;

use std::sync::Arc;

use model::{TimeRange, TimestampMs};

use crate::Error;
use crate::beside::file::{EXEMPLARS_FILE, HISTOGRAMS_FILE, STARTS_FILE};
use crate::block::Block;
use crate::block::meta::{SAMPLES_FILE, SERIES_FILE};
use crate::error::{at, chain};
use crate::flush::{self, Reach};
use crate::retention;
use crate::shared::{Shared, lock};
use plan::{Candidate, Rules};
use run::Outcome;

/// The files that a merge copies.
const COPIED_FILES: [&str; 5] =
    [SAMPLES_FILE, SERIES_FILE, HISTOGRAMS_FILE, STARTS_FILE, EXEMPLARS_FILE];
/// What a new block may take more than its sources, which are packed the same way.
const SCRATCH_SPARE_BYTES: u64 = 1024 * 1024;

/// Drops what is too old and merges what is due. What fails is counted and named, and tried again
/// after the next flush.
pub fn upkeep(shared: &Shared) {
    for block in shared.blocks().iter() {
        if let Err(error) = block.heal() {
            tracing::warn!(error = %chain(&error), "can't write a damaged file anew");
        }
    }
    let done = retention::apply(shared).and_then(|()| merge_due(shared, false));
    let mut counters = lock(&shared.counters);
    counters.upkeeps += 1;
    match done {
        Ok(()) => counters.upkeep_failure = None,
        Err(error) => {
            let text = chain(&error);
            tracing::warn!(error = %text, "can't merge or drop blocks; trying again later");
            counters.compaction_failures += 1;
            counters.upkeep_failure = Some(text);
        }
    }
}

/// Writes everything in memory to blocks and merges all that can be merged.
pub fn compact(shared: &Shared) -> Result<(), Error> {
    flush::flush(shared, Reach::All)?;
    retention::apply(shared)?;
    merge_due(shared, true)
}

/// Carries out all deletions now.
pub fn clean(shared: &Shared) -> Result<(), Error> {
    let _compacting = lock(&shared.compacting);
    loop {
        let blocks = shared.blocks();
        let is_due = |block: &&Arc<Block>| !block.tombstones().is_empty() && is_whole(block);
        let Some(block) = blocks.iter().filter(is_due).find(|block| is_copied_whole(block)) else {
            let Some(block) = blocks.iter().find(is_due) else { return Ok(()) };
            let reason = format!("block {} has files that are not merged", block.meta().block_id);
            return Err(Error::NotNow { reason });
        };
        match merge(shared, std::slice::from_ref(block))? {
            _ if shared.is_closing() => return Err(Error::Closed),
            Progress::Made | Progress::Again => {}
            Progress::Stuck(reason) => return Err(Error::NotNow { reason }),
        }
    }
}

/// Whether nothing of it is known to be lost.
fn is_whole(block: &Block) -> bool {
    !block.has_losses()
}

/// Whether a merge copies all there is in it. A block with further files stays as it is: nothing may
/// be lost by a merge.
fn is_copied_whole(block: &Block) -> bool {
    block.meta().files.iter().all(|file| COPIED_FILES.contains(&file.name.as_str()))
}

fn merge_due(shared: &Shared, is_eager: bool) -> Result<(), Error> {
    let _compacting = lock(&shared.compacting);
    let settings = &shared.settings;
    let undo_until = shared.clock.now().0.saturating_sub(settings.deletion_undo_ms);
    while !shared.is_closing() && !shared.space.is_short() {
        let blocks: Vec<Arc<Block>> = shared
            .blocks()
            .iter()
            // Deletions that may be taken back keep their blocks as they are.
            .filter(|block| block.tombstones().iter().all(|own| own.created.0 <= undo_until))
            .filter(|block| is_whole(block) && is_copied_whole(block))
            .cloned()
            .collect();
        let candidate = |block: &Arc<Block>| Candidate {
            min_ms: block.meta().min_ms,
            max_ms: block.meta().max_ms,
            bytes: block.meta().size_bytes(),
        };
        let candidates: Vec<Candidate> = blocks.iter().map(candidate).collect();
        let rules = Rules {
            slots_ms: plan::slots_ms(settings.block_range_ms, settings.retention_ms),
            closed_before_ms: flush::closed_before(shared, retention::newest_ms(shared)),
            is_eager,
        };
        let Some(chosen) = plan::next(&candidates, &rules) else { return Ok(()) };
        let sources: Vec<Arc<Block>> =
            chosen.into_iter().map(|index| Arc::clone(&blocks[index])).collect();
        if let Progress::Stuck(reason) = merge(shared, &sources)? {
            return Err(Error::NotNow { reason });
        }
    }
    Ok(())
}

/// How far a merge came.
enum Progress {
    /// There are fewer blocks now, or less in them.
    Made,
    /// The next plan will be another one.
    Again,
    /// The next plan would be the same, and fail the same way.
    Stuck(String),
}

/// Merges blocks into one.
fn merge(shared: &Shared, sources: &[Arc<Block>]) -> Result<Progress, Error> {
    let source_bytes: u64 = sources.iter().map(|block| block.meta().size_bytes()).sum();
    let need_bytes = source_bytes + source_bytes / 8 + SCRATCH_SPARE_BYTES;
    if let Some(lack) = lack_of_room(shared, need_bytes, sources)? {
        return Ok(Progress::Stuck(lack));
    }
    let start = retention::cutoff_ms(shared).map_or(TimestampMs::MIN, TimestampMs);
    let keep = TimeRange::new(start, TimestampMs::MAX).unwrap_or(TimeRange::ALL);
    match run::run(shared, sources, keep)? {
        Outcome::Done(bytes) => {
            let mut counters = lock(&shared.counters);
            counters.compactions += 1;
            counters.compacted_bytes += bytes;
            drop(counters);
            tracing::info!(blocks = sources.len(), source_bytes, bytes, "blocks merged");
            Ok(Progress::Made)
        }
        Outcome::Interrupted => Ok(Progress::Again),
        Outcome::SourceUnreadable(what) => {
            lock(&shared.counters).compaction_failures += 1;
            tracing::warn!(damage = %what, "a block can't be merged; it stays as it is");
            // A damaged source is left out by the next plan; one the disk refuses is not.
            let is_new = sources.iter().any(|block| !is_whole(block));
            Ok(if is_new { Progress::Again } else { Progress::Stuck(what) })
        }
    }
}

/// What keeps a merge from having the space it needs; the oldest blocks go for it if retention says
/// so.
fn lack_of_room(
    shared: &Shared,
    need_bytes: u64,
    sources: &[Arc<Block>],
) -> Result<Option<String>, Error> {
    let kept: Vec<&str> = sources.iter().map(|block| block.meta().block_id.as_str()).collect();
    if !retention::make_room(shared, need_bytes, &kept)? {
        return Ok(Some(format!("retention by size leaves less than {need_bytes} bytes for it")));
    }
    let space = shared.disk.space(&shared.dir).map_err(at("measure the space of", &shared.dir))?;
    let free_bytes = space.free_bytes;
    let lacks = free_bytes < need_bytes;
    Ok(lacks.then(|| format!("it needs {need_bytes} bytes, the disk has {free_bytes} free")))
}
