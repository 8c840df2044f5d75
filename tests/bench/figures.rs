//! What is measured, and the table.

use std::path::Path;
use std::time::Instant;

use crate::data::{self, Shape};
use crate::server::Running;
use tests::{http, remote_write};

/// Rounds of each query; the median counts.
const ROUNDS: usize = 15;

/// Queries: name, expression, hours back, step in seconds (0: instant).
const QUERIES: [(&str, &str, f64, i64); 12] = [
    ("one series, 1 h", "bench_gauge{instance=\"host-001:9100\",id=\"250\"}", 1.0, 15),
    (
        "rate of one host, 6 h",
        "rate(bench_cpu_seconds_total{instance=\"host-001:9100\"}[5m])",
        6.0,
        60,
    ),
    (
        "sum by instance of rate, 1 h",
        "sum by (instance) (rate(bench_cpu_seconds_total[5m]))",
        1.0,
        15,
    ),
    ("sum by mode of rate, 6 h", "sum by (mode) (rate(bench_cpu_seconds_total[5m]))", 6.0, 60),
    (
        "histogram_quantile by route, 1 h",
        "histogram_quantile(0.9, sum by (le, route) (rate(bench_request_seconds_bucket[5m])))",
        1.0,
        30,
    ),
    (
        "ratio of sums, 1 h",
        "sum(rate(bench_cpu_seconds_total{mode=\"user\"}[5m])) / sum(rate(bench_cpu_seconds_total[5m]))",
        1.0,
        30,
    ),
    ("topk, instant", "topk(5, bench_gauge)", 0.0, 0),
    ("regex on name, instant", "count by (__name__) ({__name__=~\"bench_.*\"})", 0.0, 0),
    ("max_over_time 6 h, instant", "max(max_over_time(bench_gauge[6h]))", 0.0, 0),
    ("join, 1 h", "bench_gauge{id=\"250\"} / on (instance) bench_gauge{id=\"251\"}", 1.0, 30),
    ("alert expression, instant", "bench_gauge{id=\"250\"} > 1000", 0.0, 0),
    ("count of all, instant", "count({job=\"bench\"})", 0.0, 0),
];

/// One server's figures.
pub struct Figures {
    name: &'static str,
    samples_per_s: f64,
    cpu_per_million: f64,
    peak_mib: f64,
    bytes_per_sample: f64,
    query_ms: Vec<f64>,
}

impl Figures {
    /// Nothing measured yet.
    pub fn new(name: &'static str) -> Figures {
        Figures {
            name,
            samples_per_s: 0.0,
            cpu_per_million: 0.0,
            peak_mib: 0.0,
            bytes_per_sample: 0.0,
            query_ms: Vec::new(),
        }
    }

    /// Writes everything; each connection waits for an answer before it sends more.
    pub async fn measure_ingest(&mut self, server: &mut Running, shape: &Shape, end_ms: i64) {
        let url = format!("{}/api/v1/write", server.url);
        let cpu_before = server.cpu_seconds();
        // Encoding is not the server's work: requests are made beside the clock, a batch at a time.
        let mut sources: Vec<_> =
            (0..shape.connections).map(|own| data::requests(shape, own, end_ms)).collect();
        let clients: Vec<_> = (0..shape.connections).map(|_| http::client()).collect();
        let mut busy_s = 0.0;
        loop {
            let rounds: Vec<Vec<(usize, Vec<u8>)>> =
                sources.iter_mut().map(|source| source.take_some(200)).collect();
            if rounds.iter().all(Vec::is_empty) {
                break;
            }
            let started = Instant::now();
            let sending = rounds.into_iter().zip(&clients).map(|(requests, client)| {
                let (client, url) = (client.clone(), url.clone());
                tokio::spawn(async move {
                    for (_, body) in requests {
                        let answer = remote_write::post(&client, &url, body).await;
                        let (status, text) = answer.expect("an answer");
                        assert!((200..300).contains(&status), "{status}: {text}");
                    }
                })
            });
            for task in sending.collect::<Vec<_>>() {
                task.await.expect("writer");
            }
            busy_s += started.elapsed().as_secs_f64();
        }
        let samples = shape.samples() as f64;
        self.samples_per_s = samples / busy_s;
        self.cpu_per_million = (server.cpu_seconds() - cpu_before) / (samples / 1e6);
    }

    /// Bytes of the data folder.
    pub async fn measure_disk(&mut self, server: &mut Running, folder: &Path, shape: &Shape) {
        let bytes = folder_bytes(&folder.join(server.data));
        self.bytes_per_sample = bytes as f64 / shape.samples() as f64;
    }

    /// The median latency of each query, body read to its end.
    pub async fn measure_queries(&mut self, server: &Running, shape: &Shape, end_ms: i64) {
        let client = http::client();
        for (name, query, hours, step_s) in QUERIES {
            let end = end_ms as f64 / 1000.0 - shape.interval_s as f64;
            let start = end - hours.min(shape.hours) * 3600.0;
            let path = if step_s == 0 { "query" } else { "query_range" };
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("query", query), ("step", &step_s.max(1).to_string())])
                .extend_pairs(
                    [("time", end), ("start", start), ("end", end)]
                        .map(|(k, v)| (k, v.to_string())),
                )
                .append_pair("nocache", "1")
                .finish();
            let mut times_ms = Vec::new();
            for _ in 0..ROUNDS {
                let started = Instant::now();
                let answer = client
                    .post(format!("{}/api/v1/{path}", server.url))
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.clone())
                    .send()
                    .await
                    .expect("an answer");
                let status = answer.status();
                let body = answer.bytes().await.expect("a body");
                times_ms.push(started.elapsed().as_secs_f64() * 1000.0);
                assert!(status.is_success(), "{}: {name}: {status}: {body:?}", self.name);
            }
            times_ms.sort_by(f64::total_cmp);
            self.query_ms.push(times_ms[ROUNDS / 2]);
        }
    }

    /// Reads what only the end shows.
    pub fn finish(&mut self, server: &Running) {
        self.peak_mib = server.peak_mib();
    }
}

/// Takes at most so many items.
trait TakeSome: Iterator + Sized {
    fn take_some(&mut self, count: usize) -> Vec<Self::Item> {
        self.by_ref().take(count).collect()
    }
}

impl<I: Iterator> TakeSome for I {}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(listing) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    listing.flatten().map(size).sum()
}

/// The table, and ratios to the first server.
pub fn print(all: &[Figures]) {
    let names: Vec<String> = all.iter().map(|one| format!("{:>16}", one.name)).collect();
    println!("\n{:<36}{}   Belfry ÷ VictoriaMetrics", "", names.join(""));
    let row = |name: &str, read: &dyn Fn(&Figures) -> f64| {
        let cells: Vec<String> = all.iter().map(|one| format!("{:>16.3}", read(one))).collect();
        let ratio = read(&all[all.len() - 1]) / read(&all[0]);
        println!("{name:<36}{}   {ratio:.2}", cells.join(""));
    };
    row("samples/s", &|one| one.samples_per_s);
    row("CPU s per million samples", &|one| one.cpu_per_million);
    row("peak RSS, MiB", &|one| one.peak_mib);
    row("bytes per sample on disk", &|one| one.bytes_per_sample);
    for (index, (name, ..)) in QUERIES.iter().enumerate() {
        row(&format!("{name}, ms"), &|one| one.query_ms[index]);
    }
    let mean = |one: &Figures| {
        let logs: f64 = one.query_ms.iter().map(|ms| ms.ln()).sum();
        (logs / one.query_ms.len() as f64).exp()
    };
    row("geometric mean of queries, ms", &mean);
}
