//! What the operator sets for all queries, and what one query may ask for.
//!
//! Place in the flow: belfry's config → **`Settings`** → `engine`; API parameters → `QueryOptions`.
//!
//! Not here: the 11,000 steps of the HTTP API (dashboards).

use std::sync::Arc;

use model::Matcher;
use tokio_util::sync::CancellationToken;

use crate::counts::Counting;

/// Look-back, limits and language switches of one engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How far an instant selector looks back.
    pub lookback_ms: i64,
    /// Most samples one query may hold.
    pub samples_max: usize,
    /// Longest a query may take, waiting included.
    pub timeout_ms: u64,
    /// Most bytes one query may hold.
    pub memory_bytes_max: usize,
    /// Most bytes all queries may hold together; a quarter of it is for rules alone.
    pub memory_bytes_max_all: usize,
    /// Most series one selector may choose; 0: any number that fits the memory.
    pub series_max: usize,
    /// Queries that may wait for a place; more are refused at once.
    pub queue_max: usize,
    /// Queries evaluated at the same time.
    pub concurrent_max: usize,
    /// How many of `concurrent_max` only rules may take, so that a dashboard cannot starve an alarm.
    pub reserved_for_rules: usize,
    /// The step of `[1h:]`.
    pub default_subquery_step_ms: i64,
    /// Metric names are dropped at the end of the query rather than by each function.
    pub delayed_name_removal: bool,
    /// `limitk`, `limit_ratio`, `info`, `mad_over_time` and the other experimental names.
    pub experimental_functions: bool,
    /// `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lookback_ms: 5 * 60 * 1000,
            samples_max: 50_000_000,
            timeout_ms: 2 * 60 * 1000,
            memory_bytes_max: 1024 * 1024 * 1024,
            memory_bytes_max_all: 2 * 1024 * 1024 * 1024,
            series_max: 0,
            queue_max: 1000,
            concurrent_max: 20,
            reserved_for_rules: 4,
            default_subquery_step_ms: 60 * 1000,
            delayed_name_removal: true,
            experimental_functions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// A person or a dashboard.
    #[default]
    Interactive,
    /// A rule; may use the reserved capacity.
    Rule,
}

/// What one query asks for beyond its text. Values above the engine's settings are cut to them.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// Another look-back for this query.
    pub lookback_ms: Option<i64>,
    /// A shorter deadline for this query.
    pub timeout_ms: Option<u64>,
    /// A lower sample limit for this query.
    pub samples_max: Option<usize>,
    /// Who asks.
    pub priority: Priority,
    /// What the caller says of itself, for the list of running queries.
    pub origin: String,
    /// Matchers that every series must pass for the caller to see it; none: it sees everything.
    pub scope: Arc<[Matcher]>,
    /// Who asks, when that is known; for the list of running queries and the log.
    pub user: String,
    /// Whether each part of the query is measured, for the explain view.
    pub is_explained: bool,
    /// Whether the samples that each step looks at are counted by themselves.
    pub counts_steps: bool,
    /// Cancels the query from outside; dropping the future cancels it too.
    pub cancel: Option<CancellationToken>,
}

impl QueryOptions {
    /// Which samples are counted.
    pub(crate) fn counting(&self) -> Counting {
        if self.counts_steps { Counting::Steps } else { Counting::Total }
    }

    /// The options of a rule's query.
    pub fn rule() -> QueryOptions {
        QueryOptions { priority: Priority::Rule, ..QueryOptions::default() }
    }
}
