//! The write-ahead log: its newest checkpoint, then the segments behind it, record by record.
//!
//! Place in the flow: `segments`, `record` → **`Wal::next`** → `prometheus`, which makes batches.
//!
//! Deletions stand behind the samples they delete, so they are collected in a first walk. Samples that
//! are in blocks already are left out, as Prometheus does when it starts.
//!
//! Not here: chunks that Prometheus keeps beside the log; the log has all of them.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use journal::disk::Disk;
use model::Labels;

use crate::Error;
use crate::block::Filter;
use crate::record::{self, Record};
use crate::segments::{self, Segments};
use crate::tombstones::{Tombstones, hides};

/// A log folder and the log of samples that came late, as one.
#[derive(Debug)]
pub struct Wal {
    segments: Segments,
    series: HashMap<u64, Labels>,
    deleted: Tombstones,
    /// Samples before it are in blocks.
    valid_from_ms: i64,
    unknown_kinds: Vec<u8>,
    orphans: u64,
    damage: Vec<String>,
}

/// The files of the log of a data folder, in the order they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFiles {
    /// Checkpoint and segments.
    pub in_order: Vec<PathBuf>,
    /// Segments of what came late.
    pub late: Vec<PathBuf>,
}

impl LogFiles {
    /// Finds them; a folder that is not there has none.
    pub fn find(disk: &Disk, data: &Path) -> Result<LogFiles, Error> {
        let (folder, late) = (data.join("wal"), data.join("wbl"));
        let entries = match disk.list(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LogFiles::default()),
            Err(error) => return Err(Error::io("list", &folder)(error)),
        };
        let checkpoint = entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| {
            let number = entry.name.strip_prefix("checkpoint.")?.parse::<u64>().ok()?;
            Some((number, folder.join(&entry.name)))
        });
        let mut files = LogFiles::default();
        let mut from = 0;
        if let Some((number, checkpoint)) = checkpoint.max() {
            let found = segments::files(disk, &checkpoint, 0);
            files.in_order = found.map_err(Error::io("list", &checkpoint))?;
            from = number + 1;
        }
        let found = segments::files(disk, &folder, from).map_err(Error::io("list", &folder))?;
        files.in_order.extend(found);
        if disk.exists(&late).map_err(Error::io("look for", &late))? {
            files.late = segments::files(disk, &late, 0).map_err(Error::io("list", &late))?;
        }
        Ok(files)
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty() && self.late.is_empty()
    }
}

impl Wal {
    /// Walks through the log once for its deletions, and stands at its beginning then. Samples before
    /// `valid_from_ms` are left out.
    pub fn open(disk: &Disk, files: &LogFiles, valid_from_ms: i64) -> Wal {
        let mut deleted = Tombstones::default();
        let mut first = Segments::new(disk, files.in_order.clone());
        while let Some(read) = first.next() {
            if let Ok(bytes) = read
                && bytes.first() == Some(&3)
                && let Ok(Record::Tombstones(list)) = record::decode(&bytes)
            {
                list.iter().for_each(|(series, from, to)| deleted.add(*series, *from, *to));
            }
        }
        let all = files.in_order.iter().chain(&files.late).cloned().collect();
        Wal {
            segments: Segments::new(disk, all),
            series: HashMap::new(),
            deleted,
            valid_from_ms,
            unknown_kinds: Vec::new(),
            orphans: 0,
            damage: Vec::new(),
        }
    }

    /// How many segments were begun, of how many.
    pub fn progress(&self) -> (usize, usize) {
        self.segments.progress()
    }

    /// What was skipped since the last question.
    pub fn take_damage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damage)
    }

    /// The labels of a series of the log.
    pub fn labels(&self, series: u64) -> Option<&Labels> {
        self.series.get(&series)
    }

    /// The next record that holds something for the store; series are remembered.
    pub fn next(&mut self, filter: &Filter) -> Option<Record> {
        loop {
            let decoded = match self.segments.next() {
                None => {
                    self.finish();
                    return None;
                }
                Some(Err(reason)) => Err(reason),
                Some(Ok(bytes)) => {
                    record::decode(&bytes).map_err(|error| format!("a record {error}"))
                }
            };
            match decoded {
                Err(reason) => self.damage.push(format!("write-ahead log: {reason}; skipped")),
                Ok(Record::Series(list)) => self.learn(list, filter),
                Ok(Record::Marker | Record::Tombstones(_)) => {}
                Ok(Record::Unknown(kind)) => self.unknown(kind),
                Ok(mut record) => {
                    self.keep_wanted(&mut record, filter);
                    return Some(record);
                }
            }
        }
    }

    fn learn(&mut self, list: Vec<(u64, Labels)>, filter: &Filter) {
        for (number, labels) in list {
            // Remembered without labels, so that its samples are no orphans.
            let labels = if filter.takes(&labels) { labels } else { Labels::empty() };
            self.series.insert(number, labels);
        }
    }

    fn keep_wanted(&mut self, record: &mut Record, filter: &Filter) {
        let Wal { series, deleted, valid_from_ms, orphans, .. } = self;
        let mut keeps = |number: u64, at_ms: i64| {
            let Some(labels) = series.get(&number) else {
                *orphans += 1;
                return false;
            };
            let is_wanted = filter.range.contains(model::TimestampMs(at_ms));
            is_wanted
                && at_ms >= *valid_from_ms
                && !labels.is_empty()
                && !hides(deleted.of(number), at_ms)
        };
        match record {
            Record::Samples(list) => list.retain(|(series, at, _)| keeps(*series, *at)),
            Record::Histograms(list) => list.retain(|(series, at, _)| keeps(*series, *at)),
            Record::Exemplars(list) => list.retain(|(series, at, ..)| keeps(*series, *at)),
            Record::Metadata(list) => {
                list.retain(|(number, _)| series.get(number).is_some_and(|own| !own.is_empty()));
            }
            Record::Series(_) | Record::Tombstones(_) | Record::Marker | Record::Unknown(_) => {}
        }
    }

    fn unknown(&mut self, kind: u8) {
        if !self.unknown_kinds.contains(&kind) {
            self.unknown_kinds.push(kind);
            let text = format!("write-ahead log: records of kind {kind} are not known; skipped");
            self.damage.push(text);
        }
    }

    fn finish(&mut self) {
        let orphans = std::mem::take(&mut self.orphans);
        if orphans > 0 {
            let text = format!(
                "write-ahead log: {orphans} samples of series whose labels are lost; skipped"
            );
            self.damage.push(text);
        }
    }
}
