//! Limits of series: known ones go on, new ones are refused, who brought them is named. And where
//! series come from.

use journal::disk::SimulatedDisk;
use model::append::RefusedReason;
use model::{Append, Batch, Labels, TimeRange, TimestampMs};
use storage::limits::SeriesLimit;
use storage::{Settings, Store};

use crate::support::{block_on, open, quiet};

/// Appends one sample to each series; answers how many were refused for a limit.
fn fill(store: &Store, sets: &[Labels], at_ms: i64) -> usize {
    let mut batch = Batch::new();
    for labels in sets {
        let series = batch.series(labels);
        batch.sample(series, TimestampMs(at_ms), 1.0);
    }
    let refused = block_on(store.append(batch)).unwrap().refused;
    assert!(refused.iter().all(|one| one.reason == RefusedReason::SeriesLimit), "{refused:?}");
    refused.len()
}

fn sets(job: &str, instance: &str, users: std::ops::Range<u32>) -> Vec<Labels> {
    let set = |user: u32| {
        let user = user.to_string();
        let pairs = [("__name__", "m"), ("job", job), ("instance", instance), ("user", &user)];
        Labels::from_pairs(pairs)
    };
    users.map(set).collect()
}

#[track_caller]
fn check(settings: Settings, steps: &[(Vec<Labels>, usize)], culprits: &[(&str, &str, &str, u64)]) {
    let simulated = SimulatedDisk::new(1);
    let disk = simulated.disk();
    let mut store = open(&disk, settings.clone());
    for (step, (sets, refused)) in steps.iter().enumerate() {
        assert_eq!(fill(&store, sets, 1000 + step as i64), *refused, "step {step}");
    }
    let found = store.stats().series_refused;
    let found: Vec<_> = found
        .iter()
        .map(|one| {
            let culprit = &one.culprit;
            assert!(one.label.1 < 2 || one.label.0 == "user", "{one:?}");
            (culprit.limit.as_str(), culprit.job.as_str(), culprit.instance.as_str(), one.samples)
        })
        .collect();
    assert_eq!(found, culprits);
    // After a restart the same series are known and the limits are the same.
    store.close().unwrap();
    store = open(&disk, settings);
    for (step, (sets, refused)) in steps.iter().enumerate() {
        assert_eq!(fill(&store, sets, 2000 + step as i64), *refused, "step {step}, again");
    }
}

#[test]
fn a_target_has_a_limit() {
    let settings = Settings { series_per_target_max: 5, ..quiet() };
    check(
        settings,
        &[
            (sets("a", "1", 0..4), 0),
            (sets("a", "1", 0..8), 3),
            (sets("a", "2", 0..5), 0),
            (sets("a", "2", 0..6), 1),
            (sets("b", "1", 0..5), 0),
            (sets("", "", 0..7), 2),
        ],
        &[
            ("series_per_target_max", "a", "1", 3),
            ("series_per_target_max", "", "", 2),
            ("series_per_target_max", "a", "2", 1),
        ],
    );
}

#[test]
fn a_job_has_a_limit() {
    let settings = Settings { series_per_job_max: 5, ..quiet() };
    check(
        settings,
        &[
            (sets("a", "1", 0..3), 0),
            (sets("a", "2", 0..3), 1),
            (sets("b", "1", 0..5), 0),
            (sets("", "1", 0..7), 2),
        ],
        &[("series_per_job_max", "", "", 2), ("series_per_job_max", "a", "", 1)],
    );
}

#[test]
fn the_store_has_a_limit() {
    let settings = Settings { series_max: 5, ..quiet() };
    check(
        settings,
        &[(sets("a", "1", 0..4), 0), (sets("b", "1", 0..9), 8), (sets("a", "1", 0..4), 0)],
        &[("series_max", "b", "1", 8)],
    );
}

