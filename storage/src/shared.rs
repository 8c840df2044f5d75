//! What the store's threads and callers share.
//!
//! Place in the flow: the committer, the flusher and every question hold it by counted reference.
//!
//! Locks are taken in the order they stand in here; none but `compacting`, `flushing` and `eras` is
//! held while waiting for the disk.
//!
//! Not here: what is done with it (`commit`, `flush`, `select`, `scan`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::sync::{RwLockReadGuard, RwLockWriteGuard};

use journal::Journal;
use journal::disk::Disk;
use model::Clock;
use model::append::RefusedReason;

use crate::Settings;
use crate::absent::Absent;
use crate::block::Block;
use crate::block::cache::Cache;
use crate::head::Head;
use crate::limits::Culprit;
use crate::manifest::Manifest;
use crate::queue::Queue;
use crate::space::Space;

/// The blocks that serve, by their first instant.
pub type Blocks = Arc<Vec<Arc<Block>>>;

/// Part of the journal between two rotations of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// Its first segment.
    pub segment: u64,
    /// The newest sample in it that was not in a block when it was written.
    pub newest_ms: Option<i64>,
    /// Bytes handed to the journal.
    pub bytes: u64,
}

/// State of the flush.
#[derive(Debug, Default)]
pub struct Flushing {
    /// What is on disk.
    pub manifest: Manifest,
    /// The oldest block when we looked for series without samples; `None`: never.
    pub looked_at: Option<Option<String>>,
    /// Changes of families that are in their file.
    pub families_saved: u64,
}

/// Figures since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Samples accepted.
    pub accepted: u64,
    /// Native histograms accepted.
    pub histograms_accepted: u64,
    /// Exemplars accepted.
    pub exemplars_accepted: u64,
    /// Groups committed.
    pub commits: u64,
    /// Series created.
    pub series_created: u64,
    /// Samples refused.
    pub refused: BTreeMap<RefusedReason, u64>,
    /// Samples refused for a limit of series, by who brought them.
    pub culprits: BTreeMap<Culprit, u64>,
    /// Blocks written.
    pub blocks_written: u64,
    /// Flushes that failed.
    pub flush_failures: u64,
    /// Rounds of upkeep.
    pub upkeeps: u64,
    /// Merges of blocks, rewritings for deletions included.
    pub compactions: u64,
    /// Bytes those wrote.
    pub compacted_bytes: u64,
    /// Merges that failed.
    pub compaction_failures: u64,
    /// Blocks dropped because of their age.
    pub dropped_by_age: u64,
    /// Blocks dropped because of the space they took.
    pub dropped_by_size: u64,
    /// What the flusher could not do last, and why; cleared when it works again.
    pub upkeep_failure: Option<String>,
    /// Why appends are unavailable.
    pub unavailable: Option<String>,
    /// Damage found while opening.
    pub damaged: Vec<String>,
}

/// What wakes the flusher.
#[derive(Debug, Default)]
pub struct Wakeup {
    /// Somebody thinks that a flush is due.
    pub due: bool,
    /// The store closes.
    pub stop: bool,
}

/// Everything shared.
pub struct Shared {
    /// Limits.
    pub settings: Settings,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// The disk door.
    pub disk: Disk,
    /// The store's folder.
    pub dir: PathBuf,
    /// Samples and new series since the last flushes.
    pub journal: Journal,
    /// All series, written soon after they come.
    pub series_log: Journal,
    /// Batches on their way.
    pub queue: Queue,
    /// Footers and indexes.
    pub cache: Arc<Cache>,
    /// One merge or retention at a time. Held while waiting for the disk.
    pub compacting: Mutex<()>,
    /// The manifest; one flush at a time.
    pub flushing: Mutex<Flushing>,
    /// Series up to this slot are in the series log. Held while they are written there.
    pub logged_slots: Mutex<u32>,
    /// The journal's parts. Held by the committer from before a group is planned until it is in
    /// memory, so that neither a rotation nor new slots ever fall between the two.
    pub eras: Mutex<Vec<Era>>,
    /// The newest end of closed ranges that was flushed. Late samples below it wait for the next
    /// range to close, or every one of them would make a block.
    pub cut_ms: AtomicI64,
    /// Memory.
    pub head: RwLock<Head>,
    /// Blocks.
    pub blocks: RwLock<Blocks>,
    /// Whether the disk is full.
    pub space: Space,
    /// Blocks that the disk refused to open.
    pub absent: Absent,
    /// Figures.
    pub counters: Mutex<Counters>,
    /// The flusher's alarm clock.
    pub wakeup: Mutex<Wakeup>,
    /// Rings it.
    pub woken: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.dir.display())
    }
}

/// A lock whose holder panicked still guards whole data: every change is made in one step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Memory, for reading.
    pub fn head(&self) -> RwLockReadGuard<'_, Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory, for changing.
    pub fn head_mut(&self) -> RwLockWriteGuard<'_, Head> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blocks that serve now. Ask memory first: samples go from there to here.
    pub fn blocks(&self) -> Blocks {
        Arc::clone(&self.blocks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other blocks in place of those that serve.
    pub fn change_blocks(&self, change: impl FnOnce(&mut Vec<Arc<Block>>)) {
        let mut blocks = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        let mut all = blocks.as_ref().clone();
        change(&mut all);
        crate::flush::sort_blocks(&mut all);
        *blocks = Arc::new(all);
    }

    /// Whether the store closes.
    pub fn is_closing(&self) -> bool {
        lock(&self.wakeup).stop
    }

    /// Asks the flusher to look.
    pub fn wake_flusher(&self) {
        lock(&self.wakeup).due = true;
        self.woken.notify_all();
    }
}
