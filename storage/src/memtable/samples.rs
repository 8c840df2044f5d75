//! The samples of one series in memory: sealed chunks, then the open run, and late ones beside them.
//!
//! Place in the flow: the memtable keeps one of these per series.
//!
//! Most series are young or have little beyond their run, so that chunks and late samples stand in a
//! part of their own, which exists only when it is needed.
//!
//! Invariants: instants ascend over all chunks and the run; no instant is there twice, late ones
//! included.
//!
//! Not here: sums over all series (`memtable`), the bytes of a run (`run`, `frame`).

use model::TimeRange;

use super::chunk::{Chunk, Sample};
use super::late::{Late, with_other_value};
use super::piece::Piece;
use super::run::Run;

/// First frames have this many samples at most.
const FIRST_FRAME_SAMPLES_MAX: u32 = 16;

/// What belongs to one series while it is changed.
#[derive(Debug)]
pub struct Context<'a> {
    /// Its slot.
    pub slot: u32,
    /// How many flushes have begun.
    pub epoch: u32,
    /// Room to work in.
    pub scratch: &'a mut Vec<u8>,
}

impl Context<'_> {
    /// The length of the first frame: it differs between neighbours.
    fn first_frame(&self) -> u8 {
        (self.slot.wrapping_mul(7) % FIRST_FRAME_SAMPLES_MAX) as u8 + 1
    }
}

/// The samples of one series.
#[derive(Debug, Default)]
pub struct SeriesSamples {
    run: Run,
    more: Option<Box<More>>,
}

/// What few series have, or only after a while.
#[derive(Debug, Default)]
struct More {
    chunks: Vec<Chunk>,
    late: Late,
    // Sums over `chunks`, so that nobody walks them.
    sealed_count: u32,
    sealed_bytes: u32,
}

impl More {
    fn recount(&mut self) {
        self.sealed_count = self.chunks.iter().map(Chunk::count).sum();
        self.sealed_bytes = self.chunks.iter().map(Chunk::bytes).sum();
    }

    fn bytes(&self) -> usize {
        size_of::<More>() + self.sealed_bytes as usize + self.late.bytes()
    }
}