/// What came and went keeps nobody out, returns under its own number, and is judged by what blocks
/// have of it.
#[test]
fn ended_series_do_not_count() {
    const MINUTE_MS: i64 = 60_000;
    let simulated = SimulatedDisk::new(1);
    let disk = simulated.disk();
    let settings = Settings {
        series_max: 1000,
        series_per_job_max: 900,
        series_per_target_max: 600,
        block_range_ms: MINUTE_MS,
        flush_margin_ms: 0,
        out_of_order_window_ms: 100 * MINUTE_MS,
        upkeep: false,
        ..quiet()
    };
    let store = open(&disk, settings.clone());
    let old = sets("a", "1", 0..600);
    let number = |store: &Store, labels: &Labels| {
        let found = store.series(&[], TimeRange::ALL, 0).unwrap();
        found.iter().find(|entry| entry.labels == *labels).map(|entry| entry.id)
    };
    assert_eq!(fill(&store, &old, MINUTE_MS), 0);
    assert_eq!(fill(&store, &sets("a", "1", 600..700), MINUTE_MS), 100);
    store.flush().unwrap();
    assert_eq!(store.stats().series_ended, 0, "they may go on");
    // One goes on, the others end.
    for minute in 2..=5 {
        assert_eq!(fill(&store, &old[..1], minute * MINUTE_MS), 0);
        store.flush().unwrap();
    }
    assert_eq!(store.stats().series_ended, 599);
    assert_eq!(fill(&store, &sets("a", "1", 600..1300), 5 * MINUTE_MS + 1), 101);
    assert_eq!(fill(&store, &sets("a", "2", 0..400), 5 * MINUTE_MS + 2), 100);
    assert_eq!(fill(&store, &sets("b", "1", 0..400), 5 * MINUTE_MS + 2), 300);
    // Those that return are known, whatever the limits say.
    let (id, before) = (number(&store, &old[7]), store.stats().series);
    assert_eq!(fill(&store, &old[7..9], MINUTE_MS), 0, "an exact duplicate in a block");
    let mut batch = Batch::new();
    let series = batch.series(&old[7]);
    batch.sample(series, TimestampMs(MINUTE_MS), 2.0);
    batch.sample(series, TimestampMs(MINUTE_MS - 1), 2.0);
    let refused = block_on(store.append(batch)).unwrap().refused;
    assert_eq!(refused.len(), 1, "another value at an instant that a block has");
    assert_eq!(refused[0].reason, RefusedReason::DuplicateTimestamp);
    assert_eq!(fill(&store, &old[7..8], 6 * MINUTE_MS), 0);
    assert_eq!((number(&store, &old[7]), store.stats().series), (id, before));
    let samples = |store: &Store| {
        let scan = store.scan(&[id.unwrap()], TimeRange::ALL).unwrap();
        scan.map(|batch| batch.unwrap().num_rows()).sum::<usize>()
    };
    assert_eq!((samples(&store), store.stats().series_ended), (3, 598));
    // After a restart too.
    store.flush().unwrap();
    store.close().unwrap();
    let store = open(&disk, settings);
    assert_eq!(store.stats().series_ended, before);
    assert_eq!(fill(&store, &old[7..8], MINUTE_MS), 0, "an exact duplicate in a block");
    assert_eq!(fill(&store, &old, 7 * MINUTE_MS), 0);
    assert_eq!(fill(&store, &sets("a", "1", 1300..1301), 7 * MINUTE_MS), 1);
    assert_eq!((number(&store, &old[7]), samples(&store)), (id, 4));
}

