//! The engine over the real store on a simulated disk: answers, limits, admission.
//!
//! The language itself is tested by the files of `tests/data/promqltest`.

/// A source that has series for every selector.
mod conjured;
/// A store full of counters.
mod fleet;
/// One very long series, very many short ones.
mod heavy;
/// What callers with a label scope see.
mod scope;
/// Budgets, the queue, the list of running queries.
mod limits;
/// What an operator between vectors reads.
mod narrow;
/// Where queries are evaluated.
mod small;
/// Killing, deadlines and failures.
mod stop;

use std::time::{Duration, Instant};

use fleet::{Fleet, STEP_MS};
use model::TimestampMs;
use query::{Error, Priority, QueryOptions, Settings, Value};
use tokio_util::sync::CancellationToken;

/// Expressions of every kind, over the fleet's metrics.
const EXPRESSIONS: &[&str] = &[
    "requests_total",
    "requests_total offset 1m",
    "requests_total{instance=~\"1.\"} @ 600",
    "rate(requests_total[5m])",
    "increase(requests_total[2m] offset -1m)",
    "sum(requests_total)",
    "sum by (job) (rate(requests_total[5m]))",
    "avg without (instance) (temperature)",
    "max(temperature) - min(temperature)",
    "stddev by (job) (temperature)",
    "count(requests_total) + count(temperature)",
    "quantile(0.9, temperature)",
    "topk(3, temperature)",
    "count_values(\"value\", round(temperature, 10))",
    "temperature > 20",
    "temperature > bool 20",
    "requests_total / on (job, instance) temperature",
    "temperature and on (instance) requests_total{instance=~\"2.*\"}",
    "temperature unless on (job, instance) requests_total{instance=~\"2.*\"}",
    "temperature{job=\"a\"} or temperature{job=\"b\"}",
    "max_over_time(temperature[10m])",
    "min_over_time(rate(requests_total[1m])[5m:30s])",
    "quantile_over_time(0.5, temperature[10m])",
    "avg_over_time(temperature[3m])",
    "stddev_over_time(temperature[10m])",
    "deriv(temperature[10m])",
    "predict_linear(temperature[10m], 60)",
    "changes(temperature[10m]) + resets(requests_total[10m])",
    "absent(nothing{a=\"b\"})",
    "absent_over_time(temperature[1m] offset 10m)",
    "label_replace(temperature, \"host\", \"h$1\", \"instance\", \"(.*)\")",
    "timestamp(temperature) - time()",
    "clamp(temperature, 5, 10)",
    "vector(time()) / 60",
    "scalar(sum(temperature)) * 2",
];

