//! Ingest at saturation, disk, memory, then queries on the same data.

use std::path::Path;

use crate::asking::{Question, median_ms};
use crate::data::{self, Shape};
use crate::server::{self, Kind};
use crate::table::{Column, geometric_mean};
use crate::{sender, server::Running};

/// Rounds of each query; the median counts.
const ROUNDS: usize = 15;

/// Queries: name, expression, hours back, step in seconds (0: instant).
const QUERIES: [(&str, &str, f64, i64); 15] = [
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
    (
        "quantile_over_time of 1 h windows, 3 h",
        "quantile_over_time(0.9, bench_gauge{instance=~\"host-00.:9100\"}[1h])",
        3.0,
        60,
    ),
    (
        "subquery, 1 h",
        "max_over_time(sum by (instance) (rate(bench_cpu_seconds_total{mode=\"user\"}[5m]))[30m:1m])",
        1.0,
        60,
    ),
    ("predict_linear, instant", "predict_linear(bench_gauge[1h], 3600) < 0", 0.0, 0),
    ("alert expression, instant", "bench_gauge{id=\"250\"} > 1000", 0.0, 0),
    ("count of all, instant", "count({job=\"bench\"})", 0.0, 0),
];

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, shape: &Shape, column: &mut Column) {
    let end_ms = data::now_ms() / 60_000 * 60_000;
    let server = server::start(kind, folder, "").await;
    let samples = shape.samples() as f64;
    let busy_s = sender::saturate(&server.url, data::all_requests(*shape, end_ms)).await;
    // Work that was put off belongs to the samples too.
    server.until_idle().await;
    column.set("samples/s", samples / busy_s);
    column.set("CPU s per million samples", server.cpu_seconds() / (samples / 1e6));
    column.set("peak RSS after ingest, MiB", server.peak_mib());
    column.set("bytes per sample, at rest", server.disk_bytes() / samples);
    let before = server.cpu_seconds();
    server.compact().await;
    column.set(
        "CPU s per million, compaction asked for",
        (server.cpu_seconds() - before) / (samples / 1e6),
    );
    column.set("bytes per sample, compacted", server.disk_bytes() / samples);
    ask(&server, shape, end_ms, column).await;
    column.set("peak RSS, MiB", server.peak_mib());
}

async fn ask(server: &Running, shape: &Shape, end_ms: i64, column: &mut Column) {
    let end_s = end_ms as f64 / 1000.0 - shape.interval_s as f64;
    let mut all_ms = Vec::new();
    for (name, query, hours, step_s) in QUERIES {
        let start_s = end_s - f64::min(hours, shape.hours) * 3600.0;
        let question = Question { query, start_s, end_s, step_s };
        let ms = median_ms(&server.url, &question, ROUNDS).await;
        column.set(format!("{name}, ms"), ms);
        all_ms.push(ms);
    }
    column.set("geometric mean of queries, ms", geometric_mean(&all_ms));
}
