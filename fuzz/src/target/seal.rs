//! Makes checksums right again, so that changed bytes reach the decoders behind them.
//!
//! Place in the flow: mutated bytes → **`seal`** → a store's folder. Written from docs/format alone, so
//! it is a second reading of those pages.
//!
//! Not here: which bytes were changed (`mutate`).

use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use xxhash_rust::xxh3::xxh3_64;

const PAGE_BYTES: usize = 32 * 1024;
const SEGMENT_HEADER_BYTES: usize = 32;
const FRAGMENT_HEADER_BYTES: usize = 16;

/// A checksum as it stands in texts.
pub fn text(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// A journal segment: the header and every fragment that can still be walked to.
pub fn segment(bytes: &mut [u8], number: u64) {
    if bytes.len() < SEGMENT_HEADER_BYTES {
        return;
    }
    let checksum = crc32c::crc32c(&bytes[..28]);
    put_u32(bytes, 28, checksum);
    let mut at = SEGMENT_HEADER_BYTES;
    while at + FRAGMENT_HEADER_BYTES <= bytes.len() {
        let rest = PAGE_BYTES - at % PAGE_BYTES;
        if rest < 2 * FRAGMENT_HEADER_BYTES {
            at += rest;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let end = at + FRAGMENT_HEADER_BYTES + length;
        if end > bytes.len() || FRAGMENT_HEADER_BYTES + length > rest {
            return;
        }
        let mut place = [0; 16];
        place[..8].copy_from_slice(&number.to_le_bytes());
        place[8..].copy_from_slice(&(at as u64).to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&place), &bytes[at..at + 12]);
        let body = at + FRAGMENT_HEADER_BYTES..end;
        let checksum = crc32c::crc32c_append(checksum, &bytes[body]);
        put_u32(bytes, at + 12, checksum);
        at = end;
    }
}

/// A block's index file.
pub fn index(bytes: &mut [u8]) {
    if let Some((header, body)) = bytes.split_at_mut_checked(32) {
        header[16..24].copy_from_slice(&(body.len() as u64).to_le_bytes());
        header[24..32].copy_from_slice(&xxh3_64(body).to_le_bytes());
    }
}

/// The manifest: the checksum in its first line; its copy behind the empty lines goes.
pub fn manifest(bytes: &[u8]) -> Vec<u8> {
    let copy = bytes.windows(2).position(|pair| pair == b"\n\n");
    let bytes = &bytes[..copy.map_or(bytes.len(), |at| at + 1)];
    let line_end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let body = bytes.get(line_end + 1..).unwrap_or_default();
    let checksum = text(&[b"1\n", body].concat());
    [format!("BELFRY-MANIFEST 1 {checksum}\n").as_bytes(), body].concat()
}

/// Both texts of a manifest: what stands in the first one, with a right checksum.
pub fn both_manifests(bytes: &mut [u8]) {
    let sealed = manifest(bytes);
    let last = bytes.len().checked_sub(sealed.len());
    if let Some(last) = last.filter(|last| *last >= sealed.len()) {
        bytes[..sealed.len()].copy_from_slice(&sealed);
        bytes[last..].copy_from_slice(&sealed);
    }
}

/// Where one page of a column lies in a Parquet file.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Its first byte.
    pub start: usize,
    /// Its bytes, header included.
    pub bytes: usize,
}

/// The checksums of a Parquet file's pages.
pub fn pages(file: &mut [u8], pages: &[Page]) {
    for page in pages {
        if let Some(page) = file.get_mut(page.start..page.start + page.bytes) {
            seal_page(page);
        }
    }
}

/// The checksums of all pages that the file itself tells of.
pub fn all_pages(file: &mut [u8]) {
    let copy = bytes::Bytes::copy_from_slice(file);
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    let Ok(metadata) = reader.parse_and_finish(&copy) else { return };
    let groups = metadata.offset_index().map_or(&[][..], |groups| groups.as_slice());
    let places = groups.iter().flatten().flat_map(|column| column.page_locations());
    let found: Vec<Page> = places
        .map(|place| Page {
            start: place.offset as usize,
            bytes: place.compressed_page_size as usize,
        })
        .collect();
    pages(file, &found);
}

/// The header of a page begins with four numbers in Thrift's compact form: kind, size, compressed
/// size, checksum.
fn seal_page(page: &mut [u8]) -> Option<()> {
    let (mut at, mut compressed_bytes) = (0, 0);
    for _ in 1..=3 {
        if *page.get(at)? != 0x15 {
            return None;
        }
        at += 1;
        let (mut raw, mut shift) = (0u64, 0);
        loop {
            let byte = *page.get(at)?;
            at += 1;
            raw |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
            if shift > 35 {
                return None;
            }
        }
        compressed_bytes = usize::try_from(raw >> 1).ok()?;
    }
    if *page.get(at)? != 0x15 {
        return None;
    }
    at += 1;
    let body = page.len().checked_sub(compressed_bytes)?;
    let crc = crc32(page.get(body..)?) as i32;
    let mut zigzag = ((crc << 1) ^ (crc >> 31)) as u32;
    // The number keeps its length in bytes: five take any checksum.
    let count = page.get(at..)?.iter().position(|byte| *byte < 0x80)? + 1;
    for index in 0..count {
        let more = if index + 1 < count { 0x80 } else { 0 };
        page[at + index] = (zigzag & 0x7f) as u8 | more;
        zigzag >>= 7;
    }
    Some(())
}

/// The CRC32 of gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}
