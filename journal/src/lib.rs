//! Bytes that survive: the disk door and the checksummed, group-committed record log on it.
//!
//! Place in the flow: every room that keeps something keeps it through here. Samples, alarm state,
//! silences and queues are records of a [`Journal`]; other files go through [`disk::Disk`].
//!
//! Invariants:
//! - An append that was answered `Ok` is on the disk and is replayed after any crash.
//! - What is replayed was appended, whole, in the order of the appends, and is durable.
//! - One damaged place costs the records that touch it, never what follows.
//!
//! Not here: what a record means, and when a segment is no longer needed.

/// The disk door, real and simulated.
pub mod disk;
/// What can go wrong, by what the caller does next.
mod error;
/// The bytes of a record inside a segment.
mod frame;
/// The handle: appends, rotation, removal, closing.
mod journal;
/// Reading back what survived.
mod replay;
/// One segment file, read past any damage.
mod segment;
/// The queue and the one thread behind it.
mod thread;
/// Groups of appends become one write and one sync.
mod writer;

/// What was appended, and whether a replay is right about it.
#[cfg(test)]
mod expected;

pub use error::{Error, NextStep};
pub use frame::RECORD_BYTES_MAX;
pub use journal::{Journal, JournalOptions};
pub use replay::{DAMAGE_LISTED_MAX, Damage, DamageKind, Replay, ReplayedRecord, UNREADABLE_DIR};
pub use writer::Stats;
