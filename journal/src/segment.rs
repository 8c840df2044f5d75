//! One segment file: its name, and reading its records past any damage.
//!
//! Place in the flow: disk → **`segment`** → `Replay`.
//!
//! When a fragment is not right, the reader looks for the next right one inside the page, then in
//! the next page. What lies between is one damage, named with its file and place. A record that
//! lost a fragment is dropped whole.
//!
//! Invariant: memory holds one page and one record.
//!
//! Not here: which segments there are, and cutting a torn tail (`replay`).

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::frame::{
    FRAGMENT_HEADER_BYTES, FRAGMENT_MAGIC, FragmentHeader, HeaderState, PAGE_BYTES,
    PAGE_REST_BYTES_MIN, RECORD_BYTES_MAX, SEGMENT_HEADER_BYTES, check_segment_header,
    is_one_bit_off, page_rest, parse_fragment,
};
use crate::replay::{Damage, DamageKind};
use std::path::{Path, PathBuf};

/// This many pages in a row may be refused by the disk before it counts as broken altogether.
const UNREADABLE_PAGES_MAX: u32 = 32;

const NAME_END: &str = ".journal";

/// The file of a segment.
pub(crate) fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(segment_name(segment))
}

/// The number in a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    let segment = name.strip_suffix(NAME_END)?.parse().ok()?;
    // Only the name that would be written for this number.
    (segment_name(segment) == name).then_some(segment)
}

fn segment_name(segment: u64) -> String {
    format!("{segment:012}{NAME_END}")
}

/// A record or group as it lies in a segment.
#[derive(Debug)]
pub(crate) struct RawRecord {
    pub(crate) kind: u8,
    pub(crate) is_group: bool,
    pub(crate) body: Vec<u8>,
    /// The place of its first fragment.
    pub(crate) offset: u64,
    /// The first byte behind its last fragment.
    pub(crate) end: u64,
}

/// A record of which the last fragment has not been seen.
#[derive(Debug)]
struct Unfinished {
    header: FragmentHeader,
    offset: u64,
    body: Vec<u8>,
}

/// Reads the records of one segment in order.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    segment: u64,
    file: DiskFile,
    size_bytes: u64,
    /// The place of the next fragment.
    offset: u64,
    /// The page around `offset`, once it was read.
    page: Vec<u8>,
    page_start: Option<u64>,
    unfinished: Option<Unfinished>,
    /// Where the damage began that is being skipped, and of what kind it is.
    skipping: Option<(u64, DamageKind)>,
    /// Whether that damage is one flipped bit.
    is_one_bit: bool,
    unreadable_pages: u32,
    /// The first byte behind the last whole record.
    good_end: u64,
}

impl SegmentReader {
    pub(crate) fn open(disk: &Disk, dir: &Path, segment: u64) -> Result<SegmentReader, Error> {
        let path = segment_path(dir, segment);
        let file = disk.open(&path).map_err(|source| Error::io("open", &path, source))?;
        let size_bytes = file.size_bytes().map_err(|source| Error::io("measure", &path, source))?;
        Ok(SegmentReader {
            segment,
            file,
            size_bytes,
            offset: 0,
            page: Vec::new(),
            page_start: None,
            unfinished: None,
            skipping: None,
            is_one_bit: false,
            unreadable_pages: 0,
            good_end: 0,
        })
    }

    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// The first byte behind the last whole record: where a torn tail is cut.
    pub(crate) fn good_end(&self) -> u64 {
        self.good_end
    }

    /// Where the bytes begin of which nothing was handed out, and how many there are.
    pub(crate) fn rest(&self) -> (u64, u64) {
        let start = self.skipping.map_or(self.offset, |skipping| skipping.0);
        (start, self.size_bytes.saturating_sub(start))
    }

    /// The next whole record; `None` at the end of the file. Skipped places go to `damage`.
    pub(crate) fn next(
        &mut self,
        damage: &mut impl FnMut(Damage),
    ) -> Result<Option<RawRecord>, Error> {
        loop {
            if self.offset >= self.size_bytes {
                self.end_tail(damage);
                return Ok(None);
            }
            if !self.load_page()? {
                self.skip_to(self.page_end(), DamageKind::Unreadable);
                continue;
            }
            if self.offset == 0 {
                self.read_header();
                continue;
            }
            let rest = page_rest(self.offset);
            if rest < PAGE_REST_BYTES_MIN {
                self.read_padding();
                continue;
            }
            if let Some(record) = self.read_fragment(damage) {
                return Ok(Some(record));
            }
        }
    }

    fn read_header(&mut self) {
        let header = &self.page[..self.page.len().min(SEGMENT_HEADER_BYTES)];
        let end = header.len() as u64;
        if check_segment_header(header, self.segment) == HeaderState::Good {
            self.offset = end;
            self.good_end = end;
        } else {
            // The fragments behind it vouch for themselves.
            self.skip_to(end, DamageKind::Damaged);
        }
    }

    /// The end of a page that holds no fragment is zero.
    fn read_padding(&mut self) {
        let start = (self.offset % PAGE_BYTES as u64) as usize;
        let end = self.page_end();
        if self.page[start..].iter().all(|byte| *byte == 0) {
            self.offset = end;
        } else {
            self.skip_to(end, DamageKind::Damaged);
        }
    }

