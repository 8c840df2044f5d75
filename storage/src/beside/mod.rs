//! What series have beside their numbers: native histograms, start timestamps, exemplars; and what
//! is known of metric families.
//!
//! Place in the flow: batch → `plan` judges it with the numbers → `records` in the journal, in the
//! same group → **memory** ([`Memory`], part of the head) → a flush writes `file`s of the block →
//! `scan` reads memory and blocks as one.
//!
//! A store that holds nothing but numbers pays one look at an empty batch column, an empty memory
//! and a block's list of files.
//!
//! Invariants: a histogram and a number of one series never share an instant, but for a write that
//! failed and came back; then the histogram counts. The sums over all series are exact.
//!
//! Not here: numbers (`memtable`), which series there are (`series`, `index`).

/// A histogram as few bytes.
pub mod codec;
/// The histograms of one series in memory.
mod histograms;
/// The start timestamps of one series in memory.
mod starts;
/// The newest exemplars.
pub mod exemplars;
/// What is known of families.
pub mod metadata;
/// Records of the journal.
pub mod records;
/// What of a batch is taken.
pub mod plan;
/// Rows as columns of Parquet files.
mod columns;
/// Writing a block's files.
pub mod file;
/// Reading them.
pub mod table;
/// Memory and blocks as one.
pub mod scan;
/// Blocks become one.
pub mod merge;
/// What the store's threads call.
pub mod hooks;

use model::{TimeRange, TimestampMs};
use roaring::RoaringBitmap;

use crate::series::NumberMap;
use exemplars::Ring;
use histograms::{HistogramPiece, SeriesHistograms};
use metadata::Families;
use plan::Accepted;
use starts::SeriesStarts;

pub use columns::HistogramRow;
pub use starts::Start;

/// What one series has in some range: on its way to a block or out of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// Histograms, instants ascending and unique.
    pub histograms: Vec<HistogramRow>,
    /// Start timestamps of numbers, instants ascending and unique.
    pub starts: Vec<Start>,
}

impl Rows {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.starts.is_empty()
    }

    /// The first and the last instant.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let histograms = self.histograms.iter().map(|row| row.at_ms);
        let all = || histograms.clone().chain(self.starts.iter().map(|start| start.0));
        Some((all().min()?, all().max()?))
    }

    /// Keeps what lies at instants that pass.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        self.histograms.retain(|row| keep(row.at_ms));
        self.starts.retain(|start| keep(start.0));
    }

    fn join_starts(&mut self, starts: Vec<Start>) {
        let of_histogram = |at_ms: i64, own: &[HistogramRow]| {
            own.binary_search_by_key(&at_ms, |row| row.at_ms).ok()
        };
        for (at_ms, start_ms) in starts {
            match of_histogram(at_ms, &self.histograms) {
                Some(index) => self.histograms[index].start_ms = Some(start_ms),
                None => self.starts.push((at_ms, start_ms)),
            }
        }
    }
}

/// A share of what one series has in memory, for a reader or a flush.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    histograms: Option<HistogramPiece>,
    starts: Option<SeriesStarts>,
    before_ms: Option<i64>,
}

impl Piece {
    /// Hides what lies at an instant or behind it.
    pub fn cut(&mut self, before_ms: i64) {
        self.before_ms = Some(before_ms);
    }

    /// Shows an instant of each stretch of `range_ms` that holds anything.
    pub fn each_instant(&self, range_ms: i64, mut show: impl FnMut(i64)) {
        let before_ms = self.before_ms.unwrap_or(i64::MAX);
        if let Some(histograms) = &self.histograms {
            histograms.each_stretch(range_ms, before_ms, &mut show);
        }
        let starts = self.starts.as_ref().map(|own| own.decode(TimeRange::ALL));
        let instants = starts.into_iter().flatten().map(|start| start.0);
        instants.filter(|at_ms| *at_ms < before_ms).for_each(show);
    }

    /// What lies in the range.
    pub fn rows(&self, range: TimeRange) -> Rows {
        let before =
            self.before_ms.map_or(range.end_ms(), |end| range.end_ms().min(TimestampMs(end)));
        let Some(range) = TimeRange::new(range.start_ms(), before) else { return Rows::default() };
        let timed = self.histograms.as_ref().map(|own| own.decode(range)).unwrap_or_default();
        let row = |(at_ms, histogram)| HistogramRow { at_ms, start_ms: None, histogram };
        let histograms = timed.into_iter().map(row).collect();
        let mut rows = Rows { histograms, starts: Vec::new() };
        if let Some(starts) = &self.starts {
            rows.join_starts(starts.decode(range));
        }
        rows
    }
}

