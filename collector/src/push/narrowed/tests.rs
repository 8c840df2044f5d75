//! What is outside a scope is refused, named, and never stored; the rest is stored.

use std::sync::Mutex;

use model::clock::SystemClock;

use super::*;
use crate::push::ReceiverParts;
use crate::push::import::ImportOptions;

/// Keeps the labels that came, and gives each the next number.
#[derive(Default)]
struct Store(Mutex<Vec<String>>);

impl Append for Store {
    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let mut came = self.0.lock().expect("lock");
        let mut ids = Vec::new();
        for index in 0..batch.series_count() as u32 {
            let name = match batch.key(SeriesIx(index)) {
                SeriesKey::Known(id) => format!("#{}", id.0),
                SeriesKey::Labels { text, ends } => {
                    Labels::from_parts(text, ends).expect("labels").to_string()
                }
            };
            ids.push(Some(SeriesId(came.len() as u64)));
            came.push(name);
        }
        let old = batch.samples().iter().filter(|sample| sample.at.0 < 0);
        let refused = old.map(|sample| Refused {
            column: Column::Samples,
            series: sample.series,
            at: sample.at,
            reason: RefusedReason::TooOld,
        });
        let refused: Vec<Refused> = refused.collect();
        let accepted = (batch.samples().len() - refused.len()) as u64;
        let appended = Appended { accepted, ids, refused, ..Appended::default() };
        Box::pin(async move { Ok(appended) })
    }
}

fn door() -> (Arc<Store>, Receiver) {
    let store = Arc::new(Store::default());
    let parts = ReceiverParts {
        append: Arc::clone(&store) as Arc<dyn Append>,
        clock: Arc::new(SystemClock),
        seed: 7,
        cache_bytes_max: 1 << 20,
    };
    (store, Receiver::new(parts))
}

async fn send(receiver: &Receiver, page: &str) -> (u16, u64, String) {
    let mut import = receiver.import(ImportOptions::default());
    let mut outcome = import.write(page.as_bytes()).await;
    if outcome.is_ok() {
        outcome = import.finish().await;
    }
    let answer = import.answer(outcome);
    (answer.status, answer.written.samples, answer.text)
}

#[tokio::test]
async fn what_is_outside_is_refused_and_named() {
    let (store, whole) = door();
    let scope: Arc<[Matcher]> = Arc::from([Matcher::equal("team", "a")]);
    let narrow = whole.narrowed(&scope);
    let page = "x{team=\"b\"} 1 5\nx{team=\"a\"} 2 5\nx 3 5\nx{team=\"a\",old=\"1\"} 4 -5\n";
    let (status, stored, text) = send(&narrow, page).await;
    assert_eq!((status, stored), (400, 1), "{text}");
    for expected in ["line 1: outside the label scope", "line 3: outside", "line 4: sample too old"]
    {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let came = store.0.lock().expect("lock").clone();
    assert!(came.len() == 2 && came.iter().all(|name| name.contains("team=\"a\"")), "{came:?}");
}

#[tokio::test]
async fn what_one_door_knows_opens_no_other() {
    let (store, whole) = door();
    let of = |team: &str| whole.narrowed(&Arc::from([Matcher::equal("team", team)]));
    let page = "x{team=\"b\"} 1 5\n";
    assert_eq!(send(&whole, page).await.0, 204);
    assert_eq!(send(&of("b"), page).await.0, 204);
    assert_eq!(send(&of("b"), page).await.0, 204);
    assert_eq!(send(&of("a"), page).await.0, 400);
    let came = store.0.lock().expect("lock").clone();
    assert_eq!(came.iter().filter(|name| name.starts_with('#')).count(), 1, "{came:?}");
    assert_eq!(whole.stats().requests, of("a").stats().requests, "one count for all doors");
}
