//! One column of a row group: finds the page of a row, reads and checks it, and decodes as much of
//! it as is asked for.
//!
//! Place in the flow: rows of a series (`rows`) → **column** → positioned read, CRC32, zstd, numbers.
//!
//! Only one page per column is held unpacked. A page of a column of few runs may be as long as the row group;
//! one of numbers is a few thousand rows.
//!
//! Not here: which rows (`rows`), encodings (`numbers`), columns that are nearly always the same (`runs`).

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use zstd::bulk::Decompressor;

use super::ahead::{Coming, Stretch};
use super::header::{self, Header, Kind};
use super::numbers;
use crate::block::cache::Cache;
use crate::block::mend::PatchedFile;
use crate::block::schema::CREATED_BY;
use crate::reads::Reads;

/// Columns that are nearly always the same.
mod runs;

pub use runs::Runs;

/// Why a page can't be had.
#[derive(Debug)]
pub enum Fault {
    /// The disk refused; it may pass.
    Disk(std::io::Error),
    /// The page is not what it should be.
    Damaged(&'static str),
    /// It is encoded in a way that only the library knows.
    Unknown,
}

/// The largest page that is unpacked.
const PAGE_BYTES_MAX: usize = 64 << 20;

/// Where a page is.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its first byte in the file.
    pub offset: u64,
    /// Header included.
    pub size_bytes: usize,
    first_row: usize,
}

impl Place {
    /// The byte after it.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size_bytes as u64)
    }
}

/// Where the pages of one column of one row group are.
#[derive(Debug)]
pub struct ColumnPlaces {
    dictionary: Option<(u64, usize)>,
    pages: Vec<Place>,
    rows: usize,
    form: Form,
}

/// What holds for all pages of a column.
#[derive(Debug, Clone, Copy)]
struct Form {
    /// Compressed with zstd.
    is_packed: bool,
    /// Written by this program: every page has a checksum, and none needs the library.
    is_own: bool,
    /// The encodings that occur, as bits by Parquet's numbers: the header of a page is outside of its
    /// checksum, but what it says must fit what the footer says.
    encodings: u32,
}

impl Form {
    fn of(metadata: &ParquetMetaData, chunk: &ColumnChunkMetaData) -> Option<Form> {
        let is_packed = match chunk.compression() {
            Compression::UNCOMPRESSED => false,
            Compression::ZSTD(_) => true,
            _ => return None,
        };
        let number = |encoding| match encoding {
            Encoding::PLAIN => header::PLAIN,
            Encoding::PLAIN_DICTIONARY => header::PLAIN_DICTIONARY,
            Encoding::RLE => header::RLE,
            Encoding::DELTA_BINARY_PACKED => header::DELTA_BINARY_PACKED,
            Encoding::RLE_DICTIONARY => header::RLE_DICTIONARY,
            Encoding::BYTE_STREAM_SPLIT => header::BYTE_STREAM_SPLIT,
            _ => 31,
        };
        let encodings = chunk.encodings().map(number).fold(0, |all, number| all | 1 << number);
        let is_own = metadata.file_metadata().created_by() == Some(CREATED_BY);
        Some(Form { is_packed, is_own, encodings })
    }

    fn knows(self, encoding: i64) -> bool {
        (0..32).contains(&encoding) && self.encodings >> encoding & 1 == 1
    }
}

