//! The alert manager's durable state: records in the journal, and snapshots.
//!
//! Place in the flow: core → records → **`Log`** → journal; at start the journal is replayed into the
//! core's state.
//!
//! Each record is one JSON text under a kind number, so that a person can read what is on the disk
//! and an older release can tell what it does not know. When the journal has grown well past its
//! last snapshot, a new segment is begun with a snapshot and the older ones are removed.
//!
//! Invariants: records of one step survive together or not at all; a record that can't be read is
//! counted and named, never guessed.
//!
//! Not here: fsync and checksums (journal), what a record changes (core).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use journal::disk::Disk;
use journal::{Journal, JournalOptions};

use crate::core::Record;
use crate::core::State;
use crate::error::Error;

/// The journal may grow by this before a snapshot takes its place.
pub(crate) const GROWTH_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The open log.
#[derive(Debug)]
pub(crate) struct Log {
    journal: Journal,
    snapshot_bytes: AtomicU64,
}

impl Log {
    /// Opens the folder and applies everything that survived to the state. The second answer names
    /// what could not be read.
    pub(crate) fn open(
        disk: Disk,
        dir: &Path,
        state: &mut State,
    ) -> Result<(Log, Vec<String>), Error> {
        disk.create_dir_all(dir).map_err(|source| Error::File {
            file: dir.display().to_string(),
            message: format!("create folder: {source}"),
        })?;
        let (journal, mut replay) = Journal::open(disk, dir, JournalOptions::default())
            .map_err(|source| Error::Journal { action: "open the alert log", source })?;
        let mut damaged = Vec::new();
        for record in replay.by_ref() {
            let record = record
                .map_err(|source| Error::Journal { action: "replay the alert log", source })?;
            match serde_json::from_slice::<Record>(&record.payload) {
                Ok(own) => state.apply(&own),
                Err(error) => damaged.push(format!(
                    "a record of kind {} in segment {}: {error}",
                    record.kind, record.segment
                )),
            }
        }
        damaged.extend(replay.damage().iter().map(|own| {
            format!("{} at byte {}: {:?}", own.file.display(), own.offset_bytes, own.what)
        }));
        let snapshot_bytes = AtomicU64::new(journal.size_bytes());
        Ok((Log { journal, snapshot_bytes }, damaged))
    }

    /// Enqueues records at the call itself, so that calls in order are records in order; resolves
    /// when they are fsynced.
    pub(crate) fn append(
        &self,
        records: &[Record],
    ) -> impl Future<Output = Result<(), Error>> + Send + 'static {
        let encoded = records.iter().map(|own| (kind_of(own), encode(own))).collect();
        let appended = self.journal.append_many(encoded);
        async move {
            appended
                .await
                .map_err(|source| Error::Journal { action: "append to the alert log", source })
        }
    }

    /// Whether a snapshot is due.
    pub(crate) fn has_grown(&self) -> bool {
        let limit = 2 * self.snapshot_bytes.load(Ordering::Relaxed) + GROWTH_BYTES_MAX;
        self.journal.size_bytes() > limit
    }

    /// Replaces everything by a snapshot of the state. Nothing may be appended meanwhile: the caller
    /// holds the state.
    pub(crate) fn compact(&self, state: &State) -> Result<(), Error> {
        let failed = |action| move |source| Error::Journal { action, source };
        let segment = self.journal.rotate().map_err(failed("begin a segment of the alert log"))?;
        let snapshot = Record::Snapshot(Box::new(state.durable.clone()));
        let payload = encode(&snapshot);
        let size_bytes = payload.len() as u64;
        self.journal
            .append_blocking(kind_of(&snapshot), payload)
            .map_err(failed("write a snapshot of the alert log"))?;
        self.journal
            .remove_before(segment)
            .map_err(failed("remove old segments of the alert log"))?;
        self.snapshot_bytes.store(size_bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Puts everything appended so far into another folder, which opens as a log by itself.
    pub(crate) fn copy_to(&self, to: &Path) -> Result<(), Error> {
        let copied = self.journal.copy_to(to);
        copied.map_err(|source| Error::Journal { action: "copy the alert log", source }).map(drop)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.journal.size_bytes()
    }

    /// Flushes and ends the writer.
    pub(crate) fn close(&self) {
        self.journal.close();
    }
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("records hold only texts and numbers under text keys")
}

/// The kind numbers are part of the format: never reuse one.
fn kind_of(record: &Record) -> u8 {
    match record {
        Record::AlertUpsert(_) => 1,
        Record::AlertExtended(_) => 2,
        Record::AlertRemoved(_) => 3,
        Record::Joined(_) => 4,
        Record::Left { .. } => 5,
        Record::Parting { .. } => 6,
        Record::GroupTimer { .. } => 7,
        Record::GroupRemoved { .. } => 8,
        Record::Intent { .. } => 9,
        Record::Attempt { .. } => 10,
        Record::Done { .. } => 11,
        Record::Settled { .. } => 12,
        Record::Superseded { .. } => 13,
        Record::DeadLetter { .. } => 14,
        Record::SilenceSet(_) => 15,
        Record::SilenceRemoved(_) => 16,
        Record::ConfigEpoch { .. } => 17,
        Record::Snapshot(_) => 18,
    }
}
