//! What a block's files were: checksums of all their parts, and parity to make some of them again.
//!
//! Place in the flow: the writer shows every byte of a file → **guard file**; a reader that meets damage
//! asks it which parts are wrong and what they should be (`mend`).
//!
//! A file is cut into chunks of 4 KiB, each with its CRC32C. 4,096 chunks are a group; chunk *n* of it
//! belongs to lane *n* modulo the number of lanes, and the guard holds the XOR of each lane's chunks. So
//! one chunk of each lane can be made again: neighbours are in different lanes, which makes a hole of
//! up to 60 KiB whole again in a large file, and one of 4 KiB at any place in a small one. A chunk with
//! a single flipped bit is mended by its checksum alone.
//!
//! Invariant: what is mended has the chunk's checksum, and readers check it with their own again.
//!
//! Not here: where mended bytes are kept (`mend`).

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::encoding::varint::{Reader, put_bytes, put_u64};

/// The name of the file in a block's folder.
pub const GUARD_FILE: &str = "guard";
const MAGIC: &[u8; 8] = b"BLFRYGRD";
/// The version this release writes.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = 4096;
const GROUP_CHUNKS: usize = 4096;
const LANES_MAX: usize = 16;
/// So many chunks of a group make a lane.
const LANE_CHUNKS: usize = 64;

/// Lanes of a group: a power of two, so that fewer lanes are sums of more.
fn lanes_of(chunks: usize) -> usize {
    let lanes = chunks.div_ceil(LANE_CHUNKS).next_power_of_two().clamp(2, LANES_MAX);
    lanes.min(chunks)
}

/// Bytes of a lane: those of the first chunk.
fn lane_bytes(size_bytes: u64) -> usize {
    CHUNK_BYTES.min(usize::try_from(size_bytes).unwrap_or(CHUNK_BYTES))
}

fn add(lane: &mut [u8], chunk: &[u8]) {
    for (sum, byte) in lane.iter_mut().zip(chunk) {
        *sum ^= byte;
    }
}

/// Sums up one file while it is written.
#[derive(Debug)]
pub struct Builder {
    chunk: Vec<u8>,
    checksums: Vec<u32>,
    lanes: Vec<u8>,
    in_group: usize,
    parity: Vec<u8>,
    size_bytes: u64,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            chunk: Vec::with_capacity(CHUNK_BYTES),
            checksums: Vec::new(),
            lanes: vec![0; LANES_MAX * CHUNK_BYTES],
            in_group: 0,
            parity: Vec::new(),
            size_bytes: 0,
        }
    }
}

impl Builder {
    /// The next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.chunk.len()));
            self.chunk.extend_from_slice(head);
            bytes = rest;
            if self.chunk.len() == CHUNK_BYTES {
                self.end_chunk();
            }
        }
    }

    fn end_chunk(&mut self) {
        self.checksums.push(crc32c::crc32c(&self.chunk));
        let lane = self.in_group % LANES_MAX * CHUNK_BYTES;
        add(&mut self.lanes[lane..lane + CHUNK_BYTES], &self.chunk);
        self.chunk.clear();
        self.in_group += 1;
        if self.in_group == GROUP_CHUNKS {
            self.end_group();
        }
    }

    fn end_group(&mut self) {
        if self.in_group == 0 {
            return;
        }
        let lanes = lanes_of(self.in_group);
        let (kept, more) = self.lanes.split_at_mut(lanes * CHUNK_BYTES);
        if lanes > 1 {
            for (index, other) in more.chunks(CHUNK_BYTES).enumerate() {
                let lane = index % lanes * CHUNK_BYTES;
                add(&mut kept[lane..lane + CHUNK_BYTES], other);
            }
        }
        let bytes = lane_bytes(self.size_bytes);
        for lane in kept.chunks(CHUNK_BYTES) {
            self.parity.extend_from_slice(&lane[..bytes]);
        }
        self.lanes.fill(0);
        self.in_group = 0;
    }

    /// The end of the file.
    pub fn finish(mut self, name: &str) -> FileGuard {
        if !self.chunk.is_empty() {
            self.end_chunk();
        }
        self.end_group();
        FileGuard {
            name: name.to_owned(),
            size_bytes: self.size_bytes,
            checksums: self.checksums,
            parity: self.parity,
        }
    }
}

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGuard {
    name: String,
    size_bytes: u64,
    checksums: Vec<u32>,
    parity: Vec<u8>,
}

