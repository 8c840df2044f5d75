//! Statements over a small store.
use super::*;
use std::path::Path;

use journal::disk::SimulatedDisk;
use model::clock::ManualClock;
use model::{Append, Batch, Labels, TimestampMs};
use serde_json::{Value, json};

use crate::json::row_values;
use crate::told::{AlertRow, NotificationRow};

struct Few;

impl Told for Few {
    fn alerts(&self) -> Vec<AlertRow> {
        vec![AlertRow {
            name: "Down".to_owned(),
            state: "firing".to_owned(),
            labels: Labels::from_pairs([("job", "a")]),
            annotations: Labels::from_pairs([("summary", "it is down")]),
            active_at_ms: 5000,
            value: 0.0,
            group: "g".to_owned(),
        }]
    }

    fn notifications(&self) -> Vec<NotificationRow> {
        Vec::new()
    }
}

async fn session_with(settings: query::Settings) -> (Session, Arc<Store>) {
    let disk = SimulatedDisk::new(1).disk();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_000_000)));
    let store = Store::open(
        disk,
        Path::new("/data"),
        storage::Settings::default(),
        Arc::clone(&clock) as Arc<dyn model::Clock>,
    )
    .expect("open a store");
    let mut batch = Batch::new();
    for (name, job, offset) in [("up", "a", 0.0), ("up", "b", 10.0), ("load", "a", 0.5)] {
        let mut labels = vec![("__name__", name), ("job", job)];
        if job == "b" {
            labels.push(("value", "odd"));
        }
        let series = batch.series(&Labels::from_pairs(labels));
        for step in 0..10 {
            batch.sample(series, TimestampMs(step * 1000), offset + step as f64);
        }
        batch.sample(series, TimestampMs(10_000), model::sample::stale_nan());
    }
    let appended = store.append(batch).await.expect("append");
    assert_eq!(appended.accepted, 33);
    let source = Arc::clone(&store) as Arc<dyn query::Source>;
    let engine = Arc::new(Engine::new(source, clock, settings));
    let parts = Parts { store: Arc::clone(&store), engine, told: Arc::new(Few) };
    (Session::start(parts).expect("a session"), store)
}

async fn all(session: &Session, text: &str) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = session.query(text, &QueryOptions::default()).await?;
    let mut values = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        values.extend((0..batch.num_rows()).map(|row| row_values(&batch, row)));
    }
    Ok(values)
}

