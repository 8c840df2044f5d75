//! Files for Grafana, and that none of their panels asks for what is not there: real servers are
//! watched, and every query of every dashboard is asked.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::appliance::{Appliance, binary};
use tests::process::eventually;
use tests::servers;

fn export(folder: &Path, more: &[&str]) -> String {
    let output = Command::new(binary())
        .args(["grafana", "export", "out", "--config", "belfry.yml"])
        .args(more)
        .current_dir(folder)
        .output()
        .expect("run belfry");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An expression as Grafana sends it.
fn expanded(expression: &str) -> String {
    let mut text = expression.replace("$__rate_interval", "20s");
    for name in ["$job", "$instance", "$datname", "$proxy"] {
        text = text.replace(name, ".+");
    }
    text
}

/// The metric names before braces.
fn metrics(expression: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let mut found = BTreeSet::new();
    for (place, _) in expression.match_indices('{') {
        let before = &expression[..place];
        let start = before.rfind(|letter| !is_name(letter)).map_or(0, |at| at + 1);
        found.insert(before[start..].to_owned());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_panel_asks_for_what_is_not_there() {
    let folder = tempfile::tempdir().expect("folder");
    let postgres = servers::postgres(folder.path()).await;
    let redis = servers::redis(folder.path(), None).await;
    let haproxy = servers::haproxy(folder.path(), redis.port).await;
    let config = format!(
        "external_url: http://belfry.example:9090\n\
         sql: {{postgres: {{listen: '127.0.0.1:0'}}}}\nexporters:\n  host: {{interval: 2s, timeout: 1s}}\n\
         \x20 postgres:\n  - {{name: main, url: 'postgres://postgres:hush-hush@127.0.0.1:{}/postgres', interval: 2s, timeout: 2s}}\n\
         \x20 redis:\n  - {{name: cache, address: '127.0.0.1:{}', interval: 2s, timeout: 2s}}\n\
         \x20 haproxy:\n  - {{name: edge, url: 'http://127.0.0.1:{}/metrics', interval: 2s, timeout: 2s}}\n",
        postgres.port, redis.port, haproxy.port
    );
    std::fs::write(folder.path().join("belfry.yml"), config).expect("write");
    assert!(export(folder.path(), &[]).starts_with("7 files"));
    let read =
        |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).expect(name);
    let sources = read("provisioning/datasources/belfry.yaml");
    assert!(sources.contains("timeInterval: 2s\n"), "{sources}");
    assert!(sources.contains("url: \"http://belfry.example:9090\""), "{sources}");
    assert!(sources.contains("type: postgres") && sources.contains("\"belfry.example:0\""));
    assert!(!sources.contains("hush-hush"));
    let first: Vec<u8> = read("dashboards/belfry/belfry-host.json").into_bytes();
    export(folder.path(), &["--url", "http://other:1"]);
    assert_eq!(first, read("dashboards/belfry/belfry-host.json").into_bytes());
    export(folder.path(), &["--configmap", "--namespace", "watching"]);
    let map = read("belfry-host-dashboard.yaml");
    assert!(map.contains("grafana_dashboard: \"1\"") && map.contains("namespace: \"watching\""));

    let appliance =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;
    for metric in [
        "node_load1",
        "pg_stat_database_xact_commit",
        "redis_commands_total",
        "haproxy_server_status",
    ] {
        let query = format!("count(count_over_time({metric}[1m]) >= 3) > 0");
        eventually(&query, 90, async || (!appliance.query(&query).await.is_empty()).then_some(()))
            .await;
    }
    // Belfry reads itself every 15 seconds.
    let own = "count(count_over_time(belfry_build_info[2m]) >= 2) > 0";
    eventually(own, 90, async || (!appliance.query(own).await.is_empty()).then_some(())).await;
    let (_, names) = appliance.api_get("label/__name__/values").await;
    let known: BTreeSet<String> = names["data"]
        .as_array()
        .expect("names")
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    // There only once something was refused or failed.
    let conditional =
        ["belfry_collector_scrapes_failed_total", "belfry_store_samples_refused_total"];
    let known: BTreeSet<String> = known.into_iter().chain(conditional.map(str::to_owned)).collect();
    let mut missing = BTreeSet::new();
    let mut asked = 0;
    for name in ["host", "postgres", "redis", "haproxy", "self"] {
        let text = read(&format!("dashboards/belfry/belfry-{name}.json"));
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = expanded(target["expr"].as_str().expect("an expression"));
                let (status, answer) = appliance.api("query", &[("query", &query)]).await;
                assert_eq!(status, 200, "{}: {query}: {answer}", panel["title"]);
                missing
                    .extend(metrics(&query).difference(&known).map(|own| format!("{name}: {own}")));
                asked += 1;
            }
        }
    }
    assert_eq!(missing, BTreeSet::new(), "metrics that no exporter gave");
    assert!(asked > 100, "{asked} queries");
}