    fn read_fragment(&mut self, damage: &mut impl FnMut(Damage)) -> Option<RawRecord> {
        let start = (self.offset % PAGE_BYTES as u64) as usize;
        let Some(fragment) = parse_fragment(&self.page[start..], self.segment, self.offset) else {
            if self.skipping.is_none() {
                self.is_one_bit = is_one_bit_off(&self.page[start..], self.segment, self.offset);
            }
            let next = self.next_candidate(start + 1);
            self.skip_to(next, DamageKind::Damaged);
            return None;
        };
        let header = fragment.header;
        let offset = self.offset;
        let end = offset + (FRAGMENT_HEADER_BYTES + fragment.payload.len()) as u64;
        if header.is_first {
            let body = fragment.payload.to_vec();
            // A record that is still open here lost its last fragment.
            if self.unfinished.is_some() {
                self.skip_to(offset, DamageKind::Damaged);
            }
            self.end_damage(offset, damage);
            self.unfinished = Some(Unfinished { header, offset, body });
        } else if self.continues(header, fragment.payload.len()) {
            let unfinished = self.unfinished.as_mut().expect("a continued record is open");
            unfinished.header.index = header.index;
            unfinished.body.extend_from_slice(fragment.payload);
        } else {
            // A fragment whose record began in a damaged place.
            self.skip_to(end, DamageKind::Damaged);
            return None;
        }
        self.offset = end;
        if !header.is_last {
            return None;
        }
        self.good_end = end;
        let Unfinished { header, offset, body } = self.unfinished.take()?;
        Some(RawRecord { kind: header.kind, is_group: header.is_group, body, offset, end })
    }

    /// Whether a fragment is the next one of the open record.
    fn continues(&self, header: FragmentHeader, length: usize) -> bool {
        self.unfinished.as_ref().is_some_and(|open| {
            open.header.sequence == header.sequence
                && open.header.index.checked_add(1) == Some(header.index)
                && open.header.kind == header.kind
                && open.header.is_group == header.is_group
                && open.body.len() + length <= RECORD_BYTES_MAX
        })
    }

    /// The next place in the page that a fragment could begin at, or the next page.
    fn next_candidate(&self, from: usize) -> u64 {
        let page_start = self.offset - self.offset % PAGE_BYTES as u64;
        (from..self.page.len().saturating_sub(FRAGMENT_HEADER_BYTES - 1))
            .find(|at| {
                self.page[*at..*at + 2] == FRAGMENT_MAGIC
                    && parse_fragment(&self.page[*at..], self.segment, page_start + *at as u64)
                        .is_some()
            })
            .map_or(self.page_end(), |at| page_start + at as u64)
    }

    /// Goes on at `next`; what was open, and what lies before it, is part of one damage.
    fn skip_to(&mut self, next: u64, what: DamageKind) {
        let start = self.unfinished.take().map_or(self.offset, |open| open.offset);
        let (start, what) = match self.skipping {
            Some((start, DamageKind::Unreadable)) => (start, DamageKind::Unreadable),
            Some((start, _)) => (start, what),
            None => (start, what),
        };
        self.skipping = Some((start, what));
        self.offset = next;
    }

    fn end_damage(&mut self, end: u64, damage: &mut impl FnMut(Damage)) {
        if let Some((start, what)) = self.skipping.take() {
            damage(self.damage(start, end, what));
        }
    }

    /// Damage that reaches the end of the file is a torn tail, but for a single flipped bit.
    fn end_tail(&mut self, damage: &mut impl FnMut(Damage)) {
        let open = self.unfinished.take().map(|open| (open.offset, DamageKind::TornTail));
        let Some((start, what)) = self.skipping.take().or(open) else { return };
        let what = match what {
            DamageKind::Unreadable => DamageKind::Unreadable,
            DamageKind::Damaged if self.is_one_bit => DamageKind::Damaged,
            _ => DamageKind::TornTail,
        };
        damage(self.damage(start, self.size_bytes, what));
    }

    fn damage(&self, start: u64, end: u64, what: DamageKind) -> Damage {
        let bytes = end.saturating_sub(start);
        Damage { file: self.file.path().to_owned(), offset_bytes: start, bytes, what }
    }

    /// The end of the page around `offset`, or of the file.
    fn page_end(&self) -> u64 {
        (self.offset + page_rest(self.offset) as u64).min(self.size_bytes)
    }

    /// Reads the page around `offset`. `false` when the disk refuses it.
    fn load_page(&mut self) -> Result<bool, Error> {
        let page_start = self.offset - self.offset % PAGE_BYTES as u64;
        if self.page_start == Some(page_start) {
            return Ok(true);
        }
        let length = (self.size_bytes - page_start).min(PAGE_BYTES as u64) as usize;
        self.page.resize(length, 0);
        self.page_start = None;
        match self.file.read_exact_at(page_start, &mut self.page) {
            Ok(()) => {
                self.page_start = Some(page_start);
                self.unreadable_pages = 0;
                Ok(true)
            }
            Err(source) => {
                self.unreadable_pages += 1;
                if self.unreadable_pages > UNREADABLE_PAGES_MAX {
                    return Err(Error::io("read", self.file.path(), source));
                }
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests;
