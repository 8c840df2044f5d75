//! Taking a deletion back: its samples show again, but where newer ones stand in their places.
//!
//! Place in the flow: [`crate::Store::undelete`] → **undelete** → the manifest without the tombstone,
//! or with one that names fewer blocks.
//!
//! A sample may be stored at an instant where another one is hidden. It was acknowledged, so it must
//! not be covered when the hidden one comes back, and no reader and no merge knows which of two is the
//! newer one. So a block in which a hidden sample has such a rival stays under the deletion as a whole.
//!
//! Most deletions are taken back without reading a sample: spans of series rarely overlap.
//!
//! Invariant: an instant of a series shows one value before and after; no commit comes in between.
//!
//! Not here: ordering deletions and what they hide (`tombstone`).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::append::SeriesId;
use model::{Histogram, TimeRange};

use crate::Error;
use crate::beside::codec::same_content;
use crate::beside::scan::read_block;
use crate::block::Block;
use crate::index::file::BlockSeries;
use crate::shared::{Shared, lock};
use crate::source::read_blocks;
use crate::tombstone::{DeletionId, Tombstone, Undone, show};

/// Series that are compared at once.
const WINDOW_SERIES: usize = 256;

/// Takes a deletion back, as far as no merge has carried it out and no newer sample is in the way.
pub fn undelete(shared: &Shared, id: DeletionId) -> Result<Undone, Error> {
    let mut flushing = lock(&shared.flushing);
    let _no_commit = lock(&shared.eras);
    let mut manifest = flushing.manifest.clone();
    let found = manifest.tombstones.iter().position(|entry| entry.id == id.0);
    let Some(index) = found else { return Ok(Undone::Nothing) };
    let mut entry = manifest.tombstones.remove(index);
    if let Some(tombstone) = entry.tombstone() {
        let named = std::mem::take(&mut entry.block_ids);
        entry.block_ids = blocks_that_stay(shared, &tombstone, &named)?;
        if entry.block_ids.len() == named.len() {
            return Ok(Undone::Nothing);
        }
    }
    let is_whole = !entry.is_partly_done && entry.block_ids.is_empty();
    if !entry.block_ids.is_empty() {
        entry.is_partly_done = true;
        manifest.tombstones.insert(index, entry);
    }
    manifest.write(&shared.disk, &shared.dir)?;
    shared.change_blocks(|blocks| show(&manifest, blocks));
    flushing.manifest = manifest;
    Ok(if is_whole { Undone::Whole } else { Undone::Partly })
}

/// The blocks that can't be shown without the deletion.
fn blocks_that_stay(
    shared: &Shared,
    tombstone: &Tombstone,
    named: &[String],
) -> Result<Vec<String>, Error> {
    let mut blocks: Vec<Arc<Block>> = shared.blocks().as_ref().clone();
    let mut staying = Vec::new();
    for block_id in named {
        let place = blocks.iter().position(|block| block.meta().block_id == *block_id);
        // One that can't be read now shows when it can.
        let Some(place) = place else { continue };
        let hidden = blocks.remove(place);
        let others = hidden.tombstones().iter().filter(|own| own.id != tombstone.id);
        let shown = Arc::new(hidden.with_tombstones(others.cloned().collect()));
        let has_rivals = has_rivals(shared, tombstone, (&shown, &blocks))?;
        if has_rivals {
            staying.push(block_id.clone());
        }
        blocks.insert(place, if has_rivals { hidden } else { shown });
    }
    Ok(staying)
}

