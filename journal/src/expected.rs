//! For tests: remembers what was appended and what was answered, and judges a replay by it.
//!
//! Place in the flow: beside the writer in its crash tests.
//!
//! Not here: the workloads themselves.

use crate::ReplayedRecord;
use crate::disk::Random;
use crate::writer::Item;

/// What must be true of one append after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was acknowledged, or replayed once already.
    Kept,
    /// It was not acknowledged, or its segment was given up.
    Unknown,
    /// A replay after its append did not have it.
    Gone,
}

#[derive(Clone)]
struct Appended {
    /// Identities of its records; they grow from append to append.
    first: u64,
    count: u64,
    size_bytes: usize,
    fate: Fate,
}

/// Everything that was appended, in order.
#[derive(Clone, Default)]
pub(crate) struct Expected {
    appended: Vec<Appended>,
    next_identity: u64,
}

/// The bytes of a record, from its identity alone.
pub(crate) fn payload(identity: u64, size_bytes: usize) -> Vec<u8> {
    let mut random = Random(identity);
    let mut bytes = identity.to_le_bytes().to_vec();
    while bytes.len() < size_bytes {
        bytes.extend_from_slice(&random.number().to_le_bytes());
    }
    bytes
}

fn kind(identity: u64) -> u8 {
    (identity % 251) as u8
}

impl Expected {
    /// A new append of so many records of that size.
    pub(crate) fn item(&mut self, count: u64, size_bytes: usize) -> Item {
        let first = self.next_identity;
        self.next_identity += count;
        self.appended.push(Appended { first, count, size_bytes, fate: Fate::Unknown });
        let record = |identity| (kind(identity), payload(identity, size_bytes));
        if count == 1 {
            let (kind, payload) = record(first);
            return Item::Record { kind, payload };
        }
        Item::Group((first..first + count).map(record).collect())
    }

    /// How many appends there were.
    pub(crate) fn len(&self) -> usize {
        self.appended.len()
    }

    /// The appends from this one on were acknowledged.
    pub(crate) fn acknowledge_from(&mut self, from: usize) {
        for append in &mut self.appended[from..] {
            append.fate = Fate::Kept;
        }
    }

    /// The appends before this one lie in segments that were given up.
    pub(crate) fn release_before(&mut self, end: usize) {
        for append in &mut self.appended[..end] {
            append.fate = Fate::Unknown;
        }
    }

    /// Judges a replay; afterwards what it held must be there for good.
    pub(crate) fn judge(&mut self, replayed: &[ReplayedRecord]) -> Result<(), String> {
        self.judge_with_losses(replayed, 0)
    }

    /// As `judge`, with so many appends forgiven that should have been there.
    pub(crate) fn judge_with_losses(
        &mut self,
        replayed: &[ReplayedRecord],
        losses_max: usize,
    ) -> Result<(), String> {
        let mut rest = replayed;
        let mut lost = 0;
        for append in &mut self.appended {
            let identity = rest
                .first()
                .and_then(|record| record.payload.get(..8))
                .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")));
            if identity != Some(append.first) {
                if append.fate == Fate::Kept {
                    lost += 1;
                    if lost > losses_max {
                        return Err(format!(
                            "record {} was acknowledged and is lost",
                            append.first
                        ));
                    }
                }
                append.fate = Fate::Gone;
                continue;
            }
            if append.fate == Fate::Gone {
                return Err(format!("record {} came back", append.first));
            }
            for identity in append.first..append.first + append.count {
                let Some((record, after)) = rest.split_first() else {
                    return Err(format!("the group of record {identity} is not whole"));
                };
                if record.kind != kind(identity)
                    || record.payload != payload(identity, append.size_bytes)
                {
                    return Err(format!("record {identity} is not as it was appended"));
                }
                rest = after;
            }
            append.fate = Fate::Kept;
        }
        match rest.first() {
            Some(record) => Err(format!(
                "a record of kind {} with {} bytes is out of order or was never appended",
                record.kind,
                record.payload.len()
            )),
            None => Ok(()),
        }
    }
}
