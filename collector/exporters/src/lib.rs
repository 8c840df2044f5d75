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
/// HAProxy through its statistics socket, as its own page shows it.
pub mod haproxy;
/// This machine, as node_exporter shows it.
pub mod host;
/// PostgreSQL, as postgres_exporter shows it.
pub mod postgres;
/// Redis, as redis_exporter shows it.
pub mod redis;
/// Passwords: given in place or in a file, never shown.
pub mod secret;

/// Collects values into families by name.
mod families;
/// Reads pages of other exporters, to compare ours with.
#[cfg(test)]
mod testing;

use std::sync::Arc;

use model::{Clock, Exporter};

use crate::config::{Config, HaproxySource};
use crate::haproxy::HaproxyExporter;
use crate::host::HostExporter;
use crate::postgres::PostgresExporter;
use crate::redis::RedisExporter;

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
    for one in &config.postgres {
        built.push(Built {
            job: "postgres",
            instance: one.name.clone(),
            interval_ms: one.pace.interval_ms,
            timeout_ms: one.pace.timeout_ms,
            kind: Kind::InProcess(Arc::new(PostgresExporter::new(one.clone()))),
        });
    }
    for one in &config.redis {
        built.push(Built {
            job: "redis",
            instance: one.name.clone(),
            interval_ms: one.pace.interval_ms,
            timeout_ms: one.pace.timeout_ms,
            kind: Kind::InProcess(Arc::new(RedisExporter::new(one.clone()))),
        });
    }
    for one in &config.haproxy {
        let kind = match &one.source {
            HaproxySource::Page { url } => Kind::Scrape { url: url.clone() },
            HaproxySource::Socket { path } => {
                let exporter = HaproxyExporter::new(path.clone(), one.pace.timeout_ms);
                Kind::InProcess(Arc::new(exporter))
            }
        };
        built.push(Built {
            job: "haproxy",
            instance: one.name.clone(),
            interval_ms: one.pace.interval_ms,
            timeout_ms: one.pace.timeout_ms,
            kind,
        });
    }
    built
}

#[cfg(test)]
mod tests {
    use model::clock::SystemClock;

    use super::*;
    use crate::config::{HaproxyConfig, HostConfig, Pace};

    /// Every alarm of the packs fires, stays silent and clears where its test says so.
    #[test]
    fn the_alarm_packs_pass_promtool() {
        for pack in ["host", "postgres", "redis", "haproxy", "belfry"] {
            let rules = testing::packs().join(format!("{pack}.yml"));
            let test = testing::data(&format!("../packs/{pack}.test.yml"));
            for (what, file) in [("check", rules), ("test", test)] {
                let run = std::process::Command::new("promtool")
                    .args([what, "rules"])
                    .arg(&file)
                    .output();
                let output = run.unwrap_or_else(|error| {
                    panic!("run promtool: {error}; install the Debian package prometheus")
                });
                let said = String::from_utf8_lossy(&output.stderr);
                let said = format!("{}{said}", String::from_utf8_lossy(&output.stdout));
                assert!(output.status.success(), "{}: {said}", file.display());
            }
        }
    }

    #[test]
    fn a_haproxy_with_a_page_is_scraped_and_one_with_a_socket_is_read() {
        let haproxy = |name: &str, source| HaproxyConfig {
            name: name.to_owned(),
            source,
            pace: Pace::default(),
        };
        let url = "http://lb1:8404/metrics".to_owned();
        let config = Config {
            host: HostConfig { enabled: false, ..HostConfig::default() },
            haproxy: vec![
                haproxy("lb1", HaproxySource::Page { url: url.clone() }),
                haproxy("edge", HaproxySource::Socket { path: "/run/h.sock".into() }),
            ],
            ..Config::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let built = build(&config, &clock);
        assert_eq!(built.len(), 2);
        assert!(matches!(&built[0].kind, Kind::Scrape { url: own } if *own == url));
        assert!(matches!(&built[1].kind, Kind::InProcess(_)));
        assert_eq!((built[1].job, built[1].instance.as_str()), ("haproxy", "edge"));
        let host = build(&Config::default(), &clock);
        assert_eq!((host[0].job, host[0].interval_ms), ("node", 15_000));
        assert!(!host[0].instance.is_empty());
    }
}
