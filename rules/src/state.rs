//! Alert state that survives a restart.
//!
//! Place in the flow: after each evaluation → **`StateLog::save`** → journal; at open the journal
//! gives every alert back with all its clocks.
//!
//! Records are JSON, each complete in itself and idempotent: the newest one for a rule and a label
//! set wins. So compaction is: begin a segment, write everything there, remove the older segments;
//! a crash in between leaves both, which read the same.
//!
//! Invariant: `saved` equals what a replay of the journal would give.
//!
//! Not here: what the states mean (`alerting`).

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use journal::disk::Disk;
use journal::{Journal, JournalOptions, Replay};
use model::sample::{format_value, parse_value};
use model::{Labels, TimestampMs};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::warn;

use crate::alerting::{ActiveAlert, Alerts, State};
use crate::error::Error;

/// An alert's newest state.
const KIND_ALERT: u8 = 1;
/// An alert that is gone.
const KIND_GONE: u8 = 2;
/// The server was alive at an instant.
const KIND_ALIVE: u8 = 3;

/// After a longer outage a pending alert begins anew: nobody knows whether its condition held.
pub(crate) const OUTAGE_MS_MAX: i64 = 60 * 60 * 1000;
/// How often the server notes that it is alive.
const ALIVE_EVERY_MS: i64 = 60 * 1000;
/// The log is compacted beyond this size, and beyond four times its last compacted size.
const COMPACT_BYTES_MIN: u64 = 4 << 20;
/// Records of one append while compacting.
const CHUNK_RECORDS_MAX: usize = 1000;
/// Longest wait for the disk.
const DISK_DEADLINE: Duration = Duration::from_secs(30);

/// One alert on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Saved {
    rule: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    value: String,
    state: String,
    active_at_ms: i64,
    fired_at_ms: Option<i64>,
    resolved_at_ms: Option<i64>,
    keep_firing_since_ms: Option<i64>,
    last_sent_at_ms: Option<i64>,
}

/// An alert that is gone, on the disk.
#[derive(Debug, Serialize, Deserialize)]
struct Gone {
    rule: String,
    labels: BTreeMap<String, String>,
}

/// The server was alive, on the disk.
#[derive(Debug, Serialize, Deserialize)]
struct Alive {
    at_ms: i64,
}

struct Contents {
    saved: BTreeMap<u64, Alerts>,
    alive_at: Option<TimestampMs>,
}

/// The journal of all alerts and what it holds.
pub(crate) struct StateLog {
    journal: Journal,
    contents: Mutex<Contents>,
    compact_beyond_bytes: AtomicU64,
}

impl StateLog {
    /// Opens the log and reads it. After an outage that was too long pending alerts are left out.
    pub(crate) fn open(disk: Disk, dir: &Path, now: TimestampMs) -> Result<StateLog, Error> {
        let options = JournalOptions { segment_bytes_max: 16 << 20, ..JournalOptions::default() };
        let (journal, replay) = Journal::open(disk, dir, options).map_err(state_error)?;
        let (mut saved, alive_at) = replayed(replay)?;
        let outage_ms = alive_at.map_or(0, |alive| now.0.saturating_sub(alive.0));
        if outage_ms > OUTAGE_MS_MAX {
            for alerts in saved.values_mut() {
                alerts.retain(|_, alert| alert.state != State::Pending);
            }
        }
        saved.retain(|_, alerts| !alerts.is_empty());
        let compact_beyond_bytes = AtomicU64::new(COMPACT_BYTES_MIN);
        let contents = Mutex::new(Contents { saved, alive_at });
        Ok(StateLog { journal, contents, compact_beyond_bytes })
    }

