//! What the doors for pushed samples have done so far.
//!
//! Place in the flow: `receiver`, `import` → **`Counters`** → self-metrics of the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use model::Batch;
use model::append::{Column, RefusedReason};

use super::decoded::DoorRefusals;

/// What the doors have done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests by message (`1.0`, `2.0`, `text`) and HTTP status.
    pub requests: BTreeMap<(&'static str, u16), u64>,
    /// Bytes as they came.
    pub bytes_packed: u64,
    /// Bytes unpacked.
    pub bytes: u64,
    /// Samples that came, refused ones included.
    pub samples_received: u64,
    /// Native histograms that came.
    pub histograms_received: u64,
    /// Exemplars that came.
    pub exemplars_received: u64,
    /// Metric families whose metadata the store was told.
    pub families_told: u64,
    /// Samples stored.
    pub samples: u64,
    /// Native histograms stored.
    pub histograms: u64,
    /// Exemplars stored.
    pub exemplars: u64,
    /// Refused, by column and reason, the doors' own refusals included.
    pub refused: BTreeMap<(&'static str, &'static str), u64>,
    /// Series that were known by their number.
    pub series_known: u64,
    /// Series that came to the store by their labels.
    pub series_described: u64,
    /// Requests sent to the store again because it had lost a series.
    pub retries: u64,
    /// Series that are remembered.
    pub cached_series: u64,
    /// Memory of that.
    pub cache_bytes: u64,
}

/// Counters that many requests write.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) bytes_packed: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) samples_received: AtomicU64,
    pub(super) histograms_received: AtomicU64,
    pub(super) exemplars_received: AtomicU64,
    pub(super) families_told: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) histograms: AtomicU64,
    pub(super) exemplars: AtomicU64,
    pub(super) series_known: AtomicU64,
    pub(super) series_described: AtomicU64,
    pub(super) retries: AtomicU64,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    requests: BTreeMap<(&'static str, u16), u64>,
    refused: BTreeMap<(&'static str, &'static str), u64>,
}

/// Adds to one counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn request(&self, message: &'static str, status: u16) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        *tables.requests.entry((message, status)).or_default() += 1;
    }

    /// What a batch holds is on its way to the store.
    pub(super) fn received(&self, batch: &Batch) {
        add(&self.samples_received, batch.samples().len() as u64);
        add(&self.histograms_received, batch.histograms().len() as u64);
        add(&self.exemplars_received, batch.exemplars().len() as u64);
        add(&self.families_told, batch.families().len() as u64);
    }

    /// What the door itself refused came too.
    pub(super) fn refused_at_the_door(&self, refusals: &DoorRefusals) {
        for ((column, reason), count) in &refusals.counts {
            let received = match column {
                Column::Samples => &self.samples_received,
                Column::Histograms => &self.histograms_received,
                Column::Exemplars => &self.exemplars_received,
            };
            add(received, *count);
            self.refused(*column, *reason, *count);
        }
    }

    pub(super) fn refused(&self, column: Column, reason: RefusedReason, count: u64) {
        let column = match column {
            Column::Samples => "samples",
            Column::Histograms => "histograms",
            Column::Exemplars => "exemplars",
        };
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        *tables.refused.entry((column, reason.as_str())).or_default() += count;
    }

    pub(super) fn stats(&self) -> Stats {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            requests: tables.requests.clone(),
            bytes_packed: read(&self.bytes_packed),
            bytes: read(&self.bytes),
            samples_received: read(&self.samples_received),
            histograms_received: read(&self.histograms_received),
            exemplars_received: read(&self.exemplars_received),
            families_told: read(&self.families_told),
            samples: read(&self.samples),
            histograms: read(&self.histograms),
            exemplars: read(&self.exemplars),
            refused: tables.refused.clone(),
            series_known: read(&self.series_known),
            series_described: read(&self.series_described),
            retries: read(&self.retries),
            cached_series: 0,
            cache_bytes: 0,
        }
    }
}
