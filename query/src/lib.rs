//! From a PromQL question to an answer.
//!
//! Place in the flow: HTTP API, rules, backtest → **`Engine`** → `promql` (text to tree) → the leaf
//! `PromFragmentExec` (scan, look-back or range function, first partial aggregate) → evaluator →
//! `Answer`.
//!
//! Not here: the language itself (`promql`), the store, SQL (`sql`), JSON (dashboards).

/// Admission, deadline and the two questions: at an instant, over a range.
pub mod engine;
/// What can go wrong, by what the caller does next.
pub mod error;
/// What the operator sets, and what one query may ask for.
pub mod settings;
/// Where series come from: the store's contract as the engine needs it.
pub mod source;
/// What an answer is made of.
pub mod value;

pub use engine::Engine;
pub use error::Error;
pub use settings::{Priority, QueryOptions, Settings};
pub use source::Source;
pub use value::{Answer, MatrixSeries, NodeStats, Stats, Value, VectorSample};
