//! Reading samples: the memtable and the blocks as one stream of columns.
//!
//! Place in the flow: [`crate::Store::scan`] → **`Scan`** → the query leaf, SQL, compaction.
//!
//! A scan is a picture of one instant: it holds what was in memory and which blocks there were when
//! it began, whatever a flush does meanwhile.
//!
//! Invariants: rows stand in the order of the series asked for, time ascending and unique inside a
//! series; a series is never split across two batches; series without samples are absent.
//!
//! Not here: which series (the index), how blocks are read (`source`), what is computed.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use model::TimeRange;
use model::append::SeriesId;

use crate::Error;
use crate::block::{Block, Columns};
use crate::error::columns;
use crate::memtable::Piece;
use crate::shared::Shared;
use crate::source::{index_or_set_aside, merge, read_blocks};

/// Rows of a batch, unless a single series has more.
pub const BATCH_ROWS: usize = 64 * 1024;
/// Series of a batch, so that many short ones do not make an endless window.
const BATCH_SERIES_MAX: usize = 16 * 1024;

/// Batches with the columns `series` (UInt32, the position in the slice asked for), `ts` (Int64,
/// milliseconds) and `value` (Float64).
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    range: TimeRange,
    ids: Vec<SeriesId>,
    pieces: Vec<Option<Piece>>,
    blocks: Vec<Arc<Block>>,
    position: usize,
    warnings: Vec<String>,
}

/// The columns of every batch.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("series", DataType::UInt32, false),
        Field::new("ts", DataType::Int64, false),
        Field::new("value", DataType::Float64, false),
    ]))
}

impl Scan {
    pub(crate) fn new(shared: &Shared, series: &[SeriesId], range: TimeRange) -> Scan {
        let pieces = {
            let head = shared.head();
            let piece =
                |id: &SeriesId| head.memtable.get(head.registry.slot_of(*id)?)?.piece(range);
            series.iter().map(piece).collect()
        };
        // Memory first, blocks second: a flush in between shows samples twice, never not at all.
        let blocks = shared.blocks();
        let touched = blocks.iter().filter(|block| block.range().overlaps(range));
        Scan {
            schema: schema(),
            range,
            ids: series.to_vec(),
            pieces,
            blocks: touched.cloned().collect(),
            position: 0,
            warnings: shared.absent.warnings(),
        }
    }

    /// What could not be read so far because it is damaged; empty when the answer is whole.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where the next batch ends: after enough rows, or before a series that is in it already.
    fn window_end(&mut self) -> usize {
        let mut warnings = Vec::new();
        let indexes: Vec<_> = self
            .blocks
            .iter()
            .filter_map(|block| index_or_set_aside(block, &mut warnings))
            .collect();
        self.warn(warnings);
        let (mut rows, mut seen) = (0, HashSet::new());
        let mut end = self.position;
        while end < self.ids.len() && end - self.position < BATCH_SERIES_MAX {
            let id = self.ids[end];
            if !indexes.is_empty() && !seen.insert(id) {
                break;
            }
            let in_block = |index: &Arc<crate::index::BlockIndex>| {
                index.sid_of(id).map_or(0, |sid| index.series()[sid as usize].rows as usize)
            };
            let series_rows = self.pieces[end].as_ref().map_or(0, Piece::count)
                + indexes.iter().map(in_block).sum::<usize>();
            if rows > 0 && rows + series_rows > BATCH_ROWS {
                break;
            }
            rows += series_rows;
            end += 1;
        }
        end
    }

    fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    fn batch(&mut self, end: usize) -> Result<RecordBatch, Error> {
        let start = self.position;
        let mut sources: Vec<Vec<Columns>> = vec![Vec::new(); end - start];
        if !self.blocks.is_empty() {
            let mut warnings = Vec::new();
            let ids = &self.ids[start..end];
            read_blocks(&self.blocks, ids, self.range, &mut sources, &mut warnings);
            self.warn(warnings);
        }
        let (mut series, mut instants_ms, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (position, mut from_blocks) in (start..end).zip(sources) {
            let piece = self.pieces[position].take();
            if from_blocks.is_empty() {
                if let Some(piece) = piece {
                    piece.decode(self.range, &mut instants_ms, &mut values);
                }
            } else {
                if let Some(piece) = piece {
                    let mut own = Columns::default();
                    piece.decode(self.range, &mut own.instants_ms, &mut own.values);
                    from_blocks.push(own);
                }
                from_blocks.retain(|columns| !columns.values.is_empty());
                merge(&from_blocks, &mut instants_ms, &mut values);
            }
            let position = u32::try_from(position).expect("slices of series fit 32 bits");
            series.resize(values.len(), position);
        }
        RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![
                Arc::new(UInt32Array::from(series)),
                Arc::new(Int64Array::from(instants_ms)),
                Arc::new(Float64Array::from(values)),
            ],
        )
        .map_err(columns("build"))
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.position < self.ids.len() {
            let end = self.window_end();
            let batch = self.batch(end);
            self.position = end;
            match batch {
                Ok(batch) if batch.num_rows() == 0 => {}
                batch => return Some(batch),
            }
        }
        None
    }
}
