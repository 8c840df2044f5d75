//! Hinge: a batch of samples goes to the store, and is durable when the call returns.
//!
//! Place in the flow: collector and rules → **`Append::append`** → storage. They know this trait
//! and not the store; the binary's wiring joins them.
//!
//! A batch keeps its label text in one arena and its samples in one column, so that building one
//! costs a handful of allocations however many series it holds, and the store can recognise a known
//! series by hash and bytes without building its label set again.
//!
//! What a series has beside its numbers (native histograms, exemplars, start timestamps) and what is
//! known of its metric family lie in columns of their own, so that plain samples pay nothing for them.
//!
//! Not here: the journal and the memtable (storage).

use std::sync::Arc;

use crate::BoxFuture;
use crate::exporter::MetricKind;
use crate::histogram::Histogram;
use crate::labels::{Labels, hash_parts};
use crate::time::TimestampMs;

/// The number the store gave a label set; stable over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u64);

/// The position of a series inside one [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesIx(pub u32);

/// Commits batches.
pub trait Append: Send + Sync + 'static {
    /// Commits one batch as one transaction: when this returns `Ok`, every accepted sample is
    /// fsynced and visible to queries; what was refused is listed with its reason and counted.
    /// When it returns an error, nothing of the batch was accepted.
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>>;
}

/// Samples of several series, committed together.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    text: String,
    ends: Vec<u32>,
    series: Vec<Key>,
    described: Vec<Described>,
    samples: Vec<BatchSample>,
    beside: Beside,
}

/// The columns beside the numbers.
#[derive(Debug, Clone, Default)]
struct Beside {
    histograms: Vec<BatchHistogram>,
    exemplars: Vec<BatchExemplar>,
    starts: Vec<BatchStart>,
    metadata: Vec<(String, Metadata)>,
}

/// The number of a known series, or [`DESCRIBED`] and the position in `described`. Eight bytes,
/// because nearly all series of nearly all batches are known ones.
#[derive(Debug, Clone, Copy)]
struct Key(u64);

/// Marks a key that is described by labels; no store gives so large a number.
const DESCRIBED: u64 = 1 << 63;

/// Where the labels of a described series lie.
#[derive(Debug, Clone, Copy)]
struct Described {
    text: (u32, u32),
    ends: (u32, u32),
}

/// How one series of a batch is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKey<'a> {
    /// By the number that an earlier commit returned.
    Known(SeriesId),
    /// By its labels, in the form of [`Labels::text`] and [`Labels::ends`].
    Labels {
        /// Names and values without separators.
        text: &'a str,
        /// Where each name and value ends.
        ends: &'a [u32],
    },
}

impl SeriesKey<'_> {
    /// The hash of the labels (equals [`Labels::hash64`]); `None` for a known series.
    pub fn hash64(&self) -> Option<u64> {
        match self {
            SeriesKey::Known(_) => None,
            SeriesKey::Labels { text, ends } => Some(hash_parts(text, ends)),
        }
    }
}

/// One value of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchSample {
    /// Which series of the batch.
    pub series: SeriesIx,
    /// When.
    pub at: TimestampMs,
    /// The value, bit for bit; the stale marker is a value too.
    pub value: f64,
}

/// One native histogram of one series. One whose sum is the stale marker is the stale marker.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchHistogram {
    /// Which series of the batch.
    pub series: SeriesIx,
    /// When.
    pub at: TimestampMs,
    /// The distribution.
    pub histogram: Arc<Histogram>,
}

/// One example observation of one series, usually with the trace it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchExemplar {
    /// Which series of the batch.
    pub series: SeriesIx,
    /// When it was observed.
    pub at: TimestampMs,
    /// What was observed.
    pub value: f64,
    /// Its own labels, such as `trace_id`.
    pub labels: Labels,
}

/// When the counting behind a sample or histogram of the batch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchStart {
    /// Which series of the batch.
    pub series: SeriesIx,
    /// The instant of the sample or histogram.
    pub at: TimestampMs,
    /// The start of its counting.
    pub start: TimestampMs,
}

