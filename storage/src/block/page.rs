//! Pages and column chunks of `samples.parquet`, byte by byte.
//!
//! Place in the flow: the block writer's columns → **chunk** → row group of the file.
//!
//! The library's own column writer counts, hashes and copies every value of columns that are one long
//! run, and cuts all columns alike. This one writes runs as runs, cuts each column where it pays,
//! and puts the CRC32 that readers check into each page header.
//!
//! A page header is a Thrift struct in compact form: 1 kind, 2 size, 3 compressed size, 4 CRC32, then
//! 5 (data page, version 1) or 7 (dictionary page), each field with its distance to the one before.
//!
//! Not here: which values (`writer`), the encodings of numbers (`delta`, `runs`).

use std::io::Write;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::stream::write::Encoder;

use crate::encoding::varint::put_i64;

/// A field of type i32 that follows the field before it directly.
const NEXT_I32: u8 = 0x15;
/// A field of type struct that follows the field before it directly.
const NEXT_STRUCT: u8 = 0x1c;
const DATA_PAGE: i64 = 0;
const DICTIONARY_PAGE: i64 = 2;

/// The level of zstd for what hardly compresses, or compresses to nothing.
const QUICK: i32 = 1;
/// The level of zstd for floats and for bytes that recur.
const THOROUGH: i32 = 3;

/// The bytes of a page before they are compressed.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a> {
    /// Levels if the column is nullable, then values.
    pub bytes: &'a [u8],
    /// How the values are encoded.
    pub encoding: Encoding,
    /// Whether compressing well is worth the time.
    pub thorough: bool,
    /// It ends with planes of so many bytes (the first bytes of all numbers, their second ones …); 0:
    /// it does not.
    pub plane_bytes: usize,
}

/// A page, compressed.
#[derive(Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    plain_bytes: usize,
    encoding: Encoding,
}

impl Packed {
    /// Its size without the header.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How its values are encoded.
    #[cfg(test)]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

/// How much time small pages are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A block that will be merged soon.
    Quick,
    /// A block that may stay: what is smaller is looked for.
    Thorough,
}

/// Compresses pages; one of each level is kept for all pages of a block.
pub struct Packer {
    quick: Compressor<'static>,
    thorough: Compressor<'static>,
    /// How much time is spent.
    pub effort: Effort,
}

impl Packer {
    /// A packer without a page.
    pub fn new(effort: Effort) -> std::io::Result<Packer> {
        let (quick, thorough) = (Compressor::new(QUICK)?, Compressor::new(THOROUGH)?);
        Ok(Packer { quick, thorough, effort })
    }

    /// Packs a page. One that ends with planes gets a block of the compression for each of them: some
    /// are noise and some are not.
    pub fn pack(&mut self, body: Body<'_>) -> std::io::Result<Packed> {
        let Body { bytes, encoding, thorough, plane_bytes } = body;
        let mut packed = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()));
        if plane_bytes > 0 {
            let mut encoder = Encoder::new(packed, THOROUGH)?;
            encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
            let (mut head, mut planes) = bytes.split_at(bytes.len() % plane_bytes);
            while !planes.is_empty() {
                encoder.write_all(head)?;
                encoder.write_all(&planes[..plane_bytes])?;
                (head, planes) = (&[], &planes[plane_bytes..]);
                if !planes.is_empty() {
                    encoder.flush()?;
                }
            }
            packed = encoder.finish()?;
        } else {
            let compressor = if thorough { &mut self.thorough } else { &mut self.quick };
            compressor.compress_to_buffer(bytes, &mut packed)?;
        }
        Ok(Packed { bytes: packed, plain_bytes: bytes.len(), encoding })
    }
}

/// Smallest and largest value of a page or a chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bounds {
    /// Of a column of 32 bits.
    I32(i32, i32),
    /// Of a column of 64 bits.
    I64(i64, i64),
}

impl Bounds {
    fn bytes(self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Bounds::I32(min, max) => (min.to_le_bytes().into(), max.to_le_bytes().into()),
            Bounds::I64(min, max) => (min.to_le_bytes().into(), max.to_le_bytes().into()),
        }
    }

    fn join(self, other: Bounds) -> Bounds {
        match (self, other) {
            (Bounds::I32(a, b), Bounds::I32(c, d)) => Bounds::I32(a.min(c), b.max(d)),
            (Bounds::I64(a, b), Bounds::I64(c, d)) => Bounds::I64(a.min(c), b.max(d)),
            _ => unreachable!("all pages of a column have one type"),
        }
    }

    fn statistics(self) -> Statistics {
        match self {
            Bounds::I32(min, max) => Statistics::int32(Some(min), Some(max), None, Some(0), false),
            Bounds::I64(min, max) => Statistics::int64(Some(min), Some(max), None, Some(0), false),
        }
    }
}

/// One column of one row group in the making.
pub struct Chunk {
    description: ColumnDescPtr,
    encodings: Vec<Encoding>,
    bytes: Vec<u8>,
    plain_bytes: usize,
    rows: usize,
    data_offset: Option<usize>,
    has_dictionary: bool,
    offsets: OffsetIndexBuilder,
    pages: Option<ColumnIndexBuilder>,
    bounds: Option<Bounds>,
}

impl Chunk {
    /// An empty chunk.
    pub fn new(description: ColumnDescPtr) -> Chunk {
        Chunk {
            description,
            encodings: vec![Encoding::RLE],
            bytes: Vec::new(),
            plain_bytes: 0,
            rows: 0,
            data_offset: None,
            has_dictionary: false,
            offsets: OffsetIndexBuilder::new(),
            pages: None,
            bounds: None,
        }
    }

