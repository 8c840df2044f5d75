//! From a PromQL question to an answer.
//!
//! Place in the flow: HTTP API, rules, backtest → **`Engine`** → `promql` (text to tree) → the leaf
//! `PromFragmentExec` (scan, look-back or range function, first partial aggregate) → evaluator →
//! `Answer`.
//!
//! Not here: the language itself (`promql`), the store, SQL (`sql`), JSON (dashboards).

/// What the operator sets, and what one query may ask for.
pub mod settings;
/// Admission, deadline and the two questions: at an instant, over a range.
pub mod engine;
/// Which queries are too small to be worth another thread.
mod small;
/// What can go wrong, by what the caller does next.
pub mod error;
/// Memory of each query and of all.
pub mod pool;
/// What a query holds and how long it may go on.
pub mod ledger;
/// The queries that wait or run now.
pub mod running;
/// What was made of texts before.
pub mod known;
/// A place among the queries that run.
pub mod seat;
/// What panels of dashboards have cost.
pub mod cost;
/// How queries ended, and how long their parts took.
pub mod tally;
/// How many samples a query looked at.
pub mod counts;
/// What all parts of one query share.
pub mod context;
/// The evaluator: one value per node of the tree.
pub mod evaluate;
/// Functions of the language.
mod function;
/// Where series come from: the store's contract as the engine needs it.
pub mod source;
/// The store as callers with a label scope see it.
mod scoped;
/// The one DataFusion operator.
pub mod fragment;
/// Plain functions over the samples of one series.
pub mod kernel;
/// Native histograms: windows, groups and operators over them.
mod histogram;
/// The series block.
pub mod block;
/// Aggregation that streams.
pub mod fold;
/// Labels with a meaning of their own in queries.
pub mod names;
/// Warnings and infos.
pub mod notes;
/// From what the evaluator gives to an answer.
mod answer;
/// What each part of a query cost.
pub mod explain;
/// What an answer is made of.
pub mod value;

pub use engine::Engine;
pub use error::Error;
pub use ledger::{Charge, Ledger};
pub use running::{Failure, FailureKind, Finished, Heading, Language, Observer, Running};
pub use seat::Seat;
pub use settings::{Priority, QueryOptions, Settings};
pub use source::{Batches, Run, SeriesReader, Source, Want};
pub use value::{Answer, Held, MatrixSeries, NodeStats, Stats, Value, VectorSample};
