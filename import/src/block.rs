//! Block folders: what they hold, series by series, a window of time after the other.
//!
//! Place in the flow: folder → `index`, `chunks`, `tombstones` → **`Block::next`** → `prometheus`, which
//! makes batches of the pieces.
//!
//! A block of weeks is read in windows: in each, every series once. So batches come nearly in order of
//! time, and the store can write its own blocks one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::Disk;
use model::yaml::{self, Kind, Node};
use model::{Histogram, Labels, Matcher, TimeRange, TimestampMs};

use crate::Error;
use crate::chunks::{ChunkFiles, Encoding};
use crate::index::{Index, Next, Series};
use crate::tombstones::{Tombstones, hides};
use crate::{histogram, xor};

/// Longest meta.json.
const META_BYTES_MAX: usize = 1024 * 1024;
/// A window is this long, or a multiple of it.
const WINDOW_MS: i64 = 2 * 3_600_000;
/// Samples that a window should hold: fewer, longer windows need fewer walks through the index.
const WINDOW_SAMPLES: i64 = 20_000_000;

/// What meta.json says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The folder's name.
    pub name: String,
    /// Where it stands.
    pub folder: PathBuf,
    /// The first instant.
    pub min_ms: i64,
    /// The first instant behind it.
    pub max_ms: i64,
    /// Samples in it, deleted ones too.
    pub samples: i64,
    /// Series in it.
    pub series: i64,
    /// Whether it was made of samples that came late.
    pub is_out_of_order: bool,
}

impl Meta {
    /// Reads the description of a block.
    pub fn read(disk: &Disk, folder: &Path) -> Result<Meta, String> {
        let path = folder.join("meta.json");
        let bytes = disk.read(&path, META_BYTES_MAX);
        let bytes = bytes.map_err(|error| format!("read {}: {error}", path.display()))?;
        let text =
            String::from_utf8(bytes).map_err(|_| format!("{} is no text", path.display()))?;
        let root = yaml::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let number = |node: Option<&Node>| node?.text()?.parse::<i64>().ok();
        let stats = |key: &str| number(root.get("stats").and_then(|stats| stats.get(key)));
        let hints = root.get("compaction").and_then(|compaction| compaction.get("hints"));
        let is_out_of_order = matches!(hints.map(|hints| &hints.kind), Some(Kind::Sequence(list))
            if list.iter().any(|hint| hint.text() == Some("from-out-of-order")));
        let (min_ms, max_ms) = (number(root.get("minTime")), number(root.get("maxTime")));
        let (Some(min_ms), Some(max_ms)) = (min_ms, max_ms) else {
            return Err(format!("{} has no minTime or maxTime", path.display()));
        };
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Meta {
            name: name.unwrap_or_default(),
            folder: folder.to_owned(),
            min_ms,
            max_ms,
            samples: stats("numSamples").unwrap_or_default(),
            series: stats("numSeries").unwrap_or_default(),
            is_out_of_order,
        })
    }
}

/// A part of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Whose.
    pub labels: Labels,
    /// Instants and values in ascending order of time.
    pub values: Vec<(i64, f64)>,
    /// Instants and histograms in ascending order of time.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// What is taken of a source.
#[derive(Debug, Clone)]
pub struct Filter {
    /// From when to when.
    pub range: TimeRange,
    /// Which series: those that pass all of them.
    pub matchers: Vec<Matcher>,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter { range: TimeRange::ALL, matchers: Vec::new() }
    }
}

