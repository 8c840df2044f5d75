//! Deletions: which samples of which blocks are hidden, until a merge leaves them out.
//!
//! Place in the flow: [`crate::Store::delete`] → flush → **tombstone** in the manifest → hidden from
//! every reader → left out by the next merge of the block (`compact`).
//!
//! A deletion means the samples that are there when it is ordered. Memory is flushed first, so it only
//! ever names blocks; a sample that comes later, even with an instant in the range, is in another
//! block or in memory and shows. A block that a merge made has its deletions carried out.
//!
//! Invariants: a tombstone is durable before the call returns. It names blocks of the manifest only.
//!
//! Not here: taking one back (`undelete`), rewriting blocks (`compact`), which hooks readers call it from (`source`, `select`).

use std::collections::HashSet;
use std::sync::Arc;

use model::append::SeriesId;
use model::{Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use roaring::RoaringBitmap;

use crate::Error;
use crate::beside::exemplars::Numbered;
use crate::beside::table::exemplars;
use crate::block::{Block, Columns};
use crate::flush::{self, Reach};
use crate::index::BlockIndex;
use crate::manifest::{Manifest, MatcherEntry, TombstoneEntry};
use crate::shared::{Shared, lock};

/// The number of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeletionId(pub u64);

/// A deletion that is not carried out everywhere yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// Its number.
    pub id: DeletionId,
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// Which of their samples.
    pub range: TimeRange,
    /// When it was ordered.
    pub created: TimestampMs,
    /// Whether it was carried out in some blocks, where it can't be taken back.
    pub is_partly_done: bool,
}

impl Tombstone {
    /// Whether it hides what series of these labels have at an instant.
    pub(crate) fn hides(&self, labels: &Labels, at: TimestampMs) -> bool {
        self.range.contains(at) && self.matchers.iter().all(|own| own.matches_labels(labels))
    }
}

/// What became of a deletion that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// All its samples show again.
    Whole,
    /// Some of its samples show again; a merge has left out the others, or newer samples stand in
    /// their places.
    Partly,
    /// There is no such deletion, or a merge has carried it out, or newer samples stand in its place.
    Nothing,
}

/// Ranges of one series that are hidden.
type Ranges = Vec<TimeRange>;

/// What the tombstones of one block hide.
#[derive(Debug)]
pub struct Hidden(Vec<(TimeRange, RoaringBitmap)>);

impl Hidden {
    /// What these hide in the block of this index.
    pub fn new(tombstones: &[Arc<Tombstone>], index: &BlockIndex) -> Hidden {
        let hides = |tombstone: &Arc<Tombstone>| {
            (tombstone.range, index.index().select(&tombstone.matchers))
        };
        Hidden(tombstones.iter().map(hides).collect())
    }

    /// What is hidden of the series of this ordinal.
    pub fn ranges(&self, sid: u32) -> Ranges {
        let own = self.0.iter().filter(|(_, sids)| sids.contains(sid));
        own.map(|(range, _)| *range).collect()
    }

    /// Whether all samples of a series from one instant to another (itself included) are hidden.
    pub fn hides_all(&self, sid: u32, first_ms: i64, last_ms: i64) -> bool {
        let mut ranges = self.ranges(sid);
        ranges.sort_unstable_by_key(|range| range.start_ms());
        let mut covered_ms = first_ms;
        for range in ranges {
            if range.start_ms().0 > covered_ms {
                return false;
            }
            covered_ms = covered_ms.max(range.end_ms().0);
            if covered_ms > last_ms {
                return true;
            }
        }
        false
    }

    /// Takes hidden samples out of a series' columns.
    pub fn hide(&self, sid: u32, columns: &mut Columns) {
        self.hide_from(0, sid, columns);
    }

    /// Takes hidden samples out of columns whose rows from `start` on are the series'.
    pub fn hide_from(&self, start: usize, sid: u32, columns: &mut Columns) {
        for range in self.ranges(sid) {
            let own = &columns.instants_ms[start..];
            let from = start + own.partition_point(|at_ms| *at_ms < range.start_ms().0);
            let to = start + own.partition_point(|at_ms| *at_ms < range.end_ms().0);
            columns.instants_ms.drain(from..to);
            columns.values.drain(from..to);
        }
    }
}

impl TombstoneEntry {
    /// What the entry says; `None` when its text can't be read.
    pub fn tombstone(&self) -> Option<Tombstone> {
        let matcher = |entry: &MatcherEntry| {
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let op = ops.into_iter().find(|op| op.sign() == entry.op)?;
            Matcher::new(&entry.name, op, &entry.value).ok()
        };
        Some(Tombstone {
            id: DeletionId(self.id),
            matchers: self.matchers.iter().map(matcher).collect::<Option<_>>()?,
            range: TimeRange::new(TimestampMs(self.start_ms), TimestampMs(self.end_ms))?,
            created: TimestampMs(self.created_ms),
            is_partly_done: self.is_partly_done,
        })
    }
}

/// The tombstones of a block that the manifest names.
pub fn of_block(manifest: &Manifest, block_id: &str) -> Vec<Arc<Tombstone>> {
    let names = |entry: &&TombstoneEntry| entry.block_ids.iter().any(|own| own == block_id);
    let own = manifest.tombstones.iter().filter(names);
    own.filter_map(TombstoneEntry::tombstone).map(Arc::new).collect()
}

