//! The open run of one series: frames, then up to 32 raw samples, in one block of bytes.
//!
//! Place in the flow: appended sample → **run** → chunk, once it is full.
//!
//! The raw samples at its end (the *tail*) are only values while their instants are regular, eight
//! bytes each; one that is off makes the tail hold its instants too. A full tail becomes a frame in
//! the same bytes. So a young series is one small allocation beside its record.
//!
//! Invariants: instants ascend. `last_ms` stays known when the samples are gone: it is how a series
//! whose samples are all in blocks knows its newest one.
//!
//! Not here: chunks and late samples (`samples`).

use super::chunk::{CHUNK_SAMPLES_MAX, Chunk, Sample};
use super::frame::{self, FRAME_SAMPLES_MAX};

/// Frames of a young series are shorter: most of its bytes would be raw ones.
const YOUNG_FRAME_SAMPLES: usize = 16;
/// A series is young until its run has this many samples.
const YOUNG_SAMPLES: usize = 32;
/// The bytes grow in steps of this, so that little of them is unused; later in larger ones.
const GROWTH_BYTES: usize = 32;
const GROWTH_LATER_BYTES: usize = 64;
/// What the allocator takes beside the bytes, about.
const ALLOCATION_BYTES: usize = 16;

/// The tail goes on where the last frame ended, at the same step.
const CONTINUES: u8 = 1;
/// The tail holds instants too.
const IRREGULAR: u8 = 2;
/// `last_ms` means something.
const KNOWN: u8 = 4;
/// The first frame has not ended.
const FIRST: u8 = 8;

/// The open run of one series.
#[derive(Debug, Default)]
pub struct Run {
    bytes: Vec<u8>,
    first_ms: i64,
    last_ms: i64,
    /// The distance of the last two instants; 0 when there is none that fits.
    step_ms: u32,
    /// The tail begins here.
    frames_bytes: u16,
    count: u16,
    tail_count: u8,
    flags: u8,
}

impl Run {
    /// How many samples.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// The memory they take.
    pub fn heap_bytes(&self) -> usize {
        let capacity = self.bytes.capacity();
        if capacity == 0 { 0 } else { capacity + ALLOCATION_BYTES }
    }

    /// The newest instant that was ever here.
    pub fn newest_ms(&self) -> Option<i64> {
        (self.flags & KNOWN != 0).then_some(self.last_ms)
    }

