//! The host: what the kernel tells under `/proc` and `/sys`, under node_exporter's names.
//!
//! Place in the flow: `config` → [`HostExporter`] → `collect` → families.
//!
//! Each collector is a row of [`COLLECTORS`]: it reads its files through [`files::Files`] and maps
//! the text by a pure function. One that fails empties nothing but itself and shows as
//! `node_scrape_collector_success 0`. File systems are asked apart, each with a deadline, because a
//! dead network mount never answers.
//!
//! Not here: node_exporter's off-by-default collectors, process groups, containers.

mod cpu;
mod disk;
mod files;
mod filesystem;
mod memory;
mod netdev;
mod network;
mod raid;
mod system;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{BoxFuture, Clock, Exporter, Family};
use tokio::time::Instant;

use crate::config::HostConfig;
use crate::families::Families;
use files::Files;
use filesystem::Mounts;

/// Where the kernel's trees are, so that a container and a test can point elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPaths {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// What is put before mount points, `/etc` and `/run`.
    pub rootfs: PathBuf,
}

/// Reads and maps one collector's files.
type Collect = fn(&Files, &mut Families) -> Result<(), String>;

/// node_exporter's collector names and what each of them does here.
const COLLECTORS: [(&str, Collect); 23] = [
    ("arp", network::collect_arp),
    ("conntrack", network::collect_conntrack),
    ("cpu", cpu::collect_cpu),
    ("diskstats", disk::collect),
    ("entropy", system::collect_entropy),
    ("filefd", system::collect_filefd),
    ("loadavg", cpu::collect_loadavg),
    ("mdadm", raid::collect),
    ("meminfo", memory::collect_meminfo),
    ("netclass", netdev::collect_netclass),
    ("netdev", netdev::collect_netdev),
    ("netstat", network::collect_netstat),
    ("os", system::collect_os),
    ("pressure", cpu::collect_pressure),
    ("processes", system::collect_processes),
    ("schedstat", cpu::collect_schedstat),
    ("sockstat", network::collect_sockstat),
    ("softnet", cpu::collect_softnet),
    ("stat", cpu::collect_stat),
    ("thermal_zone", system::collect_thermal_zone),
    ("udp_queues", network::collect_udp_queues),
    ("uname", system::collect_uname),
    ("vmstat", memory::collect_vmstat),
];

/// Watches this machine.
pub struct HostExporter {
    files: Files,
    mounts: Mounts,
    clock: Arc<dyn Clock>,
    statvfs_timeout: Duration,
}

impl HostExporter {
    /// Sets it up; nothing is read yet.
    pub fn new(config: &HostConfig, clock: Arc<dyn Clock>) -> HostExporter {
        let paths = HostPaths {
            proc: config.proc.clone(),
            sys: config.sys.clone(),
            rootfs: config.rootfs.clone(),
        };
        HostExporter {
            mounts: Mounts::new(paths.rootfs.clone()),
            files: Files::new(paths),
            clock,
            statvfs_timeout: filesystem::timeout(Duration::from_millis(config.pace.timeout_ms)),
        }
    }

    async fn read(&self) -> Result<Vec<Family>, String> {
        let files = self.files.clone();
        let kernel = tokio::task::spawn_blocking(move || read_kernel(&files));
        let started = Instant::now();
        let mounted = self.mounts.read(&self.files, self.statvfs_timeout).await;
        let mounted_for = started.elapsed();
        let (mut families, mut outcomes) =
            kernel.await.map_err(|error| format!("read /proc: {error}"))?;

        let outcome = mounted.map(|mounts| filesystem::map(&mounts, &mut families));
        outcomes.push(Outcome::new("filesystem", mounted_for, outcome));
        map_time(self.clock.now().seconds(), &mut families);
        outcomes.push(Outcome::new("time", Duration::ZERO, Ok(())));
        map_outcomes(&outcomes, &mut families);
        Ok(families.into_list())
    }
}

impl Exporter for HostExporter {
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
        Box::pin(self.read())
    }
}

/// The machine's own name, for the `instance` label.
pub fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

struct Outcome {
    collector: &'static str,
    took: Duration,
    success: bool,
}

impl Outcome {
    fn new(collector: &'static str, took: Duration, outcome: Result<(), String>) -> Outcome {
        if let Err(message) = &outcome {
            tracing::debug!(collector, message, "a host collector has no data");
        }
        Outcome { collector, took, success: outcome.is_ok() }
    }
}

fn read_kernel(files: &Files) -> (Families, Vec<Outcome>) {
    let mut families = Families::new();
    let mut outcomes = Vec::with_capacity(COLLECTORS.len());
    for (name, collect) in COLLECTORS {
        let started = Instant::now();
        let outcome = collect(files, &mut families);
        outcomes.push(Outcome::new(name, started.elapsed(), outcome));
    }
    (families, outcomes)
}

fn map_time(now_seconds: f64, families: &mut Families) {
    families.gauge("node_time_seconds", "System time since the epoch.", &[], now_seconds);
}

fn map_outcomes(outcomes: &[Outcome], families: &mut Families) {
    for outcome in outcomes {
        let labels = [("collector", outcome.collector)];
        let name = "node_scrape_collector_duration_seconds";
        let help = "How long the collector took.";
        families.gauge(name, help, &labels, outcome.took.as_secs_f64());
        let name = "node_scrape_collector_success";
        let help = "Whether the collector had data.";
        families.gauge(name, help, &labels, f64::from(u8::from(outcome.success)));
    }
}

#[cfg(test)]
mod tests;
