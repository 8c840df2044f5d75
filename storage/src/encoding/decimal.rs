//! Decimal numbers as a whole number (the mantissa) and a power of ten, when that is exact.
//!
//! Place in the flow: memtable chunks, journal records, and the columns `v_int` and `v_exp` of a
//! block.
//!
//! Nearly every value a machine reports was written with few digits. `0.25` is 25 / 10², and
//! differences of such whole numbers pack far better than any code for floats.
//!
//! Invariant: `value(mantissa(v, e), e)` has the bits of `v`, or `mantissa` gives `None`. The value
//! is rebuilt by *division*; multiplying by 10⁻ᵉ would round twice.
//!
//! Not here: values that are no decimals (`float`).

use super::varint::{Reader, put_i64, put_u64};

/// Most digits after the point. More of them fit only by accident, with random mantissas.
pub const EXPONENT_MAX: u8 = 6;
/// Mantissas stay below this magnitude, so that each is exact as an f64 too.
pub const MANTISSA_MAX: i64 = 1 << 53;

const POWERS: [f64; EXPONENT_MAX as usize + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Added to a number of smaller magnitude than [`ROUNDED_MAX`], it leaves the nearest whole number in
/// the lowest bits of the sum.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
const ROUNDED_MAX: f64 = (1u64 << 51) as f64;

/// The mantissa of a value with `exponent` digits after the point, if that is exact.
#[inline]
pub fn mantissa(value: f64, exponent: u8) -> Option<i64> {
    let scaled = value * POWERS[usize::from(exponent)];
    let rounded = if scaled.abs() < ROUNDED_MAX {
        (scaled + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits()) as i64
    } else {
        large_mantissa(scaled)?
    };
    (self::value(rounded, exponent).to_bits() == value.to_bits()).then_some(rounded)
}

/// The whole number next to a large one; `None` for what is no mantissa, NaN among it.
#[cold]
fn large_mantissa(scaled: f64) -> Option<i64> {
    if scaled.is_nan() || scaled.abs() >= MANTISSA_MAX as f64 {
        return None;
    }
    let rounded = scaled.round() as i64;
    (rounded.abs() < MANTISSA_MAX).then_some(rounded)
}

/// The value of a mantissa.
#[inline]
pub fn value(mantissa: i64, exponent: u8) -> f64 {
    mantissa as f64 / POWERS[usize::from(exponent)]
}

/// Finds mantissas for all values with one exponent. `None` when there is none. `out` is as long as
/// `values`.
pub fn mantissas(values: &[f64], out: &mut [i64]) -> Option<u8> {
    assert_eq!(values.len(), out.len(), "a place for each mantissa");
    let mut exponent = 0;
    let mut index = 0;
    while index < values.len() {
        match mantissa(values[index], exponent) {
            Some(mantissa) => {
                out[index] = mantissa;
                index += 1;
            }
            None => {
                exponent = (exponent + 1..=EXPONENT_MAX)
                    .find(|&larger| mantissa(values[index], larger).is_some())?;
                index = 0;
            }
        }
    }
    Some(exponent)
}

/// Appends the mantissas of all values with the fewest digits that suffice for all, and answers with
/// those digits. `None`, and nothing appended, when not every value is a decimal.
pub fn append_mantissas(values: &[f64], out: &mut Vec<i64>) -> Option<u8> {
    let start = out.len();
    let mut exponent = 0;
    for value in values {
        if let Some(mantissa) = mantissa(*value, exponent) {
            out.push(mantissa);
            continue;
        }
        let larger = larger_exponent(*value, exponent);
        let scale = larger.map_or(0, |larger| POWERS[usize::from(larger - exponent)] as i64);
        let fits = |before: &i64| before.abs() < MANTISSA_MAX / scale;
        let Some(larger) = larger.filter(|_| out[start..].iter().all(fits)) else {
            out.truncate(start);
            return None;
        };
        // The same decimals with more digits: exact, as they still fit.
        out[start..].iter_mut().for_each(|before| *before *= scale);
        exponent = larger;
        out.push(mantissa(*value, exponent).expect("it was found with these digits"));
    }
    Some(exponent)
}

/// The fewest digits above `exponent` with which a value is a decimal.
fn larger_exponent(value: f64, exponent: u8) -> Option<u8> {
    // A value of this size that is no decimal with all digits is none with fewer.
    if value.abs() < (1i64 << 52) as f64 / POWERS[usize::from(EXPONENT_MAX)]
        && mantissa(value, EXPONENT_MAX).is_none()
    {
        return None;
    }
    (exponent + 1..=EXPONENT_MAX).find(|&larger| mantissa(value, larger).is_some())
}

/// The digits that suffice for all values that are decimals at all; `None` when most are not.
pub fn common_exponent(values: &[f64]) -> Option<u8> {
    let (mut exponent, mut misfits) = (0, 0);
    for value in values {
        if mantissa(*value, exponent).is_some() {
            continue;
        }
        match larger_exponent(*value, exponent) {
            Some(larger) => exponent = larger,
            None => misfits += 1,
        }
        if misfits * 2 > values.len() {
            return None;
        }
    }
    Some(exponent)
}

/// Appends mantissas: the first one, then the differences packed to the bits the widest needs.
pub fn encode(mantissas: &[i64], out: &mut Vec<u8>) {
    let Some(&first) = mantissas.first() else { return };
    put_i64(out, first);
    if mantissas.len() == 1 {
        return;
    }
    let (mut smallest, mut largest) = (i64::MAX, i64::MIN);
    for pair in mantissas.windows(2) {
        let delta = pair[1] - pair[0];
        smallest = smallest.min(delta);
        largest = largest.max(delta);
    }
    let width = 64 - ((largest - smallest) as u64).leading_zeros();
    assert!(width <= 55, "differences of mantissas need at most 55 bits");
    put_i64(out, smallest);
    put_u64(out, u64::from(width));
    if width == 0 {
        return;
    }
    let (mut pending, mut pending_bits) = (0u128, 0u32);
    for pair in mantissas.windows(2) {
        pending |= u128::from((pair[1] - pair[0] - smallest) as u64) << pending_bits;
        pending_bits += width;
        if pending_bits >= 64 {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            pending_bits -= 64;
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..pending_bits.div_ceil(8) as usize]);
}

/// Reads `count` mantissas and appends their values.
pub fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    exponent: u8,
    out: &mut Vec<f64>,
) -> Option<()> {
    if exponent > EXPONENT_MAX {
        return None;
    }
    if count == 0 {
        return Some(());
    }
    let mut current = reader.i64()?;
    out.push(value(current, exponent));
    if count == 1 {
        return Some(());
    }
    let smallest = reader.i64()?;
    let width = u32::from(reader.u8()?);
    if width > 55 {
        return None;
    }
    let packed = reader.take(((count - 1) * width as usize).div_ceil(8))?;
    let mask = (1u64 << width) - 1;
    out.extend((0..count - 1).map(|index| {
        let bit = index * width as usize;
        let delta = (eight_bytes(packed, bit / 8) >> (bit % 8) & mask) as i64;
        current = current.wrapping_add(smallest).wrapping_add(delta);
        value(current, exponent)
    }));
    Some(())
}

/// The number in the eight bytes from `start` on; bytes behind the end are zero.
#[inline]
fn eight_bytes(bytes: &[u8], start: usize) -> u64 {
    if let Some(whole) = bytes.get(start..start + 8) {
        return u64::from_le_bytes(whole.try_into().expect("eight bytes"));
    }
    let mut padded = [0u8; 8];
    let rest = bytes.get(start..).unwrap_or_default();
    padded[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(padded)
}
