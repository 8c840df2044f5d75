//! Whole numbers in as few bytes as they need, and the reader that all decoders share.
//!
//! Place in the flow: below the other encodings, the journal records and the index file.
//!
//! Not here: what the numbers mean.

/// Appends an unsigned number, seven bits a byte, the lowest first.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes of [`put_u64`] for a number below 2⁵⁶, and how many of them count.
#[inline]
pub fn spread(value: u64) -> ([u8; 8], usize) {
    let count = (70 - (value | 1).leading_zeros() as usize) / 7;
    // Halves, quarters and eighths move apart until each group of seven bits has its byte.
    let halves = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    let groups = quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
    let more = 0x8080_8080_8080_8080 & ((1u64 << (8 * (count - 1).min(7))) - 1);
    ((groups | more).to_le_bytes(), count)
}

/// Appends a signed number; small magnitudes are short.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, zigzag(value));
}

/// Appends a length and the bytes.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// 0, -1, 1, -2 … become 0, 1, 2, 3 …
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads from the front of a slice; `None` once the bytes do not suffice or make no sense.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// How many bytes are left.
    pub fn left_bytes(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The next bytes.
    pub fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(size)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next bytes, at most eight, followed by whatever comes after them.
    #[inline]
    pub fn take_padded(&mut self, size: usize) -> Option<[u8; 8]> {
        if let Some((eight, _)) = self.rest.split_first_chunk::<8>() {
            self.rest = self.rest.get(size..)?;
            return Some(*eight);
        }
        let mut padded = [0u8; 8];
        padded.get_mut(..size)?.copy_from_slice(self.take(size)?);
        Some(padded)
    }

    /// The next number of [`put_u64`].
    pub fn u64(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            if index == 9 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Some(value);
            }
        }
        None
    }

    /// The next number of [`put_i64`].
    pub fn i64(&mut self) -> Option<i64> {
        self.u64().map(unzigzag)
    }

    /// The next number of [`put_u64`] that must fit a u32.
    pub fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.u64()?).ok()
    }

    /// The next eight bytes as a little-endian number.
    pub fn fixed_u64(&mut self) -> Option<u64> {
        let bytes: [u8; 8] = self.take(8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// A number of things that each take at least one byte: never more than bytes are left, so
    /// that a damaged count can't ask for much memory.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.u64()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    /// The next bytes of [`put_bytes`].
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = usize::try_from(self.u64()?).ok()?;
        self.take(size)
    }
}
