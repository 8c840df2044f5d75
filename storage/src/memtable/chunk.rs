//! A sealed run of samples of one series: frames of up to 32 samples, compressed, shared by counted
//! reference.
//!
//! Place in the flow: open samples of a series → **chunk** → scan and flush read it.
//!
//! A frame is: one byte with its count less one (lowest six bits) and "irregular instants" (bit 6);
//! the instants; one byte with the kind of values; the values. Each frame stands alone, so sealing
//! appends to the bytes and never decodes what is there.
//!
//! Invariants: instants ascend inside a chunk; a chunk in memory always decodes.
//!
//! Not here: which chunks a series has (`memtable`).

use std::sync::Arc;

use crate::encoding::varint::Reader;
use crate::encoding::{decimal, float, timestamps};

/// One value at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The value, bit for bit.
    pub value: f64,
}

/// Samples of one frame: enough to compress, few enough to hold raw until then.
pub const FRAME_SAMPLES_MAX: usize = 32;
/// Samples of one chunk: the overhead of a chunk is spread over them.
pub const CHUNK_SAMPLES_MAX: u32 = 256;

const IRREGULAR: u8 = 0x40;
const CONSTANT: u8 = 0x10;
const FLOATS: u8 = 0x20;
/// All values of a frame have the same bits, and they are a decimal.
const CONSTANT_DECIMAL: u8 = 0x30;

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
        Chunk::build(&[], samples, samples[0].at_ms, 0)
    }

    /// This chunk with later samples behind it.
    pub fn extended(&self, samples: &[Sample]) -> Chunk {
        assert!(samples[0].at_ms > self.last_ms, "instants ascend inside a chunk");
        Chunk::build(&self.bytes, samples, self.first_ms, self.count)
    }

    fn build(before: &[u8], samples: &[Sample], first_ms: i64, count: u32) -> Chunk {
        let mut bytes = Vec::with_capacity(before.len() + samples.len() * 4);
        bytes.extend_from_slice(before);
        for frame in samples.chunks(FRAME_SAMPLES_MAX) {
            encode_frame(frame, &mut bytes);
        }
        Chunk {
            bytes: bytes.into(),
            first_ms,
            last_ms: samples[samples.len() - 1].at_ms,
            count: count + samples.len() as u32,
        }
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

    /// Whether there is room for another frame.
    pub fn has_room(&self) -> bool {
        self.count as usize + FRAME_SAMPLES_MAX <= CHUNK_SAMPLES_MAX as usize
    }

    /// Memory of the samples and of the chunk itself.
    pub fn bytes(&self) -> u32 {
        (self.bytes.len() + size_of::<Chunk>() + 16) as u32
    }

    /// Appends all samples to the two columns.
    pub fn decode(&self, instants_ms: &mut Vec<i64>, values: &mut Vec<f64>) {
        let mut reader = Reader::new(&self.bytes);
        while !reader.is_empty() {
            decode_frame(&mut reader, instants_ms, values).expect("a chunk in memory decodes");
        }
    }

    /// All samples.
    pub fn samples(&self) -> Vec<Sample> {
        let (mut instants_ms, mut values) = (Vec::new(), Vec::new());
        self.decode(&mut instants_ms, &mut values);
        let pairs = instants_ms.into_iter().zip(values);
        pairs.map(|(at_ms, value)| Sample { at_ms, value }).collect()
    }
}

fn encode_frame(samples: &[Sample], out: &mut Vec<u8>) {
    assert!((1..=FRAME_SAMPLES_MAX).contains(&samples.len()), "a frame holds 1 to 32 samples");
    let mut instants_ms = [0i64; FRAME_SAMPLES_MAX];
    let mut values = [0f64; FRAME_SAMPLES_MAX];
    for (index, sample) in samples.iter().enumerate() {
        instants_ms[index] = sample.at_ms;
        values[index] = sample.value;
    }
    let values = &values[..samples.len()];
    let header_index = out.len();
    out.push((samples.len() - 1) as u8);
    if !timestamps::encode(&instants_ms[..samples.len()], out) {
        out[header_index] |= IRREGULAR;
    }
    let constant = values.iter().all(|value| value.to_bits() == values[0].to_bits());
    let mut mantissas = Vec::with_capacity(FRAME_SAMPLES_MAX);
    let distinct = if constant { &values[..1] } else { values };
    match decimal::mantissas(distinct, &mut mantissas) {
        Some(exponent) => {
            out.push(exponent | if constant { CONSTANT_DECIMAL } else { 0 });
            decimal::encode(&mantissas, out);
        }
        None => {
            out.push(if constant { CONSTANT } else { FLOATS });
            float::encode(distinct, out);
        }
    }
}

fn decode_frame(
    reader: &mut Reader<'_>,
    instants_ms: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Option<()> {
    let header = reader.u8()?;
    let count = usize::from(header & 0x3f) + 1;
    timestamps::decode(reader, count, header & IRREGULAR == 0, instants_ms)?;
    let kind = reader.u8()?;
    let constant = matches!(kind & 0xf0, CONSTANT | CONSTANT_DECIMAL);
    let distinct = if constant { 1 } else { count };
    match kind & 0xf0 {
        0 | CONSTANT_DECIMAL => decimal::decode(reader, distinct, kind & 0x0f, values)?,
        CONSTANT | FLOATS => float::decode(reader, distinct, values)?,
        _ => return None,
    }
    if constant {
        let value = *values.last()?;
        values.extend(std::iter::repeat_n(value, count - 1));
    }
    Some(())
}
