//! Walks the fields of a protobuf message where they lie; nothing is built.
//!
//! Place in the flow: unpacked body → **`Reader`** → `v1`, `v2`, `histogram`.
//!
//! Invariants: nothing recurses; every length is checked before it is used.
//!
//! Not here: what a field means.

use super::error::PushError;

/// One field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Walks a message.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Skips bytes that were read otherwise.
    pub(super) fn skip(&mut self, size: usize) {
        self.rest = &self.rest[size..];
    }

    pub(super) fn next_field(&mut self) -> Result<Option<(u64, Value<'a>)>, PushError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let mut bits = [0; 8];
                bits.copy_from_slice(self.take(8)?);
                Value::Fixed64(u64::from_le_bytes(bits))
            }
            2 => Value::Bytes(self.bytes()?),
            5 => {
                self.take(4)?;
                Value::Fixed32
            }
            kind => return Err(PushError::malformed(format!("unknown wire type {kind}"))),
        };
        match tag >> 3 {
            0 => Err(PushError::malformed("field number 0")),
            field => Ok(Some((field, value))),
        }
    }

    /// A field of bytes if it is the next one and its number and size each take a single byte.
    #[inline]
    pub(super) fn small_field(&mut self, tag: u8) -> Option<&'a [u8]> {
        let &[first, size, ..] = self.rest else { return None };
        if first != tag || size >= 0x80 {
            return None;
        }
        let end = 2 + usize::from(size);
        let taken = self.rest.get(2..end)?;
        self.rest = &self.rest[end..];
        Some(taken)
    }

    /// The rest as the elements of a packed field of varints.
    pub(super) fn next_varint(&mut self) -> Result<Option<u64>, PushError> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    /// The rest as the elements of a packed field of doubles.
    pub(super) fn next_double(&mut self) -> Result<Option<f64>, PushError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut bits = [0; 8];
        bits.copy_from_slice(self.take(8)?);
        Ok(Some(f64::from_le_bytes(bits)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], PushError> {
        let size = self.varint()?;
        self.take(usize::try_from(size).unwrap_or(usize::MAX))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], PushError> {
        if size > self.rest.len() {
            return Err(PushError::malformed("a field is longer than the message"));
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, PushError> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, PushError> {
        let mut number = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(PushError::malformed("a number does not end"))
    }
}

/// A signed number in the zigzag form of `sint32` and `sint64`.
pub(super) fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// A sample: its value, its time, and when its counting began (0 when nobody said).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RawSample {
    pub(super) value: f64,
    pub(super) at_ms: i64,
    pub(super) start_ms: i64,
}

/// Reads the usual sample at the beginning of a text: field 2, value and a time of this century, or
/// just the time when the value is zero. Says how long it was.
#[inline]
pub(super) fn usual_sample(rest: &[u8]) -> Option<(RawSample, usize)> {
    const WHOLE: usize = 18;
    const ZERO: usize = 9;
    if let Some(head) = rest.first_chunk::<WHOLE>()
        && head[0] == 0x12
        && head[1] == 16
        && head[2] == 0x09
        && head[11] == 0x10
    {
        let mut bits = [0; 8];
        bits.copy_from_slice(&head[3..11]);
        let at_ms = six_byte_varint([head[12], head[13], head[14], head[15], head[16], head[17]])?;
        let value = f64::from_le_bytes(bits);
        return Some((RawSample { value, at_ms, start_ms: 0 }, WHOLE));
    }
    let head = rest.first_chunk::<ZERO>()?;
    if head[0] != 0x12 || head[1] != 7 || head[2] != 0x10 {
        return None;
    }
    let at_ms = six_byte_varint([head[3], head[4], head[5], head[6], head[7], head[8]])?;
    Some((RawSample { value: 0.0, at_ms, start_ms: 0 }, ZERO))
}

/// A number of exactly six bytes: milliseconds between 1971 and 2109.
#[inline]
fn six_byte_varint(bytes: [u8; 6]) -> Option<i64> {
    let [a, b, c, d, e, f] = bytes;
    let raw = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    if raw & 0x8080_8080_8080 != 0x0080_8080_8080 {
        return None;
    }
    let number = (raw & 0x7f)
        | (raw & 0x7f00) >> 1
        | (raw & 0x7f_0000) >> 2
        | (raw & 0x7f00_0000) >> 3
        | (raw & 0x7f_0000_0000) >> 4
        | (raw & 0x7f00_0000_0000) >> 5;
    Some(number as i64)
}

/// Reads any sample.
pub(super) fn sample_of(message: &[u8]) -> Result<RawSample, PushError> {
    let mut sample = RawSample { value: 0.0, at_ms: 0, start_ms: 0 };
    let mut reader = Reader::new(message);
    while let Some((field, value)) = reader.next_field()? {
        match (field, value) {
            (1, Value::Fixed64(bits)) => sample.value = f64::from_bits(bits),
            // A negative time is written as its two's complement.
            (2, Value::Varint(bits)) => sample.at_ms = bits as i64,
            (3, Value::Varint(bits)) => sample.start_ms = bits as i64,
            _ => {}
        }
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    #[test]
    fn the_short_cut_reads_what_the_long_way_reads() {
        let times = [0, 1, -1, 1 << 35, (1 << 35) - 1, 1_700_000_000_000, (1 << 42) - 1, 1 << 42];
        for at_ms in times {
            for value in [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY] {
                let time = [vec![0x10], varint(at_ms as u64)].concat();
                let number = [vec![0x09], value.to_le_bytes().to_vec()].concat();
                let whole = [number, time.clone()].concat();
                for inner in [whole, time] {
                    let message = [vec![0x12, inner.len() as u8], inner.clone(), vec![9]].concat();
                    let long = sample_of(&inner).expect("decodes");
                    assert_eq!(long.at_ms, at_ms);
                    let Some((short, size)) = usual_sample(&message) else {
                        assert!(!((1 << 35)..(1 << 42)).contains(&at_ms), "{at_ms} is usual");
                        continue;
                    };
                    assert_eq!((short.at_ms, size), (at_ms, inner.len() + 2));
                    assert_eq!(short.value.to_bits(), long.value.to_bits());
                }
            }
        }
    }

    #[test]
    fn zigzag_numbers() {
        for number in [0, -1, 1, -2, i64::MAX, i64::MIN] {
            assert_eq!(zigzag(((number << 1) ^ (number >> 63)) as u64), number);
        }
    }
}
