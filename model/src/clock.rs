//! The clock door: rooms ask it for the present, so that tests and simulation can hand in another.
//!
//! Place in the flow: handed to every component that needs "now" by the binary's wiring.
//!
//! Not here: waiting (that is the runtime's).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::TimestampMs;

/// Tells the present.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the epoch, now.
    fn now(&self) -> TimestampMs;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        // A clock before 1970 is a broken machine; zero keeps us running and is plainly wrong.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `at`.
    pub fn new(at: TimestampMs) -> ManualClock {
        ManualClock(Arc::new(AtomicI64::new(at.0)))
    }

    /// Moves the clock to `at`, backwards too.
    pub fn set(&self, at: TimestampMs) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.0.load(Ordering::SeqCst))
    }
}
