//! The header of a Parquet page: a Thrift struct in compact form.
//!
//! Place in the flow: bytes of a page → **header** → levels and values (`page`).
//!
//! Fields that are not needed are skipped whatever they are. Reading never panics: bytes that can't
//! be read give `None`.
//!
//! Not here: what follows the header.

use crate::encoding::varint::Reader;

/// How the values of a page are encoded, by Parquet's numbers.
pub const PLAIN: i64 = 0;
/// Indexes into the dictionary page; the older number of the same thing is 2.
pub const PLAIN_DICTIONARY: i64 = 2;
/// Runs and packed bits.
pub const RLE: i64 = 3;
/// Packed differences.
pub const DELTA_BINARY_PACKED: i64 = 5;
/// Indexes into the dictionary page.
pub const RLE_DICTIONARY: i64 = 8;
/// First all first bytes, then all second ones, …
pub const BYTE_STREAM_SPLIT: i64 = 9;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values, levels compressed with them.
    Data,
    /// Values, levels before them as they are.
    DataV2 {
        /// Bytes of the definition levels.
        levels_bytes: usize,
        /// Whether the values are compressed.
        is_compressed: bool,
    },
    /// Distinct values.
    Dictionary,
}

/// A page header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// Bytes of the header itself.
    pub header_bytes: usize,
    /// Bytes of the body once it is unpacked.
    pub plain_bytes: usize,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// The checksum of the body.
    pub crc: Option<u32>,
    /// Rows of a data page, nulls included; values of a dictionary.
    pub count: usize,
    /// How values are encoded.
    pub encoding: i64,
    /// How definition levels are encoded.
    pub levels_encoding: i64,
}

/// Structs inside structs, at most.
const DEPTH_MAX: u32 = 16;

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const STRUCT: u8 = 12;

/// The next field of a struct: its number and type. `None` inside when the struct ends.
fn field(reader: &mut Reader<'_>, before: &mut i64) -> Option<Option<(i64, u8)>> {
    let byte = reader.u8()?;
    if byte == 0 {
        return Some(None);
    }
    *before = match byte >> 4 {
        0 => reader.i64()?,
        distance => *before + i64::from(distance),
    };
    Some(Some((*before, byte & 0x0f)))
}

fn skip(reader: &mut Reader<'_>, kind: u8, depth: u32) -> Option<()> {
    if depth == 0 {
        return None;
    }
    match kind {
        TRUE | FALSE => {}
        3 => {
            reader.u8()?;
        }
        4..=6 => {
            reader.i64()?;
        }
        7 => {
            reader.take(8)?;
        }
        8 => {
            reader.bytes()?;
        }
        9 | 10 => {
            let byte = reader.u8()?;
            let count = match byte >> 4 {
                15 => reader.u64()?,
                count => u64::from(count),
            };
            for _ in 0..count {
                // A list of booleans has a byte for each.
                let kind = if matches!(byte & 0x0f, TRUE | FALSE) { 3 } else { byte & 0x0f };
                skip(reader, kind, depth - 1)?;
            }
        }
        STRUCT => {
            let mut before = 0;
            while let Some((_, kind)) = field(reader, &mut before)? {
                skip(reader, kind, depth - 1)?;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Numbers and booleans of a struct by field, those from 0 to 7.
fn numbers(reader: &mut Reader<'_>) -> Option<[Option<i64>; 8]> {
    let (mut found, mut before) = ([None; 8], 0);
    while let Some((number, kind)) = field(reader, &mut before)? {
        let value = match kind {
            TRUE => 1,
            FALSE => 0,
            4..=6 => reader.i64()?,
            other => {
                skip(reader, other, DEPTH_MAX)?;
                continue;
            }
        };
        if let Some(place) = usize::try_from(number).ok().and_then(|at| found.get_mut(at)) {
            *place = Some(value);
        }
    }
    Some(found)
}

impl Header {
    /// Reads the header at the start of a page.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let mut reader = Reader::new(bytes);
        let (mut own, mut inner, mut before) = ([None; 5], None, 0);
        while let Some((number, kind)) = field(&mut reader, &mut before)? {
            match (number, kind) {
                (1..=4, 4..=6) => own[number as usize] = Some(reader.i64()?),
                (5 | 7 | 8, STRUCT) => inner = Some((number, numbers(&mut reader)?)),
                (_, other) => skip(&mut reader, other, DEPTH_MAX)?,
            }
        }
        let size = |value: Option<i64>| usize::try_from(value?).ok();
        let (number, fields) = inner?;
        let (kind, encoding, levels_encoding) = match (own[1]?, number) {
            (0, 5) => (Kind::Data, fields[2]?, fields[3]?),
            (2, 7) => (Kind::Dictionary, fields[2]?, RLE),
            (3, 8) if fields[6] == Some(0) => {
                let levels_bytes = size(fields[5])?;
                let is_compressed = fields[7] != Some(0);
                (Kind::DataV2 { levels_bytes, is_compressed }, fields[4]?, RLE)
            }
            _ => return None,
        };
        Some(Header {
            kind,
            header_bytes: bytes.len() - reader.left_bytes(),
            plain_bytes: size(own[2])?,
            body_bytes: size(own[3])?,
            crc: own[4].map(|crc| crc as u32),
            count: size(fields[1])?,
            encoding,
            levels_encoding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        // kind 0, 100 bytes, 50 packed, crc 7, data page: 10 values, encoding 5, levels 3, 3.
        let data = [
            0x15, 0, 0x15, 200, 1, 0x15, 100, 0x15, 14, 0x1c, 0x15, 20, 0x15, 10, 0x15, 6, 0x15, 6,
            0x1c, 0x18, 1, 9, 0, 0, 0,
        ];
        let header = Header::read(&data).unwrap();
        assert_eq!((header.kind, header.header_bytes), (Kind::Data, data.len()));
        assert_eq!((header.plain_bytes, header.body_bytes, header.crc), (100, 50, Some(7)));
        assert_eq!((header.count, header.encoding), (10, DELTA_BINARY_PACKED));
        for end in 0..data.len() {
            assert_eq!(Header::read(&data[..end]), None, "cut at {end}");
        }
        // A dictionary page without a checksum.
        let dictionary = [0x15, 4, 0x15, 8, 0x15, 8, 0x4c, 0x15, 4, 0x15, 0, 0, 0];
        let header = Header::read(&dictionary).unwrap();
        assert_eq!((header.kind, header.count, header.crc), (Kind::Dictionary, 2, None));
        assert_eq!(Header::read(&[0x15, 0, 0x1c, 0x1c, 0x1c]), None);
    }
}
