//! Hostile and broken targets, and a store in trouble.
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Answer, FakeStore, FakeTarget, collector, config, eventually, job};
use crate::{Collector, Health, HttpClient, Parts};
use model::clock::SystemClock;

const STOP: Duration = Duration::from_secs(5);

/// Scrapes an answer until the target is down; gives the reason.
async fn down(answer: Answer, more: &str) -> String {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::new(answer).await;
    let collector = collector(&store);
    let text = format!(
        "scrape_configs:
- job_name: j
  scrape_interval: 5s
  static_configs: [{{targets: ['{}']}}]
{more}",
        target.address
    );
    collector.start(config(&text), vec![]).await;
    eventually("the target is down", || collector.targets()[0].health == Health::Down).await;
    collector.stop(STOP).await;
    let up = format!("up{{instance={:?}, job=\"j\"}}", target.address);
    assert_eq!(store.last(&up), Some(0.0));
    assert_eq!(store.series().len(), 5, "nothing but the report: {:?}", store.series());
    collector.targets()[0].last_error.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_targets_are_down_with_the_reason() {
    let foreign = FakeTarget::page("a 1\n").await;
    let limit = "  body_size_limit: 1MB";
    let page = || Answer::Page("a 1\nb{c=\"dd\"} 2\n".to_owned());
    let redirect = || Answer::Redirect(format!("http://{}/x", foreign.address));
    let cases = [
        (Answer::Endless, limit, "the page exceeds 1048576 bytes"),
        (Answer::GzipBomb, limit, "the page exceeds 1048576 bytes"),
        (Answer::Hang, "  scrape_timeout: 50ms", "no complete answer within 50 ms"),
        (Answer::Status(500), "", "the server answered HTTP status 500"),
        (redirect(), "", "is not named in the configuration"),
        (redirect(), "  follow_redirects: false", "the server answered HTTP status 302"),
        (Answer::Page("<html>".to_owned()), "", "line 1 of the page: a line can't begin with '<'"),
        (Answer::Page("a 1\na{".to_owned()), "", "line 2 of the page"),
        (Answer::Typed("text/html", "a 1\n".to_owned()), "", "which is no metrics format"),
        (Answer::Packed("a 1\nb".to_owned()), "", "line 2 of the page"),
        (page(), "  sample_limit: 1", "sample limit exceeded: 2 of 1 samples"),
        (page(), "  label_limit: 3", "label_limit exceeded"),
        (page(), "  label_value_length_limit: 1", "label_value_length_limit of 1 exceeded"),
        (page(), "  label_name_length_limit: 4", "label_name_length_limit of 4 exceeded"),
        (Answer::Page("a{b=\"1\",b=\"2\"} 1\n".to_owned()), "", "the label \"b\" is given twice"),
        (page(), "  basic_auth: {username: u, password_file: /nowhere}", "read /nowhere"),
    ];
    let runs = cases.map(|(answer, more, expected)| async move {
        let reason = down(answer, more).await;
        assert!(reason.contains(expected), "{reason:?} should say {expected:?}");
    });
    futures::future::join_all(runs).await;
    assert!(foreign.seen().is_empty(), "nobody may be sent to a host that is not configured");
}

#[tokio::test]
async fn a_fallback_and_a_packed_page_are_read() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::new(Answer::Typed("", "a 1\n".to_owned())).await;
    let collector = collector(&store);
    collector.start(job(&target, "  fallback_scrape_protocol: PrometheusText0.0.4"), vec![]).await;
    let a = format!("a{{instance={:?}, job=\"j\"}}", target.address);
    eventually("read", || store.last(&a) == Some(1.0)).await;
    target.set(Answer::Packed("a 2\n".to_owned()));
    eventually("read", || store.last(&a) == Some(2.0)).await;
    target.set(Answer::Typed(
        "application/openmetrics-text; version=1.0.0",
        "a 3\n# EOF\n".to_owned(),
    ));
    eventually("read", || store.last(&a) == Some(3.0)).await;
    collector.stop(STOP).await;
}

#[tokio::test]
async fn too_many_targets_fail_all_of_them() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a 1\n").await;
    let collector = collector(&store);
    let text = format!(
        "scrape_configs:\n- {{job_name: j, scrape_interval: 100ms, target_limit: 1, \
         static_configs: [{{targets: ['{}', 'localhost:1']}}]}}\n",
        target.address
    );
    collector.start(config(&text), vec![]).await;
    eventually("all are down", || {
        collector.targets().iter().all(|target| target.last_error.contains("target_limit"))
    })
    .await;
    collector.stop(STOP).await;
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn a_short_trouble_of_the_store_costs_nothing() {
    let store = Arc::new(FakeStore::default());
    store.set_unavailable(true);
    let target = FakeTarget::page("a 1\n").await;
    let collector = collector(&store);
    collector.start(job(&target, ""), vec![]).await;
    eventually("three batches wait", || collector.stats().batches_waiting >= 3).await;
    assert_eq!(store.series(), Vec::<String>::new());
    assert!(collector.stats().waiting_bytes > 0);
    store.set_unavailable(false);
    eventually("nothing waits", || collector.stats().batches_waiting == 0).await;
    collector.stop(STOP).await;
    let a = store.samples(&format!("a{{instance={:?}, job=\"j\"}}", target.address));
    assert!(a.len() >= 3 && a.is_sorted_by(|one, two| one.0 < two.0), "{a:?}");
    let stats = collector.stats();
    assert_eq!((stats.batches_dropped, stats.waiting_bytes), (0, 0));
    assert_eq!(stats.samples_accepted, store.batches().iter().map(|b| b.1 as u64).sum::<u64>());
}

#[tokio::test]
async fn a_full_waiting_room_drops_the_oldest_and_counts() {
    let store = Arc::new(FakeStore::default());
    store.set_unavailable(true);
    let target = FakeTarget::page("a 1\n").await;
    let parts = Parts {
        append: store.clone(),
        clock: Arc::new(SystemClock),
        http: Arc::new(HttpClient::new()),
        seed: 7,
    };
    let collector = Collector::with_waiting_room(parts, 2000);
    collector.start(job(&target, ""), vec![]).await;
    eventually("batches are dropped", || collector.stats().batches_dropped >= 2).await;
    let stats = collector.stats();
    assert!(stats.waiting_bytes <= 2000 && stats.samples_dropped >= 12, "{stats:?}");
    collector.stop(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_store_that_forgot_is_told_the_labels_again_at_once() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a 1\n").await;
    let collector = collector(&store);
    collector.start(job(&target, ""), vec![]).await;
    let a = format!("a{{instance={:?}, job=\"j\"}}", target.address);
    eventually("first page", || store.last(&a).is_some()).await;
    store.forget();
    assert_eq!(store.samples(&a), []);
    eventually("told again", || store.samples(&a).len() == 1).await;
    eventually("the report too", || store.series().len() == 6).await;
    collector.stop(STOP).await;
}

#[tokio::test]
async fn stop_waits_for_a_scrape_but_not_for_ever() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::new(Answer::Hang).await;
    let collector = collector(&store);
    collector.start(job(&target, "  scrape_timeout: 100ms"), vec![]).await;
    eventually("a request hangs", || !target.seen().is_empty()).await;
    let started = Instant::now();
    collector.stop(STOP).await;
    assert!(started.elapsed() < STOP, "{:?}", started.elapsed());
    let seen = target.seen().len();
    tokio::task::yield_now().await;
    assert_eq!(target.seen().len(), seen, "nothing runs after stop");
}