/// What is known of a metric family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its kind.
    pub kind: MetricKind,
    /// Its unit; empty when nobody said.
    pub unit: String,
    /// One sentence for people.
    pub help: String,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// An empty batch with room for so many series and samples.
    pub fn with_capacity(series: usize, samples: usize) -> Batch {
        Batch {
            series: Vec::with_capacity(series),
            samples: Vec::with_capacity(samples),
            ..Batch::default()
        }
    }

    /// Names a series by the number of an earlier commit.
    pub fn known_series(&mut self, id: SeriesId) -> SeriesIx {
        assert!(id.0 < DESCRIBED, "series are numbered upwards from zero");
        self.push(Key(id.0))
    }

    /// Names a series by its labels.
    pub fn series(&mut self, labels: &Labels) -> SeriesIx {
        self.series_from_sorted(labels.iter())
    }

    /// Names a series by pairs in ascending order of names. The caller vouches for order,
    /// uniqueness and non-empty values; the store refuses a key that breaks them as invalid.
    pub fn series_from_sorted<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> SeriesIx {
        let (text_start, ends_start) = (self.text.len(), self.ends.len());
        for (name, value) in pairs {
            for part in [name, value] {
                self.text.push_str(part);
                self.ends.push(offset(self.text.len() - text_start));
            }
        }
        self.described.push(Described {
            text: (offset(text_start), offset(self.text.len())),
            ends: (offset(ends_start), offset(self.ends.len())),
        });
        self.push(Key(DESCRIBED | (self.described.len() - 1) as u64))
    }

    fn push(&mut self, key: Key) -> SeriesIx {
        self.series.push(key);
        SeriesIx(offset(self.series.len() - 1))
    }

    /// Adds one value.
    pub fn sample(&mut self, series: SeriesIx, at: TimestampMs, value: f64) {
        self.assert_own(series);
        self.samples.push(BatchSample { series, at, value });
    }

    fn assert_own(&self, series: SeriesIx) {
        assert!((series.0 as usize) < self.series.len(), "a sample names a series of its batch");
    }

    /// How many series were named.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// How a series is named.
    pub fn key(&self, series: SeriesIx) -> SeriesKey<'_> {
        let Key(key) = self.series[series.0 as usize];
        if key < DESCRIBED {
            return SeriesKey::Known(SeriesId(key));
        }
        let Described { text, ends } = self.described[(key - DESCRIBED) as usize];
        SeriesKey::Labels {
            text: &self.text[text.0 as usize..text.1 as usize],
            ends: &self.ends[ends.0 as usize..ends.1 as usize],
        }
    }

    /// All samples in the order they were added.
    pub fn samples(&self) -> &[BatchSample] {
        &self.samples
    }

    /// Adds a native histogram.
    pub fn histogram(&mut self, series: SeriesIx, at: TimestampMs, histogram: Arc<Histogram>) {
        self.assert_own(series);
        self.beside.histograms.push(BatchHistogram { series, at, histogram });
    }

    /// Adds an exemplar.
    pub fn exemplar(&mut self, exemplar: BatchExemplar) {
        self.assert_own(exemplar.series);
        self.beside.exemplars.push(exemplar);
    }

    /// Tells when the counting behind a sample or histogram of this batch began.
    pub fn start(&mut self, series: SeriesIx, at: TimestampMs, start: TimestampMs) {
        self.assert_own(series);
        self.beside.starts.push(BatchStart { series, at, start });
    }

    /// Tells what is known of a metric family; the newest word counts.
    pub fn metadata(&mut self, family: &str, metadata: Metadata) {
        self.beside.metadata.push((family.to_owned(), metadata));
    }

    /// All histograms in the order they were added.
    pub fn histograms(&self) -> &[BatchHistogram] {
        &self.beside.histograms
    }

    /// All exemplars in the order they were added.
    pub fn exemplars(&self) -> &[BatchExemplar] {
        &self.beside.exemplars
    }

    /// All start timestamps in the order they were added.
    pub fn starts(&self) -> &[BatchStart] {
        &self.beside.starts
    }

    /// What is known of metric families, by family name, in the order it was added.
    pub fn families(&self) -> &[(String, Metadata)] {
        &self.beside.metadata
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        let Beside { histograms, exemplars, metadata, .. } = &self.beside;
        self.samples.is_empty()
            && histograms.is_empty()
            && exemplars.is_empty()
            && metadata.is_empty()
    }
}

