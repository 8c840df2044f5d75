//! The whole way once: real servers are watched, one stops, a mail and a webhook arrive; it comes
//! back, and both arrive again.

use std::path::Path;

use serde_json::Value;
use tests::appliance::Appliance;
use tests::fake_inbox::{MailInbox, WebhookInbox};
use tests::process::eventually;
use tests::servers;

fn write_config(folder: &Path, ports: (u16, u16, u16), mail: &MailInbox, hook: &WebhookInbox) {
    let (postgres, redis, haproxy) = ports;
    let belfry = format!(
        "prometheus: prometheus.yml\nrules: [rules.yml]\nalertmanager: alertmanager.yml\n\
         exporters:\n  host: {{interval: 1s}}\n\
         \x20 postgres:\n  - {{name: main, url: 'postgres://postgres@127.0.0.1:{postgres}/postgres', interval: 1s, timeout: 1s}}\n\
         \x20 redis:\n  - {{name: cache, address: '127.0.0.1:{redis}', interval: 1s, timeout: 1s}}\n\
         \x20 haproxy:\n  - {{name: edge, url: 'http://127.0.0.1:{haproxy}/metrics', interval: 1s, timeout: 1s}}\n"
    );
    let prometheus = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{site: test}}}}\n\
         scrape_configs:\n- job_name: haproxy-by-file\n  static_configs: [{{targets: ['127.0.0.1:{haproxy}']}}]\n"
    );
    let rules = "groups:\n- name: test\n  interval: 1s\n  rules:\n\
                 \x20 - {record: 'job:up:sum', expr: 'sum by (job) (up)'}\n\
                 \x20 - alert: TestRedisDown\n    expr: redis_up == 0\n    for: 2s\n\
                 \x20   labels: {severity: page}\n\
                 \x20   annotations: {summary: 'Redis {{ $labels.instance }} is down'}\n";
    let alertmanager = format!(
        "global: {{smtp_smarthost: '{}', smtp_from: 'belfry@example.org', smtp_require_tls: true}}\n\
         route:\n  receiver: other\n  routes:\n  - matchers: ['alertname=\"TestRedisDown\"']\n\
         \x20   receiver: people\n    group_by: [alertname]\n    group_wait: 1s\n    group_interval: 2s\n    repeat_interval: 1h\n\
         receivers:\n- name: other\n- name: people\n  webhook_configs: [{{url: '{}'}}]\n\
         \x20 email_configs:\n  - {{to: 'oncall@example.org', send_resolved: true, tls_config: {{ca_file: '{}'}}}}\n",
        mail.address,
        hook.url,
        mail.ca_file.display(),
    );
    for (name, text) in [
        ("belfry.yml", belfry.as_str()),
        ("prometheus.yml", &prometheus),
        ("rules.yml", rules),
        ("alertmanager.yml", &alertmanager),
    ] {
        std::fs::write(folder.join(name), text).expect("write configuration");
    }
}

fn webhook<'a>(calls: &'a [Value], status: &str) -> Option<&'a Value> {
    calls.iter().find(|body| body["status"] == status)
}

fn check_webhook(body: &Value, status: &str) {
    assert_eq!(body["version"], "4");
    assert_eq!(body["receiver"], "people");
    assert_eq!(body["groupLabels"]["alertname"], "TestRedisDown");
    assert_eq!(body["commonLabels"]["severity"], "page");
    assert_eq!(body["truncatedAlerts"], 0);
    assert!(body["groupKey"].as_str().is_some_and(|key| key.contains("TestRedisDown")), "{body}");
    let alert = &body["alerts"][0];
    assert_eq!(alert["status"], status);
    assert_eq!(alert["labels"]["site"], "test", "external labels travel with the alert");
    let summary = alert["annotations"]["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("Redis ") && summary.ends_with(" is down"), "{summary}");
    assert_eq!(alert["fingerprint"].as_str().map(str::len), Some(16));
    assert!(alert["generatorURL"].as_str().is_some_and(|url| url.contains("/graph?g0.expr=")));
    let ends = alert["endsAt"].as_str().expect("endsAt");
    assert_eq!(ends == "0001-01-01T00:00:00Z", status == "firing", "{ends}");
}

fn check_mail(mail: &str, status: &str) {
    assert!(mail.contains("X-Test-TLS: yes"), "STARTTLS was used:\n{mail}");
    assert!(mail.contains("X-Test-Rcpt: oncall@example.org"), "{mail}");
    assert!(mail.contains("TestRedisDown"), "{mail}");
    let subject = mail.lines().find(|line| line.starts_with("Subject: ")).expect("a subject");
    assert!(subject.to_uppercase().contains(&status.to_uppercase()), "{subject}");
    assert!(mail.contains("Message-ID: <") || mail.contains("Message-Id: <"), "{mail}");
    assert!(mail.contains("text/plain") && mail.contains("text/html"), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_stops_and_people_hear_of_it() {
    let folder = tempfile::tempdir().expect("folder");
    let postgres = servers::postgres(folder.path()).await;
    let mut redis = servers::redis(folder.path(), None).await;
    let haproxy = servers::haproxy(folder.path(), redis.port).await;
    let mail = MailInbox::start(folder.path()).await;
    let hook = WebhookInbox::start().await;
    let ports = (postgres.port, redis.port, haproxy.port);
    write_config(folder.path(), ports, &mail, &hook);
    let belfry =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;

    belfry.until_value("redis_up", 1.0, 30).await;
    belfry.until_value("pg_up", 1.0, 30).await;
    belfry.until_value("count(haproxy_process_uptime_seconds) > 0", 2.0, 30).await;
    belfry.until_value("count(node_load1)", 1.0, 30).await;
    belfry.until_value(r#"job:up:sum{job="redis"}"#, 1.0, 30).await;
    assert!(
        belfry.value("sum(pg_stat_database_xact_commit{datname=\"postgres\"})").await > Some(0.0)
    );

    redis.process.kill();
    let bodies = || hook.calls().into_iter().map(|call| call.body).collect::<Vec<_>>();
    let fired =
        eventually("a webhook says firing", 60, async || webhook(&bodies(), "firing").cloned())
            .await;
    check_webhook(&fired, "firing");
    let first_mail =
        eventually("a mail says firing", 60, async || mail.mails().first().cloned()).await;
    check_mail(&first_mail, "firing");
    let (_, alerts) = belfry.api_get("alerts").await;
    assert!(alerts["data"]["alerts"].to_string().contains("TestRedisDown"), "{alerts}");

    let _redis = servers::redis(folder.path(), Some(redis.port)).await;
    let resolved =
        eventually("a webhook says resolved", 60, async || webhook(&bodies(), "resolved").cloned())
            .await;
    check_webhook(&resolved, "resolved");
    assert_eq!(resolved["alerts"][0]["startsAt"], fired["alerts"][0]["startsAt"]);
    let second_mail =
        eventually("a mail says resolved", 60, async || mail.mails().get(1).cloned()).await;
    check_mail(&second_mail, "resolved");
    assert_eq!(mail.mails().len(), 2, "no more than one mail each");
    check_logs(&belfry.process.log());
}

/// No ERROR, and no WARN but those about the Redis that we stopped.
fn check_logs(log: &str) {
    let unexpected: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.contains(" WARN "))
        .filter(|line| !line.contains("redis"))
        .collect();
    assert!(unexpected.is_empty(), "unexpected log lines:\n{}", unexpected.join("\n"));
}
