//! Reading back what survived.

use crate::Error;
use std::path::PathBuf;

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
    /// Bytes between good records are not what was written.
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

/// All records of the segments that existed at open, read lazily.
pub struct Replay {
    damage: Vec<Damage>,
}

impl Replay {
    /// What was skipped so far.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }
}

impl Iterator for Replay {
    type Item = Result<ReplayedRecord, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
