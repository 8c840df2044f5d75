//! When a group is evaluated.
//!
//! Place in the flow: a group's task asks **`Schedule`** for its next instant.
//!
//! Instants lie on a grid of the interval, moved by an offset of the group's own, so that groups
//! spread over the interval and a restarted server keeps to the same instants.
//!
//! Not here: waiting (`rules`).

use model::TimestampMs;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The grid of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    interval_ms: i64, // Invariant: at least 1.
    offset_ms: i64,   // Invariant: 0 ≤ offset < interval.
}

impl Schedule {
    /// The grid of a group, known by a key that is its own.
    pub fn new(key: &str, interval_ms: u64, seed: u64) -> Schedule {
        let interval_ms = i64::try_from(interval_ms).unwrap_or(i64::MAX).max(1);
        let spread = xxh3_64_with_seed(key.as_bytes(), seed) % interval_ms.unsigned_abs();
        Schedule { interval_ms, offset_ms: i64::try_from(spread).unwrap_or(0) }
    }

    /// The interval.
    pub fn interval_ms(self) -> i64 {
        self.interval_ms
    }

    /// The first instant of the grid that is not before `now`.
    pub fn at_or_after(self, now: TimestampMs) -> TimestampMs {
        let past = (now.0.saturating_sub(self.offset_ms)).rem_euclid(self.interval_ms);
        let wait_ms = if past == 0 { 0 } else { self.interval_ms - past };
        now.plus_ms(wait_ms)
    }

    /// The instant after one that was evaluated, and how many instants are skipped because the
    /// evaluation took until `now`. An instant that is due exactly now is not late.
    pub fn after(self, evaluated: TimestampMs, now: TimestampMs) -> (TimestampMs, u64) {
        let next = evaluated.plus_ms(self.interval_ms);
        if now <= next {
            return (next, 0);
        }
        let late_ms = now.0.saturating_sub(next.0);
        // The newest instant that is due is evaluated, those before it are skipped.
        let skipped = late_ms / self.interval_ms;
        let instant = next.plus_ms(skipped.saturating_mul(self.interval_ms));
        (instant, skipped.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_lie_on_the_grid() {
        for key in ["a;b", "c;d", "e;f"] {
            let schedule = Schedule::new(key, 30_000, 7);
            let first = schedule.at_or_after(TimestampMs(1_000_000_007));
            assert!(first.0 >= 1_000_000_007 && first.0 < 1_000_030_007);
            assert_eq!(first.0.rem_euclid(30_000), schedule.offset_ms);
            assert_eq!(schedule.at_or_after(first), first);
            assert_eq!(schedule.at_or_after(first.plus_ms(1)), first.plus_ms(30_000));
        }
        let groups: Vec<String> = (0..100).map(|number| format!("f;g{number}")).collect();
        let early = groups.iter().filter(|key| Schedule::new(key, 60_000, 0).offset_ms < 30_000);
        assert!((30..70).contains(&early.count()), "offsets spread over the interval");
    }

    #[test]
    fn a_late_evaluation_skips_what_it_missed() {
        let schedule = Schedule { interval_ms: 1000, offset_ms: 0 };
        for (evaluated, now, next, skipped) in [
            (0, 10, 1000, 0),
            (0, 1000, 1000, 0),
            (0, 1001, 1000, 0),
            (0, 1999, 1000, 0),
            (0, 2000, 2000, 1),
            (0, 5500, 5000, 4),
        ] {
            let got = schedule.after(TimestampMs(evaluated), TimestampMs(now));
            assert_eq!(got, (TimestampMs(next), skipped), "at {now}");
        }
    }
}
