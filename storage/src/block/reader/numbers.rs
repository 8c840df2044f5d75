//! Parquet's encodings of numbers, read into plain vectors.
//!
//! Place in the flow: the unpacked body of a page → **numbers** → columns (`page`).
//!
//! Reading never panics: bytes that can't be read give `None`.
//!
//! Not here: headers, levels' meaning.

use std::ops::Range;

use crate::encoding::varint::Reader;

/// Values that are unpacked together.
const PACK: usize = 32;

/// The number of `W` bits at a place that is known when this is compiled, so that reading it takes
/// three instructions.
#[inline(always)]
fn number<const W: usize, const INDEX: usize>(bytes: &[u8]) -> u64 {
    // The last windows begin earlier, so that none ends behind the bytes.
    let start =
        const { if INDEX * W / 8 + 8 > 4 * W { (4 * W).saturating_sub(8) } else { INDEX * W / 8 } };
    let mask = const { (1u64 << W) - 1 };
    let window = match W {
        1 => u64::from(u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"))),
        _ => u64::from_le_bytes(bytes[start..start + 8].try_into().expect("eight bytes")),
    };
    window >> (INDEX * W - 8 * start) & mask
}

macro_rules! each_index {
    ($with:ident) => {
        $with!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
    };
}

macro_rules! each_width {
    ($width:expr, $narrow:ident($($own:expr),*), $wide:expr) => {
        each_width!(@ $width, $narrow($($own),*), $wide;
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
    };
    (@ $width:expr, $narrow:ident $own:tt, $wide:expr; $($literal:literal)*) => {
        match $width {
            $($literal => $narrow::<$literal> $own,)*
            _ => $wide,
        }
    };
}

/// Adds up 32 differences of `W` bits, `W` at most 32, from `4 * W` bytes, each with `least` added:
/// every sum on the way, from `last` on. Answers with the last one.
#[inline(always)]
fn sums<const W: usize>(bytes: &[u8], (least, last): (i64, i64), out: &mut [i64; PACK]) -> i64 {
    let (bytes, mut last) = (&bytes[..4 * W], last);
    macro_rules! numbers {
        ($($index:literal)*) => {
            $(
                last = last.wrapping_add((number::<W, $index>(bytes) as i64).wrapping_add(least));
                out[$index] = last;
            )*
        };
    }
    each_index!(numbers);
    last
}

/// The sum of 32 numbers of `W` bits.
#[inline(always)]
fn total<const W: usize>(bytes: &[u8]) -> u64 {
    let bytes = &bytes[..4 * W];
    macro_rules! numbers {
        ($($index:literal)*) => { 0u64 $(.wrapping_add(number::<W, $index>(bytes)))* };
    }
    each_index!(numbers)
}

/// Shows 32 numbers of any width.
fn each_wide(bytes: &[u8], width: usize, mut show: impl FnMut(usize, u64)) {
    let mask = if width >= 64 { u64::MAX } else { (1u64 << width) - 1 };
    for index in 0..PACK {
        let bit = index * width;
        let mut window = [0u8; 16];
        let rest = &bytes[bit / 8..];
        let count = rest.len().min(16);
        window[..count].copy_from_slice(&rest[..count]);
        show(index, (u128::from_le_bytes(window) >> (bit % 8)) as u64 & mask);
    }
}

/// [`sums`] of any width.
fn sums_any(bytes: &[u8], width: usize, from: (i64, i64), out: &mut [i64; PACK]) -> i64 {
    each_width!(width, sums(bytes, from, out), {
        let (least, mut last) = from;
        each_wide(bytes, width, |index, number| {
            last = last.wrapping_add(number as i64).wrapping_add(least);
            out[index] = last;
        });
        last
    })
}

/// [`total`] of any width.
fn total_any(bytes: &[u8], width: usize) -> u64 {
    each_width!(width, total(bytes), {
        let mut sum = 0u64;
        each_wide(bytes, width, |_, number| sum = sum.wrapping_add(number));
        sum
    })
}

/// How far a body of differences is read, and what of it is kept.
struct Progress<'o> {
    /// The place of the next number.
    at: usize,
    /// The number before it.
    last: i64,
    /// The places that are asked for.
    wanted: Range<usize>,
    /// One for each of them.
    out: &'o mut [i64],
}

/// Fills in the numbers at some places of a DELTA_BINARY_PACKED body; `None` when there are fewer.
/// Those before are added up without being kept.
pub fn delta(bytes: &[u8], wanted: Range<usize>, out: &mut [i64]) -> Option<()> {
    let mut reader = Reader::new(bytes);
    let block_values = usize::try_from(reader.u64()?).ok()?;
    let miniblocks = usize::try_from(reader.u64()?).ok()?;
    let count = usize::try_from(reader.u64()?).ok()?;
    let first = reader.i64()?;
    if miniblocks == 0 || block_values == 0 || !block_values.is_multiple_of(miniblocks) {
        return None;
    }
    let per_miniblock = block_values / miniblocks;
    if !per_miniblock.is_multiple_of(PACK) || per_miniblock > 1 << 16 || count < wanted.end {
        return None;
    }
    if wanted.is_empty() {
        return Some(());
    }
    let out = out.get_mut(..wanted.len())?;
    if wanted.start == 0 {
        out[0] = first;
    }
    let end = wanted.end;
    let mut progress = Progress { at: 1, last: first, wanted, out };
    while progress.at < end {
        let smallest = reader.i64()?;
        for width in reader.take(miniblocks)? {
            if progress.at >= end {
                break;
            }
            let width = usize::from(*width);
            if width > 64 {
                return None;
            }
            let packed = reader.take(per_miniblock / 8 * width)?;
            match width {
                0 => progress.evenly(per_miniblock, smallest),
                _ => progress.miniblock(packed, width, smallest),
            }
        }
    }
    Some(())
}

impl Progress<'_> {
    /// The places of the next numbers, as far as they are asked for.
    fn places(&mut self, skipped: usize, end: usize) -> &mut [i64] {
        let start = self.wanted.start;
        &mut self.out[self.at + skipped - start..self.at + end - start]
    }

    /// Takes numbers each of which is as much more than the one before.
    fn evenly(&mut self, count: usize, step: i64) {
        let count = count.min(self.wanted.end - self.at);
        let skipped = self.wanted.start.saturating_sub(self.at).min(count);
        let mut last = self.last.wrapping_add(step.wrapping_mul(skipped as i64));
        if skipped < count {
            for out in self.places(skipped, count) {
                last = last.wrapping_add(step);
                *out = last;
            }
        }
        self.last = last;
        self.at += count;
    }

    /// Takes the numbers of a miniblock, but for those after the last one that is asked for.
    fn miniblock(&mut self, packed: &[u8], width: usize, smallest: i64) {
        for packed in packed.chunks_exact(width * PACK / 8) {
            if self.at >= self.wanted.end {
                return;
            }
            if self.at + PACK <= self.wanted.start {
                let sum = total_any(packed, width) as i64;
                let least = smallest.wrapping_mul(PACK as i64);
                self.last = self.last.wrapping_add(sum).wrapping_add(least);
                self.at += PACK;
                continue;
            }
            let from = (smallest, self.last);
            let skipped = self.wanted.start.saturating_sub(self.at);
            let end = PACK.min(self.wanted.end - self.at);
            let places = self.places(skipped, end);
            self.last = match places.first_chunk_mut() {
                Some(all) => sums_any(packed, width, from, all),
                None => {
                    let mut all = [0; PACK];
                    let last = sums_any(packed, width, from, &mut all);
                    places.copy_from_slice(&all[skipped..end]);
                    last
                }
            };
            self.at += end;
        }
    }
}

