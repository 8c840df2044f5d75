//! The three servers, each started as an operator would, and what the system says of them.

use std::path::Path;

use tests::appliance::Appliance;
use tests::process::Process;
use tests::servers;

/// One of the three.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name in the table.
    pub name: &'static str,
}

/// All, the one that ratios refer to first.
pub const KINDS: [Kind; 3] =
    [Kind { name: "VictoriaMetrics" }, Kind { name: "Prometheus" }, Kind { name: "Belfry" }];

/// A running server.
pub struct Running {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Where its data lies, under the run's folder.
    pub data: &'static str,
    process: Process,
}

/// Starts a server.
pub async fn start(kind: Kind, folder: &Path) -> Running {
    let of = |server: servers::Server, data| Running {
        url: format!("http://127.0.0.1:{}", server.port),
        data,
        process: server.process,
    };
    match kind.name {
        "VictoriaMetrics" => of(servers::victoria_metrics(folder).await, "victoria"),
        "Prometheus" => {
            let config = "storage: {tsdb: {out_of_order_time_window: 12h}}\n";
            of(servers::prometheus(folder, config).await, "prometheus")
        }
        _ => {
            let config = "packs: {enabled: false}\nexporters: {host: {enabled: false}}\n";
            std::fs::write(folder.join("belfry.yml"), config).expect("write belfry.yml");
            let arguments = ["--services", "all", "--config", "belfry.yml"];
            let belfry = Appliance::start(folder, &arguments).await;
            Running { url: belfry.url, data: "data", process: belfry.process }
        }
    }
}

impl Running {
    /// CPU seconds used so far, user and system.
    pub fn cpu_seconds(&self) -> f64 {
        let text = self.proc_file("stat");
        let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: f64 =
            fields[11..13].iter().map(|text| text.parse::<f64>().expect("ticks")).sum();
        ticks / 100.0
    }

    /// The most memory it ever had, in MiB.
    pub fn peak_mib(&self) -> f64 {
        let text = self.proc_file("status");
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
        let kib: f64 = line.split_whitespace().nth(1).expect("number").parse().expect("number");
        kib / 1024.0
    }

    fn proc_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.process.id());
        std::fs::read_to_string(path).expect("the server runs")
    }
}
