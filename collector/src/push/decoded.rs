//! A message becomes a batch: what both versions of remote write share.
//!
//! Place in the flow: `v1`, `v2` (fields of a message) → **`Building`** → `Decoded` → receiver.
//!
//! Every series of a message that carries anything and has good labels becomes one series of the
//! batch, in order, whether it is known or not. So the same message decoded again gives the same
//! positions, which is how the receiver finds the series that the store has lost ([`Lookup::only`]).
//!
//! Not here: the layout of a message (`v1`, `v2`), the commit (`receiver`).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::append::{BatchExemplar, Column, Metadata, RefusedReason, SeriesId};
use model::{Batch, MetricKind, SeriesIx, TimestampMs};

use super::cache::{Hasher, Key, NOWHERE, SeriesCache};
use super::error::PushError;
use super::families::{Families, Told};
use super::histogram::RawHistogram;
use super::protobuf::RawSample;

/// Most samples of one message. An honest sample takes 18 bytes, so this is beyond what fits into
/// the largest message; a sample without value and time takes two.
pub(super) const SAMPLES_MAX: usize = 2_000_000;
/// Most memory for histograms, exemplars and metadata of one message, which have short forms too.
const BESIDE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Memory of an exemplar without its labels, of a piece of metadata, and of a start timestamp.
const SMALL_BYTES: usize = 160;
/// Bytes of a message per sample, at least, as room is reserved for.
const MESSAGE_BYTES_PER_SAMPLE: usize = 96;
/// Most refusals that are told one by one.
pub(super) const NAMED_MAX: usize = 5;

/// What is remembered from earlier requests.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) hasher: Hasher,
    pub(super) series: SeriesCache,
    pub(super) families: Families,
}

/// How the series of a message are looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lookup<'a> {
    /// What is known; without it, every series comes by its labels.
    pub(super) memory: Option<&'a Memory>,
    /// Only the series at these positions (ascending) are taken, and by their labels.
    pub(super) only: Option<&'a [u32]>,
}

/// A decoded message.
#[derive(Debug, Default)]
pub struct Decoded {
    /// What is to be stored.
    pub batch: Batch,
    /// What is not, because it is wrong in itself.
    pub refusals: DoorRefusals,
    pub(super) misses: Vec<Miss>,
    pub(super) told: Vec<Told>,
}

/// A series of the batch that comes by its labels, and what it will be known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Miss {
    pub(super) series: SeriesIx,
    pub(super) key: Key,
    pub(super) size_bytes: u32,
}

/// What was refused before it came to the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorRefusals {
    /// How many, by column and reason.
    pub counts: BTreeMap<(Column, RefusedReason), u64>,
    /// The first of them in words; with the position of the series where it is in the batch.
    pub named: Vec<(Option<SeriesIx>, String)>,
}

impl DoorRefusals {
    /// Adds some with one reason.
    pub(super) fn add(
        &mut self,
        what: (Column, RefusedReason, u64),
        series: Option<SeriesIx>,
        text: impl FnOnce() -> String,
    ) {
        let (column, reason, count) = what;
        if count == 0 {
            return;
        }
        *self.counts.entry((column, reason)).or_default() += count;
        if self.named.len() < NAMED_MAX {
            self.named.push((series, text()));
        }
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// Where a known series stands, or what a new one will be known by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Known(SeriesId),
    New(Option<(Key, u32)>),
}

/// What a series carries, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Content {
    pub(super) samples: u64,
    pub(super) histograms: u64,
    pub(super) exemplars: u64,
}

/// A series of the message: known by number until something of it is taken, then by position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Known(SeriesId),
    Named(SeriesIx),
}

/// A batch in the making.
#[derive(Debug)]
pub(super) struct Building<'a> {
    pub(super) lookup: Lookup<'a>,
    pub(super) decoded: Decoded,
    /// Known series whose labels do not lie together: the message must be decoded the long way.
    pub(super) scattered: bool,
    last: u32,
    position: u32,
    beside_bytes: usize,
}

impl<'a> Building<'a> {
    pub(super) fn new(lookup: Lookup<'a>, message_bytes: usize) -> Building<'a> {
        let room = message_bytes / MESSAGE_BYTES_PER_SAMPLE + 1;
        let batch = match lookup.only {
            None => Batch::with_capacity(room, room),
            Some(_) => Batch::new(),
        };
        Building {
            lookup,
            decoded: Decoded { batch, ..Decoded::default() },
            scattered: false,
            last: NOWHERE,
            position: 0,
            beside_bytes: 0,
        }
    }

    /// What is known of series, when known series are wanted.
    #[inline]
    pub(super) fn known(&self) -> Option<&'a Memory> {
        self.lookup.memory.filter(|_| self.lookup.only.is_none())
    }

    /// The series after the last one, if the order is that of last time: its position in the cache,
    /// the size of its name and its key.
    #[inline]
    pub(super) fn expected(&self) -> Option<(u32, usize, Key, SeriesId)> {
        let (index, entry) = self.known()?.series.after(self.last)?;
        Some((index, entry.size_bytes as usize, entry.key, entry.id()?))
    }

    /// The expected series came.
    #[inline]
    pub(super) fn expected_came(&mut self, index: u32) {
        self.last = index;
    }

    /// Looks a key up.
    #[inline]
    pub(super) fn find(&mut self, key: Key, size_bytes: usize) -> Found {
        let new = Found::New(u32::try_from(size_bytes).ok().map(|size_bytes| (key, size_bytes)));
        let Some(memory) = self.known() else { return new };
        let Some((index, entry)) = memory.series.find_after(self.last, key) else { return new };
        self.last = index;
        entry.id().map_or(new, Found::Known)
    }