/// The guard of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    files: Vec<FileGuard>,
    /// A copy of `meta.json`.
    pub meta: Vec<u8>,
}

/// Chunks of a file that were wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mending {
    /// The offset of each that is right again, and its bytes.
    pub mended: Vec<(u64, Vec<u8>)>,
    /// Offsets of those that can't be made again.
    pub lost: Vec<u64>,
}

impl Guard {
    /// The guard of these files.
    pub fn new(files: Vec<FileGuard>, meta: Vec<u8>) -> Guard {
        Guard { files, meta }
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut head = Vec::new();
        put_u64(&mut head, self.files.len() as u64);
        for file in &self.files {
            put_bytes(&mut head, file.name.as_bytes());
            put_u64(&mut head, file.size_bytes);
            for checksum in &file.checksums {
                head.extend_from_slice(&checksum.to_le_bytes());
            }
        }
        let mut out = Vec::with_capacity(HEADER_BYTES + head.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(CHUNK_BYTES as u32).to_le_bytes());
        out.extend_from_slice(&(head.len() as u64).to_le_bytes());
        out.extend_from_slice(&xxh3_64(&head).to_le_bytes());
        out.extend_from_slice(&head);
        self.files.iter().for_each(|file| out.extend_from_slice(&file.parity));
        out.extend_from_slice(&self.meta);
        out
    }

    /// Reads the bytes of the file; `None` when its head is damaged or newer. Parity and the copy of
    /// `meta.json` are checked by those who use them.
    pub fn decode(bytes: &[u8]) -> Option<Guard> {
        let mut reader = Reader::new(bytes);
        let is_known = reader.take(8)? == MAGIC
            && reader.take(4)? == VERSION.to_le_bytes()
            && reader.take(4)? == (CHUNK_BYTES as u32).to_le_bytes();
        let head_bytes = usize::try_from(reader.fixed_u64()?).ok()?;
        let checksum = reader.fixed_u64()?;
        let head = reader.take(head_bytes)?;
        if !is_known || xxh3_64(head) != checksum {
            return None;
        }
        let mut head = Reader::new(head);
        let mut files = Vec::new();
        for _ in 0..head.count()? {
            let name = std::str::from_utf8(head.bytes()?).ok()?.to_owned();
            let size_bytes = head.u64()?;
            let chunks = usize::try_from(size_bytes.div_ceil(CHUNK_BYTES as u64)).ok()?;
            let checksums = head.take(chunks.checked_mul(4)?)?.chunks_exact(4);
            let checksums = checksums
                .map(|own| u32::from_le_bytes(own.try_into().expect("four bytes")))
                .collect();
            files.push(FileGuard { name, size_bytes, checksums, parity: Vec::new() });
        }
        for file in &mut files {
            let bytes = file.parity_bytes()?.min(reader.left_bytes());
            file.parity = reader.take(bytes)?.to_vec();
        }
        let meta = reader.take(reader.left_bytes())?.to_vec();
        Some(Guard { files, meta })
    }

    /// Looks at the chunks of a file that touch a range. `read` fills a buffer from an offset on, and
    /// fails where the disk refuses: such a chunk counts as damaged. `None` when the guard does not
    /// know the file.
    pub fn mend(
        &self,
        (name, size_bytes): (&str, u64),
        range: Range<u64>,
        read: &dyn Fn(u64, &mut [u8]) -> std::io::Result<()>,
    ) -> Option<Mending> {
        let file = self.files.iter().find(|file| file.name == name)?;
        (file.size_bytes == size_bytes).then(|| file.mend(range, read))
    }
}

