//! One step of a random life: appends of every kind, flushes, deletions and their taking back,
//! merges, pictures, restarts.
//!
//! Place in the flow: `kills` and `flips` let a store live these steps; the ledger writes them down.
//!
//! Every step waits for its answer, no flush starts by itself, and a store that was opened is first
//! left alone until it has settled, so that a seed repeats a story to the operation of the disk.
//!
//! Not here: when the power fails (`kills`), what goes into a batch (`batch`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::disk::{Disk, Fault, SimulatedDisk};
use model::append::SeriesId;
use model::clock::ManualClock;
use model::{MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{DeletionId, Settings, Store};

use super::ledger::{Deletion, Ledger};
use crate::random::Random;

/// The folder of the store on the simulated disk.
pub const DIR: &str = "/store";
/// The folder of its pictures.
const PICTURES_DIR: &str = "/pictures";
/// Series of a story.
pub const SERIES: u64 = 12;
const START_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long a store may take to settle.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Settings with which nothing happens unless the story asks for it, and a flush makes several
/// blocks.
pub fn settings() -> Settings {
    Settings {
        block_range_ms: 600_000,
        flush_margin_ms: i64::MAX / 2,
        cache_bytes_max: 64 * 1024,
        reserve_bytes: 0,
        retention_ms: 0,
        ..Settings::default()
    }
}

/// A store in a folder, after it has settled.
pub fn open(disk: &Disk, dir: &Path, settings: &Settings) -> Result<Arc<Store>, storage::Error> {
    let clock = Arc::new(ManualClock::new(TimestampMs(START_MS)));
    let store = Store::open(disk.clone(), dir, settings.clone(), clock)?;
    let start = Instant::now();
    while store.stats().upkeeps_count == 0 {
        assert!(start.elapsed() < SETTLE_MAX, "a store does not settle");
        std::thread::yield_now();
    }
    Ok(store)
}

/// Why a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The store refused: the power is off, or the disk failed.
    Refused(String),
    /// The store did what it must not do.
    Wrong(String),
}

pub(super) fn refused(error: storage::Error) -> End {
    End::Refused(error.to_string())
}

/// A picture of the store in a folder of its own.
#[derive(Debug)]
struct Picture {
    path: PathBuf,
    /// What must be in it.
    ledger: Ledger,
    is_acknowledged: bool,
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
    /// Whether the disk fails now and then.
    pub has_faults: bool,
    /// Whether there is anything beside numbers.
    pub(super) has_beside: bool,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) now_ms: i64,
    /// Numbers that the store gave.
    pub(super) ids: BTreeMap<u64, SeriesId>,
    /// The shapes of histograms by fingerprint.
    pub(super) shapes: BTreeMap<u64, u64>,
    settings: Settings,
    deletions: Vec<u64>,
    picture: Option<Picture>,
    pictures: u64,
}

impl Story {
    /// An empty disk and what a seed brings.
    pub fn new(seed: u64) -> Story {
        let mut random = Random::new(seed);
        let block_range_ms = *random.pick(&[HOUR_MS, 4 * HOUR_MS, 1 << 50]);
        let retention_ms = *random.pick(&[0, 0, 4 * HOUR_MS]);
        let deletion_undo_ms = *random.pick(&[0, DAY_MS]);
        let settings = Settings { block_range_ms, retention_ms, deletion_undo_ms, ..settings() };
        let mut story = Story::with_settings(seed, settings);
        // The files beside the numbers take most of the time, so that most stories have none.
        if !random.one_in(3) {
            story.has_beside = false;
            story.ledger = Ledger::new(retention_ms, false);
        }
        story
    }

    /// An empty disk and what a seed brings, with other settings.
    pub fn with_settings(seed: u64, settings: Settings) -> Story {
        let disk = SimulatedDisk::new(seed);
        let door = disk.disk();
        let made = door.create_dir_all(Path::new(PICTURES_DIR));
        made.and_then(|()| door.sync_dir(Path::new("/"))).expect("the disk is new");
        Story {
            disk,
            ledger: Ledger::new(settings.retention_ms, true),
            random: Random::new(!seed),
            has_faults: false,
            has_beside: true,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime without drivers needs nothing of the system"),
            now_ms: START_MS - 3 * DAY_MS,
            ids: BTreeMap::new(),
            shapes: BTreeMap::new(),
            settings,
            deletions: Vec::new(),
            picture: None,
            pictures: 0,
        }
    }

    /// Opens the store.
    pub fn open(&self) -> Result<Arc<Store>, storage::Error> {
        open(&self.disk.disk(), Path::new(DIR), &self.settings)
    }

