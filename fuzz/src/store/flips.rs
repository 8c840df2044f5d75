//! One flipped bit in any file of a store.
//!
//! Place in the flow: a `Story` fills a store, one bit of one file turns around, the store opens; the
//! ledger counts what is missing and looks for what was never sent.
//!
//! Not here: hostile bytes with right checksums (`target`).

use std::path::{Path, PathBuf};

use storage::Settings;

use super::held::content;
use super::story::{DIR, End, Story, settings};
use crate::random::Random;

/// Steps before the bit turns.
const STEPS: u64 = 40;
/// A flush makes some blocks, not many: each of them costs time.
const BLOCK_RANGE_MS: i64 = 4 * 3_600_000;
/// What one flipped bit may cost.
pub const LOST_BYTES_MAX: u64 = 64 * 1024;
/// Instant and value.
const SAMPLE_BYTES: u64 = 16;

/// Where a bit is turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Samples that are not in a block yet.
    Journal,
    /// All series.
    SeriesLog,
    /// The one truth about blocks.
    Manifest,
    /// A block's own words.
    Meta,
    /// A block's samples.
    Samples,
    /// A block's series.
    Series,
    /// A block's index.
    Index,
    /// A block's native histograms.
    Histograms,
    /// A block's start timestamps.
    Starts,
    /// A block's exemplars.
    Exemplars,
    /// What is known of families.
    Families,
}

/// All kinds.
pub const KINDS: [Kind; 11] = [
    Kind::Journal,
    Kind::SeriesLog,
    Kind::Manifest,
    Kind::Meta,
    Kind::Samples,
    Kind::Series,
    Kind::Index,
    Kind::Histograms,
    Kind::Starts,
    Kind::Exemplars,
    Kind::Families,
];

impl Kind {
    fn is(self, path: &Path) -> bool {
        if !path.starts_with(DIR) {
            return false;
        }
        let in_folder = |folder: &str| path.starts_with(Path::new(DIR).join(folder));
        match self {
            Kind::Journal => in_folder("journal"),
            Kind::SeriesLog => in_folder("series"),
            Kind::Manifest => path.ends_with("manifest"),
            Kind::Meta => path.ends_with("meta.json"),
            Kind::Samples => path.ends_with("samples.parquet"),
            Kind::Series => path.ends_with("series.parquet"),
            Kind::Index => path.ends_with("index"),
            Kind::Histograms => path.ends_with("histograms.parquet"),
            Kind::Starts => path.ends_with("starts.parquet"),
            Kind::Exemplars => path.ends_with("exemplars.parquet"),
            Kind::Families => path.ends_with("metadata"),
        }
    }
}

/// What one flipped bit cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cost {
    /// Acknowledged samples that are missing.
    pub lost: u64,
    /// Whether the damage was named.
    pub is_named: bool,
}

/// One story, one flipped bit in a file of a kind. `reseal` makes the file's checksums right again: the
/// planted bug of a reader that does not look at them.
pub fn one_flip(seed: u64, kind: Kind, reseal: Option<fn(&mut [u8])>) -> Result<Cost, String> {
    let mut story =
        Story::with_settings(seed, Settings { block_range_ms: BLOCK_RANGE_MS, ..settings() });
    let mut store = None;
    for step in 0..STEPS {
        match story.step(&mut store) {
            Ok(()) => {}
            Err(End::Refused(what) | End::Wrong(what)) => return Err(what),
        }
        // So that every kind of file is there.
        if step == STEPS / 2 {
            let open = store.take().map_or_else(|| story.open(), Ok);
            let open = open.map_err(|error| error.to_string())?;
            open.flush().map_err(|error| error.to_string())?;
        }
    }
    drop(store.take());
    let mut random = Random::new(seed ^ 0x5eed);
    let Some((path, place)) = place(&story, kind, &mut random) else { return Ok(Cost::default()) };
    let bit = random.below(8) as u8;
    let what = format!("seed {seed}, {kind:?}: bit {bit} of byte {place} of {}", path.display());
    let wrong = |problem: String| format!("{what}: {problem}");
    story.disk.flip_bit(&path, place, bit).map_err(|error| wrong(error.to_string()))?;
    if let Some(reseal) = reseal {
        let disk = story.disk.disk();
        let mut bytes = disk.read(&path, usize::MAX).map_err(|error| wrong(error.to_string()))?;
        reseal(&mut bytes);
        disk.write_atomic(&path, &bytes).map_err(|error| wrong(error.to_string()))?;
    }
    let open = story.open().map_err(|error| wrong(format!("it does not open: {error:?}")))?;
    let found = content(&open).map_err(wrong)?;
    let warnings = &found.warnings;
    story.ledger.check_sent(&found).map_err(wrong)?;
    let lost = story.ledger.missing_count(&found);
    let damaged = open.stats().damaged;
    let is_named = !warnings.is_empty() || !damaged.is_empty();
    if lost > 0 && !is_named {
        return Err(wrong(format!("{lost} samples are missing and nothing is named")));
    }
    if lost * SAMPLE_BYTES > LOST_BYTES_MAX {
        return Err(wrong(format!("{lost} samples are missing: {warnings:?} {damaged:?}")));
    }
    // Life goes on, and the damage is not worse after a flush and a restart.
    open.flush().map_err(|error| wrong(format!("no flush: {error:?}")))?;
    drop(open);
    let again =
        story.open().map_err(|error| wrong(format!("it does not open again: {error:?}")))?;
    let found = content(&again).map_err(wrong)?;
    story.ledger.check_sent(&found).map_err(wrong)?;
    let lost_later = story.ledger.missing_count(&found);
    if lost_later > lost {
        return Err(wrong(format!(
            "{lost} samples were missing, and {lost_later} after a restart"
        )));
    }
    Ok(Cost { lost, is_named })
}

/// A byte of a file of a kind.
fn place(story: &Story, kind: Kind, random: &mut Random) -> Option<(PathBuf, u64)> {
    let mut files = story.disk.files();
    files.retain(|(path, size_bytes)| kind.is(path) && *size_bytes > 0);
    let count = files.len() as u64;
    (count > 0).then(|| {
        let (path, size_bytes) = files.swap_remove(random.below(count) as usize);
        (path, random.below(size_bytes))
    })
}
