//! The series log: every series with its number, beside the journal that brought it.
//!
//! Place in the flow: committer → journal → **series log**; opening the store reads it first.
//!
//! A series stands in the journal with its first samples, and there only that is waited for. It is
//! handed to this log in the same moment and written by the log's own thread, so that one damaged
//! record of the journal does not make all later samples of the series nameless. A flush waits until
//! everything is here: it may remove the journal's segments.
//!
//! Invariants: `durable` ≤ `handed` ≤ the registry's length. What failed is handed over again.
//!
//! Not here: reading it back (`open`), the bytes of a record (`series_record`).

use std::io;

use journal::Journal;
use model::Labels;
use model::append::SeriesId;

use crate::Error;
use crate::record::groups;
use crate::series_record::{KIND_SERIES, encode_series};
use crate::shared::{Shared, lock};

/// The log's folder in the store's.
pub const SERIES_LOG_DIR: &str = "series";
/// Tries of one flush to get everything written.
const TRIES_MAX: usize = 3;

/// How far the registry is in the log, by slots.
#[derive(Debug, Default)]
pub struct Logged {
    durable: u32,
    handed: u32,
    /// Appends that failed or were turned away when we looked last.
    failures: u64,
}

impl Logged {
    /// Series up to this slot are in the log.
    pub fn new(slots: u32) -> Logged {
        Logged { durable: slots, handed: slots, failures: 0 }
    }

    /// When an append has failed, everything that was not waited for is handed over again.
    fn take_back_failed(&mut self, log: &Journal) {
        let stats = log.stats();
        let failures = stats.failed_appends + stats.refused_appends;
        if failures != self.failures {
            self.failures = failures;
            self.handed = self.durable;
        }
    }
}

/// Hands new series to the log and does not wait. `records` are those of the newest `count` series.
pub fn hand_over(shared: &Shared, records: Vec<(u8, Vec<u8>)>, count: u32) {
    let mut logged = lock(&shared.logged);
    logged.take_back_failed(&shared.series_log);
    let known = shared.head().registry.len() as u32;
    let records = match logged.handed + count == known {
        true => records,
        false => encode(&since(shared, logged.handed)),
    };
    for group in groups(records) {
        // Whether it worked shows in the log's counters.
        drop(shared.series_log.append_many(group));
    }
    logged.handed = known;
}

/// Waits until every series is in the log; answers how many there are.
pub fn write_all(shared: &Shared) -> Result<u32, Error> {
    let mut logged = lock(&shared.logged);
    for _ in 0..TRIES_MAX {
        logged.take_back_failed(&shared.series_log);
        let known = shared.head().registry.len() as u32;
        if logged.durable == known {
            return Ok(known);
        }
        let missing = since(shared, logged.handed);
        // A record without series comes after all that are on their way.
        let records = if missing.is_empty() { vec![no_series()] } else { encode(&missing) };
        shared.series_log.append_groups_blocking(groups(records))?;
        logged.handed = known;
        let before = logged.failures;
        logged.take_back_failed(&shared.series_log);
        if logged.failures == before {
            logged.durable = known;
            return Ok(known);
        }
    }
    let path = shared.dir.join(SERIES_LOG_DIR);
    let source = io::Error::other("appends to the series log keep failing");
    Err(Error::Io { action: "write", path, source })
}

/// Writes series to a log and waits.
pub fn append(log: &Journal, series: &[(SeriesId, Labels)]) -> Result<(), Error> {
    log.append_groups_blocking(groups(encode(series)))?;
    Ok(())
}

fn no_series() -> (u8, Vec<u8>) {
    (KIND_SERIES, vec![0])
}

fn encode(series: &[(SeriesId, Labels)]) -> Vec<(u8, Vec<u8>)> {
    let mut records = Vec::new();
    encode_series(series.iter().map(|(id, labels)| (*id, labels)), &mut records);
    records
}

fn since(shared: &Shared, slot: u32) -> Vec<(SeriesId, Labels)> {
    let head = shared.head();
    head.registry.since_slot(slot).map(|known| (known.id, known.labels())).collect()
}
