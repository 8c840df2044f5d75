//! Both disks behave alike as long as nothing fails.

use super::*;

/// Runs the same steps on a real and on a simulated folder.
fn on_both(steps: impl Fn(&Disk, &Path)) {
    let real = tempfile::tempdir().expect("a folder");
    steps(&Disk::real(), real.path());
    let disk = SimulatedDisk::new(0).disk();
    let dir = Path::new("/some/where");
    disk.create_dir_all(dir).expect("create");
    steps(&disk, dir);
}

fn names(disk: &Disk, dir: &Path) -> Vec<String> {
    disk.list(dir).expect("list").into_iter().map(|entry| entry.name).collect()
}

#[test]
fn files_are_written_read_and_cut() {
    on_both(|disk, dir| {
        let path = dir.join("a");
        let mut file = disk.create(&path).expect("create");
        file.append(b"hello ").expect("append");
        io::Write::write_all(&mut file, b"world").expect("write");
        file.sync_data().expect("sync");
        assert_eq!(file.size_bytes().expect("size"), 11);
        let mut buf = [0; 5];
        assert_eq!(file.read_at(6, &mut buf).expect("read"), 5);
        assert_eq!(&buf, b"world");
        assert_eq!(file.read_at(9, &mut buf).expect("read"), 2, "the end of the file");
        assert_eq!(file.read_at(90, &mut buf).expect("read"), 0, "behind the end");
        let early = file.read_exact_at(9, &mut buf).expect_err("too short");
        assert_eq!(early.kind(), io::ErrorKind::UnexpectedEof);

        file.truncate(5).expect("truncate");
        file.append(b"!").expect("append");
        assert_eq!(disk.read(&path, 100).expect("read"), b"hello!");
        let large = disk.read(&path, 5).expect_err("over the limit");
        assert_eq!(large.kind(), io::ErrorKind::InvalidData);

        disk.open_append(&path).expect("open").append(b"?").expect("append");
        assert_eq!(disk.read(&path, 100).expect("read"), b"hello!?");
        assert_eq!(disk.create(&path).expect("create").size_bytes().expect("size"), 0);
    });
}

#[test]
fn names_change() {
    on_both(|disk, dir| {
        disk.write_atomic(&dir.join("b"), b"1").expect("write");
        disk.write_atomic(&dir.join("b"), b"2").expect("write over");
        disk.hard_link(&dir.join("b"), &dir.join("a")).expect("link");
        disk.create_dir_all(&dir.join("x/y/z")).expect("create folders");
        disk.create_dir_all(&dir.join("x/y/z")).expect("they are there already");
        disk.sync_dir(dir).expect("sync");
        let entry =
            |name: &str, is_dir, size_bytes| Entry { name: name.into(), is_dir, size_bytes };
        assert_eq!(
            disk.list(dir).expect("list"),
            [entry("a", false, 1), entry("b", false, 1), entry("x", true, 0)]
        );
        disk.rename(&dir.join("b"), &dir.join("x/y/c")).expect("rename");
        disk.rename(&dir.join("x"), &dir.join("w")).expect("rename a folder");
        assert_eq!(names(disk, dir), ["a", "w"]);
        assert_eq!(disk.read(&dir.join("w/y/c"), 10).expect("read"), b"2");
        assert!(disk.exists(&dir.join("w/y")).expect("exists"));
        disk.remove_dir_all(&dir.join("w")).expect("remove");
        disk.remove_file(&dir.join("a")).expect("remove");
        assert!(!disk.exists(&dir.join("w/y")).expect("exists"));
        assert!(names(disk, dir).is_empty());
    });
}

#[test]
fn what_is_not_there_is_not_found() {
    on_both(|disk, dir| {
        let missing = dir.join("missing");
        let kinds = [
            disk.open(&missing).map(drop),
            disk.read(&missing, 10).map(drop),
            disk.list(&missing).map(drop),
            disk.remove_file(&missing),
            disk.remove_dir_all(&missing),
            disk.rename(&missing, &dir.join("other")),
            disk.create(&missing.join("file")).map(drop),
            disk.sync_dir(&missing),
            disk.hard_link(&missing, &dir.join("other")),
        ];
        for (index, answer) in kinds.into_iter().enumerate() {
            let error = answer.expect_err("nothing is there");
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "row {index}: {error}");
        }
        let folder = disk.open(dir).expect_err("a folder is no file");
        assert_eq!(folder.kind(), io::ErrorKind::IsADirectory);
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    on_both(|disk, dir| {
        let path = dir.join("a");
        disk.write_atomic(&path, b"abc").expect("write");
        let file = disk.open(&path).expect("open");
        disk.remove_file(&path).expect("remove");
        let mut buf = [0; 3];
        file.read_exact_at(0, &mut buf).expect("read");
        assert_eq!(&buf, b"abc");
    });
}

#[test]
fn a_lock_keeps_others_out_until_it_is_dropped() {
    on_both(|disk, dir| {
        let path = dir.join("lock");
        let held = disk.lock(&path).expect("lock");
        let busy = disk.lock(&path).expect_err("held");
        assert_eq!(busy.kind(), io::ErrorKind::WouldBlock);
        let other = disk.lock(&dir.join("other")).expect("another file");
        drop((held, other));
        disk.lock(&path).expect("free again");
    });
}