/// Shows runs of numbers of `width` bits: how many, and which number. `None` when there are fewer
/// than `count` in all.
pub fn hybrid(
    bytes: &[u8],
    (width, count): (usize, usize),
    mut show: impl FnMut(usize, u64),
) -> Option<()> {
    if width > 32 {
        return None;
    }
    let mut reader = Reader::new(bytes);
    let mut left = count;
    while left > 0 {
        let header = usize::try_from(reader.u64()?).ok()?;
        if header & 1 == 0 {
            let mut value = 0;
            for (place, byte) in reader.take(width.div_ceil(8))?.iter().enumerate() {
                value |= u64::from(*byte) << (8 * place);
            }
            let run = (header >> 1).min(left);
            if run == 0 {
                return None;
            }
            show(run, value);
            left -= run;
            continue;
        }
        let groups = header >> 1;
        let packed = reader.take(groups.checked_mul(width)?.min(reader.left_bytes()))?;
        let held = (packed.len() * 8).checked_div(width).unwrap_or(groups.saturating_mul(8));
        let values = held.min(groups.checked_mul(8)?).min(left);
        if values == 0 {
            return None;
        }
        let mask = (1u64 << width) - 1;
        for index in 0..values {
            let bit = index * width;
            let mut window = [0u8; 8];
            let rest = &packed[bit / 8..];
            let count = rest.len().min(8);
            window[..count].copy_from_slice(&rest[..count]);
            show(1, u64::from_le_bytes(window) >> (bit % 8) & mask);
        }
        left -= values;
    }
    Some(())
}

