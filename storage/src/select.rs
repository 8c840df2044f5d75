//! Questions about labels: which series, which names, which values. No sample is touched.
//!
//! Place in the flow: HTTP series and label calls, and every selector of a query.
//!
//! Memory answers from the registry's index, each block from its own; the answers are joined by
//! series number.
//!
//! Not here: samples (`scan`), how a matcher selects (`index`).

use std::sync::Arc;

use model::{Matcher, TimeRange};
use roaring::RoaringBitmap;

use crate::SeriesEntry;
use crate::head::Head;
use crate::index::BlockIndex;
use crate::shared::Shared;
use crate::source::index_or_set_aside;

/// What matched in one block, by ordinal.
struct InBlock {
    index: Arc<BlockIndex>,
    sids: RoaringBitmap,
}

fn in_blocks(shared: &Shared, matchers: &[Matcher], range: TimeRange) -> Vec<InBlock> {
    let mut found = Vec::new();
    for block in shared.blocks().iter().filter(|block| block.range().overlaps(range)) {
        let Some(index) = index_or_set_aside(block, &mut Vec::new()) else { continue };
        let mut sids = index.index().select(matchers);
        let own = block.range();
        if own.start_ms() < range.start_ms() || own.end_ms() > range.end_ms() {
            let touches = |sid: &u32| {
                let series = &index.series()[*sid as usize];
                series.min_ms < range.end_ms().0 && series.max_ms >= range.start_ms().0
            };
            sids = sids.iter().filter(touches).collect();
        }
        if let Some(hidden) = block.hidden(&index) {
            let shows = |sid: &u32| {
                let series = &index.series()[*sid as usize];
                let first_ms = series.min_ms.max(range.start_ms().0);
                let last_ms = series.max_ms.min(range.end_ms().0.saturating_sub(1));
                !hidden.hides_all(*sid, first_ms, last_ms)
            };
            sids = sids.iter().filter(shows).collect();
        }
        if !sids.is_empty() {
            found.push(InBlock { index, sids });
        }
    }
    found
}

fn limited<T>(mut all: Vec<T>, limit: usize) -> Vec<T> {
    if limit > 0 {
        all.truncate(limit);
    }
    all
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort_unstable();
    all.dedup();
    all
}

/// Shows the slots of series that pass and have samples in the range, as long as they mean the same;
/// each once, in any order.
pub fn with_slots<T>(
    shared: &Shared,
    matchers: &[Matcher],
    range: TimeRange,
    show: impl FnOnce(&Head, Vec<u32>) -> T,
) -> T {
    let (in_head, generation): (RoaringBitmap, u64) = {
        let head = shared.head();
        let slots = head.active_in(range, head.registry.index().select(matchers));
        (slots, head.generation)
    };
    // Blocks after memory: a flush in between shows a series twice, never not at all.
    let in_blocks = in_blocks(shared, matchers, range);
    let head = shared.head();
    if head.generation != generation {
        drop(head);
        return with_slots(shared, matchers, range, show); // Slots were given anew meanwhile.
    }
    let mut slots: Vec<u32> = in_head.iter().collect();
    for InBlock { index, sids } in in_blocks {
        let is_first = slots.is_empty();
        let ids = sids.iter().map(|sid| index.series()[sid as usize].id);
        slots.extend(ids.filter_map(|id| head.registry.slot_of(id)));
        if !is_first {
            slots.sort_unstable();
            slots.dedup();
        }
    }
    show(&head, slots)
}

/// Series that pass and have samples in the range, sorted by labels.
pub fn series(
    shared: &Shared,
    matchers: &[Matcher],
    range: TimeRange,
    limit: usize,
) -> Vec<SeriesEntry> {
    with_slots(shared, matchers, range, |head, mut slots| {
        head.registry.sort_by_labels(&mut slots);
        let entry = |slot| {
            let known = head.registry.get(slot);
            SeriesEntry { id: known.id, labels: known.labels() }
        };
        limited(slots, limit).into_iter().map(entry).collect()
    })
}

/// Names of labels of the series that pass, sorted.
pub fn label_names(
    shared: &Shared,
    matchers: &[Matcher],
    range: TimeRange,
    limit: usize,
) -> Vec<String> {
    let mut names = Vec::new();
    {
        let head = shared.head();
        let slots = head.active_in(range, head.registry.index().select(matchers));
        head.registry.index().add_names(&slots, &mut names);
    }
    for InBlock { index, sids } in in_blocks(shared, matchers, range) {
        index.index().add_names(&sids, &mut names);
    }
    limited(sorted(names), limit)
}

/// Values of one label among the series that pass, sorted.
pub fn label_values(
    shared: &Shared,
    name: &str,
    matchers: &[Matcher],
    (range, limit): (TimeRange, usize),
) -> Vec<String> {
    let mut values = Vec::new();
    {
        let head = shared.head();
        let slots = head.active_in(range, head.registry.index().select(matchers));
        head.registry.index().add_values(name, &slots, &mut values);
    }
    for InBlock { index, sids } in in_blocks(shared, matchers, range) {
        index.index().add_values(name, &sids, &mut values);
    }
    limited(sorted(values), limit)
}
