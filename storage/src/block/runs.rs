//! Parquet's RLE and bit-packing hybrid: small numbers as runs.
//!
//! Place in the flow: definition levels and dictionary indexes of pages are made of it.
//!
//! Not here: the pages (`page`).

use super::delta::pack;
use crate::encoding::varint::put_u64;

/// The bits that numbers up to this one need.
pub fn width_of(largest: u32) -> u32 {
    u32::BITS - largest.leading_zeros()
}

/// Appends runs of (number, how often), each number of at most `width` bits.
pub fn encode(runs: impl IntoIterator<Item = (u32, usize)>, width: u32, out: &mut Vec<u8>) {
    let mut literals: Vec<u64> = Vec::new();
    let mut joined: Option<(u32, usize)> = None;
    for (number, count) in runs {
        match &mut joined {
            Some((before, total)) if *before == number => *total += count,
            _ => {
                if let Some(run) = joined.replace((number, count)) {
                    put_run(run, width, &mut literals, out);
                }
            }
        }
    }
    if let Some(run) = joined {
        put_run(run, width, &mut literals, out);
    }
    put_literals(&mut literals, width, out);
}

fn put_run(
    (number, mut count): (u32, usize),
    width: u32,
    literals: &mut Vec<u64>,
    out: &mut Vec<u8>,
) {
    // Literals come in eights; a run fills up the last eight before it may stand alone.
    let missing = (8 - literals.len() % 8) % 8;
    if count < missing + 8 {
        literals.extend(std::iter::repeat_n(u64::from(number), count));
        return;
    }
    literals.extend(std::iter::repeat_n(u64::from(number), missing));
    count -= missing;
    put_literals(literals, width, out);
    put_u64(out, (count as u64) << 1);
    out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn put_literals(literals: &mut Vec<u64>, width: u32, out: &mut Vec<u8>) {
    if literals.is_empty() {
        return;
    }
    literals.resize(literals.len().next_multiple_of(8), 0);
    put_u64(out, (literals.len() as u64 / 8) << 1 | 1);
    pack(literals, width, out);
    literals.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(runs: &[(u32, usize)], width: u32, expected: &[u8]) {
        let mut bytes = Vec::new();
        encode(runs.iter().copied(), width, &mut bytes);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn the_bytes() {
        check(&[], 1, &[]);
        check(&[(1, 100)], 1, &[0xc8, 1, 1]);
        check(&[(1, 60), (1, 40)], 1, &[0xc8, 1, 1]);
        check(&[(1, 3), (0, 2)], 1, &[3, 0b111]);
        check(&[(1, 3), (0, 13)], 1, &[3, 0b111, 16, 0]);
        check(&[(0, 8), (300, 8)], 9, &[16, 0, 0, 16, 44, 1]);
        assert_eq!([0, 1, 2, 255, 256].map(width_of), [0, 1, 2, 8, 9]);
    }
}
