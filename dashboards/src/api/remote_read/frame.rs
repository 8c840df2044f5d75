//! Frames of the streamed answer: length, checksum, message.
//!
//! Place in the flow: a series → **`frames`** → the body. A series of many chunks takes several
//! frames, each of which names it again.

use model::Labels;

use super::message::{put_bytes, put_labels, put_number, put_varint};
use super::xor::{CHUNK_SAMPLES_MAX, chunk};

/// Chunks up to this go into one frame.
const FRAME_BYTES: usize = 512 * 1024;
/// The kind of chunk that holds floats.
const XOR: u64 = 1;

/// The frames of one series of the result with this number.
pub fn frames(result: u64, labels: &Labels, instants_ms: &[i64], values: &[f64]) -> Vec<Vec<u8>> {
    let mut name = Vec::new();
    put_labels(&mut name, labels);
    let mut frames = Vec::new();
    let mut series = name.clone();
    let pieces = instants_ms.chunks(CHUNK_SAMPLES_MAX).zip(values.chunks(CHUNK_SAMPLES_MAX));
    for (instants_ms, values) in pieces {
        let mut one = Vec::new();
        put_number(&mut one, 1, instants_ms[0].cast_unsigned());
        put_number(&mut one, 2, instants_ms[instants_ms.len() - 1].cast_unsigned());
        put_number(&mut one, 3, XOR);
        put_bytes(&mut one, 4, &chunk(instants_ms, values));
        put_bytes(&mut series, 2, &one);
        if series.len() >= FRAME_BYTES {
            frames.push(frame(result, &series));
            series.clone_from(&name);
        }
    }
    if series.len() > name.len() {
        frames.push(frame(result, &series));
    }
    frames
}

fn frame(result: u64, series: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(series.len() + 16);
    put_bytes(&mut message, 1, series);
    put_number(&mut message, 2, result);
    let mut own = Vec::with_capacity(message.len() + 16);
    put_varint(&mut own, message.len() as u64);
    own.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    own.append(&mut message);
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_take_several_frames() {
        let labels = Labels::from_pairs([("__name__", "m")]);
        let instants: Vec<i64> = (0..200_000).map(|place| place * 1000).collect();
        let values: Vec<f64> = instants.iter().map(|at| (*at as f64).sin()).collect();
        let all = frames(3, &labels, &instants, &values);
        assert!(all.len() > 2, "{}", all.len());
        for own in &all {
            assert!(own.len() < FRAME_BYTES + 4096, "{}", own.len());
            assert_eq!(own[own.len() - 2..], [0x10, 3], "the result's number");
        }
        assert!(frames(0, &labels, &[], &[]).is_empty());
    }
}
