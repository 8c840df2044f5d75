//! The samples of one series in memory: sealed chunks, then up to 32 raw ones.
//!
//! Place in the flow: the memtable keeps one of these per series.
//!
//! Invariants: instants ascend over all chunks and the raw ones; `newest` is never older than any.
//!
//! Not here: sums over all series (`memtable`).

use model::TimeRange;

use super::chunk::{Chunk, FRAME_SAMPLES_MAX, Sample};

/// What is known about the newest sample of a series, here or in a block.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Newest {
    /// Nobody has looked yet: after a restart the blocks may hold older samples.
    #[default]
    Unknown,
    /// The series has no sample anywhere.
    None,
    /// This one.
    At(Sample),
    /// One in a block at this instant, whose value was not read; or a histogram.
    InBlock(i64),
}

impl Newest {
    /// Its instant.
    pub fn at_ms(self) -> Option<i64> {
        match self {
            Newest::Unknown | Newest::None => None,
            Newest::At(sample) => Some(sample.at_ms),
            Newest::InBlock(at_ms) => Some(at_ms),
        }
    }
}

/// The samples of one series.
#[derive(Debug)]
pub struct SeriesSamples {
    chunks: Vec<Chunk>,
    open: Vec<Sample>,
    newest: Newest,
    /// Samples of the first frame. It differs between series: those of one scrape would else all
    /// have their most raw samples at the same time.
    first_frame_samples: u8,
    // Sums over `chunks`, so that an append never walks them.
    sealed_count: u32,
    sealed_bytes: u32,
}

/// A reader's share of one series: whole chunks that touch its range, raw samples inside it.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// Sealed runs; the first and the last may reach beyond the range.
    pub chunks: Vec<Chunk>,
    /// Samples behind them.
    pub open: Vec<Sample>,
}

impl Piece {
    /// How many samples at most.
    pub fn count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.count() as usize).sum::<usize>() + self.open.len()
    }

    /// The last instant.
    pub fn last_ms(&self) -> Option<i64> {
        let sealed = self.chunks.last().map(Chunk::last_ms);
        self.open.last().map(|sample| sample.at_ms).or(sealed)
    }

    /// Forgets samples from an instant on, so that nothing reaches beyond it.
    pub fn cut(&mut self, before_ms: i64) {
        self.open.retain(|sample| sample.at_ms < before_ms);
        let Some(last) = self.chunks.last().filter(|last| last.last_ms() >= before_ms) else {
            return;
        };
        let mut kept = last.samples();
        kept.retain(|sample| sample.at_ms < before_ms);
        self.chunks.pop();
        if !kept.is_empty() {
            self.chunks.push(Chunk::seal(&kept));
        }
    }

    /// Shows every instant.
    pub fn each_instant(&self, mut show: impl FnMut(i64)) {
        let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
        for chunk in &self.chunks {
            instants_ms.clear();
            values.clear();
            chunk.decode(&mut instants_ms, &mut values);
            instants_ms.iter().for_each(|at_ms| show(*at_ms));
        }
        self.open.iter().for_each(|sample| show(sample.at_ms));
    }

    /// Appends the samples inside the range to the two columns.
    pub fn decode(&self, range: TimeRange, instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        let start = instants_ms.len();
        let (start_ms, end_ms) = (range.start_ms().0, range.end_ms().0);
        let touches = |chunk: &&Chunk| chunk.first_ms() < end_ms && chunk.last_ms() >= start_ms;
        for chunk in self.chunks.iter().filter(touches) {
            chunk.decode(instants_ms, values);
        }
        for sample in &self.open {
            instants_ms.push(sample.at_ms);
            values.push(sample.value);
        }
        let own = &instants_ms[start..];
        let end = start + own.partition_point(|&at_ms| at_ms < range.end_ms().0);
        instants_ms.truncate(end);
        values.truncate(end);
        let skip = instants_ms[start..].partition_point(|&at_ms| at_ms < range.start_ms().0);
        instants_ms.drain(start..start + skip);
        values.drain(start..start + skip);
    }
}

impl SeriesSamples {
    /// No samples yet, for the series in that slot.
    pub fn new(slot: u32) -> SeriesSamples {
        let spread = slot.wrapping_mul(7) % FRAME_SAMPLES_MAX as u32;
        SeriesSamples {
            chunks: Vec::new(),
            open: Vec::new(),
            newest: Newest::Unknown,
            first_frame_samples: spread as u8 + 1,
            sealed_count: 0,
            sealed_bytes: 0,
        }
    }

    /// How many samples.
    pub fn count(&self) -> u64 {
        u64::from(self.sealed_count) + self.open.len() as u64
    }

    /// The memory they take.
    pub fn bytes(&self) -> u64 {
        u64::from(self.sealed_bytes) + (self.open.capacity() * size_of::<Sample>()) as u64
    }

    /// The newest sample anywhere.
    pub fn newest(&self) -> Newest {
        self.newest
    }

