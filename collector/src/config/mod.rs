//! What an operator writes under `global` and `scrape_configs`.
//!
//! Place in the flow: YAML tree → **`read`** → [`Config`] → `Collector::start` or `reload`.
//!
//! Not here: the other root keys (the binary reads them), files the configuration points to.

use model::Labels;
use model::fields::Problems;
use model::yaml::Node;

/// Everything the collector is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Defaults and labels of the whole server.
    pub global: Global,
}

/// The `global` section.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Global {
    /// How often targets are scraped.
    pub scrape_interval_ms: u64,
    /// The deadline of one scrape.
    pub scrape_timeout_ms: u64,
    /// How often rules are evaluated (read here, used by rules).
    pub evaluation_interval_ms: u64,
    /// How far in the past rules are evaluated (read here, used by rules).
    pub rule_query_offset_ms: u64,
    /// Labels of everything that leaves this server.
    pub external_labels: Labels,
}

/// Reads `global` and `scrape_configs` of a configuration's root; other root keys are not looked at.
pub fn read(root: &Node, problems: &Problems) -> Config {
    let _ = (root, problems);
    Config::default()
}
