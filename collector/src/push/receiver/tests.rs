//! The door from body to answer: what is remembered, what is sent again, what the sender is told.
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use model::append::SeriesId;
use model::clock::SystemClock;
use model::{BoxFuture, TimestampMs};

use super::super::wire::*;
use super::*;

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// A store that keeps the contract of `Append`; times below zero are out of order.
#[derive(Default)]
struct Store {
    state: Mutex<State>,
    is_full: AtomicBool,
}

#[derive(Default)]
struct State {
    ids: BTreeMap<Labels, SeriesId>,
    lost: HashSet<SeriesId>,
    samples: Vec<(String, i64, f64)>,
    families: Vec<String>,
    /// Known and described series of each batch.
    batches: Vec<(usize, usize)>,
    next: u64,
}

impl State {
    fn resolve(&mut self, key: SeriesKey<'_>) -> Option<(SeriesId, Labels)> {
        match key {
            SeriesKey::Known(id) if self.lost.contains(&id) => None,
            SeriesKey::Known(id) => {
                let (labels, _) = self.ids.iter().find(|(_, own)| **own == id)?;
                Some((id, labels.clone()))
            }
            SeriesKey::Labels { text, ends } => {
                let labels = Labels::from_parts(text, ends).expect("valid");
                if self.ids.get(&labels).is_none_or(|id| self.lost.contains(id)) {
                    self.next += 1;
                    self.ids.insert(labels.clone(), SeriesId(self.next));
                }
                Some((self.ids[&labels], labels))
            }
        }
    }
}

impl Append for Store {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            if self.is_full.load(Ordering::Relaxed) {
                return Err(AppendError::Unavailable { reason: "disk full".to_owned() });
            }
            let mut state = self.state.lock().expect("lock");
            let mut appended = Appended::default();
            let count = batch.series_count();
            let keys: Vec<_> = (0..count as u32).map(|index| batch.key(SeriesIx(index))).collect();
            let known = keys.iter().filter(|key| matches!(key, SeriesKey::Known(_))).count();
            state.batches.push((known, count - known));
            let found: Vec<_> = keys.into_iter().map(|key| state.resolve(key)).collect();
            appended.ids = found.iter().map(|one| one.as_ref().map(|(id, _)| *id)).collect();
            let mut judge = |series: SeriesIx, at: TimestampMs, column| {
                let reason = match &found[series.0 as usize] {
                    None => RefusedReason::UnknownSeries,
                    Some(_) if at.0 < 0 => RefusedReason::OutOfOrder,
                    Some((_, labels)) => return Some(labels.to_string()),
                };
                appended.refused.push(Refused { column, series, at, reason });
                None
            };
            for sample in batch.samples() {
                if let Some(labels) = judge(sample.series, sample.at, Column::Samples) {
                    state.samples.push((labels, sample.at.0, sample.value));
                    appended.accepted += 1;
                }
            }
            for one in batch.histograms() {
                let taken = judge(one.series, one.at, Column::Histograms).is_some();
                appended.histograms_accepted += u64::from(taken);
            }
            for one in batch.exemplars() {
                let taken = judge(one.series, one.at, Column::Exemplars).is_some();
                appended.exemplars_accepted += u64::from(taken);
            }
            state.families.extend(batch.families().iter().map(|(family, _)| family.clone()));
            Ok(appended)
        })
    }
}

impl Store {
    fn batches(&self) -> Vec<(usize, usize)> {
        std::mem::take(&mut self.state.lock().expect("lock").batches)
    }

    fn samples(&self) -> Vec<(String, i64, f64)> {
        std::mem::take(&mut self.state.lock().expect("lock").samples)
    }

    fn lose(&self, series: &str) {
        let mut state = self.state.lock().expect("lock");
        let (_, id) = state.ids.iter().find(|(l, _)| l.to_string() == series).expect("there");
        let id = *id;
        state.lost.insert(id);
    }
}

fn door() -> (Arc<Store>, Receiver) {
    let store = Arc::new(Store::default());
    let receiver = Receiver::new(ReceiverParts {
        append: Arc::clone(&store) as Arc<dyn Append>,
        clock: Arc::new(SystemClock),
        seed: 42,
        cache_bytes_max: 1 << 20,
    });
    (store, receiver)
}

fn series(name: &str, at: i64) -> Vec<Vec<u8>> {
    vec![label("__name__", name), label("job", "a"), sample(at as f64, at)]
}

async fn post(receiver: &Receiver, message: &[u8]) -> Answer {
    receiver.remote_write("application/x-protobuf", "snappy", &packed(message)).await
}

fn shown(name: &str, at: i64) -> (String, i64, f64) {
    (format!("{name}{{job=\"a\"}}"), at, at as f64)
}