/// What is in memory, by slot.
#[derive(Debug, Default)]
pub struct Memory {
    histograms: NumberMap<SeriesHistograms>,
    starts: NumberMap<SeriesStarts>,
    active: RoaringBitmap,
    /// The newest exemplars.
    pub exemplars: Ring,
    /// What is known of families.
    pub families: Families,
    count: u64,
    bytes: u64,
    oldest_ms: Option<i64>,
    newest_ms: Option<i64>,
}

impl Memory {
    /// Whether no series has a histogram or a start here.
    pub fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.starts.is_empty()
    }

    /// How many histograms are here.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The memory of what the next flush lets go of.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The oldest instant of a histogram or a start.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.oldest_ms
    }

    /// The newest instant of a histogram or a start.
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// The series that have histograms here.
    pub fn active(&self) -> &RoaringBitmap {
        &self.active
    }

    /// The slots of the series that have anything here.
    pub fn slots(&self) -> RoaringBitmap {
        let starts: RoaringBitmap = self.starts.keys().map(|slot| *slot as u32).collect();
        starts | &self.active
    }

    /// Whether a series may have histograms here in the range.
    pub fn touches(&self, slot: u32, range: TimeRange) -> bool {
        let span = self.histograms.get(&u64::from(slot)).and_then(SeriesHistograms::span_ms);
        span.is_some_and(|(first, last)| first < range.end_ms().0 && last >= range.start_ms().0)
    }

    fn histogram_at(&self, slot: u32, at_ms: i64) -> Option<std::sync::Arc<model::Histogram>> {
        self.histograms.get(&u64::from(slot))?.at(at_ms)
    }

    /// What a reader of the range needs of a series; `None` when nothing touches it.
    pub fn piece(&self, slot: u32, range: TimeRange) -> Option<Piece> {
        let slot = u64::from(slot);
        let histograms = self.histograms.get(&slot).and_then(|own| own.piece(range));
        let starts = self.starts.get(&slot).cloned();
        let is_any = histograms.is_some() || starts.is_some();
        is_any.then_some(Piece { histograms, starts, before_ms: None })
    }

    fn change_histograms(&mut self, slot: u32, change: impl FnOnce(&mut SeriesHistograms)) {
        let own = self.histograms.entry(u64::from(slot)).or_insert_with(|| {
            self.active.insert(slot);
            SeriesHistograms::default()
        });
        let (bytes, count) = (own.bytes(), own.count());
        let (bytes, count) = if count == 0 { (0, 0) } else { (bytes, count) };
        change(own);
        if own.count() > 0 {
            self.bytes = self.bytes + own.bytes() - bytes;
            self.count = self.count + own.count() - count;
        } else {
            (self.bytes, self.count) = (self.bytes - bytes, self.count - count);
            self.histograms.remove(&u64::from(slot));
            self.active.remove(slot);
        }
    }

    fn change_starts(&mut self, slot: u32, change: impl FnOnce(&mut SeriesStarts)) {
        let own = self.starts.entry(u64::from(slot)).or_default();
        let bytes = if own.is_empty() { 0 } else { own.bytes() };
        change(own);
        if own.is_empty() {
            self.bytes -= bytes;
            self.starts.remove(&u64::from(slot));
        } else {
            self.bytes = self.bytes + own.bytes() - bytes;
        }
    }

    /// Puts a histogram where it belongs; it takes the place of one at the same instant.
    pub fn insert_histogram(
        &mut self,
        slot: u32,
        at_ms: i64,
        histogram: std::sync::Arc<model::Histogram>,
    ) {
        self.change_histograms(slot, |own| own.insert(at_ms, histogram));
        self.widen(at_ms);
    }

    fn widen(&mut self, at_ms: i64) {
        self.oldest_ms = Some(self.oldest_ms.map_or(at_ms, |oldest| oldest.min(at_ms)));
        self.newest_ms = Some(self.newest_ms.map_or(at_ms, |newest| newest.max(at_ms)));
    }

    /// Puts a start where it belongs.
    pub fn insert_start(&mut self, slot: u32, start: Start) {
        self.change_starts(slot, |own| own.insert(start));
        self.widen(start.0);
    }

    /// A number came at an instant: whatever a failed write left there gives way.
    pub fn give_way(&mut self, slot: u32, at_ms: i64) {
        if self.histogram_at(slot, at_ms).is_some() {
            self.change_histograms(slot, |own| own.remove(&[at_ms]));
            self.measure();
        }
    }

    /// Takes what a commit made durable.
    pub fn apply(&mut self, accepted: Accepted) {
        for (slot, one) in accepted.histograms {
            self.insert_histogram(slot, one.at_ms, one.histogram);
        }
        for (slot, one) in accepted.starts {
            self.insert_start(slot, (one.at_ms, one.start_ms));
        }
        for one in accepted.exemplars {
            self.exemplars.insert(one.id, one.exemplar, false);
        }
        for (name, metadata) in accepted.families {
            self.families.tell(&name, metadata);
        }
    }

    /// Drops what a flush has put into blocks, or what a deletion names: instants (ascending) of
    /// histograms and of starts by slot.
    pub fn remove(&mut self, taken: &[Taken]) {
        for Taken { slot, histograms_ms, starts_ms } in taken {
            if !histograms_ms.is_empty() && self.histograms.contains_key(&u64::from(*slot)) {
                self.change_histograms(*slot, |own| own.remove(histograms_ms));
            }
            if !starts_ms.is_empty() && self.starts.contains_key(&u64::from(*slot)) {
                self.change_starts(*slot, |own| own.remove(starts_ms));
            }
        }
        self.measure();
    }

    /// The slots change: those in `kept`, all that have anything here, are numbered anew from 0.
    pub fn renumber(&mut self, kept: &RoaringBitmap) {
        let new = |slot: u32| {
            assert!(kept.contains(slot), "a series with anything here is kept");
            kept.rank(slot) as u32 - 1
        };
        let key = |slot: u64| u64::from(new(slot as u32));
        let histograms = std::mem::take(&mut self.histograms).into_iter();
        self.histograms = histograms.map(|(slot, own)| (key(slot), own)).collect();
        let starts = std::mem::take(&mut self.starts).into_iter();
        self.starts = starts.map(|(slot, own)| (key(slot), own)).collect();
        self.active = self.active.iter().map(new).collect();
    }

    fn measure(&mut self) {
        let histograms = self.histograms.values().filter_map(SeriesHistograms::span_ms);
        let starts = self.starts.values().filter_map(SeriesStarts::span_ms);
        let span = histograms.chain(starts);
        let span = span.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        (self.oldest_ms, self.newest_ms) = (span.map(|span| span.0), span.map(|span| span.1));
    }
}

