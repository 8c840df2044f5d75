//! Reading samples: the memtable and the blocks as one stream of columns.
//!
//! Place in the flow: [`crate::Store::scan`] → **`Scan`** → the query leaf, SQL, compaction.
//!
//! Invariants: rows stand in the order of the series asked for, time ascending and unique inside a
//! series; a series is never split across two batches; series without samples are absent.
//!
//! Not here: which series (the index), what is computed.

use arrow::record_batch::RecordBatch;

use crate::Error;

/// Batches with the columns `series` (UInt32, the position in the slice asked for), `ts` (Int64,
/// milliseconds) and `value` (Float64).
pub struct Scan {
    batches: std::vec::IntoIter<RecordBatch>,
}

impl Scan {
    pub(crate) fn empty() -> Scan {
        Scan { batches: Vec::new().into_iter() }
    }

    /// What could not be read so far because it is damaged; empty when the answer is whole.
    pub fn warnings(&self) -> &[String] {
        &[]
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next().map(Ok)
    }
}
