//! One table of all routes, from which the router and the OpenAPI document both come, so that a
//! route without description can't exist.
//!
//! Place in the flow: handlers → **`table`** → [`crate::server::router`] (what is served),
//! [`document`] (what is told), `access` (who may).
//!
//! A new route is one entry in `table.rs`: [`Route::new`], its handler, its parameters, its answer.

/// What is told of values: shapes of bodies and answers.
pub mod shape;
/// The parameters that several routes share.
pub mod parameter;
/// One route: path, verbs, role, handler and description.
pub mod route;
/// Every route.
mod table;
/// Shapes of the answers' data.
mod data;
/// From the table to the document.
mod document;
/// `/api/v1/openapi.yaml` and the page that shows it.
pub mod serve;

pub use document::document;
pub use route::{Access, Answer, Body, Route, Verb};
pub use table::table;
