//! A disk in memory that forgets, tears, flips and refuses the way real ones do, by a seed.
//!
//! Place in the flow: behind [`Disk`] in tests and in the simulation of the whole.
//!
//! What it models:
//! - Bytes that were not synced are lost at a crash: all of them, or all behind a random byte, or a
//!   random choice of 512-byte sectors in any order, or by luck none.
//! - Names (create, rename, link, remove) that were not synced with their folder are lost at a
//!   crash, from a random one on, as a journalling file system loses them.
//! - After a failed `sync_data` the bytes still can be read, but no later sync writes them.
//! - The operation during which the power fails may have happened, in part or whole.
//! - A byte budget, errors on demand, bits flipped on demand.
//! - Handles opened before a crash stay dead after it.
//!
//! Invariant: the same seed and the same calls give the same disk.
//!
//! Not here: time; a simulated disk is never slow. Names and folders are in [`super::tree`], the
//! bytes of one file in [`super::content`].

use super::content::Content;
use super::tree::{FileCell, Names};
use super::{Disk, DiskSpace, Door, Entry, FileDoor};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// An error that can be ordered in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write fails with an I/O error after half of its bytes.
    Write,
    /// A write fails with "no space left" after half of its bytes.
    Full,
    /// A `sync_data` fails; the bytes since the last success are gone at the next crash.
    Sync,
    /// A `sync_dir` fails.
    SyncDir,
    /// A file cannot be created.
    Create,
    /// A read fails.
    Read,
    /// A hard link can't be made, as between two file systems.
    Link,
}

/// Whether it has ended, and how it treats its users.
#[derive(Debug, Default)]
struct Orders {
    /// From this operation on everything fails.
    crash_at: Option<u64>,
    /// Errors for the next operation of their kind.
    next: Vec<Fault>,
    /// Errors for the operation of that number.
    at: Vec<(u64, Fault)>,
    ignore_sync: bool,
    ignore_sync_dir: bool,
    space_bytes: Option<u64>,
}

struct State {
    names: Names,
    orders: Orders,
    /// Changes since the disk was new: writes, syncs, creates, renames, removes, links.
    operations: u64,
    /// How often it crashed; a handle of an earlier life is dead.
    life: u64,
    random: Random,
    /// Locks and whether somebody holds them; they are no bytes.
    locks: Vec<(PathBuf, Weak<()>)>,
}

/// A disk in memory. A clone is the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimulatedDisk({} operations)", self.operations())
    }
}

impl SimulatedDisk {
    /// An empty disk. The seed decides what a crash spares.
    pub fn new(seed: u64) -> SimulatedDisk {
        let state = State {
            names: Names::default(),
            orders: Orders::default(),
            operations: 0,
            life: 0,
            random: Random(seed),
            locks: Vec::new(),
        };
        SimulatedDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// The door to this disk, for those who use it.
    pub fn disk(&self) -> Disk {
        Disk::from_door(Arc::new(self.clone()))
    }

    /// How many changes (writes, syncs, creates, renames, removes, links) were asked for so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The power fails during this operation, counted as [`SimulatedDisk::operations`] counts: the
    /// first one is 0. It and everything after it fails until [`SimulatedDisk::crash_and_restart`].
    pub fn crash_at(&self, operation: u64) {
        self.lock().orders.crash_at = Some(operation);
    }

    /// The power fails now: everything fails until [`SimulatedDisk::crash_and_restart`]. For ending a
    /// process that still runs: a dead one must change nothing behind the restart.
    pub fn power_off(&self) {
        let mut state = self.lock();
        let reached = state.operations;
        state.operations += 1;
        state.orders.crash_at = Some(reached);
    }

    /// Drops what was not durable, as the seed decides, and gives a disk that works. Orders for
    /// crashes and errors are forgotten; the byte budget and `ignore_…` stay.
    pub fn crash_and_restart(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.names.crash(&mut state.random);
        state.life += 1;
        state.locks.clear();
        state.orders.crash_at = None;
        state.orders.next.clear();
        state.orders.at.clear();
    }

    /// The process dies and the machine goes on: nothing is lost, what was not synced still is not,
    /// and handles are dead. Orders are forgotten as after a crash.
    pub fn kill_and_restart(&self) {
        let mut state = self.lock();
        state.life += 1;
        state.orders.crash_at = None;
        state.orders.next.clear();
        state.orders.at.clear();
    }

    /// The space for the bytes of all files together; `None` is endless.
    pub fn set_space_bytes(&self, space_bytes: Option<u64>) {
        self.lock().orders.space_bytes = space_bytes;
    }

    /// The next operation of this kind fails.
    pub fn fail_next(&self, fault: Fault) {
        self.lock().orders.next.push(fault);
    }

    /// The operation of this number fails, if it is of this kind.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.lock().orders.at.push((operation, fault));
    }

