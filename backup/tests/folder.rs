//! Backups of a real store in a folder: the same answers after a restore, unchanged files shared,
//! damage found, power cuts survived.
#![allow(clippy::unwrap_used, reason = "all of this crate is tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup::index::Index;
use backup::{Address, Error, Made, MakeOptions, Place, RestoreOptions, make, restore, verify};
use journal::disk::{Disk, Fault, SimulatedDisk};
use model::clock::SystemClock;
use model::{Append, Batch, Labels, TimestampMs};
use storage::{Settings, Store};

const NOW: TimestampMs = TimestampMs(1_767_323_045_000);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A data folder with a store in it.
struct Data {
    disk: Disk,
    dir: PathBuf,
    next_ms: i64,
}

impl Data {
    fn new(disk: &Disk, dir: &Path) -> Data {
        disk.create_dir_all(&dir.join("rules")).unwrap();
        disk.write_atomic(&dir.join("rules/000000000001.journal"), b"of the rules").unwrap();
        disk.write_atomic(&dir.join("lock"), b"").unwrap();
        let mut data = Data { disk: disk.clone(), dir: dir.to_owned(), next_ms: 0 };
        data.live(2);
        data
    }

    fn store(&self) -> Arc<Store> {
        let settings = Settings { block_range_ms: 1 << 50, ..Settings::default() };
        let dir = self.dir.join("store");
        Store::open(self.disk.clone(), &dir, settings, Arc::new(SystemClock)).unwrap()
    }

    /// Some samples, a block of them, and some more.
    fn live(&mut self, flushes: usize) {
        let store = self.store();
        for _ in 0..flushes {
            self.append(&store);
            store.flush().unwrap();
        }
        self.append(&store);
        store.close().unwrap();
    }

    fn append(&mut self, store: &Store) {
        self.next_ms += 1000;
        let mut batch = Batch::new();
        for number in 0..20 {
            let labels = Labels::from_pairs([("__name__", "m"), ("number", &number.to_string())]);
            let series = batch.series(&labels);
            batch.sample(series, TimestampMs(self.next_ms), f64::from(number));
        }
        block_on(store.append(batch)).unwrap();
    }

    async fn back_up(&self, place: &Place, options: &MakeOptions) -> Result<Made, Error> {
        make((&self.disk, &self.dir), place, options, NOW, &|_| ()).await
    }
}

/// All files below a folder.
fn tree(disk: &Disk, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files.extend(tree(disk, &path));
        } else {
            files.insert(path.clone(), disk.read(&path, 1 << 26).unwrap());
        }
    }
    files
}

fn content_below(disk: &Disk, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let relative = |path: PathBuf| path.strip_prefix(dir).unwrap().to_owned();
    let files = tree(disk, dir).into_iter().map(|(path, bytes)| (relative(path), bytes));
    files.filter(|(path, _)| path != Path::new("lock")).collect()
}

fn real() -> (tempfile::TempDir, Data, Place) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::real();
    let data = Data::new(&disk, &folder.path().join("data"));
    let place = Place::folder(disk, &folder.path().join("backups"));
    (folder, data, place)
}

#[test]
fn a_backup_comes_back_byte_by_byte() {
    let (folder, data, place) = real();
    for leftover in ["store/blocks/01J0000000000000000000LEFT/samples.parquet", "store/x.tmp"] {
        let path = data.dir.join(leftover);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left over").unwrap();
    }
    std::fs::create_dir_all(data.dir.join("snapshots/old/store")).unwrap();
    std::fs::write(data.dir.join("snapshots/old/store/manifest"), "old").unwrap();
    let made = block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    assert_eq!((made.name.as_str(), made.damaged.len()), ("20260102T030405Z", 0));
    assert_eq!(made.copied_files, made.files);
    let verified = block_on(verify(&place, &made.name, &|_| ())).unwrap();
    assert_eq!((verified.problems.len(), verified.files), (0, made.files));

    let to = folder.path().join("restored");
    let from = (&data.disk, to.as_path());
    let restored = block_on(restore(&place, &made.name, from, &RestoreOptions::default(), &|_| ()));
    assert_eq!(restored.unwrap().bytes, made.bytes);
    let mut expected = content_below(&data.disk, &data.dir);
    expected.retain(|path, _| {
        let text = path.to_str().unwrap();
        !text.contains("LEFT") && !text.ends_with(".tmp") && !text.starts_with("snapshots")
    });
    assert_eq!(content_below(&data.disk, &to), expected);
    let again = block_on(restore(&place, &made.name, from, &RestoreOptions::default(), &|_| ()));
    assert!(again.unwrap_err().to_string().contains("is not empty"));
    let second = Data { disk: data.disk.clone(), dir: to, next_ms: 0 };
    assert_eq!(second.store().stats().damaged, Vec::<String>::new());
}