#[tokio::test]
async fn reads_tables() {
    let (session, _store) = session_with(query::Settings::default()).await;
    for (text, expected) in [
        ("select count(*) from samples", json!([[30]])),
        ("select count(*) from samples where name = 'up' and ts >= to_timestamp(5)", json!([[10]])),
        (
            "select labels['job'] as job, max(value) from samples where name = 'up' group by 1 order by 1",
            json!([["a", 9.0], ["b", 19.0]]),
        ),
        ("select name, labels from series where name = 'load'", json!([["load", {"job": "a"}]])),
        (
            "select ts, value from samples where name = 'load' order by ts desc limit 1",
            json!([["1970-01-01T00:00:09Z", 9.5]]),
        ),
        ("select count(*) from samples where ts > to_timestamp(100)", json!([[0]])),
        (
            "select ts, value, job, label_value from metrics.up where job = 'b' and ts < to_timestamp(1)",
            json!([["1970-01-01T00:00:00Z", 10.0, "b", "odd"]]),
        ),
        (
            "select job, label_value from metrics.\"up\" where value = 3 or value = 13 order by job",
            json!([["a", null], ["b", "odd"]]),
        ),
        ("select count(*) from metrics.up where label_value is null", json!([[10]])),
        ("select count(*) from metrics.up where job in ('a', 'c')", json!([[10]])),
        ("select count(*) from metrics.up where job like '%b'", json!([[10]])),
        ("select count(*) from metrics.up where job ~ '^[ab]$'", json!([[20]])),
        ("select count(*) from metrics.up where job <> 'a'", json!([[10]])),
        (
            "select count(*) from metrics.up where ts between '1970-01-01T00:00:02Z' and '1970-01-01T00:00:03Z'",
            json!([[4]]),
        ),
        ("select count(*) from metrics.up where ts > now() - interval '1 hour'", json!([[0]])),
        ("select name, state, labels from alerts", json!([["Down", "firing", {"job": "a"}]])),
        ("select count(*) from notifications", json!([[0]])),
        ("select count(*) from histograms", json!([[0]])),
        (
            "select value - lag(value) over (partition by series_id order by ts) as step from metrics.up \
             where job = 'a' order by ts limit 2",
            json!([[null], [1.0]]),
        ),
        (
            "select table_schema, table_name from information_schema.tables \
             where table_schema in ('public', 'metrics') order by 1, 2 limit 3",
            json!([["metrics", "load"], ["metrics", "up"], ["public", "alerts"]]),
        ),
        ("select current_setting('server_version_num')::int/100", json!([[1600]])),
        ("explain select 1", json!([])),
    ] {
        let answer = all(&session, text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        if !text.starts_with("explain") {
            assert_eq!(json!(answer), expected, "{text}");
        }
    }
}

#[tokio::test]
async fn refuses_everything_but_reading() {
    let (session, _store) = session_with(query::Settings::default()).await;
    for text in [
        "drop table samples",
        "create table x as select 1",
        "create view x as select 1",
        "create schema x",
        "create function f() returns int return 1",
        "create external table x stored as csv location '/etc/passwd'",
        "create external table x stored as parquet location 'http://127.0.0.1:1/x'",
        "insert into samples select * from samples",
        "update samples set value = 1",
        "delete from samples",
        "truncate table samples",
        "copy (select 1) to '/tmp/x.csv'",
        "copy samples from '/etc/passwd'",
        "explain copy (select 1) to '/tmp/x.csv'",
        "explain analyze insert into samples select * from samples",
        "set datafusion.execution.batch_size = 1",
        "reset datafusion.execution.batch_size",
        "select 1 into x",
        "prepare p as select 1",
        "begin",
        "load '/tmp/x.so'",
        "attach 'x' as y",
        "select * from '/etc/passwd'",
        "select * from \"/etc/passwd\"",
        "select * from \"file:///etc/passwd\"",
        "select * from 'http://127.0.0.1:1/x.parquet'",
        "select * from read_csv('/etc/passwd')",
        "select * from read_parquet('/etc/passwd')",
        "select * from read_json('/etc/passwd')",
        "select * from parquet_metadata('/etc/passwd')",
        "select * from glob('/etc/*')",
        "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('/etc')",
        "select lo_import('/etc/passwd')",
        "select * from dblink('host=127.0.0.1', 'select 1') as t(a int)",
        "select 1; drop table samples",
        "select",
        "nonsense",
        "",
        "select no_such_column from samples",
        "select * from metrics.no_such_metric",
    ] {
        let outcome = all(&session, text).await;
        assert!(matches!(outcome, Err(Error::Statement { .. })), "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn says_where_and_what() {
    let (session, _store) = session_with(query::Settings::default()).await;
    let check = async |text: &str, expected: &str| {
        let error = all(&session, text).await.expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    };
    check("select value from\n  where", "2:3: ").await;
    check("select nothing from samples", "1:8: ").await;
    check("drop table samples", "DROP TABLE is not allowed").await;
    check("select 1 as a, cast('x' as int)", "").await;
}

#[tokio::test]
async fn limits_are_those_of_the_engine() {
    let check = async |settings: query::Settings, text: &str| {
        let (session, _store) = session_with(settings).await;
        match all(&session, text).await {
            Err(Error::Query(error)) => error,
            other => panic!("{text}: {other:?}"),
        }
    };
    let few = query::Settings { samples_max: 5, ..query::Settings::default() };
    let error = check(few, "select * from samples").await;
    assert!(matches!(error, query::Error::TooManySamples { .. }), "{error:?}");
    let few = query::Settings { series_max: 1, ..query::Settings::default() };
    let error = check(few, "select * from series").await;
    assert!(matches!(error, query::Error::TooManySeries { .. }), "{error:?}");
    let small = query::Settings { memory_bytes_max: 10_000, ..query::Settings::default() };
    let text = "select a.value, b.value from generate_series(1, 100000) a, generate_series(1, 10) b \
                order by a.value desc";
    let error = check(small, text).await;
    assert!(matches!(error, query::Error::OverBudget { .. }), "{error:?}");
    let short = query::Settings { timeout_ms: 50, ..query::Settings::default() };
    let text =
        "select count(*) from generate_series(1, 1000000000) a, generate_series(1, 1000000) b";
    let error = check(short, text).await;
    assert!(matches!(error, query::Error::TimedOut { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_listed_and_killed() {
    let (session, _store) = session_with(query::Settings::default()).await;
    let session = Arc::new(session);
    let text =
        "select count(*) from generate_series(1, 1000000000) a, generate_series(1, 1000000) b";
    let asking = Arc::clone(&session);
    let asked = tokio::spawn(async move {
        let options = QueryOptions { user: "ada".to_owned(), ..QueryOptions::default() };
        let mut rows = asking.query(text, &options).await?;
        rows.next().await.transpose().map(|_| ())
    });
    let running = loop {
        if let [running] = session.engine.running().as_slice() {
            break running.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((running.text.as_str(), running.user.as_str()), (text, "ada"));
    assert_eq!(running.language, Language::Sql);
    assert!(session.engine.kill(running.id));
    let outcome = asked.await.expect("joined");
    assert_eq!(outcome, Err(Error::Query(query::Error::Killed)));
    while !session.engine.running().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(session.engine.memory_bytes(), 0, "all is given back");
}
