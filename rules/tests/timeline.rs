//! Whole rules on a clock that stands still: what is stored, who is told, what a restart knows.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use journal::disk::SimulatedDisk;
use model::append::{Column, RefusedReason, SeriesKey};
use model::clock::ManualClock;
use model::sample::is_stale_nan;
use model::{
    Alert, AlertSink, AlertSinkError, Append, AppendError, Appended, Batch, BoxFuture, Labels,
    Refused, SeriesIx, TimestampMs,
};
use rules::{Evaluate, Health, Parts, Row, Rules, Settings, config};

const DIR: &str = "/rules";
const START_MS: i64 = 1_700_000_000_000;

fn minute(count: i64) -> TimestampMs {
    TimestampMs(START_MS + count * 60_000)
}

/// Answers what the test says.
#[derive(Default)]
struct FakeEngine(Mutex<HashMap<String, Result<Vec<Row>, String>>>);

impl FakeEngine {
    fn set(&self, expression: &str, rows: &[(&str, f64)]) {
        let rows = rows
            .iter()
            .map(|(name, value)| {
                Row::number(Labels::from_pairs([("__name__", "m"), ("i", *name)]), *value)
            })
            .collect();
        self.0.lock().expect("lock").insert(expression.to_owned(), Ok(rows));
    }

    fn fail(&self, expression: &str) {
        let failure = Err("no such luck".to_owned());
        self.0.lock().expect("lock").insert(expression.to_owned(), failure);
    }
}

impl Evaluate for FakeEngine {
    fn instant<'a>(
        &'a self,
        expression: &'a str,
        _: TimestampMs,
    ) -> BoxFuture<'a, Result<Vec<Row>, String>> {
        let answer = self.0.lock().expect("lock").get(expression).cloned();
        Box::pin(async move { answer.unwrap_or(Ok(Vec::new())) })
    }
}

/// Keeps what is stored: minute, series, value (`stale` for an end).
#[derive(Default)]
struct FakeStore {
    lines: Mutex<Vec<String>>,
    full: Mutex<bool>,
    refuses: Mutex<bool>,
}

impl FakeStore {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().expect("lock"))
    }
}

impl Append for FakeStore {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        if *self.full.lock().expect("lock") {
            let error = AppendError::Unavailable { reason: "disk full".to_owned() };
            return Box::pin(async { Err(error) });
        }
        let mut appended = Appended::default();
        for sample in batch.samples() {
            if *self.refuses.lock().expect("lock") {
                let reason = RefusedReason::SeriesLimit;
                appended.refused.push(Refused {
                    column: Column::Samples,
                    series: SeriesIx(0),
                    at: sample.at,
                    reason,
                });
                continue;
            }
            let SeriesKey::Labels { text, ends } = batch.key(sample.series) else {
                panic!("rules name series by labels")
            };
            let labels = Labels::from_parts(text, ends).expect("labels are valid");
            let minutes = (sample.at.0 - START_MS) as f64 / 60_000.0;
            let value = if is_stale_nan(sample.value) {
                "stale".to_owned()
            } else {
                sample.value.to_string()
            };
            self.lines.lock().expect("lock").push(format!("{minutes} {labels} {value}"));
            appended.accepted += 1;
        }
        Box::pin(async { Ok(appended) })
    }
}

/// Keeps what it is told, while its test wants it to.
struct FakeSink {
    told: Mutex<Vec<Alert>>,
    down: Mutex<bool>,
    alive: Box<dyn Fn() -> bool + Send + Sync>,
}

impl FakeSink {
    fn take(&self) -> Vec<Alert> {
        std::mem::take(&mut self.told.lock().expect("lock"))
    }

    /// `name start end` of each message, in minutes; `?` for the end of what still fires.
    fn lines(&self, now: TimestampMs) -> Vec<String> {
        let minutes = |at: Option<TimestampMs>| {
            at.map_or("-".to_owned(), |at| ((at.0 - START_MS) as f64 / 60_000.0).to_string())
        };
        self.take()
            .iter()
            .map(|alert| {
                let end = match alert.is_resolved_at(now) {
                    true => minutes(alert.ends_at),
                    false => format!("?{}", minutes(alert.ends_at)),
                };
                let name = alert.labels.get("i").unwrap_or("");
                format!("{name} {} {end}", minutes(alert.starts_at))
            })
            .collect()
    }
}

