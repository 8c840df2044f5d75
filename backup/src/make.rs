//! Making a backup, and removing old ones.
//!
//! Place in the flow: data folder → `source` → **`make`** → `place`.
//!
//! Every file is measured before it is copied, and what is copied must fit. A block's file whose
//! checksum is known from its `meta.json` and that an earlier backup holds is neither read nor copied.
//!
//! A file that is damaged already is taken as it is and named: the rest of the data is worth a
//! backup all the same. Nothing old is removed then.
//!
//! Not here: where files go (`place`).

use std::collections::HashMap;
use std::path::Path;

use journal::disk::Disk;
use model::TimestampMs;
use serde::Serialize;

use crate::index::{FORMAT_VERSION, FileEntry, Index};
use crate::place::{Lock, Place, measure};
use crate::source::{SourceFile, files};
use crate::{Error, Listener, Progress};

/// What an operator may ask for.
#[derive(Debug, Clone, Default)]
pub struct MakeOptions {
    /// How many backups stay, this one included; `None`: all.
    pub keep: Option<usize>,
    /// Copy every file, also those that an earlier backup holds.
    pub full: bool,
    /// The release, for the index.
    pub belfry_version: String,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were copied.
    pub copied_files: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// What was damaged before.
    pub damaged: Vec<String>,
    /// Backups that were removed.
    pub removed: Vec<String>,
}

/// Backs up a data folder that nobody writes to.
pub async fn make(
    (disk, data): (&Disk, &Path),
    place: &Place,
    options: &MakeOptions,
    now: TimestampMs,
    listener: Listener<'_>,
) -> Result<Made, Error> {
    if options.keep == Some(0) {
        return Err(Error::Refused("at least one backup must stay: --keep 1".to_owned()));
    }
    if place.is_mixed_with(data) {
        return Err(Error::Refused(format!(
            "{} and the data folder {} lie in each other: choose another destination",
            place.text(""),
            data.display()
        )));
    }
    let (sources, problems) = files(disk, data)?;
    let lock = place.lock().await?;
    let made =
        make_locked((disk, data), (place, &lock), options, (now, sources, problems), listener);
    let made = made.await;
    lock.release().await;
    made
}

async fn make_locked(
    (disk, data): (&Disk, &Path),
    (place, lock): (&Place, &Lock),
    options: &MakeOptions,
    (now, sources, problems): (TimestampMs, Vec<SourceFile>, Vec<String>),
    listener: Listener<'_>,
) -> Result<Made, Error> {
    let names = place.names().await?;
    let name = new_name(now, &names);
    let mut job = Job {
        from: (disk, data),
        place,
        name: &name,
        earlier: HashMap::new(),
        damaged: problems,
        copied: (0, 0),
    };
    if !options.full {
        job.look_back(&names).await;
    }
    place.begin(&name).await?;
    let mut progress = Progress {
        files: 0,
        files_total: sources.len() as u64,
        bytes: 0,
        bytes_total: sources.iter().map(|file| file.size_bytes).sum(),
    };
    let mut entries = Vec::with_capacity(sources.len());
    for source in &sources {
        lock.renew().await?;
        listener(&progress);
        let entry = job.take(source, options.full).await?;
        progress.files += 1;
        progress.bytes += entry.size_bytes;
        entries.push(entry);
    }
    listener(&progress);
    lock.renew().await?;
    let index = Index {
        format_version: FORMAT_VERSION,
        index_xxh3: String::new(),
        name: name.clone(),
        created_ms: now.0,
        belfry_version: options.belfry_version.clone(),
        damaged: job.damaged,
        files: entries,
    };
    place.finish(&name, &index).await?;
    let mut made = Made {
        files: index.files.len() as u64,
        bytes: index.size_bytes(),
        copied_files: job.copied.0,
        copied_bytes: job.copied.1,
        damaged: index.damaged,
        removed: Vec::new(),
        name,
    };
    if let Some(keep) = options.keep
        && made.damaged.is_empty()
    {
        made.removed = prune(place, keep, &made.name).await?;
    }
    Ok(made)
}

/// One backup while it is made.
struct Job<'a> {
    from: (&'a Disk, &'a Path),
    place: &'a Place,
    name: &'a str,
    /// Files of earlier backups, with the name of the newest that has them.
    earlier: HashMap<FileEntry, String>,
    damaged: Vec<String>,
    /// Files and bytes.
    copied: (u64, u64),
}

impl Job<'_> {
    /// Learns what earlier backups hold. One that can't be read only costs copies.
    async fn look_back(&mut self, names: &[String]) {
        // The newest ones have what a new one can share.
        for name in names.iter().rev().take(2).rev() {
            match self.place.index(name).await {
                Ok(index) => {
                    let files = index.files.into_iter();
                    self.earlier.extend(files.map(|file| (file, name.clone())));
                }
                Err(error) => tracing::warn!(%error, "an earlier backup can't be read"),
            }
        }
    }

    async fn take(&mut self, source: &SourceFile, full: bool) -> Result<FileEntry, Error> {
        let (disk, data) = self.from;
        if let Some(xxh3) = &source.expected_xxh3 {
            let (path, size_bytes) = (source.path.clone(), source.size_bytes);
            let entry = FileEntry { path, size_bytes, xxh3: xxh3.clone() };
            if !full && self.reuse(&entry) {
                return Ok(entry);
            }
        }
        let entry = measure(disk, data, source)?;
        if source.expected_xxh3.as_ref().is_some_and(|expected| *expected != entry.xxh3) {
            let what = "its checksum is not the one the store knows";
            self.damaged.push(format!("{}: {what}", source.path));
        } else if source.expected_xxh3.is_none() && !full && self.reuse(&entry) {
            return Ok(entry);
        }
        self.place.put(self.name, &entry, (disk, &source.location(data))).await?;
        self.copied.0 += 1;
        self.copied.1 += entry.size_bytes;
        Ok(entry)
    }

    fn reuse(&self, entry: &FileEntry) -> bool {
        let earlier = self.earlier.get(entry).map(String::as_str);
        self.place.reuse(self.name, entry, earlier)
    }
}

/// Removes the oldest backups, never the one just made, whatever the clock says. Files that several
/// share stay as long as one needs them.
async fn prune(place: &Place, keep: usize, made: &str) -> Result<Vec<String>, Error> {
    let names = place.names().await?;
    if !names.iter().any(|own| own == made) {
        let reason = format!("{made} was made but is not listed; nothing old is removed");
        return Err(Error::Busy(reason));
    }
    let (mut old, mut kept): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| name != made);
    kept.extend(old.split_off(old.len().saturating_sub(keep.saturating_sub(1))));
    let mut indexes = Vec::with_capacity(kept.len());
    for name in &kept {
        // Nobody knows which files it needs when it can't be read; then nothing is removed.
        indexes.push(place.index(name).await?);
    }
    for name in &old {
        place.remove(name).await?;
    }
    place.sweep(&indexes).await?;
    Ok(old)
}

/// `20260102T030405Z`, with a number behind it when there is one of that second. It sorts behind
/// those of its second.
fn new_name(now: TimestampMs, names: &[String]) -> String {
    let name = time_name(now);
    let Some(last) = names.iter().rfind(|own| own.starts_with(&name)) else { return name };
    let numbered = (2..).map(|number: u64| format!("{name}-{number:03}"));
    numbered.into_iter().find(|own| own > last).expect("there are more numbers than backups")
}

/// `20260102T030405Z`, as backups and snapshots are called.
pub fn time_name(at: TimestampMs) -> String {
    let second = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    second.strftime("%Y%m%dT%H%M%SZ").to_string()
}
