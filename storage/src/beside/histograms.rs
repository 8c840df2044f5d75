//! The histograms of one series in memory: sealed chunks, then one that still grows.
//!
//! Place in the flow: committed batch → **`SeriesHistograms`** → a reader or a flush takes a
//! [`HistogramPiece`].
//!
//! A chunk stands alone: its first histogram is told in full, each further one as the difference to
//! the one before (`codec`), its instant as the difference of differences.
//!
//! Invariants: instants ascend over all chunks; a chunk in memory always decodes.
//!
//! Not here: sums over all series (the memory of `beside`), starts.

use std::sync::Arc;

use model::{Histogram, TimeRange};

use super::codec;
use crate::encoding::varint::{Reader, put_i64};

/// Bytes after which a chunk is sealed: what a reader copies of the growing one stays small.
const CHUNK_BYTES_MAX: usize = 4 * 1024;
/// Histograms after which a chunk is sealed, so that a short range decodes few.
const CHUNK_HISTOGRAMS_MAX: u32 = 120;

/// A histogram and its instant.
pub type Timed = (i64, Arc<Histogram>);

/// A run of histograms.
#[derive(Debug, Clone)]
pub struct Chunk {
    bytes: Arc<[u8]>,
    first_ms: i64,
    last_ms: i64,
    count: u32,
}

/// The chunk that still grows, and what its next histogram is told as a difference to.
#[derive(Debug, Default)]
struct Growing {
    bytes: Vec<u8>,
    first_ms: i64,
    last_ms: i64,
    step_ms: i64,
    count: u32,
    last: Option<Arc<Histogram>>,
}

/// The histograms of one series.
#[derive(Debug, Default)]
pub struct SeriesHistograms {
    sealed: Vec<Chunk>,
    growing: Growing,
}

/// A reader's share of one series: the chunks that touch its range.
#[derive(Debug, Clone, Default)]
pub struct HistogramPiece(Vec<Chunk>);

impl Chunk {
    fn decode(&self, out: &mut Vec<Timed>) {
        let mut reader = Reader::new(&self.bytes);
        let (mut at_ms, mut step_ms) = (0i64, 0i64);
        let mut previous: Option<Arc<Histogram>> = None;
        for _ in 0..self.count {
            step_ms = step_ms.wrapping_add(reader.i64().expect("a chunk in memory decodes"));
            at_ms = at_ms.wrapping_add(step_ms);
            let own = codec::read(previous.as_deref(), &mut reader);
            let own = Arc::new(own.expect("a chunk in memory decodes"));
            if previous.is_none() {
                step_ms = 0;
            }
            out.push((at_ms, Arc::clone(&own)));
            previous = Some(own);
        }
    }

    fn touches(&self, range: TimeRange) -> bool {
        self.first_ms < range.end_ms().0 && self.last_ms >= range.start_ms().0
    }
}

impl Growing {
    fn append(&mut self, at_ms: i64, own: Arc<Histogram>) {
        if self.count == 0 {
            put_i64(&mut self.bytes, at_ms);
            self.first_ms = at_ms;
        } else {
            let step_ms = at_ms.wrapping_sub(self.last_ms);
            put_i64(&mut self.bytes, step_ms.wrapping_sub(self.step_ms));
            self.step_ms = step_ms;
        }
        codec::put(self.last.as_deref(), &own, &mut self.bytes);
        self.last_ms = at_ms;
        self.count += 1;
        self.last = Some(own);
    }

    fn chunk(&self) -> Chunk {
        Chunk {
            bytes: self.bytes.as_slice().into(),
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            count: self.count,
        }
    }
}

impl HistogramPiece {
    /// Shows an instant before `before_ms` of each stretch of `range_ms` that holds any. Only chunks
    /// that lie in several are decoded.
    pub fn each_stretch(&self, range_ms: i64, before_ms: i64, show: &mut impl FnMut(i64)) {
        for chunk in &self.0 {
            let stretch = |at_ms: i64| at_ms.div_euclid(range_ms);
            if chunk.last_ms < before_ms && stretch(chunk.first_ms) == stretch(chunk.last_ms) {
                show(chunk.first_ms);
                continue;
            }
            let mut all = Vec::new();
            chunk.decode(&mut all);
            let instants = all.into_iter().map(|(at_ms, _)| at_ms);
            instants.filter(|at_ms| *at_ms < before_ms).for_each(&mut *show);
        }
    }

    /// The histograms inside the range.
    pub fn decode(&self, range: TimeRange) -> Vec<Timed> {
        let mut all = Vec::new();
        for chunk in self.0.iter().filter(|chunk| chunk.touches(range)) {
            chunk.decode(&mut all);
        }
        all.retain(|(at_ms, _)| range.start_ms().0 <= *at_ms && *at_ms < range.end_ms().0);
        all
    }
}

