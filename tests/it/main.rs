//! End-to-end tests: the real binary, real servers, real faults.
//!
//! One test binary, so that it links once. Each test has its own folder and ports.

/// Encryption, logins, roles and label scopes, with the clients of the field.
mod access;
/// Requests made up by the OpenAPI document.
mod api;
/// Backup, verify, restore, of a running server too, to a folder and to a bucket.
mod backup;
/// Bad configurations, bad targets, bad queries, a full disk: a clear error each, nothing lost.
mod bad_input;
/// promtool, Prometheus, a Python library, three front ends' clients.
mod clients;
/// Starting without a configuration, reload, stop.
mod command_line;
/// The same node_exporter by Prometheus and by Belfry: the same answers.
mod compare;
/// kill -9 while it ingests.
mod crash;
/// PostgreSQL, Redis, HAProxy → alarm → mail and webhook, firing, then resolved.
mod end_to_end;
/// Files for Grafana, and that none of their panels asks for what is not there.
mod grafana;
/// A Prometheus data directory and OpenMetrics text, imported: the same answers.
mod import;
/// Queries that ask for too much: refused, killed, and no alarm waits for them.
mod limits;
/// The page in a real browser.
mod page;
/// A real Prometheus pushes to Belfry.
mod push;
/// `belfry query`, `check` and `promql` beside Debian's promtool.
mod query_command;
/// A secret in every place that may hold one, and none of them shown.
mod secrets;
/// SQL by HTTP and on the Postgres wire; what queries cost.
mod sql;
