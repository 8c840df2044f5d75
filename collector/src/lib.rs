//! From a target to a committed batch: discovery, schedule, scrape, formats, relabelling, staleness,
//! push receivers.
//!
//! Place in the flow: targets and pushing clients → **collector** → `model::Append` → storage.
//!
//! Invariants: a scrape is one transaction; every read has a byte limit, every wait a deadline;
//! no connection is dialled except to a host that the configuration names ([`http::HttpClient`]).
//!
//! Not here: what is stored (storage, behind `Append`), what in-process exporters read (exporters).

mod collector;
/// What an operator writes under `global` and `scrape_configs`.
pub mod config;
/// Where targets come from: lists and files.
pub mod discovery;
/// The text formats of a scraped page.
pub mod exposition;
/// The only dialler: allow-list, deadline, byte limit.
pub mod http;
/// Doors for clients that push.
pub mod push;
/// Rules that rewrite, keep and drop label sets.
pub mod relabel;
/// What an operator sees of the targets, and the counters.
pub mod status;
/// One target: who it is, where it is, how it is labelled.
pub mod target;

pub use collector::{Collector, Parts, Source};
pub use config::Config;
pub use http::HttpClient;
pub use status::{Health, Stats, TargetStatus};
