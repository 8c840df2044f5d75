//! Readers, writers and flushes at the same time: a scan is a picture of one instant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use journal::disk::SimulatedDisk;
use model::TimeRange;

use crate::support::{append, content, labels, open, quiet, read};

#[test]
fn scans_see_whole_batches_and_lose_nothing_to_a_flush() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let (acknowledged, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = {
        let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
        thread::spawn(move || {
            for at_ms in 1..=600 {
                append(&store, &[(1, at_ms, 1.0), (2, at_ms, 2.0), (3, at_ms, 3.0)]).unwrap();
                acknowledged.store(at_ms, Ordering::SeqCst);
            }
        })
    };
    let flusher = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                store.flush().unwrap();
            }
        })
    };
    let mut pictures = 0;
    while !writer.is_finished() || pictures == 0 {
        let before = acknowledged.load(Ordering::SeqCst);
        let (found, warnings) = read(&store, TimeRange::ALL);
        assert_eq!(warnings, Vec::<String>::new());
        if before == 0 {
            continue;
        }
        let counts: Vec<usize> =
            (1..=3).map(|number| found.get(&labels(number)).map_or(0, |one| one.len())).collect();
        assert!(counts[0] as i64 >= before, "{counts:?} with {before} acknowledged");
        assert!(counts.iter().all(|count| *count == counts[0]), "half a batch: {counts:?}");
        pictures += 1;
    }
    writer.join().unwrap();
    done.store(true, Ordering::SeqCst);
    flusher.join().unwrap();
    assert_eq!(content(&store).values().map(|series| series.len()).sum::<usize>(), 1800);
    assert!(store.stats().blocks > 1);
}

#[test]
fn many_writers_share_commits() {
    let store = open(&SimulatedDisk::new(1).disk(), quiet());
    let writers: Vec<_> = (0..8u64)
        .map(|writer| {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for at_ms in 0..50 {
                    // All of them create series 100 and fight for its instants.
                    let samples = [(writer, at_ms, at_ms as f64), (100, at_ms, 5.0)];
                    let answer = append(&store, &samples).unwrap();
                    assert!(answer.ids[0].is_some() && answer.accepted >= 1);
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let found = content(&store);
    assert_eq!(found.len(), 9);
    assert!((0..8).all(|writer| found[&labels(writer)].len() == 50));
    assert!(store.stats().commits_count <= 400);
    assert_eq!(store.stats().series_created_count, 9);
}
