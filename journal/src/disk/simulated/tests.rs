//! The simulated disk forgets what it may forget, and nothing else.

use super::*;

const PATH: &str = "/a/file";

fn new(seed: u64) -> (SimulatedDisk, Disk) {
    let simulated = SimulatedDisk::new(seed);
    let disk = simulated.disk();
    disk.create_dir_all(Path::new("/a")).expect("create");
    (simulated, disk)
}

/// What is left of a file after a crash, over many seeds.
fn after_crash(steps: impl Fn(&SimulatedDisk, &Disk)) -> Vec<Option<Vec<u8>>> {
    let mut left: Vec<_> = (0..200)
        .map(|seed| {
            let (simulated, disk) = new(seed);
            steps(&simulated, &disk);
            simulated.crash_and_restart();
            disk.read(Path::new(PATH), 1 << 20).ok()
        })
        .collect();
    left.sort();
    left.dedup();
    left
}

fn write_durable(disk: &Disk, bytes: &[u8]) {
    let mut file = disk.create(Path::new(PATH)).expect("create");
    file.append(bytes).expect("append");
    file.sync_data().expect("sync");
    disk.sync_dir(Path::new("/a")).expect("sync the folder");
}

#[test]
fn synced_bytes_and_names_stay() {
    assert_eq!(after_crash(|_, disk| write_durable(disk, b"abc")), [Some(b"abc".to_vec())]);
}

#[test]
fn a_name_without_a_synced_folder_may_go() {
    let left = after_crash(|_, disk| {
        let mut file = disk.create(Path::new(PATH)).expect("create");
        file.append(b"abc").expect("append");
        file.sync_data().expect("sync");
    });
    assert_eq!(left, [None, Some(b"abc".to_vec())]);
}

#[test]
fn unsynced_bytes_go_whole_in_part_or_in_sectors() {
    let left = after_crash(|_, disk| {
        write_durable(disk, &[1; 100]);
        let mut file = disk.open_append(Path::new(PATH)).expect("open");
        file.append(&[2; 3000]).expect("append");
    });
    let left: Vec<Vec<u8>> =
        left.into_iter().map(|bytes| bytes.expect("the name is durable")).collect();
    assert!(left.iter().all(|bytes| bytes.starts_with(&[1; 100])), "durable bytes never change");
    assert!(left.iter().any(|bytes| bytes.len() == 100), "all lost");
    assert!(left.iter().any(|bytes| bytes.len() == 3100), "by luck all kept");
    assert!(
        left.iter().any(|bytes| bytes.len() > 100 && bytes.len() % 512 != 0),
        "torn in a sector"
    );
    assert!(left.iter().any(|bytes| bytes[100..].contains(&0)), "a hole before a kept sector");
}

#[test]
fn a_failed_sync_loses_the_bytes_for_good() {
    let left = after_crash(|simulated, disk| {
        write_durable(disk, b"old");
        let mut file = disk.open_append(Path::new(PATH)).expect("open");
        file.append(b"lost").expect("append");
        simulated.fail_next(Fault::Sync);
        file.sync_data().expect_err("ordered");
        assert_eq!(disk.read(Path::new(PATH), 100).expect("read"), b"oldlost", "the cache has it");
        file.append(b"new").expect("append");
        file.sync_data().expect("the next sync claims success");
    });
    assert_eq!(left, [Some(b"old\0\0\0\0new".to_vec())]);
}

#[test]
fn a_file_is_replaced_as_a_whole_at_any_cut() {
    for seed in 0..40 {
        for cut in 0..12 {
            let (simulated, disk) = new(seed);
            disk.write_atomic(Path::new(PATH), b"old").expect("write");
            simulated.crash_at(simulated.operations() + cut);
            let written = disk.write_atomic(Path::new(PATH), b"newer");
            simulated.crash_and_restart();
            let left = disk.read(Path::new(PATH), 100).expect("read");
            assert!(
                left == b"newer" || (written.is_err() && left == b"old"),
                "seed {seed} cut {cut}"
            );
        }
    }
}

#[test]
fn a_rename_between_folders_is_one_step() {
    for seed in 0..100 {
        for synced in [None, Some("/a"), Some("/b")] {
            let (simulated, disk) = new(seed);
            disk.create_dir_all(Path::new("/b")).expect("create");
            write_durable(&disk, b"abc");
            disk.rename(Path::new(PATH), Path::new("/b/file")).expect("rename");
            if let Some(folder) = synced {
                disk.sync_dir(Path::new(folder)).expect("sync");
            }
            simulated.crash_and_restart();
            let files: Vec<_> = simulated.files().into_iter().map(|(path, _)| path).collect();
            let old = files == [Path::new(PATH)];
            let new = files == [Path::new("/b/file")];
            assert!(new || (old && synced.is_none()), "seed {seed}: {files:?}");
        }
    }
}

