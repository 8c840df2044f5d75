//! Chunks of plain values: timestamps as differences of differences, values as what changed.
//!
//! Place in the flow: `block` → **`decode`** → instants and values in ascending order of time.

use crate::bits::{Bits, Xor};
use crate::error::Malformed;

/// Sizes of the differences behind 1, 2, 3 and 4 ones.
const SIZES: [u32; 4] = [14, 17, 20, 64];

/// All samples of a chunk, in milliseconds. What was read before damage is lost with the rest: half a
/// chunk can't be told from a wrong one.
pub fn decode(data: &[u8]) -> Result<Vec<(i64, f64)>, Malformed> {
    let mut bits = Bits::new(data);
    let count = bits.bits(16)? as usize;
    let mut samples = Vec::with_capacity(count.min(data.len() * 4));
    let (mut at_ms, mut delta_ms, mut value) = (0_i64, 0_i64, Xor::default());
    for index in 0..count {
        match index {
            0 => {
                at_ms = bits.varint()?;
                value = Xor::first(bits.f64()?);
            }
            1 => {
                delta_ms = bits.uvarint()?.cast_signed();
                at_ms = at_ms.wrapping_add(delta_ms);
                value.next(&mut bits)?;
            }
            _ => {
                let change = match bits.ones(4)? {
                    0 => 0,
                    ones => bits.signed(SIZES[ones as usize - 1])?,
                };
                delta_ms = delta_ms.wrapping_add(change);
                at_ms = at_ms.wrapping_add(delta_ms);
                value.next(&mut bits)?;
            }
        }
        samples.push((at_ms, value.value()));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
