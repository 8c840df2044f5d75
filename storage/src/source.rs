//! The rows of chosen series out of all blocks, and of one series as one.
//!
//! Place in the flow: a compaction reads windows of series here, a reader merges what it found; the
//! committer asks for the neighbours of late samples.
//!
//! Invariants: instants of a merged series ascend and are unique; memory wins over blocks, a later
//! block over an earlier one (they only differ when a write that failed came back after a restart).
//!
//! Not here: reading series by series (`read`).

use std::sync::Arc;

use model::append::SeriesId;
use model::{TimeRange, TimestampMs};

use crate::block::{Block, Columns};
use crate::index::file::BlockSeries;
use crate::series::NumberMap;

/// The newest instant each series has in any block, looked up once for all of them: after a restart
/// the first sample of every series asks.
#[derive(Debug, Default)]
pub struct NewestInBlocks(Option<(NumberMap<i64>, Option<i64>)>);

impl NewestInBlocks {
    /// The newest instant of a series that has had no sample in memory since the start.
    pub fn of(&mut self, blocks: &[Arc<Block>], id: SeriesId) -> Option<i64> {
        let (newest, unread_ms) = self.0.get_or_insert_with(|| {
            let (mut newest, mut unread_ms) = (NumberMap::default(), None);
            for block in blocks {
                let Some(index) = index_or_set_aside(block, &mut Vec::new()) else {
                    // Any series may be in it.
                    unread_ms = unread_ms.max(Some(block.meta().max_ms));
                    continue;
                };
                for series in index.series() {
                    let known = newest.entry(series.id.0).or_insert(series.max_ms);
                    *known = series.max_ms.max(*known);
                }
            }
            (newest, unread_ms)
        });
        newest.get(&id.0).copied().max(*unread_ms)
    }
}

/// How many rows the blocks have of a series, in all.
pub fn block_rows(blocks: &[Arc<Block>], id: SeriesId) -> u64 {
    let rows = |block: &Arc<Block>| {
        let index = index_or_set_aside(block, &mut Vec::new())?;
        Some(index.series()[index.sid_of(id)? as usize].rows)
    };
    blocks.iter().filter_map(rows).sum()
}

/// What the blocks have of each series in a range; `None` when not all of it can be read. `ids` are
/// distinct.
pub fn columns_in_blocks(
    blocks: &[Arc<Block>],
    ids: &[SeriesId],
    range: TimeRange,
) -> Option<Vec<Columns>> {
    let touched: Vec<_> =
        blocks.iter().filter(|block| block.range().overlaps(range)).cloned().collect();
    let (mut sources, mut warnings) = (vec![Vec::new(); ids.len()], Vec::new());
    read_blocks(&touched, ids, range, &mut sources, &mut warnings);
    if !warnings.is_empty() {
        return None;
    }
    let one = |mut sources: Vec<Columns>| {
        if sources.len() == 1 {
            return sources.remove(0);
        }
        let mut all = Columns::default();
        merge(&sources, &mut all.instants_ms, &mut all.values);
        all
    };
    Some(sources.into_iter().map(one).collect())
}

/// The value of a series at an instant in any block.
pub fn value_in_blocks(blocks: &[Arc<Block>], id: SeriesId, at_ms: i64) -> Option<f64> {
    let range = TimeRange::closed(TimestampMs(at_ms), TimestampMs(at_ms))?;
    columns_in_blocks(blocks, &[id], range)?.pop()?.values.last().copied()
}

/// The index of a block; `None` when it is damaged, which is then named.
pub fn index_or_set_aside(
    block: &Block,
    warnings: &mut Vec<String>,
) -> Option<Arc<crate::index::BlockIndex>> {
    if block.is_set_aside() {
        warnings.extend(block.damage());
        return None;
    }
    match block.index() {
        Ok(index) => Some(index),
        Err(error) => {
            warnings.push(block.set_aside(&error));
            None
        }
    }
}

/// Appends to each series what each block has of it, in the order of the blocks. `ids` are distinct.
pub fn read_blocks(
    blocks: &[Arc<Block>],
    ids: &[SeriesId],
    range: TimeRange,
    sources: &mut [Vec<Columns>],
    warnings: &mut Vec<String>,
) {
    for block in blocks {
        let Some(index) = index_or_set_aside(block, warnings) else { continue };
        let mut wanted: Vec<(BlockSeries, usize)> = Vec::new();
        for (position, id) in ids.iter().enumerate() {
            let Some(sid) = index.sid_of(*id) else { continue };
            let series = index.series()[sid as usize];
            if series.rows > 0
                && series.min_ms < range.end_ms().0
                && series.max_ms >= range.start_ms().0
            {
                wanted.push((series, position));
            }
        }
        if wanted.is_empty() {
            continue;
        }
        wanted.sort_unstable_by_key(|(series, _)| series.first_row);
        let mut columns = vec![Columns::default(); ids.len()];
        if let Err(error) = block.read(&wanted, range, &mut columns, warnings) {
            warnings.push(block.set_aside(&error));
            continue;
        }
        let hidden = block.hidden(&index);
        for (position, mut columns) in columns.into_iter().enumerate() {
            if let (Some(hidden), Some(sid)) = (hidden, index.sid_of(ids[position])) {
                hidden.hide(sid, &mut columns);
            }
            if !columns.values.is_empty() {
                sources[position].push(columns);
            }
        }
    }
}

/// Appends the sources of one series as one; later sources win at equal instants.
pub fn merge(sources: &[Columns], instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
    let in_order =
        sources.windows(2).all(|pair| pair[0].instants_ms.last() < pair[1].instants_ms.first());
    if in_order {
        for source in sources {
            instants_ms.extend_from_slice(&source.instants_ms);
            values.extend_from_slice(&source.values);
        }
        return;
    }
    let mut all: Vec<(i64, usize, f64)> = Vec::new();
    for (priority, source) in sources.iter().enumerate() {
        let pairs = source.instants_ms.iter().zip(&source.values);
        all.extend(pairs.map(|(at_ms, value)| (*at_ms, priority, *value)));
    }
    all.sort_unstable_by_key(|(at_ms, priority, _)| (*at_ms, *priority));
    for (index, (at_ms, _, value)) in all.iter().enumerate() {
        if all.get(index + 1).is_none_or(|next| next.0 != *at_ms) {
            instants_ms.push(*at_ms);
            values.push(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sources: &[&[(i64, f64)]], expected: &[(i64, f64)]) {
        let columns = |rows: &&[(i64, f64)]| Columns {
            instants_ms: rows.iter().map(|row| row.0).collect(),
            values: rows.iter().map(|row| row.1).collect(),
        };
        let sources: Vec<Columns> = sources.iter().map(columns).collect();
        let (mut instants, mut values) = (Vec::new(), Vec::new());
        merge(&sources, &mut instants, &mut values);
        let got: Vec<_> = instants.into_iter().zip(values).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn sources_become_one() {
        check(&[], &[]);
        check(&[&[(1, 1.0)], &[(2, 2.0)]], &[(1, 1.0), (2, 2.0)]);
        check(&[&[(1, 1.0), (3, 3.0)], &[(2, 2.0)]], &[(1, 1.0), (2, 2.0), (3, 3.0)]);
        check(&[&[(1, 1.0), (2, 2.0)], &[(2, 9.0)]], &[(1, 1.0), (2, 9.0)]);
        check(&[&[(5, 5.0)], &[(1, 1.0)], &[(5, 6.0)]], &[(1, 1.0), (5, 6.0)]);
    }
}
