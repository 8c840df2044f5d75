//! The bytes of a record inside a segment: pages, fragments, groups.
//!
//! Place in the flow: `Journal::append` → `writer` → **`frame`** → disk → **`frame`** → `Replay`.
//!
//! A segment is a row of 32 KiB pages. A record is one fragment, or several when it does not fit
//! into the rest of its page; no fragment crosses a page boundary. The checksum of a fragment covers
//! its place (segment number and file offset) too, so bytes of an older file, or a copy of a
//! journal inside a record, never pass for a fragment.
//!
//! docs/format/journal.md describes every byte.
//!
//! Not here: files, and what to do about damage.

/// Fragments never cross a multiple of this.
pub(crate) const PAGE_BYTES: usize = 32 * 1024;
/// The first bytes of every fragment.
pub(crate) const FRAGMENT_MAGIC: [u8; 2] = [0xBE, 0x1F];
/// Bytes of a fragment before its payload.
pub(crate) const FRAGMENT_HEADER_BYTES: usize = 16;
/// A page rest smaller than this is filled with zeros.
pub(crate) const PAGE_REST_BYTES_MIN: usize = 2 * FRAGMENT_HEADER_BYTES;
/// The largest record, and the largest group. A reader holds one of them in memory.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first bytes of every segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"BELFJRNL";
/// The version written here, and the newest one read.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// Bytes of a segment before its first fragment.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;

const FLAG_FIRST: u8 = 1;
const FLAG_LAST: u8 = 2;
const FLAG_GROUP: u8 = 4;
/// Bytes of a group member before its payload: kind, length.
const MEMBER_HEADER_BYTES: usize = 5;

// A fragment's index is a u16, its length too; both must hold the largest there can be.
const _: () = assert!(RECORD_BYTES_MAX / (PAGE_BYTES - 2 * FRAGMENT_HEADER_BYTES) < 65_000);
const _: () = assert!(PAGE_BYTES - FRAGMENT_HEADER_BYTES <= u16::MAX as usize);
const _: () = assert!(SEGMENT_HEADER_BYTES + PAGE_REST_BYTES_MIN < PAGE_BYTES);

/// The header of a segment.
pub(crate) fn segment_header(segment: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[0..8].copy_from_slice(&SEGMENT_MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&(PAGE_BYTES as u32).to_le_bytes());
    header[16..24].copy_from_slice(&segment.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..28]);
    header[28..32].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// What a segment's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderState {
    /// As written here.
    Good,
    /// Whole, and of a newer version.
    Newer(u32),
    /// Not what was written. The fragments behind it carry checksums of their own.
    Damaged,
}

/// Judges the header of a segment.
pub(crate) fn check_segment_header(header: &[u8], segment: u64) -> HeaderState {
    if header.len() < SEGMENT_HEADER_BYTES
        || header[0..8] != SEGMENT_MAGIC
        || u32_at(header, 28) != crc32c::crc32c(&header[..28])
    {
        return HeaderState::Damaged;
    }
    let version = u32_at(header, 8);
    if version > FORMAT_VERSION {
        return HeaderState::Newer(version);
    }
    let number = u64::from_le_bytes(header[16..24].try_into().expect("8 bytes"));
    let page_bytes = u32_at(header, 12) as usize;
    if version == 0 || number != segment || page_bytes != PAGE_BYTES {
        return HeaderState::Damaged;
    }
    HeaderState::Good
}

/// What stands before the payload of a fragment, apart from its length and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FragmentHeader {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
    pub(crate) is_group: bool,
    pub(crate) kind: u8,
    /// The number of the fragment in its record.
    pub(crate) index: u16,
    /// The number of the record in its segment.
    pub(crate) sequence: u32,
}

/// A fragment whose checksum is right.
#[derive(Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) header: FragmentHeader,
    pub(crate) payload: &'a [u8],
}