impl AlertSink for FakeSink {
    fn send(&self, alerts: Vec<Alert>) -> BoxFuture<'_, Result<(), AlertSinkError>> {
        if *self.down.lock().expect("lock") {
            let error = AlertSinkError::Unavailable { reason: "down".to_owned() };
            return Box::pin(async { Err(error) });
        }
        if (self.alive)() {
            self.told.lock().expect("lock").extend(alerts);
        }
        Box::pin(async { Ok(()) })
    }
}

struct House {
    engine: Arc<FakeEngine>,
    store: Arc<FakeStore>,
    sink: Arc<FakeSink>,
    clock: ManualClock,
    disk: SimulatedDisk,
    text: String,
}

impl House {
    fn new(text: &str) -> House {
        House::on(text, SimulatedDisk::new(1), || true)
    }

    fn on(
        text: &str,
        disk: SimulatedDisk,
        alive: impl Fn() -> bool + Send + Sync + 'static,
    ) -> House {
        House {
            engine: Arc::default(),
            store: Arc::default(),
            sink: Arc::new(FakeSink {
                told: Mutex::default(),
                down: Mutex::default(),
                alive: Box::new(alive),
            }),
            clock: ManualClock::new(minute(0)),
            disk,
            text: text.to_owned(),
        }
    }

    fn open(&self) -> Result<Rules, rules::Error> {
        let parts = Parts {
            evaluate: self.engine.clone(),
            append: self.store.clone(),
            alerts: self.sink.clone(),
            clock: Arc::new(self.clock.clone()),
            seed: 0,
        };
        let groups = config::parse(&self.text, "r.yml").expect("the rules are fine");
        Rules::open(self.disk.disk(), Path::new(DIR), parts, &self.settings(), groups)
    }

    fn settings(&self) -> Settings {
        Settings {
            external_labels: Labels::from_pairs([("site", "s1")]),
            external_url: "http://b.example/x/".to_owned(),
            ..Settings::default()
        }
    }

    async fn evaluate(&self, rules: &Rules, at: TimestampMs) {
        self.clock.set(at);
        rules.evaluate_all(at).await;
    }
}

const DOWN: &str = "groups:
- name: g
  interval: 1m
  rules:
  - alert: Down
    expr: down
    for: 2m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.i }} is {{ $value }} on {{ $externalLabels.site }}'}
";

#[tokio::test]
async fn an_alert_from_pending_to_forgotten() {
    let house = House::new(DOWN);
    let rules = house.open().expect("opens");
    assert_eq!(rules.groups()[0].rules[0].health, Health::Unknown);
    house.engine.set("down", &[("a", 1.0)]);
    let mut told = Vec::new();
    for count in 0..25 {
        if count == 5 {
            house.engine.set("down", &[]);
        }
        house.evaluate(&rules, minute(count)).await;
        for line in house.sink.lines(minute(count)) {
            told.push(format!("{count}: {line}"));
        }
        let state = rules.groups()[0].rules[0].alerting.as_ref().expect("alerts").state.as_str();
        let expected = match count {
            0 | 1 => "pending",
            2..=4 => "firing",
            _ => "inactive",
        };
        assert_eq!(state, expected, "minute {count}");
    }
    let mut expected: Vec<String> =
        [(2, "?6"), (3, "?7"), (4, "?8")].map(|(at, end)| format!("{at}: a 2 {end}")).into();
    // Resolved at minute 5, told at once and again each minute for a quarter of an hour.
    expected.extend((5..=20).map(|at| format!("{at}: a 2 5")));
    assert_eq!(told, expected);
    rules.stop().await;
}

