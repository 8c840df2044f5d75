//! Bytes that survive: the disk door and the checksummed, group-committed record log on it.
//!
//! Place in the flow: every room that keeps something keeps it through here. Samples, alarm state,
//! silences and queues are records of a [`Journal`]; other files go through [`disk::Disk`].
//!
//! Invariants:
//! - An append that was answered `Ok` is on the disk and is replayed after any crash.
//! - What is replayed was appended, whole, in the order of the appends.
//! - One damaged place costs the records that touch it, never what follows.
//!
//! Not here: what a record means, and when a segment is no longer needed.

/// The disk door, real and simulated.
pub mod disk;
/// What can go wrong, by what the caller does next.
mod error;
/// The handle: appends, rotation, removal, closing.
mod journal;
/// Reading back what survived.
mod replay;

pub use error::{Error, NextStep};
pub use journal::{Journal, JournalOptions, Stats};
pub use replay::{Damage, DamageKind, Replay, ReplayedRecord};
