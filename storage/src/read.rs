//! Reading samples series by series: memory and blocks as one, without a copy more than needed.
//!
//! Place in the flow: [`crate::Store::read`] → **`Reader`** → the query leaf, `Scan`.
//!
//! A reader is a picture of one instant: it holds what was in memory and which blocks there were
//! when it began, whatever a flush does meanwhile. Several readers can share one picture, each with
//! a part of the series.
//!
//! Series come in the order they are stored in, so that each page is read once; each tells the
//! position it was asked for at.
//!
//! Invariants: instants of a series ascend and are unique; series without samples are absent.
//!
//! Not here: which series (`select`), how blocks are read (`block::reader`), batches (`scan`).

use std::ops::Range;
use std::sync::Arc;

use model::TimeRange;
use model::append::SeriesId;

use crate::block::{Ask, Block, BlockRows, Columns};
use crate::index::BlockIndex;
use crate::index::file::BlockSeries;
use crate::memtable::{Piece, Sample};
use crate::reads::Reads;
use crate::shared::Shared;
use crate::source::{index_or_set_aside, merge};

/// What is wanted of each series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// All samples in the range.
    All,
    /// The newest sample in the range; older ones may come with it.
    Newest,
    /// The instants of all samples in the range. The value of a sample that is no stale marker may
    /// be another number.
    Instants,
    /// The same of the newest sample in the range; older ones may come with it.
    NewestInstant,
}

impl Want {
    /// Whether only the newest sample is wanted.
    pub fn is_newest(self) -> bool {
        matches!(self, Want::Newest | Want::NewestInstant)
    }

    /// Whether values are wanted.
    pub fn has_values(self) -> bool {
        matches!(self, Want::All | Want::Newest)
    }
}

/// In which order series come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they were asked for.
    Asked,
    /// As they are stored.
    Stored,
}

/// The samples of one series.
#[derive(Debug, Clone, Copy)]
pub struct SeriesSlice<'a> {
    /// Where the series stands in the slice asked for.
    pub position: usize,
    /// Ascending.
    pub instants_ms: &'a [i64],
    /// One for each instant.
    pub values: &'a [f64],
}

/// What memory has of a series.
#[derive(Debug)]
enum InMemory {
    Nothing,
    /// Boxed: most queries of many series want the newest sample only.
    Piece(Box<Piece>),
    /// The newest of memory, inside the range: only blocks with a later one are looked at.
    Newest(Sample),
}

/// A series to come.
#[derive(Debug)]
struct Visit {
    position: u32,
    in_memory: InMemory,
}

/// Not in a block.
const ABSENT: u32 = u32::MAX;

/// A block, and the ordinal of each series to come.
#[derive(Debug)]
struct FromBlock {
    block: Arc<Block>,
    index: Arc<BlockIndex>,
    sids: Vec<u32>,
    rows: Option<BlockRows>,
    is_over: bool,
}

/// Gives the samples of its series, one after the other.
#[derive(Debug)]
pub struct Reader {
    range: TimeRange,
    want: Want,
    visits: Vec<Visit>,
    blocks: Vec<FromBlock>,
    next: usize,
    columns: Columns,
    merged: Columns,
    starts: Vec<usize>,
    warnings: Vec<String>,
    /// Blocks that all readers of the picture looked at; only the first one tells.
    looked_at: Reads,
}

/// The ordinals of the series in a block that may have samples in the range.
fn ordinals(index: &BlockIndex, ids: &[SeriesId], range: TimeRange) -> Vec<u32> {
    let touches = |sid: &u32| {
        let series = &index.series()[*sid as usize];
        // Without rows: it has nothing but what lies beside numbers.
        series.rows > 0 && series.min_ms < range.end_ms().0 && series.max_ms >= range.start_ms().0
    };
    index.sids_of(ids).map(|sid| sid.filter(touches).unwrap_or(ABSENT)).collect()
}

/// All positions, those of one block after the other, each in the order of its rows.
fn stored_order(count: usize, blocks: &[(Arc<Block>, Arc<BlockIndex>, Vec<u32>)]) -> Vec<u32> {
    let held = |sids: &[u32]| sids.iter().filter(|sid| **sid != ABSENT).count();
    let mut by_size: Vec<(usize, &[u32])> =
        blocks.iter().map(|(_, _, sids)| (held(sids), sids.as_slice())).collect();
    by_size.sort_by_key(|(held, _)| std::cmp::Reverse(*held));
    let mut is_taken = vec![false; count];
    let mut order = Vec::with_capacity(count);
    for (_, sids) in by_size {
        let held = sids
            .iter()
            .zip(0..)
            .filter(|(sid, position)| **sid != ABSENT && !is_taken[*position as usize])
            .map(|(sid, position)| (*sid, position));
        let mut own: Vec<(u32, u32)> = held.collect();
        if !own.is_sorted() {
            own.sort_unstable();
        }
        for (_, position) in own {
            is_taken[position as usize] = true;
            order.push(position);
        }
        if order.len() == count {
            return order;
        }
    }
    order.extend((0..).zip(&is_taken).filter(|(_, is_taken)| !**is_taken).map(|(at, _)| at));
    order
}

