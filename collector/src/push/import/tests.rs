//! Text import: formats, portions, lines that can't be read, bounds.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use model::append::{Appended, Column, SeriesId, SeriesKey};
use model::clock::SystemClock;
use model::{Append, BoxFuture, Labels, SeriesIx};

use super::super::receiver::ReceiverParts;
use super::*;

#[derive(Default)]
struct Store {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ids: BTreeMap<Labels, SeriesId>,
    lost: bool,
    samples: Vec<(String, i64, f64)>,
    described: Vec<usize>,
}

impl Append for Store {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        Box::pin(async move {
            let mut state = self.state.lock().expect("lock");
            let mut names = Vec::new();
            let mut described = 0;
            for index in 0..batch.series_count() as u32 {
                names.push(match batch.key(SeriesIx(index)) {
                    SeriesKey::Known(_) if state.lost => None,
                    SeriesKey::Known(id) => {
                        let found = state.ids.iter().find(|(_, own)| **own == id);
                        found.map(|(labels, _)| (id, labels.to_string()))
                    }
                    SeriesKey::Labels { text, ends } => {
                        described += 1;
                        let labels = Labels::from_parts(text, ends).expect("valid");
                        let name = labels.to_string();
                        let next = SeriesId(state.ids.len() as u64);
                        Some((*state.ids.entry(labels).or_insert(next), name))
                    }
                });
            }
            state.lost = false;
            state.described.push(described);
            let mut appended = Appended::default();
            for sample in batch.samples() {
                let refuse = |reason| Refused {
                    column: Column::Samples,
                    series: sample.series,
                    at: sample.at,
                    reason,
                };
                match &names[sample.series.0 as usize] {
                    None => appended.refused.push(refuse(RefusedReason::UnknownSeries)),
                    Some(_) if sample.at.0 < 0 => {
                        appended.refused.push(refuse(RefusedReason::OutOfOrder));
                    }
                    Some((_, name)) => {
                        state.samples.push((name.clone(), sample.at.0, sample.value));
                        appended.accepted += 1;
                    }
                }
            }
            appended.ids = names.into_iter().map(|name| name.map(|(id, _)| id)).collect();
            Ok(appended)
        })
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

async fn send(receiver: &Receiver, options: ImportOptions, pieces: &[&[u8]]) -> Answer {
    let mut import = receiver.import(options);
    let mut outcome = Ok(());
    for piece in pieces {
        if outcome.is_ok() {
            outcome = import.write(piece).await;
        }
    }
    if outcome.is_ok() {
        outcome = import.finish().await;
    }
    import.answer(outcome)
}

fn at(ms: i64) -> ImportOptions {
    ImportOptions { at: Some(TimestampMs(ms)), ..ImportOptions::default() }
}

fn taken(store: &Store) -> Vec<(String, i64, f64)> {
    std::mem::take(&mut store.state.lock().expect("lock").samples)
}

fn one(name: &str, at: i64, value: f64) -> (String, i64, f64) {
    (name.to_owned(), at, value)
}

#[tokio::test]
async fn a_page_in_any_pieces() {
    let (store, receiver) = door();
    let page: &[u8] =
        b"# TYPE h histogram\nh_bucket{le=\"1\"} 3 700\n# a word\nup{job=\"a\"} 1\nx 2 9";
    let expected =
        [one("h_bucket{le=\"1.0\"}", 700, 3.0), one("up{job=\"a\"}", 5, 1.0), one("x", 9, 2.0)];
    for cut in 0..page.len() {
        let answer = send(&receiver, at(5), &[&page[..cut], &page[cut..]]).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "cut at {cut}");
        assert_eq!(taken(&store), expected, "cut at {cut}");
    }
    let described = store.state.lock().expect("lock").described.clone();
    assert_eq!((described[0], described.iter().sum::<usize>()), (3, 3), "known from then on");
    // Without a time given, it is the time of arrival.
    send(&receiver, ImportOptions::default(), &[b"up 1\n"]).await;
    let now = model::Clock::now(&SystemClock).0;
    assert!((now - 60_000..=now).contains(&taken(&store)[0].1));
}

#[tokio::test]
async fn extra_labels_replace_and_are_part_of_what_is_known() {
    let (store, receiver) = door();
    let extra = |value: &str| {
        let labels = vec![("job".to_owned(), value.to_owned()), ("dc".to_owned(), "x".to_owned())];
        ImportOptions { extra_labels: labels, ..at(5) }
    };
    for (options, name) in [
        (at(5), "up{job=\"a\"}"),
        (extra("b"), "up{dc=\"x\", job=\"b\"}"),
        (extra("c"), "up{dc=\"x\", job=\"c\"}"),
        (at(5), "up{job=\"a\"}"),
    ] {
        send(&receiver, options, &[b"up{job=\"a\"} 1\n"]).await;
        assert_eq!(taken(&store), [one(name, 5, 1.0)]);
    }
}

