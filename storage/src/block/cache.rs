//! Footers and indexes of blocks in memory, within a budget of bytes; what pages are unpacked with.
//!
//! Place in the flow: blocks ask it before they read a file.
//!
//! Invariant: the sum of sizes stays within the budget, but for the entry put last.
//!
//! Not here: pages of samples (the operating system caches those).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::reader::{Footer, Tools};
use crate::beside::table::Table;
use crate::index::BlockIndex;

/// What of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Which series it holds.
    Index,
    /// Where the pages of its samples are.
    Footer,
    /// Where the rows of one of its files beside the samples are.
    Beside(&'static str),
}

/// The name of a block, and what of it.
pub type Key = (String, Kind);

/// Something kept.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Which series the block holds.
    Index(Arc<BlockIndex>),
    /// Where the pages of its samples are.
    Footer(Arc<Footer>),
    /// Where the rows of a file beside the samples are.
    Beside(Arc<Table>),
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, (Entry, u64, u64)>, // entry, bytes, when used last
    bytes: u64,
    uses: u64,
}

/// The cache of one store.
#[derive(Debug)]
pub struct Cache {
    kept: Mutex<Kept>,
    bytes_max: u64,
    tools: Mutex<Vec<Tools>>,
}

/// Tools that are kept: as many as readers work at once, as a rule.
const TOOLS_MAX: usize = 8;

impl Cache {
    /// A cache with a budget.
    pub fn new(bytes_max: u64) -> Cache {
        Cache { kept: Mutex::default(), bytes_max, tools: Mutex::default() }
    }

    /// Tools that nobody uses now, if there are any.
    pub fn take_tools(&self) -> Option<Tools> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps tools for the next reader.
    pub fn keep_tools(&self, mut tools: Tools) {
        tools.shrink();
        let mut kept = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < TOOLS_MAX {
            kept.push(tools);
        }
    }

    /// Something kept, if it still is.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (entry, _, used) = kept.entries.get_mut(key)?;
        *used = now;
        Some(entry.clone())
    }

    /// Lets go of everything of a block.
    pub fn forget(&self, block_id: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in [Kind::Index, Kind::Footer] {
            if let Some((_, bytes, _)) = kept.entries.remove(&(block_id.to_owned(), kind)) {
                kept.bytes -= bytes;
            }
        }
    }

    /// Keeps something, and lets go of what was used least recently.
    pub fn put(&self, key: Key, entry: Entry, bytes: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        if let Some((_, before, _)) = kept.entries.insert(key.clone(), (entry, bytes, now)) {
            kept.bytes -= before;
        }
        kept.bytes += bytes;
        while kept.bytes > self.bytes_max && kept.entries.len() > 1 {
            let others = kept.entries.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = others.min_by_key(|(_, kept)| kept.2).map(|(key, _)| key.clone())
            else {
                return;
            };
            if let Some((_, bytes, _)) = kept.entries.remove(&oldest) {
                kept.bytes -= bytes;
            }
        }
    }
}
