//! A store full of counters and gauges, and an engine over it.

use std::path::Path;
use std::sync::Arc;

use journal::disk::SimulatedDisk;
use model::clock::ManualClock;
use model::{Append, Batch, Labels, TimestampMs};
use query::{Engine, QueryOptions, Settings, Value};
use storage::Store;

/// From one sample to the next.
pub const STEP_MS: i64 = 15_000;

/// The store, its engine, and the disk below.
pub struct Fleet {
    pub store: Arc<Store>,
    pub engine: Engine,
    _disk: SimulatedDisk,
}

impl Fleet {
    /// So many instances with so many samples of `requests_total` and `temperature`.
    pub async fn new(settings: Settings, instances: usize, samples: i64) -> Fleet {
        let disk = SimulatedDisk::new(7);
        let clock = Arc::new(ManualClock::new(TimestampMs(samples * STEP_MS)));
        let dir = Path::new("/data");
        let store = Store::open(disk.disk(), dir, storage::Settings::default(), clock.clone())
            .expect("opens");
        let mut batch = Batch::new();
        for instance in 0..instances {
            let job = if instance % 2 == 0 { "a" } else { "b" };
            let labels = |name: &str| {
                let instance = instance.to_string();
                Labels::from_pairs([("__name__", name), ("job", job), ("instance", &instance)])
            };
            let counter = batch.series(&labels("requests_total"));
            let gauge = batch.series(&labels("temperature"));
            for sample in 0..samples {
                let at = TimestampMs(sample * STEP_MS);
                // Counters restart now and then; gauges go up and down.
                let restart = 37 + instance as i64 % 11;
                batch.sample(counter, at, (sample % restart * (1 + instance as i64 % 5)) as f64);
                let phase = (sample + instance as i64) as f64;
                batch.sample(gauge, at, (phase * 0.3).sin() * 30.0 + 10.0);
            }
        }
        let appended = store.append(batch).await.expect("is taken");
        assert!(appended.refused.is_empty(), "{:?}", appended.refused);
        let engine = Engine::new(store.clone(), clock, settings);
        Fleet { store, engine, _disk: disk }
    }

    /// The only number of an instant answer.
    pub async fn number(&self, text: &str, at: TimestampMs) -> f64 {
        let answer = self.engine.instant(text, at, &QueryOptions::default()).await.expect(text);
        match answer.value {
            Value::Vector(samples) if samples.len() == 1 => samples[0].value,
            other => panic!("{text} is {other:?}"),
        }
    }
}
