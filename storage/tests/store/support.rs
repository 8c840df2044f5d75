//! What the tests share: a store on a simulated disk, batches, and everything it holds.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use journal::disk::{Disk, SimulatedDisk};
use model::clock::SystemClock;
use model::{Append, AppendError, Appended, Batch, Labels, Matcher, TimeRange, TimestampMs};
use storage::{Error, Settings, Store, Want};

/// Series by labels, samples by instant, values by bits.
pub type Content = BTreeMap<Labels, BTreeMap<i64, u64>>;

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Settings with which nothing is flushed, merged or dropped unless a test asks for it.
pub fn quiet() -> Settings {
    Settings {
        block_range_ms: 1 << 50,
        reserve_bytes: 0,
        retention_ms: 0,
        // Late samples are refused unless a test wants them.
        out_of_order_window_ms: 0,
        ..Settings::default()
    }
}

pub fn try_open(disk: &Disk, settings: Settings) -> Result<Arc<Store>, Error> {
    Store::open(disk.clone(), Path::new("/store"), settings, Arc::new(SystemClock))
}

pub fn open(disk: &Disk, settings: Settings) -> Arc<Store> {
    try_open(disk, settings).unwrap()
}

pub fn labels(number: u64) -> Labels {
    Labels::from_pairs([("__name__", "metric"), ("number", &number.to_string())])
}

pub fn batch(samples: &[(u64, i64, f64)]) -> Batch {
    let mut batch = Batch::new();
    for (number, at_ms, value) in samples {
        let series = batch.series(&labels(*number));
        batch.sample(series, TimestampMs(*at_ms), *value);
    }
    batch
}

pub fn append(store: &Store, samples: &[(u64, i64, f64)]) -> Result<Appended, AppendError> {
    block_on(store.append(batch(samples)))
}

/// Everything in a range, and what was damaged.
pub fn read(store: &Store, range: TimeRange) -> (Content, Vec<String>) {
    let everything = Matcher::new("__name__", model::MatchOp::NotEqual, "").unwrap();
    let entries = store.series(&[everything], range, 0).unwrap();
    assert!(entries.windows(2).all(|pair| pair[0].labels < pair[1].labels), "sorted, each once");
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut content = Content::new();
    let mut scan = store.scan(&ids, range).unwrap();
    let mut last = None;
    for batch in scan.by_ref() {
        let batch = batch.unwrap();
        let series = batch.column(0).as_primitive::<UInt32Type>();
        let instants = batch.column(1).as_primitive::<Int64Type>();
        let values = batch.column(2).as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let key = (series.value(row), instants.value(row));
            assert!(last < Some(key), "rows ascend by series and time: {last:?} then {key:?}");
            assert!(range.contains(TimestampMs(key.1)), "rows lie in the range");
            last = Some(key);
            let labels = entries[key.0 as usize].labels.clone();
            content.entry(labels).or_default().insert(key.1, values.value(row).to_bits());
        }
    }
    (content, scan.warnings().to_vec())
}

pub fn content(store: &Store) -> Content {
    let (content, warnings) = read(store, TimeRange::ALL);
    assert_eq!(warnings, Vec::<String>::new());
    check_readers(store, &content);
    content
}

/// Readers of parts give the same together, in whatever order; the newest sample is the last one;
/// and groups hold the same series.
fn check_readers(store: &Store, content: &Content) {
    let everything = [Matcher::new("__name__", model::MatchOp::NotEqual, "").unwrap()];
    let entries = store.series(&everything, TimeRange::ALL, 0).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.id).collect();
    let mut found = Content::new();
    for mut reader in store.read(&ids, TimeRange::ALL, Want::All, 3).unwrap() {
        while let Some(own) = reader.next_series() {
            let bits = own.values.iter().map(|value| value.to_bits());
            let samples = own.instants_ms.iter().copied().zip(bits).collect();
            let twice = found.insert(entries[own.position].labels.clone(), samples);
            assert!(twice.is_none() && !own.values.is_empty(), "each series comes once");
            assert!(own.instants_ms.is_sorted_by(|one, other| one < other), "time ascends");
        }
    }
    assert_eq!(&found, content, "readers and batches");
    let mut newest = 0;
    for mut reader in store.read(&ids, TimeRange::ALL, Want::Newest, 2).unwrap() {
        while let Some(own) = reader.next_series() {
            let last = own.instants_ms.last().copied().zip(own.values.last().map(|v| v.to_bits()));
            let samples = &content[&entries[own.position].labels];
            assert_eq!(last, samples.last_key_value().map(|(at, bits)| (*at, *bits)), "newest");
            newest += 1;
        }
    }
    assert_eq!(newest, content.len(), "each series has a newest sample");
    for mut reader in store.read(&ids, TimeRange::ALL, Want::Instants, 2).unwrap() {
        while let Some(own) = reader.next_series() {
            let samples = &content[&entries[own.position].labels];
            let is_stale = |value: &f64| model::sample::is_stale_nan(*value);
            let told = own.instants_ms.iter().copied().zip(own.values.iter().map(is_stale));
            let known = samples.iter().map(|(at, bits)| (*at, is_stale(&f64::from_bits(*bits))));
            let (told, known): (Vec<_>, Vec<_>) = (told.collect(), known.collect());
            assert_eq!(told, known, "instants and stale markers");
        }
    }
    for mut reader in store.read(&ids, TimeRange::ALL, Want::NewestInstant, 2).unwrap() {
        while let Some(own) = reader.next_series() {
            let samples = &content[&entries[own.position].labels];
            let last = samples.last_key_value().map(|(at, _)| at);
            assert_eq!(own.instants_ms.last(), last, "newest instant");
        }
    }
    let keep = |name: &str| name == "number";
    let grouped = store.grouped(&everything, TimeRange::ALL, &[&keep, &|_| false]).unwrap();
    let mut sorted = grouped.ids.clone();
    sorted.sort();
    let mut expected = ids;
    expected.sort();
    assert_eq!(sorted, expected, "groups hold the same series");
    assert!(grouped.ways[1].of.iter().all(|group| *group == 0), "all in one");
}

/// The power fails under a store that runs, and comes back.
pub fn cut_power(disk: &SimulatedDisk, store: Arc<Store>) {
    disk.power_off();
    drop(store);
    disk.crash_and_restart();
}

/// Waits until a condition holds, which another thread brings about.
#[track_caller]
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 30, "waited too long until {what}");
        std::thread::yield_now();
    }
}
