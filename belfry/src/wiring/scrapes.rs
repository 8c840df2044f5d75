//! Exporters and Belfry itself as sources and jobs of the collector.
//!
//! Place in the flow: `exporters:` of belfry.yml → [`exporters::build`] → in-process sources, or
//! scrape jobs for what exposes metrics itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use collector::Source;
use exporters::Kind;
use model::fields::Problems;
use model::yaml::{self, Node};
use model::{Clock, Exporter, Labels};
use url::Url;

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
    let Ok(url) = Url::parse(url) else {
        // The exporters section has been checked; without an address there is no target.
        return format!("scrape_configs:\n- job_name: {name:?}\n");
    };
    let host = url.host_str().unwrap_or("");
    let address = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    let mut text = format!(
        "scrape_configs:\n- job_name: {name:?}\n  scheme: {}\n  metrics_path: {:?}\n  \
         static_configs: [{{targets: [{address:?}], labels: {{job: {job:?}, instance: {instance:?}}}}}]\n",
        url.scheme(),
        url.path()
    );
    let mut params: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in url.query_pairs() {
        params.entry(key.into_owned()).or_default().push(value.into_owned());
    }
    if !params.is_empty() {
        text.push_str(&format!("  params: {params:?}\n"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or("")));
        text.push_str(&format!("  basic_auth: {{username: {user:?}, password: {password:?}}}\n"));
    }
    text
}

/// A part of an address without its percent signs.
fn decoded(text: &str) -> String {
    let form = format!("k={}", text.replace('+', "%2B").replace('&', "%26"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
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
    use collector::config::client::{Auth, Secret, Source};

    use super::*;

    #[test]
    fn a_native_endpoint_is_a_job() {
        let url = "http://ad%40min:hush+1@h:8404/m%20x?scope=a&scope=b";
        let jobs = jobs(&job_text("exporters/haproxy/edge", "edge", "haproxy", url));
        assert_eq!(jobs.len(), 1);
        let job = &jobs[0];
        assert_eq!((job.name.as_str(), job.scheme.as_str()), ("exporters/haproxy/edge", "http"));
        assert_eq!(job.metrics_path, "/m%20x");
        assert_eq!(job.params, [("scope".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        assert_eq!(job.groups[0].addresses, ["h:8404"], "no password in a label");
        let secret = |text: &str| Source::Inline(Secret(text.to_owned()));
        let expected = Auth::Basic { username: secret("ad@min"), password: secret("hush+1") };
        assert_eq!(job.client.auth, Some(expected));
    }
}
