//! Reading back what survived, segment by segment, past any damage.
//!
//! Place in the flow: disk → `segment` → **`replay`** → the room that appended.
//!
//! A torn tail of the newest segment is what a power cut leaves of appends nobody was told about:
//! it is cut off at the last whole record, so that the next start does not meet it again. All other
//! damage stays where it is, is skipped, counted and named.
//!
//! A segment that the disk refuses to read, as a whole or in places, gets a second name in the folder
//! [`UNREADABLE_DIR`]: whoever removes segments later does not remove those bytes with them. When a
//! later start reads it whole, the second name goes.
//!
//! Invariants:
//! - Memory holds one page and one record or group.
//! - The members of a group come all or not at all.
//!
//! Not here: judging whether the damage matters; the caller knows what the records mean.

use crate::Error;
use crate::disk::Disk;
use crate::frame::{SEGMENT_HEADER_BYTES, parse_group};
use crate::segment::{RawRecord, SegmentReader, segment_path};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::vec;

/// So many damaged places are listed one by one; the rest are only counted.
pub const DAMAGE_LISTED_MAX: usize = 1000;

/// The folder inside a journal's that keeps segments which the disk refused to read.
pub const UNREADABLE_DIR: &str = "unreadable";

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedRecord {
    /// The segment it lies in.
    pub segment: u64,
    /// The kind it was appended with.
    pub kind: u8,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// What kind of damage was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// The end of a file is no whole record.
    TornTail,
    /// Bytes before a good record, or in a file's header, are not what was written.
    Damaged,
    /// The disk refused to give the bytes.
    Unreadable,
}

/// A place that was skipped while replaying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment file.
    pub file: PathBuf,
    /// Where the skipped bytes begin.
    pub offset_bytes: u64,
    /// How many were skipped.
    pub bytes: u64,
    /// What is wrong with them.
    pub what: DamageKind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            DamageKind::TornTail => "the end is no whole record",
            DamageKind::Damaged => "checksums do not match",
            DamageKind::Unreadable => "the disk refuses to read",
        };
        let Damage { file, offset_bytes, bytes, .. } = self;
        write!(f, "{} at byte {offset_bytes}, {bytes} bytes: {what}", file.display())
    }
}

/// All records of the segments that existed at open, in the order of their appends, read lazily.
///
/// What the disk refuses to read is damage like any other: it is named and passed over. An `Err`
/// would mean that nothing further can be read.
#[derive(Debug)]
pub struct Replay {
    disk: Disk,
    dir: PathBuf,
    /// The segments that were not begun yet, oldest first.
    segments: VecDeque<u64>,
    /// The newest segment at open; only its tail is cut.
    newest: Option<u64>,
    reader: Option<SegmentReader>,
    /// Members of a group that were not handed out yet.
    members: vec::IntoIter<(u8, Vec<u8>)>,
    members_segment: u64,
    found: Found,
}

/// What was skipped so far.
#[derive(Debug, Default)]
struct Found {
    listed: Vec<Damage>,
    places: u64,
    bytes: u64,
    /// Whether the tail of the segment that was read last is torn.
    is_tail_torn: bool,
    /// Whether the disk refused some of the segment that was read last.
    is_unreadable: bool,
}

impl Found {
    fn add(&mut self, damage: Damage) {
        self.is_tail_torn = damage.what == DamageKind::TornTail;
        self.is_unreadable |= damage.what == DamageKind::Unreadable;
        self.places += 1;
        self.bytes += damage.bytes;
        if self.listed.len() < DAMAGE_LISTED_MAX {
            self.listed.push(damage);
        }
    }
}

impl Replay {
    /// `segments` are sorted, oldest first.
    pub(crate) fn new(disk: Disk, dir: PathBuf, segments: Vec<u64>) -> Replay {
        Replay {
            disk,
            dir,
            newest: segments.last().copied(),
            segments: segments.into(),
            reader: None,
            members: Vec::new().into_iter(),
            members_segment: 0,
            found: Found::default(),
        }
    }

    /// What was skipped so far, at most [`DAMAGE_LISTED_MAX`] places.
    pub fn damage(&self) -> &[Damage] {
        &self.found.listed
    }

    /// How many places were skipped so far, listed or not.
    pub fn damaged_places(&self) -> u64 {
        self.found.places
    }

    /// How many bytes were skipped so far.
    pub fn damaged_bytes(&self) -> u64 {
        self.found.bytes
    }

