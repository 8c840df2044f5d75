//! Queries that ask for too much: refused with the figures, killed, ended when nobody waits; memory
//! stays within the budget, and no rule waits for them.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::appliance::Appliance;
use tests::http;
use tests::process::eventually;
use tests::remote_write::{self, TimeSeries};

const SERIES: usize = 120_000;
const BUDGET_MIB: u64 = 512;
/// How often the rule is evaluated.
const INTERVAL: Duration = Duration::from_secs(5);
/// 11,000 steps of eight bytes for each series: ten gigabytes.
const TEN_GIGABYTES: &str = "load_series";

async fn loaded(folder: &std::path::Path) -> (Appliance, i64) {
    let config = "exporters: {host: {enabled: false}}\npacks: {enabled: false}\n\
                  rules: [rules.yml]\nquery: {memory_max: 256MB, memory_max_all: 512MB}\n";
    std::fs::write(folder.join("belfry.yml"), config).expect("write belfry.yml");
    let rules = "groups:\n- name: watch\n  interval: 5s\n  rules:\n  - record: watched\n    \
                 expr: count(load_series{id=~\"1..\"})\n";
    std::fs::write(folder.join("rules.yml"), rules).expect("write rules.yml");
    let belfry = Appliance::start(folder, &["--services", "all", "--config", "belfry.yml"]).await;
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    let now_ms = i64::try_from(since.as_millis()).expect("fits") / 1000 * 1000;
    let client = http::client();
    for first in (0..SERIES).step_by(5000) {
        let series = (first..first + 5000).map(|id| {
            TimeSeries::new("load_series", &[("id", &id.to_string())], vec![(now_ms, id as f64)])
        });
        let body = remote_write::encode(&series.collect::<Vec<_>>());
        let url = format!("{}/api/v1/write", belfry.url);
        let (status, text) = remote_write::post(&client, &url, body).await.expect("an answer");
        assert_eq!(status, 204, "{text}");
    }
    (belfry, now_ms / 1000)
}

async fn range(url: String, query: String, end_s: i64, steps: i64) -> (u16, Value) {
    let (start, end) = ((end_s - steps).to_string(), end_s.to_string());
    let form = [("query", query.as_str()), ("start", &start), ("end", &end), ("step", "1")];
    http::post_form_patiently(&format!("{url}/api/v1/query_range"), &form).await
}

async fn last_evaluation(belfry: &Appliance) -> String {
    let (_, answer) = belfry.api_get("rules").await;
    let groups = answer["data"]["groups"].as_array().expect("groups").clone();
    let own = groups.iter().find(|group| group["name"] == "watch").expect("the group");
    own["lastEvaluation"].as_str().expect("an instant").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_hungry_queries_delay_no_rule() {
    let folder = tempfile::tempdir().expect("folder");
    let (belfry, end_s) = loaded(folder.path()).await;
    belfry.until_value("watched", 100.0, 30).await;

    // One alone: the reason, with figures, soon.
    let started = Instant::now();
    let (status, answer) = range(belfry.url.clone(), TEN_GIGABYTES.into(), end_s, 10_999).await;
    assert_eq!((status, answer["errorType"].as_str()), (422, Some("execution")), "{answer}");
    let text = answer["error"].as_str().expect("a reason");
    assert!(text.contains("load_series has 120000 series"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(2), "took {:?}", started.elapsed());

    // Many at once, some that only show while they are evaluated how much they need.
    let before_mib = belfry.process.peak_mib();
    let hungry = (0..200).map(|number| {
        let query = match number % 2 {
            0 => TEN_GIGABYTES.to_owned(),
            _ => format!("sum by (id) (load_series * {number})"),
        };
        tokio::spawn(range(belfry.url.clone(), query, end_s, 10_999))
    });
    let tasks: Vec<_> = hungry.collect();
    let (mut last, mut changed) = (last_evaluation(&belfry).await, Instant::now());
    let mut longest = Duration::ZERO;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = last_evaluation(&belfry).await;
        if now != last {
            last = now;
            changed = Instant::now();
        }
        longest = longest.max(changed.elapsed());
    }
    assert!(longest < 2 * INTERVAL, "the rule waited {longest:?}");
    for task in tasks {
        let (status, answer) = task.await.expect("a client");
        assert!(matches!(status, 422 | 503), "{status}: {answer}");
    }
    let grown_mib = belfry.process.peak_mib() - before_mib;
    assert!(grown_mib < BUDGET_MIB, "memory grew by {grown_mib} MiB");
    assert_eq!(belfry.value("watched").await, Some(100.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_when_its_client_goes_or_an_operator_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let (belfry, now_s) = loaded(folder.path()).await;
    // The newest samples are looked back at for five minutes.
    let end_s = now_s + 240;
    let slow = "sum(quantile_over_time(0.5, load_series{id=~\"1..\"}[1h:100ms]))";
    let running = async || {
        let (_, answer) = belfry.api_get("queries").await;
        let all = answer["data"]["queries"].as_array().expect("a list").clone();
        all.into_iter().find(|one| one["query"] == slow)
    };
    let gone = async || running().await.is_none().then_some(());

    let client = tokio::spawn(range(belfry.url.clone(), slow.to_owned(), end_s, 10_000));
    eventually("the query runs", 20, &running).await;
    client.abort();
    eventually("the query has ended with its client", 5, gone).await;

    let client = tokio::spawn(range(belfry.url.clone(), slow.to_owned(), end_s, 10_000));
    let id = eventually("the query runs again", 20, &running).await["id"].clone();
    let kill = format!("queries/{id}/kill");
    let (status, _) = belfry.api(&kill, &[]).await;
    assert_eq!(status, 200);
    let (status, answer) = client.await.expect("a client");
    assert_eq!((status, answer["errorType"].as_str()), (503, Some("canceled")), "{answer}");
    assert_eq!(answer["error"], "query was killed");
    eventually("the killed query has ended", 5, gone).await;
    let (status, answer) = belfry.api(&kill, &[]).await;
    assert_eq!((status, answer["errorType"].as_str()), (404, Some("not_found")));
}