impl ColumnPlaces {
    /// Takes them from the footer; `None` when it tells too little or the codec is another one.
    pub fn of(metadata: &ParquetMetaData, group: usize, column: usize) -> Option<ColumnPlaces> {
        let own: &RowGroupMetaData = metadata.row_groups().get(group)?;
        let chunk = own.columns().get(column)?;
        let form = Form::of(metadata, chunk)?;
        let places = metadata.offset_index()?.get(group)?.get(column)?.page_locations();
        let mut pages = Vec::with_capacity(places.len());
        for place in places {
            pages.push(Place {
                offset: u64::try_from(place.offset).ok()?,
                size_bytes: usize::try_from(place.compressed_page_size).ok()?,
                first_row: usize::try_from(place.first_row_index).ok()?,
            });
        }
        let ascending = pages
            .windows(2)
            .all(|pair| pair[0].first_row < pair[1].first_row && pair[0].end() <= pair[1].offset);
        let first = pages.first().filter(|first| first.first_row == 0 && ascending)?;
        let dictionary = match chunk.dictionary_page_offset() {
            Some(offset) => {
                let offset = u64::try_from(offset).ok()?;
                Some((offset, usize::try_from(first.offset.checked_sub(offset)?).ok()?))
            }
            None => None,
        };
        let rows = usize::try_from(own.num_rows()).ok()?;
        Some(ColumnPlaces { dictionary, pages, rows, form })
    }

    /// Its pages, in the order of rows and of the file.
    pub fn pages(&self) -> &[Place] {
        &self.pages
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The page that holds a row.
    pub fn page_of(&self, row: usize) -> usize {
        self.pages.partition_point(|page| page.first_row <= row).saturating_sub(1)
    }

    /// The rows of a page.
    pub fn rows_of(&self, page: usize) -> Range<usize> {
        let end = self.pages.get(page + 1).map_or(self.rows, |next| next.first_row);
        self.pages[page].first_row..end
    }
}

/// What pages are unpacked with. To make it costs as much as some pages, so the cache keeps it.
pub struct Tools {
    decompressor: Decompressor<'static>,
    raw: Vec<u8>,
    plain: Vec<u8>,
}

/// Buffers that are larger are not kept.
const BUFFER_BYTES_KEPT_MAX: usize = 1 << 20;

impl Tools {
    fn new() -> std::io::Result<Tools> {
        Ok(Tools { decompressor: Decompressor::new()?, raw: Vec::new(), plain: Vec::new() })
    }

    /// Lets go of large buffers.
    pub fn shrink(&mut self) {
        for buffer in [&mut self.raw, &mut self.plain] {
            if buffer.capacity() > BUFFER_BYTES_KEPT_MAX {
                *buffer = Vec::new();
            }
        }
    }
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tools")
    }
}

/// The body of the page read last, and what unpacks pages.
pub struct Unpacker {
    tools: Option<Tools>,
    cache: Arc<Cache>,
    /// What was read so far.
    pub reads: Reads,
}

impl Drop for Unpacker {
    fn drop(&mut self) {
        if let Some(tools) = self.tools.take() {
            self.cache.keep_tools(tools);
        }
    }
}

impl Unpacker {
    /// One that holds nothing.
    pub fn new(cache: &Arc<Cache>) -> std::io::Result<Unpacker> {
        let tools = cache.take_tools().map_or_else(Tools::new, Ok)?;
        Ok(Unpacker { tools: Some(tools), cache: Arc::clone(cache), reads: Reads::default() })
    }

    /// Reads a page and unpacks it.
    fn load(
        &mut self,
        file: &PatchedFile,
        (offset, size_bytes): (u64, usize),
        form: Form,
    ) -> Result<(Header, &[u8]), Fault> {
        check_size(size_bytes)?;
        let tools = self.tools.as_mut().expect("they are given back at the end only");
        let raw = first_bytes(&mut tools.raw, size_bytes);
        file.read_exact_at(offset, raw).map_err(Fault::Disk)?;
        self.reads.pages_read += 1;
        self.reads.bytes_read += size_bytes as u64;
        unpacked(raw, form, (&mut tools.decompressor, &mut tools.plain))
    }

    /// Unpacks a page that was read.
    fn unpack<'p>(&'p mut self, raw: &'p [u8], form: Form) -> Result<(Header, &'p [u8]), Fault> {
        let tools = self.tools.as_mut().expect("they are given back at the end only");
        self.reads.pages_read += 1;
        self.reads.bytes_read += raw.len() as u64;
        unpacked(raw, form, (&mut tools.decompressor, &mut tools.plain))
    }
}