    fn next_member(&mut self) -> Option<ReplayedRecord> {
        let (kind, payload) = self.members.next()?;
        Some(ReplayedRecord { segment: self.members_segment, kind, payload })
    }

    /// The next segment is opened; `false` when there is none. One that was removed since open, or
    /// that cannot be opened, is passed over.
    fn open_next(&mut self) -> bool {
        while let Some(segment) = self.segments.pop_front() {
            (self.found.is_tail_torn, self.found.is_unreadable) = (false, false);
            match SegmentReader::open(&self.disk, &self.dir, segment) {
                Ok(reader) => {
                    self.reader = Some(reader);
                    return true;
                }
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.give_up(segment, (0, 0), &error),
            }
        }
        false
    }

    /// The rest of a segment cannot be read.
    fn give_up(&mut self, segment: u64, (offset_bytes, bytes): (u64, u64), error: &Error) {
        tracing::error!(%error, "a journal segment cannot be read");
        let file = segment_path(&self.dir, segment);
        self.found.add(Damage { file, offset_bytes, bytes, what: DamageKind::Unreadable });
        self.keep(segment);
    }

    /// Gives a segment its second name.
    fn keep(&self, segment: u64) {
        let folder = self.dir.join(UNREADABLE_DIR);
        let from = segment_path(&self.dir, segment);
        let linked = self.disk.create_dir_all(&folder).and_then(|()| {
            self.disk.hard_link(&from, &segment_path(&folder, segment))?;
            self.disk.sync_dir(&folder)
        });
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // It stays until its records count as flushed; the log is all that can still be done.
            Err(error) => tracing::error!(path = %from.display(), %error, "cannot keep a segment"),
        }
    }

    /// Takes the second name of a segment that was read whole.
    fn release(&self, segment: u64) {
        let second = segment_path(&self.dir.join(UNREADABLE_DIR), segment);
        if self.disk.exists(&second).unwrap_or(false)
            && let Err(error) = self.disk.remove_file(&second)
        {
            tracing::warn!(path = %second.display(), %error, "cannot remove a kept segment");
        }
    }

    /// A record as it lies there becomes one record, or the members of a group.
    fn unpack(&mut self, segment: u64, raw: RawRecord) -> Option<ReplayedRecord> {
        if !raw.is_group {
            return Some(ReplayedRecord { segment, kind: raw.kind, payload: raw.body });
        }
        match parse_group(&raw.body) {
            Some(members) => {
                self.members = members.into_iter();
                self.members_segment = segment;
                self.next_member()
            }
            None => {
                self.found.add(Damage {
                    file: segment_path(&self.dir, segment),
                    offset_bytes: raw.offset,
                    bytes: raw.end - raw.offset,
                    what: DamageKind::Damaged,
                });
                None
            }
        }
    }

    /// The reader came to the end of its segment.
    fn end_segment(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        if self.found.is_unreadable {
            self.keep(reader.segment());
        } else {
            self.release(reader.segment());
        }
        let is_newest = self.newest == Some(reader.segment());
        // A file whose very header is wrong is left to a person.
        if !is_newest || !self.found.is_tail_torn || reader.good_end() < SEGMENT_HEADER_BYTES as u64
        {
            return;
        }
        let path = segment_path(&self.dir, reader.segment());
        let cut = self.disk.open_append(&path).and_then(|mut file| {
            file.truncate(reader.good_end())?;
            file.sync_data()
        });
        if let Err(error) = cut {
            // The records are safe; only the next replay names the same tail again.
            tracing::warn!(path = %path.display(), %error, "cannot cut a torn tail");
        }
    }
}

impl Iterator for Replay {
    type Item = Result<ReplayedRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.next_member() {
                return Some(Ok(record));
            }
            let Some(reader) = &mut self.reader else {
                match self.open_next() {
                    true => continue,
                    false => return None,
                }
            };
            let segment = reader.segment();
            let found = &mut self.found;
            match reader.next(&mut |damage| found.add(damage)) {
                Ok(Some(raw)) => {
                    if let Some(record) = self.unpack(segment, raw) {
                        return Some(Ok(record));
                    }
                }
                Ok(None) => self.end_segment(),
                Err(error) => {
                    let rest = reader.rest();
                    self.reader = None;
                    self.give_up(segment, rest, &error);
                }
            }
        }
    }
}
