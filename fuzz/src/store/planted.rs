//! Bugs that every scenario here must notice.
//!
//! Place in the flow: tests and `cargo xtask planted` run the scenarios with one of these and want
//! them to fail.
//!
//! Not here: the scenarios (`kills`, `flips`).

use journal::disk::SimulatedDisk;

use super::flips::{Kind, one_flip};
use super::kills::{KILLS_PER_DISK, one_disk};
use crate::target::seal;

/// A bug on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// `sync_data` does nothing.
    Sync,
    /// `sync_dir` does nothing.
    SyncDir,
    /// Checksums of journal records are not looked at.
    Checksum,
}

/// All of them.
pub const PLANTS: [Plant; 3] = [Plant::Sync, Plant::SyncDir, Plant::Checksum];

impl Plant {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plant::Sync => "sync",
            Plant::SyncDir => "sync_dir",
            Plant::Checksum => "checksum",
        }
    }
}

/// The short suite with a bug planted. The error is what the suite notices.
///
/// With the feature `planted` the reader really does not look at checksums; without it, the bytes are
/// given right checksums after the bit turned, which comes to the same.
pub fn short_suite(plant: Option<Plant>, seeds: u64) -> Result<(), String> {
    let on_disk: Option<fn(&SimulatedDisk)> = match plant {
        Some(Plant::Sync) => Some(|disk| disk.ignore_sync(true)),
        Some(Plant::SyncDir) => Some(|disk| disk.ignore_sync_dir(true)),
        _ => None,
    };
    let reseal: Option<fn(&mut [u8])> = match plant {
        Some(Plant::Checksum) if !cfg!(feature = "planted") => Some(|bytes| {
            let number = u64::from_le_bytes(bytes[16..24].try_into().expect("8 bytes"));
            seal::segment(bytes, number);
        }),
        _ => None,
    };
    for seed in 0..seeds {
        one_disk(seed, KILLS_PER_DISK, on_disk)?;
        one_flip(seed, Kind::Journal, reseal)?;
    }
    Ok(())
}
