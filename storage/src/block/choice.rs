//! In which form the numbers of a page stand: whichever is smallest.
//!
//! Place in the flow: a row group's pages (`columns`) → **choice** → packed pages.
//!
//! Whole numbers are differences packed to bits, in short or long blocks; or differences packed to bytes, which zstd makes
//! small when few of them are frequent (counters of events, gauges that move in steps); or the bytes of
//! the numbers place by place, which is best for what jumps to and fro between few values. Noise stays
//! packed to bits. Blocks that will soon be merged have the first form; the others are only tried when
//! the entropy of their bytes promises something.
//!
//! Not here: the bytes of each form (`delta`, `page`), where pages end (`columns`).

use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result};

use super::delta::{self, Packing};
use super::page::{Body, Effort, Packed, Packer};

/// A page of fewer bytes than this is left as it is.
const SMALL_BYTES: usize = 96;

/// The smallest page of whole numbers; `levels` say which rows have one.
pub fn wholes(levels: &[u8], values: &[i64], packer: &mut Packer) -> Result<Packed> {
    let mut bytes = levels.to_vec();
    delta::encode(values, Packing::Bits, &mut bytes);
    let encoding = Encoding::DELTA_BINARY_PACKED;
    let mut best =
        packer.pack(Body { bytes: &bytes, encoding, thorough: false, plane_bytes: 0 })?;
    if packer.effort == Effort::Quick || best.size_bytes() < SMALL_BYTES {
        return Ok(best);
    }
    bytes.truncate(levels.len());
    delta::encode(values, Packing::LongBits, &mut bytes);
    let page = packer.pack(Body { bytes: &bytes, encoding, thorough: false, plane_bytes: 0 })?;
    best = smaller(best, page);
    bytes.truncate(levels.len());
    delta::encode(values, Packing::Bytes, &mut bytes);
    if is_promising(entropy_bytes(&bytes), best.size_bytes()) {
        let page = packer.pack(Body { bytes: &bytes, encoding, thorough: true, plane_bytes: 0 })?;
        best = smaller(best, page);
    }
    if is_promising(planes_entropy_bytes(values), best.size_bytes()) {
        bytes.truncate(levels.len());
        put_split(values.iter().map(|value| *value as u64), &mut bytes);
        let (encoding, plane_bytes) = (Encoding::BYTE_STREAM_SPLIT, values.len());
        let page = packer.pack(Body { bytes: &bytes, encoding, thorough: true, plane_bytes })?;
        best = smaller(best, page);
    }
    Ok(best)
}

fn smaller(one: Packed, other: Packed) -> Packed {
    if other.size_bytes() < one.size_bytes() { other } else { one }
}

/// Whether bytes of this entropy may become smaller than a page that there is: repetitions make less of
/// them than a code for single bytes does.
fn is_promising(entropy_bytes: usize, best_bytes: usize) -> bool {
    entropy_bytes < best_bytes + best_bytes / 8
}

/// What a code for single bytes makes of these.
fn entropy_bytes(bytes: &[u8]) -> usize {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    (entropy_bits(&counts, bytes.len()) / 8.0) as usize
}

fn entropy_bits(counts: &[u32; 256], total: usize) -> f64 {
    let total = total as f64;
    let own = |count: &u32| f64::from(*count) * (total / f64::from(*count)).log2();
    counts.iter().filter(|count| **count > 0).map(own).sum()
}

/// The same for numbers whose bytes stand place by place.
fn planes_entropy_bytes(values: &[i64]) -> usize {
    let first = values.first().copied().unwrap_or(0);
    let varying = values.iter().fold(0, |all, value| all | (value ^ first));
    let mut bits = 0.0;
    for place in (0..8).filter(|place| varying >> (8 * place) & 0xff != 0) {
        let mut counts = [0u32; 256];
        values.iter().for_each(|value| counts[usize::from((value >> (8 * place)) as u8)] += 1);
        bits += entropy_bits(&counts, values.len());
    }
    (bits / 8.0) as usize
}

/// A page of floats.
pub fn floats(
    levels: &[u8],
    values: &[f64],
    encoding: Encoding,
    packer: &mut Packer,
) -> Result<Packed> {
    let mut bytes = levels.to_vec();
    let plane_bytes = if encoding == Encoding::PLAIN {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        0
    } else {
        put_split(values.iter().map(|value| value.to_bits()), &mut bytes);
        values.len()
    };
    let body = Body { bytes: &bytes, encoding, thorough: true, plane_bytes };
    packer.pack(body).map_err(ParquetError::from)
}

/// Tries both encodings on a prefix of the floats: neither is best for all data.
pub fn float_encoding(values: &[f64], packer: &mut Packer) -> Result<Encoding> {
    const TRIAL_VALUES_MAX: usize = 8 * 1024;
    let trial = &values[..values.len().min(TRIAL_VALUES_MAX)];
    if trial.is_empty() {
        return Ok(Encoding::PLAIN);
    }
    let split = floats(&[], trial, Encoding::BYTE_STREAM_SPLIT, packer)?.size_bytes();
    let plain = floats(&[], trial, Encoding::PLAIN, packer)?.size_bytes();
    Ok(if split < plain { Encoding::BYTE_STREAM_SPLIT } else { Encoding::PLAIN })
}

/// Appends the first bytes of all numbers, then their second bytes, and so on.
fn put_split(numbers: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    for place in 0..8 {
        out.extend(numbers.clone().map(|number| (number >> (8 * place)) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[i64], encoding: Encoding, at_most_bytes: usize) {
        let mut packer = Packer::new(Effort::Thorough).unwrap();
        let page = wholes(&[], values, &mut packer).unwrap();
        assert_eq!(page.encoding(), encoding, "{} bytes", page.size_bytes());
        assert!(page.size_bytes() <= at_most_bytes, "{} bytes", page.size_bytes());
    }

    /// Numbers that look random.
    fn noise(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|at| xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) >> 8)
    }

    #[test]
    fn each_form_has_its_data() {
        // A counter of events: mostly nothing, then a step that takes a byte. Bits: 1,000 bytes and more.
        let mut total = 0;
        let steps = noise(1000).map(|own| if own % 9 == 0 { 200 } else { (own % 2) as i64 });
        let events: Vec<i64> = steps
            .map(|step| {
                total += step;
                total
            })
            .collect();
        check(&events, Encoding::DELTA_BINARY_PACKED, 400);
        // What jumps to and fro has larger differences than values.
        let flat: Vec<i64> = noise(1000).map(|own| (own % 200) as i64).collect();
        check(&flat, Encoding::BYTE_STREAM_SPLIT, 1_050);
        // Steps that are noise take their bits.
        let mut total = 0;
        let steps = noise(1000).map(|own| (own % 1000) as i64);
        let bytes: Vec<i64> = steps
            .map(|step| {
                total += step;
                total
            })
            .collect();
        check(&bytes, Encoding::DELTA_BINARY_PACKED, 1_340);
        check(&[7; 1000], Encoding::DELTA_BINARY_PACKED, SMALL_BYTES);
        check(&[], Encoding::DELTA_BINARY_PACKED, SMALL_BYTES);
    }
}