#[tokio::test]
async fn the_second_request_names_series_by_number() {
    let (store, receiver) = door();
    for round in 1..4 {
        let at = round * 1_700_000_000_000;
        let answer = post(&receiver, &message(&[series("a", at), series("b", at)])).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert_eq!(answer.written, Written { samples: 2, ..Written::default() });
        assert_eq!(store.samples(), [shown("a", at), shown("b", at)]);
        assert_eq!(store.batches(), [if round == 1 { (0, 2) } else { (2, 0) }]);
    }
    // Another order of series, of labels, a series in between: all find their numbers.
    let turned = vec![label("job", "a"), label("__name__", "a"), sample(3.0, 3)];
    let answer =
        post(&receiver, &message(&[series("b", 5), series("c", 5), turned, series("a", 5)])).await;
    assert_eq!(answer.status, 204);
    assert_eq!(store.batches(), [(2, 2)]);
    let expected = [shown("b", 5), shown("c", 5), shown("a", 3), shown("a", 5)];
    assert_eq!(store.samples(), expected);
    let state = store.state.lock().expect("lock");
    assert_eq!(state.ids.len(), 3, "two orders of labels are one series");
    let stats = receiver.stats();
    assert_eq!((stats.series_known, stats.series_described), (6, 4));
    assert_eq!((stats.cached_series, stats.samples), (4, 10));
}

#[tokio::test]
async fn labels_behind_samples_are_never_overlooked() {
    let (store, receiver) = door();
    post(&receiver, &message(&[series("a", 1)])).await;
    store.samples();
    // Begins with the bytes of a known series, and is another one.
    let other = [series("a", 2), vec![label("z", "1")]].concat();
    let answer = post(&receiver, &message(&[series("a", 2), other.clone()])).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let z = "a{job=\"a\", z=\"1\"}".to_owned();
    assert_eq!(store.samples(), [shown("a", 2), (z.clone(), 2, 2.0)]);
    // And it is not known by those bytes afterwards.
    post(&receiver, &message(&[series("a", 3), [series("a", 3), vec![label("z", "1")]].concat()]))
        .await;
    assert_eq!(store.samples(), [shown("a", 3), (z, 3, 3.0)]);
}

#[tokio::test]
async fn what_the_store_has_lost_is_sent_again_by_labels() {
    for is_v2 in [false, true] {
        let (store, receiver) = door();
        let symbols = ["", "__name__", "a", "b", "c", "job"];
        let body = |at: i64| {
            if is_v2 {
                let one = |name, extra: Vec<u8>| {
                    vec![refs(&[1, name, 5, 2]), sample(at as f64, at), extra]
                };
                let histogram = field(3, &[number(1, 0), number(15, at)].concat());
                let all = [one(2, vec![]), vec![refs(&[0, 0]), sample(1.0, 1)]];
                message_v2(&symbols, &[all, [one(3, histogram), one(4, vec![])]].concat())
            } else {
                let bad = vec![label("x", "no name"), sample(1.0, 1)];
                let histogram = field(4, &[number(1, 0), number(15, at)].concat());
                let b = [series("b", at), vec![histogram]].concat();
                message(&[series("a", at), bad, b, series("c", at)])
            }
        };
        let send = async |at: i64| {
            let kind = if is_v2 { V2 } else { "" };
            receiver.remote_write(kind, "snappy", &packed(&body(at))).await
        };
        let written = Written { samples: 3, histograms: 1, exemplars: 0 };
        for (round, batches) in [
            (1, vec![(0, 3)]),
            (2, vec![(3, 0)]),
            (3, vec![(3, 0), (0, 2)]), // After the loss.
            (4, vec![(3, 0)]),
        ] {
            if round == 3 {
                store.lose("b{job=\"a\"}");
                store.lose("c{job=\"a\"}");
            }
            let answer = send(round).await;
            assert_eq!((answer.status, answer.written), (400, written), "{round}: {answer:?}");
            assert!(answer.text.contains("1 refused; stored: 3 samples"), "{}", answer.text);
            let mut samples = store.samples();
            samples.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(samples, [shown("a", round), shown("b", round), shown("c", round)]);
            assert_eq!(store.batches(), batches, "round {round}");
        }
        assert_eq!(receiver.stats().retries, 1);
    }
}

#[tokio::test]
async fn refused_samples_are_named_by_their_labels() {
    let (_, receiver) = door();
    let bad = vec![label("__name__", "h"), field(4, &[number(1, 7), number(15, 5)].concat())];
    for round in 1..3 {
        let body = message(&[series("a", round), series("late", -1), bad.clone()]);
        let answer = post(&receiver, &body).await;
        assert_eq!((answer.status, answer.written.samples), (400, 1));
        let lines: Vec<&str> = answer.text.lines().collect();
        assert_eq!(
            lines,
            [
                "0 observations found in buckets, but the Count field is 7: histogram's observation \
                 count should equal the number of observations found in the buckets (in absence of \
                 NaN) for series h",
                "out of order sample for series late{job=\"a\"} at -1 ms",
                "2 refused; stored: 1 samples, 0 histograms, 0 exemplars"
            ],
            "round {round}"
        );
    }
    let stats = receiver.stats();
    assert_eq!(stats.refused[&("samples", "out_of_order")], 2);
    assert_eq!(stats.refused[&("histograms", "invalid_histogram")], 2);
    assert_eq!(stats.requests[&("1.0", 400)], 2);
    assert_eq!((stats.samples_received, stats.samples), (4, 2));
    assert_eq!((stats.histograms_received, stats.histograms), (2, 0));
}

