//! What the series of several blocks have beside their numbers becomes one block's.
//!
//! Place in the flow: compaction walks the series of its new block → **`Merge`** gives the rows of
//! each → the block writer.
//!
//! Rows are read for windows of series ahead, so that a row group is not read again for each of its
//! series: the caller says beforehand in which order it will ask.
//!
//! Not here: numbers, which blocks are merged (`compact`).

use std::collections::VecDeque;
use std::sync::Arc;

use model::append::SeriesId;
use model::{Labels, TimeRange, TimestampMs};

use super::exemplars::Numbered;
use super::scan::{merge, read_block};
use super::{Rows, table};
use crate::Error;
use crate::block::Block;

/// Series read ahead.
const WINDOW_SERIES: usize = 64;

/// Reads what blocks have beside numbers, series by series.
#[derive(Debug)]
pub struct Merge {
    blocks: Vec<Arc<Block>>,
    order: VecDeque<SeriesId>,
    ready: VecDeque<(SeriesId, Rows)>,
}

impl Merge {
    /// A merge of blocks, oldest first, for series in the order they will be asked for, each once.
    pub fn new(blocks: &[Arc<Block>], order: impl IntoIterator<Item = SeriesId>) -> Merge {
        let has_files = |block: &&Arc<Block>| {
            let names = [super::file::HISTOGRAMS_FILE, super::file::STARTS_FILE];
            names.iter().any(|name| block.meta().file(name).is_some())
        };
        let blocks: Vec<Arc<Block>> = blocks.iter().filter(has_files).cloned().collect();
        let order = if blocks.is_empty() { VecDeque::new() } else { order.into_iter().collect() };
        Merge { blocks, order, ready: VecDeque::new() }
    }

    /// The rows of a series at instants that pass. Damage is an error: a merge must not make it
    /// permanent.
    pub fn series(&mut self, id: SeriesId, keep: &dyn Fn(i64) -> bool) -> Result<Rows, Error> {
        if self.blocks.is_empty() {
            return Ok(Rows::default());
        }
        while self.ready.front().is_some_and(|(ready, _)| *ready != id) {
            self.ready.pop_front();
        }
        if self.ready.is_empty() {
            self.read_ahead(id)?;
        }
        let found = self.ready.pop_front().filter(|(ready, _)| *ready == id);
        let mut rows = found.map(|(_, rows)| rows).unwrap_or_default();
        rows.retain(keep);
        Ok(rows)
    }

    fn read_ahead(&mut self, id: SeriesId) -> Result<(), Error> {
        while self.order.front().is_some_and(|next| *next != id) {
            self.order.pop_front();
        }
        let count = self.order.len().min(WINDOW_SERIES);
        let ids: Vec<SeriesId> = self.order.drain(..count).collect();
        let mut sources: Vec<Vec<Rows>> = vec![Vec::new(); ids.len()];
        for block in &self.blocks {
            let mut warnings = Vec::new();
            let read = read_block(block, &ids, TimeRange::ALL, &mut warnings);
            whole(block, &warnings)?;
            for (source, rows) in sources.iter_mut().zip(read) {
                source.push(rows);
            }
        }
        self.ready = ids.into_iter().zip(sources.into_iter().map(merge)).collect();
        Ok(())
    }
}

/// The exemplars of blocks, oldest first, that pass and that no deletion hides. Their series may be
/// in none of the blocks, so the store's labels say which deletion names them.
pub fn exemplars(
    blocks: &[Arc<Block>],
    labels: &dyn Fn(SeriesId) -> Option<Labels>,
    keep: &dyn Fn(TimestampMs) -> bool,
) -> Result<Vec<Numbered>, Error> {
    let mut all = Vec::new();
    for block in blocks {
        let mut warnings = Vec::new();
        let own = table::exemplars(block, &mut warnings);
        whole(block, &warnings)?;
        let is_hidden = |one: &Numbered| {
            let in_range =
                block.tombstones().iter().filter(|own| own.range.contains(one.exemplar.at));
            let mut in_range = in_range.peekable();
            in_range.peek().is_some()
                && labels(one.id)
                    .is_some_and(|labels| in_range.any(|own| own.hides(&labels, one.exemplar.at)))
        };
        all.extend(own.into_iter().filter(|one| keep(one.exemplar.at) && !is_hidden(one)));
    }
    Ok(all)
}

fn whole(block: &Block, warnings: &[String]) -> Result<(), Error> {
    match warnings.first() {
        None => Ok(()),
        Some(what) => Err(Error::Damaged { path: block.dir().to_owned(), what: what.clone() }),
    }
}