#[tokio::test]
async fn open_metrics_ends_with_eof() {
    let (store, receiver) = door();
    let options = || ImportOptions { is_open_metrics: true, ..at(5) };
    let page: &[u8] = b"# TYPE c counter\nc_total 1 1.5\nc_created 3\n# EOF\n";
    let answer = send(&receiver, options(), &[page]).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(taken(&store), [one("c_total", 1500, 1.0)]);
    let answer = send(&receiver, options(), &[b"c_total 1\n"]).await;
    assert_eq!((answer.status, answer.written.samples), (400, 1));
    assert!(answer.text.starts_with("line 2 of the page: the page does not end with # EOF"));
    let answer = send(&receiver, options(), &[b"# EOF\nc_total 1\n"]).await;
    assert!(answer.text.contains("more after # EOF"), "{answer:?}");
}

#[tokio::test]
async fn a_bad_line_is_named_and_those_before_it_are_stored() {
    let (store, receiver) = door();
    for (page, text) in [
        ("a 1\n\n# x\nb{ 2\nc 3\n", "line 4 of the page: the label braces are not closed"),
        ("a 1\nb{x=\"1\",x=\"2\"} 2\n", "line 2 of the page: the label \"x\" is given twice"),
        ("a 1\nb two\n", "line 2 of the page: the value after the metric is \"two\""),
        ("a 1\nb{x=\"\u{1}\"} 2 3 4", "line 2 of the page: unexpected"),
    ] {
        let answer = send(&receiver, at(5), &[page.as_bytes()]).await;
        assert_eq!((answer.status, answer.written.samples), (400, 1), "{answer:?}");
        assert!(answer.text.starts_with(text), "{answer:?}");
        assert!(answer.text.contains("the lines before it are stored"), "{answer:?}");
        assert_eq!(taken(&store), [one("a", 5, 1.0)]);
    }
}

#[tokio::test]
async fn refused_samples_are_named_by_line() {
    let (_, receiver) = door();
    let answer = send(&receiver, at(5), &[b"a 1\n\nb 2 -7\nc 3\n"]).await;
    let expected = "line 3: out of order sample at -7 ms\n2 samples stored, 1 refused";
    assert_eq!((answer.status, answer.text.as_str()), (400, expected));
}

#[tokio::test]
async fn what_the_store_has_lost_is_sent_again() {
    let (store, receiver) = door();
    let page: &[u8] = b"a 1\nb 2\n";
    send(&receiver, at(5), &[page]).await;
    taken(&store);
    store.state.lock().expect("lock").lost = true;
    let answer = send(&receiver, at(6), &[page]).await;
    assert_eq!((answer.status, answer.written.samples), (204, 2));
    assert_eq!(taken(&store), [one("a", 6, 1.0), one("b", 6, 2.0)]);
}

#[tokio::test]
async fn a_long_page_takes_many_portions() {
    let (store, receiver) = door();
    let mut page = String::from("# TYPE h histogram\n");
    for number in 0..150_000 {
        page.push_str(&format!("h_bucket{{le=\"1\"}} {number} {number}\n"));
    }
    page.push_str("oops\n");
    let pieces: Vec<&[u8]> = page.as_bytes().chunks(70_001).collect();
    let answer = send(&receiver, at(5), &pieces).await;
    assert!(answer.text.starts_with("line 150002 of the page"), "{answer:?}");
    let samples = taken(&store);
    assert_eq!(samples.len(), 150_000);
    assert!(samples.iter().all(|(name, ..)| name == "h_bucket{le=\"1.0\"}"), "the type holds on");
    assert!(store.state.lock().expect("lock").described.len() > 2, "several commits");

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&page.as_bytes()[..page.len() - 5]).expect("packs");
    let packed = gzip.finish().expect("packs");
    let options = || ImportOptions { is_gzip: true, ..at(5) };
    let pieces: Vec<&[u8]> = packed.chunks(7_001).collect();
    let answer = send(&receiver, options(), &pieces).await;
    assert_eq!((answer.status, answer.written.samples), (204, 150_000), "{answer:?}");
    let answer = send(&receiver, options(), &[&packed[..packed.len() / 2]]).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let answer = send(&receiver, options(), &[b"not packed"]).await;
    assert!(answer.status == 400 && answer.text.contains("unpack the page"), "{answer:?}");
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let (_, receiver) = door();
    let piece = vec![b'a'; 300_000];
    let answer = send(&receiver, at(5), &[&piece, &piece, &piece, &piece]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.starts_with("line 1 of the page: the line has more than"), "{answer:?}");
}

/// Series that are called like their kinds are told apart also when they are known.
#[tokio::test]
async fn series_that_are_called_like_kinds() {
    let (store, receiver) = door();
    let page = b"# TYPE gauge gauge\ngauge 1\n# TYPE counter counter\ncounter 2\n";
    for _ in 0..2 {
        send(&receiver, at(5), &[page]).await;
        assert_eq!(taken(&store), [one("gauge", 5, 1.0), one("counter", 5, 2.0)]);
    }
}
