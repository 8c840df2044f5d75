//! What a scrape leaves in the store.
use std::sync::Arc;
use std::time::Duration;

use model::append::Metadata;
use model::{BoxFuture, Exporter, Family, Labels, MetricKind, TimestampMs};

use super::{Answer, FakeStore, FakeTarget, collector, config, eventually, job};
use crate::{Health, Source};

const STOP: Duration = Duration::from_secs(5);

fn named(target: &FakeTarget, name: &str) -> String {
    format!("{name}{{instance={:?}, job=\"j\"}}", target.address)
}

#[tokio::test]
async fn exemplars_and_families_come_along_once() {
    let store = Arc::new(FakeStore::default());
    let page = "# HELP a Says \\\"a\\\"\\nand more.\n# TYPE a counter\n\
                a_total 2 # {trace_id=\"x\",b=\"c\"} 0.5 1.5\n# TYPE b_seconds gauge\n\
                # UNIT b_seconds seconds\nb_seconds 1\n# TYPE h histogram\n\
                h_bucket{le=\"+Inf\"} 1 # {} 7\n# EOF\n";
    let target = FakeTarget::new(Answer::Typed(
        "application/openmetrics-text; version=1.0.0",
        page.to_owned(),
    ))
    .await;
    let collector = collector(&store);
    collector.start(job(&target, ""), vec![]).await;
    eventually("three scrapes", || store.samples(&named(&target, "up")).len() >= 3).await;
    collector.stop(STOP).await;
    let (exemplars, families) = store.beside();
    let told = |name: &str, kind, unit: &str, help: &str| {
        (name.to_owned(), Metadata { kind, unit: unit.to_owned(), help: help.to_owned() })
    };
    let expected = [
        told("a", MetricKind::Counter, "", "Says \"a\"\nand more."),
        told("b_seconds", MetricKind::Gauge, "seconds", ""),
        told("h", MetricKind::Histogram, "", ""),
    ];
    assert_eq!(families, expected);
    // One with a time of its own comes with every page; the store knows that it is no news.
    let (timed, untimed): (Vec<_>, Vec<_>) = exemplars.iter().partition(|one| one.value == 0.5);
    assert!(timed.len() >= 3 && untimed.len() == 1, "{exemplars:?}");
    assert_eq!(
        (timed[0].at, timed[0].labels.to_string()),
        (TimestampMs(1500), timed[2].labels.to_string())
    );
    assert_eq!(timed[0].labels, Labels::from_pairs([("b", "c"), ("trace_id", "x")]));
    assert!(untimed[0].labels.is_empty() && untimed[0].at.0 > 1_000_000);
}

#[tokio::test]
async fn a_page_is_committed_with_its_report() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a 1\nb{c=\"d\",job=\"own\"} 2\n").await;
    let collector = collector(&store);
    collector
        .start(
            job(
                &target,
                "  metric_relabel_configs: [{source_labels: [c], regex: x, action: drop}]",
            ),
            vec![],
        )
        .await;
    let address = target.address.clone();
    eventually("three scrapes", || store.samples(&named(&target, "up")).len() >= 3).await;
    collector.stop(STOP).await;

    let expected = [
        format!("a{{instance={address:?}, job=\"j\"}}"),
        format!("b{{c=\"d\", exported_job=\"own\", instance={address:?}, job=\"j\"}}"),
        named(&target, "scrape_duration_seconds"),
        named(&target, "scrape_samples_post_metric_relabeling"),
        named(&target, "scrape_samples_scraped"),
        named(&target, "scrape_series_added"),
        named(&target, "up"),
    ];
    assert_eq!(store.series(), expected);
    assert_eq!(store.last(&named(&target, "up")), Some(1.0));
    assert_eq!(store.last(&named(&target, "scrape_samples_scraped")), Some(2.0));
    let added: Vec<f64> =
        store.samples(&named(&target, "scrape_series_added")).iter().map(|s| s.1).collect();
    assert_eq!(added[..2], [2.0, 0.0]);
    // One scrape is one batch, and a known series is named by its number.
    assert_eq!(store.batches()[..2], [(7, 7), (0, 7)]);
    let times: Vec<i64> = store.samples(&named(&target, "up")).iter().map(|s| s.0).collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");

    let status = &collector.targets()[0];
    assert_eq!((status.job.as_str(), status.instance.as_str()), ("j", address.as_str()));
    assert_eq!((status.health, status.samples, status.pool.as_str()), (Health::Up, 2, "j"));
    assert_eq!(status.scrape_url, format!("http://{address}/metrics"));
    let headers = &target.seen()[0];
    assert!(headers["accept"].to_str().expect("text").contains("q=0.6"), "{headers:?}");
    assert_eq!(headers["accept-encoding"], "gzip");
    assert_eq!(headers["x-prometheus-scrape-timeout-seconds"], "0.1");
}

