//! The whole store: open, append, ask, flush, close.
//!
//! Place in the flow: collector and rules append to it, query asks it, belfry opens and closes it.
//!
//! Two threads belong to it: the committer, which makes batches durable, and the flusher, which
//! moves closed ranges to blocks. Both end in [`Store::close`], at the latest when the store is
//! dropped.
//!
//! Not here: how each part works (`commit`, `flush`, `select`, `scan`).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::disk::Disk;
use model::TimestampMs;
use model::append::{Metadata, SeriesId};
use model::{Append, AppendError, Appended, Batch, BoxFuture, Clock, Labels, Matcher, TimeRange};

use crate::absent::{self, Absent};
use crate::beside::file::{HISTOGRAMS_FILE, STARTS_FILE};
use crate::beside::hooks::{self, SeriesExemplars};
use crate::beside::scan::BesideScan;
use crate::block::Block;
use crate::block::cache::Cache;
use crate::commit::Committer;
use crate::error::{at, chain};
use crate::flush::{self, Reach};
use crate::grouped::{Grouped, Keep};
use crate::queue::Queue;
use crate::read::{Order, Reader, Want};
use crate::scrub::Scrub;
use crate::shared::{Counters, Shared, Wakeup, lock};
use crate::space::{self, Space};
use crate::{
    BlockStatus, Cardinality, DeletionId, Error, Scan, Settings, Stats, Tombstone, Undone,
};
use crate::{
    cardinality, compact, forget, grouped, limits, open, select, snapshot, tombstone, undelete,
};

/// Lines of the figures that name who brought too many series.
const CULPRITS_SHOWN_MAX: usize = 10;
/// How long the flusher waits after a failure before it tries again.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often the flusher looks by itself for space on a full disk, and for absent blocks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// One series that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Its number, for [`Store::scan`].
    pub id: SeriesId,
    /// Its labels.
    pub labels: Labels,
}

