//! Exporters and Belfry itself as sources and jobs of the collector.
//!
//! Place in the flow: `exporters:` of belfry.yml → [`exporters::build`] → in-process sources, or
//! scrape jobs for what exposes metrics itself.

use std::sync::Arc;

use collector::Source;
use exporters::Kind;
use model::fields::Problems;
use model::yaml::{self, Node};
use model::{Clock, Exporter, Labels};

use crate::config::Config;
use crate::roles::{Roles, Service};
use crate::telemetry::SelfMetrics;

/// How often Belfry scrapes itself.
const SELF_INTERVAL_MS: u64 = 15_000;
/// The deadline of that.
const SELF_TIMEOUT_MS: u64 = 5_000;

/// What the collector is told.
#[derive(Default)]
pub struct Scrapes {
    /// Jobs.
    pub config: collector::Config,
    /// In-process sources.
    pub sources: Vec<Source>,
}

impl Scrapes {
    /// Everything that this process watches.
    pub fn new(
        config: &Config,
        roles: &Roles,
        metrics: &SelfMetrics,
        clock: &Arc<dyn Clock>,
    ) -> Scrapes {
        let mut scrapes = Scrapes {
            config: config.collector.clone(),
            sources: vec![Source {
                job: "belfry".to_owned(),
                instance: exporters::host::host_name(),
                labels: Labels::empty(),
                interval_ms: SELF_INTERVAL_MS,
                timeout_ms: SELF_TIMEOUT_MS,
                exporter: Arc::new(metrics.clone()) as Arc<dyn Exporter>,
            }],
        };
        if roles.has(Service::Exporters) {
            for built in exporters::build(&config.exporters, clock) {
                scrapes.add(built);
            }
        }
        scrapes
    }

    fn add(&mut self, built: exporters::Built) {
        match built.kind {
            Kind::InProcess(exporter) => self.sources.push(Source {
                job: built.job.to_owned(),
                instance: built.instance,
                labels: Labels::empty(),
                interval_ms: built.interval_ms,
                timeout_ms: built.timeout_ms,
                exporter,
            }),
            Kind::Scrape { url } => {
                let name = format!("exporters/{}/{}", built.job, built.instance);
                let text = job_text(&name, &built.instance, built.job, &url)
                    + &format!(
                        "  scrape_interval: {}ms\n  scrape_timeout: {}ms\n",
                        built.interval_ms, built.timeout_ms
                    );
                self.config.jobs.extend(jobs(&text));
            }
        }
    }
}

/// One job in the language that the collector reads anyway.
fn job_text(name: &str, instance: &str, job: &str, url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (address, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/metrics"),
    };
    format!(
        "scrape_configs:\n- job_name: {name:?}\n  scheme: {scheme}\n  metrics_path: {path:?}\n  \
         static_configs: [{{targets: [{address:?}], labels: {{job: {job:?}, instance: {instance:?}}}}}]\n"
    )
}

fn jobs(text: &str) -> Vec<collector::config::Job> {
    let root = yaml::parse(text).unwrap_or_else(|_| Node::null());
    let problems = Problems::new("exporters");
    let config = collector::config::read(&root, &problems);
    for problem in problems.into_list() {
        // The exporters section has been checked; what is wrong here is wrong with us.
        tracing::error!("scrape job of an exporter: {problem}");
    }
    config.jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_endpoint_is_a_job() {
        let text = job_text("exporters/haproxy/edge", "edge", "haproxy", "http://h:8404/m?x=1");
        let jobs = jobs(&text);
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].name, "exporters/haproxy/edge");
    }
}
