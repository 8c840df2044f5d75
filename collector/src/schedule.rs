//! When a target is due, and which time its samples get.
//!
//! Place in the flow: `worker` asks **`Schedule`** before and after each scrape.
//!
//! Each target has an offset inside the interval, so that a thousand targets are not scraped in the
//! same instant, and two servers with different seeds not at the same one. Samples are put on the
//! grid when the scrape began close to it: equal distances are what makes timestamps cheap to store.
//!
//! Not here: waiting (`worker`).

use model::TimestampMs;

/// Furthest from the grid that a sample is put on it.
const TOLERANCE_MS_MAX: i64 = 2;

/// The grid of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    interval_ms: i64, // Invariant: above 0.
    offset_ms: i64,   // Invariant: at least 0, below the interval.
}

impl Schedule {
    /// The grid of a target with that hash on a server with that seed.
    pub(crate) fn new(interval_ms: u64, hash: u64, seed: u64) -> Schedule {
        let interval_ms = interval_ms.max(1);
        let offset_ms = (hash ^ seed) % interval_ms;
        let whole = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Schedule { interval_ms: whole(interval_ms), offset_ms: whole(offset_ms) }
    }

    /// The first grid point after an instant.
    pub(crate) fn next_after(self, now: TimestampMs) -> TimestampMs {
        let since = now.0.saturating_sub(self.offset_ms).rem_euclid(self.interval_ms);
        now.plus_ms(self.interval_ms - since)
    }

    /// The grid point after one that is over, on a clock that may have been set.
    pub(crate) fn next(self, done: TimestampMs, now: TimestampMs) -> TimestampMs {
        let set_back = now < done.plus_ms(-self.interval_ms);
        self.next_after(if set_back { now } else { now.max(done) })
    }

    /// How long to wait for a grid point; never longer than the interval.
    pub(crate) fn wait_ms(self, due: TimestampMs, now: TimestampMs) -> u64 {
        let wait_ms = due.0.saturating_sub(now.0).clamp(0, self.interval_ms);
        u64::try_from(wait_ms).unwrap_or(0)
    }

    /// The instant that samples of a scrape get which began at `now`.
    pub(crate) fn snapped(self, due: TimestampMs, now: TimestampMs) -> TimestampMs {
        let tolerance_ms = TOLERANCE_MS_MAX.min(self.interval_ms / 100);
        let apart_ms = now.0.saturating_sub(due.0).saturating_abs();
        if apart_ms <= tolerance_ms { due } else { now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_points_follow_each_other() {
        let schedule = Schedule::new(15_000, 0xdead_beef, 7);
        let first = schedule.next_after(TimestampMs(1_700_000_000_123));
        assert!(first.0 > 1_700_000_000_123 && first.0 <= 1_700_000_015_123);
        assert_eq!(schedule.next_after(first), first.plus_ms(15_000));
        assert_eq!(schedule.next_after(first.plus_ms(-1)), first);
        // Another seed is another offset.
        let other = Schedule::new(15_000, 0xdead_beef, 8);
        assert_ne!(other.next_after(first), schedule.next_after(first));
    }

    #[test]
    fn woken_early_is_not_scraped_twice_and_a_clock_set_back_is_followed() {
        let schedule = Schedule::new(1000, 0, 0);
        let due = TimestampMs(50_000);
        assert_eq!(schedule.next(due, TimestampMs(49_999)), TimestampMs(51_000));
        assert_eq!(schedule.next(due, TimestampMs(52_500)), TimestampMs(53_000));
        assert_eq!(schedule.next(due, TimestampMs(10_500)), TimestampMs(11_000));
        assert_eq!(schedule.wait_ms(due, TimestampMs(10_500)), 1000);
        assert_eq!(schedule.wait_ms(due, TimestampMs(60_000)), 0);
    }

    #[test]
    fn samples_are_put_on_the_grid_when_close() {
        let schedule = Schedule::new(15_000, 0, 0);
        let due = TimestampMs(30_000);
        for (now, expected) in
            [(30_000, 30_000), (30_002, 30_000), (29_998, 30_000), (30_003, 30_003)]
        {
            assert_eq!(schedule.snapped(due, TimestampMs(now)), TimestampMs(expected));
        }
        let short = Schedule::new(100, 0, 0);
        assert_eq!(short.snapped(due, TimestampMs(30_001)), due);
        assert_eq!(short.snapped(due, TimestampMs(30_002)), TimestampMs(30_002));
    }
}