#[tokio::test]
async fn what_is_sent_and_what_is_stored() {
    let house = House::new(&DOWN.replace("for: 2m", "for: 0s"));
    let rules = house.open().expect("opens");
    house.engine.set("down", &[("a", 1.5)]);
    house.evaluate(&rules, minute(0)).await;
    let told = house.sink.take();
    assert_eq!(
        told[0].labels.to_string(),
        "{alertname=\"Down\", i=\"a\", severity=\"page\", site=\"s1\"}"
    );
    assert_eq!(told[0].annotations.get("summary"), Some("a is 1.5 on s1"));
    assert_eq!(told[0].generator_url, "http://b.example/x/graph?g0.expr=down&g0.tab=1");
    let labels = "alertname=\"Down\", i=\"a\", severity=\"page\"";
    let with_state = "alertname=\"Down\", alertstate=\"firing\", i=\"a\", severity=\"page\"";
    let since = START_MS / 1000;
    assert_eq!(
        house.store.take(),
        [format!("0 ALERTS_FOR_STATE{{{labels}}} {since}"), format!("0 ALERTS{{{with_state}}} 1")]
    );
    house.engine.set("down", &[]);
    house.evaluate(&rules, minute(1)).await;
    let mut ended = house.store.take();
    ended.sort();
    assert_eq!(
        ended,
        [
            format!("1 ALERTS_FOR_STATE{{{labels}}} stale"),
            format!("1 ALERTS{{{with_state}}} stale")
        ]
    );
    let status = rules.groups();
    assert_eq!((status[0].iterations, status[0].last_evaluation), (2, Some(minute(1))));
    assert_eq!(rules.stats().samples_written, 4);
    rules.stop().await;
}

#[tokio::test]
async fn recording_rules_offsets_and_errors() {
    let house = House::new(
        "groups:
- name: g
  interval: 1m
  query_offset: 30s
  limit: 2
  rules:
  - {record: broken, expr: broken}
  - {record: r, expr: x, labels: {k: v}}
  - {record: doubled, expr: doubled, labels: {i: same}}
",
    );
    let rules = house.open().expect("opens");
    house.engine.fail("broken");
    house.engine.set("x", &[("a", 1.0), ("b", 2.0)]);
    house.engine.set("doubled", &[("a", 1.0), ("b", 2.0)]);
    house.evaluate(&rules, minute(1)).await;
    assert_eq!(
        house.store.take(),
        ["0.5 r{i=\"a\", k=\"v\"} 1", "0.5 r{i=\"b\", k=\"v\"} 2"],
        "one failing rule does not stop the others"
    );
    let status = rules.groups();
    let healths: Vec<_> = status[0].rules.iter().map(|rule| rule.health.as_str()).collect();
    assert_eq!(healths, ["err", "ok", "err"]);
    assert_eq!(status[0].rules[0].last_error, "no such luck");
    assert!(status[0].rules[2].last_error.contains("same labelset"));
    house.engine.set("x", &[("a", 1.0), ("b", 2.0), ("c", 3.0)]);
    house.evaluate(&rules, minute(2)).await;
    assert!(house.store.take().is_empty(), "beyond its limit a rule stores nothing, no end either");
    house.engine.set("x", &[("b", 5.0)]);
    house.evaluate(&rules, minute(3)).await;
    assert_eq!(house.store.take(), ["2.5 r{i=\"b\", k=\"v\"} 5", "2.5 r{i=\"a\", k=\"v\"} stale"]);
    *house.store.refuses.lock().expect("lock") = true;
    house.evaluate(&rules, minute(4)).await;
    assert_eq!(rules.stats().samples_refused, 1);
    rules.stop().await;
}

#[tokio::test]
async fn a_sink_that_was_down_hears_everything_later() {
    let house = House::new(&DOWN.replace("for: 2m", "for: 0s"));
    let rules = house.open().expect("opens");
    house.engine.set("down", &[("a", 1.0)]);
    *house.sink.down.lock().expect("lock") = true;
    house.evaluate(&rules, minute(0)).await;
    assert_eq!(rules.groups()[0].rules[0].health, Health::Err);
    assert_eq!(rules.stats().alerts_failed, 1);
    house.engine.set("down", &[]);
    house.evaluate(&rules, minute(1)).await;
    *house.sink.down.lock().expect("lock") = false;
    house.evaluate(&rules, minute(2)).await;
    assert_eq!(house.sink.lines(minute(2)), ["a 0 1"], "its end is told, with its beginning");
    // A full store silences nobody.
    *house.store.full.lock().expect("lock") = true;
    house.engine.set("down", &[("b", 1.0)]);
    house.evaluate(&rules, minute(3)).await;
    assert_eq!(house.sink.lines(minute(3)), ["a 0 1", "b 3 ?7"]);
    assert!(rules.groups()[0].rules[0].last_error.contains("disk full"));
    rules.stop().await;
}

