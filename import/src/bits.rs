//! Single bits, and numbers of a few bits: what chunks are made of.
//!
//! Place in the flow: `xor` and `histogram` read their chunks with it.

use crate::bytes;
use crate::error::Malformed;

/// Reads from the highest bit of the first byte on.
#[derive(Debug, Clone)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

const SHORT: Malformed = Malformed("the chunk ends too early");
const LARGE: Malformed = Malformed("the chunk holds a number that is too large");

/// Sizes of the numbers behind 1, 2, 3 … ones, of histograms.
const HISTOGRAM_SIZES: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, position: 0 }
    }

    pub fn bit(&mut self) -> Result<bool, Malformed> {
        let byte = self.bytes.get(self.position / 8).ok_or(SHORT)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// At most 64 bits.
    pub fn bits(&mut self, count: u32) -> Result<u64, Malformed> {
        assert!(count <= 64, "a number has at most 64 bits");
        let mut value = 0_u64;
        let mut left = count;
        while left > 0 {
            let byte = *self.bytes.get(self.position / 8).ok_or(SHORT)?;
            let offset = (self.position % 8) as u32;
            let taken = left.min(8 - offset);
            let part = u64::from(byte) >> (8 - offset - taken) & ((1 << taken) - 1);
            // Eight bits at a time: the shift is never as wide as the number.
            value = value << taken | part;
            self.position += taken as usize;
            left -= taken;
        }
        Ok(value)
    }

    pub fn f64(&mut self) -> Result<f64, Malformed> {
        self.bits(64).map(f64::from_bits)
    }

    /// A number of so many bits whose upper half is negative.
    pub fn signed(&mut self, count: u32) -> Result<i64, Malformed> {
        let bits = self.bits(count)?;
        if count == 64 {
            return Ok(bits.cast_signed());
        }
        let is_negative = bits > 1 << (count - 1);
        let value = bits.cast_signed();
        Ok(if is_negative { value - (1 << count) } else { value })
    }

    /// LEB128 whose bytes need not begin at a byte.
    pub fn uvarint(&mut self) -> Result<u64, Malformed> {
        // Eight bits fit a byte.
        bytes::uvarint(|| Ok(self.bits(8)? as u8), LARGE)
    }

    pub fn varint(&mut self) -> Result<i64, Malformed> {
        self.uvarint().map(bytes::unzigzag)
    }

    /// How many ones stand before a zero, at most `most`; the zero is read when there are fewer.
    pub fn ones(&mut self, most: u32) -> Result<u32, Malformed> {
        let mut count = 0;
        while count < most && self.bit()? {
            count += 1;
        }
        Ok(count)
    }

    /// A signed number of a histogram chunk.
    pub fn varbit_int(&mut self) -> Result<i64, Malformed> {
        match self.ones(8)? {
            0 => Ok(0),
            ones => self.signed(HISTOGRAM_SIZES[ones as usize - 1]),
        }
    }

    /// An unsigned number of a histogram chunk.
    pub fn varbit_uint(&mut self) -> Result<u64, Malformed> {
        match self.ones(8)? {
            0 => Ok(0),
            ones => self.bits(HISTOGRAM_SIZES[ones as usize - 1]),
        }
    }

    /// A count of things that take at least a bit each.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varbit_uint()?).map_err(|_| LARGE)?;
        if count > self.left() { Err(SHORT) } else { Ok(count) }
    }

    /// How many bits are left.
    pub fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.position)
    }
}

/// A float that is written as what changed since the one before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Xor {
    bits: u64,
    leading: u32,
    trailing: u32,
}

impl Xor {
    pub fn first(value: f64) -> Xor {
        Xor { bits: value.to_bits(), leading: 0, trailing: 0 }
    }

    pub fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }

    pub fn next(&mut self, bits: &mut Bits<'_>) -> Result<f64, Malformed> {
        if !bits.bit()? {
            return Ok(self.value());
        }
        if bits.bit()? {
            self.leading = bits.bits(5)? as u32;
            let count = match bits.bits(6)? as u32 {
                0 => 64,
                count => count,
            };
            let used = self.leading + count;
            self.trailing =
                64_u32.checked_sub(used).ok_or(Malformed("the chunk holds an impossible value"))?;
        }
        let count = 64 - self.leading - self.trailing;
        // Shifted by at most 63: there is at least one bit.
        self.bits ^= bits.bits(count)? << self.trailing;
        Ok(self.value())
    }
}
