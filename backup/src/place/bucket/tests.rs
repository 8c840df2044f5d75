//! Keys of unusual spelling, and locks that change hands, on a bucket in memory.

use model::TimestampMs;
use model::clock::ManualClock;
use object_store::memory::InMemory;

use super::*;

fn bucket(prefix: &str) -> (Bucket, ManualClock) {
    let clock = ManualClock::new(TimestampMs(1_000));
    let bucket = Bucket {
        store: Arc::new(InMemory::new()),
        name: "backups".to_owned(),
        prefix: prefix.to_owned(),
        clock: Arc::new(clock.clone()),
        there: Mutex::default(),
    };
    (bucket, clock)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// A bucket spells some letters in its own way; what it lists must still be found.
#[test]
fn keys_of_unusual_spelling_are_listed_and_read() {
    for prefix in ["", "site/north", "caf\u{e9} 100%/#1", "a*b?{c}"] {
        let (bucket, _) = bucket(prefix);
        block_on(async {
            let key = bucket.index_key("2026-01-01T00-00-00Z");
            let put = bucket.store.put(&path(&key), PutPayload::from_static(b"whole")).await;
            put.expect("put");
            let names = bucket.names().await.expect("list");
            assert_eq!(names, ["2026-01-01T00-00-00Z"], "{prefix:?}");
            assert_eq!(bucket.whole(&key).await.expect("read"), b"whole", "{prefix:?}");
            bucket.remove("2026-01-01T00-00-00Z").await.expect("remove");
            assert_eq!(bucket.names().await.expect("list"), Vec::<String>::new(), "{prefix:?}");
        });
    }
}

/// Whoever lost its lock to another one must not remove that one's.
#[test]
fn a_lock_that_was_taken_away_is_left_alone() {
    let (bucket, clock) = bucket("caf\u{e9}");
    block_on(async {
        let first = bucket.lock().await.expect("free");
        assert!(matches!(bucket.lock().await.err(), Some(Error::Busy(_))), "held");
        clock.set(TimestampMs(2_000 + LOCK_MS));
        let second = bucket.lock().await.expect("the first one has not renewed it");
        assert!(matches!(first.renew().await, Err(Error::Busy(_))), "it is another's");
        first.release().await;
        assert!(matches!(bucket.lock().await.err(), Some(Error::Busy(_))), "still held");
        second.release().await;
        bucket.lock().await.expect("free again").release().await;
    });
}