    /// Whether the last series that is wanted has been read.
    pub(super) fn is_done(&self) -> bool {
        let beyond = |only: &[u32]| only.last().is_none_or(|last| self.position > *last);
        self.scattered || self.lookup.only.is_some_and(beyond)
    }

    /// A new series of the batch; `None` when it is not among those that are wanted.
    pub(super) fn describe(
        &mut self,
        pairs: &[(&str, &str)],
        key: Option<(Key, u32)>,
    ) -> Option<Target> {
        let position = self.position;
        self.position += 1;
        if self.lookup.only.is_some_and(|only| only.binary_search(&position).is_err()) {
            return None;
        }
        let series = self.decoded.batch.series_from_sorted(pairs.iter().copied());
        if let Some((key, size_bytes)) = key {
            self.decoded.misses.push(Miss { series, key, size_bytes });
        }
        Some(Target::Named(series))
    }

    /// The series has labels that can't be stored.
    pub(super) fn refuse(&mut self, content: Content, text: &str) {
        let columns = [
            (Column::Samples, content.samples),
            (Column::Histograms, content.histograms),
            (Column::Exemplars, content.exemplars),
        ];
        let mut text = Some(text);
        for (column, count) in columns {
            let what = (column, RefusedReason::InvalidLabels, count);
            // One sentence per series is enough.
            match text.filter(|_| count > 0) {
                Some(sentence) => {
                    self.decoded.refusals.add(what, None, || sentence.to_owned());
                    text = None;
                }
                None if count > 0 => {
                    let (column, reason, count) = what;
                    *self.decoded.refusals.counts.entry((column, reason)).or_default() += count;
                }
                None => {}
            }
        }
    }

    #[inline]
    fn name(&mut self, target: &mut Target) -> SeriesIx {
        match *target {
            Target::Named(series) => series,
            Target::Known(id) => {
                let series = self.decoded.batch.known_series(id);
                self.position += 1;
                *target = Target::Named(series);
                series
            }
        }
    }

    #[inline]
    pub(super) fn sample(
        &mut self,
        target: &mut Target,
        sample: RawSample,
    ) -> Result<(), PushError> {
        if self.decoded.batch.samples().len() >= SAMPLES_MAX {
            let reason = format!("the message holds more than {SAMPLES_MAX} samples");
            return Err(PushError::malformed(reason));
        }
        let series = self.name(target);
        self.decoded.batch.sample(series, TimestampMs(sample.at_ms), sample.value);
        if sample.start_ms != 0 {
            self.start(series, sample.at_ms, sample.start_ms)?;
        }
        Ok(())
    }

    pub(super) fn histogram(
        &mut self,
        target: &mut Target,
        raw: RawHistogram,
    ) -> Result<(), PushError> {
        let series = self.name(target);
        match raw.histogram {
            Ok(histogram) => {
                self.charge(histogram.bytes())?;
                let at = TimestampMs(raw.at_ms);
                self.decoded.batch.histogram(series, at, Arc::new(histogram));
                if raw.start_ms != 0 {
                    self.start(series, raw.at_ms, raw.start_ms)?;
                }
            }
            Err(problem) => {
                let what = (Column::Histograms, RefusedReason::InvalidHistogram, 1);
                self.decoded.refusals.add(what, Some(series), || problem);
            }
        }
        Ok(())
    }

    pub(super) fn exemplar(
        &mut self,
        target: &mut Target,
        value: f64,
        at_ms: i64,
        labels: Result<model::Labels, String>,
    ) -> Result<(), PushError> {
        let series = self.name(target);
        match labels {
            Ok(labels) => {
                self.charge(SMALL_BYTES + labels.text().len())?;
                let at = TimestampMs(at_ms);
                self.decoded.batch.exemplar(BatchExemplar { series, at, value, labels });
            }
            Err(problem) => {
                let what = (Column::Exemplars, RefusedReason::InvalidExemplar, 1);
                self.decoded.refusals.add(what, Some(series), || problem);
            }
        }
        Ok(())
    }

    /// When the counting behind a sample or histogram began.
    pub(super) fn start(
        &mut self,
        series: SeriesIx,
        at_ms: i64,
        start_ms: i64,
    ) -> Result<(), PushError> {
        self.charge(SMALL_BYTES / 4)?;
        self.decoded.batch.start(series, TimestampMs(at_ms), TimestampMs(start_ms));
        Ok(())
    }

    /// What the sender says of a metric family.
    pub(super) fn family(&mut self, family: &str, metadata: Metadata) -> Result<(), PushError> {
        if family.is_empty() || self.lookup.only.is_some() {
            return Ok(());
        }
        // Before anything is hashed: a message may repeat a long text in few bytes.
        self.charge(SMALL_BYTES + family.len() + metadata.help.len() + metadata.unit.len())?;
        if let Some(memory) = self.lookup.memory {
            let told = Told::new(&memory.hasher, family, &metadata);
            if memory.families.knows(told) {
                return Ok(());
            }
            self.decoded.told.push(told);
        }
        self.decoded.batch.metadata(family, metadata);
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), PushError> {
        self.beside_bytes += bytes;
        if self.beside_bytes <= BESIDE_BYTES_MAX {
            return Ok(());
        }
        Err(PushError::malformed(
            "the message holds more histograms, exemplars and metadata than fit into memory",
        ))
    }
}

/// The kind that both versions number alike.
pub(super) fn kind_of(number: u64) -> MetricKind {
    match number {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        // A gauge histogram is read like a histogram; the house has no word of its own for it.
        3 | 4 => MetricKind::Histogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

/// Text for people, whatever bytes it came as.
pub(super) fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