/// What leaves memory of one series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// The series.
    pub slot: u32,
    /// Instants of histograms, ascending.
    pub histograms_ms: Vec<i64>,
    /// Instants of starts, ascending.
    pub starts_ms: Vec<i64>,
}

impl Taken {
    /// Adds all of some rows, which are later than those before.
    pub fn extend(&mut self, rows: &Rows) {
        let with_start = rows.histograms.iter().filter(|row| row.start_ms.is_some());
        let starts = rows.starts.iter().map(|start| start.0);
        let mut starts_ms: Vec<i64> = with_start.map(|row| row.at_ms).chain(starts).collect();
        starts_ms.sort_unstable();
        self.starts_ms.append(&mut starts_ms);
        self.histograms_ms.extend(rows.histograms.iter().map(|row| row.at_ms));
    }
}

/// What one series has beside its numbers, as a reader gets it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// Its position in the ids asked for.
    pub position: usize,
    /// Its histograms, instants ascending.
    pub histograms: Vec<(TimestampMs, std::sync::Arc<model::Histogram>)>,
    /// Start timestamps of numbers and histograms, instants ascending.
    pub starts: Vec<(TimestampMs, TimestampMs)>,
}

impl Beside {
    fn new(position: usize, rows: Rows) -> Beside {
        let mut starts: Vec<(TimestampMs, TimestampMs)> = Vec::new();
        let mut of =
            |at_ms: i64, start_ms: i64| starts.push((TimestampMs(at_ms), TimestampMs(start_ms)));
        rows.starts.iter().for_each(|start| of(start.0, start.1));
        for row in &rows.histograms {
            if let Some(start_ms) = row.start_ms {
                of(row.at_ms, start_ms);
            }
        }
        starts.sort_unstable();
        let histograms = rows.histograms.into_iter();
        let histograms = histograms.map(|row| (TimestampMs(row.at_ms), row.histogram)).collect();
        Beside { position, histograms, starts }
    }
}

#[cfg(test)]
mod tests;