#[tokio::test]
async fn a_failing_query_does_not_end_an_alert() {
    let house = House::new(&DOWN.replace("for: 2m", "for: 0s"));
    let rules = house.open().expect("opens");
    house.engine.set("down", &[("a", 1.0)]);
    house.evaluate(&rules, minute(0)).await;
    house.engine.fail("down");
    for count in 1..10 {
        house.evaluate(&rules, minute(count)).await;
    }
    let last = house.sink.lines(minute(9));
    assert_eq!(last.last().map(String::as_str), Some("a 0 ?13"));
    rules.stop().await;
}

#[tokio::test]
async fn templates_may_ask_queries() {
    let house = House::new(
        "groups:
- name: g
  rules:
  - alert: A
    expr: down
    annotations: {others: '{{ range query \"other\" }}{{ .Labels.i }}={{ .Value }} {{ end }}'}
",
    );
    let rules = house.open().expect("opens");
    house.engine.set("down", &[("a", 1.0)]);
    house.engine.set("other", &[("x", 1.0), ("y", 2.0)]);
    house.evaluate(&rules, minute(0)).await;
    assert_eq!(house.sink.take()[0].annotations.get("others"), Some("x=1 y=2 "));
    rules.stop().await;
}

#[tokio::test]
async fn a_restart_continues_every_clock() {
    let text = DOWN.replace("for: 2m", "for: 2m\n    keep_firing_for: 3m");
    let house = House::new(&text);
    house.engine.set("down", &[("a", 1.0)]);
    let mut told = Vec::new();
    // Opened anew for each evaluation: as if it never stopped.
    for count in 0..10 {
        if count == 4 {
            house.engine.set("down", &[]);
        }
        house.clock.set(minute(count));
        let rules = house.open().expect("opens");
        house.evaluate(&rules, minute(count)).await;
        told.extend(house.sink.lines(minute(count)).iter().map(|line| format!("{count}: {line}")));
        rules.stop().await;
        house.disk.crash_and_restart();
    }
    // Pending 0–1, firing from 2, kept from 4 on, over at 7.
    let expected = ["2: a 2 ?6", "3: a 2 ?7", "4: a 2 ?8", "5: a 2 ?9", "6: a 2 ?10"];
    let over = ["7: a 2 7", "8: a 2 7", "9: a 2 7"];
    assert_eq!(told, [&expected[..], &over[..]].concat());
}

#[tokio::test]
async fn after_a_long_outage_pending_alerts_begin_anew() {
    let house = House::new(DOWN);
    house.engine.set("down", &[("a", 1.0)]);
    let rules = house.open().expect("opens");
    house.evaluate(&rules, minute(0)).await;
    rules.stop().await;
    house.clock.set(minute(200));
    let rules = house.open().expect("opens");
    house.evaluate(&rules, minute(200)).await;
    assert_eq!(rules.alerts()[0].active_at, minute(200));
    rules.stop().await;
}

#[tokio::test]
async fn a_reload_keeps_what_did_not_change() {
    let mut house = House::new(
        "groups:
- name: g
  interval: 1m
  rules:
  - {alert: A, expr: down, for: 2m}
  - {record: r, expr: x}
- name: gone
  rules:
  - {record: s, expr: x}
",
    );
    let rules = house.open().expect("opens");
    house.engine.set("down", &[("a", 1.0)]);
    house.engine.set("x", &[("a", 1.0)]);
    house.evaluate(&rules, minute(0)).await;
    house.store.take();
    house.text = "groups:
- name: g
  interval: 1m
  rules:
  - {record: t, expr: x}
  - {alert: A, expr: down, for: 2m}
"
    .to_owned();
    let groups = config::parse(&house.text, "r.yml").expect("is fine");
    house.clock.set(minute(1));
    rules.reload(&house.settings(), groups).await;
    assert_eq!(house.store.take(), ["1 s{i=\"a\"} stale"]);
    house.evaluate(&rules, minute(2)).await;
    assert_eq!(house.sink.lines(minute(2)), ["a 2 ?6"], "its `for` went on");
    let stored = house.store.take();
    assert!(stored.contains(&"2 r{i=\"a\"} stale".to_owned()), "{stored:?}");
    assert_eq!(rules.groups().len(), 1);
    rules.stop().await;
}

