//! What series have beside their numbers: memory and the blocks as one.
//!
//! Place in the flow: [`crate::Store::beside`] → **`BesideScan`** → the query engine.
//!
//! Like a scan of numbers it is a picture of one instant. It works in windows of series, so that
//! only so many histograms are in memory at once, and every row group is read once per window.
//!
//! Invariants: positions ascend; instants of a series ascend and are unique; memory wins over
//! blocks, a later block over an earlier one; series that have nothing beside numbers are absent.
//!
//! Not here: numbers (`crate::scan`).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use model::append::SeriesId;
use model::{Histogram, TimeRange, TimestampMs};

use super::columns::{histogram_rows, start_rows};
use super::file::{HISTOGRAMS_FILE, STARTS_FILE};
use super::table::{self, Decode, Timed};
use super::{Beside, Piece, Rows};
use crate::Error;
use crate::block::Block;
use crate::shared::Shared;
use crate::source::index_or_set_aside;

/// Series of one window.
const WINDOW_SERIES_MAX: usize = 512;
/// Rows of one window, unless a single series has more.
const WINDOW_ROWS: u64 = 32 * 1024;

/// What series have beside their numbers, by position.
#[derive(Debug)]
pub struct BesideScan {
    range: TimeRange,
    ids: Vec<SeriesId>,
    pieces: Vec<Option<Piece>>,
    blocks: Vec<Arc<Block>>,
    position: usize,
    ready: std::collections::VecDeque<Beside>,
    warnings: Vec<String>,
}

fn has_files(block: &Block) -> bool {
    [HISTOGRAMS_FILE, STARTS_FILE].iter().any(|name| block.meta().file(name).is_some())
}

impl BesideScan {
    pub(crate) fn new(shared: &Shared, ids: &[SeriesId], range: TimeRange) -> BesideScan {
        let mut pieces = Vec::new();
        {
            let head = shared.head();
            if !head.beside.is_empty() {
                let piece = |id: &SeriesId| head.beside.piece(head.registry.slot_of(*id)?, range);
                pieces.extend(ids.iter().map(piece));
            }
        }
        // Memory first, blocks second: a flush in between shows samples twice, never not at all.
        let blocks = shared.blocks();
        let touched =
            blocks.iter().filter(|block| has_files(block) && block.range().overlaps(range));
        let blocks: Vec<Arc<Block>> = touched.cloned().collect();
        let is_empty = blocks.is_empty() && pieces.iter().all(Option::is_none);
        BesideScan {
            range,
            ids: if is_empty { Vec::new() } else { ids.to_vec() },
            pieces,
            blocks,
            position: 0,
            ready: std::collections::VecDeque::new(),
            warnings: Vec::new(),
        }
    }

    /// What could not be read so far because it is damaged; empty when the answer is whole.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn read_window(&mut self) {
        let start = self.position;
        let mut warnings = Vec::new();
        let end = self.window_end(&mut warnings);
        let ids = &self.ids[start..end];
        let mut sources: Vec<Vec<Rows>> = vec![Vec::new(); ids.len()];
        for block in &self.blocks {
            let read = read_block(block, ids, self.range, &mut warnings);
            for (source, rows) in sources.iter_mut().zip(read) {
                if !rows.is_empty() {
                    source.push(rows);
                }
            }
        }
        for (position, mut source) in (start..end).zip(sources) {
            if let Some(piece) = self.pieces.get_mut(position).and_then(Option::take) {
                source.push(piece.rows(self.range));
            }
            let rows = merge(source);
            if !rows.is_empty() {
                self.ready.push_back(Beside::new(position, rows));
            }
        }
        self.position = end;
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Where the window ends: after enough rows, or before a series that is in it already.
    fn window_end(&self, warnings: &mut Vec<String>) -> usize {
        let start = self.position;
        let mut known: Vec<_> = Vec::new();
        for block in &self.blocks {
            let Some(index) = index_or_set_aside(block, warnings) else { continue };
            known.push((index, table::open(block, HISTOGRAMS_FILE, warnings)));
        }
        let (mut rows, mut seen) = (0u64, HashSet::new());
        let mut end = start;
        while end < self.ids.len() && end - start < WINDOW_SERIES_MAX {
            let id = self.ids[end];
            if !seen.insert(id) {
                break;
            }
            let in_blocks = known.iter().filter_map(|(index, table)| {
                let rows = table.as_ref()?.rows_of(index.sid_of(id)?)?;
                Some(rows.end - rows.start)
            });
            let own: u64 = in_blocks.sum();
            if rows > 0 && rows + own > WINDOW_ROWS {
                break;
            }
            rows += own;
            end += 1;
        }
        end
    }
}

