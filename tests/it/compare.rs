//! The same node_exporter scraped by Debian's Prometheus and by Belfry: the same answers.
//!
//! Both scrape through a small proxy that reads node_exporter once per two-second slot and writes
//! the slot's time behind every sample. So both hold the very same samples, and every difference in
//! an answer is a difference of the engines. (Debian's Prometheus is 2.42; its ranges are closed at
//! the left, ours are open as in 3.x, so samples lie off the grid of the questions.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use tests::appliance::Appliance;
use tests::grammar::Grammar;
use tests::process::eventually;
use tests::{http, servers};
use tokio::sync::Mutex;

const SLOT_MS: u64 = 2000;
/// Both have scraped for so long.
const SCRAPED_MS: u64 = 70_000;
/// Questions look back less far from where they begin: windows of 30 s, offsets of 10 s.
const REACH_MS: u64 = 44_000;
/// Samples lie this far before a whole second, so that none lies on the edge of a window.
const OFF_GRID_MS: u64 = 700;

const INSTANT: [&str; 20] = [
    "node_load1",
    "count({job=\"node\"})",
    "count by (__name__) ({__name__=~\"node_.*_total\"})",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "sum by (mode) (rate(node_cpu_seconds_total[20s]))",
    "100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[20s])))",
    "topk(3, node_filesystem_size_bytes)",
    "sum without (device) (node_filesystem_avail_bytes)",
    "max_over_time(node_load1[30s]) - min_over_time(node_load1[30s])",
    "increase(node_context_switches_total[20s])",
    "irate(node_context_switches_total[20s])",
    "delta(node_memory_MemFree_bytes[20s])",
    "avg_over_time(node_memory_MemFree_bytes[30s])",
    "quantile_over_time(0.9, node_load1[30s])",
    "node_filesystem_size_bytes * on (instance, device, mountpoint) group_left node_filesystem_readonly",
    "count_values(\"value\", node_cpu_guest_seconds_total > bool 0)",
    "label_replace(node_uname_info, \"os\", \"$1\", \"sysname\", \"(.*)\")",
    "predict_linear(node_memory_MemFree_bytes[30s], 3600)",
    "absent(node_nothing)",
    "node_load1 and on (instance) node_load5 unless node_load15 > 1e9",
];

const RANGE: [&str; 10] = [
    "node_load1",
    "rate(node_cpu_seconds_total{cpu=\"0\"}[10s])",
    "sum(rate(node_cpu_seconds_total[10s])) by (mode)",
    "stddev_over_time(node_memory_MemFree_bytes[20s])",
    "changes(node_load1[20s])",
    "resets(node_context_switches_total[20s])",
    "max(node_memory_MemFree_bytes) - min(node_memory_MemFree_bytes offset 10s)",
    "avg_over_time(rate(node_context_switches_total[10s])[20s500ms:4s])",
    "clamp_max(node_load5, 0.5) + 1",
    "deriv(node_memory_MemFree_bytes[20s])",
];

struct Proxy {
    target: String,
    slots: Mutex<BTreeMap<u64, Arc<String>>>,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("fits")
}

/// The page with a time behind every sample.
fn stamped(page: &str, at_ms: u64) -> String {
    let lines = page.lines().map(|line| {
        if line.starts_with('#') { format!("{line}\n") } else { format!("{line} {at_ms}\n") }
    });
    lines.collect()
}

async fn page(State(proxy): State<Arc<Proxy>>) -> Response {
    let slot_ms = now_ms() / SLOT_MS * SLOT_MS;
    let mut slots = proxy.slots.lock().await;
    let body = match slots.get(&slot_ms) {
        Some(body) => Arc::clone(body),
        None => {
            let text = http::get(&proxy.target).await.expect("node_exporter answers");
            let body = Arc::new(stamped(&text, slot_ms - OFF_GRID_MS));
            slots.insert(slot_ms, Arc::clone(&body));
            body
        }
    };
    let body = body.as_str().to_owned();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], body).into_response()
}