fn check_size(size_bytes: usize) -> Result<(), Fault> {
    if size_bytes > PAGE_BYTES_MAX {
        return Err(Fault::Damaged("a page is too large"));
    }
    Ok(())
}

/// Checks a page and unpacks its body.
fn unpacked<'p>(
    raw: &'p [u8],
    form: Form,
    (decompressor, plain): (&mut Decompressor<'static>, &'p mut Vec<u8>),
) -> Result<(Header, &'p [u8]), Fault> {
    let header = match Header::read(raw) {
        Some(header) => header,
        None if form.is_own => return Err(Fault::Damaged("the header of a page is damaged")),
        None => return Err(Fault::Unknown),
    };
    let body = raw.get(header.header_bytes..);
    let body = body.filter(|body| body.len() == header.body_bytes);
    let body = body.ok_or(Fault::Damaged("a page has another size than the footer says"))?;
    let is_right = match header.crc {
        Some(crc) => crc == crc32fast::hash(body),
        None => !form.is_own,
    };
    // The planted bug shows that the tests would notice.
    if !is_right && !cfg!(feature = "planted") {
        return Err(Fault::Damaged("the checksum of a page is wrong"));
    }
    if !form.knows(header.encoding) {
        return Err(Fault::Damaged("a page is encoded in another way than the footer says"));
    }
    if header.plain_bytes > PAGE_BYTES_MAX {
        return Err(Fault::Damaged("a page is too large"));
    }
    let levels_bytes = match header.kind {
        Kind::DataV2 { levels_bytes, is_compressed } if form.is_packed && is_compressed => {
            Some(levels_bytes)
        }
        Kind::DataV2 { .. } => None,
        Kind::Data | Kind::Dictionary => form.is_packed.then_some(0),
    };
    let Some(levels_bytes) = levels_bytes else { return Ok((header, body)) };
    let split = body.split_at_checked(levels_bytes);
    let (levels, packed) = split.ok_or(Fault::Damaged("a page is cut off"))?;
    let plain_bytes = header.plain_bytes.checked_sub(levels_bytes);
    let plain_bytes = plain_bytes.ok_or(Fault::Damaged("sizes of a page contradict"))?;
    let plain = first_bytes(plain, header.plain_bytes);
    plain[..levels_bytes].copy_from_slice(levels);
    match decompressor.decompress_to_buffer(packed, &mut plain[levels_bytes..]) {
        Ok(count) if count == plain_bytes => Ok((header, plain)),
        _ => Err(Fault::Damaged("a page can't be unpacked")),
    }
}

/// The first bytes of a buffer, whatever they are; it only ever grows.
fn first_bytes(buffer: &mut Vec<u8>, count: usize) -> &mut [u8] {
    if buffer.len() < count {
        buffer.resize(count, 0);
    }
    &mut buffer[..count]
}

/// Which rows of a page have a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Presence {
    /// All.
    All,
    /// None.
    Nothing,
    /// Those marked.
    Some(Vec<bool>),
}

