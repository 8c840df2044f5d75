//! The one binary: command line, config, roles, wiring, start, reload, stop, own telemetry.
//!
//! Place in the flow: above everything; it composes the rooms and owns nothing of what they do.
//! Only this crate reads the environment and ends the process.

/// The command line: `run`, `backup`, `restore`, `check config`, `version`.
pub mod cli;
/// The services a process can play, and which need each other.
pub mod roles;
/// belfry.yml and the files it names.
pub mod config;
/// The data folder: created, found, held by one process at a time.
pub mod data_folder;
/// Pictures of everything durable of a running process.
pub mod snapshots;
/// One line for each query that ends.
pub mod query_log;
/// The rooms joined: who gets whose handle.
pub mod wiring;
/// The whole as one component: new, start, reload, stop.
pub mod app;
/// Signals: stop and reload.
pub mod signals;
/// Logs and own metrics.
pub mod telemetry;
