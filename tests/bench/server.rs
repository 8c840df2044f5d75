//! The three servers, each started as an operator would, and what the system says of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::appliance::Appliance;
use tests::process::Process;
use tests::{http, servers};

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    VictoriaMetrics,
    Prometheus,
    Belfry,
}

impl Kind {
    /// All, the one that ratios refer to first.
    pub const ALL: [Kind; 3] = [Kind::VictoriaMetrics, Kind::Prometheus, Kind::Belfry];

    /// Its name in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::VictoriaMetrics => "VictoriaMetrics",
            Kind::Prometheus => "Prometheus",
            Kind::Belfry => "Belfry",
        }
    }
}

/// A running server.
pub struct Running {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    kind: Kind,
    folder: PathBuf,
    scrape: String,
    process: Process,
}

/// Starts a server; `scrape` is a `scrape_configs` section or nothing.
pub async fn start(kind: Kind, folder: &Path, scrape: &str) -> Running {
    let (url, process) = match kind {
        Kind::VictoriaMetrics => {
            let file = folder.join("scrape.yml");
            std::fs::write(&file, scrape).expect("write scrape.yml");
            let argument = format!("-promscrape.config={}", file.display());
            let arguments = if scrape.is_empty() { vec![] } else { vec![argument] };
            of(servers::victoria_metrics(folder, &arguments).await)
        }
        Kind::Prometheus => {
            let window = "storage: {tsdb: {out_of_order_time_window: 12h}}\n";
            of(servers::prometheus(folder, &format!("{window}{scrape}")).await)
        }
        Kind::Belfry => {
            let quiet = "packs: {enabled: false}\nexporters: {host: {enabled: false}}\n\
                         web: {enable_admin_api: true}\n";
            let include = if scrape.is_empty() { "" } else { "prometheus: prometheus.yml\n" };
            std::fs::write(folder.join("prometheus.yml"), scrape).expect("write prometheus.yml");
            std::fs::write(folder.join("belfry.yml"), format!("{quiet}{include}"))
                .expect("write belfry.yml");
            let arguments = ["--services", "all", "--config", "belfry.yml"];
            let belfry = Appliance::start(folder, &arguments).await;
            (belfry.url, belfry.process)
        }
    };
    let (folder, scrape) = (folder.to_owned(), scrape.to_owned());
    Running { url, kind, folder, scrape, process }
}

fn of(server: servers::Server) -> (String, Process) {
    (format!("http://127.0.0.1:{}", server.port), server.process)
}

impl Running {
    /// Kills it without a warning and starts it again; how many seconds it took until a query was
    /// answered.
    pub async fn restart_after_kill(&mut self, query: &str) -> f64 {
        self.process.kill();
        let started = Instant::now();
        let (kind, folder, scrape) = (self.kind, self.folder.clone(), self.scrape.clone());
        *self = start(kind, &folder, &scrape).await;
        let url = format!("{}/api/v1/query?query={query}", self.url);
        while http::get(&url).await.is_none_or(|text| text.contains("\"result\":[]")) {
            assert!(started.elapsed() < Duration::from_secs(120), "{} is not back", kind.name());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        started.elapsed().as_secs_f64()
    }

    /// Asks it to merge what it has into as few files as it would in the end, and waits for that.
    pub async fn compact(&self) {
        let path = match self.kind {
            Kind::VictoriaMetrics => "/internal/force_merge",
            Kind::Belfry => "/api/v1/admin/tsdb/compact",
            // Its head becomes blocks by the clock alone; there is nothing to ask for.
            Kind::Prometheus => return,
        };
        let client = http::patient_client();
        let answer = client.post(format!("{}{path}", self.url)).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        self.until_idle().await;
    }

    /// Waits until it uses next to no processor time.
    pub async fn until_idle(&self) {
        let mut before = self.cpu_seconds();
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = self.cpu_seconds();
            if now - before < 0.1 {
                return;
            }
            before = now;
        }
    }

    /// Waits until it has used no tick of the clock for a while: what it cleans up after answers.
    pub fn rest(&self) {
        for _ in 0..50 {
            let before = self.cpu_seconds();
            std::thread::sleep(Duration::from_millis(15));
            if self.cpu_seconds() <= before {
                return;
            }
        }
    }

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
        self.memory_mib("VmHWM:")
    }

    /// Forgets the most memory it ever had: from now on it is the most since now.
    pub fn forget_peak(&self) {
        // Only the owner of the process may; without it the peak is that of the whole run.
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5");
    }

    /// The memory it has now, in MiB.
    pub fn resident_mib(&self) -> f64 {
        self.memory_mib("VmRSS:")
    }

    fn memory_mib(&self, field: &str) -> f64 {
        let text = self.proc_file("status");
        let line = text.lines().find(|line| line.starts_with(field)).expect("a memory figure");
        let kib: f64 = line.split_whitespace().nth(1).expect("number").parse().expect("number");
        kib / 1024.0
    }

    fn proc_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.process.id());
        std::fs::read_to_string(path).expect("the server runs")
    }

    /// Bytes of its data folder.
    pub fn disk_bytes(&self) -> f64 {
        let name = match self.kind {
            Kind::VictoriaMetrics => "victoria",
            Kind::Prometheus => "prometheus",
            Kind::Belfry => "data",
        };
        folder_bytes(&self.folder.join(name)) as f64
    }
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(listing) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    listing.flatten().map(size).sum()
}
