//! The store through its public door: against a plain map, through power cuts, full disks and
//! damage.
//!
//! Not here: the parts alone (their own tests beside them).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "all of this crate is tests")]

/// Histograms, starts, exemplars and metadata.
mod beside;
/// The same in any order of steps.
mod beside_steps;
/// Readers, writers and flushes at the same time.
mod concurrency;
/// Power cuts at every operation.
mod crash;
/// Damage on disk.
mod damage;
/// Deletions that meet newer samples and exemplars.
mod deletions;
/// A flipped bit and a lost sector in every file.
mod flips;
/// A full disk, and one that refuses to read.
mod full;
/// Questions about labels.
mod labels;
/// Limits of series, and who met them.
mod limits;
/// Samples out of order, and the same ones twice.
mod late;
/// Any order of appends, flushes, merges, deletions and restarts.
mod model_test;
/// A store as plain maps.
mod naive;
/// DuckDB and pyarrow read a block.
mod other_tools;
/// What is refused and when nothing is taken.
mod refusal;
/// Pictures of a running store in another folder.
mod snapshot;
/// Merges, retention, deletions.
mod upkeep;
/// What the tests share.
mod support;
/// Many series at once, and what they cost.
mod throughput;