/// The store of one node.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    /// Opens the store in `dir`, which is created when it is not there, replays its journal, and
    /// starts its threads. Holds the thread until then.
    pub fn open(
        disk: Disk,
        dir: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Store>, Error> {
        settings.validate()?;
        let cache = Arc::new(Cache::new(settings.cache_bytes_max));
        let opened = open::open(&disk, dir, &settings, &cache)?;
        let counters = Counters { damaged: opened.damaged, ..Counters::default() };
        let shared = Arc::new(Shared {
            queue: Queue::new(settings.queue_bytes_max),
            settings,
            clock,
            disk,
            dir: dir.to_owned(),
            journal: opened.journal,
            series_log: opened.series_log,
            cache,
            compacting: Mutex::default(),
            flushing: Mutex::new(opened.flushing),
            logged_slots: Mutex::new(opened.logged_slots),
            eras: Mutex::new(opened.eras),
            cut_ms: AtomicI64::new(i64::MIN),
            space: Space::default(),
            absent: Absent::new(opened.absent),
            head: RwLock::new(opened.head),
            blocks: RwLock::new(Arc::new(opened.blocks)),
            counters: Mutex::new(counters),
            wakeup: Mutex::new(Wakeup { due: true, stop: false }),
            woken: Condvar::new(),
        });
        let store = Arc::new(Store { shared, threads: Mutex::default() });
        store.start(opened.next_series_id)?;
        Ok(store)
    }

    fn start(&self, next_series_id: u64) -> Result<(), Error> {
        let committer = Committer::new(Arc::clone(&self.shared), next_series_id);
        let shared = Arc::clone(&self.shared);
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
            thread.map_err(at("start a thread for", &self.shared.dir))
        };
        let mut threads = lock(&self.threads);
        threads.push(start("store-commit", Box::new(move || committer.run()))?);
        if shared.settings.upkeep {
            threads.push(start("store-flush", Box::new(move || run_flusher(&shared)))?);
        }
        Ok(())
    }

    /// Series that pass every matcher and have samples in the range, sorted by labels; at most
    /// `limit` of them (0: all).
    pub fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<SeriesEntry>, Error> {
        Ok(select::series(&self.shared, matchers, range, limit))
    }

    /// How many series can pass the matchers at most: a bound that costs a few look-ups.
    pub fn series_at_most(&self, matchers: &[Matcher]) -> u64 {
        self.shared.head().registry.index().at_most(matchers)
    }

    /// Whether anything but numbers is stored: native histograms, start timestamps.
    pub fn has_more_than_numbers(&self) -> bool {
        let beside = [HISTOGRAMS_FILE, STARTS_FILE];
        let holds = |block: &Arc<Block>| beside.iter().any(|own| block.meta().file(own).is_some());
        !self.shared.head().beside.active().is_empty() || self.shared.blocks().iter().any(holds)
    }

    /// Series that pass every matcher and have samples in the range, in no order, put into groups in
    /// each of the ways.
    pub fn grouped(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        ways: &[Keep<'_>],
    ) -> Result<Grouped, Error> {
        Ok(grouped::grouped(&self.shared, matchers, range, ways))
    }

    /// Names of labels of the series that pass, sorted; at most `limit` (0: all).
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        Ok(select::label_names(&self.shared, matchers, range, limit))
    }

    /// Values of one label among the series that pass, sorted; at most `limit` (0: all).
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        Ok(select::label_values(&self.shared, name, matchers, (range, limit)))
    }

    /// Samples of the series in the range, as of this call. Numbers that the store does not know
    /// have no samples.
    pub fn scan(&self, series: &[SeriesId], range: TimeRange) -> Result<Scan, Error> {
        let how = (Want::All, Order::Asked, 1);
        let mut readers = Reader::open(&self.shared, series, range, how);
        let reader = readers.pop().expect("as many readers as were asked for");
        Ok(Scan::new(reader))
    }

    /// The samples of the series in the range, as of this call, split among `parts` readers. Each
    /// gives its series in the order they are stored in.
    pub fn read(
        &self,
        series: &[SeriesId],
        range: TimeRange,
        want: Want,
        parts: usize,
    ) -> Result<Vec<Reader>, Error> {
        Ok(Reader::open(&self.shared, series, range, (want, Order::Stored, parts)))
    }

    /// What the series have beside their numbers in the range (native histograms, start
    /// timestamps), as of this call, by position. Series with nothing but numbers are absent.
    pub fn beside(&self, series: &[SeriesId], range: TimeRange) -> Result<BesideScan, Error> {
        Ok(BesideScan::new(&self.shared, series, range))
    }

    /// The newest exemplars in the range of all series that pass one of the selectors, sorted by
    /// labels. The store keeps so many in all, not per series.
    pub fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<SeriesExemplars>, Error> {
        Ok(hooks::exemplars(&self.shared, selectors, range))
    }

    /// What is known of metric families by name, each with its descriptions, the newest first; at
    /// most `limit` families (0: all), or only the one that is named.
    pub fn metadata(
        &self,
        limit: usize,
        metric: Option<&str>,
    ) -> Result<Vec<(String, Vec<Metadata>)>, Error> {
        Ok(hooks::metadata(&self.shared, limit, metric))
    }

    /// The blocks that serve, the oldest first.
    pub fn blocks(&self) -> Vec<BlockStatus> {
        let blocks = self.shared.blocks();
        let serving = blocks.iter().filter(|block| !block.is_set_aside());
        let mut shown: Vec<BlockStatus> = serving
            .map(|block| BlockStatus {
                id: block.meta().block_id.clone(),
                level: block.meta().level,
                min_ms: block.meta().min_ms,
                max_ms: block.meta().max_ms,
                samples: block.meta().rows,
                series: block.meta().series,
                tombstones: block.tombstones().len() as u64,
                size_bytes: block.meta().size_bytes(),
            })
            .collect();
        shown.sort_by(|one, two| (one.min_ms, &one.id).cmp(&(two.min_ms, &two.id)));
        shown
    }

    /// Figures about the store now.
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let blocks = shared.blocks();
        let serving: Vec<&Arc<Block>> =
            blocks.iter().filter(|block| !block.is_set_aside()).collect();
        let mut stats = Stats {
            blocks: serving.len() as u64,
            block_bytes: serving.iter().map(|block| block.meta().size_bytes()).sum(),
            block_samples: serving.iter().map(|block| block.meta().rows).sum(),
            journal_bytes: shared.journal.size_bytes() + shared.series_log.size_bytes(),
            queue_bytes: shared.queue.bytes(),
            ..Stats::default()
        };
        for block in &serving {
            *stats.blocks_by_level.entry(block.meta().level).or_default() += 1;
        }
        let deletions = serving.iter().flat_map(|block| block.tombstones()).map(|own| own.id);
        stats.tombstones = deletions.collect::<BTreeSet<_>>().len() as u64;
        let mut oldest_ms = serving.iter().map(|block| block.meta().min_ms).min();
        let mut newest_ms = serving.iter().map(|block| block.meta().max_ms).max();
        {
            let head = shared.head();
            stats.series = head.registry.len() as u64;
            stats.series_active = (head.memtable.active() | head.beside.active()).len();
            stats.series_ended = head.memtable.ended().len();
            stats.index_bytes = head.registry.index().bytes();
            stats.registry_bytes = head.registry.bytes() + stats.index_bytes;
            stats.samples_in_memtable = head.memtable.samples();
            stats.histograms_in_memory = head.beside.count();
            stats.exemplars = head.beside.exemplars.len() as u64;
            stats.memtable_bytes = head.bytes();
            let in_memory = head.oldest_ms();
            oldest_ms = [oldest_ms, in_memory].into_iter().flatten().min();
            newest_ms = newest_ms.max(head.newest_ms());
        }
        stats.oldest_ms = oldest_ms.map(TimestampMs);
        stats.newest_ms = newest_ms.map(TimestampMs);
        // Before the counters: whoever tries absent blocks again counts while it holds their lock.
        let absent = shared.absent.warnings();
        let counters = lock(&shared.counters);
        stats.samples_accepted_count = counters.accepted;
        stats.histograms_accepted_count = counters.histograms_accepted;
        stats.exemplars_accepted_count = counters.exemplars_accepted;
        stats.commits_count = counters.commits;
        stats.series_created_count = counters.series_created;
        stats.refused = counters.refused.clone();
        stats.blocks_written_count = counters.blocks_written;
        stats.flush_failures_count = counters.flush_failures;
        stats.upkeeps_count = counters.upkeeps;
        stats.compactions_count = counters.compactions;
        stats.compacted_bytes = counters.compacted_bytes;
        stats.compaction_failures_count = counters.compaction_failures;
        stats.blocks_dropped_by_age_count = counters.dropped_by_age;
        stats.blocks_dropped_by_size_count = counters.dropped_by_size;
        stats.upkeep_failure = counters.upkeep_failure.clone();
        stats.unavailable = counters.unavailable.clone();
        stats.damaged = counters.damaged.clone();
        stats.damaged.extend(absent);
        stats.damaged.extend(blocks.iter().flat_map(|block| block.damage()));
        let culprits = counters.culprits.clone();
        drop(counters);
        stats.series_refused = limits::top(&culprits, &shared.head().registry, CULPRITS_SHOWN_MAX);
        stats
    }

    /// What the threads share, for tests of parts.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Where series come from: the largest metrics, labels and pairs, at most `limit` of each.
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        cardinality::cardinality(&self.shared, limit)
    }

    /// Writes everything in memory to blocks. Holds the thread until it is done.
    pub fn flush(&self) -> Result<(), Error> {
        flush::flush(&self.shared, Reach::All)
    }

    /// Writes what is in memory before an instant to blocks, as the store does by itself with ranges
    /// that are over. Holds the thread until it is done.
    pub fn flush_before(&self, before: TimestampMs) -> Result<(), Error> {
        flush::flush(&self.shared, Reach::Closed { before_ms: before.0 })
    }

    /// Makes a picture of the store in the folder `to`, which must not be there yet: a folder that
    /// opens as a store by itself. It holds everything that was acknowledged before this call; with
    /// `include_head` off, only what is in blocks. Appends go on meanwhile, flushes wait. Its files
    /// are second names of ours where the file system allows it. Holds the thread until it is durable.
    pub fn snapshot(&self, to: &Path, include_head: bool) -> Result<(), Error> {
        snapshot::take(&self.shared, to, include_head)
    }

    /// Writes everything in memory to blocks and merges all blocks that can be merged. Holds the thread
    /// until it is done.
    pub fn compact(&self) -> Result<(), Error> {
        compact::compact(&self.shared)
    }

    /// Hides the samples that are stored now, of the series that pass all matchers, in the range;
    /// samples that come later show. Durable when this returns. `None` when there are no such
    /// samples. Holds the thread until memory is flushed.
    pub fn delete(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Option<DeletionId>, Error> {
        tombstone::delete(&self.shared, matchers, range)
    }

    /// Takes a deletion back, as far as no merge has carried it out and no newer samples stand at the
    /// same instants. Appends wait meanwhile.
    pub fn undelete(&self, id: DeletionId) -> Result<Undone, Error> {
        undelete::undelete(&self.shared, id)
    }

    /// Deletions that are not carried out everywhere yet, in the order they were made.
    pub fn tombstones(&self) -> Vec<Tombstone> {
        tombstone::list(&self.shared)
    }

    /// Carries out all deletions now: rewrites the blocks they touch. Holds the thread until then.
    pub fn clean(&self) -> Result<(), Error> {
        compact::clean(&self.shared)
    }

    /// Takes no further batches, waits for those taken, and stops the threads. What is in memory
    /// comes back from the journal at the next open. Holds the thread until then.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.queue.close();
        lock(&self.shared.wakeup).stop = true;
        self.shared.woken.notify_all();
        let threads: Vec<_> = lock(&self.threads).drain(..).collect();
        let mut panicked = false;
        for thread in threads {
            panicked |= thread.join().is_err();
        }
        self.shared.journal.close();
        self.shared.series_log.close();
        if panicked {
            tracing::error!("a thread of the store panicked; see the message before this one");
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing never fails; it only waits.
        let _ = self.close();
    }
}