    /// The first and the last instant.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        (self.count > 0).then_some((self.first_ms, self.last_ms))
    }

    /// Whether the next sample needs a new run.
    pub fn is_full(&self) -> bool {
        self.tail_count == 0 && self.count() + FRAME_SAMPLES_MAX > CHUNK_SAMPLES_MAX
    }

    /// Appends a sample that is newer than all. `first_frame` is the length of the first frame: it
    /// differs between series, or those of one scrape would all end their frames at the same time.
    /// `scratch` is only room to work in.
    pub fn push(&mut self, sample: Sample, first_frame: u8, scratch: &mut Vec<u8>) {
        if self.count == 0 {
            self.begin(sample.at_ms);
        } else {
            assert!(sample.at_ms > self.last_ms, "instants of a series ascend");
            self.follow(sample.at_ms);
        }
        let needed = if self.flags & IRREGULAR == 0 { 8 } else { 16 };
        self.make_room(needed);
        if self.flags & IRREGULAR != 0 {
            self.bytes.extend_from_slice(&sample.at_ms.to_le_bytes());
        }
        self.bytes.extend_from_slice(&sample.value.to_bits().to_le_bytes());
        self.last_ms = sample.at_ms;
        self.count += 1;
        self.tail_count += 1;
        let frame_samples = match self.count() {
            _ if self.flags & FIRST != 0 => usize::from(first_frame),
            ..=YOUNG_SAMPLES => YOUNG_FRAME_SAMPLES,
            _ => FRAME_SAMPLES_MAX,
        };
        if usize::from(self.tail_count) >= frame_samples {
            self.end_frame(scratch);
        }
    }

    fn begin(&mut self, at_ms: i64) {
        self.flags = KNOWN | FIRST;
        self.first_ms = at_ms;
        self.step_ms = 0;
    }

    /// Sees that the tail can take an instant.
    fn follow(&mut self, at_ms: i64) {
        if self.flags & IRREGULAR != 0 {
            return;
        }
        let step = u32::try_from(at_ms.wrapping_sub(self.last_ms)).unwrap_or(0);
        let goes_on = step != 0 && step == self.step_ms;
        match self.tail_count {
            0 if goes_on => self.flags |= CONTINUES,
            0 => self.step_ms = 0,
            _ if goes_on => {}
            1 if step != 0 => {
                self.flags &= !CONTINUES;
                self.step_ms = step;
            }
            _ => self.become_irregular(),
        }
    }

    fn become_irregular(&mut self) {
        let tail = self.tail();
        self.bytes.truncate(usize::from(self.frames_bytes));
        self.make_room(16 * tail.len() + 16);
        for sample in tail {
            self.bytes.extend_from_slice(&sample.at_ms.to_le_bytes());
            self.bytes.extend_from_slice(&sample.value.to_bits().to_le_bytes());
        }
        self.flags = self.flags & !CONTINUES | IRREGULAR;
    }

    fn make_room(&mut self, needed: usize) {
        if self.bytes.capacity() - self.bytes.len() < needed {
            let is_young = self.bytes.capacity() < 4 * GROWTH_BYTES;
            let growth = if is_young { GROWTH_BYTES } else { GROWTH_LATER_BYTES };
            self.bytes.reserve_exact(needed.max(growth));
        }
    }

    fn end_frame(&mut self, scratch: &mut Vec<u8>) {
        let (mut instants_ms, mut values) = ([0i64; FRAME_SAMPLES_MAX], [0f64; FRAME_SAMPLES_MAX]);
        let count = usize::from(self.tail_count);
        self.each_of_tail(|index, sample| {
            instants_ms[index] = sample.at_ms;
            values[index] = sample.value;
        });
        let continues = self.flags & CONTINUES != 0;
        scratch.clear();
        let instants_ms = &instants_ms[..count];
        frame::encode(instants_ms, &values[..count], (self.first_ms, continues), scratch);
        self.bytes.truncate(usize::from(self.frames_bytes));
        let missing = scratch.len().saturating_sub(self.bytes.capacity() - self.bytes.len());
        if missing > 0 {
            self.bytes.reserve_exact(scratch.len());
        }
        self.bytes.extend_from_slice(scratch);
        self.frames_bytes = u16::try_from(self.bytes.len()).expect("8 frames are far below 64 KiB");
        if !continues {
            let step = |pair: &[i64]| u32::try_from(pair[1].wrapping_sub(pair[0])).unwrap_or(0);
            self.step_ms = if count > 1 { step(&instants_ms[count - 2..]) } else { 0 };
        }
        self.tail_count = 0;
        self.flags &= !(CONTINUES | IRREGULAR | FIRST);
    }

    fn each_of_tail(&self, mut show: impl FnMut(usize, Sample)) {
        let tail = &self.bytes[usize::from(self.frames_bytes)..];
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        if self.flags & IRREGULAR != 0 {
            for (index, pair) in tail.chunks_exact(16).enumerate() {
                let at_ms = number(&pair[..8]) as i64;
                show(index, Sample { at_ms, value: f64::from_bits(number(&pair[8..])) });
            }
            return;
        }
        let behind = i64::from(self.tail_count) - 1;
        let mut at_ms = self.last_ms.wrapping_sub(behind.wrapping_mul(i64::from(self.step_ms)));
        for (index, bits) in tail.chunks_exact(8).enumerate() {
            show(index, Sample { at_ms, value: f64::from_bits(number(bits)) });
            at_ms = at_ms.wrapping_add(i64::from(self.step_ms));
        }
    }

    /// The raw samples at the end.
    pub fn tail(&self) -> Vec<Sample> {
        let mut samples = Vec::with_capacity(usize::from(self.tail_count));
        self.each_of_tail(|_, sample| samples.push(sample));
        samples
    }

    /// The first instant of the tail.
    fn tail_first_ms(&self) -> Option<i64> {
        let mut first_ms = None;
        if self.tail_count > 0 {
            self.each_of_tail(|index, sample| {
                if index == 0 {
                    first_ms = Some(sample.at_ms);
                }
            });
        }
        first_ms
    }

    /// The frames as a chunk of their own.
    pub fn frames(&self) -> Option<Chunk> {
        let count = self.count() - usize::from(self.tail_count);
        if count == 0 {
            return None;
        }
        // Where the frames end exactly is not known while there is a tail; just before it will do.
        let last_ms = self.tail_first_ms().map_or(self.last_ms, |first_ms| first_ms - 1);
        let bytes = &self.bytes[..usize::from(self.frames_bytes)];
        Some(Chunk::from_frames(bytes, (self.first_ms, last_ms), count as u32))
    }

    /// The run as a chunk; it is empty then, and knows its newest instant.
    pub fn seal(&mut self) -> Option<Chunk> {
        assert_eq!(self.tail_count, 0, "a full run has no tail");
        let chunk = self.frames();
        self.clear();
        chunk
    }

    /// Appends all samples to the two columns.
    pub fn decode(&self, instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        let frames = &self.bytes[..usize::from(self.frames_bytes)];
        frame::decode(frames, self.first_ms, instants_ms, values);
        self.each_of_tail(|_, sample| {
            instants_ms.push(sample.at_ms);
            values.push(sample.value);
        });
    }

    /// The value at an instant.
    pub fn at(&self, at_ms: i64) -> Option<f64> {
        let (first_ms, last_ms) = self.span_ms()?;
        if at_ms < first_ms || at_ms > last_ms {
            return None;
        }
        if self.tail_first_ms().is_some_and(|first_ms| first_ms <= at_ms) {
            let mut found = None;
            self.each_of_tail(|_, sample| {
                if sample.at_ms == at_ms {
                    found = Some(sample.value);
                }
            });
            return found;
        }
        let (mut instants_ms, mut values) =
            (Vec::with_capacity(self.count()), Vec::with_capacity(self.count()));
        self.decode(&mut instants_ms, &mut values);
        instants_ms.binary_search(&at_ms).ok().map(|index| values[index])
    }

    /// Forgets all samples; the newest instant stays known.
    pub fn clear(&mut self) {
        let known = self.flags & KNOWN;
        *self = Run { last_ms: self.last_ms, flags: known, ..Run::default() };
    }

    /// Changes the samples: `change` gets all of them in order and keeps them so.
    pub fn rewrite(
        &mut self,
        (first_frame, scratch): (u8, &mut Vec<u8>),
        change: impl FnOnce(&mut Vec<Sample>),
    ) {
        let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
        self.decode(&mut instants_ms, &mut values);
        let pairs = instants_ms.into_iter().zip(values);
        let mut samples = pairs.map(|(at_ms, value)| Sample { at_ms, value }).collect();
        change(&mut samples);
        let newest_ms = self.last_ms;
        self.clear();
        for sample in samples {
            self.push(sample, first_frame, scratch);
        }
        self.last_ms = self.last_ms.max(newest_ms);
    }
}