/// Splits a body into which rows have values, and the values.
fn levels<'a>(
    header: &Header,
    body: &'a [u8],
    is_optional: bool,
) -> Result<(Presence, &'a [u8]), Fault> {
    const CUT: Fault = Fault::Damaged("levels of a page are cut off");
    let (levels, values) = match header.kind {
        Kind::DataV2 { levels_bytes, .. } => body.split_at_checked(levels_bytes).ok_or(CUT)?,
        Kind::Data | Kind::Dictionary if !is_optional => (&body[..0], body),
        Kind::Data | Kind::Dictionary => {
            if header.levels_encoding != header::RLE {
                return Err(Fault::Unknown); // Or damaged; the library can't read that either.
            }
            let (size, rest) = body.split_first_chunk::<4>().ok_or(CUT)?;
            rest.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(CUT)?
        }
    };
    if !is_optional {
        return Ok((Presence::All, values));
    }
    let mut marks: Vec<bool> = Vec::new();
    let (mut present, mut seen) = (0, 0);
    numbers::hybrid(levels, (1, header.count), |run, level| {
        // Long runs of one level are the rule: marks are only made when levels mix.
        let uniform = if level == 1 { present == seen } else { present == 0 };
        if !uniform || !marks.is_empty() {
            if marks.is_empty() {
                marks.resize(seen, present == seen);
            }
            marks.resize(seen + run, level == 1);
        }
        seen += run;
        present += if level == 1 { run } else { 0 };
    })
    .ok_or(CUT)?;
    let presence = match present {
        0 => Presence::Nothing,
        _ if present == seen => Presence::All,
        _ => Presence::Some(marks),
    };
    Ok((presence, values))
}

/// Puts the values at the beginning, so many, where their marks are; the others get a default.
fn spread<T: Copy + Default>(values: &mut [T], count: usize, marks: &[bool]) {
    let mut left = count;
    for row in (0..marks.len()).rev() {
        values[row] = if marks[row] && left > 0 {
            left -= 1;
            values[left]
        } else {
            T::default()
        };
    }
}

/// The decoded page of a column of numbers.
pub struct Numbers<T> {
    is_optional: bool,
    page: Option<usize>,
    /// Its rows.
    pub rows: Range<usize>,
    /// Which rows have a value.
    pub presence: Presence,
    /// One for each row that is decoded, unless none has any; behind them there may be others.
    values: Vec<T>,
    /// The rows that are decoded.
    decoded: Range<usize>,
    /// The bytes of the page, and of some that follow.
    stretch: Stretch,
}

/// A type of numbers that a column may have.
pub trait Number: Copy + Default {
    /// Fills in those of `count` numbers that stand at the places that are wanted.
    fn decode(
        encoding: i64,
        bytes: &[u8],
        wanted: (usize, Range<usize>),
        out: &mut [Self],
    ) -> Result<(), Fault>;
}

const SHORT: Fault = Fault::Damaged("values of a page can't be read");

impl Number for i64 {
    fn decode(
        encoding: i64,
        bytes: &[u8],
        (count, wanted): (usize, Range<usize>),
        out: &mut [i64],
    ) -> Result<(), Fault> {
        match encoding {
            header::PLAIN => numbers::plain(bytes, wanted, u64::cast_signed, out).ok_or(SHORT),
            header::DELTA_BINARY_PACKED => numbers::delta(bytes, wanted, out).ok_or(SHORT),
            header::BYTE_STREAM_SPLIT => {
                numbers::split(bytes, (count, wanted), u64::cast_signed, out).ok_or(SHORT)
            }
            _ => Err(Fault::Unknown),
        }
    }
}

impl Number for f64 {
    fn decode(
        encoding: i64,
        bytes: &[u8],
        (count, wanted): (usize, Range<usize>),
        out: &mut [f64],
    ) -> Result<(), Fault> {
        match encoding {
            header::PLAIN => numbers::plain(bytes, wanted, f64::from_bits, out).ok_or(SHORT),
            header::BYTE_STREAM_SPLIT => {
                numbers::split(bytes, (count, wanted), f64::from_bits, out).ok_or(SHORT)
            }
            _ => Err(Fault::Unknown),
        }
    }
}

impl<T: Number> Numbers<T> {
    /// A column whose values may be missing, or not.
    pub fn new(is_optional: bool) -> Numbers<T> {
        let (presence, values) = (Presence::Nothing, Vec::new());
        let stretch = Stretch::default();
        Numbers { is_optional, page: None, rows: 0..0, presence, values, decoded: 0..0, stretch }
    }

    /// Forgets the page, because another row group begins.
    pub fn clear(&mut self) {
        (self.page, self.rows, self.decoded) = (None, 0..0, 0..0);
        self.stretch.clear();
    }