/// Of a series that only blocks have, memory holds its number and its labels, each distinct one once.
#[test]
fn what_an_ended_series_takes() {
    const SERIES: u32 = 40_000;
    let simulated = SimulatedDisk::new(1);
    let settings = Settings { block_range_ms: 60_000, upkeep: false, ..quiet() };
    let store = open(&simulated.disk(), settings);
    let set = |number: u32| {
        let texts = [number % 100, number % 7, number % 50, number].map(|own| own.to_string());
        let [name, job, instance, pod] = texts;
        let instance = format!("host-{instance}:9100");
        let pod = format!("web-{pod}-x7k2p");
        let pairs = [("__name__", name.as_str()), ("job", &job), ("instance", &instance)];
        Labels::from_pairs(pairs.into_iter().chain([("pod", pod.as_str())]))
    };
    for from in (0..SERIES).step_by(4000) {
        let some: Vec<Labels> = (from..from + 4000).map(set).collect();
        assert_eq!(fill(&store, &some, i64::from(from) * 1000), 0);
    }
    store.flush().unwrap();
    let stats = store.stats();
    assert!(stats.series_ended >= u64::from(SERIES - 4000), "{}", stats.series_ended);
    assert_eq!(stats.memtable_bytes, 0);
    let bytes = stats.registry_bytes / u64::from(SERIES);
    println!("{bytes} bytes, {} of them in the index", stats.index_bytes / u64::from(SERIES));
    assert!(bytes <= 145, "{bytes} bytes");
}

#[test]
fn what_is_known_in_all_has_a_limit() {
    let simulated = SimulatedDisk::new(1);
    let settings = Settings { series_max: 300, block_range_ms: 60_000, ..quiet() };
    let store = open(&simulated.disk(), Settings { upkeep: false, ..settings });
    let mut refused = Vec::new();
    for step in 0..9u32 {
        let sets = sets("a", "1", step * 200..(step + 1) * 200);
        refused.push(fill(&store, &sets, i64::from(step) * 1_000_000 + 1));
        store.flush().unwrap();
    }
    // Each flush finds the series of the one before ended, until 1,200 are known.
    assert_eq!(refused, [0, 100, 0, 100, 0, 100, 0, 100, 200]);
}

#[test]
fn who_is_refused_is_bounded() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), Settings { series_max: 1, ..quiet() });
    for number in 0..30 {
        let targets = (0..100).map(|own| sets("a", &format!("{number}-{own}"), 0..1).remove(0));
        fill(&store, &targets.collect::<Vec<_>>(), number);
    }
    let refused = store.stats().series_refused;
    assert_eq!(refused.len(), 10);
    assert_eq!(refused[0].culprit.job, "…", "those beyond the bound count as one");
    assert_eq!(refused[0].culprit.limit, SeriesLimit::All);
    assert!(refused[0].samples > 1900, "{:?}", refused[0]);
}

#[test]
fn where_series_come_from() {
    let simulated = SimulatedDisk::new(1);
    let store = open(&simulated.disk(), quiet());
    fill(&store, &sets("a", "1", 0..200), 1000);
    fill(&store, &[Labels::from_pairs([("__name__", "other"), ("job", "b")])], 1000);
    store.flush().unwrap();
    let found = store.cardinality(2);
    let pairs = |counts: &[storage::cardinality::Count]| -> Vec<(String, u64)> {
        counts.iter().map(|one| (one.name.clone(), one.count)).collect()
    };
    let own = |list: &[(&str, u64)]| -> Vec<(String, u64)> {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!((found.series, found.label_pairs, found.label_names), (201, 205, 4));
    assert_eq!(pairs(&found.series_by_metric), own(&[("m", 200), ("other", 1)]));
    assert_eq!(pairs(&found.values_by_label), own(&[("user", 200), ("__name__", 2)]));
    assert_eq!(pairs(&found.value_bytes_by_label), own(&[("user", 490), ("__name__", 205)]));
    assert_eq!(pairs(&found.series_by_pair), own(&[("__name__=m", 200), ("instance=1", 200)]));
    let bytes = pairs(&found.block_bytes_by_metric);
    assert_eq!((bytes[0].0.as_str(), bytes[1].0.as_str()), ("m", "other"));
    assert!(bytes[0].1 > 100 * bytes[1].1, "{bytes:?}");
    assert_eq!(store.cardinality(1000).values_by_label.len(), 4);
}
