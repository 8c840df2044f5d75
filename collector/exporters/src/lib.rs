//! What we read ourselves and show under the field's usual metric names: the host, PostgreSQL,
//! Redis and HAProxy.
//!
//! Place in the flow: `exporters:` of belfry.yml → [`config::read`] → [`build`] → the collector asks
//! each [`Built`] as it would scrape a target.
//!
//! Each exporter is three parts: *read* (input and output, with a deadline), *map* (a pure function
//! from what was read to families) and names (exactly those of the field's own exporter, so that
//! existing dashboards and rules work unchanged). A watched server that is down is an answer
//! (`pg_up 0`), not an error.
//!
//! Not here: schedules, `up`, staleness, limits (collector); the text format (collector).

/// The `exporters:` section of belfry.yml.
pub mod config;
/// This machine, as node_exporter shows it.
pub mod host;
/// Passwords: given in place or in a file, never shown.
pub mod secret;

/// Collects values into families by name.
mod families;
/// Reads pages of other exporters, to compare ours with.
#[cfg(test)]
mod testing;

use std::sync::Arc;

use model::{Clock, Exporter};

use crate::config::Config;
use crate::host::HostExporter;

/// One thing the collector asks at an interval.
pub struct Built {
    /// The `job` label.
    pub job: &'static str,
    /// The `instance` label.
    pub instance: String,
    /// How often it is asked.
    pub interval_ms: u64,
    /// How long one asking may take.
    pub timeout_ms: u64,
    /// How it is asked.
    pub kind: Kind,
}

/// How the collector gets the families of one [`Built`].
pub enum Kind {
    /// By calling us.
    InProcess(Arc<dyn Exporter>),
    /// By scraping the watched program's own endpoint.
    Scrape {
        /// The full address of the metrics page.
        url: String,
    },
}

/// Turns the section into things to ask. Touches nothing: no file, no address, no task.
pub fn build(config: &Config, clock: &Arc<dyn Clock>) -> Vec<Built> {
    let mut built = Vec::new();
    if config.host.enabled {
        built.push(Built {
            job: "node",
            instance: host::host_name(),
            interval_ms: config.host.pace.interval_ms,
            timeout_ms: config.host.pace.timeout_ms,
            kind: Kind::InProcess(Arc::new(HostExporter::new(&config.host, clock.clone()))),
        });
    }
    built
}
