//! Requests per client: a bucket of permissions each, filled at a steady rate.
//!
//! Place in the flow: `door` takes one permission per request.
//!
//! Invariant: the table has an end. A client whose bucket is full again is forgotten.
//!
//! Not here: the clock; every call is told the instant.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most clients that are counted at once.
const CLIENTS_MAX: usize = 10_000;

/// How many requests are let through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// In the long run, each second; 0: any number.
    pub per_second: f64,
    /// At once.
    pub burst: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn level(&self, rate: Rate, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level + since * rate.per_second).min(rate.burst)
    }
}

/// A bucket per client.
#[derive(Debug, Default)]
pub struct Buckets {
    hasher: RandomState,
    clients: Mutex<HashMap<u64, Bucket>>,
}

impl Buckets {
    /// Takes one permission; the error says how long until there is one.
    pub fn take(&self, client: impl Hash, rate: Rate, now: Instant) -> Result<(), Duration> {
        if rate.per_second <= 0.0 {
            return Ok(());
        }
        let key = self.hasher.hash_one(client);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&key) {
            clients.retain(|_, bucket| bucket.level(rate, now) < rate.burst);
            if clients.len() >= CLIENTS_MAX {
                // Only an attack has so many clients at their limits at once.
                clients.clear();
            }
        }
        let bucket = clients.entry(key).or_insert(Bucket { level: rate.burst, at: now });
        let level = bucket.level(rate, now);
        let is_enough = level >= 1.0;
        *bucket = Bucket { level: if is_enough { level - 1.0 } else { level }, at: now };
        if is_enough {
            return Ok(());
        }
        Err(Duration::from_secs_f64(((1.0 - level) / rate.per_second).min(3600.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_rate() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let rate = Rate { per_second: 2.0, burst: 3.0 };
        let take = |client: &str, ms| {
            buckets
                .take(client, rate, start + Duration::from_millis(ms))
                .map_err(|wait| wait.as_millis())
        };
        for _ in 0..3 {
            assert_eq!(take("a", 0), Ok(()));
        }
        assert_eq!(take("a", 0), Err(500));
        assert_eq!(take("b", 0), Ok(()), "others have buckets of their own");
        assert_eq!(take("a", 400), Err(100));
        assert_eq!(take("a", 500), Ok(()));
        let off = Rate { per_second: 0.0, burst: 0.0 };
        assert!((0..100).all(|_| buckets.take("a", off, start).is_ok()));
    }

    #[test]
    fn the_table_has_an_end() {
        let (buckets, start) = (Buckets::default(), Instant::now());
        let rate = Rate { per_second: 1.0, burst: 1.0 };
        for client in 0..3 * CLIENTS_MAX {
            assert!(buckets.take(client, rate, start).is_ok());
        }
        assert!(buckets.clients.lock().expect("lock").len() <= CLIENTS_MAX);
    }
}
