//! Clients of the field, unchanged, against a real Belfry: promtool, a Prometheus that federates and
//! one that reads remotely, a Python library, and three front ends' clients under Node.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tests::appliance::Appliance;
use tests::process::{eventually, require};
use tests::{http, node, python, servers};

/// Belfry that watches this host, with a rule, after some scrapes.
async fn watching(folder: &Path) -> Appliance {
    let rules = "groups:\n- name: clients\n  interval: 1s\n  rules:\n  - record: job:up:sum\n    \
                 expr: sum by (job) (up)\n    labels: {from: clients}\n";
    std::fs::write(folder.join("clients.yml"), rules).expect("write");
    let prometheus = "global:\n  external_labels: {site: belfry}\n";
    std::fs::write(folder.join("prometheus.yml"), prometheus).expect("write");
    let config =
        "prometheus: prometheus.yml\nrules: [clients.yml]\nexporters:\n  host: {interval: 1s}\n";
    std::fs::write(folder.join("belfry.yml"), config).expect("write");
    let belfry = Appliance::start(folder, &["--services", "all", "--config", "belfry.yml"]).await;
    eventually("some scrapes and a rule's result", 60, async || {
        belfry.value("count_over_time(node_load1[5m]) >= 3").await?;
        belfry.value("count(job:up:sum)").await
    })
    .await;
    belfry
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn texts(value: &Value) -> Vec<&str> {
    let all = value.as_array().unwrap_or_else(|| panic!("a list: {value}"));
    all.iter().map(|own| own.as_str().expect("text")).collect()
}

fn promtool(arguments: &[&str]) -> String {
    let output = Command::new(require("promtool", "prometheus"))
        .args(arguments)
        .output()
        .expect("run promtool");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {text}{problem}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_asks() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = watching(folder.path()).await;
    let url = belfry.url.as_str();
    let instant = promtool(&["query", "instant", url, "count(node_load1)"]);
    assert!(instant.starts_with("{} => 1 @["), "{instant}");
    assert!(promtool(&["query", "instant", url, "1+1"]).contains("scalar: 2"));
    let (start, end) = ((now_s() - 60).to_string(), now_s().to_string());
    let times = [format!("--start={start}"), format!("--end={end}")];
    let range = ["query", "range", &times[0], &times[1], "--step=5s", url, "vector(7)"];
    let range = promtool(&range);
    assert_eq!(range.lines().filter(|line| line.starts_with("7 @[")).count(), 13, "{range}");
    let series = promtool(&["query", "series", "--match=node_load1", "--match=node_load5", url]);
    assert_eq!(series.lines().count(), 2, "{series}");
    assert!(series.contains("__name__=\"node_load1\""), "{series}");
    let series = promtool(&["query", "series", "--match=node_load1", &times[0], &times[1], url]);
    assert_eq!(series.lines().count(), 1, "{series}");
    let labels = promtool(&["query", "labels", url, "__name__"]);
    assert!(labels.lines().any(|line| line == "node_load15"), "{labels}");
    assert_eq!(promtool(&["query", "labels", url, "nothing"]).trim(), "");
}

/// `data.result` of a query at an instant.
async fn ask(url: &str, query: &str, time_s: u64) -> Value {
    let form = [("query", query), ("time", &time_s.to_string())];
    let (status, answer) = http::post_form(&format!("{url}/api/v1/query"), &form).await;
    assert_eq!(status, 200, "{query}: {answer}");
    answer["data"]["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_federates_and_reads_remotely() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = watching(folder.path()).await;
    let target = belfry.url.strip_prefix("http://").expect("a URL");
    let (federating, reading) = (folder.path().join("one"), folder.path().join("two"));
    for own in [&federating, &reading] {
        std::fs::create_dir_all(own).expect("create");
    }
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: federate\n  honor_labels: true\n  \
         metrics_path: /federate\n  params: {{'match[]': ['{{__name__=~\"node_load.*\"}}', up]}}\n  \
         static_configs: [{{targets: ['{target}']}}]\n"
    );
    let one = servers::prometheus(&federating, &config).await;
    let config = format!("remote_read:\n- url: {}/api/v1/read\n  read_recent: true\n", belfry.url);
    let two = servers::prometheus(&reading, &config).await;
    let one_url = format!("http://127.0.0.1:{}", one.port);
    let federated = eventually("federated samples", 60, async || {
        let result = ask(&one_url, "node_load1{site=\"belfry\"}", now_s()).await;
        result.get(0).cloned()
    })
    .await;
    assert_eq!(federated["metric"]["job"], "node", "honoured: {federated}");
    // Its first sample may be newer than the whole second that is asked for.
    let health = eventually("its health", 30, async || {
        let result = ask(&one_url, "up{job=\"federate\"}", now_s()).await;
        result.get(0).cloned()
    })
    .await;
    assert_eq!(health["value"][1], "1", "the page is a good one");

    // The same samples, read by another engine: between two scrapes, so that no edge differs.
    let two_url = format!("http://127.0.0.1:{}", two.port);
    let at = now_s() - 3;
    for query in [
        "count(node_load1)",
        "node_memory_MemTotal_bytes",
        "sum by (mode) (node_cpu_seconds_total offset 1s)",
        "max_over_time(node_load1[1m] offset 1s)",
        "count({__name__=~\"node_.*\"})",
        "node_load1{site=\"belfry\"}",
        "nothing",
    ] {
        let theirs = ask(&two_url, query, at).await;
        let own = ask(&belfry.url, &query.replace("{site=\"belfry\"}", ""), at).await;
        let (one, two) = (values(&theirs), values(&own));
        // Prometheus 2.42 sums without carrying what rounding loses.
        let close = |(one, two): (&f64, &f64)| (one - two).abs() <= 1e-12 * one.abs();
        let is_same = one.len() == two.len() && one.iter().zip(&two).all(close);
        assert!(is_same, "{query}: {theirs} and {own}");
    }
    let streamed = http::get(&format!("{two_url}/metrics")).await.expect("metrics");
    assert!(
        !streamed.contains("prometheus_remote_storage_read_queries_total{code=\"5"),
        "no failure"
    );
}

/// The values of an answer, the smallest first.
fn values(result: &Value) -> Vec<f64> {
    let all = result.as_array().expect("a list").iter();
    let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok());
    let mut all: Vec<f64> = all.map(|one| value(one).expect("a number")).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_library_asks() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = watching(folder.path()).await;
    let script = r#"
import datetime, json, sys
from prometheus_api_client import PrometheusConnect
p = PrometheusConnect(url=sys.argv[1], disable_ssl=True)
now = datetime.datetime.now()
start = now - datetime.timedelta(minutes=5)
found = {
    "connected": p.check_prometheus_connection(),
    "metrics": p.all_metrics(),
    "labels": p.get_label_names(),
    "jobs": p.get_label_values("job"),
    "series": p.get_series(start, now, params={"match[]": "up"}),
    "current": p.get_current_metric_value("node_load1"),
    "instant": p.custom_query("count(node_load1)"),
    "range": p.custom_query_range("vector(1)", start, now, "60"),
    "samples": len(p.get_metric_range_data("node_load1", start_time=start, end_time=now)[0]["values"]),
    "pools": p.get_scrape_pools(),
    "targets": p.get_targets(state="active"),
    "told": p.get_target_metadata({"job": "node"}, "node_load1"),
    "metadata": p.get_metric_metadata("node_load1"),
}
print(json.dumps(found))
"#;
    let output = Command::new(python::program("python3"))
        .args(["-c", script, &belfry.url])
        .output()
        .expect("run python3");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(found["connected"], true);
    assert!(texts(&found["metrics"]).contains(&"node_load1"), "{found}");
    assert!(texts(&found["labels"]).contains(&"job") && texts(&found["jobs"]).contains(&"node"));
    assert_eq!(found["current"][0]["metric"]["__name__"], "node_load1");
    assert_eq!(found["instant"][0]["value"][1], "1");
    assert_eq!(found["range"][0]["values"].as_array().map(Vec::len), Some(6));
    assert!(found["samples"].as_u64() >= Some(3), "{found}");
    assert!(texts(&found["pools"]).contains(&"node"), "{found}");
    assert!(found["targets"]["activeTargets"].as_array().is_some_and(|all| !all.is_empty()));
    assert_eq!(found["told"][0]["type"], "gauge", "{found}");
    assert!(found["series"].as_array().is_some_and(|all| !all.is_empty()), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_editor_perses_and_grafana_ask() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = watching(folder.path()).await;

    let found = node::run("editor.cjs", &belfry.url);
    for method in ["POST", "GET"] {
        let own = &found[method];
        assert!(texts(&own["names"]).contains(&"job"), "{method}: {found}");
        assert!(texts(&own["values"]).contains(&"node"), "{method}: {found}");
        assert!(texts(&own["metrics"]).contains(&"node_load1"), "{method}: {found}");
        assert_eq!(own["metadata"]["node_load1"][0]["type"], "gauge", "{method}: {found}");
        assert!(own["series"].as_array().is_some_and(|all| !all.is_empty()), "{method}: {found}");
        assert_eq!(own["flags"]["services"], "all", "{method}: {found}");
    }

    let found = node::run("perses.cjs", &belfry.url);
    assert_eq!(found["health"], true, "{found}");
    assert_eq!(found["instant"]["data"]["resultType"], "vector");
    assert_eq!(found["range"]["data"]["resultType"], "matrix");
    assert!(texts(&found["names"]["data"]).contains(&"job"), "{found}");
    assert!(texts(&found["values"]["data"]).contains(&"node"), "{found}");
    assert!(found["series"]["data"].as_array().is_some_and(|all| !all.is_empty()), "{found}");
    assert_eq!(found["metadata"]["data"]["node_load1"][0]["type"], "gauge");
    assert_eq!(found["tree"]["data"]["type"], "aggregation");
    assert_eq!(found["tree"]["data"]["expr"]["func"]["name"], "rate");

    let found = node::run("grafana.cjs", &belfry.url);
    assert_eq!(found["exemplars"], true, "{found}");
    assert_eq!(found["rules"]["job:up:sum"][0]["query"], "sum by (job) (up)", "{}", found["rules"]);
    assert!(texts(&found["metrics"]).contains(&"node_load1"));
    assert!(found["metadata"]["node_load1"]["type"] == "gauge", "{}", found["metadata"]);
    assert!(texts(&found["keys"]).contains(&"job"));
    for list in ["values", "variable", "oldValues"] {
        assert!(texts(&found[list]).contains(&"node"), "{list}: {}", found[list]);
    }
    assert!(found["tags"].to_string().contains("\"node\""), "{}", found["tags"]);
    assert_eq!(texts(&found["matching"]), ["up"]);
    assert!(texts(&found["names"]).contains(&"job"), "{}", found["names"]);
    assert!(found["result"].to_string().contains("up{"), "{}", found["result"]);
    assert!(found["series"].to_string().contains("up{"), "{}", found["series"]);
    assert!(texts(&found["oldMetrics"]).contains(&"node_load1"));
    let asked = texts(&found["asked"]);
    for call in ["POST api/v1/labels", "GET api/v1/rules", "POST api/v1/query_exemplars"] {
        assert!(asked.contains(&call), "{call}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amtool_makes_and_ends_silences() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = Appliance::start(folder.path(), &["--services", "all"]).await;
    let amtool = |arguments: &[&str]| {
        let output = Command::new(require("amtool", "prometheus-alertmanager"))
            .arg(format!("--alertmanager.url={}", belfry.url))
            .args(arguments)
            .output()
            .expect("run amtool");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "amtool {arguments:?}: {text}{problem}");
        text
    };
    amtool(&["alert", "add", "alertname=Noise", "host=a", "--annotation=summary=loud"]);
    assert!(amtool(&["alert", "query", "alertname=Noise"]).contains("loud"));
    let add = ["silence", "add", "alertname=Noise", "--duration=1h", "--author=ada"];
    let id = amtool(&[&add[..], &["--comment=at work"]].concat()).trim().to_owned();
    let shown = amtool(&["silence", "query", "--within=2h"]);
    assert!(shown.contains(&id) && shown.contains("at work"), "{shown}");
    assert!(!amtool(&["alert", "query", "alertname=Noise"]).contains("loud"), "it is silenced");
    assert!(amtool(&["alert", "query", "--silenced", "alertname=Noise"]).contains("loud"));
    let changed = amtool(&["silence", "update", "--comment=still at work", &id]);
    assert!(changed.contains("still at work"), "{changed}");
    amtool(&["silence", "expire", &id]);
    assert_eq!(amtool(&["silence", "query", "-q"]).trim(), "");
    assert!(amtool(&["alert", "query", "alertname=Noise"]).contains("loud"));
    assert!(amtool(&["config", "show"]).contains("route"));
}