/// Shows every block under the tombstones that the manifest has for it.
pub fn show(manifest: &Manifest, blocks: &mut [Arc<Block>]) {
    for block in blocks {
        let tombstones = of_block(manifest, &block.meta().block_id);
        if block.tombstones() != tombstones {
            *block = Arc::new(block.with_tombstones(tombstones));
        }
    }
}

/// Hides the samples that are there now. `None` when no block has such series in the range.
pub fn delete(
    shared: &Shared,
    matchers: &[Matcher],
    range: TimeRange,
) -> Result<Option<DeletionId>, Error> {
    flush::flush(shared, Reach::All)?;
    let mut flushing = lock(&shared.flushing);
    let mut block_ids = Vec::new();
    let passes = |id| {
        let head = shared.head();
        let labels = head.registry.slot_of(id).map(|slot| head.registry.labels(slot));
        labels.is_some_and(|labels| matchers.iter().all(|own| own.matches_labels(&labels)))
    };
    for block in shared.blocks().iter() {
        // A block that can't be read now may be read again later: the deletion holds there too.
        let has_series = || match block.index() {
            Ok(index) => !index.index().select(matchers).is_empty(),
            Err(_) => true,
        };
        let is_named = |one: &Numbered| range.contains(one.exemplar.at) && passes(one.id);
        if block.range().overlaps(range) && has_series()
            || exemplars(block, &mut Vec::new()).iter().any(is_named)
        {
            block_ids.push(block.meta().block_id.clone());
        }
    }
    block_ids.extend(shared.absent.block_ids());
    if block_ids.is_empty() {
        return Ok(None);
    }
    let mut manifest = flushing.manifest.clone();
    manifest.deletions_created += 1;
    let entry = |matcher: &Matcher| MatcherEntry {
        name: matcher.name().to_owned(),
        op: matcher.op().sign().to_owned(),
        value: matcher.value().to_owned(),
    };
    manifest.tombstones.push(TombstoneEntry {
        id: manifest.deletions_created,
        matchers: matchers.iter().map(entry).collect(),
        start_ms: range.start_ms().0,
        end_ms: range.end_ms().0,
        created_ms: shared.clock.now().0,
        block_ids,
        is_partly_done: false,
    });
    manifest.write(&shared.disk, &shared.dir)?;
    let id = DeletionId(manifest.deletions_created);
    shared.change_blocks(|blocks| show(&manifest, blocks));
    flushing.manifest = manifest;
    let gone: HashSet<SeriesId> = {
        let ids: Vec<SeriesId> = shared.head().beside.exemplars.series().collect();
        ids.into_iter().filter(|id| passes(*id)).collect()
    };
    let mut head = shared.head_mut();
    head.beside.exemplars.forget(|id, at| range.contains(at) && gone.contains(&id));
    Ok(Some(id))
}

/// All deletions that are not carried out everywhere, in the order they were made.
pub fn list(shared: &Shared) -> Vec<Tombstone> {
    let flushing = lock(&shared.flushing);
    flushing.manifest.tombstones.iter().filter_map(TombstoneEntry::tombstone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start_ms: i64, end_ms: i64) -> TimeRange {
        TimeRange::new(TimestampMs(start_ms), TimestampMs(end_ms)).unwrap()
    }

    #[track_caller]
    fn check(ranges: &[(i64, i64)], left: &[i64], hides_all: bool) {
        let all = |pair: &(i64, i64)| (range(pair.0, pair.1), RoaringBitmap::from([7]));
        let hidden = Hidden(ranges.iter().map(all).collect());
        let mut columns =
            Columns { instants_ms: (0..5).collect(), values: (0..5).map(f64::from).collect() };
        hidden.hide(6, &mut columns);
        assert_eq!(columns.values.len(), 5, "another series");
        hidden.hide(7, &mut columns);
        assert_eq!(columns.instants_ms, left);
        assert_eq!(columns.values.len(), left.len());
        assert_eq!(hidden.hides_all(7, 0, 4), hides_all);
        assert!(!hidden.hides_all(6, 0, 4));
    }

    #[test]
    fn ranges_hide() {
        check(&[], &[0, 1, 2, 3, 4], false);
        check(&[(1, 3)], &[0, 3, 4], false);
        check(&[(3, 9), (-5, 1)], &[1, 2], false);
        check(&[(2, 4), (1, 3)], &[0, 4], false);
        check(&[(2, 5), (0, 2)], &[], true);
        check(&[(i64::MIN, i64::MAX)], &[], true);
    }

    #[test]
    fn an_entry_is_read() {
        let entry = TombstoneEntry {
            id: 3,
            matchers: vec![MatcherEntry { name: "a".into(), op: "=~".into(), value: "b.*".into() }],
            start_ms: 1,
            end_ms: 2,
            created_ms: 4,
            block_ids: vec!["B".into()],
            is_partly_done: false,
        };
        let tombstone = entry.tombstone().unwrap();
        assert_eq!(tombstone.matchers[0].to_string(), "a=~\"b.*\"");
        assert_eq!((tombstone.id, tombstone.range), (DeletionId(3), range(1, 2)));
        let wrong = TombstoneEntry { end_ms: 1, ..entry };
        assert_eq!(wrong.tombstone(), None);
    }
}