    /// The first and last instant here.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let first = self.chunks.first().map(Chunk::first_ms);
        let last = self.chunks.last().map(Chunk::last_ms);
        let first = first.or_else(|| self.open.first().map(|sample| sample.at_ms))?;
        let last = self.open.last().map(|sample| sample.at_ms).or(last)?;
        Some((first, last))
    }

    /// Appends a sample that is newer than all.
    pub fn append(&mut self, sample: Sample) {
        if let Some((_, last_ms)) = self.span_ms() {
            assert!(sample.at_ms > last_ms, "instants of a series ascend");
        }
        if self.open.len() == self.open.capacity() {
            // In small steps: most series have few raw samples at any time.
            self.open.reserve_exact(if self.open.len() < 8 { 4 } else { 8 });
        }
        self.open.push(sample);
        self.newest = Newest::At(sample);
        let first = usize::from(self.first_frame_samples);
        let frame_samples = if self.chunks.is_empty() { first } else { FRAME_SAMPLES_MAX };
        if self.open.len() >= frame_samples {
            self.seal();
        }
    }

    fn seal(&mut self) {
        let sealed = match self.chunks.pop_if(|last| last.has_room()) {
            Some(last) => {
                self.sealed_bytes -= last.bytes();
                last.extended(&self.open)
            }
            None => Chunk::seal(&self.open),
        };
        self.sealed_bytes += sealed.bytes();
        self.sealed_count += self.open.len() as u32;
        self.chunks.push(sealed);
        self.open = Vec::new();
    }

    /// Puts a sample where it belongs; it takes the place of one at the same instant.
    pub fn insert(&mut self, sample: Sample) {
        match self.span_ms() {
            Some((_, last_ms)) if sample.at_ms <= last_ms => {}
            _ => return self.append(sample),
        }
        if self.at(sample.at_ms).is_some_and(|own| own.to_bits() == sample.value.to_bits()) {
            return;
        }
        let mut all = self.all();
        match all.binary_search_by_key(&sample.at_ms, |other| other.at_ms) {
            Ok(index) => all[index] = sample,
            Err(index) => all.insert(index, sample),
        }
        self.rebuild(&all);
    }

    fn all(&self) -> Vec<Sample> {
        let sealed = self.chunks.iter().flat_map(Chunk::samples);
        sealed.chain(self.open.iter().copied()).collect()
    }

    fn rebuild(&mut self, samples: &[Sample]) {
        self.chunks = Vec::new();
        self.open = Vec::new();
        self.recount();
        for sample in samples {
            self.append(*sample);
        }
    }

    /// The value at an instant.
    pub fn at(&self, at_ms: i64) -> Option<f64> {
        let in_open = self.open.iter().find(|sample| sample.at_ms == at_ms);
        if let Some(sample) = in_open {
            return Some(sample.value);
        }
        let touches = |chunk: &&Chunk| chunk.first_ms() <= at_ms && at_ms <= chunk.last_ms();
        let samples = self.chunks.iter().find(touches)?.samples();
        samples.iter().find(|sample| sample.at_ms == at_ms).map(|sample| sample.value)
    }

    /// Remembers the newest sample of a series whose samples are elsewhere.
    pub fn set_newest(&mut self, newest: Newest) {
        assert!(self.count() == 0, "a series with samples knows its newest one");
        self.newest = newest;
    }

    /// Remembers that something else than a number stands at an instant.
    pub fn raise_newest(&mut self, at_ms: i64) {
        match self.newest {
            Newest::At(sample) if sample.at_ms >= at_ms => {}
            Newest::InBlock(known_ms) if known_ms >= at_ms => {}
            _ => self.newest = Newest::InBlock(at_ms),
        }
    }

    /// Forgets samples up to an instant, itself included; the newest one stays known.
    pub fn drop_until(&mut self, last_ms: i64) {
        let Some((_, newest_ms)) = self.span_ms() else { return };
        if newest_ms <= last_ms {
            self.chunks = Vec::new();
            self.open = Vec::new();
            self.recount();
            return;
        }
        self.chunks.retain(|chunk| chunk.last_ms() > last_ms);
        self.chunks.shrink_to_fit();
        match self.chunks.first_mut() {
            Some(first) if first.first_ms() <= last_ms => {
                let mut kept = first.samples();
                kept.retain(|sample| sample.at_ms > last_ms);
                *first = Chunk::seal(&kept);
            }
            Some(_) => {}
            None => self.open.retain(|sample| sample.at_ms > last_ms),
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.sealed_count = self.chunks.iter().map(Chunk::count).sum();
        self.sealed_bytes = self.chunks.iter().map(Chunk::bytes).sum();
    }

    /// What a reader of the range needs; `None` when nothing touches it.
    pub fn piece(&self, range: TimeRange) -> Option<Piece> {
        let (start_ms, end_ms) = (range.start_ms().0, range.end_ms().0);
        let touches = |chunk: &&Chunk| chunk.first_ms() < end_ms && chunk.last_ms() >= start_ms;
        let chunks: Vec<Chunk> = self.chunks.iter().filter(touches).cloned().collect();
        let start = self.open.partition_point(|sample| sample.at_ms < start_ms);
        let end = self.open.partition_point(|sample| sample.at_ms < end_ms);
        let open = if start < end { self.open[start..end].to_vec() } else { Vec::new() };
        (!chunks.is_empty() || !open.is_empty()).then_some(Piece { chunks, open })
    }

    /// Whether samples may lie in the range.
    pub fn touches(&self, range: TimeRange) -> bool {
        self.span_ms()
            .is_some_and(|(first, last)| first < range.end_ms().0 && last >= range.start_ms().0)
    }
}
