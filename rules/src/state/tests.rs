//! Saving, reading back and compacting, with the power failing anywhere.

use journal::disk::SimulatedDisk;

use super::*;

fn alert(name: &str, at_ms: i64) -> ActiveAlert {
    ActiveAlert {
        labels: Labels::from_pairs([("alertname", "A"), ("i", name)]),
        annotations: Labels::from_pairs([("text", "línes\n\"quoted\"")]),
        value: f64::INFINITY,
        state: State::Firing,
        active_at: TimestampMs(at_ms),
        fired_at: Some(TimestampMs(at_ms + 1)),
        resolved_at: None,
        keep_firing_since: Some(TimestampMs(at_ms + 2)),
        last_sent_at: None,
    }
}

fn alerts(names: &[&str], at_ms: i64) -> Alerts {
    names.iter().map(|name| alert(name, at_ms)).map(|one| (one.labels.clone(), one)).collect()
}

fn open(disk: &SimulatedDisk) -> Result<StateLog, Error> {
    StateLog::open(disk.disk(), Path::new("/rules"), TimestampMs(0))
}

#[tokio::test]
async fn what_was_saved_is_restored() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).expect("opens");
    log.save(1, &alerts(&["a", "b"], 10), TimestampMs(10)).await.expect("saves");
    log.save(2, &alerts(&["c"], 20), TimestampMs(20)).await.expect("saves");
    log.save(1, &alerts(&["b"], 30), TimestampMs(30)).await.expect("saves");
    log.close().await;
    disk.crash_and_restart();
    let mut log = open(&disk).expect("opens");
    assert_eq!(log.restored(1), alerts(&["b"], 30));
    assert_eq!(log.restored(2), alerts(&["c"], 20));
    assert!(log.restored(3).is_empty());
}

#[tokio::test]
async fn only_changes_are_written() {
    let disk = SimulatedDisk::new(1);
    let log = open(&disk).expect("opens");
    log.save(1, &alerts(&["a"], 10), TimestampMs(10)).await.expect("saves");
    let before = disk.operations();
    let mut refreshed = alerts(&["a"], 10);
    for alert in refreshed.values_mut() {
        alert.value = 7.0;
        alert.last_sent_at = Some(TimestampMs(11));
    }
    log.save(1, &refreshed, TimestampMs(20)).await.expect("saves");
    assert_eq!(disk.operations(), before, "a new value is no change of state");
    log.close().await;
}

/// Saves two rules, one of which is no more, and compacts.
async fn story(disk: &SimulatedDisk) -> Option<StateLog> {
    let log = open(disk).ok()?;
    log.save(1, &alerts(&["a"], 10), TimestampMs(10)).await.ok()?;
    log.save(2, &alerts(&["gone"], 10), TimestampMs(10)).await.ok()?;
    log.save(1, &alerts(&["a", "b"], 10), TimestampMs(20)).await.ok()?;
    Some(log)
}

#[tokio::test]
async fn a_power_cut_while_compacting_loses_nothing() {
    let whole = SimulatedDisk::new(0);
    let log = story(&whole).await.expect("nothing fails");
    let begin = whole.operations();
    let known = HashSet::from([1]);
    log.compact(&known).await.expect("compacts");
    let end = whole.operations();
    assert!(end > begin, "compacting uses the disk");
    log.close().await;
    let mut log = open(&whole).expect("opens");
    assert_eq!(log.restored(1), alerts(&["a", "b"], 10));
    assert!(log.restored(2).is_empty(), "a rule that is no more is left out");
    for crash_at in begin..end {
        let disk = SimulatedDisk::new(crash_at);
        disk.crash_at(crash_at);
        let log = story(&disk).await.expect("it crashes later");
        let _ = log.compact(&known).await;
        log.close().await;
        disk.crash_and_restart();
        let mut log = open(&disk).expect("opens after a power cut");
        assert_eq!(log.restored(1), alerts(&["a", "b"], 10), "crash at {crash_at}");
    }
}