async fn start_proxy(target: String) -> u16 {
    let proxy = Arc::new(Proxy { target, slots: Mutex::default() });
    let router = Router::new().route("/metrics", get(page)).with_state(proxy);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind proxy");
    let port = listener.local_addr().expect("proxy address").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// Series → points as (time, value). Order of series is not part of an answer.
pub fn series(answer: &Value) -> BTreeMap<String, Vec<(f64, f64)>> {
    let result = answer["data"]["result"].as_array().expect("result");
    let point = |point: &Value| {
        let value: f64 = point[1].as_str().expect("text").parse().expect("number");
        (point[0].as_f64().expect("time"), value)
    };
    let points = |one: &Value| match one["values"].as_array() {
        Some(values) => values.iter().map(point).collect(),
        None => vec![point(&one["value"])],
    };
    result.iter().map(|one| (one["metric"].to_string(), points(one))).collect()
}

/// Equal, or as close as two orders of summation leave them.
fn close(one: f64, two: f64) -> bool {
    one == two
        || (one.is_nan() && two.is_nan())
        || (one - two).abs() <= 1e-9 * one.abs().max(two.abs())
}

/// Generated questions, beyond the thirty above.
const GENERATED: usize = 270;
/// Whose they are.
const SEED: u64 = 20_260_101;

/// Asks both the same generated questions, two of three at an instant; answers how many gave series.
async fn generated(prometheus: &str, belfry: &Appliance, (start, end): (&str, &str)) -> usize {
    let mut grammar = Grammar::new(SEED);
    let mut telling = 0;
    for index in 0..GENERATED {
        let query = grammar.query();
        let (path, form) = if index % 3 == 2 {
            let own = query.as_str();
            ("query_range", vec![("query", own), ("start", start), ("end", end), ("step", "5")])
        } else {
            ("query", vec![("query", query.as_str()), ("time", end)])
        };
        let theirs = http::post_form(&format!("{prometheus}/api/v1/{path}"), &form).await.1;
        let ours = belfry.api(path, &form).await.1;
        if theirs["status"] == "error" {
            assert_eq!(ours["status"], "error", "{query}: only Prometheus refuses: {theirs}");
            continue;
        }
        check_same(&query, &theirs, &ours);
        telling += usize::from(!series(&theirs).is_empty());
    }
    telling
}

/// The same figures about the samples that were looked at, in all and at each step.
fn check_same_cost(query: &str, theirs: &Value, ours: &Value) {
    let (theirs, ours) = (&theirs["data"]["stats"]["samples"], &ours["data"]["stats"]["samples"]);
    assert!(theirs["totalQueryableSamplesPerStep"].is_array(), "{query}: {theirs}");
    for figure in ["totalQueryableSamples", "totalQueryableSamplesPerStep"] {
        assert_eq!(theirs[figure], ours[figure], "{query}: {figure}");
    }
}

pub fn check_same(query: &str, theirs: &Value, ours: &Value) {
    assert_eq!(theirs["status"], "success", "Prometheus: {query}: {theirs}");
    assert_eq!(ours["status"], "success", "Belfry: {query}: {ours}");
    assert_eq!(theirs["data"]["resultType"], ours["data"]["resultType"], "{query}");
    let (theirs, ours) = (series(theirs), series(ours));
    let names = |all: &BTreeMap<String, _>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&theirs), names(&ours), "{query}: series");
    for (name, expected) in &theirs {
        let got = &ours[name];
        assert_eq!(expected.len(), got.len(), "{query}: {name}: {expected:?} {got:?}");
        for (one, two) in expected.iter().zip(got) {
            let same = one.0 == two.0 && close(one.1, two.1);
            assert!(same, "{query}: {name}: Prometheus {one:?}, Belfry {two:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_queries_agree() {
    let folder = tempfile::tempdir().expect("folder");
    let exporter = servers::node_exporter(folder.path()).await;
    let proxy = start_proxy(format!("http://127.0.0.1:{}/metrics", exporter.port)).await;
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n- job_name: node\n\
         \x20 static_configs: [{{targets: ['127.0.0.1:{proxy}']}}]\n"
    );
    let prometheus = servers::prometheus(folder.path(), &config).await;
    let belfry_config = "prometheus: prometheus.yml\npacks: {enabled: false}\nexporters: {host: {enabled: false}}\n";
    std::fs::write(folder.path().join("belfry.yml"), belfry_config).expect("write");
    let belfry =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;
    let prometheus = format!("http://127.0.0.1:{}", prometheus.port);

    // Prometheus begins some seconds later than we do.
    let first = [("query", "count(node_load1)")];
    eventually("both have scraped", 60, async || {
        let theirs = http::post_form(&format!("{prometheus}/api/v1/query"), &first).await.1;
        let ours = belfry.api("query", &first).await.1;
        (!series(&theirs).is_empty() && !series(&ours).is_empty()).then_some(())
    })
    .await;
    let start_ms = (now_ms() / SLOT_MS + 2) * SLOT_MS;
    let end_ms = start_ms + SCRAPED_MS;
    eventually("seventy seconds of samples are there", 120, async || {
        (now_ms() > end_ms + 2 * SLOT_MS).then_some(())
    })
    .await;
    let time = format!("{:.3}", (end_ms + SLOT_MS / 2) as f64 / 1000.0);
    // The premise: both hold the very same samples.
    let raw =
        [("query", "{__name__=~\"node_load1|node_memory_MemFree_bytes\"}[70s]"), ("time", &time)];
    let theirs = http::post_form(&format!("{prometheus}/api/v1/query"), &raw).await.1;
    check_same("the raw samples", &theirs, &belfry.api("query", &raw).await.1);
    for query in INSTANT {
        let form = [("query", query), ("time", time.as_str()), ("stats", "all")];
        let theirs = http::post_form(&format!("{prometheus}/api/v1/query"), &form).await.1;
        let ours = belfry.api("query", &form).await.1;
        check_same(query, &theirs, &ours);
        check_same_cost(query, &theirs, &ours);
        assert!(!series(&theirs).is_empty(), "{query} asks for something");
    }
    let start = format!("{:.3}", (start_ms + REACH_MS + SLOT_MS / 2) as f64 / 1000.0);
    for query in RANGE {
        let range = [("start", start.as_str()), ("end", time.as_str()), ("step", "5")];
        let form = [&[("query", query), ("stats", "all")][..], &range].concat();
        let theirs = http::post_form(&format!("{prometheus}/api/v1/query_range"), &form).await.1;
        let ours = belfry.api("query_range", &form).await.1;
        check_same(query, &theirs, &ours);
        check_same_cost(query, &theirs, &ours);
        assert!(!series(&theirs).is_empty(), "{query} asks for something");
    }
    let telling = generated(&prometheus, &belfry, (&start, &time)).await;
    assert!(telling > GENERATED / 2, "only {telling} of {GENERATED} ask for something");
    println!("{} queries agree", INSTANT.len() + RANGE.len() + GENERATED);
}
