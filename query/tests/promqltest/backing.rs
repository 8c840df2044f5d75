//! Where the loaded samples lie: in a plain table, or in the real store on a simulated disk.
//!
//! Place in the flow: `run` adds samples → the engine reads them as its source.

use std::path::Path;
use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::clock::ManualClock;
use model::{Append, Batch, Labels, TimestampMs};
use query::Source;

use crate::table::{Element, Sample, Table};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// A table in memory.
    Table,
    /// The store, samples in its memtable.
    Store,
    /// The store, flushed to blocks after every load.
    Flushed,
}

impl Backing {
    /// The backing of a word on the command line.
    pub fn from_word(word: &str) -> Option<Backing> {
        match word {
            "table" => Some(Backing::Table),
            "store" => Some(Backing::Store),
            "flushed" => Some(Backing::Flushed),
            _ => None,
        }
    }
}

/// The samples of one file since its last `clear`.
pub enum Data {
    Table(Arc<Table>),
    Store { store: Arc<storage::Store>, clock: ManualClock, flush: bool },
}

impl Data {
    /// No samples yet.
    pub fn new(backing: Backing) -> Result<Data, String> {
        if backing == Backing::Table {
            return Ok(Data::Table(Arc::default()));
        }
        let clock = ManualClock::default();
        let store = storage::Store::open(
            SimulatedDisk::new(1).disk(),
            Path::new("/store"),
            storage::Settings::default(),
            Arc::new(clock.clone()),
        )
        .map_err(|error| format!("open store: {error}"))?;
        Ok(Data::Store { store, clock, flush: backing == Backing::Flushed })
    }

    /// What the engine reads.
    pub fn source(&self) -> Arc<dyn Source> {
        match self {
            Data::Table(table) => table.clone(),
            Data::Store { store, .. } => store.clone(),
        }
    }

    /// Adds the samples of one load as one transaction.
    pub async fn add(&self, samples: &[(&Labels, TimestampMs, f64)]) -> Result<(), String> {
        let (store, clock, flush) = match self {
            Data::Table(table) => {
                for (labels, at, value) in samples {
                    let element = Element::Float(*value);
                    table.add(labels, *at, Sample { element, start: None });
                }
                return Ok(());
            }
            Data::Store { store, clock, flush } => (store, clock, *flush),
        };
        let Some(newest) = samples.iter().map(|(_, at, _)| *at).max() else { return Ok(()) };
        clock.set(newest);
        let mut batch = Batch::new();
        let mut last = None;
        for (labels, at, value) in samples {
            let series = match last {
                Some((own, series)) if own == labels => series,
                _ => batch.series(labels),
            };
            last = Some((labels, series));
            batch.sample(series, *at, *value);
        }
        let appended = store.append(batch).await.map_err(|error| error.to_string())?;
        if let Some(refused) = appended.refused.first() {
            return Err(format!("{} at {}", refused.reason.message(), refused.at));
        }
        if flush {
            store.flush().map_err(|error| format!("flush store: {error}"))?;
        }
        Ok(())
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Data::Store { store, .. } = self {
            // The simulated disk is dropped with it; there is nobody left to tell.
            let _ = store.close();
        }
    }
}
