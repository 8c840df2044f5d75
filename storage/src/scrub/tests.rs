//! Damage that nobody meets is found within a day, mended and named.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use journal::disk::SimulatedDisk;
use model::{Append, Batch, Clock, Labels, TimestampMs};

use super::*;
use crate::{Settings, Store};

const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Default)]
struct Hands(Mutex<i64>);

impl Clock for Hands {
    fn now(&self) -> TimestampMs {
        TimestampMs(*self.0.lock().unwrap())
    }
}

/// A store with three blocks.
fn filled(disk: &SimulatedDisk, clock: &Arc<Hands>) -> Arc<Store> {
    let settings = Settings { upkeep: false, retention_ms: 0, ..Settings::default() };
    let store = Store::open(disk.disk(), Path::new("/s"), settings, clock.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for step in 0..3 {
        let mut batch = Batch::new();
        for number in 0..2000 {
            let text = number.to_string();
            let series = batch.series(&Labels::from_pairs([("__name__", "m"), ("i", &text)]));
            let value = (f64::from(number) * 0.37).sin();
            batch.sample(series, TimestampMs(step), value + step as f64);
        }
        assert!(runtime.block_on(store.append(batch)).unwrap().refused.is_empty());
        store.flush().unwrap();
    }
    assert_eq!(store.blocks().len(), 3);
    store
}

#[test]
fn all_of_it_is_read_in_a_day_and_damage_is_mended() {
    let simulated = SimulatedDisk::new(1);
    let clock = Arc::new(Hands::default());
    let store = filled(&simulated, &clock);
    let shared = store.shared();
    let is_guarded = |path: &Path| FILES.iter().any(|name| path.ends_with(name));
    let files: Vec<(PathBuf, u64)> =
        simulated.files().into_iter().filter(|(path, _)| is_guarded(path)).collect();
    assert_eq!(files.len(), 6);
    for (path, size_bytes) in &files {
        simulated.flip_bit(path, size_bytes / 2, 3).unwrap();
    }
    let mut scrub = Scrub::default();
    let mut read_bytes = 0;
    for hour in 0..=25 {
        *clock.0.lock().unwrap() = hour * HOUR_MS;
        read_bytes += scrub.step(shared);
        assert_eq!(scrub.step(shared), 0, "nothing is due at once again");
    }
    let all_bytes: u64 = files.iter().map(|file| file.1).sum();
    assert!(read_bytes >= all_bytes, "{read_bytes} of {all_bytes}");
    let damaged = store.stats().damaged;
    assert_eq!(damaged.len(), files.len(), "{damaged:?}");
    assert!(damaged.iter().all(|text| text.contains("mended")), "{damaged:?}");
    let healed: usize = shared.blocks().iter().map(|block| block.heal().unwrap()).sum();
    assert_eq!(healed, files.len());
    // The next day finds nothing.
    let (read, mut again) = (read_bytes, 0);
    for hour in 26..=52 {
        *clock.0.lock().unwrap() = hour * HOUR_MS;
        again += scrub.step(shared);
    }
    assert!(again >= read / 2, "{again}");
    assert_eq!(store.stats().damaged, damaged);
}

#[test]
fn what_cannot_be_mended_is_named() {
    let simulated = SimulatedDisk::new(1);
    let clock = Arc::new(Hands::default());
    let store = filled(&simulated, &clock);
    let files = simulated.files();
    let samples = files.iter().find(|(path, _)| path.ends_with(SAMPLES_FILE)).unwrap();
    for chunk in 0..samples.1 / 4096 {
        simulated.flip_bit(&samples.0, chunk * 4096 + 7, 3).unwrap();
        simulated.flip_bit(&samples.0, chunk * 4096 + 99, 3).unwrap();
    }
    let mut scrub = Scrub::default();
    for day in 0..3 {
        *clock.0.lock().unwrap() = day * 24 * HOUR_MS;
        scrub.step(store.shared());
    }
    let damaged = store.stats().damaged;
    assert!(damaged.iter().any(|text| text.contains("beyond mending")), "{damaged:?}");
}

#[test]
fn blocks_that_come_and_go_do_not_stop_it() {
    let simulated = SimulatedDisk::new(1);
    let clock = Arc::new(Hands::default());
    let store = filled(&simulated, &clock);
    let mut scrub = Scrub::default();
    assert_eq!(scrub.step(store.shared()), 0);
    *clock.0.lock().unwrap() = 12 * HOUR_MS;
    scrub.step(store.shared());
    store.compact().unwrap();
    for hour in 13..40 {
        *clock.0.lock().unwrap() = hour * HOUR_MS;
        scrub.step(store.shared());
    }
    store.shared().change_blocks(Vec::clear);
    *clock.0.lock().unwrap() = 90 * HOUR_MS;
    assert_eq!(scrub.step(store.shared()), 0);
}
