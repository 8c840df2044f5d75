//! Where the loaded samples lie: in a plain table, or in the real store on a simulated disk.
//!
//! Place in the flow: `run` adds samples → the engine reads them as its source.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use journal::disk::SimulatedDisk;
use model::clock::ManualClock;
use model::{Append, Batch, Labels, TimestampMs};
use query::Source;

use crate::native::Chunks;
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

/// Samples in the store.
pub struct Stored {
    store: Arc<storage::Store>,
    clock: ManualClock,
    flush: bool,
    /// What the hints of each series' histograms go on from.
    chunks: Mutex<HashMap<Labels, Chunks>>,
}

/// One sample to be loaded.
pub type Loaded = (Labels, TimestampMs, Sample);

/// The samples of one file since its last `clear`.
pub enum Data {
    Table(Arc<Table>),
    Store(Stored),
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
        let flush = backing == Backing::Flushed;
        Ok(Data::Store(Stored { store, clock, flush, chunks: Mutex::default() }))
    }

    /// What the engine reads.
    pub fn source(&self) -> Arc<dyn Source> {
        match self {
            Data::Table(table) => table.clone(),
            Data::Store(own) => own.store.clone(),
        }
    }

    /// Adds the samples of one load as one transaction.
    pub async fn add(&self, samples: Vec<Loaded>) -> Result<(), String> {
        match self {
            Data::Table(table) => {
                for (labels, at, sample) in samples {
                    table.add(&labels, at, sample);
                }
                Ok(())
            }
            Data::Store(own) => own.add(samples).await,
        }
    }
}

impl Stored {
    async fn add(&self, samples: Vec<Loaded>) -> Result<(), String> {
        let Some(newest) = samples.iter().map(|(_, at, _)| *at).max() else { return Ok(()) };
        self.clock.set(newest);
        let appended = self.store.append(self.batch(samples)).await;
        let appended = appended.map_err(|error| error.to_string())?;
        if let Some(refused) = appended.refused.first() {
            return Err(format!("{} at {}", refused.reason.message(), refused.at));
        }
        if self.flush {
            self.store.flush().map_err(|error| format!("flush store: {error}"))?;
        }
        Ok(())
    }

    /// Histograms get the hints that upstream's store would give them.
    fn batch(&self, samples: Vec<Loaded>) -> Batch {
        let mut chunks = self.chunks.lock().expect("no panic while it was held");
        let mut batch = Batch::new();
        let mut last = None;
        for (labels, at, sample) in samples {
            let series = match &last {
                Some((own, series)) if *own == labels => *series,
                _ => batch.series(&labels),
            };
            let chunks = chunks.entry(labels.clone()).or_default();
            match &sample.element {
                Element::Float(value) => {
                    chunks.end();
                    batch.sample(series, at, *value);
                }
                Element::Histogram(own) => {
                    batch.histogram(series, at, Arc::new(chunks.read(own)));
                }
            }
            if let Some(start) = sample.start {
                batch.start(series, at, start);
            }
            last = Some((labels, series));
        }
        batch
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Data::Store(own) = self {
            // The simulated disk is dropped with it; there is nobody left to tell.
            let _ = own.store.close();
        }
    }
}
