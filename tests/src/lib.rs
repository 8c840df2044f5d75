//! The harness of the end-to-end tests and benchmarks: the real binary, the real servers, from
//! outside.
//!
//! Place in the flow: none; tests/it and tests/bench stand on it. Ports and folders are free ones;
//! every program that is started dies with its handle.

/// A running belfry.
pub mod appliance;
/// A test's web server that records what it was sent.
pub mod fake_inbox;
/// Targets that misbehave.
pub mod fake_target;
/// Random queries that two servers must answer alike.
pub mod grammar;
/// HTTP with a deadline.
pub mod http;
/// Child processes, free ports, waiting for a condition.
pub mod process;
/// Clients of the field under Node.
pub mod node;
/// Python programs in a venv of their own.
pub mod python;
/// A remote-write client.
pub mod remote_write;
/// PostgreSQL, Redis, HAProxy, SMTP and others, started and stopped.
pub mod servers;
/// Certificates.
pub mod tls;
