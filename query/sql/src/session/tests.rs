//! Statements over a small store.
use super::*;
use std::path::Path;

use journal::disk::SimulatedDisk;
use model::clock::ManualClock;
use model::{Append, Batch, Labels, TimestampMs};
use serde_json::json;

async fn session() -> Session {
    let disk = SimulatedDisk::new(1).disk();
    let clock = Arc::new(ManualClock::new(TimestampMs(1_000_000)));
    let store = Store::open(disk, Path::new("/data"), storage::Settings::default(), clock)
        .expect("open a store");
    let mut batch = Batch::new();
    for (name, job, offset) in [("up", "a", 0.0), ("up", "b", 10.0), ("load", "a", 0.5)] {
        let series = batch.series(&Labels::from_pairs([("__name__", name), ("job", job)]));
        for step in 0..10 {
            batch.sample(series, TimestampMs(step * 1000), offset + step as f64);
        }
    }
    let appended = store.append(batch).await.expect("append");
    assert_eq!(appended.accepted, 30);
    Session::new(store, Settings { rows_max: 20, ..Settings::default() })
}

#[tokio::test]
async fn reads_samples_and_series() {
    let session = session().await;
    let check = async |text: &str, expected: Value| {
        let answer = session.query(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(json!(answer.rows), expected, "{text}");
    };
    check("select count(*) from samples", json!([[30]])).await;
    check(
        "select count(*) from samples where name = 'up' and ts >= to_timestamp(5)",
        json!([[10]]),
    )
    .await;
    check(
        "select labels['job'] as job, max(value) from samples where name = 'up' group by 1 order by 1",
        json!([["a", 9.0], ["b", 19.0]]),
    )
    .await;
    check("select name, labels from series where name = 'load'", json!([["load", {"job": "a"}]]))
        .await;
    check(
        "select ts, value from samples where name = 'load' order by ts desc limit 1",
        json!([["1970-01-01T00:00:09Z", 9.5]]),
    )
    .await;
    check("select count(*) from samples where ts > to_timestamp(100)", json!([[0]])).await;
    let all = session.query("select * from samples").await.expect("all");
    assert_eq!((all.rows.len(), all.warnings.len()), (20, 1), "cut, and says so");
}

#[tokio::test]
async fn refuses_everything_but_reading() {
    let session = session().await;
    for text in [
        "drop table samples",
        "create table x as select 1",
        "create external table x stored as csv location '/etc/passwd'",
        "insert into samples select * from samples",
        "copy (select 1) to '/tmp/x.csv'",
        "set datafusion.execution.batch_size = 1",
        "select * from '/etc/passwd'",
        "select",
        "nonsense",
        "select no_such_column from samples",
    ] {
        let outcome = session.query(text).await;
        assert!(matches!(outcome, Err(Error::Statement(_))), "{text}: {outcome:?}");
    }
}
