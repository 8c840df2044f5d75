//! A secret in every place that may hold one: no answer and no log line shows any of them.

use tests::appliance::Appliance;
use tests::http;

const BELFRY: &str = "prometheus: p.yml
alertmanager: a.yml
exporters:
  postgres: [{name: p, url: 'postgres://u:canary-a@127.0.0.1:1/x', interval: 1s, timeout: 1s}]
  redis: [{address: '127.0.0.1:1', username: u, password: canary-b, interval: 1s, timeout: 1s}]
  haproxy: [{url: 'http://u:canary-c@127.0.0.1:1/metrics', interval: 1s, timeout: 1s}]
";

const PROMETHEUS: &str = "global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: a
  basic_auth: {username: u, password: canary-d}
  http_headers: {X-Key: {values: [canary-e], secrets: [canary-f]}}
  static_configs: [{targets: ['127.0.0.1:1']}]
- job_name: b
  authorization: {credentials: canary-g}
  static_configs: [{targets: ['127.0.0.1:1']}]
- job_name: c
  bearer_token: canary-h
  static_configs: [{targets: ['127.0.0.1:1']}]
";

const ALERTMANAGER: &str = "global: {smtp_smarthost: '127.0.0.1:1', smtp_from: a@b.example, smtp_auth_username: u, smtp_auth_password: canary-i}
route: {receiver: x, group_wait: 0s}
receivers:
- name: x
  email_configs: [{to: c@d.example, auth_password: canary-j}]
  webhook_configs:
  - url: 'http://u:canary-k@127.0.0.1:1/canary-l?t=canary-m'
  - url: 'http://127.0.0.1:1/'
    http_config: {authorization: {credentials: canary-n}, http_headers: {X: {values: [canary-o]}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_and_no_log_line_shows_a_secret() {
    let folder = tempfile::tempdir().expect("folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
    write("belfry.yml", BELFRY);
    write("p.yml", PROMETHEUS);
    write("a.yml", ALERTMANAGER);
    let arguments = ["--services", "all", "--config", "belfry.yml", "--log", "debug"];
    let belfry = Appliance::start(folder.path(), &arguments).await;
    let alert = r#"[{"labels":{"alertname":"A"}}]"#;
    let posted = http::client().post(format!("{}/api/v2/alerts", belfry.url)).body(alert);
    assert_eq!(posted.send().await.expect("an answer").status(), 200);
    belfry.until_value("count(up == 0)", 4.0, 60).await;
    let tried = "sum(belfry_alertmanager_attempts_total{outcome!=\"ok\"}) > bool 1";
    belfry.until_value(tried, 1.0, 60).await;
    for path in [
        "/api/v1/status/config",
        "/api/v1/status/flags",
        "/api/v1/status/runtimeinfo",
        "/api/v1/targets",
        "/api/v1/rules",
        "/api/v1/alerts",
        "/api/v1/series?match[]=up",
        "/api/v2/status",
        "/api/v2/alerts",
        "/api/v2/alerts/groups",
        "/api/v2/receivers",
        "/metrics",
    ] {
        let shown = belfry.get(path).await;
        assert!(!shown.contains("canary"), "{path}: {shown}");
    }
    let log = belfry.process.log();
    assert!(!log.contains("canary"), "{log}");
    assert!(belfry.get("/api/v1/status/config").await.contains("<secret>"));
}