    /// A planted bug: `sync_data` answers well and does nothing. A test that is worth its name
    /// turns red with it.
    pub fn ignore_sync(&self, ignore: bool) {
        self.lock().orders.ignore_sync = ignore;
    }

    /// A planted bug: `sync_dir` answers well and does nothing.
    pub fn ignore_sync_dir(&self, ignore: bool) {
        self.lock().orders.ignore_sync_dir = ignore;
    }

    /// Turns one bit of a file around, on the medium and in the cache.
    pub fn flip_bit(&self, path: &Path, byte_offset: u64, bit: u8) -> io::Result<()> {
        let state = self.lock();
        let file = state.names.file(path)?;
        lock_content(&file).flip_bit(byte_offset, bit)
    }

    /// A bad place on the medium: every read of the file fails, also after a crash, until told
    /// otherwise.
    pub fn set_unreadable(&self, path: &Path, is_unreadable: bool) -> io::Result<()> {
        let state = self.lock();
        let file = state.names.file(path)?;
        lock_content(&file).set_unreadable(is_unreadable);
        Ok(())
    }

    /// All files there are now with their lengths in bytes, sorted by path.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.lock().names.files()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn lock_content(file: &FileCell) -> MutexGuard<'_, Content> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

fn io_error() -> io::Error {
    io::Error::other("simulated input/output error")
}

fn disk_full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "simulated disk is full")
}

/// What becomes of an operation that is about to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Happens,
    Fails(Fault),
    /// It may happen, nobody hears of it.
    PowerFails,
}

impl State {
    /// Counts an operation and decides about it. `kinds` are the faults that can meet it.
    fn begin(&mut self, kinds: &[Fault]) -> io::Result<Fate> {
        let operation = self.operations;
        if let Some(crash_at) = self.orders.crash_at {
            if operation > crash_at {
                return Err(power_is_off());
            }
            if operation == crash_at {
                self.operations += 1;
                return Ok(Fate::PowerFails);
            }
        }
        self.operations += 1;
        Ok(match self.take_fault(operation, kinds) {
            Some(fault) => Fate::Fails(fault),
            None => Fate::Happens,
        })
    }

    fn take_fault(&mut self, operation: u64, kinds: &[Fault]) -> Option<Fault> {
        let orders = &mut self.orders;
        if let Some(index) =
            orders.at.iter().position(|(at, fault)| *at == operation && kinds.contains(fault))
        {
            return Some(orders.at.remove(index).1);
        }
        let index = orders.next.iter().position(|fault| kinds.contains(fault))?;
        Some(orders.next.remove(index))
    }

    fn check_power(&self) -> io::Result<()> {
        match self.orders.crash_at {
            Some(crash_at) if self.operations > crash_at => Err(power_is_off()),
            _ => Ok(()),
        }
    }

    /// How many bytes may still be written.
    fn free_bytes(&self) -> u64 {
        match self.orders.space_bytes {
            Some(space) => space.saturating_sub(self.names.used_bytes()),
            None => u64::MAX,
        }
    }
}

/// Answers for an operation on names: it happened before the power failed, but nobody hears of it.
fn after(fate: Fate, done: io::Result<()>) -> io::Result<()> {
    match fate {
        Fate::Happens => done,
        Fate::PowerFails => Err(power_is_off()),
        Fate::Fails(_) => Err(io_error()),
    }
}