    /// Puts everything saved so far into another folder, which opens as a log by itself.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<(), Error> {
        self.journal.copy_to(to).map_err(state_error).map(drop)
    }

    /// The alerts of a rule as they were saved.
    pub(crate) fn restored(&mut self, rule: u64) -> Alerts {
        self.contents.get_mut().saved.get(&rule).cloned().unwrap_or_default()
    }

    /// The alerts of a rule as they were saved, while others may be saving.
    pub(crate) async fn saved(&self, rule: u64) -> Alerts {
        self.contents.lock().await.saved.get(&rule).cloned().unwrap_or_default()
    }

    /// Writes what changed in a rule's alerts. When this returns an error, the next call tries all
    /// of it again.
    pub(crate) async fn save(
        &self,
        rule: u64,
        alerts: &Alerts,
        now: TimestampMs,
    ) -> Result<(), Error> {
        let mut contents = self.contents.lock().await;
        let empty = Alerts::new();
        let saved = contents.saved.get(&rule).unwrap_or(&empty);
        let mut records = Vec::new();
        for (labels, alert) in alerts {
            let unchanged = saved.get(labels).is_some_and(|old| same_clocks(old, alert));
            if !unchanged {
                records.push((KIND_ALERT, encoded(&to_saved(rule, alert))?));
            }
        }
        for labels in saved.keys().filter(|labels| !alerts.contains_key(*labels)) {
            let gone = Gone { rule: format!("{rule:016x}"), labels: to_map(labels) };
            records.push((KIND_GONE, encoded(&gone)?));
        }
        let changed = !records.is_empty();
        let silent = contents.alive_at.is_none_or(|at| now.0 - at.0 >= ALIVE_EVERY_MS);
        if !changed && !silent {
            return Ok(());
        }
        records.push((KIND_ALIVE, encoded(&Alive { at_ms: now.0 })?));
        self.append(records).await?;
        contents.alive_at = Some(now);
        if changed {
            match alerts.is_empty() {
                true => contents.saved.remove(&rule),
                false => contents.saved.insert(rule, alerts.clone()),
            };
        }
        Ok(())
    }

    async fn append(&self, records: Vec<(u8, Vec<u8>)>) -> Result<(), Error> {
        let written = self.journal.append_many(records);
        match tokio::time::timeout(DISK_DEADLINE, written).await {
            Ok(result) => result.map_err(state_error),
            Err(_) => Err(Error::State(format!(
                "the disk did not answer within {} s",
                DISK_DEADLINE.as_secs()
            ))),
        }
    }

    /// Whether the log is worth compacting.
    pub(crate) fn has_grown(&self) -> bool {
        self.journal.size_bytes() > self.compact_beyond_bytes.load(Ordering::Relaxed)
    }

    /// Writes everything anew, without the rules that are no more.
    pub(crate) async fn compact(&self, rules: &HashSet<u64>) -> Result<(), Error> {
        let mut contents = self.contents.lock().await;
        let journal = self.journal.clone();
        let segment = blocking(move || journal.rotate()).await?;
        contents.saved.retain(|rule, _| rules.contains(rule));
        let mut records = Vec::new();
        for (rule, alerts) in &contents.saved {
            for alert in alerts.values() {
                records.push((KIND_ALERT, encoded(&to_saved(*rule, alert))?));
                if records.len() == CHUNK_RECORDS_MAX {
                    self.append(std::mem::take(&mut records)).await?;
                }
            }
        }
        if let Some(at) = contents.alive_at {
            records.push((KIND_ALIVE, encoded(&Alive { at_ms: at.0 })?));
        }
        self.append(records).await?;
        let journal = self.journal.clone();
        blocking(move || journal.remove_before(segment)).await?;
        let beyond_bytes = COMPACT_BYTES_MIN.max(4 * self.journal.size_bytes());
        self.compact_beyond_bytes.store(beyond_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of the log.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.journal.size_bytes()
    }

    /// Flushes and ends the writer.
    pub(crate) async fn close(&self) {
        let journal = self.journal.clone();
        if tokio::task::spawn_blocking(move || journal.close()).await.is_err() {
            warn!("closing the state of alerts panicked");
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, journal::Error> + Send + 'static,
) -> Result<T, Error> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| Error::State(error.to_string()))?.map_err(state_error)
}

