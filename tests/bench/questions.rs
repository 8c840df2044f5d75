//! The queries of the side-by-side benchmark.
//!
//! Not here: the data they are asked of (`data`, `value`).

/// Queries: name, expression, hours back, step in seconds (0: instant).
pub const QUERIES: [(&str, &str, f64, i64); 16] = [
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
    (
        "sum by mode of rate of 2,560 series, 6 h",
        "sum by (mode) (rate(bench_cpu_seconds_total{cpu=~\"[0-7]\"}[5m]))",
        6.0,
        60,
    ),
    (
        "sum by mode of rate of 6,400 series, 6 h",
        "sum by (mode) (rate(bench_cpu_seconds_total[5m]))",
        6.0,
        60,
    ),
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
