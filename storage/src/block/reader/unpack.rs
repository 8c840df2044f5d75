//! Pages as they stand on disk become their bodies: checked by CRC32, unpacked by zstd.
//!
//! Place in the flow: a column finds a page (`page`) → **`Unpacker`** → header and body.
//!
//! Not here: what is in a body (`numbers`), which pages (`page`).

use std::sync::Arc;

use zstd::bulk::Decompressor;

use super::header::{Header, Kind};
use super::page::{Fault, Form};
use crate::block::cache::Cache;
use crate::block::mend::PatchedFile;
use crate::reads::Reads;

/// The largest page that is unpacked.
const PAGE_BYTES_MAX: usize = 64 << 20;

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
    pub fn load(
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
    pub fn unpack<'p>(
        &'p mut self,
        raw: &'p [u8],
        form: Form,
    ) -> Result<(Header, &'p [u8]), Fault> {
        let tools = self.tools.as_mut().expect("they are given back at the end only");
        self.reads.pages_read += 1;
        self.reads.bytes_read += raw.len() as u64;
        unpacked(raw, form, (&mut tools.decompressor, &mut tools.plain))
    }
}

/// Refuses a page that no writer of ours made.
pub fn check_size(size_bytes: usize) -> Result<(), Fault> {
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
