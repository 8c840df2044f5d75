//! One step of a random life: appends, flushes, restarts.
//!
//! Place in the flow: `kills` and `flips` let a store live these steps; the ledger writes them down.
//!
//! Every step waits for its answer and no flush starts by itself, so that a seed repeats a story to
//! the operation of the disk.
//!
//! Not here: when the power fails (`kills`).

use std::path::Path;
use std::sync::Arc;

use journal::disk::{Disk, Fault, SimulatedDisk};
use model::clock::ManualClock;
use model::sample::STALE_NAN_BITS;
use model::{Append, Batch, TimestampMs};
use storage::{Settings, Store};

use super::ledger::{Ledger, labels};
use crate::random::Random;

/// The folder of the store on the simulated disk.
pub const DIR: &str = "/store";
/// Series of a story.
const SERIES: u64 = 12;
const START_MS: i64 = 1_700_000_000_000;

/// Settings with which nothing happens unless the story asks for it, and a flush makes several
/// blocks.
pub fn settings() -> Settings {
    Settings {
        block_range_ms: 600_000,
        flush_margin_ms: i64::MAX / 2,
        cache_bytes_max: 64 * 1024,
        reserve_bytes: 0,
        ..Settings::default()
    }
}

/// A store on a disk.
pub fn open(disk: &Disk, settings: &Settings) -> Result<Arc<Store>, storage::Error> {
    let clock = Arc::new(ManualClock::new(TimestampMs(START_MS)));
    Store::open(disk.clone(), Path::new(DIR), settings.clone(), clock)
}

/// Why a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The store refused: the power is off, or the disk failed.
    Refused(String),
    /// The store did what it must not do.
    Wrong(String),
}

/// One life after the other of one store.
#[derive(Debug)]
pub struct Story {
    /// Where it happens.
    pub disk: SimulatedDisk,
    /// What was sent and acknowledged.
    pub ledger: Ledger,
    /// What comes next.
    pub random: Random,
    settings: Settings,
    runtime: tokio::runtime::Runtime,
    now_ms: i64,
}

impl Story {
    /// An empty disk and what a seed brings.
    pub fn new(seed: u64) -> Story {
        let range_ms = *Random::new(seed).pick(&[600_000, 7_200_000, 1 << 50]);
        Story::with_settings(seed, Settings { block_range_ms: range_ms, ..settings() })
    }

    /// An empty disk and what a seed brings, with other settings.
    pub fn with_settings(seed: u64, settings: Settings) -> Story {
        Story {
            disk: SimulatedDisk::new(seed),
            ledger: Ledger::default(),
            random: Random::new(!seed),
            settings,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime without drivers needs nothing of the system"),
            now_ms: START_MS - 86_400_000,
        }
    }

    /// Opens the store.
    pub fn open(&self) -> Result<Arc<Store>, storage::Error> {
        open(&self.disk.disk(), &self.settings)
    }

    /// Does one random thing. The store may be another one afterwards.
    pub fn step(&mut self, store: &mut Option<Arc<Store>>) -> Result<(), End> {
        let refused = |error: storage::Error| End::Refused(error.to_string());
        if store.is_none() {
            *store = Some(self.open().map_err(refused)?);
        }
        let Some(open) = store.as_ref() else { return Ok(()) };
        match self.random.below(24) {
            0 | 1 => open.flush().map_err(refused),
            2 => {
                open.close().map_err(refused)?;
                *store = None;
                Ok(())
            }
            _ => self.append(open),
        }
    }

    /// Orders an error of the disk for one of the next operations.
    pub fn order_fault(&mut self) -> Fault {
        let faults = [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create];
        let fault = *self.random.pick(&faults);
        self.disk.fail_at(self.disk.operations() + self.random.below(12), fault);
        fault
    }

    fn append(&mut self, store: &Store) -> Result<(), End> {
        self.now_ms += *self.random.pick(&[15_000, 15_000, 15_000, 1, 60_000, 900_000]);
        let mut samples = Vec::new();
        for _ in 0..1 + self.random.below(8) {
            samples.push(self.sample());
        }
        let mut batch = Batch::new();
        for (number, at_ms, bits) in &samples {
            self.ledger.send(*number, *at_ms, *bits);
            let series = batch.series(&labels(*number));
            batch.sample(series, TimestampMs(*at_ms), f64::from_bits(*bits));
        }
        let answer = self.runtime.block_on(store.append(batch));
        let answer = answer.map_err(|error| End::Refused(error.to_string()))?;
        let refused = answer.refused.iter().map(|refused| refused.series.0 as usize);
        let refused: std::collections::BTreeSet<usize> = refused.collect();
        if answer.accepted as usize + refused.len() != samples.len() {
            let counts = (answer.accepted, refused.len(), samples.len());
            return Err(End::Wrong(format!("accepted, refused, sent: {counts:?}")));
        }
        for (index, (number, at_ms, bits)) in samples.into_iter().enumerate() {
            if !refused.contains(&index) {
                self.ledger.acknowledge(number, at_ms, bits).map_err(End::Wrong)?;
            }
        }
        Ok(())
    }

    /// Series, instant, value: in order, late, doubled, contradicting.
    fn sample(&mut self) -> (u64, i64, u64) {
        let number = self.random.below(SERIES);
        let back = self.random.below(6) as usize;
        match self.random.below(16) {
            0 => {
                let known = self.ledger.acknowledged(number, back);
                known.map_or((number, self.now_ms, 0), |(at_ms, bits)| (number, at_ms, bits))
            }
            1 => {
                let at_ms = self.ledger.acknowledged(number, back).map(|known| known.0);
                (number, at_ms.unwrap_or(self.now_ms), self.value())
            }
            2 => (number, self.now_ms - self.random.below(4_000_000) as i64, self.value()),
            _ => (number, self.now_ms, self.value()),
        }
    }

    /// The bits of a value: whole, decimal, any float, NaN of any payload, stale, -0.
    pub fn value(&mut self) -> u64 {
        let random = &mut self.random;
        match random.below(12) {
            0..=2 => (random.below(1000) as f64).to_bits(),
            3..=5 => (random.below(10_000_000) as f64 / 1000.0).to_bits(),
            6 => (random.number() as f64 / 1e17).to_bits(),
            7 => STALE_NAN_BITS,
            8 => (-0.0f64).to_bits(),
            9 => 0x7ff0_0000_0000_0000 | random.below(1 << 52) | (random.below(2) << 63),
            10 => random.below(1 << 52), // Denormal.
            _ => random.number(),
        }
    }
}
