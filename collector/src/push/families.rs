//! What senders told of metric families in earlier requests, so that the store is not told again.
//!
//! Place in the flow: `decoded` asks, the receiver tells after a commit.
//!
//! Remote write 2.0 tells type, unit and help with every series of every request. Only hashes are
//! kept, and after some minutes all of them are dropped: whatever became of the store, it is told
//! again.
//!
//! Not here: what is told (`v1`, `v2`).

use std::collections::HashMap;

use model::append::Metadata;

use super::cache::Hasher;

/// Families that are remembered; beyond that, all are told again.
const FAMILIES_MAX: usize = 100_000;
/// How long they are remembered.
const REMEMBERED_MS: i64 = 10 * 60 * 1000;

/// A family and what was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    family: u64,
    metadata: u64,
}

impl Told {
    pub(super) fn new(hasher: &Hasher, family: &str, metadata: &Metadata) -> Told {
        let parts = [metadata.kind.as_str(), &metadata.unit, &metadata.help];
        let mut text = String::new();
        for part in parts {
            text.push_str(part);
            text.push('\0');
        }
        Told { family: hasher.short(family.as_bytes()), metadata: hasher.short(text.as_bytes()) }
    }
}

/// The newest word on each family.
#[derive(Debug, Default)]
pub(super) struct Families {
    told: HashMap<u64, u64>,
    since_ms: i64,
}

impl Families {
    /// Whether the store was told just this, last of all.
    pub(super) fn knows(&self, told: Told) -> bool {
        self.told.get(&told.family) == Some(&told.metadata)
    }

    /// The store has taken it.
    pub(super) fn learn(&mut self, told: Told) {
        if self.told.len() >= FAMILIES_MAX {
            self.told.clear();
        }
        self.told.insert(told.family, told.metadata);
    }

    /// Whether it is time to be told everything again.
    pub(super) fn is_stale(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.since_ms).saturating_abs() > REMEMBERED_MS
    }

    /// Forgets everything.
    pub(super) fn renew(&mut self, now_ms: i64) {
        self.told.clear();
        self.since_ms = now_ms;
    }
}