#[test]
fn the_second_backup_shares_what_did_not_change() {
    use std::os::unix::fs::MetadataExt;
    let (folder, mut data, place) = real();
    let first = block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    data.live(1);
    let second = block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    assert_eq!(second.name, format!("{}-002", first.name));
    let blocks = |name: &str| folder.path().join("backups").join(name).join("data/store/blocks");
    let inode = |path: &Path| std::fs::metadata(path).map(|file| (file.ino(), file.nlink())).ok();
    let mut shared = 0;
    for path in tree(&data.disk, &blocks(&first.name)).into_keys() {
        let relative = path.strip_prefix(blocks(&first.name)).unwrap();
        let (of_first, links) = inode(&path).unwrap();
        let of_second = inode(&blocks(&second.name).join(relative)).unwrap();
        assert_eq!((of_first, 2), (of_second.0, links), "{}", path.display());
        let live = inode(&data.dir.join("store/blocks").join(relative)).unwrap();
        assert_ne!(live.0, of_first, "the live file has bytes of its own");
        shared += 1;
    }
    assert!(shared >= 6, "{shared} files");
    assert!(second.copied_bytes < second.bytes && second.copied_files > 0, "{second:?}");
    let full = MakeOptions { full: true, ..MakeOptions::default() };
    let third = block_on(data.back_up(&place, &full)).unwrap();
    assert_eq!(third.copied_files, third.files);

    // The first goes, what it shared stays.
    let keep = MakeOptions { keep: Some(2), ..MakeOptions::default() };
    let fourth = block_on(data.back_up(&place, &keep)).unwrap();
    assert_eq!(fourth.removed, [first.name, second.name]);
    assert_eq!(block_on(place.names()).unwrap(), [third.name.clone(), fourth.name.clone()]);
    for name in [third.name, fourth.name] {
        assert_eq!(block_on(verify(&place, &name, &|_| ())).unwrap().problems, []);
    }
}

#[test]
fn damage_is_found_named_and_not_restored() {
    let (folder, mut data, place) = real();
    let made = block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    let files = folder.path().join("backups").join(&made.name).join("data");
    let index = block_on(place.index(&made.name)).unwrap();
    let path_of = |end: &str| {
        let file = index.files.iter().find(|file| file.path.ends_with(end));
        file.unwrap().path.clone()
    };
    let (samples, meta) = (path_of("samples.parquet"), path_of("meta.json"));
    let mut bytes = std::fs::read(files.join(&samples)).unwrap();
    bytes[40] ^= 4;
    std::fs::write(files.join(&samples), &bytes).unwrap();
    std::fs::remove_file(files.join(&meta)).unwrap();
    std::fs::write(files.join("rules/000000000001.journal"), "shorter").unwrap();
    let problems = block_on(verify(&place, &made.name, &|_| ())).unwrap().problems;
    let found: Vec<(&str, &str)> =
        problems.iter().map(|own| (own.path.as_str(), &own.what[..13])).collect();
    let mut expected = vec![
        ("rules/000000000001.journal", "it has 7 byte"),
        (samples.as_str(), "its checksum "),
        (meta.as_str(), "it is missing"),
    ];
    expected.sort();
    assert_eq!(found, expected);

    let to = folder.path().join("restored");
    let options = RestoreOptions::default();
    let refused = block_on(restore(&place, &made.name, (&data.disk, &to), &options, &|_| ()));
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
    assert!(to.join(backup::RESTORING_FILE).exists(), "nobody takes it for whole");
    let other = Place::folder(data.disk.clone(), &folder.path().join("others"));
    let half = Data { disk: data.disk.clone(), dir: to, next_ms: 0 };
    let error = block_on(half.back_up(&other, &MakeOptions::default())).unwrap_err();
    assert!(error.to_string().contains("did not end"), "{error}");
    let to = folder.path().join("accepted");
    let options = RestoreOptions { accept_damage: true };
    let accepted = block_on(restore(&place, &made.name, (&data.disk, &to), &options, &|_| ()));
    assert_eq!(accepted.unwrap().problems.len(), 3);
    let opened = Data { disk: data.disk.clone(), dir: to, next_ms: 0 };
    assert!(!opened.store().stats().damaged.is_empty(), "the store sets the damaged block aside");

    // A damaged copy is not shared with the next full backup.
    let full = MakeOptions { full: true, ..MakeOptions::default() };
    data.live(1);
    let next = block_on(data.back_up(&place, &full)).unwrap();
    assert_eq!(block_on(verify(&place, &next.name, &|_| ())).unwrap().problems, []);
}

