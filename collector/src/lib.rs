//! From a target to a committed batch: discovery, schedule, scrape, formats, relabelling, staleness,
//! push receivers.
//!
//! Place in the flow: targets and pushing clients → **collector** → `model::Append` → storage.
//!
//! Invariants: a scrape is one transaction; every read has a byte limit, every wait a deadline;
//! no connection is dialled except to a host that the configuration names ([`http::HttpClient`]).
//!
//! Not here: what is stored (storage, behind `Append`), what in-process exporters read (exporters).

/// What an operator writes under `global` and `scrape_configs`.
pub mod config;

/// Where targets come from: lists and files.
pub mod discovery;

/// One target: who it is, where it is, how it is labelled.
pub mod target;

/// The room as one component: new, start, reload, stop.
mod collector;

/// The running targets of one job.
mod pool;

/// The loop of one target.
mod worker;

/// When a target is due, and which time its samples get.
mod schedule;

/// Asks a target for its page.
mod scrape;

/// The only dialler: allow-list, deadline, byte limit.
pub mod http;

/// The text formats of a scraped page.
pub mod exposition;

/// One page becomes one batch: cache, renaming, relabelling, limits.
mod pass;

/// The page before, as hashes of its lines.
mod recall;

/// Rules that rewrite, keep and drop label sets.
pub mod relabel;

/// Which series a target stopped reporting.
mod staleness;

/// The series that each scrape reports about itself.
mod report;

/// Batches on their way to the store, and those that wait for it.
mod deliver;

/// Doors for clients that push.
pub mod push;

/// What an operator sees of the targets, and the counters.
pub mod status;

pub use collector::{Collector, Parts, Source};
pub use config::Config;
pub use http::HttpClient;
pub use scrape::credentials;
pub use status::{Dropped, Health, RelabelStep, Stats, TargetStatus};

#[cfg(test)]
mod tests;