    /// The values of rows that were asked for; meaningless where there is none.
    pub fn of(&self, rows: Range<usize>) -> &[T] {
        &self.values[rows.start - self.decoded.start..rows.end - self.decoded.start]
    }

    /// Makes sure that the page of `row` is here and decoded from there on at least up to `until`, if
    /// it is that long.
    pub fn seek(
        &mut self,
        (file, unpacker): (&PatchedFile, &mut Unpacker),
        places: &ColumnPlaces,
        (row, until): (usize, usize),
        coming: Coming<'_>,
    ) -> Result<(), Fault> {
        let is_here = self.page.is_some() && self.decoded.contains(&row);
        if is_here && until.min(self.rows.end) <= self.decoded.end {
            return Ok(());
        }
        let page = places.page_of(row);
        let rows = places.rows_of(page);
        // Twice in one page without a good hint: all of it.
        let decoded = match self.page == Some(page) {
            true => rows.clone(),
            false => row..coming.until(rows.end).max(until).min(rows.end),
        };
        self.page = None;
        check_size(places.pages[page].size_bytes)?;
        let coming = Coming { reached: coming.reached.max(until), ..coming };
        let raw = self.stretch.page(file, (places, page), (row, coming)).map_err(Fault::Disk)?;
        let (header, body) = unpacker.unpack(raw, places.form)?;
        if header.kind == Kind::Dictionary || header.count != rows.len() {
            return Err(Fault::Damaged("a page has other rows than the footer says"));
        }
        let (presence, values) = levels(&header, body, self.is_optional)?;
        let own = decoded.start - rows.start..decoded.end - rows.start;
        if self.values.len() < own.len() {
            self.values.resize(own.len(), T::default());
        }
        let out = &mut self.values[..own.len()];
        match &presence {
            Presence::All => T::decode(header.encoding, values, (rows.len(), own), out)?,
            Presence::Nothing => {}
            Presence::Some(marks) => {
                let marked = |marks: &[bool]| marks.iter().filter(|mark| **mark).count();
                let (before, inside) = (marked(&marks[..own.start]), marked(&marks[own.clone()]));
                let wanted = (marked(marks), before..before + inside);
                T::decode(header.encoding, values, wanted, &mut out[..inside])?;
                spread(out, inside, &marks[own]);
            }
        }
        (self.page, self.rows, self.presence) = (Some(page), rows, presence);
        // Where nothing has a value, nothing is left to decode.
        self.decoded = if self.presence == Presence::Nothing { self.rows.clone() } else { decoded };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_their_marks_are() {
        let mut values = [1, 2, 3, 7, 7, 7];
        spread(&mut values, 3, &[false, true, true, false, true, false]);
        assert_eq!(values, [0, 1, 2, 0, 3, 0]);
    }

    #[test]
    fn levels_in_runs() {
        let header = |count| Header {
            kind: Kind::Data,
            header_bytes: 0,
            plain_bytes: 0,
            body_bytes: 0,
            crc: None,
            count,
            encoding: header::PLAIN,
            levels_encoding: header::RLE,
        };
        for (bytes, count, expected) in [
            (vec![2u8, 0, 0, 0, 10, 1, 9], 5, Presence::All),
            (vec![2, 0, 0, 0, 10, 0, 9], 5, Presence::Nothing),
            (vec![4, 0, 0, 0, 4, 0, 4, 1, 9], 4, Presence::Some(vec![false, false, true, true])),
            (vec![4, 0, 0, 0, 2, 1, 2, 0, 9], 2, Presence::Some(vec![true, false])),
        ] {
            let (presence, rest) = levels(&header(count), &bytes, true).unwrap();
            assert_eq!((presence, rest), (expected, &[9u8][..]), "{bytes:?}");
        }
        assert!(levels(&header(6), &[2, 0, 0, 0, 10, 1], true).is_err());
    }
}
