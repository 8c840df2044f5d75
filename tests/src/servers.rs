//! PostgreSQL, Redis, HAProxy and others from Debian's packages, on free loopback ports, in folders
//! of their own, stopped with their handles.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, eventually, free_port, require, runuser};

/// Whether something accepts connections on a loopback port.
pub async fn accepts(port: u16) -> bool {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}

async fn until_accepts(name: &str, port: u16) {
    let what = format!("{name} accepts connections on port {port}");
    eventually(&what, 60, async || accepts(port).await.then_some(())).await;
}

/// A server and its port.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub process: Process,
    /// The loopback port.
    pub port: u16,
}

/// Redis on a port; without one, on a free one.
pub async fn redis(folder: &Path, port: Option<u16>) -> Server {
    let port = port.unwrap_or_else(free_port);
    let mut command = Command::new(require("redis-server", "redis-server"));
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.arg("--dir").arg(folder);
    let process = Process::start("redis", &mut command, folder);
    until_accepts("redis", port).await;
    Server { process, port }
}

/// Where Debian puts the programs of its newest PostgreSQL.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders.filter(|folder| folder.join("postgres").exists()).max();
    newest.expect("a PostgreSQL server: apt-get install postgresql (cargo xtask test does as root)")
}

/// PostgreSQL with the superuser `postgres`, reachable without a password on loopback.
pub async fn postgres(folder: &Path) -> Server {
    let programs = postgres_programs();
    let data = folder.join("postgres");
    std::fs::create_dir_all(&data).expect("create postgres folder");
    let owned = Command::new("chown").arg("postgres").arg(&data).output().expect("run chown");
    // Without root the folder is ours, and so is the server.
    drop(owned);
    let initdb = programs.join("initdb");
    let output = runuser("postgres", initdb.to_str().expect("path"))
        .args(["-A", "trust", "-U", "postgres", "-D"])
        .arg(&data)
        .current_dir("/")
        .output()
        .expect("run initdb");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    let port = free_port();
    let mut command = runuser("postgres", programs.join("postgres").to_str().expect("path"));
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
    command.arg("-k").arg(&data).args(["-c", "fsync=off"]).current_dir("/");
    let process = Process::start("postgres", &mut command, folder);
    until_accepts("postgres", port).await;
    Server { process, port }
}

/// HAProxy with its Prometheus service, in front of a backend.
pub async fn haproxy(folder: &Path, backend_port: u16) -> Server {
    let (port, front) = (free_port(), free_port());
    let config = folder.join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n\
         frontend stats\n  bind 127.0.0.1:{port}\n  http-request use-service prometheus-exporter if {{ path /metrics }}\n\
         frontend app\n  bind 127.0.0.1:{front}\n  mode tcp\n  default_backend redis\n\
         backend redis\n  mode tcp\n  server one 127.0.0.1:{backend_port} check inter 500ms fall 1 rise 1\n"
    );
    std::fs::write(&config, text).expect("write haproxy.cfg");
    let mut command = Command::new(require("haproxy", "haproxy"));
    command.arg("-f").arg(&config).arg("-db");
    let process = Process::start("haproxy", &mut command, folder);
    until_accepts("haproxy", port).await;
    Server { process, port }
}

/// Debian's node_exporter.
pub async fn node_exporter(folder: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new(require("prometheus-node-exporter", "prometheus-node-exporter"));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let process = Process::start("node_exporter", &mut command, folder);
    until_accepts("node_exporter", port).await;
    Server { process, port }
}

/// Debian's Prometheus with a configuration, taking remote write too.
pub async fn prometheus(folder: &Path, config: &str) -> Server {
    let port = free_port();
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, config).expect("write prometheus.yml");
    let mut command = Command::new(require("prometheus", "prometheus"));
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg("--web.enable-remote-write-receiver");
    command.arg("--enable-feature=exemplar-storage,native-histograms,promql-per-step-stats");
    let process = Process::start("prometheus", &mut command, folder);
    until_accepts("prometheus", port).await;
    Server { process, port }
}

/// Debian's VictoriaMetrics, its caches for answers off.
pub async fn victoria_metrics(folder: &Path, arguments: &[String]) -> Server {
    let port = free_port();
    let mut command = Command::new(require("victoria-metrics", "victoria-metrics"));
    command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
    command.arg(format!("-storageDataPath={}", folder.join("victoria").display()));
    command.args(["-search.disableCache", "-retentionPeriod=10y", "-selfScrapeInterval=0"]);
    command.args(arguments);
    let process = Process::start("victoria", &mut command, folder);
    until_accepts("victoria-metrics", port).await;
    Server { process, port }
}
