//! The room as one component: new, start, reload, stop.
//!
//! Place in the flow: the binary's wiring builds it from parts and hands it the configuration.
//!
//! Not here: one pool of targets (`pool`), one scrape (`scrape`).

use std::sync::Arc;
use std::time::Duration;

use model::{Append, Clock, Exporter, Labels};

use crate::config::Config;
use crate::http::HttpClient;
use crate::status::{Stats, TargetStatus};

/// What the room is plugged into.
#[derive(Clone)]
pub struct Parts {
    /// Where batches go.
    pub append: Arc<dyn Append>,
    /// Tells the present.
    pub clock: Arc<dyn Clock>,
    /// The only dialler.
    pub http: Arc<HttpClient>,
    /// Spreads the scrapes of several servers over the interval.
    pub seed: u64,
}

/// An exporter inside the process, scraped like a target.
#[derive(Clone)]
pub struct Source {
    /// The `job` label.
    pub job: String,
    /// The `instance` label.
    pub instance: String,
    /// Further labels of every series.
    pub labels: Labels,
    /// How often it is asked.
    pub interval_ms: u64,
    /// The deadline of one answer.
    pub timeout_ms: u64,
    /// What is asked.
    pub exporter: Arc<dyn Exporter>,
}

/// Scrapes every target of the configuration and commits what it finds.
pub struct Collector {
    parts: Parts,
}

impl Collector {
    /// An idle collector.
    pub fn new(parts: Parts) -> Collector {
        Collector { parts }
    }

    /// Begins to scrape.
    pub fn start(&self, config: Config, sources: Vec<Source>) {
        let _ = (&self.parts, config, sources);
    }

    /// Takes another configuration. Targets that stay the same keep their state and schedule.
    pub async fn reload(&self, config: Config, sources: Vec<Source>) {
        let _ = (config, sources);
    }

    /// Ends all scrapes and waits for those that run, at most as long as told.
    pub async fn stop(&self, deadline: Duration) {
        let _ = deadline;
    }

    /// All targets, by pool and address.
    pub fn targets(&self) -> Vec<TargetStatus> {
        Vec::new()
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