impl SeriesHistograms {
    /// How many.
    pub fn count(&self) -> u64 {
        let sealed = self.sealed.iter().map(|chunk| u64::from(chunk.count)).sum::<u64>();
        sealed + u64::from(self.growing.count)
    }

    /// The memory they take.
    pub fn bytes(&self) -> u64 {
        let sealed = |chunk: &Chunk| chunk.bytes.len() + size_of::<Chunk>() + 16;
        let last = self.growing.last.as_ref().map_or(0, |last| last.bytes());
        let sealed = self.sealed.iter().map(sealed).sum::<usize>();
        (sealed + self.growing.bytes.capacity() + last + size_of::<SeriesHistograms>()) as u64
    }

    /// The first and last instant.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let growing = (self.growing.count > 0).then_some(&self.growing);
        let first = self.sealed.first().map(|chunk| chunk.first_ms);
        let first = first.or_else(|| growing.map(|growing| growing.first_ms))?;
        let last = growing.map(|growing| growing.last_ms);
        let last = last.or_else(|| self.sealed.last().map(|chunk| chunk.last_ms))?;
        Some((first, last))
    }

    /// Puts a histogram where it belongs; it takes the place of one at the same instant.
    pub fn insert(&mut self, at_ms: i64, own: Arc<Histogram>) {
        if self.span_ms().is_none_or(|(_, last_ms)| at_ms > last_ms) {
            self.append(at_ms, own);
            return;
        }
        let mut all = self.all();
        match all.binary_search_by_key(&at_ms, |other| other.0) {
            Ok(index) => all[index].1 = own,
            Err(index) => all.insert(index, (at_ms, own)),
        }
        self.rebuild(all);
    }

    fn append(&mut self, at_ms: i64, own: Arc<Histogram>) {
        self.growing.append(at_ms, own);
        if self.growing.bytes.len() >= CHUNK_BYTES_MAX || self.growing.count >= CHUNK_HISTOGRAMS_MAX
        {
            self.sealed.push(self.growing.chunk());
            self.growing = Growing::default();
        }
    }

    fn rebuild(&mut self, all: Vec<Timed>) {
        *self = SeriesHistograms::default();
        for (at_ms, own) in all {
            self.append(at_ms, own);
        }
    }

    fn all(&self) -> Vec<Timed> {
        self.piece(TimeRange::ALL).map(|piece| piece.decode(TimeRange::ALL)).unwrap_or_default()
    }

    /// The histogram at an instant.
    pub fn at(&self, at_ms: i64) -> Option<Arc<Histogram>> {
        if self.growing.count > 0 && self.growing.last_ms == at_ms {
            return self.growing.last.clone();
        }
        let range = TimeRange::closed(model::TimestampMs(at_ms), model::TimestampMs(at_ms))?;
        self.piece(range)?.decode(range).pop().map(|(_, own)| own)
    }

    /// Forgets those at these instants, which are ascending and all here: what a flush took. Chunks
    /// that go or stay as a whole are not decoded.
    pub fn remove(&mut self, instants_ms: &[i64]) {
        let named = |chunk: &Chunk| {
            let before = instants_ms.partition_point(|at_ms| *at_ms < chunk.first_ms);
            instants_ms[before..].partition_point(|at_ms| *at_ms <= chunk.last_ms)
        };
        let left = |chunk: &Chunk| {
            let mut all = Vec::new();
            chunk.decode(&mut all);
            all.retain(|(at_ms, _)| instants_ms.binary_search(at_ms).is_err());
            let mut growing = Growing::default();
            all.into_iter().for_each(|(at_ms, own)| growing.append(at_ms, own));
            growing
        };
        for chunk in std::mem::take(&mut self.sealed) {
            match named(&chunk) {
                0 => self.sealed.push(chunk),
                count if count == chunk.count as usize => {}
                _ => {
                    let left = left(&chunk);
                    self.sealed.extend((left.count > 0).then(|| left.chunk()));
                }
            }
        }
        self.sealed.shrink_to_fit();
        if self.growing.count > 0 {
            let growing = self.growing.chunk();
            match named(&growing) {
                0 => {}
                count if count == growing.count as usize => self.growing = Growing::default(),
                _ => self.growing = left(&growing),
            }
        }
    }

    /// What a reader of the range needs; `None` when nothing touches it.
    pub fn piece(&self, range: TimeRange) -> Option<HistogramPiece> {
        let mut chunks: Vec<Chunk> =
            self.sealed.iter().filter(|chunk| chunk.touches(range)).cloned().collect();
        let growing = &self.growing;
        let touches = growing.count > 0
            && growing.first_ms < range.end_ms().0
            && growing.last_ms >= range.start_ms().0;
        if touches {
            chunks.push(growing.chunk());
        }
        (!chunks.is_empty()).then_some(HistogramPiece(chunks))
    }
}
