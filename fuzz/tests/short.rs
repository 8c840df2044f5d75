//! The short forms of everything here, as part of every test run.
#![allow(clippy::print_stdout, reason = "all of this crate is tests")]

use std::time::Instant;

use fuzz::store::kills::{KILLS_PER_DISK, Tally, one_disk};

/// The goal of the store: so many kills and power cuts lose nothing that was acknowledged.
const KILLS: u64 = 10_000;

#[test]
fn ten_thousand_kills_lose_nothing() {
    let start = Instant::now();
    let mut tally = Tally::default();
    for seed in 0..KILLS / KILLS_PER_DISK {
        tally.add(one_disk(seed, KILLS_PER_DISK, None).unwrap_or_else(|what| {
            panic!("{what}\nrepeat it: cargo xtask soak --seed {seed} --kills {KILLS_PER_DISK}")
        }));
    }
    println!("{tally:?} in {:?}", start.elapsed());
    assert!(tally.acknowledged > KILLS, "{tally:?}");
}
