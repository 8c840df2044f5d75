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
use crate::series_record::{encode_series, pack};
use crate::shared::{Shared, lock};

/// The log's folder in the store's.
pub const SERIES_LOG_DIR: &str = "series";
/// Series whose labels are built at a time.
const PART_SERIES: usize = 16 * 1024;
/// Records written with one sync, in bytes: a million usual series.
const WRITE_BYTES: usize = 16 * 1024 * 1024;

/// Writes the series that are not there yet; answers how many are there now.
pub fn write_all(shared: &Shared) -> Result<u32, Error> {
    let mut logged_slots = lock(&shared.logged_slots);
    write_from(shared, &mut logged_slots)?;
    Ok(*logged_slots)
}

fn write_from(shared: &Shared, logged_slots: &mut u32) -> Result<(), Error> {
    loop {
        let (records, end) = encode_from(&shared.head().registry, *logged_slots);
        if records.is_empty() {
            return Ok(());
        }
        shared.series_log.append_groups_blocking(groups(records))?;
        *logged_slots = end;
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
        let (records, end) = encode_from(registry, slot);
        if records.is_empty() {
            return Ok(slot);
        }
        log.append_groups_blocking(groups(records))?;
        slot = end;
    }
}

/// Records of series from a slot on, until there is enough for one write; and the slot behind them.
fn encode_from(registry: &Registry, slot: u32) -> (Vec<(u8, Vec<u8>)>, u32) {
    let (mut records, mut bytes, mut end) = (Vec::new(), 0, slot);
    while (end as usize) < registry.len() && bytes < WRITE_BYTES {
        let part = registry.since_slot(end).take(PART_SERIES);
        let part: Vec<(SeriesId, Labels)> = part.map(|known| (known.id, known.labels())).collect();
        let before = records.len();
        encode_series(part.iter().map(|(id, labels)| (*id, labels)), &mut records);
        pack(&mut records[before..]);
        bytes += records[before..].iter().map(|record| record.1.len()).sum::<usize>();
        end += part.len() as u32;
    }
    (records, end)
}
