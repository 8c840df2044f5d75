//! From a committed batch to a column on disk and back.
//!
//! Place in the flow: [`Append::append`](model::Append::append) → journal → memtable → flush →
//! Parquet block → [`Store::read`] → query. Labels are asked for by [`Store::series`],
//! [`Store::label_names`] and [`Store::label_values`].
//!
//! Not here: where samples come from (collector), what is computed from them (query), how bytes
//! survive a power cut (journal).

/// What can go wrong, by what the caller does next.
pub mod error;
/// Limits and ranges an operator may set.
pub mod settings;
/// The whole store: open, append, ask, flush, close.
pub mod store;
/// What threads and callers share.
mod shared;
/// What is on disk becomes what is in memory.
mod open;
/// Batches on their way to the committer.
mod queue;
/// From a queued batch to a durable, visible one.
mod commit;
/// What of a group of batches is taken.
mod plan;
/// What becomes of late samples and duplicates.
mod judge;
/// The records of the journal.
mod record;
/// The record of new series.
mod series_record;
/// Registry, index and memtable in step.
mod head;
/// One thing for each slot, in pages.
mod paged;
/// Label set ↔ number: every series the store knows.
mod series;
/// Every series and its number, beside the journal.
mod series_log;
/// How many series there may be.
pub mod limits;
/// The newest samples, in memory.
mod memtable;
/// How numbers become few bytes, exactly.
mod encoding;
/// A block that is being written.
mod new_block;
/// From memory to blocks.
mod flush;
/// Fewer and larger blocks.
mod compact;
/// What is dropped for its age or size.
mod retention;
/// A full disk: refuse, make room, resume.
mod space;
/// Blocks that the disk refuses to read until it is well again.
mod absent;
/// Blocks are read again once a day.
mod scrub;
/// Series without samples go.
mod forget;
/// An immutable time range on disk.
mod block;
/// Which blocks there are.
mod manifest;
/// A flipped bit turned back.
mod repair;
/// Deletions, and what they hide.
pub mod tombstone;
/// Deletions that are taken back.
mod undelete;
/// Which series match.
mod index;
/// Questions about labels.
mod select;
/// Series in groups by some of their labels.
pub mod grouped;
/// What a series has in blocks and in memory, as one.
mod source;
/// A picture of the running store in another folder.
pub mod snapshot;
/// What series have beside their numbers.
mod beside;
/// Reading samples series by series.
pub mod read;
/// How much of the disk was read.
mod reads;
/// Reading samples as one stream of columns.
pub mod scan;
/// Figures about the store.
pub mod stats;
/// Where series come from.
pub mod cardinality;

pub use beside::Beside;
pub use beside::exemplars::Exemplar;
pub use beside::hooks::SeriesExemplars;
pub use beside::scan::BesideScan;
pub use cardinality::Cardinality;
pub use error::Error;
pub use read::{Reader, SeriesSlice, Want};
pub use reads::Reads;
pub use scan::Scan;
pub use settings::Settings;
pub use stats::{BlockStatus, Stats};
pub use store::{SeriesEntry, Store};
pub use tombstone::{DeletionId, Tombstone, Undone};