#[tokio::test]
async fn a_reload_takes_the_labels_the_address_and_the_interval_of_the_server() {
    let house = House::new(&DOWN.replace("  interval: 1m\n", ""));
    let rules = house.open().expect("opens");
    house.engine.set("down", &[("a", 1.0)]);
    for count in 0..3 {
        house.evaluate(&rules, minute(count)).await;
    }
    let first = house.sink.take().remove(0);
    assert_eq!(first.labels.get("site"), Some("s1"));
    let settings = Settings {
        external_labels: Labels::from_pairs([("site", "s2")]),
        external_url: "http://other.example".to_owned(),
        interval_ms: 30_000,
        ..Settings::default()
    };
    let groups = config::parse(&house.text, "r.yml").expect("is fine");
    rules.reload(&settings, groups).await;
    assert_eq!(rules.groups()[0].interval_ms, 30_000);
    house.evaluate(&rules, minute(4)).await;
    let second = house.sink.take().remove(0);
    assert_eq!(second.labels.get("site"), Some("s2"));
    assert_eq!(second.starts_at, first.starts_at, "the alert goes on");
    assert!(second.generator_url.starts_with("http://other.example/"), "{second:?}");
    rules.stop().await;
}

#[tokio::test]
async fn tasks_evaluate_on_the_grid_and_stop() {
    let house = House::new(&DOWN.replace("interval: 1m", "interval: 50ms"));
    let rules = house.open().expect("opens");
    rules.start().await;
    let mut rounds = 0;
    for step in 0..2000 {
        house.clock.set(minute(0).plus_ms(step * 5));
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        rounds = rules.groups()[0].iterations;
        if rounds >= 5 {
            break;
        }
    }
    assert!(rounds >= 5, "evaluated {rounds} times");
    rules.stop().await;
    let after = rules.groups()[0].iterations;
    house.clock.set(minute(60));
    tokio::task::yield_now().await;
    assert_eq!(rules.groups()[0].iterations, after);
}

/// Which alerts somebody was told of, and whether the last word was that they fire.
fn last_words(told: &[Alert], now: TimestampMs) -> BTreeMap<String, (Option<TimestampMs>, bool)> {
    let mut words = BTreeMap::new();
    for alert in told {
        let name = alert.labels.get("i").unwrap_or("").to_owned();
        words.insert(name, (alert.starts_at, !alert.is_resolved_at(now)));
    }
    words
}

/// Alerts come, fire, end and come again; returns early when the power fails.
async fn story(house: &House) -> TimestampMs {
    let rows: [&[(&str, f64)]; 8] = [
        &[("a", 1.0)],
        &[("a", 1.0), ("b", 1.0)],
        &[("a", 1.0), ("b", 1.0)],
        &[("b", 1.0), ("c", 1.0)],
        &[("b", 1.0), ("c", 1.0)],
        &[("a", 1.0), ("c", 1.0)],
        &[("a", 1.0)],
        &[],
    ];
    house.clock.set(minute(0));
    let Ok(rules) = house.open() else { return minute(0) };
    let mut now = minute(0);
    for (count, rows) in (0..).zip(rows) {
        now = minute(count);
        house.engine.set("down", rows);
        house.evaluate(&rules, now).await;
        if !(house.sink.alive)() {
            break;
        }
    }
    rules.stop().await;
    now
}

#[tokio::test]
async fn no_power_cut_makes_it_forget_a_firing_alert() {
    let text = DOWN.replace("for: 2m", "for: 1m");
    let whole = House::new(&text);
    story(&whole).await;
    let operations = whole.disk.operations();
    assert!(operations > 10, "the story uses the disk");
    for crash_at in 0..operations {
        let disk = SimulatedDisk::new(crash_at);
        disk.crash_at(crash_at);
        let seen = disk.clone();
        let house = House::on(&text, disk, move || seen.operations() <= crash_at);
        let now = story(&house).await;
        let words = last_words(&house.sink.take(), now);
        house.disk.crash_and_restart();
        let after = House {
            sink: Arc::new(FakeSink {
                told: Mutex::default(),
                down: Mutex::default(),
                alive: Box::new(|| true),
            }),
            ..house
        };
        after.clock.set(now);
        let rules = after.open().expect("opens after a power cut");
        after.engine.set("down", &[]);
        after.evaluate(&rules, now.plus_ms(60_000)).await;
        let ended = last_words(&after.sink.take(), now.plus_ms(60_000));
        for (name, (start, fires)) in words {
            if fires {
                assert_eq!(
                    ended.get(&name),
                    Some(&(start, false)),
                    "crash at {crash_at}: {name} was told to fire and must be told to be over"
                );
            }
        }
        rules.stop().await;
    }
}