/// Fills in the numbers at some places, as they stand.
pub fn plain<T>(
    bytes: &[u8],
    wanted: Range<usize>,
    of_bits: impl Fn(u64) -> T,
    out: &mut [T],
) -> Option<()> {
    let bytes = bytes.get(wanted.start.checked_mul(8)?..wanted.end.checked_mul(8)?)?;
    for (out, eight) in out.get_mut(..wanted.len())?.iter_mut().zip(bytes.chunks_exact(8)) {
        *out = of_bits(u64::from_le_bytes(eight.try_into().expect("eight bytes")));
    }
    Some(())
}

/// Appends `count` whole numbers of 32 bits as they stand.
pub fn plain_i32(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Option<()> {
    let bytes = bytes.get(..count.checked_mul(4)?)?;
    let number = |four: &[u8]| i32::from_le_bytes(four.try_into().expect("four bytes"));
    out.extend(bytes.chunks_exact(4).map(number).map(i64::from));
    Some(())
}

/// Numbers that are put together at a time.
const LANE: usize = 64;

/// Neighbouring bytes become one number, a lane of them in a few steps.
#[inline(always)]
fn pairs(low: &[u8; LANE], high: &[u8; LANE]) -> [u16; LANE] {
    let mut out = [0; LANE];
    for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
        *out = u16::from(*low) | u16::from(*high) << 8;
    }
    out
}

#[inline(always)]
fn fours(low: &[u16; LANE], high: &[u16; LANE]) -> [u32; LANE] {
    let mut out = [0; LANE];
    for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
        *out = u32::from(*low) | u32::from(*high) << 16;
    }
    out
}

