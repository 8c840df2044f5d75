//! The same data by SQL: one read-only statement over the tables `samples` and `series`.
//!
//! Place in the flow: dashboards' `/api/v1/sql` → **`Session::query`** → DataFusion's planner → the
//! store's scan, the same that PromQL reads through.
//!
//! This is the only room that takes the whole of DataFusion. Nothing here can write, open a file or
//! reach the network.
//!
//! Not here: PromQL (query), the HTTP shape (dashboards).

/// The tables' columns, filled from the store.
mod columns;
/// Names, times and filters: from SQL expressions to matchers and a range.
mod filter;
/// Cells as JSON.
mod json;
/// One statement: plan, run, collect.
pub mod session;
/// The tables as DataFusion sees them.
mod tables;

pub use session::{Answer, Error, Session, Settings};