/// Reads the fragment at the start of `bytes`, which end with the page. `offset` is its place in
/// the file.
pub(crate) fn parse_fragment(bytes: &[u8], segment: u64, offset: u64) -> Option<Fragment<'_>> {
    if bytes.len() < FRAGMENT_HEADER_BYTES || bytes[0..2] != FRAGMENT_MAGIC {
        return None;
    }
    let flags = bytes[2];
    let length = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    let end = FRAGMENT_HEADER_BYTES + length;
    if flags & !(FLAG_FIRST | FLAG_LAST | FLAG_GROUP) != 0 || end > bytes.len() {
        return None;
    }
    let payload = &bytes[FRAGMENT_HEADER_BYTES..end];
    let checksum = crc32c::crc32c_append(place_checksum(segment, offset), &bytes[..12]);
    let is_right = crc32c::crc32c_append(checksum, payload) == u32_at(bytes, 12);
    // The planted bug shows that the tests would notice.
    if !is_right && !cfg!(feature = "planted") {
        return None;
    }
    let header = FragmentHeader {
        is_first: flags & FLAG_FIRST != 0,
        is_last: flags & FLAG_LAST != 0,
        is_group: flags & FLAG_GROUP != 0,
        kind: bytes[3],
        index: u16::from_le_bytes([bytes[6], bytes[7]]),
        sequence: u32_at(bytes, 8),
    };
    Some(Fragment { header, payload })
}

/// Whether turning one bit around would make a good fragment of the bytes: then they are no torn tail,
/// which a power cut leaves of a write that nobody was told of.
pub(crate) fn is_one_bit_off(bytes: &[u8], segment: u64, offset: u64) -> bool {
    if bytes.len() < FRAGMENT_HEADER_BYTES {
        return false;
    }
    let mut tried = bytes.to_vec();
    for bit in 0..FRAGMENT_HEADER_BYTES * 8 {
        tried[bit / 8] ^= 1 << (bit % 8);
        if parse_fragment(&tried, segment, offset).is_some() {
            return true;
        }
        tried[bit / 8] ^= 1 << (bit % 8);
    }
    // In the payload the checksum itself tells: it is linear, so every single bit changes it in a
    // way of its own.
    let length = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    let Some(payload) = bytes.get(FRAGMENT_HEADER_BYTES..FRAGMENT_HEADER_BYTES + length) else {
        return false;
    };
    let checksum = crc32c::crc32c_append(place_checksum(segment, offset), &bytes[..12]);
    let difference = crc32c::crc32c_append(checksum, payload) ^ u32_at(bytes, 12);
    let mut changes = [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| shift_byte(1 << bit));
    (0..length).any(|_| {
        let found = changes.contains(&difference);
        changes = changes.map(shift_byte);
        found
    })
}

/// What a change of the checksum becomes one byte later.
fn shift_byte(change: u32) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    (0..8).fold(
        change,
        |change, _| {
            if change & 1 == 1 { change >> 1 ^ POLYNOMIAL } else { change >> 1 }
        },
    )
}

/// Turns records into the bytes that follow `offset` in a segment.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    /// The bytes to be written, from `offset` on.
    pub(crate) buffer: &'a mut Vec<u8>,
    pub(crate) segment: u64,
    /// The place of the buffer's first byte in the file.
    pub(crate) offset: u64,
    /// The number of the next record.
    pub(crate) sequence: u32,
}

