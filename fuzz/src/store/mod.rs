//! The store under power cuts, kills, faults and flipped bits, on a simulated disk.
//!
//! Place in the flow: a seed draws a story; the store lives it; the ledger judges what is left.
//!
//! Not here: the disk's own behaviour (journal's `SimulatedDisk`).

/// What was sent, acknowledged and deleted, and whether a store is right about it.
pub mod ledger;
/// What a store holds, as plain maps.
pub mod held;
/// One step of a random life.
pub mod story;
/// One random batch.
mod batch;
/// Kills and power cuts, again and again.
pub mod kills;
/// One flipped bit in any file.
pub mod flips;
/// Bugs that every scenario here must notice.
pub mod planted;
