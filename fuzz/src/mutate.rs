//! Valid bytes become nearly valid ones.
//!
//! Place in the flow: seeds of a target → **`mutate`** → its decoder.
//!
//! Not here: making checksums right again afterwards (`target::seal`).

use crate::random::Random;

/// No input grows over this.
const BYTES_MAX: usize = 256 * 1024;
/// Bytes that mean something to varints, lengths and texts.
const TELLING: [u8; 12] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x0a, 0x22, 0x5c, 0x7b, 0x7d, 0x20];

/// Changes some bytes. With `keep_length` no byte is added or taken.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random, keep_length: bool) {
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            bytes.extend_from_slice(&other[..other.len().min(64)]);
            continue;
        }
        let at = random.below(bytes.len() as u64) as usize;
        let span_max = 1 << random.below(8);
        let span = 1 + random.below(span_max) as usize;
        let end = (at + span).min(bytes.len());
        match random.below(if keep_length { 5 } else { 10 }) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = *random.pick(&TELLING),
            2 => bytes[at] = random.number() as u8,
            3 => bytes[at..end].fill(*random.pick(&[0x00, 0xff, 0x80])),
            4 => {
                let from = random.below(bytes.len() as u64) as usize;
                let count = (end - at).min(bytes.len() - from);
                bytes.copy_within(from..from + count, at);
            }
            5 => drop(bytes.drain(at..end)),
            6 => bytes.truncate(at),
            7 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            8 => drop(bytes.splice(at..at, (0..span).map(|_| *random.pick(&TELLING)))),
            _ => {
                let from = random.below(other.len() as u64) as usize;
                let to = (from + span).min(other.len());
                bytes.splice(at..end, other[from.min(to)..to].iter().copied());
            }
        }
        bytes.truncate(BYTES_MAX);
    }
}