fn options() -> QueryOptions {
    QueryOptions::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_query_is_many_instant_queries() {
    let fleet = Fleet::new(Settings::default(), 40, 120).await;
    for flush in [false, true] {
        if flush {
            fleet.store.flush().expect("flushes");
        }
        for text in EXPRESSIONS {
            let (start, end) = (TimestampMs(0), TimestampMs(118 * STEP_MS));
            let range = fleet.engine.range(text, start, end, 7 * STEP_MS, &options()).await;
            let Value::Matrix(series) = range.expect(text).value else {
                panic!("a matrix: {text}")
            };
            assert!(!series.is_empty(), "{text} gives nothing");
            for step in 0..17 {
                let at = TimestampMs(step * 7 * STEP_MS);
                let mut expected: Vec<(String, f64)> = series
                    .iter()
                    .flat_map(|one| one.points.iter().map(move |point| (&one.labels, point)))
                    .filter(|(_, point)| point.0 == at)
                    .map(|(labels, point)| (labels.to_string(), point.1))
                    .collect();
                let answer = fleet.engine.instant(text, at, &options()).await.expect(text);
                let mut got: Vec<(String, f64)> = match answer.value {
                    Value::Vector(samples) => {
                        samples.iter().map(|own| (own.labels.to_string(), own.value)).collect()
                    }
                    Value::Scalar { value, .. } => vec![("{}".to_owned(), value)],
                    other => panic!("{text} is {other:?}"),
                };
                expected.sort_by(|a, b| a.0.cmp(&b.0));
                got.sort_by(|a, b| a.0.cmp(&b.0));
                assert_same(text, at, &got, &expected);
            }
        }
    }
}

#[track_caller]
fn assert_same(text: &str, at: TimestampMs, got: &[(String, f64)], expected: &[(String, f64)]) {
    assert_eq!(got.len(), expected.len(), "{text} at {at}: {got:?} instead of {expected:?}");
    for (got, expected) in got.iter().zip(expected) {
        let close = (got.1 - expected.1).abs() <= 1e-9 * (got.1.abs() + expected.1.abs());
        let same = got.1 == expected.1 || (got.1.is_nan() && expected.1.is_nan()) || close;
        assert!(got.0 == expected.0 && same, "{text} at {at}: {got:?} instead of {expected:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_series_run_on_many_threads_and_add_up() {
    let fleet = Fleet::new(Settings::default(), 700, 10).await;
    let at = TimestampMs(9 * STEP_MS);
    let folded = fleet.number("sum(requests_total)", at).await;
    let plain = fleet.number("sum(requests_total + 0)", at).await;
    assert_eq!(folded, plain);
    assert_eq!(fleet.number("count(requests_total)", at).await, 700.0);
    let answer = fleet.engine.instant("count(requests_total)", at, &options()).await.expect("runs");
    assert_eq!(answer.stats.series, 700);
    assert_eq!(answer.stats.nodes.len(), 1);
    assert_eq!(answer.stats.nodes[0].text, "requests_total");
}

/// Expressions of real dashboards and rules either have an answer or break a rule of matching.
#[tokio::test(flavor = "multi_thread")]
async fn real_expressions_are_answered() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/promql/queries.jsonl");
    let corpus = std::fs::read_to_string(path).expect("read the corpus");
    let clock = std::sync::Arc::new(model::clock::ManualClock::new(TimestampMs(7_200_000)));
    let source = std::sync::Arc::new(conjured::Conjured::default());
    let engine = query::Engine::new(source, clock, Settings::default());
    let (mut asked, mut answered) = (0, 0);
    for line in corpus.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        if case["ok"] != true {
            continue;
        }
        asked += 1;
        let text = case["expr"].as_str().expect("expr");
        let (start, end) = (TimestampMs(3_600_000), TimestampMs(7_200_000));
        match engine.range(text, start, end, 300_000, &options()).await {
            Ok(_) => answered += 1,
            Err(Error::Parse { message, .. }) if message.contains("for range query") => {}
            Err(Error::Execution(message)) => assert!(
                message.contains("match") || message.contains("same labelset"),
                "{text}: {message}"
            ),
            Err(other) => panic!("{text}: {other}"),
        }
    }
    assert!(answered * 10 > asked * 9, "only {answered} of {asked} were answered");
}

#[tokio::test]
async fn a_bare_range_selector_gives_stored_samples() {
    let fleet = Fleet::new(Settings::default(), 2, 10).await;
    let at = TimestampMs(9 * STEP_MS);
    let text = "temperature{instance=\"0\"}[30s]";
    let answer = fleet.engine.instant(text, at, &options()).await.expect("runs");
    let Value::Matrix(series) = answer.value else { panic!("a matrix") };
    assert_eq!(series.len(), 1);
    let times: Vec<i64> = series[0].points.iter().map(|point| point.0.0).collect();
    assert_eq!(times, [8 * STEP_MS, 9 * STEP_MS]);
}

#[tokio::test]
async fn limits_say_which() {
    let settings = Settings { samples_max: 100, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 10).await;
    let (start, end) = (TimestampMs(0), TimestampMs(9 * STEP_MS));
    let error = fleet.engine.range("temperature", start, end, STEP_MS, &options()).await;
    assert_eq!(
        error.expect_err("too many").to_string(),
        "query processing would load too many samples into memory in query execution"
    );

    let settings = Settings { memory_bytes_max: 10_000, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 10).await;
    let error = fleet.engine.range("temperature", start, end, 10, &options()).await;
    assert!(matches!(error, Err(Error::OverBudget { bytes_max: 10_000, .. })), "{error:?}");
    // Other queries are not touched.
    fleet.engine.instant("sum(temperature)", end, &options()).await.expect("runs");
    // Absurd numbers of steps are refused before anything of their size is made.
    let forever = TimestampMs(i64::MAX / 2);
    let error = fleet.engine.range("1", TimestampMs(0), forever, 1, &options()).await;
    assert!(error.is_err());

    let error = fleet.engine.instant("sum(", end, &options()).await.expect_err("no PromQL");
    assert!(matches!(error, Error::Parse { .. }) && error.to_string().contains("parse error"));
}

#[tokio::test]
async fn a_query_ends_with_its_deadline_or_caller() {
    let fleet = Fleet::new(Settings::default(), 4, 10).await;
    let at = TimestampMs(9 * STEP_MS);
    let hurried = QueryOptions { timeout_ms: Some(0), ..options() };
    let error = fleet.engine.instant("temperature", at, &hurried).await.expect_err("too late");
    assert!(error.to_string().starts_with("query timed out in "), "{error}");

    let cancel = CancellationToken::new();
    cancel.cancel();
    let cancelled = QueryOptions { cancel: Some(cancel), ..options() };
    let error = fleet.engine.instant("temperature", at, &cancelled).await.expect_err("cancelled");
    assert!(error.to_string().starts_with("query was canceled in "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_does_not_starve_a_rule() {
    let settings = Settings { concurrent_max: 2, reserved_for_rules: 1, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 120).await;
    // Long queries hold the only shared place until they are cancelled by being dropped.
    let slow = "sum(quantile_over_time(0.5, temperature[10m:1ms]))";
    let mut hogs = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let engine = fleet.engine.clone();
        hogs.spawn(async move {
            let (start, end) = (TimestampMs(0), TimestampMs(100 * STEP_MS));
            engine.range(slow, start, end, 1000, &options()).await.map(drop)
        });
    }
    let rule = QueryOptions { priority: Priority::Rule, ..options() };
    let started = Instant::now();
    let at = TimestampMs(100 * STEP_MS);
    let answer = tokio::time::timeout(
        Duration::from_secs(20),
        fleet.engine.instant("sum(temperature)", at, &rule),
    );
    answer.await.unwrap_or_else(|_| panic!("waited {:?}", started.elapsed())).expect("runs");
    hogs.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_expressions_are_answered() {
    let fleet = Fleet::new(Settings::default(), 2, 10).await;
    let at = TimestampMs(9 * STEP_MS);
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    fleet.engine.instant(&deep, at, &options()).await.expect("runs");
    let deep = format!("{}temperature{}", "abs(-".repeat(50), ")".repeat(50));
    fleet.engine.instant(&deep, at, &options()).await.expect("runs");
    let chain = vec!["temperature"; 512].join(" + on (job, instance) ");
    fleet.engine.instant(&chain, at, &options()).await.expect("runs");
    // Subqueries look further and further back, so the inner ones have nothing left to look at.
    let deep = format!("{}temperature{}", "max_over_time(".repeat(120), "[1m:15s])".repeat(120));
    fleet.engine.instant(&deep, at, &options()).await.expect("runs");
    let deep = format!("{}temperature{}", "abs(-(1 + ".repeat(28), "))".repeat(28));
    fleet.engine.instant(&deep, at, &options()).await.expect("runs");
}

#[tokio::test]
async fn switched_off_language_is_refused() {
    let settings = Settings {
        experimental_functions: false,
        extended_range_selectors: false,
        fill_modifiers: false,
        ..Settings::default()
    };
    let fleet = Fleet::new(settings, 2, 10).await;
    for text in ["limitk(1, temperature)", "rate(temperature[1m] smoothed)", "step()"] {
        let error = fleet.engine.instant(text, TimestampMs(0), &options()).await;
        assert!(matches!(error, Err(Error::Parse { .. })), "{text}: {error:?}");
    }
}

#[tokio::test]
async fn names_may_be_dropped_at_once() {
    let settings = Settings { delayed_name_removal: false, ..Settings::default() };
    let fleet = Fleet::new(settings, 2, 10).await;
    let at = TimestampMs(9 * STEP_MS);
    let text = "label_replace(abs(temperature), \"n\", \"$1\", \"__name__\", \"(.+)\")";
    let answer = fleet.engine.instant(text, at, &options()).await.expect("runs");
    let Value::Vector(samples) = answer.value else { panic!("a vector") };
    assert!(samples.iter().all(|own| own.labels.get("n").is_none()));
    let clash = "rate({__name__=~\"requests_total|temperature\"}[5m])";
    let error = fleet.engine.instant(clash, at, &options()).await.expect_err("a clash");
    assert_eq!(error.to_string(), "vector cannot contain metrics with the same labelset");
}