impl Filter {
    /// Whether a series is taken.
    pub fn takes(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

/// An open block.
#[derive(Debug)]
pub struct Block {
    meta: Meta,
    index: Index,
    chunks: ChunkFiles,
    tombstones: Tombstones,
    window_ms: i64,
    /// The window that is read now; damage is told in the first one only.
    window: TimeRange,
    is_first: bool,
    end_ms: i64,
    /// What was skipped.
    damage: Vec<String>,
}

impl Block {
    /// Opens the files of a block.
    pub fn open(disk: &Disk, meta: Meta, filter: &Filter) -> Result<Option<Block>, Error> {
        let start_ms = meta.min_ms.max(filter.range.start_ms().0);
        let end_ms = meta.max_ms.min(filter.range.end_ms().0);
        if start_ms >= end_ms {
            return Ok(None);
        }
        let windows = (meta.samples / WINDOW_SAMPLES).clamp(0, 1_000_000) + 1;
        let length_ms = (meta.max_ms - meta.min_ms) / windows;
        let window_ms = (length_ms / WINDOW_MS + 1) * WINDOW_MS;
        let mut damage = Vec::new();
        let index = Index::open(disk, &meta.folder.join("index"))?;
        let chunks = ChunkFiles::open(disk, &meta.folder.join("chunks"))?;
        let tombstones = Tombstones::open(disk, &meta.folder.join("tombstones"));
        let tombstones = tombstones.unwrap_or_else(|reason| {
            damage.push(format!("block {}: {reason}; its deletions are not respected", meta.name));
            Tombstones::default()
        });
        let window = window_of(start_ms, window_ms, end_ms);
        let window = window.expect("the window begins before the end");
        let is_first = true;
        Ok(Some(Block {
            meta,
            index,
            chunks,
            tombstones,
            window_ms,
            window,
            is_first,
            end_ms,
            damage,
        }))
    }

    /// What was skipped since the last question.
    pub fn take_damage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damage)
    }

    /// The next piece: every series of a window, window after window.
    pub fn next(&mut self, filter: &Filter) -> Option<Piece> {
        loop {
            match self.index.next() {
                Next::Series(series) if filter.takes(&series.labels) => {
                    let piece = self.piece(series);
                    if !piece.values.is_empty() || !piece.histograms.is_empty() {
                        return Some(piece);
                    }
                }
                Next::Series(_) => {}
                Next::Damaged(reason) => self.note(&reason),
                Next::End => {
                    let start_ms = self.window.end_ms().0;
                    self.window = window_of(start_ms, self.window_ms, self.end_ms)?;
                    self.is_first = false;
                    self.index.rewind();
                }
            }
        }
    }

    fn note(&mut self, reason: &str) {
        if self.is_first {
            self.damage.push(format!("block {}: {reason}; skipped", self.meta.name));
        }
    }

    fn piece(&mut self, series: Series) -> Piece {
        let Series { number, labels, chunks } = series;
        let (first, last) = (self.window.start_ms().0, self.window.end_ms().0 - 1);
        let mut piece = Piece { labels, values: Vec::new(), histograms: Vec::new() };
        let deletions = self.tombstones.of(number).to_vec();
        let takes = |at_ms: i64| (first..=last).contains(&at_ms) && !hides(&deletions, at_ms);
        for place in chunks {
            if place.max_ms < first || place.min_ms > last {
                continue;
            }
            let read = self.chunks.read(place.reference).and_then(|(encoding, data)| {
                let said = |error: crate::error::Malformed| error.to_string();
                match encoding {
                    Encoding::Values => piece.values.extend(
                        xor::decode(data).map_err(said)?.into_iter().filter(|s| takes(s.0)),
                    ),
                    Encoding::Histograms | Encoding::FloatHistograms => {
                        let is_float = encoding == Encoding::FloatHistograms;
                        let read = histogram::decode(data, is_float).map_err(said)?;
                        piece.histograms.extend(read.into_iter().filter(|s| takes(s.0)));
                    }
                }
                Ok(())
            });
            if let Err(reason) = read {
                self.damage
                    .push(format!("block {}: {}: {reason}; skipped", self.meta.name, piece.labels));
            }
        }
        piece
    }
}

/// The window that begins at an instant and ends at a multiple of its length.
fn window_of(start_ms: i64, window_ms: i64, end_ms: i64) -> Option<TimeRange> {
    let next_ms = start_ms.div_euclid(window_ms).saturating_add(1).saturating_mul(window_ms);
    TimeRange::new(TimestampMs(start_ms), TimestampMs(next_ms.min(end_ms)))
}
