//! A sealed run of samples of one series: frames, shared by counted reference.
//!
//! Place in the flow: a full run of a series → **chunk** → scan and flush read it.
//!
//! Invariants: instants ascend inside a chunk; a chunk in memory always decodes.
//!
//! Not here: the bytes of a frame (`frame`), which chunks a series has (`samples`).

use std::sync::Arc;

use super::frame;

/// One value at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The value, bit for bit.
    pub value: f64,
}

/// Samples of one chunk: the overhead of a chunk is spread over them.
pub const CHUNK_SAMPLES_MAX: usize = 256;

/// What the allocator and the counted reference take beside the bytes.
const OVERHEAD_BYTES: usize = 32;

/// A sealed run of samples.
#[derive(Debug, Clone)]
pub struct Chunk {
    bytes: Arc<[u8]>,
    first_ms: i64,
    last_ms: i64,
    count: u32,
}

impl Chunk {
    /// Seals samples (at least one, instants ascending).
    pub fn seal(samples: &[Sample]) -> Chunk {
        let mut bytes = Vec::with_capacity(samples.len() * 4);
        frame::encode_all(samples, &mut bytes);
        Chunk::from_frames(
            &bytes,
            (samples[0].at_ms, samples[samples.len() - 1].at_ms),
            samples.len() as u32,
        )
    }

    /// A chunk of frames that are encoded already.
    pub fn from_frames(bytes: &[u8], (first_ms, last_ms): (i64, i64), count: u32) -> Chunk {
        Chunk { bytes: bytes.into(), first_ms, last_ms, count }
    }

    /// The first instant.
    pub fn first_ms(&self) -> i64 {
        self.first_ms
    }

    /// The last instant.
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// How many samples.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Memory of the samples and of the chunk itself.
    pub fn bytes(&self) -> u32 {
        (self.bytes.len() + size_of::<Chunk>() + OVERHEAD_BYTES) as u32
    }

    /// Whether samples may lie between the instants, the second excluded.
    pub fn touches(&self, start_ms: i64, end_ms: i64) -> bool {
        self.first_ms < end_ms && self.last_ms >= start_ms
    }

    /// Appends all samples to the two columns.
    pub fn decode(&self, instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        frame::decode(&self.bytes, self.first_ms, instants_ms, values);
    }

    /// All samples.
    pub fn samples(&self) -> Vec<Sample> {
        let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
        self.decode(&mut instants_ms, &mut values);
        let pairs = instants_ms.into_iter().zip(values);
        pairs.map(|(at_ms, value)| Sample { at_ms, value }).collect()
    }

    /// The value at an instant.
    pub fn at(&self, at_ms: i64) -> Option<f64> {
        if at_ms < self.first_ms || at_ms > self.last_ms {
            return None;
        }
        let count = self.count as usize;
        let (mut instants_ms, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
        self.decode(&mut instants_ms, &mut values);
        instants_ms.binary_search(&at_ms).ok().map(|index| values[index])
    }
}
