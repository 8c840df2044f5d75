//! Any f64, as the bytes that differ from the value before.
//!
//! Place in the flow: memtable chunks whose values are no decimals; single values of journal
//! records.
//!
//! Not here: decimals (`decimal`), which take nearly everything.

use super::decimal;
use super::varint::{Reader, put_u64, unzigzag, zigzag};

/// Appends values. Each is compared with the one before it: a byte that says how many bytes of the
/// difference are zero at either end, then the bytes between.
pub fn encode(values: &[f64], out: &mut Vec<u8>) {
    let mut previous = 0u64;
    for value in values {
        let bits = value.to_bits();
        let different = (bits ^ previous).to_be_bytes();
        let leading = different.iter().take_while(|&&byte| byte == 0).count();
        let trailing = different[leading..].iter().rev().take_while(|&&byte| byte == 0).count();
        out.push((leading << 4 | trailing) as u8);
        out.extend_from_slice(&different[leading..8 - trailing]);
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

/// Appends one value on its own: a decimal in one to eight bytes, anything else in nine.
pub fn put_single(out: &mut Vec<u8>, value: f64) {
    let short = |exponent| {
        decimal::mantissa(value, exponent)
            .map(|mantissa| zigzag(mantissa) << 3 | u64::from(exponent))
    };
    match (0..=decimal::EXPONENT_MAX).find_map(short) {
        Some(number) => put_u64(out, number),
        None => {
            put_u64(out, RAW);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
}

/// Reads one value of [`put_single`].
pub fn single(reader: &mut Reader<'_>) -> Option<f64> {
    let number = reader.u64()?;
    if number & 7 == RAW {
        return reader.fixed_u64().map(f64::from_bits);
    }
    let exponent = (number & 7) as u8;
    Some(decimal::value(unzigzag(number >> 3), exponent))
}