type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> std::io::Result<()>;

impl FileGuard {
    fn parity_bytes(&self) -> Option<usize> {
        let (whole, rest) =
            (self.checksums.len() / GROUP_CHUNKS, self.checksums.len() % GROUP_CHUNKS);
        let lanes = whole * LANES_MAX + if rest > 0 { lanes_of(rest) } else { 0 };
        lanes.checked_mul(lane_bytes(self.size_bytes))
    }

    fn chunk_bytes(&self, chunk: usize) -> usize {
        let left = self.size_bytes - (chunk * CHUNK_BYTES) as u64;
        CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))
    }

    /// Reads a chunk; whether it is what was written. One that can't be read is `None`.
    fn load(&self, chunk: usize, read: Read<'_>) -> (Option<Vec<u8>>, bool) {
        let mut bytes = vec![0; self.chunk_bytes(chunk)];
        match read((chunk * CHUNK_BYTES) as u64, &mut bytes) {
            Ok(()) => {
                let is_right = crc32c::crc32c(&bytes) == self.checksums[chunk];
                (Some(bytes), is_right)
            }
            Err(_) => (None, false),
        }
    }

    fn mend(&self, range: Range<u64>, read: Read<'_>) -> Mending {
        let chunk_at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        let first = chunk_at(range.start / CHUNK_BYTES as u64);
        let last = chunk_at(range.end.div_ceil(CHUNK_BYTES as u64)).min(self.checksums.len());
        let mut mending = Mending::default();
        for chunk in first..last {
            let (found, is_right) = self.load(chunk, read);
            if is_right {
                continue;
            }
            let offset = (chunk * CHUNK_BYTES) as u64;
            let mended = self.sum_of_lane(chunk, read);
            match mended.or_else(|| single_bit(found?, self.checksums[chunk])) {
                Some(bytes) => mending.mended.push((offset, bytes)),
                None => mending.lost.push(offset),
            }
        }
        mending
    }

    /// Makes a chunk again from the others of its lane.
    fn sum_of_lane(&self, chunk: usize, read: Read<'_>) -> Option<Vec<u8>> {
        let (group, place) = (chunk / GROUP_CHUNKS, chunk % GROUP_CHUNKS);
        let first = group * GROUP_CHUNKS;
        let chunks = GROUP_CHUNKS.min(self.checksums.len() - first);
        let lanes = lanes_of(chunks);
        let bytes = lane_bytes(self.size_bytes);
        let start = (group * LANES_MAX + place % lanes) * bytes;
        let mut sum = self.parity.get(start..start + bytes)?.to_vec();
        for other in (first + place % lanes..first + chunks).step_by(lanes) {
            if other == chunk {
                continue;
            }
            match self.load(other, read) {
                (Some(found), true) => add(&mut sum, &found),
                // Another one of the lane with a flipped bit leaves the sum as good.
                (Some(found), false) => add(&mut sum, &single_bit(found, self.checksums[other])?),
                (None, _) => return None,
            }
        }
        sum.truncate(self.chunk_bytes(chunk));
        (crc32c::crc32c(&sum) == self.checksums[chunk]).then_some(sum)
    }
}

