//! Where queries are evaluated: small ones on the thread that was asked, the others elsewhere.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use model::append::SeriesId;
use model::clock::ManualClock;
use model::{Labels, Matcher, TimeRange, TimestampMs};
use query::source::Batches;
use query::{Engine, Error, QueryOptions, Settings, Source};
use storage::Store;

use crate::fleet::{Fleet, STEP_MS};

/// A store that remembers which thread asked it last.
struct Seen {
    store: Arc<Store>,
    asked_by: Mutex<Option<ThreadId>>,
}

impl Source for Seen {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        *self.asked_by.lock().expect("nobody panics with it") = Some(std::thread::current().id());
        assert!(!matchers.iter().any(|own| own.value() == "broken"), "as the test wants it");
        Source::series(&*self.store, matchers, range)
    }

    fn series_at_most(&self, matchers: &[Matcher]) -> Option<u64> {
        Source::series_at_most(&*self.store, matchers)
    }

    fn has_more_than_numbers(&self) -> bool {
        Source::has_more_than_numbers(&*self.store)
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        Source::scan(&*self.store, ids, range)
    }
}

async fn seen() -> (Arc<Seen>, Engine) {
    let fleet = Fleet::new(Settings::default(), 40, 120).await;
    let source = Arc::new(Seen { store: fleet.store, asked_by: Mutex::default() });
    let clock = Arc::new(ManualClock::new(TimestampMs(120 * STEP_MS)));
    (source.clone(), Engine::new(source, clock, Settings::default()))
}

/// Whether a query over so many steps of a second is evaluated on this thread.
async fn stays((source, engine): &(Arc<Seen>, Engine), text: &str, steps: i64) -> bool {
    let end = TimestampMs(118 * STEP_MS);
    let start = TimestampMs(end.0 - (steps - 1) * 1000);
    engine.range(text, start, end, 1000, &QueryOptions::default()).await.expect(text);
    source.asked_by.lock().expect("nobody panics with it").take()
        == Some(std::thread::current().id())
}

#[tokio::test(flavor = "multi_thread")]
async fn small_queries_stay_on_their_thread() {
    let seen = seen().await;
    for (text, steps, expected) in [
        ("requests_total{instance=\"3\"}", 1, true),
        ("requests_total{instance=\"3\"}", 1700, true),
        ("requests_total", 1700, true),
        ("requests_total - requests_total{instance=\"3\"}", 1700, true),
        ("rate(requests_total{instance=\"3\"}[1m])", 1700, true),
        ("max_over_time(requests_total[1d])", 1, false),
        ("sort(max_over_time(requests_total{instance=\"3\"}[1d]))", 1, true),
        ("rate(requests_total[5m])", 1700, true),
        ("absent_over_time(requests_total{instance=\"3\"}[1h])", 1700, true),
        ("rate(requests_total[1d])", 1700, false),
        ("quantile_over_time(0.5, requests_total{instance=\"3\"}[1m])", 1700, true),
        ("quantile_over_time(0.5, requests_total{instance=\"3\"}[5m])", 1700, false),
        ("{job=~\".+\"}", 1760, false),
        ("sum(requests_total{instance=\"3\"}) + sum(rate(requests_total[1d]))", 1700, false),
        ("max_over_time(requests_total{instance=\"3\"}[1m:1s])", 1, false),
        // One side has no series, so none is chosen of the other.
        ("{job=~\".+\"} and (nothing) or requests_total", 1760, true),
        ("{job=~\".+\"} and requests_total", 1760, false),
        ("{job=~\".+\"} unless nothing", 1760, false),
        ("(nothing unless {job=~\".+\"}) or requests_total", 1760, true),
        ("rate(requests_total[1d]) and nothing", 1700, false),
    ] {
        assert_eq!(stays(&seen, text, steps).await, expected, "{text} at {steps} steps");
    }
}

#[tokio::test]
async fn a_runtime_of_one_thread_is_never_held_up() {
    assert!(!stays(&seen().await, "requests_total{instance=\"3\"}", 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_query_that_panics_is_an_error() {
    let (_, engine) = seen().await;
    let at = TimestampMs(118 * STEP_MS);
    let answer = engine.instant("broken", at, &QueryOptions::default()).await;
    assert!(matches!(&answer, Err(Error::Execution(reason)) if reason.contains("panicked")));
    assert!(engine.running().is_empty(), "it gave its place back");
    engine.instant("requests_total", at, &QueryOptions::default()).await.expect("others go on");
}
