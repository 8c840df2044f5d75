//! Who failed to log in, and how long they wait until the next password is looked at.
//!
//! Place in the flow: `whole` asks here before a password is checked, and tells what came of it.
//!
//! Failures are counted by address and name together, and, ten times as patiently, by address alone.
//! So nobody can lock a user out from elsewhere, and whoever shares an address with a guesser waits
//! only when the guesser tries many names. Who has logged in before is not asked again, and waits
//! for nobody. An IPv6 network of 64 bits counts as one address.
//!
//! Not here: the clock; every call is told the instant.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures by address alone may be so many times as many.
const ADDRESS_FACTOR: u32 = 10;
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After this time without a failure all is forgiven.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Most entries; the older half goes first.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Failures by whom.
#[derive(Debug, Default)]
pub struct Patience {
    hasher: RandomState,
    entries: Mutex<HashMap<u64, Failures>>,
}

/// The network that counts as one address.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

impl Patience {
    fn keys(&self, address: IpAddr, user: &str) -> [(u64, u32); 2] {
        let address = network(address);
        let both = self.hasher.hash_one((address, Some(user)));
        [(both, 1), (self.hasher.hash_one((address, None::<&str>)), ADDRESS_FACTOR)]
    }

    /// How long this one waits now; `free` failures cost nothing, 0: none ever does.
    pub fn wait(&self, who: (IpAddr, &str), free: u32, now: Instant) -> Option<Duration> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(key, factor): (u64, u32)| {
            let failures = entries.get(&key)?;
            let wait = wait_after(failures.count, free.saturating_mul(factor))?;
            (failures.last + wait).checked_duration_since(now).filter(|left| !left.is_zero())
        };
        self.keys(who.0, who.1).into_iter().filter_map(of).max()
    }

    /// A password was wrong. The answer says whether waiting has just begun.
    pub fn failed(&self, who: (IpAddr, &str), free: u32, now: Instant) -> bool {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() + 2 > ENTRIES_MAX {
            entries.retain(|_, failures| now.duration_since(failures.last) < MEMORY);
        }
        if entries.len() + 2 > ENTRIES_MAX {
            let mut instants: Vec<Instant> = entries.values().map(|own| own.last).collect();
            instants.sort_unstable();
            let middle = instants[instants.len() / 2];
            entries.retain(|_, failures| failures.last > middle);
        }
        let mut has_begun = false;
        for (key, factor) in self.keys(who.0, who.1) {
            let failures = entries.entry(key).or_insert(Failures { count: 0, last: now });
            if now.duration_since(failures.last) >= MEMORY {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            has_begun |= free > 0 && failures.count == free.saturating_mul(factor);
        }
        has_begun
    }

    /// The password was right.
    pub fn succeeded(&self, who: (IpAddr, &str)) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let [(both, _), _] = self.keys(who.0, who.1);
        entries.remove(&both);
    }
}

/// A second after the last free failure, twice as long after each further one.
fn wait_after(count: u32, free: u32) -> Option<Duration> {
    if free == 0 || count < free {
        return None;
    }
    let seconds = 1_u64 << (count - free).min(6);
    Some(Duration::from_secs(seconds).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 1, 0, 0, 0, 1));
    const NEAR: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 1, 9, 9, 9, 9));
    const THERE: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 2, 0, 0, 0, 1));

    #[test]
    fn the_guesser_waits_and_others_do_not() {
        let (patience, start) = (Patience::default(), Instant::now());
        for attempt in 0..5 {
            assert_eq!(patience.wait((HERE, "a"), 5, start), None, "{attempt}");
            assert_eq!(patience.failed((HERE, "a"), 5, start), attempt == 4);
        }
        assert_eq!(patience.wait((HERE, "a"), 5, start), Some(Duration::from_secs(1)));
        assert_eq!(patience.wait((NEAR, "a"), 5, start), Some(Duration::from_secs(1)));
        assert_eq!(patience.wait((HERE, "b"), 5, start), None, "another name at the address");
        assert_eq!(patience.wait((THERE, "a"), 5, start), None, "the name from elsewhere");
        patience.failed((HERE, "a"), 5, start);
        assert_eq!(patience.wait((HERE, "a"), 5, start), Some(Duration::from_secs(2)));
        let later = start + Duration::from_secs(3);
        assert_eq!(patience.wait((HERE, "a"), 5, later), None);
        patience.succeeded((HERE, "a"));
        assert!(!patience.failed((HERE, "a"), 5, later), "counted from the beginning");
    }

    #[test]
    fn many_names_from_one_address_wait_too() {
        let (patience, start) = (Patience::default(), Instant::now());
        for number in 0..50 {
            patience.failed((HERE, &format!("user{number}")), 5, start);
        }
        assert!(patience.wait((HERE, "new"), 5, start).is_some());
        for number in 0..1000 {
            patience.failed((HERE, &number.to_string()), 5, start);
        }
        assert_eq!(patience.wait((HERE, "new"), 5, start), Some(WAIT_MAX));
        assert_eq!(patience.wait((HERE, "new"), 0, start), None, "switched off");
        let forgiven = start + MEMORY;
        patience.failed((HERE, "new"), 5, forgiven);
        assert_eq!(patience.wait((HERE, "new"), 5, forgiven), None);
    }

    #[test]
    fn the_table_has_an_end() {
        let (patience, start) = (Patience::default(), Instant::now());
        for number in 0..2 * ENTRIES_MAX as u32 {
            let address = IpAddr::V4(number.into());
            patience.failed((address, "a"), 5, start + Duration::from_millis(number.into()));
        }
        assert!(patience.entries.lock().expect("lock").len() <= ENTRIES_MAX);
    }
}
