//! Rules over the real engine and the real store: results are visible to the next rule at once.

use std::path::Path;
use std::sync::{Arc, Mutex};

use journal::disk::SimulatedDisk;
use model::clock::ManualClock;
use model::histogram::{Buckets, Histogram};
use model::{
    Alert, AlertSink, AlertSinkError, Append, Batch, BoxFuture, Clock, Labels, TimestampMs,
};
use query::{Engine, QueryOptions, Value};
use rules::{Parts, Rules, Settings, config};
use storage::Store;

const START_MS: i64 = 1_700_000_000_000;

#[derive(Default)]
struct Sink(Mutex<Vec<String>>);

impl AlertSink for Sink {
    fn send(&self, alerts: Vec<Alert>) -> BoxFuture<'_, Result<(), AlertSinkError>> {
        let names = alerts.iter().map(|alert| {
            let text = alert.annotations.get("text").unwrap_or("");
            format!("{} {text}", alert.labels.get("alertname").unwrap_or(""))
        });
        self.0.lock().expect("lock").extend(names);
        Box::pin(async { Ok(()) })
    }
}

const TEXT: &str = "groups:
- name: g
  interval: 1m
  rules:
  - {record: 'job:load:sum', expr: sum by (job) (load)}
  - {record: 'job:load:double', expr: 'job:load:sum * 2'}
  - alert: High
    expr: job:load:double > 10
    annotations: {text: '{{ $labels.job }} {{ $value }}'}
  - alert: Follows
    expr: ALERTS{alertname=\"High\", alertstate=\"firing\"} == 1
    annotations:
      text: 'after {{ .Labels.alertname }}: {{ with query \"load\" }}{{ . | len }}{{ end }}'
";

struct Open {
    clock: ManualClock,
    store: Arc<Store>,
    engine: Engine,
    sink: Arc<Sink>,
    rules: Rules,
}

fn open(text: &str) -> Open {
    let disk = SimulatedDisk::new(5);
    let clock = ManualClock::new(TimestampMs(START_MS));
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let settings = storage::Settings::default();
    let store = Store::open(disk.disk(), Path::new("/data"), settings, shared.clone())
        .expect("the store opens");
    let engine = Engine::new(store.clone(), shared.clone(), query::Settings::default());
    let sink = Arc::new(Sink::default());
    let parts = Parts {
        evaluate: Arc::new(engine.clone()),
        append: store.clone(),
        alerts: sink.clone(),
        clock: shared,
        seed: 0,
    };
    let groups = config::parse(text, "r.yml").expect("the rules are fine");
    let rules = Rules::open(disk.disk(), Path::new("/rules"), parts, &Settings::default(), groups)
        .expect("the rules open");
    Open { clock, store, engine, sink, rules }
}

#[tokio::test]
async fn histograms_are_recorded() {
    let text = "groups:\n- name: g\n  interval: 1m\n  rules:\n  \
                - {record: 'all:latency:sum', expr: sum(latency)}\n";
    let Open { clock, store, engine, rules, .. } = open(text);
    let at = TimestampMs(START_MS);
    clock.set(at);
    let own = Histogram {
        count: 3.0,
        sum: 5.0,
        positive: Buckets::dense(0, vec![1.0, 2.0]),
        ..Histogram::default()
    };
    let mut batch = Batch::new();
    for job in ["a", "b"] {
        let series = batch.series(&Labels::from_pairs([("__name__", "latency"), ("job", job)]));
        batch.histogram(series, at, Arc::new(own.clone()));
    }
    store.append(batch).await.expect("the store takes histograms");
    for (minute, expected) in [(0, 1), (6, 0)] {
        let at = TimestampMs(START_MS + minute * 60_000);
        clock.set(at);
        rules.evaluate_all(at).await;
        let answer = engine.instant("all:latency:sum", at, &QueryOptions::default()).await;
        let Value::Vector(samples) = answer.expect("the engine answers").value else {
            panic!("a vector")
        };
        assert_eq!(samples.len(), expected, "after {minute} minutes");
        for sample in samples {
            let sum = sample.histogram.expect("a histogram");
            assert!(sum.same(&own.scaled(2.0)), "{sum}");
        }
    }
    rules.stop().await;
    store.close().expect("the store closes");
}

#[tokio::test]
async fn the_next_rule_sees_what_the_one_before_made() {
    let Open { clock, store, engine, sink, rules } = open(TEXT);

    for (minute, loads) in [(0, &[3.0, 4.0][..]), (1, &[])] {
        let at = TimestampMs(START_MS + minute * 360_000);
        clock.set(at);
        let mut batch = Batch::new();
        for (index, load) in loads.iter().enumerate() {
            let labels = [
                ("__name__", "load".to_owned()),
                ("job", "a".to_owned()),
                ("i", index.to_string()),
            ];
            let series = batch.series(&Labels::from_pairs(labels));
            batch.sample(series, at, *load);
        }
        if !batch.is_empty() {
            store.append(batch).await.expect("the store takes samples");
        }
        rules.evaluate_all(at).await;
        let answer = engine
            .instant("job:load:double", at, &QueryOptions::default())
            .await
            .expect("the engine answers");
        let Value::Vector(samples) = answer.value else { panic!("a vector") };
        // Minutes later nothing is left: each series got its end.
        assert_eq!(samples.len(), loads.len() / 2, "{samples:?}");
        assert!(samples.iter().all(|sample| sample.value == 14.0));
    }
    let told = std::mem::take(&mut *sink.0.lock().expect("lock"));
    assert_eq!(told, ["High a 14", "Follows after High: 2", "High a 14", "Follows after High: 2"]);
    assert!(rules.alerts().is_empty());
    for rule in &rules.groups()[0].rules {
        assert_eq!((rule.health.as_str(), rule.last_error.as_str()), ("ok", ""));
    }
    rules.stop().await;
    store.close().expect("the store closes");
}
