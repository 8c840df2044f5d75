//! Many series at once: batches of whole series, sizes, and that nothing is out of proportion; and what
//! series cost that have ended.

use std::sync::Arc;
use std::time::Instant;

use journal::disk::Disk;
use model::clock::SystemClock;
use model::{Append, Batch, Labels, SeriesIx, TimeRange, TimestampMs};
use storage::Store;

use crate::support::{block_on, quiet};

const SERIES: usize = 2000;
const SCRAPES: i64 = 120;

fn scrape(labels: &[Labels], at_ms: i64) -> Batch {
    let mut batch = Batch::new();
    for (number, labels) in labels.iter().enumerate() {
        let series: SeriesIx = batch.series(labels);
        let value = match number % 4 {
            0 => (at_ms / 1000 % 100_000 * (number as i64 % 97)) as f64,
            1 => number as f64 / 100.0 + (at_ms / 60_000) as f64,
            _ => number as f64,
        };
        batch.sample(series, TimestampMs(at_ms), value);
    }
    batch
}

#[test]
fn scrapes_of_many_series() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Disk::real(), dir.path(), quiet(), Arc::new(SystemClock)).unwrap();
    let labels: Vec<Labels> = (0..SERIES)
        .map(|number| {
            Labels::from_pairs([
                ("__name__", "node_thing_total"),
                ("instance", &format!("host-{}:9100", number / 500)),
                ("number", &number.to_string()),
            ])
        })
        .collect();
    let start = Instant::now();
    for scrape_number in 0..SCRAPES {
        let at_ms = 1_700_000_000_000 + scrape_number * 15_000;
        let answer = block_on(store.append(scrape(&labels, at_ms))).unwrap();
        assert_eq!(answer.accepted, SERIES as u64);
    }
    let appended = start.elapsed();
    let samples = SERIES as u64 * SCRAPES as u64;
    let stats = store.stats();
    let journal_bytes = stats.journal_bytes as f64 / samples as f64;
    let memory_bytes = stats.memtable_bytes as f64 / samples as f64;
    assert_eq!(stats.samples_in_memtable, samples);

    let ids: Vec<_> =
        store.series(&[], TimeRange::ALL, 0).unwrap().iter().map(|entry| entry.id).collect();
    let rows = |what: &str| {
        let batches: Vec<_> =
            store.scan(&ids, TimeRange::ALL).unwrap().map(|batch| batch.unwrap()).collect();
        let rows: Vec<usize> = batches.iter().map(|batch| batch.num_rows()).collect();
        assert!(rows.iter().all(|rows| rows.is_multiple_of(SCRAPES as usize)), "whole series");
        assert!(rows[0] > 60_000 && rows[0] <= 65_536, "{what}: batches have their size");
        rows.iter().sum::<usize>() as u64
    };
    let start = Instant::now();
    assert_eq!(rows("memory"), samples);
    let scanned_memory = start.elapsed();
    let one = Instant::now();
    for id in ids.iter().take(1000) {
        assert_eq!(store.scan(&[*id], TimeRange::ALL).unwrap().count(), 1);
    }
    let one_series = one.elapsed() / 1000;
    let start = Instant::now();
    store.flush().unwrap();
    let flushed = start.elapsed();
    let start = Instant::now();
    assert_eq!(rows("blocks"), samples);
    let scanned_blocks = start.elapsed();
    let block_bytes = store.stats().block_bytes as f64 / samples as f64;
    // Shown with `--nocapture`; the bounds only catch what is out of all proportion.
    println!(
        "{samples} samples: append {appended:?}, scan memory {scanned_memory:?}, one series \
         {one_series:?}, flush {flushed:?}, scan blocks {scanned_blocks:?}; bytes a sample: \
         journal {journal_bytes:.2}, memory {memory_bytes:.2}, block {block_bytes:.2}"
    );
    assert!(journal_bytes < 5.0 && memory_bytes < 10.0 && block_bytes < 2.0);
    assert!(store.stats().journal_bytes < samples, "the journal shrinks after a flush");
}

/// What the process holds, in bytes.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Pods come and go: series whose samples are all in blocks stay known until retention drops those.
#[test]
fn a_series_that_only_blocks_have_costs_little() {
    const ENDED: u64 = 40_000;
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(Disk::real(), dir.path(), quiet(), Arc::new(SystemClock)).unwrap();
    let store = open();
    for first in (0..ENDED).step_by(5_000) {
        let mut batch = Batch::new();
        for number in first..first + 5_000 {
            // Ten labels; twenty series of a pod.
            let pod = format!("checkout-7d9f8b6c5-{:05x}", number / 20);
            let series = batch.series(&Labels::from_pairs([
                ("__name__", format!("container_thing_{}", number % 20).as_str()),
                ("cluster", "production"),
                ("container", "checkout"),
                ("image", "registry.example/checkout:1.2.3"),
                ("instance", &format!("10.0.{}.{}:9100", number / 5000, number / 20 % 250)),
                ("job", "kubelet"),
                ("namespace", "shop"),
                ("node", &format!("node-{}", number / 20 % 30)),
                ("pod", &pod),
                ("service", "checkout"),
            ]));
            batch.sample(series, TimestampMs(1_700_000_000_000 + number as i64), 1.0);
        }
        assert_eq!(block_on(store.append(batch)).unwrap().accepted, 5_000);
    }
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    let before_bytes = resident_bytes();
    let store = open();
    let stats = store.stats();
    let resident = resident_bytes().saturating_sub(before_bytes) / ENDED;
    let known = stats.registry_bytes / ENDED;
    println!("an ended series of ten labels: {known} bytes by its own count, {resident} resident");
    assert_eq!((stats.series, stats.samples_in_memtable), (ENDED, 0));
    assert!(known < 200, "{known} bytes of an ended series");
}
