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
    /// Checksums of a block's pages and footers are not looked at.
    Block,
    /// Checksums of indexes are not looked at.
    Index,
    /// The manifest's checksum is not looked at.
    Manifest,
}

/// All of them.
pub const PLANTS: [Plant; 6] =
    [Plant::Sync, Plant::SyncDir, Plant::Checksum, Plant::Block, Plant::Index, Plant::Manifest];

/// Makes the checksums of a file right, whatever its bytes are.
type Reseal = fn(&mut [u8]);

impl Plant {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Plant::Sync => "sync",
            Plant::SyncDir => "sync_dir",
            Plant::Checksum => "checksum",
            Plant::Block => "block",
            Plant::Index => "index",
            Plant::Manifest => "manifest",
        }
    }

    /// The files whose checksums it drops, and what comes to the same.
    fn of_files(self) -> Option<(Kind, Reseal)> {
        match self {
            Plant::Sync | Plant::SyncDir => None,
            Plant::Checksum => Some((Kind::Journal, |bytes| {
                let number = u64::from_le_bytes(bytes[16..24].try_into().expect("8 bytes"));
                seal::segment(bytes, number);
            })),
            Plant::Block => Some((Kind::Samples, seal::all_pages)),
            Plant::Index => Some((Kind::Index, seal::index)),
            Plant::Manifest => Some((Kind::Manifest, seal::both_manifests)),
        }
    }
}

/// The kinds of files in which bits turn.
const KINDS: [Kind; 4] = [Kind::Journal, Kind::Samples, Kind::Index, Kind::Manifest];

/// The short suite with a bug planted. The error is what the suite notices.
///
/// With the feature `planted` the readers really do not look at checksums; without it, the bytes are
/// given right checksums after the bit turned, which comes to the same.
pub fn short_suite(plant: Option<Plant>, seeds: u64) -> Result<(), String> {
    let on_disk: Option<fn(&SimulatedDisk)> = match plant {
        Some(Plant::Sync) => Some(|disk| disk.ignore_sync(true)),
        Some(Plant::SyncDir) => Some(|disk| disk.ignore_sync_dir(true)),
        _ => None,
    };
    let of_files = plant.and_then(Plant::of_files);
    for seed in 0..seeds {
        if let Some((kind, reseal)) = of_files {
            // Only what the bug touches: with the switch all readers are blind.
            one_flip(seed, kind, Some(reseal).filter(|_| !cfg!(feature = "planted")))?;
            continue;
        }
        one_disk(seed, KILLS_PER_DISK, on_disk)?;
        if plant.is_none() {
            one_flip(seed, KINDS[(seed % 4) as usize], None)?;
        }
    }
    Ok(())
}
