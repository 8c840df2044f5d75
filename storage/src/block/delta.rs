//! Parquet's DELTA_BINARY_PACKED: whole numbers as differences, packed to few bits.
//!
//! Place in the flow: pages of instants and of mantissas are made of it.
//!
//! A block of differences has one smallest difference and a width for each of its miniblocks. Packed
//! to bits, small miniblocks follow what the data does; the library's writer uses 64 values for them.
//! Packed to whole bytes, differences that recur are bytes that recur, which is what zstd can use: it
//! gives frequent ones fractions of the bits that the largest one needs.
//!
//! Not here: reading (`reader`), what the numbers mean (`writer`).

use crate::encoding::varint::{put_i64, put_u64};

/// Differences of one block packed to bits.
pub const BLOCK: usize = 128;
/// Differences that share a width, packed to bits.
pub const MINIBLOCK: usize = 32;
/// Differences of a long block packed to bits: one smallest difference for all, and widths that zstd
/// makes small.
const LONG_BLOCK: usize = 2048;
/// Differences of one block packed to bytes, which all share a width.
const BYTES_BLOCK: usize = 1024;

/// How tightly differences are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// To as few bits as each miniblock needs.
    Bits,
    /// The same in long blocks.
    LongBits,
    /// To as few whole bytes as each block needs.
    Bytes,
}

impl Packing {
    fn block(self) -> usize {
        match self {
            Packing::Bits => BLOCK,
            Packing::LongBits => LONG_BLOCK,
            Packing::Bytes => BYTES_BLOCK,
        }
    }

    fn miniblock(self) -> usize {
        match self {
            Packing::Bits | Packing::LongBits => MINIBLOCK,
            Packing::Bytes => BYTES_BLOCK,
        }
    }

    fn width(self, bits: u32) -> u32 {
        match self {
            Packing::Bits | Packing::LongBits => bits,
            Packing::Bytes => bits.next_multiple_of(u8::BITS),
        }
    }
}

/// Appends the encoded numbers.
pub fn encode(values: &[i64], packing: Packing, out: &mut Vec<u8>) {
    let block = packing.block();
    put_u64(out, block as u64);
    put_u64(out, (block / packing.miniblock()) as u64);
    put_u64(out, values.len() as u64);
    put_i64(out, values.first().copied().unwrap_or(0));
    let mut deltas = [0i64; LONG_BLOCK];
    let mut start = 0;
    while start + 1 < values.len() {
        let count = (values.len() - 1 - start).min(block);
        let mut smallest = i64::MAX;
        for (delta, pair) in deltas.iter_mut().zip(values[start..=start + count].windows(2)) {
            *delta = pair[1].wrapping_sub(pair[0]);
            smallest = smallest.min(*delta);
        }
        encode_block(&deltas[..count], smallest, packing, out);
        start += count;
    }
}

fn encode_block(deltas: &[i64], smallest: i64, packing: Packing, out: &mut Vec<u8>) {
    put_i64(out, smallest);
    let (widths_at, miniblock) = (out.len(), packing.miniblock());
    out.resize(widths_at + packing.block() / miniblock, 0);
    let mut offsets = [0u64; BYTES_BLOCK];
    let offsets = &mut offsets[..miniblock];
    for (index, part) in deltas.chunks(miniblock).enumerate() {
        offsets[part.len()..].fill(0);
        let mut all = 0;
        for (offset, delta) in offsets.iter_mut().zip(part) {
            *offset = delta.wrapping_sub(smallest) as u64;
            all |= *offset;
        }
        let width = packing.width(u64::BITS - all.leading_zeros());
        out[widths_at + index] = width as u8;
        pack(offsets, width, out);
    }
}

/// Appends numbers of `width` bits each, the lowest bits first.
pub fn pack(numbers: &[u64], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut pending, mut pending_bits) = (0u128, 0u32);
    for number in numbers {
        pending |= u128::from(*number) << pending_bits;
        pending_bits += width;
        if pending_bits >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            pending_bits -= 64;
        }
    }
    let rest = pending.to_le_bytes();
    out.extend_from_slice(&rest[..pending_bits.div_ceil(8) as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::varint::Reader;

    /// Reads what [`encode`] wrote, as docs of the format say.
    fn decode(bytes: &[u8]) -> Option<Vec<i64>> {
        let mut reader = Reader::new(bytes);
        let (block, minis) = (reader.u64()? as usize, reader.u64()? as usize);
        let (count, mut value) = (reader.u64()? as usize, reader.i64()?);
        let mut values = vec![value];
        while values.len() < count {
            let smallest = reader.i64()?;
            let widths: Vec<u8> = (0..minis).map(|_| reader.u8()).collect::<Option<_>>()?;
            for width in widths {
                if values.len() >= count {
                    assert_eq!(width, 0, "miniblocks that are not needed have no bits");
                    continue;
                }
                let packed = reader.take(block / minis * usize::from(width) / 8)?;
                for index in 0..block / minis {
                    let mut offset = 0u64;
                    for bit in 0..usize::from(width) {
                        let at = index * usize::from(width) + bit;
                        offset |= u64::from(packed[at / 8] >> (at % 8) & 1) << bit;
                    }
                    if values.len() < count {
                        value = value.wrapping_add(smallest).wrapping_add(offset as i64);
                        values.push(value);
                    }
                }
            }
        }
        values.truncate(count);
        reader.is_empty().then_some(values)
    }

    #[track_caller]
    fn check(values: &[i64]) {
        for packing in [Packing::Bits, Packing::LongBits, Packing::Bytes] {
            let mut bytes = Vec::new();
            encode(values, packing, &mut bytes);
            assert_eq!(decode(&bytes).as_deref(), Some(values), "{packing:?}");
        }
    }

    #[test]
    fn numbers_come_back() {
        check(&[]);
        check(&[7]);
        check(&[i64::MIN, i64::MAX, 0, -1, i64::MAX]);
        for count in [2, 31, 32, 33, 34, 128, 129, 130, 1000, 1024, 1025, 1026, 2049, 5000] {
            check(&(0..count).map(|index| index * 15_000).collect::<Vec<_>>());
            check(&(0..count).map(|index| index * index % 977 - 400).collect::<Vec<_>>());
            check(&(0..count).map(|index| index << (index % 60)).collect::<Vec<_>>());
        }
    }
}