impl Door for SimulatedDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.check_power()?;
        if state.names.is_dir(path) {
            return Ok(());
        }
        match state.begin(&[])? {
            Fate::Happens => state.names.create_dir_all(path),
            _ => Err(power_is_off()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileDoor>> {
        let mut state = self.lock();
        let fate = state.begin(&[Fault::Create])?;
        if let Fate::Fails(_) = fate {
            return Err(io_error());
        }
        let cell = state.names.create(path)?;
        after(fate, Ok(()))?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), cell, life: state.life }))
    }

    fn open(&self, path: &Path, _writable: bool) -> io::Result<Box<dyn FileDoor>> {
        let state = self.lock();
        state.check_power()?;
        let cell = state.names.file(path)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), cell, life: state.life }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        state.check_power()?;
        state.names.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.lock();
        state.check_power()?;
        Ok(state.names.is_dir(path) || state.names.file(path).is_ok())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin(&[])?;
        let done = state.names.rename(from, to);
        after(fate, done)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin(&[])?;
        let done = state.names.remove_file(path);
        after(fate, done)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin(&[])?;
        let done = state.names.remove_dir_all(path);
        after(fate, done)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin(&[Fault::SyncDir])?;
        if fate == Fate::Happens && !state.orders.ignore_sync_dir {
            state.names.sync_dir(path)?;
        }
        after(fate, Ok(()))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let fate = state.begin(&[Fault::Link])?;
        if let Fate::Fails(_) = fate {
            return Err(io::Error::from(io::ErrorKind::CrossesDevices));
        }
        let done = state.names.hard_link(from, to);
        after(fate, done)
    }

    fn space(&self, _path: &Path) -> io::Result<DiskSpace> {
        let state = self.lock();
        state.check_power()?;
        let total_bytes = state.orders.space_bytes.unwrap_or(u64::MAX);
        Ok(DiskSpace { total_bytes, free_bytes: state.free_bytes() })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.lock();
        state.check_power()?;
        if state.locks.iter().any(|(own, held)| own == path && held.strong_count() > 0) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.retain(|(_, held)| held.strong_count() > 0);
        let held = Arc::new(());
        state.locks.push((path.to_owned(), Arc::downgrade(&held)));
        Ok(Box::new(held))
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    cell: FileCell,
    life: u64,
}

impl SimulatedFile {
    /// The state of the disk, if this handle is of its present life and the power is on.
    fn enter(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.lock();
        if state.life != self.life {
            return Err(io::Error::other("the handle is from before the simulated crash"));
        }
        state.check_power()?;
        Ok(state)
    }
}

impl FileDoor for SimulatedFile {
    fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.enter()?;
        let fate = state.begin(&[Fault::Write, Fault::Full])?;
        let free_bytes = state.free_bytes();
        let mut content = lock_content(&self.cell);
        // Overwritten bytes need no new space.
        let old_bytes = content.len().saturating_sub(offset);
        let fits = free_bytes.saturating_add(old_bytes);
        let fits = usize::try_from(fits).unwrap_or(usize::MAX);
        let written = match fate {
            Fate::Fails(_) => bytes.len() / 2,
            Fate::Happens | Fate::PowerFails => bytes.len(),
        };
        content.write_at(offset, &bytes[..written.min(fits)]);
        match fate {
            Fate::PowerFails => Err(power_is_off()),
            Fate::Fails(Fault::Full) => Err(disk_full()),
            Fate::Fails(_) => Err(io_error()),
            Fate::Happens if fits < bytes.len() => Err(disk_full()),
            Fate::Happens => Ok(()),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.enter()?;
        let operation = state.operations;
        let content = lock_content(&self.cell);
        if state.take_fault(operation, &[Fault::Read]).is_some() || content.is_unreadable() {
            return Err(io_error());
        }
        Ok(content.read_at(offset, buf))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.enter()?;
        let fate = state.begin(&[Fault::Sync])?;
        match fate {
            Fate::Happens if state.orders.ignore_sync => Ok(()),
            Fate::Happens => {
                lock_content(&self.cell).sync();
                Ok(())
            }
            Fate::Fails(_) => {
                lock_content(&self.cell).lose_unsynced();
                Err(io_error())
            }
            Fate::PowerFails => Err(power_is_off()),
        }
    }

    fn size_bytes(&self) -> io::Result<u64> {
        let _state = self.enter()?;
        Ok(lock_content(&self.cell).len())
    }

    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = self.enter()?;
        let fate = state.begin(&[])?;
        lock_content(&self.cell).truncate(size_bytes);
        after(fate, Ok(()))
    }
}

/// Small numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.number() % end }
    }
}

#[cfg(test)]
mod tests;
