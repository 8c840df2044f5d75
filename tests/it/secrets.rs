//! A secret in every place that may hold one: no answer and no log line shows any of them.

use tests::appliance::Appliance;
use tests::http;
use tests::process::eventually;

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

/// What tells of configuration and state.
const PATHS: &[&str] = &[
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
];

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
    for path in PATHS {
        let shown = belfry.get(path).await;
        assert!(!shown.contains("canary"), "{path}: {shown}");
    }
    let log = belfry.process.log();
    assert!(!log.contains("canary"), "{log}");
    assert!(belfry.get("/api/v1/status/config").await.contains("<secret>"));
}

/// bcrypt of "fakepassword".
const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
/// SHA-256 of a token that nobody knows.
const DIGEST: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

#[tokio::test(flavor = "multi_thread")]
async fn no_login_is_shown_either() {
    let folder = tempfile::tempdir().expect("folder");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
    let web = format!(
        "web:\n  config_file: web.yml\n  users: [{{name: u, roles: [read], password_bcrypt: '{HASH}'}}]\n\
         \x20 tokens:\n  - {{name: t, token_file: t.token, roles: [admin]}}\n\
         \x20 - {{name: d, token_sha256: {DIGEST}, roles: [read]}}\n"
    );
    write("belfry.yml", &web);
    write("web.yml", &format!("basic_auth_users: {{v: {HASH}}}\n"));
    write("t.token", "canary-token-0123456789\n");
    let arguments = ["--services", "all", "--config", "belfry.yml", "--log", "trace"];
    let belfry = Appliance::start(folder.path(), &arguments).await;
    let client = http::client();
    let mut shown = String::new();
    for path in PATHS {
        let url = format!("{}{path}", belfry.url);
        for request in [
            client.get(&url).bearer_auth("canary-token-0123456789"),
            client.get(&url).basic_auth("u", Some("fakepassword")),
            client.get(&url).basic_auth("u", Some("canary-wrong-password")),
            client.get(&url).bearer_auth("canary-wrong-token-0123"),
        ] {
            let answer = request.send().await.expect("an answer");
            shown.push_str(&format!("{path}: {} {:?}\n", answer.status(), answer.headers()));
            shown.push_str(&answer.text().await.expect("text"));
        }
    }
    assert!(shown.contains("<secret>") && shown.contains("429"), "{shown}");
    write("t.token", "canary short\n");
    eventually("the mistake is told", 20, async || {
        belfry.process.log().contains("needs one token").then_some(())
    })
    .await;
    shown.push_str(&belfry.process.log());
    for secret in ["canary", "fakepassword", "QOauhQNb", "Y2FuYXJ5", "c0ffee", "dTpmYWtl"] {
        let at = shown.find(secret);
        let near = at.map(|at| &shown[at.saturating_sub(200)..(at + 100).min(shown.len())]);
        assert_eq!(near, None, "{secret} is shown");
    }
}
