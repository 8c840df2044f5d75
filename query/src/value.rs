//! What an answer is made of.
//!
//! Place in the flow: evaluator → **`Answer`** → HTTP API, rules, unit tests.
//!
//! Not here: JSON (dashboards), the blocks that flow inside the engine (`block`).

use std::sync::Arc;

use model::{Histogram, Labels, TimestampMs};
use promql::ast::Span;
use storage::Reads;

use crate::explain::Node;
use crate::ledger::Charge;

/// The answer to one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// `PromQL warning: … (line:col)`, each once.
    pub warnings: Vec<String>,
    /// `PromQL info: … (line:col)`, each once.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: Stats,
    /// Its memory in the query's budget, for as long as it lives.
    pub held: Held,
}

/// Memory that an answer holds in the budgets; given back with the last copy of it.
#[derive(Debug, Clone, Default)]
pub struct Held {
    _charge: Option<Arc<Charge>>,
}

impl Held {
    /// Holds what was charged.
    pub(crate) fn new(charge: Charge) -> Held {
        Held { _charge: Some(Arc::new(charge)) }
    }
}

impl PartialEq for Held {
    /// Two answers are equal whatever they are charged for.
    fn eq(&self, _: &Held) -> bool {
        true
    }
}

/// A result of one of the four types.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar {
        /// The instant it was computed for.
        at: TimestampMs,
        /// The number.
        value: f64,
    },
    /// One string.
    Text {
        /// The instant it was computed for.
        at: TimestampMs,
        /// The string.
        text: String,
    },
    /// One sample per series, all at the same instant (but for a bare selector's own order).
    Vector(Vec<VectorSample>),
    /// Points over time per series, sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// The word the HTTP API uses: `scalar`, `string`, `vector` or `matrix`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Scalar { .. } => "scalar",
            Value::Text { .. } => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        }
    }
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// Whose value.
    pub labels: Labels,
    /// When.
    pub at: TimestampMs,
    /// The value; not a number when there is a histogram instead.
    pub value: f64,
    /// The histogram, when it is no number.
    pub histogram: Option<Arc<Histogram>>,
}

/// One series of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// Whose values.
    pub labels: Labels,
    /// Numbers, instants ascending.
    pub points: Vec<(TimestampMs, f64)>,
    /// Histograms, instants ascending; no instant is in both lists.
    pub histograms: Vec<(TimestampMs, Arc<Histogram>)>,
}

/// What a query cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Series that the selectors touched.
    pub series: u64,
    /// Samples that went into the answer, counted once per step that looked at them, as upstream's
    /// `totalQueryableSamples`.
    pub samples_total: u64,
    /// The same for each step, from the first on; empty unless it was asked for.
    pub samples_by_step: Vec<u64>,
    /// Samples read from the store, each once.
    pub samples_read: u64,
    /// Most samples held at once.
    pub samples_peak: u64,
    /// Most bytes held at once.
    pub bytes_peak: u64,
    /// Waiting for admission.
    pub queue_us: u64,
    /// Reading the text and choosing series.
    pub prepare_us: u64,
    /// Evaluating.
    pub eval_us: u64,
    /// One entry per selector, for the explain view.
    pub nodes: Vec<NodeStats>,
    /// What each part of the query cost, when that was asked for.
    pub tree: Option<Box<Node>>,
}

/// What one selector cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeStats {
    /// The selector as text.
    pub text: String,
    /// Where it stands in the query.
    pub span: Span,
    /// Series selected.
    pub series: u64,
    /// Samples read from the store.
    pub samples: u64,
    /// Bytes of the blocks produced.
    pub bytes: u64,
    /// Time spent in the leaf.
    pub time_us: u64,
    /// What was read of the disk.
    pub reads: Reads,
}