impl SeriesSamples {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.run.count() == 0 && self.count() == 0
    }

    /// How many samples.
    pub fn count(&self) -> u64 {
        let more = |more: &More| more.sealed_count as usize + more.late.count();
        (self.run.count() + self.more.as_deref().map_or(0, more)) as u64
    }

    /// The memory they take, that of this record included; none when there are none.
    pub fn bytes(&self) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let more = self.more.as_deref().map_or(0, More::bytes);
        (size_of::<SeriesSamples>() + self.run.heap_bytes() + more) as u64
    }

    /// The newest instant that came in order, also when a flush has taken it.
    pub fn newest_ms(&self) -> Option<i64> {
        self.run.newest_ms()
    }

    /// The newest sample, if it is still in the open run.
    pub fn newest(&self) -> Option<Sample> {
        let at_ms = self.run_newest_ms()?;
        self.run.at(at_ms).map(|value| Sample { at_ms, value })
    }

    /// The newest instant of the open run; `None` when it is empty.
    #[inline]
    pub fn run_newest_ms(&self) -> Option<i64> {
        self.run.span_ms().map(|span| span.1)
    }

    /// The first and last instant here.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let run = self.run.span_ms();
        let Some(more) = &self.more else { return run };
        let sealed = more.chunks.first().zip(more.chunks.last());
        let sealed = sealed.map(|(first, last)| (first.first_ms(), last.last_ms()));
        let all = [run, sealed, more.late.span_ms()].into_iter().flatten();
        all.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// Appends a sample that is newer than all that came in order; says how much memory that took.
    #[inline]
    pub fn append(&mut self, sample: Sample, context: Context<'_>) -> i64 {
        let before = self.run.heap_bytes();
        self.run.push(sample, context.first_frame(), context.scratch);
        let grown = self.run.heap_bytes() as i64 - before as i64;
        if self.run.is_full() { grown + self.seal() } else { grown }
    }

    fn seal(&mut self) -> i64 {
        let before = self.bytes() as i64;
        if let Some(chunk) = self.run.seal() {
            let more = self.more.get_or_insert_default();
            more.sealed_bytes += chunk.bytes();
            more.sealed_count += chunk.count();
            more.chunks.push(chunk);
        }
        self.bytes() as i64 - before
    }

    /// Puts a sample where it belongs whose instant is not here yet.
    pub fn put(&mut self, sample: Sample, context: Context<'_>) {
        if self.newest_ms().is_none_or(|newest_ms| sample.at_ms > newest_ms) {
            self.append(sample, context);
        } else {
            self.more.get_or_insert_default().late.insert(sample, context.epoch);
        }
    }

    /// Puts a sample where it belongs; it takes the place of one at the same instant.
    pub fn insert(&mut self, sample: Sample, context: Context<'_>) {
        match self.at(sample.at_ms) {
            None => self.put(sample, context),
            Some(own) if own.to_bits() == sample.value.to_bits() => {}
            Some(_) => self.replace(sample, context),
        }
    }

    fn replace(&mut self, sample: Sample, context: Context<'_>) {
        if let Some(more) = &mut self.more {
            if more.late.replace(sample) {
                return;
            }
            let chunk = more.chunks.iter_mut().find(|chunk| chunk.at(sample.at_ms).is_some());
            if let Some(chunk) = chunk {
                *chunk = with_other_value(chunk, sample);
                more.recount();
                return;
            }
        }
        self.run.rewrite((context.first_frame(), context.scratch), |samples| {
            for own in samples.iter_mut().filter(|own| own.at_ms == sample.at_ms) {
                own.value = sample.value;
            }
        });
    }

    /// The value at an instant.
    pub fn at(&self, at_ms: i64) -> Option<f64> {
        let in_run = self.run.at(at_ms);
        let Some(more) = self.more.as_deref().filter(|_| in_run.is_none()) else { return in_run };
        let touches = |chunk: &&Chunk| chunk.first_ms() <= at_ms && at_ms <= chunk.last_ms();
        let in_chunk = more.chunks.iter().find(touches).and_then(|chunk| chunk.at(at_ms));
        in_chunk.or_else(|| more.late.at(at_ms))
    }

    /// Forgets samples up to an instant, itself included; the newest instant stays known. Late ones
    /// that came in the context's epoch stay.
    pub fn drop_until(&mut self, last_ms: i64, context: Context<'_>) {
        if let Some(more) = &mut self.more {
            more.late.drop_until(last_ms, context.epoch);
            more.chunks.retain(|chunk| chunk.last_ms() > last_ms);
            more.chunks.shrink_to_fit();
            if let Some(first) = more.chunks.first_mut().filter(|own| own.first_ms() <= last_ms) {
                let mut kept = first.samples();
                kept.retain(|sample| sample.at_ms > last_ms);
                *first = Chunk::seal(&kept);
            }
            more.recount();
            if more.chunks.is_empty() && more.late.is_empty() {
                self.more = None;
            }
        }
        match self.run.span_ms() {
            Some((_, newest_ms)) if newest_ms <= last_ms => self.run.clear(),
            Some((oldest_ms, _)) if oldest_ms <= last_ms => {
                self.run.rewrite((context.first_frame(), context.scratch), |samples| {
                    samples.retain(|sample| sample.at_ms > last_ms);
                });
            }
            _ => {}
        }
    }

    /// What a reader of the range needs; `None` when nothing touches it.
    pub fn piece(&self, range: TimeRange) -> Option<Piece> {
        let (start_ms, end_ms) = (range.start_ms().0, range.end_ms().0);
        let mut piece = Piece::default();
        let touches = |chunk: &&Chunk| chunk.touches(start_ms, end_ms);
        if let Some(more) = &self.more {
            piece.chunks.extend(more.chunks.iter().filter(touches).cloned());
            piece.late = more.late.between(start_ms, end_ms);
        }
        if self.run.span_ms().is_some_and(|(first, last)| first < end_ms && last >= start_ms) {
            piece.chunks.extend(self.run.frames().filter(|chunk| chunk.touches(start_ms, end_ms)));
            piece.open = self.run.tail();
            piece.open.retain(|own| start_ms <= own.at_ms && own.at_ms < end_ms);
        }
        (piece.count() > 0).then_some(piece)
    }

    /// Whether samples may lie in the range.
    pub fn touches(&self, range: TimeRange) -> bool {
        self.span_ms()
            .is_some_and(|(first, last)| first < range.end_ms().0 && last >= range.start_ms().0)
    }
}
