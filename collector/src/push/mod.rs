//! Doors for clients that push instead of being scraped: remote write 1.0 and 2.0, text import.
//!
//! Place in the flow: dashboards' HTTP API → **`Receiver`** → `model::Batch` → `Append`.
//!
//! One [`Receiver`] serves the process. It remembers the numbers of the series that senders send
//! again and again, so that a known series costs one hash of its raw bytes and no look at its labels.
//!
//! Invariants: a door answers success only after the commit; what is refused is named and counted;
//! no input makes a door take more memory than a small multiple of the limit of a body.
//!
//! Not here: HTTP serving (dashboards), storing (storage, behind `Append`).

/// Why a pushed message was not taken.
mod error;
/// Walks protobuf messages where they lie.
mod protobuf;
/// Unpacks snappy blocks.
mod snappy;
/// Label sets of messages: checked, sorted.
mod labels;
/// Series known from earlier requests.
mod cache;
/// Metric families told in earlier requests.
mod families;
/// A message becomes a batch: what both versions share.
mod decoded;
/// Native histograms of messages.
mod histogram;
/// Remote write 1.0.
mod v1;
/// Remote write 2.0.
mod v2;
/// Text import.
pub mod import;
/// What the doors have done so far.
mod counters;
/// The door itself.
mod receiver;
/// Doors for senders that may not write every series.
mod narrowed;

pub use counters::Stats;
pub use decoded::{Decoded, DoorRefusals};
pub use error::PushError;
pub use receiver::{Answer, Receiver, ReceiverParts, Written};
pub use snappy::unpack_snappy;
pub use v1::decode_v1;
pub use v2::decode_v2;

/// Messages written by hand.
#[cfg(test)]
mod wire;
