//! Questions about labels: over memory and blocks, with matchers, ranges and limits.

use journal::disk::SimulatedDisk;
use model::{Append, Batch, Labels, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::Store;

use crate::support::{block_on, open, quiet};

fn fill(store: &Store, rows: &[(&[(&str, &str)], i64)]) {
    let mut batch = Batch::new();
    for (labels, at_ms) in rows {
        let series = batch.series(&Labels::from_pairs(labels.iter().copied()));
        batch.sample(series, TimestampMs(*at_ms), 1.0);
    }
    assert_eq!(block_on(store.append(batch)).unwrap().refused, vec![]);
}

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(TimestampMs(start), TimestampMs(end)).unwrap()
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Vec<Matcher> {
    vec![Matcher::new(name, op, value).unwrap()]
}

#[track_caller]
fn check(store: &Store, (matchers, range): (&[Matcher], TimeRange), expected: &[&str]) {
    let found: Vec<String> = store
        .series(matchers, range, 0)
        .unwrap()
        .iter()
        .map(|one| one.labels.to_string())
        .collect();
    assert_eq!(found, expected, "{matchers:?} {range:?}");
}

#[test]
fn questions() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), quiet());
    fill(
        &store,
        &[
            (&[("__name__", "up"), ("job", "a"), ("i", "1")], 1000),
            (&[("__name__", "up"), ("job", "b")], 1000),
        ],
    );
    store.flush().unwrap();
    fill(
        &store,
        &[
            (&[("__name__", "up"), ("job", "a"), ("i", "1")], 2000),
            (&[("__name__", "load"), ("zone", "x")], 2000),
            (&[("__name__", "load"), ("zone", "y")], 3000),
        ],
    );
    for round in 0..3 {
        let up = matcher("__name__", MatchOp::Equal, "up");
        let no_job = matcher("job", MatchOp::Equal, "");
        let (a, b) = ("up{i=\"1\", job=\"a\"}", "up{job=\"b\"}");
        let (x, y) = ("load{zone=\"x\"}", "load{zone=\"y\"}");
        check(&store, (&[], TimeRange::ALL), &[x, y, a, b]);
        check(&store, (&up, TimeRange::ALL), &[a, b]);
        check(&store, (&no_job, TimeRange::ALL), &[x, y]);
        check(&store, (&matcher("job", MatchOp::NotRegex, "a|"), TimeRange::ALL), &[b]);
        check(&store, (&up, range(0, 2000)), &[a, b]);
        check(&store, (&up, range(1001, 2001)), &[a]);
        check(&store, (&[], range(2500, 3500)), &[y]);
        check(&store, (&[], range(3001, 4000)), &[]);
        let names = |matchers: &[Matcher], limit| {
            store.label_names(matchers, TimeRange::ALL, limit).unwrap()
        };
        assert_eq!(names(&[], 0), ["__name__", "i", "job", "zone"], "round {round}");
        assert_eq!(names(&[], 2), ["__name__", "i"]);
        assert_eq!(names(&no_job, 0), ["__name__", "zone"]);
        let values = |name: &str, matchers: &[Matcher], range| {
            store.label_values(name, matchers, range, 0).unwrap()
        };
        assert_eq!(values("__name__", &[], TimeRange::ALL), ["load", "up"]);
        assert_eq!(values("job", &up, TimeRange::ALL), ["a", "b"]);
        assert_eq!(values("job", &[], range(1500, 9000)), ["a"]);
        assert_eq!(values("none", &[], TimeRange::ALL), Vec::<String>::new());
        assert_eq!(store.series(&[], TimeRange::ALL, 3).unwrap().len(), 3);
        // The same from blocks alone.
        store.flush().unwrap();
    }
    drop(store);
    let store = open(&simulated.disk(), quiet());
    assert_eq!(store.series(&[], TimeRange::ALL, 0).unwrap().len(), 4);
    assert_eq!(store.stats().series_active, 0);
}

#[test]
fn a_scan_can_go_to_another_thread() {
    fn check<T: Iterator + Send + 'static>(_: Option<T>) {}
    check(None::<storage::Scan>);
}