impl Encoder<'_> {
    /// One record by itself.
    pub(crate) fn push_record(&mut self, kind: u8, payload: &[u8]) {
        self.push(kind, false, payload.len(), std::iter::once(payload));
    }

    /// Records that survive all or not at all.
    pub(crate) fn push_group(&mut self, records: &[(u8, Vec<u8>)]) {
        let headers: Vec<[u8; MEMBER_HEADER_BYTES]> =
            records.iter().map(|(kind, payload)| member_header(*kind, payload.len())).collect();
        let slices = headers
            .iter()
            .zip(records)
            .flat_map(|(header, (_, payload))| [header.as_slice(), payload.as_slice()]);
        self.push(0, true, group_bytes(records), slices);
    }

    fn push<'b>(
        &mut self,
        kind: u8,
        is_group: bool,
        length: usize,
        mut slices: impl Iterator<Item = &'b [u8]>,
    ) {
        assert!(length <= RECORD_BYTES_MAX, "the journal checks this before it queues a record");
        let mut left = length;
        let mut slice: &[u8] = &[];
        let mut index = 0;
        loop {
            let room = self.make_room();
            let take = left.min(room - FRAGMENT_HEADER_BYTES);
            let start = self.buffer.len();
            self.buffer.extend_from_slice(&[0; FRAGMENT_HEADER_BYTES]);
            let mut missing = take;
            while missing > 0 {
                if slice.is_empty() {
                    slice = slices.next().expect("the slices are as long as announced");
                }
                let (head, rest) = slice.split_at(missing.min(slice.len()));
                self.buffer.extend_from_slice(head);
                missing -= head.len();
                slice = rest;
            }
            left -= take;
            let header = FragmentHeader {
                is_first: index == 0,
                is_last: left == 0,
                is_group,
                kind,
                index,
                sequence: self.sequence,
            };
            self.seal(start, header);
            if left == 0 {
                break;
            }
            index += 1;
        }
        self.sequence += 1;
    }

    /// Ends the page when its rest is too small; answers the bytes left in the page.
    fn make_room(&mut self) -> usize {
        let at = self.offset + self.buffer.len() as u64;
        let room = page_rest(at);
        if room >= PAGE_REST_BYTES_MIN {
            return room;
        }
        self.buffer.resize(self.buffer.len() + room, 0);
        PAGE_BYTES
    }

    /// Fills in the header of the fragment that was laid down from `start` on.
    fn seal(&mut self, start: usize, header: FragmentHeader) {
        let segment = self.segment;
        let place = self.offset + start as u64;
        let bytes = &mut self.buffer[start..];
        let length = (bytes.len() - FRAGMENT_HEADER_BYTES) as u16;
        bytes[0..2].copy_from_slice(&FRAGMENT_MAGIC);
        bytes[2] = if header.is_first { FLAG_FIRST } else { 0 }
            | if header.is_last { FLAG_LAST } else { 0 }
            | if header.is_group { FLAG_GROUP } else { 0 };
        bytes[3] = header.kind;
        bytes[4..6].copy_from_slice(&length.to_le_bytes());
        bytes[6..8].copy_from_slice(&header.index.to_le_bytes());
        bytes[8..12].copy_from_slice(&header.sequence.to_le_bytes());
        let checksum = crc32c::crc32c_append(place_checksum(segment, place), &bytes[..12]);
        let checksum = crc32c::crc32c_append(checksum, &bytes[FRAGMENT_HEADER_BYTES..]);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// The members of a group, in order. `None` when the bytes are no group.
pub(crate) fn parse_group(mut bytes: &[u8]) -> Option<Vec<(u8, Vec<u8>)>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let header = bytes.get(..MEMBER_HEADER_BYTES)?;
        let end = MEMBER_HEADER_BYTES.checked_add(u32_at(header, 1) as usize)?;
        records.push((header[0], bytes.get(MEMBER_HEADER_BYTES..end)?.to_vec()));
        bytes = &bytes[end..];
    }
    Some(records)
}

/// The bytes of a group before it is cut into fragments.
pub(crate) fn group_bytes(records: &[(u8, Vec<u8>)]) -> usize {
    records.iter().map(|(_, payload)| MEMBER_HEADER_BYTES + payload.len()).sum()
}

/// At most this many bytes are laid down for a record or group of that length.
pub(crate) fn encoded_bytes_max(length: usize) -> usize {
    let fragments = length / (PAGE_BYTES - FRAGMENT_HEADER_BYTES) + 2;
    length + fragments * FRAGMENT_HEADER_BYTES + PAGE_REST_BYTES_MIN
}

/// Bytes from a place to the end of its page; a whole page at a boundary.
pub(crate) fn page_rest(offset: u64) -> usize {
    PAGE_BYTES - (offset % PAGE_BYTES as u64) as usize
}

fn member_header(kind: u8, length: usize) -> [u8; MEMBER_HEADER_BYTES] {
    let length = (length as u32).to_le_bytes();
    [kind, length[0], length[1], length[2], length[3]]
}

fn place_checksum(segment: u64, offset: u64) -> u32 {
    let mut place = [0; 16];
    place[0..8].copy_from_slice(&segment.to_le_bytes());
    place[8..16].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c(&place)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

#[cfg(test)]
mod tests;
