//! Instants and ranges in milliseconds.
//!
//! Place in the flow: every sample, block, query and alert carries them.
//!
//! Not here: durations as text (`duration`), the present (`clock`).

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
///
/// Milliseconds, because exposition timestamps, PromQL results and the Grafana API all speak them;
/// converting once at the door is cheaper than guessing in every room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimestampMs(pub i64);

impl TimestampMs {
    /// The earliest instant there is.
    pub const MIN: TimestampMs = TimestampMs(i64::MIN);
    /// The latest instant there is.
    pub const MAX: TimestampMs = TimestampMs(i64::MAX);

    /// This instant moved by milliseconds, kept inside what an i64 holds.
    pub fn plus_ms(self, delta_ms: i64) -> TimestampMs {
        TimestampMs(self.0.saturating_add(delta_ms))
    }

    /// Seconds since the epoch with a fraction, the form of the HTTP API.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// `start_ms` is inside the range and `end_ms` is outside it, so neighbours touch without overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    start_ms: TimestampMs,
    end_ms: TimestampMs, // Invariant: `start_ms < end_ms`.
}

impl TimeRange {
    /// Everything.
    pub const ALL: TimeRange = TimeRange { start_ms: TimestampMs::MIN, end_ms: TimestampMs::MAX };

    /// `None` when the range would hold nothing.
    pub fn new(start_ms: TimestampMs, end_ms: TimestampMs) -> Option<TimeRange> {
        (start_ms < end_ms).then_some(TimeRange { start_ms, end_ms })
    }

    /// From the first to the last instant, both inside.
    pub fn closed(first_ms: TimestampMs, last_ms: TimestampMs) -> Option<TimeRange> {
        TimeRange::new(first_ms, last_ms.plus_ms(1))
    }

    /// The first instant inside.
    pub fn start_ms(self) -> TimestampMs {
        self.start_ms
    }

    /// The first instant after it.
    pub fn end_ms(self) -> TimestampMs {
        self.end_ms
    }

    /// Whether an instant lies inside.
    pub fn contains(self, at: TimestampMs) -> bool {
        self.start_ms <= at && at < self.end_ms
    }

    /// Whether two ranges share an instant.
    pub fn overlaps(self, other: TimeRange) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }
}
