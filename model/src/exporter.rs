//! Hinge: an exporter inside the process is asked for its families, as a target would be scraped.
//!
//! Place in the flow: exporters → **`Exporter::collect`** → collector, which treats the answer like
//! a scraped page: `up`, staleness, limits and one commit. Joined in the binary's wiring.
//!
//! Not here: the text format (collector), which names exist (exporters).

use crate::BoxFuture;

/// Gathers metrics from one thing it watches.
pub trait Exporter: Send + Sync + 'static {
    /// Reads everything once. The error is what an operator must know; it makes the target `up` 0.
    /// The caller sets the deadline by dropping the future.
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>>;
}

/// The kind of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only grows, but for resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum`, `_count`.
    Histogram,
    /// Quantiles, `_sum`, `_count`.
    Summary,
    /// Constant 1 with labels.
    Info,
    /// One series per state.
    StateSet,
    /// Nobody said.
    Unknown,
}

impl MetricKind {
    /// The word of `# TYPE` lines and of the metadata API.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
            MetricKind::Unknown => "unknown",
        }
    }
}

/// All series of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The metric's name.
    pub name: String,
    /// One sentence for people.
    pub help: String,
    /// Its kind.
    pub kind: MetricKind,
    /// Its series.
    pub samples: Vec<FamilySample>,
}

/// One value of a family.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilySample {
    /// What follows the family's name: empty, or `_bucket`, `_sum`, `_count`.
    pub suffix: &'static str,
    /// Labels in any order.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

impl Family {
    /// A family without series yet.
    pub fn new(name: impl Into<String>, kind: MetricKind, help: impl Into<String>) -> Family {
        Family { name: name.into(), help: help.into(), kind, samples: Vec::new() }
    }

    /// Adds a value under labels.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Family {
        self.samples.push(FamilySample::new("", labels, value));
        self
    }
}

impl FamilySample {
    /// A value under labels.
    pub fn new(suffix: &'static str, labels: &[(&str, &str)], value: f64) -> FamilySample {
        let owned = labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        FamilySample { suffix, labels: owned.collect(), value }
    }
}
