//! What all parts of one query share.
//!
//! Place in the flow: `engine` fills it → **`Context`** → every `Evaluator` of the query.
//!
//! Not here: the steps; a subquery has steps of its own (`evaluate`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use datafusion_execution::TaskContext;
use model::re2::Expression;
use promql::ast::Span;
use promql::duration::DurationContext;

use crate::counts::Looked;
use crate::error::Error;
use crate::explain::Trace;
use crate::known::Known;
use crate::ledger::Ledger;
use crate::notes::Notes;
use crate::settings::Settings;
use crate::source::Source;
use crate::value::NodeStats;

/// Bytes that one step costs beyond the blocks: its instants, windows and scalars.
const STEP_BYTES: usize = 64;

/// The shared parts of one query.
pub struct Context {
    /// The query's text, for positions and the explain view.
    pub text: String,
    /// Where samples come from.
    pub source: Arc<dyn Source>,
    /// The engine's settings.
    pub settings: Arc<Settings>,
    /// How far instant selectors look back.
    pub lookback_ms: i64,
    /// The first instant of the whole query.
    pub start_ms: i64,
    /// The last instant of the whole query.
    pub end_ms: i64,
    /// Its step and range; zero for an instant query.
    pub durations: DurationContext,
    /// The account.
    pub ledger: Ledger,
    /// Warnings and infos.
    pub notes: Notes,
    /// DataFusion's context: memory pool and settings.
    pub task: Arc<TaskContext>,
    /// The runtime that a large leaf takes threads from.
    pub runtime: tokio::runtime::Handle,
    /// Regular expressions that functions were given before.
    pub expressions: Arc<Known<Arc<Expression>>>,
    /// Threads that one leaf may use.
    pub threads: usize,
    /// What each part cost, when that was asked for.
    pub trace: Option<Mutex<Trace>>,
    /// What each selector cost.
    pub nodes: Mutex<Vec<NodeStats>>,
    /// Samples looked at, once per step.
    pub looked: Mutex<Looked>,
    /// Series selected.
    pub series_total: AtomicU64,
}

impl Context {
    /// The part of the query a node was read from.
    pub fn text_of(&self, span: Span) -> &str {
        self.text.get(span.start_byte..span.end_byte).unwrap_or_default()
    }

    /// Counts what was looked at.
    pub fn count(&self, looked: &Looked) {
        self.looked.lock().unwrap_or_else(|held| held.into_inner()).merge(looked);
    }

    /// Refuses more steps than the query's budget or a list column holds, before anything of their
    /// size is made.
    pub fn charge_steps(&self, steps: usize) -> Result<(), Error> {
        if i32::try_from(steps).is_err() {
            return Err(Error::TooManySamples { samples_max: self.settings.samples_max });
        }
        self.ledger.charge(0, steps.saturating_mul(STEP_BYTES)).map(drop)
    }

    /// Refuses more series of one selector than allowed.
    pub fn refuse_too_many(&self, span: Span, series: usize) -> Result<(), Error> {
        let series_max = self.settings.series_max;
        if series_max == 0 || series <= series_max {
            return Ok(());
        }
        let selector = self.text_of(span).to_owned();
        Err(Error::TooManySeries { selector, series, series_max })
    }

    /// Refuses a selector whose values can't fit into the query's budget, before a sample is read.
    pub fn refuse_too_large(&self, span: Span, series: usize, steps: usize) -> Result<(), Error> {
        let bytes = series.saturating_mul(steps).saturating_mul(size_of::<f64>());
        let bytes_max = self.ledger.bytes_max();
        if bytes <= bytes_max {
            return Ok(());
        }
        let selector = self.text_of(span).to_owned();
        Err(Error::TooLarge { selector, series, steps, bytes, bytes_max })
    }

    /// Remembers what a selector cost.
    pub fn record(&self, node: NodeStats, looked: &Looked) {
        self.count(looked);
        self.series_total.fetch_add(node.series, Ordering::Relaxed);
        self.nodes.lock().unwrap_or_else(|held| held.into_inner()).push(node);
    }
}
