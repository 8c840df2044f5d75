//! Budgets, the queue, the list of running queries.

use std::sync::Arc;
use std::time::Duration;

use model::TimestampMs;
use query::tally::{Counts, Tally};
use query::{Engine, Error, Observer, Priority, QueryOptions, Settings};
use tokio_util::sync::CancellationToken;

use crate::fleet::{Fleet, STEP_MS};

/// A query that goes on until it is ended.
const ENDLESS: &str = "sum(quantile_over_time(0.5, temperature[10m:1ms]))";

fn start_endless(engine: &Engine) -> tokio::task::JoinHandle<Result<(), Error>> {
    let engine = engine.clone();
    tokio::spawn(async move {
        let options = QueryOptions { origin: "panel-id=7".to_owned(), ..QueryOptions::default() };
        let (start, end) = (TimestampMs(0), TimestampMs(100 * STEP_MS));
        engine.range(ENDLESS, start, end, 1000, &options).await.map(drop)
    })
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_is_listed_and_can_be_killed() {
    let settings = Settings { concurrent_max: 2, reserved_for_rules: 1, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 120).await;
    let engine = fleet.engine.clone();
    let (first, second) = (start_endless(&engine), start_endless(&engine));
    until("one runs, one waits", || {
        let states: Vec<bool> = engine.running().iter().map(|one| one.is_evaluated).collect();
        states.len() == 2 && states.iter().filter(|evaluated| **evaluated).count() == 1
    })
    .await;
    let listed = engine.running();
    assert_eq!(listed[0].text, ENDLESS);
    assert_eq!(listed[0].origin, "panel-id=7");
    assert_eq!(listed[0].range, (TimestampMs(0), TimestampMs(100 * STEP_MS), 1000));
    for one in &listed {
        assert!(engine.kill(one.id), "{one:?} is there");
    }
    for task in [first, second] {
        assert_eq!(task.await.expect("ends"), Err(Error::Killed));
    }
    until("the list is empty", || engine.running().is_empty()).await;
    assert!(!engine.kill(listed[0].id), "it is gone");
    assert_eq!(engine.memory_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_but_never_a_rule() {
    let settings =
        Settings { concurrent_max: 2, reserved_for_rules: 1, queue_max: 1, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 120).await;
    let engine = fleet.engine.clone();
    let tasks = [0, 1, 2].map(|_| start_endless(&engine));
    until("three are here", || engine.running().len() == 3).await;
    let at = TimestampMs(100 * STEP_MS);
    let refused = engine.instant("1", at, &QueryOptions::default()).await;
    assert!(matches!(&refused, Err(Error::Busy { reason }) if reason.contains("at most 3")));
    engine.instant("sum(temperature)", at, &QueryOptions::rule()).await.expect("a rule goes on");
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    until("all have noticed", || engine.running().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_queries_end_is_counted() {
    let settings =
        Settings { concurrent_max: 2, reserved_for_rules: 1, queue_max: 1, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 120).await;
    let tally = Arc::new(Tally::default());
    let observer = Arc::clone(&tally) as Arc<dyn Observer>;
    let engine = fleet.engine.clone().with_observers(vec![observer]);
    let ended = |outcome| tally.counts().ended[&("promql", outcome)];
    let at = TimestampMs(100 * STEP_MS);
    assert_eq!(ended("ok"), 0, "there before the first one ends");

    let gone = CancellationToken::new();
    gone.cancel();
    let plain = QueryOptions::default;
    let hurried = QueryOptions { timeout_ms: Some(0), ..plain() };
    let alone = QueryOptions { cancel: Some(gone), ..plain() };
    engine.instant("sum(temperature)", at, &plain()).await.expect("an answer");
    assert_eq!(tally.counts().samples, 40);
    for (text, options, outcome) in [
        ("sum(temperature)", plain(), "ok"),
        ("temperature * on () temperature", plain(), "error"),
        ("temperature", hurried, "timeout"),
        ("temperature", alone, "cancelled"),
    ] {
        let before = ended(outcome);
        let answer = engine.instant(text, at, &options).await;
        assert_eq!(answer.is_ok(), outcome == "ok", "{answer:?}");
        until(outcome, || ended(outcome) == before + 1).await;
    }

    let waited = |counts: &Counts| (counts.queue.count(), counts.eval.count());
    let before = waited(&tally.counts());
    let tasks = [0, 1, 2].map(|_| start_endless(&engine));
    until("one runs, two wait", || (engine.evaluated(), engine.waiting()) == (1, 2)).await;
    engine.instant("1", at, &plain()).await.expect_err("the queue is full");
    assert_eq!(ended("refused"), 1);
    assert_eq!(waited(&tally.counts()), before, "it neither waited nor ran");
    engine.running().iter().for_each(|one| _ = engine.kill(one.id));
    for task in tasks {
        assert_eq!(task.await.expect("ends"), Err(Error::Killed));
    }
    until("all are counted", || ended("killed") == 3).await;
    let (queued, evaluated) = waited(&tally.counts());
    assert_eq!(queued, before.0 + 3);
    assert!((before.1 + 1..=before.1 + 3).contains(&evaluated), "{evaluated}");
}

#[tokio::test]
async fn what_cannot_fit_is_refused_before_a_sample_is_read() {
    let settings = Settings { memory_bytes_max: 1 << 20, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 10).await;
    let (start, end) = (TimestampMs(0), TimestampMs(10_000));
    let options = QueryOptions::default();
    let error = fleet.engine.range("temperature", start, end, 1, &options).await;
    let error = error.map(drop).expect_err("40 series at 10,001 steps are 3.2 MB");
    assert_eq!(
        error.to_string(),
        "query refused before it began: temperature has 40 series, at 10001 steps that is 3200320 \
         bytes, and one query may hold 1048576"
    );
    // What is folded while it streams needs no such room.
    let folded = fleet.engine.range("sum(temperature)", start, end, 1, &options).await;
    folded.expect("one group fits");
}

#[tokio::test]
async fn a_selector_may_have_a_limit_of_series() {
    let settings = Settings { series_max: 39, ..Settings::default() };
    let fleet = Fleet::new(settings, 40, 10).await;
    let at = TimestampMs(9 * STEP_MS);
    let options = QueryOptions { priority: Priority::Rule, ..QueryOptions::default() };
    let error = fleet.engine.instant("count(temperature) > 0", at, &options).await;
    let text = error.map(drop).expect_err("too many").to_string();
    assert_eq!(text, "temperature has 40 series, at most 39 are allowed");
    fleet.engine.instant("temperature{instance=\"1\"}", at, &options).await.expect("one series");
}

#[tokio::test]
async fn an_answer_counts_against_the_budget_while_it_leaves() {
    let fleet = Fleet::new(Settings::default(), 40, 10).await;
    let engine = &fleet.engine;
    let (start, end) = (TimestampMs(0), TimestampMs(9 * STEP_MS));
    let options = QueryOptions::default();
    let answer = engine.range("temperature", start, end, STEP_MS, &options).await.expect("runs");
    let held = engine.memory_bytes();
    assert!(held >= 40 * 10 * 16, "{held} bytes are held for 400 points");
    let copy = answer.clone();
    drop(answer);
    assert_eq!(engine.memory_bytes(), held, "a copy of it is still there");
    drop(copy);
    assert_eq!(engine.memory_bytes(), 0);
}