#[test]
fn the_byte_budget_holds_and_can_be_raised() {
    let (simulated, disk) = new(0);
    simulated.set_space_bytes(Some(10));
    let mut file = disk.create(Path::new(PATH)).expect("create");
    file.append(&[1; 6]).expect("append");
    let error = file.append(&[1; 6]).expect_err("full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.size_bytes().expect("size"), 10, "what fitted was written");
    file.truncate(6).expect("truncate");
    simulated.set_space_bytes(Some(12));
    file.append(&[2; 6]).expect("append");
    disk.remove_file(Path::new(PATH)).expect("remove");
    let mut other = disk.create(Path::new("/a/other")).expect("create");
    other.append(&[3; 12]).expect("the space of a removed file is free");
}

#[test]
fn after_the_power_failed_everything_fails_until_the_restart() {
    let (simulated, disk) = new(0);
    write_durable(&disk, b"abc");
    let mut file = disk.open_append(Path::new(PATH)).expect("open");
    simulated.crash_at(simulated.operations());
    file.append(b"d").expect_err("the power fails");
    disk.read(Path::new(PATH), 10).expect_err("reads fail too");
    disk.list(Path::new("/a")).expect_err("lists fail too");
    disk.remove_file(Path::new(PATH)).expect_err("and removes");
    simulated.crash_and_restart();
    file.append(b"d").expect_err("the handle stays dead");
    assert!(disk.read(Path::new(PATH), 10).expect("read").starts_with(b"abc"));
}

#[test]
fn the_same_seed_gives_the_same_disk() {
    let run = |seed| {
        let (simulated, disk) = new(seed);
        for index in 0..20_u8 {
            let mut file = disk.create(&Path::new("/a").join(index.to_string())).expect("create");
            file.append(&[index; 2000]).expect("append");
        }
        simulated.crash_and_restart();
        simulated.files()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_flipped_bit_is_seen_and_stays() {
    let left = after_crash(|simulated, disk| {
        write_durable(disk, b"abc");
        simulated.flip_bit(Path::new(PATH), 1, 0).expect("flip");
        assert_eq!(disk.read(Path::new(PATH), 10).expect("read"), b"acc");
        simulated.flip_bit(Path::new(PATH), 3, 0).expect_err("behind the end");
    });
    assert_eq!(left, [Some(b"acc".to_vec())]);
}

#[test]
fn a_removed_folder_comes_back_whole_or_not_at_all() {
    let file = Path::new("/a/block/file");
    for seed in 0..60 {
        for is_synced in [false, true] {
            let (simulated, disk) = new(seed);
            disk.create_dir_all(Path::new("/a/block")).expect("create");
            disk.write_atomic(file, b"abc").expect("write");
            disk.remove_dir_all(Path::new("/a/block")).expect("remove");
            assert!(simulated.files().is_empty());
            if is_synced {
                disk.sync_dir(Path::new("/a")).expect("sync");
            }
            simulated.crash_and_restart();
            let is_back = disk.exists(Path::new("/a/block")).expect("exists");
            assert!(!(is_back && is_synced), "seed {seed}");
            assert_eq!(disk.read(file, 10).is_ok_and(|bytes| bytes == b"abc"), is_back);
        }
    }
}

#[test]
fn a_file_is_linked_or_copied() {
    for fault in [None, Some(Fault::Link)] {
        let simulated = SimulatedDisk::new(9);
        let disk = simulated.disk();
        let (from, to) = (Path::new("/a/from"), Path::new("/b/to"));
        disk.create_dir_all(Path::new("/a")).expect("create");
        disk.create_dir_all(Path::new("/b")).expect("create");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
        disk.write_atomic(from, &bytes).expect("write");
        fault.into_iter().for_each(|fault| simulated.fail_next(fault));
        disk.link_or_copy(from, to).expect("links or copies");
        disk.sync_dir(Path::new("/b")).expect("sync");
        simulated.crash_and_restart();
        assert_eq!(disk.read(to, 1 << 22).expect("read"), bytes, "{fault:?}");
        // A link shares the bytes, a copy does not.
        simulated.flip_bit(from, 7, 0).expect("flip");
        let is_shared = disk.read(to, 1 << 22).expect("read") != bytes;
        assert_eq!(is_shared, fault.is_none());
    }
}
