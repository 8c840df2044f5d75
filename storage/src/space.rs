//! What is done when the disk is full.
//!
//! Place in the flow: the committer and the flusher tell of a full disk; the flusher makes room and
//! looks again; the committer asks before it takes samples.
//!
//! A file of noise in the store's folder, the reserve, takes space that nobody else may have. When the
//! disk is full it is removed, so that a flush still can write its blocks and the manifest, and
//! retention its manifest. From then on the store is *short*: it takes no samples, which would eat
//! that space at once, and does not merge blocks. It is short until the reserve could be made again.
//!
//! What the space is for is the next flush: its blocks are at most half the size of the journal they
//! replace, but for journals of noise. So the reserve follows the journal, in steps, and is small while
//! all samples are in blocks.
//!
//! Invariants: nothing but the reserve is ever removed here. A reserve that can't grow stays as it is.
//! Whether space is short is asked without touching the disk.
//!
//! Not here: how long blocks are kept (retention).

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::Error;
use crate::error::{at, chain};
use crate::flush::{self, Reach};
use crate::shared::{Shared, lock};

/// The file in the store's folder.
pub const RESERVE_FILE: &str = "reserve";
/// A reserve in the making.
const UNFINISHED_FILE: &str = "reserve.tmp";
/// The noise is written in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;
/// The smallest reserve: a manifest, the records of new series, a block of little.
const BYTES_MIN: u64 = 256 * 1024;

/// What is known about the space on the disk.
#[derive(Debug, Default)]
pub struct Space(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why no samples are taken.
    short: Option<String>,
    /// The size that the reserve was to have last; 0: it was given away.
    tried_bytes: u64,
    /// Whether a flush was tried since the disk became full.
    is_flushed: bool,
}

impl Space {
    /// Why no samples are taken; `None` while there is space.
    pub fn shortage(&self) -> Option<String> {
        lock(&self.0).short.clone()
    }

    /// Whether the disk is full.
    pub fn is_short(&self) -> bool {
        lock(&self.0).short.is_some()
    }
}

/// The disk was full for the journal. Without a reserve to give away nothing changes: the next append
/// tries the disk itself.
pub fn note_full(shared: &Shared, reason: &str) {
    if shared.settings.reserve_bytes == 0 {
        return;
    }
    {
        let mut state = lock(&shared.space.0);
        if state.short.is_some() {
            return;
        }
        (state.short, state.is_flushed) = (Some(reason.to_owned()), false);
    }
    tracing::error!(reason, "the disk is full: no samples are taken until there is space");
    shared.wake_flusher();
}

/// Flushes; when that fails, once more without the reserve.
pub fn flush_with_reserve(shared: &Shared, reach: Reach) -> Result<(), Error> {
    let Err(error) = flush::flush(shared, reach) else {
        keep(shared);
        return Ok(());
    };
    if !release(shared) {
        return Err(error);
    }
    let again = flush::flush(shared, reach);
    // Whether space was what it lacked shows when the reserve is made again.
    if let Err(lack) = hold(shared) {
        note_full(shared, &chain(&lack));
        lock(&shared.space.0).is_flushed = true;
    }
    again
}

/// While the disk is full: flushes once, since the journal it frees is larger than the blocks it
/// makes, then looks whether the reserve fits again.
pub fn recover(shared: &Shared) {
    let (is_short, is_flushed) = {
        let mut state = lock(&shared.space.0);
        let is_flushed = std::mem::replace(&mut state.is_flushed, true);
        (state.short.is_some(), is_flushed)
    };
    if !is_short {
        return;
    }
    if !is_flushed {
        release(shared);
        if let Err(error) = flush::flush(shared, Reach::All) {
            lock(&shared.counters).flush_failures += 1;
            tracing::warn!(error = %chain(&error), "can't flush on the full disk");
        }
    }
    if let Err(error) = hold(shared) {
        tracing::debug!(error = %chain(&error), "the disk is still full");
        return;
    }
    lock(&shared.space.0).short = None;
    lock(&shared.counters).unavailable = None;
    tracing::info!("there is space again: samples are taken");
}

/// Makes the reserve if it is not there or has the wrong size. The next try comes with the next flush.
pub fn keep(shared: &Shared) {
    lock(&shared.space.0).tried_bytes = 0;
    follow(shared);
}

/// Gives the reserve the size that the journal asks for, unless that was tried before.
pub fn follow(shared: &Shared) {
    let bytes = wanted_bytes(shared);
    {
        let mut state = lock(&shared.space.0);
        if state.short.is_some() || std::mem::replace(&mut state.tried_bytes, bytes) == bytes {
            return;
        }
    }
    if let Err(error) = hold(shared) {
        tracing::warn!(error = %chain(&error), "can't set space aside for a full disk");
    }
}

/// Half the journal, rounded up to a power of two so that it is rarely written.
fn wanted_bytes(shared: &Shared) -> u64 {
    let bytes_max = shared.settings.reserve_bytes;
    let half = shared.journal.size_bytes() / 2;
    half.clamp(BYTES_MIN, bytes_max.max(BYTES_MIN)).next_power_of_two().min(bytes_max)
}

fn path(shared: &Shared) -> PathBuf {
    shared.dir.join(RESERVE_FILE)
}

/// Makes the reserve, beside the one that is there. What is half made is removed.
fn hold(shared: &Shared) -> Result<(), Error> {
    let (path, bytes) = (path(shared), wanted_bytes(shared));
    if bytes == 0 {
        return Ok(());
    }
    let there = shared.disk.open(&path).and_then(|file| file.size_bytes());
    match there {
        Ok(size_bytes) if size_bytes == bytes => Ok(()),
        _ => replace(shared, &path, bytes).map_err(at("write", &path)),
    }
}

fn replace(shared: &Shared, path: &Path, bytes: u64) -> std::io::Result<()> {
    let unfinished = shared.dir.join(UNFINISHED_FILE);
    let made = write_noise(shared, &unfinished, bytes)
        .and_then(|()| shared.disk.rename(&unfinished, path))
        .and_then(|()| shared.disk.sync_dir(&shared.dir));
    if made.is_err() {
        // It may not be there.
        let _ = shared.disk.remove_file(&unfinished);
    }
    made
}

/// Noise, because a file system that compresses would keep no space for zeros.
fn write_noise(shared: &Shared, path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    while piece.len() < PIECE_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        piece.extend_from_slice(&state.to_le_bytes());
    }
    let mut file = shared.disk.create(path)?;
    let mut left = bytes;
    while left > 0 {
        let part = left.min(PIECE_BYTES as u64);
        file.append(&piece[..part as usize])?;
        left -= part;
    }
    file.sync_data()
}

/// Gives the reserve's space away. `false` when there was none.
fn release(shared: &Shared) -> bool {
    lock(&shared.space.0).tried_bytes = 0;
    let path = path(shared);
    let removed = shared.disk.remove_file(&path);
    // Some file systems free the space with the folder's change.
    removed.is_ok() && shared.disk.sync_dir(&shared.dir).is_ok()
}
