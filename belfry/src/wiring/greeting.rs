//! What an operator reads first: what is watched, where the page is, where the data lies.

use std::net::SocketAddr;
use std::path::Path;

use crate::cli::VERSION;
use crate::config::Config;
use crate::roles::{Roles, Service};

/// The first lines.
pub fn greeting(config: &Config, roles: &Roles, web: Option<SocketAddr>, data: &Path) -> String {
    let mut lines = vec![format!("Belfry {VERSION}, services: {}", roles.names())];
    lines.push(format!("  watching  {}", watched(config, roles)));
    match web {
        Some(address) => {
            let scheme = if config.web.access.is_encrypted { "https" } else { "http" };
            lines.push(format!("  page      {scheme}://{address}/"));
        }
        None => lines.push("  page      none: the service web does not run here".to_owned()),
    }
    lines.push(format!("  data      {}", data.display()));
    lines.push(format!("  alarms    {}", alarms(config, roles)));
    lines.join("\n")
}

fn watched(config: &Config, roles: &Roles) -> String {
    let mut parts = Vec::new();
    if roles.has(Service::Exporters) {
        let exporters = &config.exporters;
        if exporters.host.enabled {
            parts.push(format!("this host ({})", exporters::host::host_name()));
        }
        for (count, what) in [
            (exporters.postgres.len(), "PostgreSQL"),
            (exporters.redis.len(), "Redis"),
            (exporters.haproxy.len(), "HAProxy"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
    }
    if roles.has(Service::Collect) {
        match config.collector.jobs.len() {
            0 => {}
            1 => parts.push("1 scrape job".to_owned()),
            jobs => parts.push(format!("{jobs} scrape jobs")),
        }
        parts.push("itself".to_owned());
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn alarms(config: &Config, roles: &Roles) -> String {
    if !roles.has(Service::Rules) {
        return "none: the service rules does not run here".to_owned();
    }
    let rules: usize = config.groups.iter().map(|group| group.rules.len()).sum();
    let packs = match config.packs.len() {
        0 => String::new(),
        _ => format!(" (packs: {})", config.packs.join(", ")),
    };
    let told = if config.notifies && roles.has(Service::Alert) {
        "people are told as alertmanager.yml says"
    } else {
        "shown on the page only, until belfry.yml names an alertmanager.yml"
    };
    format!("{rules} rules{packs}; {told}")
}
