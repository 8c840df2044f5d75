//! Limits of series: known ones go on, new ones are refused, who brought them is named. And where
//! series come from.

use journal::disk::SimulatedDisk;
use model::append::RefusedReason;
use model::{Append, Batch, Labels, TimestampMs};
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
