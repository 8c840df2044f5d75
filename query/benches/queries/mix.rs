//! The data of the side-by-side benchmark: constants, counters, gauges, histograms and
//! full-precision floats of 40 hosts; and its queries.

use std::sync::Arc;

use model::{Append, Batch, Labels, TimestampMs};
use storage::Store;

use crate::{Options, Question};

use crate::value::value;

const SERIES: usize = 17_080;
const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const STEPS: usize = 6 * 240;
/// A quarter past an hour at which a range of two hours ends: three ranges are closed by then.
const END_MS: i64 = 1_790_000_000_000 / (2 * HOUR_MS) * 2 * HOUR_MS + HOUR_MS * 5 / 4;

/// Queries: name, expression, hours back, step in seconds (0: instant).
const QUERIES: &[(&str, &str, f64, i64)] = &[
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
    (
        "quantile_over_time of 1 h windows, 6 h",
        "quantile_over_time(0.9, bench_gauge{instance=\"host-001:9100\"}[1h])",
        6.0,
        60,
    ),
    (
        "subquery, 6 h",
        "max_over_time(sum by (mode) (rate(bench_cpu_seconds_total{instance=\"host-001:9100\"}[5m]))[30m:1m])",
        6.0,
        60,
    ),
    ("predict_linear, instant", "predict_linear(bench_gauge[1h], 3600)", 0.0, 0),
];

fn labels(index: usize) -> Labels {
    let instance = format!("host-{:03}:9100", index / 427);
    let own = index % 427;
    let number = own.to_string();
    let with = |name: &str, more: &[(&str, &str)]| {
        let common = [("__name__", name), ("instance", &instance), ("job", "bench")];
        Labels::from_pairs(common.iter().chain(more).copied())
    };
    match own {
        0..40 => with("bench_constant", &[("id", &number)]),
        40..200 => {
            let modes = ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"];
            let cpu = ((own - 40) / 8).to_string();
            with("bench_cpu_seconds_total", &[("cpu", &cpu), ("mode", modes[own % 8])])
        }
        200..300 => with("bench_gauge", &[("id", &number)]),
        300..408 => {
            let route = format!("/r{}", (own - 300) / 12);
            let bounds = [
                "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
                "+Inf",
            ];
            let le = bounds[(own - 300) % 12];
            with("bench_request_seconds_bucket", &[("le", le), ("route", &route)])
        }
        _ => with("bench_float", &[("id", &number)]),
    }
}

async fn fill(store: Arc<Store>) {
    let all: Vec<Labels> = (0..SERIES).map(labels).collect();
    for first in (0..STEPS).step_by(4) {
        let mut batch = Batch::new();
        for (index, labels) in all.iter().enumerate() {
            let series = batch.series(labels);
            for step in first..first + 4 {
                let at = TimestampMs(END_MS - (STEPS - step) as i64 * INTERVAL_MS);
                batch.sample(series, at, value(index, step));
            }
        }
        store.append(batch).await.expect("is taken");
    }
    // The flusher runs by itself; the picture is the same once three ranges are in blocks.
    while store.stats().blocks < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Fills the store, asks, prints.
pub async fn bench(options: &Options) {
    let settings = storage::Settings::default();
    let (store, _folder) = crate::store(options, "mix", (settings, END_MS), fill).await;
    let end_ms = END_MS - INTERVAL_MS;
    let questions: Vec<Question> = QUERIES
        .iter()
        .map(|(name, text, hours, step_s)| Question {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
            start_ms: end_ms - (hours * HOUR_MS as f64) as i64,
            end_ms,
            step_ms: step_s * 1000,
        })
        .collect();
    println!("\nmix: {SERIES} series, 6 h at 15 s");
    crate::ask(&store, options, END_MS, &questions).await;
}