#[tokio::test]
async fn vanished_series_and_failed_targets_go_stale() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a 1\nb 2\nc 3 1000\n").await;
    let collector = collector(&store);
    collector.start(job(&target, ""), vec![]).await;
    let (a, b, c) = (named(&target, "a"), named(&target, "b"), named(&target, "c"));
    eventually("first page", || store.last(&b).is_some()).await;
    target.set_page("a 1\n");
    eventually("b ends", || store.is_stale(&b)).await;
    assert!(!store.is_stale(&a) && !store.is_stale(&c), "c has a time of its own");
    target.set(Answer::Status(500));
    eventually("a ends", || store.is_stale(&a)).await;
    assert_eq!(store.last(&named(&target, "up")), Some(0.0));
    let markers = store.samples(&b).iter().filter(|s| s.1.is_nan()).count();
    assert_eq!(markers, 1, "one marker is enough");
    target.set_page("a 5\nb 6\n");
    eventually("a comes back", || store.last(&a) == Some(5.0)).await;
    // A removed target ends with all its series, the report too.
    collector.reload(config(""), vec![]).await;
    assert!(store.is_stale(&a) && store.is_stale(&b) && store.is_stale(&named(&target, "up")));
    assert_eq!(collector.targets(), []);
    collector.stop(STOP).await;
}

#[tokio::test]
async fn a_reload_keeps_what_stays_the_same() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a 1\nb 2\n").await;
    let collector = collector(&store);
    collector.start(job(&target, ""), vec![]).await;
    eventually("first page", || store.last(&named(&target, "b")).is_some()).await;
    collector.reload(job(&target, ""), vec![]).await;
    assert_eq!(collector.targets()[0].health, Health::Up);
    // Another rule: the series that it drops ends, the others go on without a marker.
    let drop_b = "  metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]";
    collector.reload(job(&target, drop_b), vec![]).await;
    eventually("b ends", || store.is_stale(&named(&target, "b"))).await;
    let a = store.samples(&named(&target, "a"));
    assert!(a.len() > 1 && a.iter().all(|sample| sample.1 == 1.0), "{a:?}");
    collector.stop(STOP).await;
}

#[tokio::test]
async fn honoured_labels_and_times() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a{job=\"own\"} 1 1000\nb{instance=\"\"} 1\n").await;
    let collector = collector(&store);
    collector.start(job(&target, "  honor_labels: true\n  honor_timestamps: false"), vec![]).await;
    let a = format!("a{{instance={:?}, job=\"own\"}}", target.address);
    eventually("first page", || store.last(&a).is_some()).await;
    collector.stop(STOP).await;
    assert!(store.samples(&a)[0].0 > 1_000_000, "our time, not the page's");
    assert!(store.last("b{job=\"j\"}").is_some(), "{:?}", store.series());
}

struct Fixed;

impl Exporter for Fixed {
    fn collect(&self) -> BoxFuture<'_, Result<Vec<Family>, String>> {
        Box::pin(async {
            let mut family = Family::new("x_total", MetricKind::Counter, "help");
            family.sample(&[("k", "v\"")], 3.0);
            Ok(vec![family])
        })
    }
}

#[tokio::test]
async fn an_exporter_inside_is_a_target_like_any_other() {
    let store = Arc::new(FakeStore::default());
    let collector = collector(&store);
    let source = Source {
        job: "host".to_owned(),
        instance: "here".to_owned(),
        labels: Labels::from_pairs([("dc", "1")]),
        interval_ms: 100,
        timeout_ms: 100,
        exporter: Arc::new(Fixed),
    };
    collector.start(config(""), vec![source]).await;
    let up = "up{dc=\"1\", instance=\"here\", job=\"host\"}";
    let series = "x_total{dc=\"1\", instance=\"here\", job=\"host\", k=\"v\\\"\"}";
    eventually("up", || store.last(up) == Some(1.0)).await;
    assert_eq!(store.last(series), Some(3.0));
    collector.reload(config(""), vec![]).await;
    assert!(store.is_stale(up) && store.is_stale(series));
    collector.stop(STOP).await;
}

#[tokio::test]
async fn an_exporter_inside_is_asked_at_once_and_only_once() {
    let store = Arc::new(FakeStore::default());
    let collector = collector(&store);
    let source = || Source {
        job: "host".to_owned(),
        instance: "here".to_owned(),
        labels: Labels::empty(),
        interval_ms: 86_400_000,
        timeout_ms: 100,
        exporter: Arc::new(Fixed),
    };
    collector.start(config(""), vec![source()]).await;
    let up = "up{instance=\"here\", job=\"host\"}";
    eventually("asked long before the interval is over", || store.last(up) == Some(1.0)).await;
    // A reload brings a new exporter of the same target, which keeps its place in the interval.
    collector.reload(config(""), vec![source()]).await;
    collector.stop(STOP).await;
    assert_eq!(store.samples(up).len(), 1);
}

#[tokio::test]
async fn target_files_are_followed() {
    let store = Arc::new(FakeStore::default());
    let target = FakeTarget::page("a 1\n").await;
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("t.json");
    std::fs::write(&file, "[]").expect("write");
    let text = format!(
        "scrape_configs:\n- {{job_name: j, scrape_interval: 100ms, file_sd_configs: [{{files: \
         ['{}'], refresh_interval: 50ms}}]}}\n",
        file.display()
    );
    let collector = collector(&store);
    collector.start(config(&text), vec![]).await;
    assert_eq!(collector.targets().len(), 0);
    std::fs::write(&file, format!("[{{\"targets\": [{:?}]}}]", target.address)).expect("write");
    eventually("the target is found", || store.last(&named(&target, "a")) == Some(1.0)).await;
    std::fs::write(&file, "[]").expect("write");
    eventually("the target is gone", || store.is_stale(&named(&target, "a"))).await;
    eventually("it is not shown", || collector.targets().is_empty()).await;
    collector.stop(STOP).await;
}
