//! Counters and the recent past.
//!
//! Place in the flow: every history row and every batch → **here** → metrics, page, API.
//!
//! Not here: names of metrics (the binary), the log (it keeps what must survive).

use std::collections::{BTreeMap, VecDeque};

use crate::core::{HistoryKind, HistoryRow, Outcome};

/// Rows kept for people.
pub const HISTORY_ROWS_MAX: usize = 2000;

/// Counters since the start, and sizes now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Alerts taken in.
    pub alerts_received: u64,
    /// Alerts refused as invalid.
    pub alerts_invalid: u64,
    /// Alerts that fire now.
    pub alerts_firing: usize,
    /// Of those, kept quiet now.
    pub alerts_suppressed: usize,
    /// Groups now.
    pub groups: usize,
    /// Silences now, by state: active, pending, expired.
    pub silences: [usize; 3],
    /// Attempts by integration way (`webhook`, `email`) and outcome.
    pub attempts: BTreeMap<(&'static str, &'static str), u64>,
    /// Messages decided on.
    pub decided: u64,
    /// Messages replaced before they were sent.
    pub superseded: u64,
    /// Messages or recipients given up.
    pub dead_letters: u64,
    /// Messages not delivered now.
    pub undelivered: usize,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Appends to the log that failed. Not zero: a person must look at the disk.
    pub log_failures: u64,
    /// Records or bytes of the log that could not be read at the start.
    pub damaged: Vec<String>,
}

/// Counters and rows as they grow.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) stats: Stats,
    rows: VecDeque<HistoryRow>,
}

impl Ledger {
    pub(crate) fn note(&mut self, row: HistoryRow) {
        match row.kind {
            HistoryKind::Decided => self.stats.decided += 1,
            HistoryKind::Superseded => self.stats.superseded += 1,
            HistoryKind::DeadLetter => self.stats.dead_letters += 1,
            HistoryKind::Delivered | HistoryKind::Failed | HistoryKind::Suppressed => {}
        }
        if self.rows.len() == HISTORY_ROWS_MAX {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
    }

    pub(crate) fn count_attempt(&mut self, way: &'static str, outcome: Outcome) {
        *self.stats.attempts.entry((way, outcome.name())).or_default() += 1;
    }

    /// The newest rows, newest first.
    pub(crate) fn newest(&self, rows_max: usize) -> Vec<HistoryRow> {
        self.rows.iter().rev().take(rows_max).cloned().collect()
    }
}
