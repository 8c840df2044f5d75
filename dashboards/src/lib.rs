//! What a person or Grafana talks to: the HTTP API and the embedded page.
//!
//! Place in the flow: store, query, rules, alertmanager, collector → **dashboards** → Grafana,
//! browser, command line. The only room that serves HTTP.
//!
//! Not here: starting and stopping the rooms (belfry), what they do.

/// What the server serves from: the rooms that run in this process.
pub mod parts;
/// Who may do what: encryption, logins, roles, label scopes, limits.
pub mod access;
/// `/api/v1` as Prometheus speaks it, and `/api/v2` as Alertmanager does.
pub mod api;
/// `/-/healthy`, `/-/ready`, `/-/reload`, `/metrics`.
pub mod lifecycle;
/// The page at `/`.
pub mod ui;
/// One table of all routes, from which the router and the OpenAPI document come.
pub mod openapi;
/// Connections: accepted, encrypted, served, ended.
mod serving;
/// How often each route was asked, and what it answered.
pub mod requests;
/// What every request passes on its way to its route.
mod front;
/// Listening, the router, shutting down.
pub mod server;
/// Provisioning of Grafana: data sources and dashboards.
pub mod grafana;

pub use parts::{Admin, Control, Gate, Parts, Web};
pub use requests::Requests;
pub use server::{Server, ServerError};
