//! Whole numbers and texts in bytes, as Prometheus writes them: big-endian, or LEB128.
//!
//! Place in the flow: everything that reads records and entries.

use crate::error::Malformed;

/// Reads from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

const SHORT: Malformed = Malformed("ends too early");
const LARGE: Malformed = Malformed("holds a number that is too large");

impl<'a> Bytes<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub fn be32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn be64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn f64(&mut self) -> Result<f64, Malformed> {
        self.be64().map(f64::from_bits)
    }

    pub fn uvarint(&mut self) -> Result<u64, Malformed> {
        uvarint(|| self.u8(), LARGE)
    }

    pub fn varint(&mut self) -> Result<i64, Malformed> {
        self.uvarint().map(unzigzag)
    }

    /// A count of things that take at least a byte each, so that it can't claim more than there is.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.uvarint()?).map_err(|_| LARGE)?;
        if count > self.0.len() { Err(SHORT) } else { Ok(count) }
    }

    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let count = self.count()?;
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| Malformed("holds a text that is no UTF-8"))
    }
}

/// A LEB128 number, byte after byte; what is beyond 64 bits is `too_large`.
pub fn uvarint(
    mut byte: impl FnMut() -> Result<u8, Malformed>,
    too_large: Malformed,
) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = byte()?;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return Err(too_large);
        }
        value |= part << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(too_large)
}

/// The number whose sign stands in the last bit.
pub fn unzigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -((bits & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(Bytes(&[0xac, 0x02]).uvarint(), Ok(300));
        assert_eq!(Bytes(&[0x03]).varint(), Ok(-2));
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Bytes(&largest).uvarint(), Ok(u64::MAX));
        assert_eq!(Bytes(&largest).varint(), Ok(i64::MIN));
        assert_eq!(Bytes(&[0xff; 11]).uvarint(), Err(LARGE));
        assert_eq!(Bytes(&[0x80]).uvarint(), Err(SHORT));
        assert_eq!(Bytes(&[0x05, b'a']).text(), Err(SHORT));
        assert_eq!(Bytes(&[0x01, b'a']).text(), Ok("a"));
        assert_eq!(Bytes(&[0, 0, 1, 0]).be32(), Ok(256));
    }
}
