//! What is known of metric families: kind, unit, help.
//!
//! Place in the flow: committed batch → journal record → **`Families`** → [`crate::Store::metadata`];
//! a flush writes all of it to the file `metadata`, so that the journal may be trimmed.
//!
//! The file is one line of text (`BELFRY-METADATA`, version, checksum of the rest) and JSON.
//!
//! Invariants: a family has at least one description, the newest last, none twice; their number is
//! bounded. When the file is damaged it is named and begun anew: targets tell it all again.
//!
//! Not here: which family a series belongs to.

use std::collections::BTreeMap;
use std::path::Path;

use journal::disk::Disk;
use model::append::Metadata;
use model::exporter::MetricKind;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::block::meta::checksum_text;
use crate::error::at;

/// The name of the file in the store's folder.
pub const METADATA_FILE: &str = "metadata";
const MAGIC: &str = "BELFRY-METADATA";
const FORMAT_VERSION: u32 = 1;
const FILE_BYTES_MAX: usize = 256 << 20;
/// Families kept; the ones told longest ago go first.
pub const FAMILIES_MAX: usize = 100_000;
/// Memory they may take; beyond it the ones told longest ago go first, too.
pub const FAMILIES_BYTES_MAX: usize = 64 << 20;
/// Different descriptions of one family that are kept.
pub const DESCRIPTIONS_MAX: usize = 8;
/// Bytes of help and of unit that are kept; the rest is cut.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Bytes of a family's name; longer ones are not kept.
pub const NAME_BYTES_MAX: usize = model::limits::LABEL_VALUE_BYTES_MAX;

/// One family with its descriptions.
#[derive(Debug, Clone, Default)]
struct Family {
    told: u64,
    descriptions: Vec<Metadata>,
}

impl Family {
    /// Its memory, roughly, without its name, which is bounded by the number of families.
    fn bytes(&self) -> usize {
        let text = |one: &Metadata| one.unit.len() + one.help.len() + size_of::<Metadata>();
        self.descriptions.iter().map(text).sum()
    }
}

/// All families.
#[derive(Debug, Default)]
pub struct Families {
    by_name: BTreeMap<String, Family>,
    told: u64,
    bytes: usize,
    /// Changes since the store was opened; a flush compares it with the last one it wrote.
    changes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    family: String,
    #[serde(rename = "type")]
    kind: String,
    unit: String,
    help: String,
}

impl Families {
    /// Whether a description says something that is not the newest word already.
    pub fn is_news(&self, family: &str, metadata: &Metadata) -> bool {
        let known = self.by_name.get(family).and_then(|family| family.descriptions.last());
        known != Some(metadata)
    }

    /// Takes a description as the newest word on its family.
    pub fn tell(&mut self, family: &str, metadata: Metadata) {
        self.told += 1;
        let told = self.told;
        if !self.by_name.contains_key(family) {
            self.make_room();
            self.by_name.insert(family.to_owned(), Family::default());
        }
        let Some(own) = self.by_name.get_mut(family) else { return };
        let bytes = own.bytes();
        own.told = told;
        if own.descriptions.last() == Some(&metadata) {
            return;
        }
        own.descriptions.retain(|other| *other != metadata);
        own.descriptions.push(metadata);
        if own.descriptions.len() > DESCRIPTIONS_MAX {
            own.descriptions.remove(0);
        }
        self.bytes = self.bytes + own.bytes() - bytes;
        self.changes += 1;
    }

    /// Lets go of a tenth of the families when there are too many.
    fn make_room(&mut self) {
        if self.by_name.len() < FAMILIES_MAX && self.bytes < FAMILIES_BYTES_MAX {
            return;
        }
        let mut told: Vec<u64> = self.by_name.values().map(|family| family.told).collect();
        let tenth = told.len() / 10;
        let (_, limit, _) = told.select_nth_unstable(tenth);
        let limit = *limit;
        self.by_name.retain(|_, family| family.told > limit);
        self.bytes = self.by_name.values().map(Family::bytes).sum();
    }

