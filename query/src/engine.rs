//! Admission, deadline and the two questions: at an instant, over a range.
//!
//! Place in the flow: HTTP API and rules → **`Engine`** → parser → evaluator → `Answer`.
//!
//! Not here: the evaluation itself.

use std::sync::Arc;

use model::{Clock, TimestampMs};

use crate::error::Error;
use crate::settings::{QueryOptions, Settings};
use crate::source::Source;
use crate::value::Answer;

/// Answers PromQL. Cloning is cheap; all clones share admission and memory.
#[derive(Clone)]
pub struct Engine {
    _source: Arc<dyn Source>,
    _clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
}

impl Engine {
    /// An engine over one source of series. Spawns nothing.
    pub fn new(source: Arc<dyn Source>, clock: Arc<dyn Clock>, settings: Settings) -> Engine {
        Engine { _source: source, _clock: clock, settings: Arc::new(settings) }
    }

    /// The settings it runs with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Answers a query at one instant.
    pub async fn instant(
        &self,
        text: &str,
        at: TimestampMs,
        options: &QueryOptions,
    ) -> Result<Answer, Error> {
        let _ = (at, options);
        Err(Error::Execution(format!("no evaluator for {text}")))
    }

    /// Answers a query at `start`, `start + step`, … up to `end`.
    pub async fn range(
        &self,
        text: &str,
        start: TimestampMs,
        end: TimestampMs,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<Answer, Error> {
        let _ = (start, end, step_ms, options);
        Err(Error::Execution(format!("no evaluator for {text}")))
    }
}