    /// Adds the dictionary, before any data page.
    pub fn dictionary(&mut self, packer: &mut Packer, values: &[i32]) -> Result<()> {
        assert!(self.bytes.is_empty(), "the dictionary comes first");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (encoding, thorough) = (Encoding::PLAIN, false);
        let page = packer.pack(Body { bytes: &bytes, encoding, thorough, plane_bytes: 0 })?;
        self.has_dictionary = true;
        // Field 7 after field 4: number of values, encoding PLAIN.
        let mut own = vec![NEXT_STRUCT + 0x20, NEXT_I32];
        put_i64(&mut own, values.len() as i64);
        own.extend_from_slice(&[NEXT_I32, 0, 0, 0]);
        self.put_page(DICTIONARY_PAGE, &page, &own)?;
        Ok(())
    }

    /// Adds a data page with so many rows.
    pub fn page(&mut self, rows: usize, page: &Packed, bounds: Option<Bounds>) -> Result<()> {
        let encoding = match page.encoding {
            Encoding::PLAIN => 0,
            Encoding::DELTA_BINARY_PACKED => 5,
            Encoding::RLE_DICTIONARY => 8,
            Encoding::BYTE_STREAM_SPLIT => 9,
            other => unreachable!("no column is encoded as {other}"),
        };
        let mut own = vec![NEXT_STRUCT, NEXT_I32];
        put_i64(&mut own, rows as i64);
        own.push(NEXT_I32);
        put_i64(&mut own, encoding);
        // Levels are RLE (3), of both kinds; the ends of both structs.
        own.extend_from_slice(&[NEXT_I32, 6, NEXT_I32, 6, 0, 0]);
        let start = self.bytes.len();
        self.data_offset.get_or_insert(start);
        let size = self.put_page(DATA_PAGE, page, &own)?;
        self.offsets.append_row_count(rows as i64);
        self.offsets.append_offset_and_size(start as i64, size);
        self.rows += rows;
        if let Some(bounds) = bounds {
            let (min, max) = bounds.bytes();
            let kind = self.description.physical_type();
            let pages = self.pages.get_or_insert_with(|| ColumnIndexBuilder::new(kind));
            pages.append(false, min, max, 0);
            self.bounds = Some(self.bounds.map_or(bounds, |before| before.join(bounds)));
        }
        Ok(())
    }

    /// Appends header and body; answers with their size.
    fn put_page(&mut self, kind: i64, page: &Packed, own: &[u8]) -> Result<i32> {
        let too_large = |_| ParquetError::General("a page is larger than 2 GiB".to_owned());
        if !self.encodings.contains(&page.encoding) {
            self.encodings.push(page.encoding);
        }
        let (packed, plain_bytes) = (&page.bytes, page.plain_bytes);
        let start = self.bytes.len();
        let crc = crc32(packed) as i32;
        for value in [kind, plain_bytes as i64, packed.len() as i64, i64::from(crc)] {
            self.bytes.push(NEXT_I32);
            put_i64(&mut self.bytes, value);
        }
        self.bytes.extend_from_slice(own);
        let header_bytes = self.bytes.len() - start;
        self.bytes.extend_from_slice(packed);
        self.plain_bytes += header_bytes + plain_bytes;
        i32::try_from(self.bytes.len() - start).map_err(too_large)
    }

    /// The bytes, and what the row group must know about them. Offsets count from their start.
    pub fn finish(self) -> Result<(Bytes, ColumnCloseResult)> {
        let data_offset = self.data_offset.expect("a row group has rows");
        let level = ZstdLevel::try_new(QUICK)?;
        let mut metadata = ColumnChunkMetaData::builder(self.description)
            .set_encodings(self.encodings)
            .set_compression(Compression::ZSTD(level))
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(self.bytes.len() as i64)
            .set_total_uncompressed_size(self.plain_bytes as i64)
            .set_data_page_offset(data_offset as i64)
            .set_dictionary_page_offset(self.has_dictionary.then_some(0));
        if let Some(bounds) = self.bounds {
            metadata = metadata.set_statistics(bounds.statistics());
        }
        let close = ColumnCloseResult {
            bytes_written: self.bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: self.pages.map(ColumnIndexBuilder::build).transpose()?,
            offset_index: Some(self.offsets.build()),
        };
        Ok((self.bytes.into(), close))
    }
}

/// The CRC32 of gzip, which Parquet prescribes; eight bytes a step.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLES: [[u32; 256]; 8] = crc_tables();
    let mut crc = u32::MAX;
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let mixed = crc.to_le_bytes();
        let place = |index: usize| {
            let byte = if index < 4 { word[index] ^ mixed[index] } else { word[index] };
            TABLES[7 - index][usize::from(byte)]
        };
        crc = (0..8).fold(0, |sum, index| sum ^ place(index));
    }
    let step = |crc: u32, byte: &u8| crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    !words.remainder().iter().fold(crc, step)
}

const fn crc_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        tables[0][index] = value;
        index += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut index = 0;
        while index < 256 {
            let before = tables[table - 1][index];
            tables[table][index] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            index += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_crc_of_gzip() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(super::crc32(b"12345678123456789"), {
            let step = |crc: u32, byte: &u8| {
                (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                    crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
                })
            };
            !b"12345678123456789".iter().fold(u32::MAX, step)
        });
    }
}