#[test]
fn a_damaged_source_is_backed_up_and_named() {
    let (_folder, data, place) = real();
    block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    let samples = tree(&data.disk, &data.dir).into_iter();
    let (path, mut bytes) =
        samples.into_iter().find(|(path, _)| path.ends_with("samples.parquet")).unwrap();
    bytes[50] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let options = MakeOptions { keep: Some(1), full: true, ..MakeOptions::default() };
    let made = block_on(data.back_up(&place, &options)).unwrap();
    assert_eq!(made.damaged.len(), 1, "{:?}", made.damaged);
    assert!(made.removed.is_empty(), "the good one stays");
    let problems = block_on(verify(&place, &made.name, &|_| ())).unwrap().problems;
    assert!(problems.iter().any(|own| own.what.contains("before it was copied")), "{problems:?}");
}

#[test]
fn what_can_not_be_done_says_why() {
    let (folder, data, place) = real();
    let refused = |outcome: Result<Made, Error>, part: &str| {
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains(part), "{text} lacks {part:?}");
    };
    let nothing = MakeOptions::default();
    let none = MakeOptions { keep: Some(0), ..MakeOptions::default() };
    refused(block_on(data.back_up(&place, &none)), "--keep 1");
    let inside = Place::folder(data.disk.clone(), &data.dir.join("backups"));
    refused(block_on(data.back_up(&inside, &nothing)), "lie in each other");
    let empty = Data { disk: data.disk.clone(), dir: folder.path().join("empty"), next_ms: 0 };
    std::fs::create_dir_all(&empty.dir).unwrap();
    refused(block_on(empty.back_up(&place, &nothing)), "no data folder");
    std::fs::create_dir_all(folder.path().join("backups")).unwrap();
    let held = data.disk.lock(&folder.path().join("backups/lock")).unwrap();
    refused(block_on(data.back_up(&place, &nothing)), "under way");
    drop(held);
    assert!(matches!(block_on(place.find(None)), Err(Error::NotFound(_))));
    let made = block_on(data.back_up(&place, &nothing)).unwrap();
    assert_eq!(block_on(place.find(None)).unwrap(), made.name);
    assert!(matches!(block_on(place.find(Some("other"))), Err(Error::NotFound(_))));
    assert!(matches!(Address::parse("s3://bucket/x"), Ok(Address::Bucket { .. })));
}