fn offset(size: usize) -> u32 {
    u32::try_from(size).expect("a batch is smaller than 4 GiB: the doors cap request bodies")
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Appended {
    /// Samples that are durable now (an exact duplicate of a stored sample counts as accepted).
    pub accepted: u64,
    /// Native histograms that are durable now.
    pub histograms_accepted: u64,
    /// Exemplars that are durable now.
    pub exemplars_accepted: u64,
    /// The store's number of each series of the batch, by [`SeriesIx`]; `None` if it was refused.
    pub ids: Vec<Option<SeriesId>>,
    /// Series that were new to the store.
    pub series_created: u64,
    /// What was refused, each column in batch order.
    pub refused: Vec<Refused>,
}

/// A column of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Numbers.
    Samples,
    /// Native histograms.
    Histograms,
    /// Exemplars.
    Exemplars,
}

/// One refused sample, histogram or exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refused {
    /// What it was.
    pub column: Column,
    /// Which series of the batch.
    pub series: SeriesIx,
    /// The sample's instant.
    pub at: TimestampMs,
    /// Why.
    pub reason: RefusedReason,
}

/// The closed set of reasons to refuse a sample. Sending it again cannot help, but for
/// [`RefusedReason::UnknownSeries`], which asks for the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusedReason {
    /// Older than the newest sample of its series.
    OutOfOrder,
    /// Older than the store still takes.
    TooOld,
    /// Further ahead of our clock than [`crate::limits::FUTURE_MS_MAX`].
    TooFarInFuture,
    /// The series has another value at this instant.
    DuplicateTimestamp,
    /// Labels that are unsorted, doubled, empty or too long.
    InvalidLabels,
    /// A new series beyond a limit.
    SeriesLimit,
    /// [`SeriesKey::Known`] with a number that the store no longer has.
    UnknownSeries,
    /// A histogram whose parts contradict each other.
    InvalidHistogram,
    /// Exemplar labels that are longer than [`crate::limits::EXEMPLAR_LABELS_CHARS_MAX`].
    InvalidExemplar,
    /// A series that its sender may not write.
    OutsideScope,
}

impl RefusedReason {
    /// The word used in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusedReason::OutOfOrder => "out_of_order",
            RefusedReason::TooOld => "too_old",
            RefusedReason::TooFarInFuture => "too_far_in_future",
            RefusedReason::DuplicateTimestamp => "duplicate_timestamp",
            RefusedReason::InvalidLabels => "invalid_labels",
            RefusedReason::SeriesLimit => "series_limit",
            RefusedReason::UnknownSeries => "unknown_series",
            RefusedReason::InvalidHistogram => "invalid_histogram",
            RefusedReason::InvalidExemplar => "invalid_exemplar",
            RefusedReason::OutsideScope => "outside_scope",
        }
    }

    /// The sentence upstream's users know from their logs.
    pub fn message(self) -> &'static str {
        match self {
            RefusedReason::OutOfOrder => "out of order sample",
            RefusedReason::TooOld => "sample too old",
            RefusedReason::TooFarInFuture => "out of bounds: sample too far in the future",
            RefusedReason::DuplicateTimestamp => "duplicate sample for timestamp",
            RefusedReason::InvalidLabels => "invalid label set",
            RefusedReason::SeriesLimit => "series limit reached",
            RefusedReason::UnknownSeries => "unknown series reference",
            RefusedReason::InvalidHistogram => "invalid histogram",
            RefusedReason::InvalidExemplar => "label length for exemplar exceeds maximum",
            RefusedReason::OutsideScope => "outside the label scope of the sender",
        }
    }
}

/// Why a whole batch was not taken. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The store can't take samples now (disk full, I/O error, memory budget). Keep the batch and
    /// try again.
    #[error("the store takes no samples for now: {reason}")]
    Unavailable {
        /// What the operator must know.
        reason: String,
    },
    /// The store is stopping. Try again after the restart.
    #[error("the store is stopping")]
    Stopping,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_like_label_sets() {
        let mut batch = Batch::new();
        let first = Labels::from_pairs([("__name__", "up"), ("job", "a")]);
        let second = Labels::from_pairs([("__name__", "up"), ("job", "b")]);
        let (one, two) = (batch.series(&first), batch.series(&second));
        let three = batch.known_series(SeriesId(7));
        batch.sample(two, TimestampMs(5), 1.0);
        assert_eq!(batch.key(one).hash64(), Some(first.hash64()));
        assert_eq!(batch.key(two).hash64(), Some(second.hash64()));
        let SeriesKey::Labels { text, ends } = batch.key(two) else { panic!("has labels") };
        assert_eq!(Labels::from_parts(text, ends), Some(second));
        assert_eq!(batch.key(three), SeriesKey::Known(SeriesId(7)));
        assert_eq!(batch.samples().len(), 1);
    }
}