impl Append for Store {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let answer: BoxFuture<'_, Result<Appended, AppendError>> =
            Box::pin(self.shared.queue.append(batch));
        answer
    }
}

/// Says so when the flusher ends as it should not.
struct FlusherEnd<'a>(&'a Shared);

impl Drop for FlusherEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the flusher panicked; the log says why; restart the store".to_owned();
            tracing::error!(reason, "nothing is flushed or merged any more");
            lock(&self.0.counters).upkeep_failure = Some(reason);
        }
    }
}

/// Flushes what is due until the store closes.
fn run_flusher(shared: &Shared) {
    let _end = FlusherEnd(shared);
    if !shared.blocks().is_empty() {
        space::keep(shared);
    }
    compact::upkeep(shared);
    let mut scrub = Scrub::default();
    loop {
        {
            let wakeup = lock(&shared.wakeup);
            let is_idle = |wakeup: &mut Wakeup| !wakeup.due && !wakeup.stop;
            let woken = shared.woken.wait_timeout_while(wakeup, LOOK_EVERY, is_idle);
            let mut wakeup = woken.unwrap_or_else(|error| error.into_inner()).0;
            if wakeup.stop {
                return;
            }
            wakeup.due = false;
        }
        space::recover(shared);
        if !shared.blocks().is_empty() {
            space::follow(shared);
        }
        absent::retry(shared);
        if let Err(error) = forget::forget_gone(shared) {
            tracing::warn!(error = %chain(&error), "can't write the series log anew");
        }
        scrub.step(shared);
        let Some(reach) = flush::due(shared) else { continue };
        if shared.space.is_short() {
            compact::upkeep(shared); // Merges nothing then; what is too old makes room.
            continue;
        }
        let Err(error) = space::flush_with_reserve(shared, reach) else {
            compact::upkeep(shared);
            continue;
        };
        lock(&shared.counters).flush_failures += 1;
        tracing::warn!(error = %chain(&error), "can't flush to a block; trying again");
        let mut wakeup = lock(&shared.wakeup);
        wakeup.due = true;
        if !wakeup.stop {
            // Whoever wakes us earlier than that only makes the next try come sooner.
            let waited =
                shared.woken.wait_timeout_while(wakeup, RETRY_WAIT_MAX, |wakeup| !wakeup.stop);
            drop(waited);
        }
    }
}