    /// Changes since the store was opened.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Families by name, the newest description of each first; at most `limit` (0: all), or only the
    /// one that is named.
    pub fn list(&self, limit: usize, metric: Option<&str>) -> Vec<(String, Vec<Metadata>)> {
        let shape = |(name, family): (&String, &Family)| {
            (name.clone(), family.descriptions.iter().rev().cloned().collect())
        };
        if let Some(metric) = metric {
            return self.by_name.get_key_value(metric).map(shape).into_iter().collect();
        }
        let limit = if limit == 0 { usize::MAX } else { limit };
        self.by_name.iter().take(limit).map(shape).collect()
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for (name, family) in &self.by_name {
            entries.extend(family.descriptions.iter().map(|one| Entry {
                family: name.clone(),
                kind: one.kind.as_str().to_owned(),
                unit: one.unit.clone(),
                help: one.help.clone(),
            }));
        }
        let mut body = serde_json::to_vec(&entries).expect("plain fields become JSON");
        body.push(b'\n');
        let head = format!("{MAGIC} {FORMAT_VERSION} {}\n", checksum_text(&body));
        [head.as_bytes(), &body].concat()
    }

    /// Reads the file of a store's folder into an empty memory; says what is damaged.
    pub fn read(&mut self, disk: &Disk, dir: &Path) -> Result<Option<String>, Error> {
        let path = dir.join(METADATA_FILE);
        if !disk.exists(&path).map_err(at("look for", &path))? {
            return Ok(None);
        }
        let bytes = disk.read(&path, FILE_BYTES_MAX).map_err(at("read", &path))?;
        match decode(&bytes, &path)? {
            Ok(entries) => {
                for Entry { family, kind, unit, help } in entries {
                    self.tell(&family, Metadata { kind: kind_of(&kind), unit, help });
                }
                self.changes = 0;
                Ok(None)
            }
            Err(what) => Ok(Some(format!("{METADATA_FILE}: {what}"))),
        }
    }
}

fn decode(bytes: &[u8], path: &Path) -> Result<Result<Vec<Entry>, String>, Error> {
    let damaged = |what: &str| Ok(Err(what.to_owned()));
    let Some(line_end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return damaged("it has no first line");
    };
    let (head, body) = (&bytes[..line_end], &bytes[line_end + 1..]);
    let words: Vec<&str> = std::str::from_utf8(head).unwrap_or("").split(' ').collect();
    let [MAGIC, version, checksum] = words[..] else {
        return damaged("its first line is not that of a metadata file");
    };
    if checksum != checksum_text(body) {
        return damaged("its checksum does not fit");
    }
    match version.parse() {
        Ok(FORMAT_VERSION) => {}
        Ok(found_version) => {
            return Err(Error::NewerFormat {
                path: path.to_owned(),
                found_version,
                known_version: FORMAT_VERSION,
            });
        }
        Err(_) => return damaged("its version is not a number"),
    }
    Ok(serde_json::from_slice(body).map_err(|error| error.to_string()))
}

/// The number of a kind in records.
pub fn kind_number(kind: MetricKind) -> u8 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::Summary => 4,
        MetricKind::Info => 5,
        MetricKind::StateSet => 6,
    }
}

const KINDS: [MetricKind; 7] = [
    MetricKind::Unknown,
    MetricKind::Counter,
    MetricKind::Gauge,
    MetricKind::Histogram,
    MetricKind::Summary,
    MetricKind::Info,
    MetricKind::StateSet,
];

/// The kind of a number; one that a later release added is unknown.
pub fn kind_of_number(number: u8) -> MetricKind {
    KINDS.get(usize::from(number)).copied().unwrap_or(MetricKind::Unknown)
}

fn kind_of(word: &str) -> MetricKind {
    KINDS.into_iter().find(|kind| kind.as_str() == word).unwrap_or(MetricKind::Unknown)
}

/// A description whose texts are cut to what is kept.
pub fn cut(metadata: &Metadata) -> Metadata {
    let cut = |text: &str| {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text[..end].to_owned()
    };
    Metadata { kind: metadata.kind, unit: cut(&metadata.unit), help: cut(&metadata.help) }
}