    /// Does one random thing. The store may be another one afterwards.
    pub fn step(&mut self, store: &mut Option<Arc<Store>>) -> Result<(), End> {
        if store.is_none() {
            let open = self.open().map_err(refused)?;
            // What failed before may show from now on; without doubt there is nothing new to see.
            if self.ledger.is_in_doubt() {
                self.ledger.check(&open).map_err(|what| self.blame(what))?;
            }
            *store = Some(open);
        }
        let Some(open) = store.as_ref() else { return Ok(()) };
        match self.random.below(64) {
            0..=2 => open.flush().map_err(refused),
            3 => {
                let before_ms = self.now_ms - self.random.below(2 * HOUR_MS as u64) as i64;
                open.flush_before(TimestampMs(before_ms)).map_err(refused)
            }
            4 | 5 => {
                open.close().map_err(refused)?;
                *store = None;
                Ok(())
            }
            6 | 7 => self.delete(open),
            8 | 9 => self.undelete(open),
            10 => open.compact().map_err(refused),
            11 => {
                open.clean().map_err(refused)?;
                self.ledger.clean();
                Ok(())
            }
            12 => self.take_picture(open),
            _ => self.append(open),
        }
    }

    /// With the power off nothing can be read; then nothing is wrong.
    fn blame(&self, what: String) -> End {
        let is_on = self.disk.disk().exists(Path::new("/")).is_ok();
        if is_on && !self.has_faults { End::Wrong(what) } else { End::Refused(what) }
    }

    /// Orders an error of the disk for one of the next operations. All can be read: what a store takes
    /// while a part of its journal is away may contradict that part.
    pub fn order_fault(&mut self) -> Fault {
        let faults =
            [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create, Fault::Link];
        let fault = *self.random.pick(&faults);
        self.disk.fail_at(self.disk.operations() + self.random.below(12), fault);
        fault
    }

    /// Compares a store that was just opened after a kill, and the picture that was taken before.
    pub fn check(&mut self, store: &Store) -> Result<(), String> {
        self.ledger.check(store)?;
        let listed = store.tombstones();
        self.deletions = listed.iter().map(|own| own.id.0).collect();
        let Some(picture) = self.picture.take() else { return Ok(()) };
        let wrong = |what: String| format!("the picture {}: {what}", picture.path.display());
        let disk = self.disk.disk();
        let is_there = disk.exists(&picture.path).map_err(|error| wrong(error.to_string()))?;
        if !is_there {
            return match picture.is_acknowledged {
                true => Err(wrong("acknowledged, and not there".to_owned())),
                false => Ok(()),
            };
        }
        let copy = open(&disk, &picture.path, &self.settings);
        let copy = copy.map_err(|error| wrong(format!("can't open: {error}")))?;
        let damaged = copy.stats().damaged;
        if !damaged.is_empty() {
            return Err(wrong(format!("damage: {damaged:?}")));
        }
        let mut ledger = picture.ledger;
        ledger.check(&copy).map_err(wrong)?;
        drop(copy);
        // Its space; nothing depends on it.
        let _ = disk.remove_dir_all(&picture.path);
        Ok(())
    }

    fn delete(&mut self, store: &Store) -> Result<(), End> {
        let number = self.random.below(SERIES).to_string();
        let (name, op, value) = match self.random.below(8) {
            0 => ("__name__", MatchOp::Equal, "metric".to_owned()),
            1 => ("parity", MatchOp::Equal, "even".to_owned()),
            2 => ("parity", MatchOp::NotEqual, "even".to_owned()),
            3 => ("number", MatchOp::Regex, format!("{number}|1.*|never")),
            _ => ("number", MatchOp::Equal, number),
        };
        let matcher = Matcher::new(name, op, &value).expect("it is a right one");
        let range = match self.random.below(3) {
            0 => TimeRange::ALL,
            _ => {
                let start_ms = self.now_ms - self.random.below(6 * HOUR_MS as u64) as i64;
                let end_ms = start_ms + 1 + self.random.below(2 * HOUR_MS as u64) as i64;
                TimeRange::new(TimestampMs(start_ms), TimestampMs(end_ms)).expect("it ends later")
            }
        };
        let deletion = Deletion { matchers: vec![matcher], range };
        match store.delete(&deletion.matchers, range) {
            Ok(id) => {
                self.deletions.extend(id.map(|id| id.0));
                self.ledger.delete(id.map(|id| id.0), &deletion).map_err(End::Wrong)
            }
            Err(error) => {
                self.ledger.delete_failed(deletion);
                Err(refused(error))
            }
        }
    }

    fn undelete(&mut self, store: &Store) -> Result<(), End> {
        let count = self.deletions.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let id = self.deletions[self.random.below(count) as usize];
        match store.undelete(DeletionId(id)) {
            Ok(undone) => {
                self.ledger.undelete(id, undone);
                Ok(())
            }
            Err(error) => {
                self.ledger.undelete_failed(id);
                Err(refused(error))
            }
        }
    }

    /// One picture is enough: it is compared after the next kill.
    fn take_picture(&mut self, store: &Store) -> Result<(), End> {
        if self.picture.is_some() {
            return Ok(());
        }
        let has_memory = !self.random.one_in(3);
        if !has_memory {
            store.flush().map_err(refused)?;
        }
        self.pictures += 1;
        let path = Path::new(PICTURES_DIR).join(self.pictures.to_string());
        let taken = store.snapshot(&path, has_memory);
        let ledger = self.ledger.picture(has_memory);
        self.picture = Some(Picture { path, ledger, is_acknowledged: taken.is_ok() });
        taken.map_err(refused)
    }
}