/// Turns the one bit back that makes a checksum right: the checksum is linear, and every single bit
/// of a chunk changes it in a way of its own.
fn single_bit(mut bytes: Vec<u8>, checksum: u32) -> Option<Vec<u8>> {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let difference = crc32c::crc32c(&bytes) ^ checksum;
    let shift = |change: u32| {
        let step = |change: u32, _| change >> 1 ^ if change & 1 == 1 { POLYNOMIAL } else { 0 };
        (0..8).fold(change, step)
    };
    let mut changes = [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| shift(1 << bit));
    for place in (0..bytes.len()).rev() {
        if let Some(bit) = changes.iter().position(|change| *change == difference) {
            bytes[place] ^= 1 << bit;
            return (crc32c::crc32c(&bytes) == checksum).then_some(bytes);
        }
        changes = changes.map(shift);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 7u64;
        let step = |_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..bytes).map(step).collect()
    }

    fn guard(bytes: &[u8]) -> Guard {
        let mut builder = Builder::default();
        for part in bytes.chunks(5000) {
            builder.update(part);
        }
        let guard = Guard::new(vec![builder.finish("f")], b"{}".to_vec());
        let back = Guard::decode(&guard.encode()).unwrap();
        assert_eq!(back, guard);
        back
    }

    fn mend(guard: &Guard, found: &[u8]) -> Mending {
        let read = |offset: u64, out: &mut [u8]| {
            let start = offset as usize;
            out.copy_from_slice(&found[start..start + out.len()]);
            Ok(())
        };
        let size = found.len() as u64;
        guard.mend(("f", size), 0..size, &read).unwrap()
    }

    /// A hole of zeros at a place is filled.
    #[track_caller]
    fn check_hole(good: &[u8], guard: &Guard, hole: Range<usize>) {
        let mut bad = good.to_vec();
        bad[hole.clone()].fill(0);
        let mending = mend(guard, &bad);
        assert_eq!(mending.lost, Vec::<u64>::new(), "{hole:?} of {}", good.len());
        for (offset, bytes) in mending.mended {
            bad[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
        }
        assert!(bad == good, "{hole:?} of {}", good.len());
    }

    #[test]
    fn holes_are_filled() {
        for size in [1, 100, 4095, 4096, 4097, 8192, 9000, 70_000, 300_000] {
            let (good, lanes) = (noise(size), lanes_of(size.div_ceil(CHUNK_BYTES)));
            let guard = guard(&good);
            assert_eq!(mend(&guard, &good), Mending::default());
            let hole = if lanes == 1 { size } else { (lanes - 1) * CHUNK_BYTES + 1 };
            for start in (0..size).step_by(size.div_ceil(23)) {
                check_hole(&good, &guard, start..(start + hole).min(size));
            }
        }
        let good = noise(GROUP_CHUNKS * CHUNK_BYTES + 700_000);
        let guard = guard(&good);
        let parity = guard.encode().len() as f64 / good.len() as f64;
        assert!(parity < 0.007, "{parity}");
        for start in [0, 5_000_001, (GROUP_CHUNKS - 15) * CHUNK_BYTES] {
            check_hole(&good, &guard, start..start + 15 * CHUNK_BYTES);
        }
    }

    #[test]
    fn flipped_bits_and_what_is_too_much() {
        let good = noise(100_000);
        let guard = guard(&good);
        let mut bad = good.clone();
        for place in (0..good.len()).step_by(4096) {
            bad[place] ^= 0x20; // One in every chunk.
        }
        let mending = mend(&guard, &bad);
        assert_eq!((mending.mended.len(), mending.lost.len()), (25, 0));
        bad[0..3 * CHUNK_BYTES].fill(0);
        let mending = mend(&guard, &bad);
        assert_eq!(mending.lost, [0, 8192], "of two lanes; the others are mended");
        for (offset, bytes) in mending.mended {
            let start = offset as usize;
            assert!(bytes == good[start..start + bytes.len()]);
        }
    }

    #[test]
    fn a_damaged_guard_mends_nothing_wrong() {
        let good = noise(50_000);
        let bytes = guard(&good).encode();
        let mut bad = good.clone();
        bad[20_000..24_000].fill(0);
        for place in (0..bytes.len()).step_by(13) {
            let mut own = bytes.clone();
            own[place] ^= 4;
            let Some(guard) = Guard::decode(&own) else { continue };
            for (offset, bytes) in mend(&guard, &bad).mended {
                let start = offset as usize;
                assert!(bytes == good[start..start + bytes.len()]);
            }
        }
        for end in 0..bytes.len() {
            let _ = Guard::decode(&bytes[..end]); // Must not panic.
        }
    }
}
