//! Puts a CRC32 into the header of every page of an encoded column chunk.
//!
//! Place in the flow: column writer → **page checksums** → row group of the file.
//!
//! The library checks these on reading but does not write them. A page header is a Thrift struct in
//! compact form whose first fields are: 1 kind, 2 size, 3 compressed size, all of type i32; the
//! checksum is field 4 and stands before the fields from 5 on. Each field names the distance to the
//! number of the one before it, so the field after the checksum is one nearer.
//!
//! Invariant: a chunk that does not look exactly like this is refused, never passed on half done.
//!
//! Not here: what is in the pages.

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};

use crate::encoding::varint::{Reader, put_i64};

/// A field of type i32 that follows the field before it directly.
const NEXT_I32: u8 = 0x15;

/// The chunk with checksums, and what the row group must know about it. Offsets in `close` count
/// from the start of `chunk`.
pub fn with_page_crcs(
    chunk: &[u8],
    mut close: ColumnCloseResult,
) -> Result<(Bytes, ColumnCloseResult)> {
    let wrong = |what: &str| ParquetError::General(format!("page checksum: {what}"));
    let metadata = &close.metadata;
    let mut out = Vec::with_capacity(chunk.len() + 4096);
    let mut added_before_data = 0i64;
    if let Some(offset) = metadata.dictionary_page_offset() {
        let size = metadata.data_page_offset() - offset;
        copy_page(chunk, offset, size, &mut out).ok_or_else(|| wrong("dictionary page"))?;
        added_before_data = out.len() as i64 - size;
    }
    let data_page_offset = metadata.data_page_offset() + added_before_data;
    let index = close.offset_index.as_mut().ok_or_else(|| wrong("no offset index"))?;
    for page in &mut index.page_locations {
        let start = out.len() as i64;
        let size = i64::from(page.compressed_page_size);
        copy_page(chunk, page.offset, size, &mut out).ok_or_else(|| wrong("data page"))?;
        page.offset = start;
        page.compressed_page_size = i32::try_from(out.len() as i64 - start)
            .map_err(|_| wrong("a page is larger than 2 GiB"))?;
    }
    let added = out.len() as i64 - chunk.len() as i64;
    if added < 0 || metadata.compressed_size() != chunk.len() as i64 {
        return Err(wrong("the pages are not the whole chunk"));
    }
    close.metadata = close
        .metadata
        .clone()
        .into_builder()
        .set_data_page_offset(data_page_offset)
        .set_total_compressed_size(out.len() as i64)
        .set_total_uncompressed_size(close.metadata.uncompressed_size() + added)
        .build()?;
    close.bytes_written = out.len() as u64;
    Ok((out.into(), close))
}

/// Copies one page with its checksum put into the header. `None` when it does not look like a page.
fn copy_page(chunk: &[u8], offset: i64, size: i64, out: &mut Vec<u8>) -> Option<()> {
    let start = usize::try_from(offset).ok()?;
    let page = chunk.get(start..start.checked_add(usize::try_from(size).ok()?)?)?;
    let mut reader = Reader::new(page);
    let mut compressed_bytes = 0;
    for _ in 1..=3 {
        if reader.u8()? != NEXT_I32 {
            return None;
        }
        compressed_bytes = usize::try_from(reader.i64()?).ok()?;
    }
    let fields_end = page.len() - reader.left_bytes();
    let following = reader.u8()?;
    // The next field is 5 (data page), 7 (dictionary) or 8 (data page, second kind): a struct.
    if !matches!(following, 0x2c | 0x4c | 0x5c) {
        return None;
    }
    let body = page.get(page.len().checked_sub(compressed_bytes)?..)?;
    let crc = crc32(body) as i32;
    out.extend_from_slice(&page[..fields_end]);
    out.push(NEXT_I32);
    put_i64(out, i64::from(crc));
    out.push(following - 0x10);
    out.extend_from_slice(&page[fields_end + 1..]);
    Some(())
}

/// The CRC32 of gzip, which Parquet prescribes.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc_table();
    let step = |crc: u32, byte: &u8| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_crc_of_gzip() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
