//! The whole: from `send` to a webhook, over restarts, reloads and receivers that hang.
//!
//! Real time, in small spans: the log's writer is a thread, and a paused clock would run ahead of it.

use std::collections::BTreeMap;

use journal::disk::SimulatedDisk;
use model::Labels;
use model::http_door::{HttpError, HttpRequest, HttpResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::config;
use crate::core::HistoryKind;
use crate::core::silence::SilenceMatcher;

/// A wall clock that begins at a round instant.
struct RuntimeClock {
    start: Instant,
}

impl Clock for RuntimeClock {
    fn now(&self) -> TimestampMs {
        let elapsed_ms = self.start.elapsed().as_millis();
        TimestampMs(1_800_000_000_000 + i64::try_from(elapsed_ms).expect("a short test"))
    }
}

/// Answers by address; no answer written down means that it hangs.
struct Receivers {
    answers: Mutex<BTreeMap<&'static str, Vec<u16>>>,
    posts: mpsc::Sender<(String, serde_json::Value, Instant)>,
}

impl HttpDoor for Receivers {
    fn request(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let path = request.url.rsplit('/').next().expect("a path").to_owned();
        let body = serde_json::from_slice(&request.body).expect("json");
        self.posts.try_send((path.clone(), body, Instant::now())).expect("room");
        let mut answers = lock(&self.answers);
        let status = answers
            .get_mut(path.as_str())
            .map(|list| if list.len() > 1 { list.remove(0) } else { list[0] });
        Box::pin(async move {
            match status {
                Some(status) => Ok(HttpResponse { status, headers: Vec::new(), body: Vec::new() }),
                None => {
                    tokio::time::sleep(request.deadline).await;
                    let deadline_ms = u64::try_from(request.deadline.as_millis()).expect("short");
                    Err(HttpError::DeadlineExceeded { deadline_ms })
                }
            }
        })
    }
}

type Posts = mpsc::Receiver<(String, serde_json::Value, Instant)>;

const CONFIG: &str = "route: {receiver: all, group_by: [alertname], group_wait: 50ms, \
    group_interval: 300ms, repeat_interval: 1h}\nreceivers: [{name: all, webhook_configs: [{url: \
    'http://h/good', timeout: 1s}, {url: 'http://h/other', timeout: 1s}]}]\n";

fn read(text: &str) -> Config {
    config::parse(text, "am.yml").expect("valid")
}

fn open(
    disk: &SimulatedDisk,
    start: Instant,
    answers: &[(&'static str, &[u16])],
) -> (Arc<Alertmanager>, Posts) {
    let (posts, inbox) = mpsc::channel(10_000);
    let answers = answers.iter().map(|(path, list)| (*path, list.to_vec())).collect();
    let parts = Parts {
        clock: Arc::new(RuntimeClock { start }),
        http: Arc::new(Receivers { answers: Mutex::new(answers), posts }),
        external_url: "http://am".to_owned(),
        site: "test".to_owned(),
        seed: 5,
    };
    let manager = Alertmanager::open(disk.disk(), Path::new("/am"), read(CONFIG), parts);
    (manager.expect("opens"), inbox)
}

fn alert(name: &str) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", name)]),
        annotations: Labels::empty(),
        starts_at: None,
        ends_at: None,
        generator_url: String::new(),
    }
}

async fn next(posts: &mut Posts, path: &str) -> (serde_json::Value, Instant) {
    loop {
        let wait = Duration::from_secs(30);
        let post = tokio::time::timeout(wait, posts.recv()).await.expect("in time");
        let (own, body, at) = post.expect("the door is open");
        if own == path {
            return (body, at);
        }
    }
}

/// Waits until the condition holds, looking again as time passes.
async fn until(manager: &Alertmanager, condition: impl Fn(&Stats) -> bool) {
    for _ in 0..1_500 {
        if condition(&manager.stats()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {:?}", manager.stats());
}

#[tokio::test]
async fn from_alert_to_message_and_its_end() {
    let disk = SimulatedDisk::new(1);
    let (manager, mut posts) =
        open(&disk, Instant::now(), &[("good", &[500, 200]), ("other", &[200])]);
    manager.start();
    let mut short = alert("A");
    short.ends_at = Some(manager.now().plus_ms(3_000));
    manager.send(vec![short]).await.expect("durable");
    assert_eq!(manager.alerts().len(), 1);
    let (first, _) = next(&mut posts, "good").await;
    assert_eq!(first["status"], "firing");
    let (again, _) = next(&mut posts, "good").await;
    assert_eq!(first, again, "the retry is the same message");
    until(&manager, |stats| stats.undelivered == 0).await;
    let stats = manager.stats();
    assert_eq!(stats.attempts[&("webhook", "transient")], 1);
    assert_eq!(stats.attempts[&("webhook", "delivered")], 2);
    let (end, _) = next(&mut posts, "good").await;
    assert_eq!(end["status"], "resolved", "after the alert's own end");
    assert!(manager.history(10).iter().any(|row| row.kind == HistoryKind::Delivered));
    manager.stop().await;
}

#[tokio::test]
async fn a_hung_receiver_does_not_delay_another() {
    let disk = SimulatedDisk::new(1);
    let (manager, mut posts) = open(&disk, Instant::now(), &[("good", &[200])]);
    manager.start();
    for round in 0..10 {
        let sent = Instant::now();
        manager.send(vec![alert(&format!("A{round}"))]).await.expect("durable");
        let (_, at) = next(&mut posts, "good").await;
        let late_ms = (at - sent).as_millis();
        assert!((50..800).contains(&late_ms), "round {round}: {late_ms} ms");
    }
    assert!(manager.stats().undelivered > 0, "the other one hangs");
    manager.stop().await;
}

#[tokio::test]
async fn what_was_under_way_goes_out_after_a_restart() {
    let disk = SimulatedDisk::new(1);
    let start = Instant::now();
    let (manager, mut posts) = open(&disk, start, &[("good", &[200]), ("other", &[500])]);
    manager.start();
    manager.send(vec![alert("A")]).await.expect("durable");
    let (before, _) = next(&mut posts, "other").await;
    until(&manager, |stats| stats.attempts.contains_key(&("webhook", "delivered"))).await;
    manager.stop().await;
    drop(manager);

    let (manager, mut posts) = open(&disk, start, &[("good", &[200]), ("other", &[200])]);
    manager.start();
    let (after, _) = next(&mut posts, "other").await;
    assert_eq!(before, after);
    until(&manager, |stats| stats.undelivered == 0).await;
    assert_eq!(manager.stats().attempts[&("webhook", "delivered")], 1, "good has it already");
    assert!(manager.stats().damaged.is_empty());
    manager.stop().await;
}

#[tokio::test]
async fn power_fails_between_delivery_and_done() {
    let disk = SimulatedDisk::new(1);
    let start = Instant::now();
    let (manager, mut posts) = open(&disk, start, &[("other", &[200])]);
    manager.start();
    manager.send(vec![alert("A")]).await.expect("durable");
    let (before, _) = next(&mut posts, "good").await;
    disk.crash_and_restart();
    manager.stop().await;
    drop(manager);
    let (manager, mut posts) = open(&disk, start, &[("good", &[200]), ("other", &[200])]);
    manager.start();
    let (after, _) = next(&mut posts, "good").await;
    assert_eq!(before, after, "the same message under the same id");
    manager.stop().await;
}

#[tokio::test]
async fn silences_survive_a_power_cut() {
    let disk = SimulatedDisk::new(1);
    let start = Instant::now();
    let (manager, _posts) = open(&disk, start, &[("good", &[200]), ("other", &[200])]);
    let now_ms = manager.now().0;
    let wanted = Silence {
        id: String::new(),
        matchers: vec![SilenceMatcher {
            name: "alertname".to_owned(),
            value: "A".to_owned(),
            is_regex: false,
            is_equal: true,
        }],
        starts_at_ms: now_ms,
        ends_at_ms: now_ms + 3_600_000,
        updated_at_ms: 0,
        created_by: "ops".to_owned(),
        comment: "patch".to_owned(),
    };
    let id = manager.put_silence(wanted.clone()).await.expect("durable");
    disk.crash_and_restart();
    drop(manager);
    let (manager, _posts) = open(&disk, start, &[("good", &[200]), ("other", &[200])]);
    assert_eq!(manager.silences()[0].silence.id, id);
    manager.send(vec![alert("A")]).await.expect("durable");
    assert_eq!(manager.alerts()[0].silenced_by, std::slice::from_ref(&id));
    assert_eq!(manager.alerts()[0].state(), "suppressed");
    // A longer end keeps the id; other matchers make another silence.
    let mut longer = manager.silences()[0].silence.clone();
    longer.ends_at_ms += 1000;
    assert_eq!(manager.put_silence(longer.clone()).await.expect("durable"), id);
    longer.matchers[0].value = "B".to_owned();
    assert_ne!(manager.put_silence(longer).await.expect("durable"), id);
    assert_eq!(manager.alerts()[0].state(), "active");
    assert!(matches!(manager.expire_silence("none").await, Err(Error::NotFound(_))));
    let mut empty = wanted;
    empty.matchers[0].value = String::new();
    assert!(matches!(manager.put_silence(empty).await, Err(Error::Invalid(_))));
    manager.stop().await;
}

#[tokio::test]
async fn invalid_alerts_are_told_and_the_others_kept() {
    let disk = SimulatedDisk::new(1);
    let (manager, _posts) = open(&disk, Instant::now(), &[]);
    let mut nameless = alert("A");
    nameless.labels = Labels::empty();
    let answer = manager.send(vec![nameless, alert("B")]).await;
    assert!(matches!(answer, Err(AlertSinkError::Invalid { .. })));
    assert_eq!(manager.alerts().len(), 1);
    assert_eq!(manager.stats().alerts_invalid, 1);
    manager.stop().await;
}

#[tokio::test]
async fn a_reload_changes_receivers_and_keeps_alerts() {
    let disk = SimulatedDisk::new(1);
    let (manager, mut posts) = open(&disk, Instant::now(), &[("good", &[200]), ("other", &[404])]);
    manager.start();
    manager.send(vec![alert("A")]).await.expect("durable");
    next(&mut posts, "good").await;
    until(&manager, |stats| stats.attempts.contains_key(&("webhook", "config"))).await;
    let only_good = CONFIG.replace(", {url: 'http://h/other', timeout: 1s}", "");
    manager.reload(read(&only_good)).await.expect("reloads");
    assert_eq!(manager.stats().dead_letters, 1, "what waited for the removed one is in sight");
    assert_eq!(manager.stats().undelivered, 0);
    assert_eq!(manager.alerts().len(), 1);
    let bad = format!("{CONFIG}templates: [/no/such.tmpl]\n");
    assert!(manager.reload(read(&bad)).await.is_err(), "a missing file keeps the old one");
    assert_eq!(manager.groups()[0].receiver, "all");
    manager.stop().await;
}
