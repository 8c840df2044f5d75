//! Files of chunks: `chunks/000001` and its siblings in a block folder.
//!
//! Place in the flow: the index says where a chunk stands → **`ChunkFiles::read`** → `xor`,
//! `histogram`.
//!
//! Files are read in windows, because series stand in the files in the order of the index.

use std::path::{Path, PathBuf};

use journal::disk::{Disk, DiskFile};

use crate::Error;
use crate::bytes::Bytes;

const MAGIC: [u8; 4] = [0x85, 0xbd, 0x40, 0xdd];
const VERSION: u8 = 1;
/// Bytes that are read at once.
const WINDOW_BYTES: usize = 256 * 1024;
/// Longest chunk: 65,535 samples of 20 bytes, with room for wide histograms.
const CHUNK_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest size before a chunk, and its encoding.
const HEAD_BYTES: usize = 11;
const CHECKSUM_BYTES: usize = 4;

/// How a chunk is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Values,
    Histograms,
    FloatHistograms,
}

/// A chunk: how and what.
pub type Chunk<'a> = (Encoding, &'a [u8]);

/// The chunk files of one block.
#[derive(Debug)]
pub struct ChunkFiles {
    files: Vec<Result<DiskFile, String>>,
    window: Window,
}

/// Some bytes of one file.
#[derive(Debug, Default)]
struct Window {
    file: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl ChunkFiles {
    /// The files of a block; one that can't be used is remembered with the reason.
    pub fn open(disk: &Disk, folder: &Path) -> Result<ChunkFiles, Error> {
        let entries = disk.list(folder).map_err(Error::io("list", folder))?;
        let is_file =
            |name: &str| name.len() == 6 && name.bytes().all(|byte| byte.is_ascii_digit());
        let names = entries.iter().filter(|entry| !entry.is_dir && is_file(&entry.name));
        let open = |path: PathBuf| -> Result<DiskFile, String> {
            let failed = |error: std::io::Error| format!("open {}: {error}", path.display());
            let file = disk.open(&path).map_err(failed)?;
            let mut head = [0; 8];
            file.read_exact_at(0, &mut head).map_err(failed)?;
            if head[..4] != MAGIC || head[4] != VERSION {
                return Err(format!("{} is no chunk file of version 1", path.display()));
            }
            Ok(file)
        };
        let files = names.map(|entry| open(folder.join(&entry.name))).collect();
        Ok(ChunkFiles { files, window: Window::default() })
    }

    /// The chunk at a place of the index.
    pub fn read(&mut self, reference: u64) -> Result<Chunk<'_>, String> {
        let (file, offset) = ((reference >> 32) as usize, reference & 0xffff_ffff);
        let place = || format!("chunk at byte {offset} of file {:06}", file + 1);
        let head = self.bytes(file, offset, HEAD_BYTES)?;
        let mut reader = Bytes(head);
        let size = reader.uvarint().map_err(|error| format!("{}: {error}", place()))?;
        let head_bytes = head.len() - reader.0.len();
        let size = usize::try_from(size).ok().filter(|size| *size <= CHUNK_BYTES_MAX);
        let size = size.ok_or_else(|| format!("{}: its size is impossible", place()))?;
        let all = head_bytes + 1 + size + CHECKSUM_BYTES;
        let bytes = self.bytes(file, offset, all)?;
        if bytes.len() < all {
            return Err(format!("{} ends too early", place()));
        }
        let (data, checksum) = bytes[head_bytes..].split_at(1 + size);
        if crc32c::crc32c(data).to_be_bytes() != checksum {
            return Err(format!("{}: its checksum is wrong", place()));
        }
        let encoding = match data[0] {
            1 => Encoding::Values,
            2 => Encoding::Histograms,
            3 => Encoding::FloatHistograms,
            other => return Err(format!("{}: its encoding {other} is not known", place())),
        };
        Ok((encoding, &data[1..]))
    }

    /// Bytes of a file, fewer at its end.
    fn bytes(&mut self, file: usize, offset: u64, count: usize) -> Result<&[u8], String> {
        let missing = || format!("there is no chunk file {:06}", file + 1);
        let opened = self.files.get(file).ok_or_else(missing)?.as_ref().map_err(Clone::clone)?;
        let window = &mut self.window;
        let start = offset.checked_sub(window.start).and_then(|start| usize::try_from(start).ok());
        let is_there =
            window.file == file && start.is_some_and(|start| start + count <= window.bytes.len());
        if !is_there {
            window.bytes.resize(count.max(WINDOW_BYTES), 0);
            let read = opened.read_at(offset, &mut window.bytes);
            let read = read.map_err(|error| format!("read {}: {error}", opened.path().display()));
            window.bytes.truncate(*read.as_ref().unwrap_or(&0));
            (window.file, window.start) = (file, offset);
            read?;
        }
        let start = (offset - window.start) as usize;
        let end = (start + count).min(window.bytes.len());
        Ok(&window.bytes[start..end])
    }
}
