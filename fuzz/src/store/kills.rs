//! Kills and power cuts, again and again, at random operations of the disk.
//!
//! Place in the flow: a seed → **`kills`** → a `Story` per disk, several lives each; the ledger
//! judges after every one.
//!
//! A power cut loses what was not synced, as the simulated disk does it; a kill loses nothing but
//! leaves it unsynced for the next power cut.
//!
//! Not here: what a store does between two of them (`story`).

use journal::disk::SimulatedDisk;

use super::story::{End, Story};

/// Lives of one disk.
pub const KILLS_PER_DISK: u64 = 10;
/// Steps of one life at most, when the power stays on longer.
const STEPS_MAX: u64 = 60;

/// What many kills showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Kills and power cuts survived.
    pub kills: u64,
    /// Samples acknowledged; every one of them was looked for after every kill.
    pub acknowledged: u64,
    /// Operations of the disks.
    pub operations: u64,
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: Tally) {
        self.kills += other.kills;
        self.acknowledged += other.acknowledged;
        self.operations += other.operations;
    }
}

/// What is done to the disk before a story begins.
pub type Plant = fn(&SimulatedDisk);

/// Lives of one disk. The error says at which kill what was wrong.
pub fn one_disk(seed: u64, kills: u64, plant: Option<Plant>) -> Result<Tally, String> {
    let mut story = Story::new(seed);
    if let Some(plant) = plant {
        plant(&story.disk);
    }
    story.has_faults = story.random.one_in(4);
    let mut store = None;
    for kill in 0..kills {
        let reach = *story.random.pick(&[4, 16, 60]);
        let crash_at = story.disk.operations() + story.random.below(reach);
        story.disk.crash_at(crash_at);
        let wrong = |what: String| format!("seed {seed}, kill {kill}: {what}");
        for _ in 0..STEPS_MAX {
            if story.has_faults && story.random.one_in(12) {
                story.order_fault();
            }
            match story.step(&mut store) {
                Ok(()) => {}
                Err(End::Wrong(what)) => return Err(wrong(what)),
                Err(End::Refused(_)) if story.disk.operations() > crash_at => break,
                Err(End::Refused(_)) if story.has_faults => {}
                Err(End::Refused(what)) => return Err(wrong(format!("refused: {what}"))),
            }
        }
        drop(store.take());
        if story.random.one_in(4) {
            story.disk.kill_and_restart();
        } else {
            story.disk.crash_and_restart();
        }
        let open = story.open().map_err(|error| wrong(format!("can't open: {error:?}")))?;
        let damaged = open.stats().damaged;
        if !damaged.is_empty() && !story.has_faults {
            return Err(wrong(format!("damage after a power cut: {damaged:?}")));
        }
        story.check(&open).map_err(wrong)?;
        // The next life begins with this store, or opens its own and may fail while it does.
        store = (!story.random.one_in(3)).then_some(open);
    }
    let acknowledged = story.ledger.acknowledged_count();
    Ok(Tally { kills, acknowledged, operations: story.disk.operations() })
}