/// Fills in those of `count` numbers at some places, whose bytes stand place by place.
pub fn split<T>(
    bytes: &[u8],
    (count, wanted): (usize, Range<usize>),
    of_bits: impl Fn(u64) -> T,
    out: &mut [T],
) -> Option<()> {
    if bytes.len() != count.checked_mul(8)? || wanted.end > count || wanted.start > wanted.end {
        return None;
    }
    if wanted.is_empty() {
        return Some(());
    }
    let mut places = bytes.chunks_exact(count);
    let places = [(); 8].map(|()| &places.next().unwrap_or_default()[wanted.clone()]);
    let (lanes, rest) = out.get_mut(..wanted.len())?.as_chunks_mut::<LANE>();
    let mut start = 0;
    for out in lanes {
        let lane = |place: usize| -> &[u8; LANE] {
            places[place][start..start + LANE].try_into().expect("a lane is this long")
        };
        let low = fours(&pairs(lane(0), lane(1)), &pairs(lane(2), lane(3)));
        let high = fours(&pairs(lane(4), lane(5)), &pairs(lane(6), lane(7)));
        for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(&high)) {
            *out = of_bits(u64::from(*low) | u64::from(*high) << 32);
        }
        start += LANE;
    }
    for (out, at) in rest.iter_mut().zip(start..) {
        *out = of_bits(u64::from_le_bytes(places.map(|place| place[at])));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::delta::Packing;
    use proptest::prelude::*;

    /// Packs as the format says, with the widths that are needed.
    fn pack_delta(values: &[i64]) -> Vec<u8> {
        use crate::encoding::varint::{put_i64, put_u64};
        let mut out = Vec::new();
        for number in [128, 4, values.len() as u64] {
            put_u64(&mut out, number);
        }
        put_i64(&mut out, values.first().copied().unwrap_or(0));
        let deltas: Vec<i64> =
            values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        for block in deltas.chunks(128) {
            let smallest = *block.iter().min().unwrap();
            put_i64(&mut out, smallest);
            let numbers: Vec<u64> =
                block.iter().map(|delta| delta.wrapping_sub(smallest) as u64).collect();
            let minis: Vec<&[u64]> = numbers.chunks(32).collect();
            let width = |mini: &&[u64]| 64 - mini.iter().max().unwrap().leading_zeros() as u8;
            let widths: Vec<u8> = (0..4).map(|at| minis.get(at).map_or(0, width)).collect();
            out.extend_from_slice(&widths);
            for (mini, width) in minis.iter().zip(&widths) {
                let mut bits = vec![0u8; usize::from(*width) * 4];
                for (index, number) in mini.iter().enumerate() {
                    for bit in 0..usize::from(*width) {
                        let at = index * usize::from(*width) + bit;
                        bits[at / 8] |= ((number >> bit & 1) as u8) << (at % 8);
                    }
                }
                out.extend_from_slice(&bits);
            }
        }
        out
    }

    #[test]
    fn runs_and_packed_bits() {
        // Five times 1, then eight packed: 0 to 7 in three bits.
        let bytes = [5 << 1, 1, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let mut all = Vec::new();
        hybrid(&bytes, (3, 13), |run, value| all.extend(std::iter::repeat_n(value, run))).unwrap();
        assert_eq!(all, [1, 1, 1, 1, 1, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(hybrid(&bytes, (3, 14), |_, _| {}), None);
        assert_eq!(hybrid(&[0, 0], (1, 1), |_, _| {}), None);
    }

    #[test]
    fn bytes_place_by_place() {
        let values = [1.5, -2.25, f64::NAN];
        let mut bytes = Vec::new();
        for place in 0..8 {
            bytes.extend(values.iter().map(|value| value.to_le_bytes()[place]));
        }
        let mut out = [0.0; 2];
        split(&bytes, (3, 0..2), f64::from_bits, &mut out).unwrap();
        assert_eq!(out, [1.5, -2.25]);
        assert_eq!(split(&bytes, (4, 0..2), f64::from_bits, &mut out), None);
        assert_eq!(split(&bytes, (3, 2..4), f64::from_bits, &mut out), None);
        let values: Vec<u64> =
            (0..300u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let bytes: Vec<u8> = (0..8)
            .flat_map(|place| values.iter().map(move |own| own.to_le_bytes()[place]))
            .collect();
        for start in [0, 1, 63, 70, 299] {
            for end in [1, 63, 64, 65, 128, 299, 300] {
                let wanted = start..end.max(start);
                let mut out = vec![0; wanted.len()];
                split(&bytes, (300, wanted.clone()), |bits| bits, &mut out).unwrap();
                assert_eq!(out, values[wanted]);
            }
        }
    }

    proptest! {
        #[test]
        fn differences(
            steps in proptest::collection::vec((0u32..64, any::<i64>()), 1..300),
            limit in 0usize..300,
            start in 0usize..300,
        ) {
            let values: Vec<i64> = steps.iter().map(|(shift, value)| value >> shift).collect();
            let limit = limit.min(values.len());
            let bytes = pack_delta(&values);
            let wanted = start.min(limit)..limit;
            let mut out = vec![0; wanted.len()];
            delta(&bytes, wanted.clone(), &mut out).unwrap();
            prop_assert_eq!(&out[..], &values[wanted.clone()]);
            // Whatever the bytes are, nothing panics.
            let mut all = vec![0; values.len() + 1];
            let _ = delta(&bytes[..bytes.len() / 2], 0..values.len(), &mut all);
            prop_assert_eq!(delta(&bytes, 0..values.len() + 1, &mut all), None);
            // What this program writes, in both ways.
            for packing in [Packing::Bits, Packing::LongBits, Packing::Bytes] {
                let (mut bytes, mut out) = (Vec::new(), vec![0; wanted.len()]);
                crate::block::delta::encode(&values, packing, &mut bytes);
                delta(&bytes, wanted.clone(), &mut out).unwrap();
                prop_assert_eq!(&out[..], &values[wanted.clone()]);
            }
        }
    }
}
