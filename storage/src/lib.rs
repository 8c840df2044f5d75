//! From a committed batch to a column on disk and back.
//!
//! Place in the flow: [`Append::append`](model::Append::append) → journal → memtable → flush →
//! Parquet block → [`Store::scan`] → query. Labels are asked for by [`Store::series`],
//! [`Store::label_names`] and [`Store::label_values`].
//!
//! Not here: where samples come from (collector), what is computed from them (query), how bytes
//! survive a power cut (journal).

/// An immutable time range on disk.
mod block;
/// From a queued batch to a durable, visible one.
mod commit;
/// How numbers become few bytes, exactly.
mod encoding;
/// What can go wrong, by what the caller does next.
pub mod error;
/// From memory to blocks.
mod flush;
/// Registry, index and memtable in step.
mod head;
/// Which series match.
mod index;
/// Which blocks there are.
mod manifest;
/// The newest samples, in memory.
mod memtable;
/// What is on disk becomes what is in memory.
mod open;
/// What of a group of batches is taken.
mod plan;
/// Batches on their way to the committer.
mod queue;
/// The records of the journal.
mod record;
/// Reading samples: the memtable and the blocks as one.
pub mod scan;
/// Questions about labels.
mod select;
/// Label set ↔ number: every series the store knows.
mod series;
/// Limits and ranges an operator may set.
pub mod settings;
/// What threads and callers share.
mod shared;
/// Rows of memory and blocks as one.
mod source;
/// Figures about the store.
pub mod stats;
/// The whole store: open, append, ask, flush, close.
pub mod store;

pub use error::Error;
pub use scan::Scan;
pub use settings::Settings;
pub use stats::Stats;
pub use store::{SeriesEntry, Store};
