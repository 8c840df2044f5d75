//! A label scope shows as much as a store that holds nothing else.

use std::sync::Arc;

use model::append::SeriesId;
use model::clock::ManualClock;
use model::{Labels, Matcher, TimeRange, TimestampMs};
use query::source::Batches;
use query::{Engine, Error, QueryOptions, Settings, Source, Value};
use storage::Store;

use crate::EXPRESSIONS;
use crate::fleet::{Fleet, STEP_MS};

/// The store without the series that a scope holds back.
struct Only {
    store: Arc<Store>,
    scope: Arc<[Matcher]>,
}

impl Source for Only {
    fn series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<(SeriesId, Labels)>, Error> {
        let mut found = Source::series(&*self.store, matchers, range)?;
        found.retain(|(_, labels)| self.scope.iter().all(|own| own.matches_labels(labels)));
        Ok(found)
    }

    fn scan(&self, ids: &[SeriesId], range: TimeRange) -> Result<Box<dyn Batches>, Error> {
        Source::scan(&*self.store, ids, range)
    }
}

/// Labels, instants, values, in an order of its own.
type Rows = Vec<(String, Vec<(i64, f64)>)>;

fn rows(value: &Value) -> Rows {
    let mut rows: Rows = match value {
        Value::Vector(samples) => {
            let row =
                |own: &query::VectorSample| (own.labels.to_string(), vec![(own.at.0, own.value)]);
            samples.iter().map(row).collect()
        }
        Value::Matrix(series) => {
            let points = |own: &query::MatrixSeries| {
                own.points.iter().map(|(at, value)| (at.0, *value)).collect()
            };
            series.iter().map(|own| (own.labels.to_string(), points(own))).collect()
        }
        Value::Scalar { at, value } => vec![(String::new(), vec![(at.0, *value)])],
        other => panic!("{other:?}"),
    };
    rows.sort_by(|one, two| one.0.cmp(&two.0));
    rows
}

/// Sums may be added up in another order.
#[track_caller]
fn check(text: &str, seen: &Value, right: &Value) {
    let (seen, right) = (rows(seen), rows(right));
    assert_eq!(seen.len(), right.len(), "{text}: {seen:?} {right:?}");
    for ((labels, values), (own, expected)) in seen.iter().zip(&right) {
        assert_eq!((labels, values.len()), (own, expected.len()), "{text}");
        for ((at, value), (other, exact)) in values.iter().zip(expected) {
            let is_near = value == exact
                || (value.is_nan() && exact.is_nan())
                || (value - exact).abs() <= 1e-9 * exact.abs().max(1.0);
            assert!(at == other && is_near, "{text} {labels} at {at}: {value} is not {exact}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_is_seen() {
    let fleet = Fleet::new(Settings::default(), 40, 120).await;
    let scope: Arc<[Matcher]> = Arc::from([Matcher::equal("job", "a")]);
    let only = Only { store: Arc::clone(&fleet.store), scope: Arc::clone(&scope) };
    let clock = Arc::new(ManualClock::new(TimestampMs(120 * STEP_MS)));
    let expected = Engine::new(Arc::new(only), clock, Settings::default());
    let scoped = QueryOptions { scope, ..QueryOptions::default() };
    let whole = QueryOptions::default();
    let (start, end) = (TimestampMs(0), TimestampMs(118 * STEP_MS));
    let more = [
        "count({__name__=~\".+\"})",
        "requests_total{job=\"b\"}",
        "absent(requests_total{job=\"b\"})",
        "count by (job) ({job=~\".+\"})",
        "label_replace(requests_total, \"job\", \"b\", \"\", \"\")",
        "requests_total or {job=\"b\"}",
        "info(requests_total, {__name__=~\"temperature\"})",
    ];
    for text in EXPRESSIONS.iter().chain(&more) {
        let seen = fleet.engine.range(text, start, end, 7 * STEP_MS, &scoped).await.expect(text);
        let right = expected.range(text, start, end, 7 * STEP_MS, &whole).await.expect(text);
        check(text, &seen.value, &right.value);
        let seen = fleet.engine.instant(text, end, &scoped).await.expect(text);
        let right = expected.instant(text, end, &whole).await.expect(text);
        check(text, &seen.value, &right.value);
    }
    assert_eq!(fleet.number("count(requests_total)", end).await, 40.0);
}