impl FromBlock {
    /// The part of a touched block that a reader of these positions needs.
    fn of(
        (block, index, sids): &(Arc<Block>, Arc<BlockIndex>, Vec<u32>),
        share: &[u32],
    ) -> FromBlock {
        let sids: Vec<u32> = share.iter().map(|at| sids[*at as usize]).collect();
        let is_over = sids.iter().all(|sid| *sid == ABSENT);
        let (block, index) = (Arc::clone(block), Arc::clone(index));
        FromBlock { block, index, sids, rows: None, is_over }
    }
}

fn as_asked(count: usize) -> Vec<u32> {
    (0..u32::try_from(count).expect("slices of series fit 32 bits")).collect()
}

impl Reader {
    /// Readers over one picture of the store, each with about as many of the series.
    pub(crate) fn open(
        shared: &Shared,
        ids: &[SeriesId],
        range: TimeRange,
        (want, order, parts): (Want, Order, usize),
    ) -> Vec<Reader> {
        let mut warnings = shared.absent.warnings();
        let mut in_memory = look_into_memory(shared, ids, (range, want));
        // After a restart memory may hold nothing but late samples: a block may have newer ones.
        let newest_ms = |own: &InMemory| match own {
            InMemory::Newest(sample) => Some(sample.at_ms),
            InMemory::Nothing | InMemory::Piece(_) => None,
        };
        let done_ms = in_memory.iter().map(newest_ms).min().flatten();
        // Memory first, blocks second: a flush in between shows samples twice, never not at all.
        let blocks = shared.blocks();
        let mut touched = Vec::new();
        let may_matter = |block: &&Arc<Block>| {
            block.range().overlaps(range) && done_ms.is_none_or(|done| block.meta().max_ms > done)
        };
        for block in blocks.iter().filter(may_matter) {
            let Some(index) = index_or_set_aside(block, &mut warnings) else { continue };
            let mut sids = ordinals(&index, ids, range);
            let is_newer = |sid: u32, at: i64| index.series()[sid as usize].max_ms > at;
            for (sid, own) in sids.iter_mut().zip(&in_memory) {
                if *sid != ABSENT && newest_ms(own).is_some_and(|at| !is_newer(*sid, at)) {
                    *sid = ABSENT;
                }
            }
            if sids.iter().any(|sid| *sid != ABSENT) {
                touched.push((Arc::clone(block), index, sids));
            }
        }
        // The first reader tells of blocks for all of them.
        let mut looked_at = Reads {
            blocks_read: touched.len() as u64,
            blocks_pruned: (blocks.len() - touched.len()) as u64,
            ..Reads::default()
        };
        let count = ids.len();
        let order = match order {
            Order::Stored if !touched.is_empty() => stored_order(count, &touched),
            _ => as_asked(count),
        };
        let mut readers = Vec::with_capacity(parts);
        for part in 0..parts {
            let share = &order[count * part / parts..count * (part + 1) / parts];
            let mut visit = |position: &u32| {
                let own = &mut in_memory[*position as usize];
                Visit { position: *position, in_memory: std::mem::replace(own, InMemory::Nothing) }
            };
            let visits = share.iter().map(&mut visit).collect();
            readers.push(Reader {
                range,
                want,
                visits,
                blocks: touched.iter().map(|own| FromBlock::of(own, share)).collect(),
                next: 0,
                columns: Columns::default(),
                merged: Columns::default(),
                starts: Vec::new(),
                warnings: std::mem::take(&mut warnings),
                looked_at: std::mem::take(&mut looked_at),
            });
        }
        readers
    }

    /// What could not be read so far because it is damaged; empty when the answer is whole.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What it took so far. Readers of one picture each tell their own part.
    pub fn reads(&self) -> Reads {
        let mut reads = self.looked_at;
        let rows = self.blocks.iter().filter_map(|from| from.rows.as_ref());
        rows.for_each(|rows| reads += rows.reads());
        reads
    }