/// Whether something else shows in place of a sample that the deletion hides in a block.
fn has_rivals(
    shared: &Shared,
    tombstone: &Tombstone,
    (shown, others): (&Arc<Block>, &[Arc<Block>]),
) -> Result<bool, Error> {
    let index = shown.index()?;
    let mut indexes = Vec::with_capacity(others.len());
    for other in others {
        indexes.push(other.index()?);
    }
    let mut suspects = Vec::new();
    for sid in index.index().select(&tombstone.matchers) {
        let own = index.series()[sid as usize];
        let Some(range) = span(&own).and_then(|span| common(span, tombstone.range)) else {
            continue;
        };
        let is_in = |series: &BlockSeries| span(series).is_some_and(|span| span.overlaps(range));
        let in_blocks = indexes.iter().any(|other| {
            other.sid_of(own.id).is_some_and(|sid| is_in(&other.series()[sid as usize]))
        });
        if in_blocks || is_in_memory(shared, own.id, range) {
            suspects.push(own.id);
        }
    }
    for ids in suspects.chunks(WINDOW_SERIES) {
        let hidden = stored(std::slice::from_ref(shown), ids, tombstone.range)?;
        let mut rivals = stored(others, ids, tombstone.range)?;
        add_memory(shared, (ids, tombstone.range), &mut rivals);
        for (hidden, rivals) in hidden.iter().zip(&rivals) {
            let is_rival = |(at_ms, own): (&i64, &Stored)| {
                rivals.get(at_ms).is_some_and(|rival| !rival.is_same(own))
            };
            if hidden.iter().any(is_rival) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn span(series: &BlockSeries) -> Option<TimeRange> {
    TimeRange::closed(model::TimestampMs(series.min_ms), model::TimestampMs(series.max_ms))
}

fn common(one: TimeRange, other: TimeRange) -> Option<TimeRange> {
    let start = one.start_ms().max(other.start_ms());
    TimeRange::new(start, one.end_ms().min(other.end_ms()))
}

fn is_in_memory(shared: &Shared, id: SeriesId, range: TimeRange) -> bool {
    let head = shared.head();
    let Some(slot) = head.registry.slot_of(id) else { return false };
    let span = head.memtable.get(slot).and_then(|own| own.span_ms());
    let has_numbers = span.is_some_and(|(first_ms, last_ms)| {
        first_ms < range.end_ms().0 && range.start_ms().0 <= last_ms
    });
    has_numbers || head.beside.touches(slot, range)
}

/// What stands at an instant.
#[derive(Debug)]
enum Stored {
    Number(f64),
    Histogram(Arc<Histogram>),
}

impl Stored {
    fn is_same(&self, other: &Stored) -> bool {
        match (self, other) {
            (Stored::Number(one), Stored::Number(other)) => one.to_bits() == other.to_bits(),
            (Stored::Histogram(one), Stored::Histogram(other)) => same_content(one, other),
            _ => false,
        }
    }
}

/// What shows of each series in the blocks, by instant.
fn stored(
    blocks: &[Arc<Block>],
    ids: &[SeriesId],
    range: TimeRange,
) -> Result<Vec<BTreeMap<i64, Stored>>, Error> {
    let touched: Vec<Arc<Block>> =
        blocks.iter().filter(|block| block.range().overlaps(range)).cloned().collect();
    let (mut columns, mut warnings) = (vec![Vec::new(); ids.len()], Vec::new());
    read_blocks(&touched, ids, range, &mut columns, &mut warnings);
    let mut all: Vec<BTreeMap<i64, Stored>> = Vec::with_capacity(ids.len());
    for columns in columns {
        let rows = columns.into_iter().flat_map(|own| own.instants_ms.into_iter().zip(own.values));
        all.push(rows.map(|(at_ms, value)| (at_ms, Stored::Number(value))).collect());
    }
    for block in &touched {
        let rows = read_block(block, ids, range, &mut warnings);
        for (series, rows) in all.iter_mut().zip(rows) {
            let histograms = rows.histograms.into_iter();
            series.extend(histograms.map(|row| (row.at_ms, Stored::Histogram(row.histogram))));
        }
    }
    match warnings.into_iter().next() {
        None => Ok(all),
        Some(reason) => Err(Error::NotNow { reason }),
    }
}

fn add_memory(
    shared: &Shared,
    (ids, range): (&[SeriesId], TimeRange),
    all: &mut [BTreeMap<i64, Stored>],
) {
    let head = shared.head();
    let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
    for (id, series) in ids.iter().zip(all) {
        let Some(slot) = head.registry.slot_of(*id) else { continue };
        if let Some(piece) = head.memtable.get(slot).and_then(|own| own.piece(range)) {
            instants_ms.clear();
            values.clear();
            piece.decode(range, &mut instants_ms, &mut values);
            let rows = instants_ms.iter().zip(&values);
            series.extend(rows.map(|(at_ms, value)| (*at_ms, Stored::Number(*value))));
        }
        if let Some(piece) = head.beside.piece(slot, range) {
            let histograms = piece.rows(range).histograms.into_iter();
            series.extend(histograms.map(|row| (row.at_ms, Stored::Histogram(row.histogram))));
        }
    }
}
