//! The series log: every series with its number, beside the journal that brought it.
//!
//! Place in the flow: registry → flush → **series log**; opening the store reads it first.
//!
//! A series stands in the journal with its first samples, and once more in front of the next group of
//! batches: one damaged place of the journal must not make all later samples of a series nameless. So
//! nobody who appends waits for this log. A flush does: it may remove the journal's segments.
//!
//! Not here: reading it back (`open`), the bytes of a record (`series_record`).

use journal::Journal;
use model::Labels;
use model::append::SeriesId;

use crate::Error;
use crate::record::groups;
use crate::series::Registry;
use crate::series_record::encode_series;
use crate::shared::{Shared, lock};

/// The log's folder in the store's.
pub const SERIES_LOG_DIR: &str = "series";
/// Series whose labels are built at a time.
const PART_SERIES: u32 = 16 * 1024;

/// Writes the series that are not there yet; answers how many are there now.
pub fn write_all(shared: &Shared) -> Result<u32, Error> {
    let mut logged_slots = lock(&shared.logged_slots);
    write_from(shared, &mut logged_slots)?;
    Ok(*logged_slots)
}

fn write_from(shared: &Shared, logged_slots: &mut u32) -> Result<(), Error> {
    loop {
        let part = part(&shared.head().registry, *logged_slots);
        if part.is_empty() {
            return Ok(());
        }
        append(&shared.series_log, &part)?;
        *logged_slots += part.len() as u32;
    }
}

/// Writes every series to a new segment, has that recorded, and removes the segments before it.
pub fn rewrite(
    shared: &Shared,
    record: impl FnOnce(u32) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut logged_slots = lock(&shared.logged_slots);
    let segment = shared.series_log.rotate()?;
    *logged_slots = 0;
    write_from(shared, &mut logged_slots)?;
    record(*logged_slots)?;
    shared.series_log.remove_before(segment)?;
    Ok(())
}

/// Writes the series of a registry from a slot on; answers how many are there now.
pub fn append_from(log: &Journal, registry: &Registry, mut slot: u32) -> Result<u32, Error> {
    loop {
        let part = part(registry, slot);
        if part.is_empty() {
            return Ok(slot);
        }
        append(log, &part)?;
        slot += part.len() as u32;
    }
}

fn part(registry: &Registry, slot: u32) -> Vec<(SeriesId, Labels)> {
    let known = registry.since_slot(slot).take(PART_SERIES as usize);
    known.map(|known| (known.id, known.labels())).collect()
}

fn append(log: &Journal, series: &[(SeriesId, Labels)]) -> Result<(), Error> {
    let mut records = Vec::new();
    encode_series(series.iter().map(|(id, labels)| (*id, labels)), &mut records);
    log.append_groups_blocking(groups(records))?;
    Ok(())
}