/// Each kind of file of a newer release is refused with its name and both versions.
#[test]
fn newer_formats_are_refused() {
    let (folder, data, place) = real();
    let made = block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    let index = folder.path().join("backups").join(&made.name).join("backup.json");
    let text = std::fs::read_to_string(&index).unwrap();
    let newer = text.replace("\"format_version\": 1", "\"format_version\": 9");
    std::fs::write(&index, newer).unwrap();
    let expect = |error: Error, file: &str| {
        let text = error.to_string();
        let parts = [file, "version 9", "up to 1", "release that wrote it"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    expect(block_on(verify(&place, &made.name, &|_| ())).unwrap_err(), "backup.json");
    std::fs::write(&index, text).unwrap();

    let manifest = data.dir.join("store/manifest");
    let text = std::fs::read_to_string(&manifest).unwrap();
    // The checksum covers the version: a flipped bit is no newer release. Without its second text,
    // which would count in its place, the file is as good.
    let (first, _) = text.split_once("\n\n").unwrap();
    let body = format!("{}\n", first.split_once('\n').unwrap().1);
    let sum = xxhash_rust::xxh3::xxh3_64(format!("9\n{body}").as_bytes());
    std::fs::write(&manifest, format!("BELFRY-MANIFEST 9 {sum:016x}\n{body}")).unwrap();
    let nothing = MakeOptions::default();
    expect(block_on(data.back_up(&place, &nothing)).unwrap_err(), "store/manifest");
    std::fs::write(&manifest, text).unwrap();

    let files = tree(&data.disk, &data.dir);
    let meta = files.keys().find(|path| path.ends_with("meta.json")).unwrap();
    let text = std::fs::read_to_string(meta).unwrap();
    let newer = text.replace("\"format_version\": 1", "\"format_version\": 9");
    std::fs::write(meta, newer).unwrap();
    expect(block_on(data.back_up(&place, &nothing)).unwrap_err(), "meta.json");
}

/// The power of the machine with the backups fails at every operation: each backup that is there is
/// whole, and the next one succeeds.
#[test]
fn power_cuts_leave_whole_backups() {
    let source = SimulatedDisk::new(1);
    let mut data = Data::new(&source.disk(), Path::new("/data"));
    let keep = MakeOptions { keep: Some(1), ..MakeOptions::default() };
    let story = |disk: &SimulatedDisk, data: &Data| -> Result<Made, Error> {
        let place = Place::folder(disk.disk(), Path::new("/backups"));
        block_on(data.back_up(&place, &MakeOptions::default()))?;
        block_on(data.back_up(&place, &keep))
    };
    data.live(1);
    let calm = SimulatedDisk::new(2);
    story(&calm, &data).unwrap();
    let operations = calm.operations();
    assert!(operations > 80, "{operations} operations");
    for operation in 0..operations {
        let disk = SimulatedDisk::new(100 + operation);
        disk.crash_at(operation);
        let done = story(&disk, &data);
        disk.crash_and_restart();
        let place = Place::folder(disk.disk(), Path::new("/backups"));
        let names = block_on(place.names()).unwrap();
        let when = format!("power cut at {operation}, {done:?}");
        assert!(done.is_err() || !names.is_empty(), "{when}");
        for name in &names {
            let index: Index = block_on(place.index(name)).unwrap();
            assert!(index.files.len() > 5, "{when}");
            assert_eq!(block_on(verify(&place, name, &|_| ())).unwrap().problems, [], "{when}");
        }
        let next = block_on(data.back_up(&place, &keep)).unwrap();
        assert_eq!(block_on(place.names()).unwrap(), [next.name], "{when}");
        let left = disk.disk().list(Path::new("/backups")).unwrap();
        assert!(left.iter().all(|entry| !entry.name.ends_with(".tmp")), "{when}: {left:?}");
    }
}

#[test]
fn errors_of_the_disk_are_told() {
    let source = SimulatedDisk::new(1);
    let data = Data::new(&source.disk(), Path::new("/data"));
    for fault in [Fault::Write, Fault::Full, Fault::Sync, Fault::SyncDir, Fault::Create] {
        let disk = SimulatedDisk::new(3);
        disk.fail_next(fault);
        let place = Place::folder(disk.disk(), Path::new("/backups"));
        let error = block_on(data.back_up(&place, &MakeOptions::default())).unwrap_err();
        assert!(error.to_string().contains("/backups"), "{fault:?}: {error}");
        assert!(block_on(place.names()).unwrap().is_empty() || fault == Fault::SyncDir);
        block_on(data.back_up(&place, &MakeOptions::default())).unwrap();
    }
}