#[tokio::test]
async fn exemplars_that_are_not_kept_trouble_senders_of_2_0_only() {
    let (_, receiver) = door();
    let exemplar = field(3, &[double(2, 1.0), number(3, -5)].concat());
    let answer = post(&receiver, &message(&[[series("a", 1), vec![exemplar]].concat()])).await;
    assert_eq!(answer.status, 204);
    let exemplar = field(4, &[double(2, 1.0), number(3, -5)].concat());
    let body = message_v2(&["", "__name__"], &[vec![refs(&[1, 1]), sample(1.0, 1), exemplar]]);
    let answer = receiver.remote_write(V2, "snappy", &packed(&body)).await;
    assert_eq!((answer.status, answer.is_v2), (400, true));
    assert_eq!(answer.written, Written { samples: 1, ..Written::default() });
}

#[tokio::test]
async fn families_are_told_once_until_they_change() {
    let (store, receiver) = door();
    let body = |kind: i64| {
        let metadata = field(5, &[number(1, kind), number(3, 2)].concat());
        message_v2(&["", "__name__", "x"], &[vec![refs(&[1, 2]), sample(1.0, 1), metadata]])
    };
    for (kind, expected) in [(1, 1), (1, 1), (2, 2), (1, 3), (1, 3)] {
        let answer = receiver.remote_write(V2, "snappy", &packed(&body(kind))).await;
        assert_eq!(answer.status, 204);
        let state = store.state.lock().expect("lock");
        assert_eq!(state.families.len(), expected);
    }
}

#[track_caller]
fn check(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.text.contains(text), "{answer:?}");
}

#[tokio::test]
async fn refusals_of_whole_messages() {
    let (store, receiver) = door();
    let good = packed(&message(&[series("a", 1)]));
    let proto = "application/x-protobuf";
    check(&receiver.remote_write("", "", &good).await, 204, "");
    check(&receiver.remote_write(proto, "Snappy", &good).await, 204, "");
    check(
        &receiver
            .remote_write("application/x-protobuf; proto=prometheus.WriteRequest", "", &good)
            .await,
        204,
        "",
    );
    check(&receiver.remote_write("text/plain", "snappy", &good).await, 415, "Content-Type");
    check(&receiver.remote_write(proto, "gzip", &good).await, 415, "snappy");
    let foreign = "application/x-protobuf;proto=io.prometheus.write.v3.Request";
    check(&receiver.remote_write(foreign, "snappy", &good).await, 415, "v2.Request");
    for body in [&b""[..], b"garbage", &good[..good.len() - 1]] {
        check(&receiver.remote_write(proto, "snappy", body).await, 400, "cannot decode");
    }
    // A header that promises 4 GiB, and one that promises 30 MiB out of nothing.
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    check(&receiver.remote_write(proto, "snappy", &huge).await, 400, "at most 33554432");
    let lie = [varint(30 << 20), vec![0; 8]].concat();
    check(&receiver.remote_write(proto, "snappy", &lie).await, 400, "than the body can hold");
    check(&receiver.remote_write(proto, "snappy", &packed(&[0x0a, 0x7f, 1])).await, 400, "longer");
    store.is_full.store(true, Ordering::Relaxed);
    check(&receiver.remote_write(proto, "snappy", &good).await, 503, "disk full");
    let nothing = packed(&message(&[]));
    check(&receiver.remote_write(proto, "snappy", &nothing).await, 204, "");
    assert_eq!(receiver.stats().requests[&("1.0", 503)], 1);
}

/// Labels behind a tag of another spelling are no part of what a series is remembered by: it must not
/// be taken for the one whose labels they follow.
#[tokio::test]
async fn a_label_tag_of_another_spelling_mixes_no_series() {
    let (store, receiver) = door();
    let usual = label("job", "a");
    let spelled = [&[0x8a, 0x00][..], &usual[1..]].concat();
    let whole = vec![label("__name__", "x"), spelled, sample(1.0, 1)];
    let short = vec![label("__name__", "x"), sample(2.0, 2)];
    for _ in 0..2 {
        let answer = post(&receiver, &message(&[whole.clone(), short.clone()])).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(store.samples(), [shown("x", 1), ("x".to_owned(), 2, 2.0)]);
    }
}
