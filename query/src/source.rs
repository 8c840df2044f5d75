//! Where series come from: the store's contract as the engine needs it.
//!
//! Place in the flow: `evaluate::selector` → **`Source`** → storage's index and scan.
//!
//! `Arc<storage::Store>` is a `Source`; a test may bring a table of its own.
//!
//! Not here: what is done with the samples (`fragment`).

use arrow::record_batch::RecordBatch;
use model::append::SeriesId;
use model::{Labels, Matcher, TimeRange};

use crate::error::Error;

/// Batches of columns `series` (UInt32, position in the ids asked for), `ts` (Int64, ms) and `value`
/// (Float64); rows by series, then time; a series is never split across two batches.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>;

/// Selects series and reads their samples.
pub trait Source: Send + Sync + 'static {
    /// The series that pass every matcher and may have samples in the range, sorted by labels.
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error>;

    /// The samples of these series inside the range.
    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Batches, Error>;
}
