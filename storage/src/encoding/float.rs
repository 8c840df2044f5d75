//! Any f64, as the bytes that differ from the value before.
//!
//! Place in the flow: memtable chunks whose values are no decimals; single values of journal
//! records.
//!
//! Not here: decimals (`decimal`), which take nearly everything.

use super::decimal;
use super::varint::{self, Reader, unzigzag, zigzag};

/// Appends values. Each is compared with the one before it: a byte that says how many bytes of the
/// difference are zero at either end, then the bytes between.
pub fn encode(values: &[f64], out: &mut Vec<u8>) {
    let mut previous = 0u64;
    for value in values {
        let bits = value.to_bits();
        let different = bits ^ previous;
        let leading = different.leading_zeros() / 8;
        let trailing = if different == 0 { 0 } else { different.trailing_zeros() / 8 };
        out.push((leading << 4 | trailing) as u8);
        let bytes = different.to_be_bytes();
        out.extend_from_slice(&bytes[leading as usize..8 - trailing as usize]);
        previous = bits;
    }
}

/// Reads `count` values and appends them.
pub fn decode(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut previous = 0u64;
    for _ in 0..count {
        let control = reader.u8()?;
        let (leading, trailing) = (u32::from(control >> 4), u32::from(control & 0x0f));
        let size = 8u32.checked_sub(leading + trailing)?;
        let bytes = reader.take_padded(size as usize)?;
        // The bytes stand at the top of the number; none at all is no difference.
        let top = u64::from_be_bytes(bytes) >> (64 - 8 * size).min(63);
        let different = if size == 0 { 0 } else { top << (8 * trailing) };
        previous ^= different;
        out.push(f64::from_bits(previous));
    }
    Some(())
}

/// What stands in the lowest three bits of a single value that is no decimal.
const RAW: u64 = 7;

/// Bytes of one single value at most.
const SINGLE_BYTES_MAX: usize = 9;

/// Appends values, each on its own: a decimal in one to nine bytes, anything else in nine.
pub fn put_singles(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = f64>) {
    let mut end = out.len();
    // Room for the longest, so that the loop only stores; what is left over is cut off.
    out.resize(end + values.len() * SINGLE_BYTES_MAX, 0);
    for value in values {
        let short = |exponent| {
            decimal::mantissa(value, exponent)
                .map(|mantissa| zigzag(mantissa) << 3 | u64::from(exponent))
        };
        match (0..=decimal::EXPONENT_MAX).find_map(short) {
            Some(number) if number < 1 << 56 => {
                let (bytes, count) = varint::spread(number);
                out[end..end + 8].copy_from_slice(&bytes);
                end += count;
            }
            Some(number) => {
                let (bytes, _) = varint::spread(number | 1 << 55);
                out[end..end + 8].copy_from_slice(&bytes);
                out[end + 7] = (number >> 49) as u8 | 0x80;
                out[end + 8] = (number >> 56) as u8;
                end += SINGLE_BYTES_MAX;
            }
            None => {
                out[end] = RAW as u8;
                out[end + 1..end + 9].copy_from_slice(&value.to_bits().to_le_bytes());
                end += SINGLE_BYTES_MAX;
            }
        }
    }
    out.truncate(end);
}

/// Appends one value on its own.
pub fn put_single(out: &mut Vec<u8>, value: f64) {
    put_singles(out, std::iter::once(value));
}

/// Reads one value of [`put_singles`].
pub fn single(reader: &mut Reader<'_>) -> Option<f64> {
    let number = reader.u64()?;
    if number & 7 == RAW {
        return reader.fixed_u64().map(f64::from_bits);
    }
    let exponent = (number & 7) as u8;
    Some(decimal::value(unzigzag(number >> 3), exponent))
}
