//! `belfry grafana export`: files for Grafana's provisioning, made from our own configuration.
//!
//! Place in the flow: configuration → [`dashboards::grafana`] → files in a folder.
//!
//! Written again, the files are the same bytes, so they can be kept under version control.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use dashboards::grafana::{self, Export, Postgres};
use journal::disk::Disk;

use super::{fail, load_file, say};
use crate::config::Config;

/// How often a host is read unless the configuration says otherwise.
const INTERVAL_MS: u64 = 15_000;

/// What is done for Grafana.
#[derive(Debug, Clone, Subcommand)]
pub enum Grafana {
    /// Write data sources and dashboards for Grafana's provisioning.
    Export(Arguments),
}

/// What `export` is told.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The folder; it is created when it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The configuration file, for the scrape interval.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where Grafana reaches this server [default: external_url, or the listening address].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Who asks over the Postgres wire, when the configuration opens it.
    #[arg(long, value_name = "USER", default_value = "grafana")]
    sql_user: String,
    /// Write ConfigMaps for the sidecar of Grafana's Helm chart instead of plain files.
    #[arg(long)]
    configmap: bool,
    /// The namespace of the ConfigMaps.
    #[arg(long, value_name = "NAMESPACE", default_value = "default", requires = "configmap")]
    namespace: String,
}

/// Does what the arguments say.
pub fn main(what: Grafana) -> ExitCode {
    let Grafana::Export(arguments) = what;
    match export(&arguments) {
        Ok(count) => {
            say(&format!("{count} files for Grafana are in {}", arguments.folder.display()))
        }
        Err(message) => fail(&message),
    }
}

fn export(arguments: &Arguments) -> Result<usize, String> {
    let config = load_file(arguments.config.as_deref())?;
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None if !config.external_url.is_empty() => config.external_url.clone(),
        None => format!("http://{}", super::backups::reachable(&config.listen)),
    };
    let parsed = url::Url::parse(&url).ok().filter(|parsed| parsed.scheme().starts_with("http"));
    let Some(host) = parsed.as_ref().and_then(|parsed| parsed.host_str()) else {
        return Err(format!("--url needs an address such as http://belfry:9090, but is {url:?}"));
    };
    let postgres = config.sql.postgres_listen.as_ref().and_then(|listen| {
        let port = listen.rsplit_once(':')?.1;
        Some(Postgres { address: format!("{host}:{port}"), user: arguments.sql_user.clone() })
    });
    let export = Export { url: url.clone(), interval_ms: interval_ms(&config), postgres };
    let files = match arguments.configmap {
        true => grafana::config_maps(&export, &arguments.namespace),
        false => grafana::files(&export),
    };
    for (name, text) in &files {
        write(&arguments.folder.join(name), text)?;
    }
    Ok(files.len())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("write {}: {error}", path.display());
    let disk = Disk::real();
    disk.create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    disk.write_atomic(path, text.as_bytes()).map_err(failed)
}

/// The interval that most targets are scraped with; of two that are equally frequent the longer one,
/// for a rate over too short a window shows nothing.
fn interval_ms(config: &Config) -> u64 {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for job in &config.collector.jobs {
        let listed: usize = job.groups.iter().map(|group| group.addresses.len()).sum();
        *counts.entry(job.interval_ms).or_default() += listed.max(1);
    }
    let exporters = &config.exporters;
    let host = exporters.host.enabled.then_some(exporters.host.pace.interval_ms);
    let postgres = exporters.postgres.iter().map(|own| own.pace.interval_ms);
    let redis = exporters.redis.iter().map(|own| own.pace.interval_ms);
    let haproxy = exporters.haproxy.iter().map(|own| own.pace.interval_ms);
    for interval in host.into_iter().chain(postgres).chain(redis).chain(haproxy) {
        *counts.entry(interval).or_default() += 1;
    }
    let most = counts.iter().max_by_key(|(interval, count)| (**count, **interval));
    most.map_or(INTERVAL_MS, |(interval, _)| *interval)
}