fn state_error(error: journal::Error) -> Error {
    Error::State(error.to_string())
}

fn encoded(record: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(record).map_err(|error| Error::State(error.to_string()))
}

type Replayed = (BTreeMap<u64, Alerts>, Option<TimestampMs>);

fn replayed(mut replay: Replay) -> Result<Replayed, Error> {
    let mut saved: BTreeMap<u64, Alerts> = BTreeMap::new();
    let mut alive_at = None;
    for record in replay.by_ref() {
        let record = record.map_err(state_error)?;
        match record.kind {
            KIND_ALERT => {
                match serde_json::from_slice::<Saved>(&record.payload).ok().and_then(of_saved) {
                    Some((rule, alert)) => {
                        saved.entry(rule).or_default().insert(alert.labels.clone(), alert);
                    }
                    None => warn!(
                        segment = record.segment,
                        "skipped an alert record that can't be read"
                    ),
                }
            }
            KIND_GONE => {
                if let Ok(gone) = serde_json::from_slice::<Gone>(&record.payload)
                    && let Ok(rule) = u64::from_str_radix(&gone.rule, 16)
                    && let Some(alerts) = saved.get_mut(&rule)
                {
                    alerts.remove(&Labels::from_pairs(gone.labels));
                }
            }
            KIND_ALIVE => {
                if let Ok(alive) = serde_json::from_slice::<Alive>(&record.payload) {
                    alive_at = Some(TimestampMs(alive.at_ms));
                }
            }
            kind => warn!(kind, segment = record.segment, "skipped a record of an unknown kind"),
        }
    }
    for damage in replay.damage() {
        warn!(file = %damage.file.display(), offset_bytes = damage.offset_bytes,
            bytes = damage.bytes, "skipped damage in the state of alerts");
    }
    Ok((saved, alive_at))
}

/// Whether nothing changed that a restart must know.
fn same_clocks(one: &ActiveAlert, two: &ActiveAlert) -> bool {
    let clocks = |alert: &ActiveAlert| {
        (alert.state, alert.active_at, alert.fired_at, alert.resolved_at, alert.keep_firing_since)
    };
    clocks(one) == clocks(two)
}

fn to_map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn to_saved(rule: u64, alert: &ActiveAlert) -> Saved {
    let ms = |at: Option<TimestampMs>| at.map(|at| at.0);
    Saved {
        rule: format!("{rule:016x}"),
        labels: to_map(&alert.labels),
        annotations: to_map(&alert.annotations),
        value: format_value(alert.value),
        state: alert.state.as_str().to_owned(),
        active_at_ms: alert.active_at.0,
        fired_at_ms: ms(alert.fired_at),
        resolved_at_ms: ms(alert.resolved_at),
        keep_firing_since_ms: ms(alert.keep_firing_since),
        last_sent_at_ms: ms(alert.last_sent_at),
    }
}

fn of_saved(saved: Saved) -> Option<(u64, ActiveAlert)> {
    let state = [State::Resolved, State::Pending, State::Firing]
        .into_iter()
        .find(|state| state.as_str() == saved.state)?;
    let alert = ActiveAlert {
        labels: Labels::from_pairs(saved.labels),
        annotations: Labels::from_pairs(saved.annotations),
        value: parse_value(&saved.value).unwrap_or(f64::NAN),
        state,
        active_at: TimestampMs(saved.active_at_ms),
        fired_at: saved.fired_at_ms.map(TimestampMs),
        resolved_at: saved.resolved_at_ms.map(TimestampMs),
        keep_firing_since: saved.keep_firing_since_ms.map(TimestampMs),
        last_sent_at: saved.last_sent_at_ms.map(TimestampMs),
    };
    Some((u64::from_str_radix(&saved.rule, 16).ok()?, alert))
}

#[cfg(test)]
mod tests;
