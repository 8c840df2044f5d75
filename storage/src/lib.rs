//! From a committed batch to a column on disk and back.
//!
//! Place in the flow: [`Append::append`](model::Append::append) → journal → memtable → flush →
//! Parquet block → [`Store::scan`] → query. Labels are asked for by [`Store::series`],
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
/// Label set ↔ number: every series the store knows.
mod series;
/// The newest samples, in memory.
mod memtable;
/// How numbers become few bytes, exactly.
mod encoding;
/// An immutable time range on disk.
mod block;
/// Which series match.
mod index;
/// Reading samples: the memtable and the blocks as one.
pub mod scan;
/// Figures about the store.
pub mod stats;

pub use error::Error;
pub use scan::Scan;
pub use settings::Settings;
pub use stats::Stats;
pub use store::{SeriesEntry, Store};
