//! Reads what other servers left on disk: a Prometheus data directory (blocks and write-ahead log)
//! and OpenMetrics text, as batches for the store.
//!
//! Place in the flow: files of another server → **import** → `model::Batch` → `Append`, or a remote
//! write request to a running server.
//!
//! Invariants: memory is bounded by the largest series, not by the folder; what is damaged is named
//! and skipped, whatever its bytes are; nothing is written to the source.
//!
//! Not here: where the batches go (belfry/cli), scraping and pushing (collector).

/// What can go wrong, by what the caller does next.
pub mod error;
/// Whole numbers and texts in bytes.
mod bytes;
/// Single bits, and numbers of a few bits.
mod bits;
/// Chunks of plain values.
pub mod xor;
/// Chunks of native histograms.
pub mod histogram;
/// Files of chunks.
mod chunks;
/// The index of a block: symbols and series.
mod index;
/// Deletions of a block.
mod tombstones;
/// Block folders: what they hold, series by series.
mod block;
/// The pages of a write-ahead log.
mod segments;
/// The records of a write-ahead log.
pub mod record;
/// The write-ahead log: series, then samples, record by record.
mod wal;
/// A whole Prometheus data directory, as batches.
pub mod prometheus;
/// OpenMetrics text, as batches.
pub mod openmetrics;
/// Batches as remote write requests.
pub mod remote_write;

/// Writes what the readers read.
#[cfg(test)]
mod testing;

pub use error::Error;
pub use prometheus::{Folder, Options, Progress};
