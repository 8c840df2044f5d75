//! The same data by SQL: read-only statements over tables of samples, series, histograms, alerts and
//! notifications, and a table per metric; over HTTP and the Postgres wire.
//!
//! Place in the flow: dashboards' `/api/v1/sql` and [`wire`] → **[`Session::query`]** → DataFusion's
//! planner → the store's readers, the same that PromQL reads through.
//!
//! This is the only room that takes the whole of DataFusion. Nothing here can write, open a file or
//! reach the network.
//!
//! Not here: PromQL (query), the HTTP shape (dashboards).

/// What can go wrong, by what the caller does next.
pub mod error;
/// What a statement does, read from its text.
mod statement;
/// Which columns a table has.
mod shape;
/// From SQL conditions to matchers and a range.
mod filter;
/// Which schemas and tables there are.
mod catalog;
/// The functions that clients ask their server about itself with.
mod functions;
/// The tables over the store as DataFusion sees them.
mod table;
/// Tables of what other rooms tell.
pub mod told;
/// Reading one table for one statement.
mod reading;
/// The tables' columns, filled from the store.
mod columns;
/// Threads that compute statements.
mod cores;
/// Statements: plan, admit, run, hand out.
pub mod session;
/// Cells as JSON.
mod json;
/// Rows as bytes.
pub mod output;
/// The Postgres wire.
pub mod wire;

pub use arrow::record_batch::RecordBatch;
pub use error::Error;
pub use json::row_values;
pub use session::{Parts, Rows, Session};
