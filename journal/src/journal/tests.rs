//! The log as other rooms use it: futures, threads, closing, reopening, on both disks.

use super::*;
use crate::ReplayedRecord;
use crate::disk::{Fault, SimulatedDisk};
use std::sync::atomic::{AtomicUsize, Ordering};

const DIR: &str = "/log";

fn open(disk: &Disk) -> (Journal, Vec<ReplayedRecord>) {
    open_in(disk, Path::new(DIR), JournalOptions::default())
}

fn open_in(disk: &Disk, dir: &Path, options: JournalOptions) -> (Journal, Vec<ReplayedRecord>) {
    let (journal, mut replay) = Journal::open(disk.clone(), dir, options).expect("open");
    let records = replay.by_ref().map(|record| record.expect("readable")).collect();
    assert!(replay.damage().is_empty(), "{:?}", replay.damage());
    (journal, records)
}

fn payloads(records: &[ReplayedRecord]) -> Vec<&[u8]> {
    records.iter().map(|record| record.payload.as_slice()).collect()
}

#[tokio::test]
async fn records_come_back_in_the_order_of_the_calls() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path().join("new/log");
    let (journal, records) = open_in(&Disk::real(), &dir, JournalOptions::default());
    assert!(records.is_empty());
    let first = journal.append(1, b"one".to_vec());
    let group = journal.append_many(vec![(2, b"two".to_vec()), (3, b"three".to_vec())]);
    let dropped = journal.append(4, b"four".to_vec());
    drop(dropped);
    let last = journal.append(5, b"five".to_vec());
    // The place is taken at the call, whoever waits first.
    last.await.expect("five");
    group.await.expect("two and three");
    first.await.expect("one");
    journal.close();
    let (_, records) = open_in(&Disk::real(), &dir, JournalOptions::default());
    assert_eq!(payloads(&records), [b"one".as_slice(), b"two", b"three", b"four", b"five"]);
    assert_eq!(records.iter().map(|record| record.kind).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn appends_that_wait_share_a_sync() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = open_in(&Disk::real(), dir.path(), JournalOptions::default());
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..16_u8 {
            let (journal, done) = (&journal, &done);
            scope.spawn(move || {
                for index in 0..50_u8 {
                    journal.append_blocking(thread, vec![index; 100]).expect("append");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let stats = journal.stats();
    assert_eq!(done.into_inner() as u64, stats.appends);
    assert_eq!((stats.appends, stats.records, stats.payload_bytes), (800, 800, 80_000));
    assert!(stats.commits <= stats.appends && stats.fsyncs >= stats.commits);
    assert_eq!((stats.failed_appends, stats.refused_appends, stats.queued_bytes), (0, 0, 0));
    assert!(journal.size_bytes() > 80_000);
    drop(journal);
    let (_, records) = open_in(&Disk::real(), dir.path(), JournalOptions::default());
    assert_eq!(records.len(), 800);
    for thread in 0..16 {
        let own = records.iter().filter(|record| record.kind == thread);
        assert!(own.map(|record| record.payload[0]).eq(0..50), "thread {thread} in its order");
    }
}

#[test]
fn a_state_log_is_compacted() {
    let simulated = SimulatedDisk::new(1);
    let disk = simulated.disk();
    let (journal, _) = open(&disk);
    for index in 0..20 {
        journal.append_blocking(1, vec![index; 1000]).expect("append");
    }
    let segment = journal.rotate().expect("rotate");
    journal.append_blocking(2, b"snapshot".to_vec()).expect("append");
    journal.remove_before(segment).expect("remove");
    assert!(journal.size_bytes() < 200, "{}", journal.size_bytes());
    journal.close();
    simulated.crash_and_restart();
    let (_, records) = open(&disk);
    assert_eq!(payloads(&records), [b"snapshot".as_slice()]);
    assert_eq!(records[0].segment, segment);
}

#[tokio::test]
async fn a_closed_journal_says_so() {
    let disk = SimulatedDisk::new(2).disk();
    let (journal, _) = open(&disk);
    let queued = journal.append(1, b"queued".to_vec());
    journal.clone().close();
    queued.await.expect("what was queued is written");
    let closed = |error: Error| {
        assert!(matches!(error, Error::Closed { .. }), "{error}");
        assert_eq!(error.next_step(), crate::NextStep::StopAndTell);
    };
    closed(journal.append(1, Vec::new()).await.expect_err("closed"));
    closed(journal.append_blocking(1, Vec::new()).expect_err("closed"));
    closed(journal.rotate().expect_err("closed"));
    closed(journal.remove_before(9).expect_err("closed"));
    journal.close();
    assert_eq!(open(&disk).1.len(), 1);
}

#[tokio::test]
async fn errors_reach_everyone_of_the_group_and_appends_resume() {
    let simulated = SimulatedDisk::new(3);
    let (journal, _) = open(&simulated.disk());
    journal.append(1, vec![1; 1000]).await.expect("space");
    simulated.set_space_bytes(Some(1500));
    let refused: Vec<_> = (0..5).map(|_| journal.append(1, vec![2; 1000])).collect();
    for append in refused {
        let error = append.await.expect_err("full");
        assert!(matches!(error, Error::Full { what: "the disk", .. }), "{error}");
        assert_eq!(error.next_step(), crate::NextStep::Retry);
    }
    simulated.set_space_bytes(None);
    journal.append(1, vec![3; 1000]).await.expect("space again");
    simulated.fail_next(Fault::Sync);
    let error = journal.append(1, vec![4; 1000]).await.expect_err("sync");
    assert!(matches!(error, Error::Io { action: "sync", .. }), "{error}");
    journal.append(1, vec![5; 1000]).await.expect("another segment");
    assert_eq!(journal.stats().failed_appends, 6);
    journal.close();
    simulated.crash_and_restart();
    let firsts: Vec<u8> =
        open(&simulated.disk()).1.iter().map(|record| record.payload[0]).collect();
    assert_eq!(firsts, [1, 3, 5]);
}

#[tokio::test]
async fn too_large_is_refused_and_the_largest_is_not() {
    let disk = SimulatedDisk::new(4).disk();
    let (journal, _) = open(&disk);
    let error = journal.append(1, vec![0; RECORD_BYTES_MAX + 1]).await.expect_err("too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_eq!(error.next_step(), crate::NextStep::Drop);
    let group = vec![(1, vec![0; RECORD_BYTES_MAX / 2]), (1, vec![0; RECORD_BYTES_MAX / 2])];
    journal.append_many(group).await.expect_err("too large with its headers");
    journal.append(1, vec![7; RECORD_BYTES_MAX]).await.expect("the largest");
    journal.close();
    let (_, records) = open(&disk);
    assert_eq!(records.len(), 1);
    assert!(records[0].payload == vec![7; RECORD_BYTES_MAX]);
}

/// A queue without a thread behind it stays full, so nothing here depends on speed.
#[tokio::test]
async fn a_full_queue_turns_appends_away_and_room_waits() {
    let queue = Queue::new("/log".into(), 100, Stats::default());
    let append = |bytes| {
        let (sender, receiver) = oneshot::channel();
        let item = Item::Record { kind: 1, payload: vec![0; bytes] };
        queue.append(item, Reply::Future(sender), Duration::ZERO).map(|()| receiver)
    };
    let large = append(1000).expect("an empty queue takes anything");
    let error = append(1).expect_err("full");
    assert!(matches!(error, Error::Full { what: "the queue of the journal", .. }), "{error}");
    assert_eq!((queue.stats().queued_bytes, queue.stats().refused_appends), (1000, 1));

    let (writer, _) =
        open_parts(SimulatedDisk::new(0).disk(), Path::new(DIR), &JournalOptions::default())
            .expect("open");
    let thread = start_writer(queue.clone(), writer).expect("start");
    queue.wait_for_room(100).await;
    large.await.expect("an answer").expect("written");
    append(100).expect("room").await.expect("an answer").expect("written");
    queue.close();
    thread.join().expect("ended");
    queue.wait_for_room(100).await;
}

#[test]
fn a_folder_in_the_place_of_a_segment_is_refused() {
    let disk = SimulatedDisk::new(0).disk();
    disk.create_dir_all(&segment_path(Path::new(DIR), 3)).expect("create");
    disk.create_dir_all(&Path::new(DIR).join("something else")).expect("create");
    let error =
        Journal::open(disk, Path::new(DIR), JournalOptions::default()).expect_err("refused");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_replay_may_be_read_while_records_are_appended() {
    let disk = SimulatedDisk::new(0).disk();
    let (journal, _) = open(&disk);
    journal.append_blocking(1, b"old".to_vec()).expect("append");
    drop(journal);
    let (journal, replay) =
        Journal::open(disk, Path::new(DIR), JournalOptions::default()).expect("open");
    journal.append_blocking(1, b"new".to_vec()).expect("append");
    let records: Vec<_> = replay.map(|record| record.expect("readable")).collect();
    assert_eq!(payloads(&records), [b"old".as_slice()]);

    // One that was removed meanwhile is passed over.
    let (_, replay) = Journal::open(
        {
            let disk = SimulatedDisk::new(0).disk();
            let (journal, _) = open(&disk);
            journal.append_blocking(1, b"old".to_vec()).expect("append");
            disk
        },
        Path::new(DIR),
        JournalOptions::default(),
    )
    .map(|(journal, replay)| {
        let segment = journal.rotate().expect("rotate");
        journal.remove_before(segment).expect("remove");
        (journal, replay)
    })
    .expect("open");
    assert_eq!(replay.count(), 0);
}

/// A killed process leaves bytes that readers see and that no sync made durable. Who replays them
/// builds on them, so from then on they must stay.
#[test]
fn what_was_replayed_after_a_kill_survives_a_power_cut() {
    for seed in 0..20 {
        let simulated = SimulatedDisk::new(seed);
        let disk = simulated.disk();
        let (journal, _) = open(&disk);
        journal.append_blocking(1, vec![7; 3000]).expect("append");
        journal.close();
        let (path, size_bytes) = simulated.files().remove(0);
        let bytes = disk.read(&path, size_bytes as usize).expect("read");
        disk.remove_file(&path).expect("remove");
        disk.create(&path).expect("create").append(&bytes).expect("write, and no sync");

        let (journal, replayed) = open(&disk);
        assert_eq!(replayed.len(), 1, "seed {seed}");
        journal.append_blocking(2, b"builds on it".to_vec()).expect("append");
        journal.close();
        simulated.crash_and_restart();
        assert_eq!(open(&disk).1.len(), 2, "seed {seed}");
    }
}

#[test]
fn groups_in_a_row_are_durable_together_and_have_no_common_limit() {
    let simulated = SimulatedDisk::new(1);
    let (journal, _) = open(&simulated.disk());
    let groups = (0..9_u8).map(|kind| vec![(kind, vec![kind; 8 << 20])]).collect();
    journal.append_groups_blocking(groups).expect("72 MiB");
    let too_large = vec![vec![(1, vec![])], vec![(1, vec![0; RECORD_BYTES_MAX + 1])]];
    let error = journal.append_groups_blocking(too_large).expect_err("one is too large");
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    journal.close();
    simulated.crash_and_restart();
    let kinds: Vec<u8> = open(&simulated.disk()).1.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [0, 1, 2, 3, 4, 5, 6, 7, 8], "nothing of the second call");
}

#[test]
fn a_copy_holds_what_was_appended_before_and_outlives_the_log() {
    for fault in [None, Some(Fault::Link)] {
        let simulated = SimulatedDisk::new(3);
        let disk = simulated.disk();
        let (journal, _) = open(&disk);
        journal.append_blocking(1, b"one".to_vec()).expect("append");
        let waiting = journal.append(1, vec![2; 100_000]);
        fault.into_iter().for_each(|fault| simulated.fail_next(fault));
        let segment = journal.copy_to(Path::new("/copies/first")).expect("copy");
        drop(waiting);
        journal.append_blocking(1, b"three".to_vec()).expect("append");
        journal.remove_before(segment).expect("remove");
        let again = journal.copy_to(Path::new("/copies/second")).expect("copy");
        assert!(again > segment);
        journal.close();
        simulated.crash_and_restart();
        let records = |dir: &str| {
            let options = JournalOptions::default();
            let (journal, records) = open_in(&disk, Path::new(dir), options);
            journal.append_blocking(1, b"life goes on".to_vec()).expect("append");
            journal.close();
            records.iter().map(|record| record.payload.len()).collect::<Vec<_>>()
        };
        assert_eq!(records("/copies/first"), [3, 100_000], "{fault:?}");
        assert_eq!(records("/copies/second"), [5]);
        assert_eq!(records(DIR), [5], "what was appended to a copy is not in the log");
    }
}

#[test]
fn a_copy_without_records_opens_too() {
    let disk = SimulatedDisk::new(0).disk();
    let (journal, _) = open(&disk);
    journal.copy_to(Path::new("/copy")).expect("copy");
    assert!(open_in(&disk, Path::new("/copy"), JournalOptions::default()).1.is_empty());
    journal.close();
    let error = journal.copy_to(Path::new("/late")).expect_err("closed");
    assert!(matches!(error, Error::Closed { .. }), "{error}");
}