impl Iterator for BesideScan {
    type Item = Result<Beside, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && self.position < self.ids.len() {
            self.read_window();
        }
        self.ready.pop_front().map(Ok)
    }
}

/// What a block has of distinct series in the range.
pub fn read_block(
    block: &Block,
    ids: &[SeriesId],
    range: TimeRange,
    warnings: &mut Vec<String>,
) -> Vec<Rows> {
    let mut all = vec![Rows::default(); ids.len()];
    if !has_files(block) {
        return all;
    }
    let Some(index) = index_or_set_aside(block, warnings) else { return all };
    let sids: Vec<Option<u32>> = ids.iter().map(|id| index.sid_of(*id)).collect();
    let histograms = read_file(block, HISTOGRAMS_FILE, (&sids, range, histogram_rows), warnings);
    let starts = read_file(block, STARTS_FILE, (&sids, range, start_rows), warnings);
    for (position, rows) in histograms.into_iter().enumerate() {
        all[position].histograms = rows;
    }
    for (position, rows) in starts.into_iter().enumerate() {
        all[position].starts = rows;
    }
    if let Some(hidden) = block.hidden(&index) {
        for (rows, sid) in all.iter_mut().zip(&sids) {
            let ranges = sid.map(|sid| hidden.ranges(sid)).unwrap_or_default();
            let shows = |at_ms: i64| !ranges.iter().any(|own| own.contains(TimestampMs(at_ms)));
            rows.retain(shows);
        }
    }
    all
}

type Question<'a, T> = (&'a [Option<u32>], TimeRange, Decode<T>);

fn read_file<T: Timed>(
    block: &Block,
    name: &'static str,
    (sids, range, decode): Question<'_, T>,
    warnings: &mut Vec<String>,
) -> Vec<Vec<T>> {
    let mut out: Vec<Vec<T>> = Vec::new();
    out.resize_with(sids.len(), Vec::new);
    let Some(table) = table::open(block, name, warnings) else { return out };
    let rows = |(position, sid): (usize, &Option<u32>)| Some((table.rows_of((*sid)?)?, position));
    let mut wanted: Vec<(Range<u64>, usize)> = sids.iter().enumerate().filter_map(rows).collect();
    wanted.sort_unstable_by_key(|(rows, _)| rows.start);
    if !wanted.is_empty() {
        table.read(&wanted, (range, decode), &mut out, (block, warnings));
    }
    out
}

/// The sources of one series as one; later sources win at equal instants.
pub fn merge(mut sources: Vec<Rows>) -> Rows {
    if sources.len() <= 1 {
        return sources.pop().unwrap_or_default();
    }
    let mut all = Rows::default();
    for source in sources {
        all.histograms.extend(source.histograms);
        all.starts.extend(source.starts);
    }
    // Stable, so that of equal instants the later source stands last.
    all.histograms.sort_by_key(|row| row.at_ms);
    all.starts.sort_by_key(|start| start.0);
    keep_last(&mut all.histograms, |row| row.at_ms);
    keep_last(&mut all.starts, |start| start.0);
    all
}

fn keep_last<T>(rows: &mut Vec<T>, at_ms: impl Fn(&T) -> i64) {
    rows.reverse();
    rows.dedup_by_key(|row| at_ms(row));
    rows.reverse();
}

/// The histogram of a series at an instant in any block.
pub fn histogram_in_blocks(
    blocks: &[Arc<Block>],
    id: SeriesId,
    at_ms: i64,
) -> Option<Arc<Histogram>> {
    let range = TimeRange::closed(TimestampMs(at_ms), TimestampMs(at_ms))?;
    let touched = blocks.iter().filter(|block| block.range().overlaps(range));
    let mut found = touched.filter_map(|block| {
        let rows = read_block(block, &[id], range, &mut Vec::new()).pop()?;
        rows.histograms.last().map(|row| Arc::clone(&row.histogram))
    });
    found.next_back()
}