    /// The next series that has samples.
    pub fn next_series(&mut self) -> Option<SeriesSlice<'_>> {
        while self.next < self.visits.len() {
            let visit = self.next;
            self.next += 1;
            self.columns.clear();
            self.starts.clear();
            self.read(visit);
            if self.columns.values.is_empty() {
                continue;
            }
            let own = &self.columns;
            return Some(SeriesSlice {
                position: self.visits[visit].position as usize,
                instants_ms: &own.instants_ms,
                values: &own.values,
            });
        }
        None
    }

    /// Reads a series into `columns`, the blocks in their order, then memory.
    fn read(&mut self, visit: usize) {
        for from in &mut self.blocks {
            if from.is_over || from.sids[visit] == ABSENT {
                continue;
            }
            self.starts.push(self.columns.values.len());
            let start = self.columns.values.len();
            from.append(visit, (self.range, self.want), (&mut self.columns, &mut self.warnings));
            if let Some(hidden) = from.block.hidden(&from.index) {
                hidden.hide_from(start, from.sids[visit], &mut self.columns);
            }
        }
        let in_memory = &mut self.visits[visit].in_memory;
        self.starts.push(self.columns.values.len());
        match std::mem::replace(in_memory, InMemory::Nothing) {
            InMemory::Nothing => {}
            InMemory::Newest(sample) => {
                self.columns.instants_ms.push(sample.at_ms);
                self.columns.values.push(sample.value);
            }
            InMemory::Piece(piece) => {
                piece.decode(self.range, &mut self.columns.instants_ms, &mut self.columns.values);
            }
        }
        let instants_ms = &self.columns.instants_ms;
        let joins = self.starts.iter().copied().filter(|at| 0 < *at && *at < instants_ms.len());
        if joins.into_iter().all(|at| instants_ms[at - 1] < instants_ms[at]) {
            return;
        }
        let mut parts = Vec::new();
        for (index, start) in self.starts.iter().enumerate() {
            let end = self.starts.get(index + 1).copied().unwrap_or(instants_ms.len());
            parts.push(Columns {
                instants_ms: instants_ms[*start..end].to_vec(),
                values: self.columns.values[*start..end].to_vec(),
            });
        }
        parts.retain(|part| !part.values.is_empty());
        self.merged.clear();
        merge(&parts, &mut self.merged.instants_ms, &mut self.merged.values);
        std::mem::swap(&mut self.merged, &mut self.columns);
    }
}

impl FromBlock {
    fn append(
        &mut self,
        visit: usize,
        (range, want): (TimeRange, Want),
        (out, warnings): (&mut Columns, &mut Vec<String>),
    ) {
        if self.rows.is_none() {
            match BlockRows::new(&self.block) {
                Ok(rows) => self.rows = Some(rows),
                Err(error) => {
                    self.is_over = true;
                    warn(warnings, self.block.set_aside(&error));
                    return;
                }
            }
        }
        let all = self.index.series();
        let sid = self.sids[visit];
        let rest = &self.sids[visit + 1..];
        let next = |show: &mut dyn FnMut(Range<u64>) -> bool| {
            let mut reached = 0;
            for sid in rest.iter().filter(|own| **own != ABSENT) {
                let series = &all[*sid as usize];
                let wanted = wanted_rows(series, (range, want));
                if series.first_row < reached || !show(wanted.clone()) {
                    break;
                }
                reached = wanted.end;
            }
        };
        let Some(rows) = &mut self.rows else { return };
        let mut found = Vec::new();
        let ask = Ask { range, want, next: &next };
        rows.append(&self.block, &all[sid as usize], ask, (out, &mut found));
        found.into_iter().for_each(|warning| warn(warnings, warning));
    }
}

/// The rows of a series that hold what is wanted, as far as the index tells.
fn wanted_rows(series: &BlockSeries, (range, want): (TimeRange, Want)) -> Range<u64> {
    let inside = match series.is_regular {
        true => series.rows_before(range.start_ms().0)..series.rows_before(range.end_ms().0),
        false => 0..series.rows,
    };
    let is_told = series.is_regular || series.max_ms < range.end_ms().0;
    let start = match want.is_newest() && is_told {
        true => inside.end.saturating_sub(1).max(inside.start),
        false => inside.start,
    };
    series.first_row + start..series.first_row + inside.end
}

fn warn(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}

/// What memory has of each series, taken under one lock.
fn look_into_memory(
    shared: &Shared,
    ids: &[SeriesId],
    (range, want): (TimeRange, Want),
) -> Vec<InMemory> {
    let head = shared.head();
    let look = |id: &SeriesId| {
        let slot = head.registry.slot_of(*id)?;
        let series = head.memtable.get(slot)?;
        // What stands in memory is hidden by no deletion: those flush first.
        if let (true, Some(sample)) = (want.is_newest(), series.newest())
            && range.start_ms().0 <= sample.at_ms
            && sample.at_ms < range.end_ms().0
        {
            return Some(InMemory::Newest(sample));
        }
        series.piece(range).map(|piece| InMemory::Piece(Box::new(piece)))
    };
    ids.iter().map(|id| look(id).unwrap_or(InMemory::Nothing)).collect()
}
