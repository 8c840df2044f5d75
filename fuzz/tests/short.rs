//! The short forms of everything here, as part of every test run.
#![allow(clippy::print_stdout, reason = "all of this crate is tests")]

use std::time::Instant;

use fuzz::store::flips::{KINDS, one_flip};
use fuzz::store::kills::{KILLS_PER_DISK, Tally, one_disk};
use fuzz::store::planted::{PLANTS, short_suite};

/// The goal of the store: so many kills and power cuts lose nothing that was acknowledged.
const KILLS: u64 = 10_000;
/// Flipped bits in files of each kind; `cargo xtask soak` turns more of them.
const FLIPS: u64 = 8;

#[test]
fn ten_thousand_kills_lose_nothing() {
    let start = Instant::now();
    let halves = in_two_threads(|half| {
        let mut tally = Tally::default();
        for seed in (0..KILLS / KILLS_PER_DISK).filter(|seed| seed % 2 == half) {
            tally.add(one_disk(seed, KILLS_PER_DISK, None).unwrap_or_else(|what| {
                let repeat = format!("cargo xtask soak --seed {seed} --kills {KILLS_PER_DISK}");
                panic!("{what}\nrepeat it: {repeat}")
            }));
        }
        tally
    });
    let mut tally = Tally::default();
    halves.into_iter().for_each(|half| tally.add(half));
    println!("{tally:?} in {:?}", start.elapsed());
    assert!(tally.acknowledged > KILLS, "{tally:?}");
}

/// Two threads, since the machine that runs the tests has two cores at least.
fn in_two_threads<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|half| {
            scope.spawn({
                let work = &work;
                move || work(half)
            })
        });
        threads.map(|thread| thread.join().expect("a thread of the test")).into()
    })
}

#[test]
fn a_flipped_bit_costs_little_and_is_named() {
    let start = Instant::now();
    for kind in KINDS {
        let mut costs = Vec::new();
        for seed in 0..FLIPS {
            costs.push(one_flip(seed, kind, None).unwrap_or_else(|what| panic!("{what}")));
        }
        let lost: Vec<u64> = costs.iter().map(|cost| cost.lost).collect();
        let named = costs.iter().filter(|cost| cost.is_named).count();
        println!(
            "{kind:?}: {} samples lost by {FLIPS} bits, {} at most, {named} named, {:?}",
            lost.iter().sum::<u64>(),
            lost.iter().max().expect("flips"),
            start.elapsed()
        );
    }
}

#[test]
fn planted_bugs_are_noticed() {
    for plant in PLANTS {
        let start = Instant::now();
        let noticed = short_suite(Some(plant), 120);
        println!("{plant:?}: {noticed:?} after {:?}", start.elapsed());
        assert!(noticed.is_err(), "{plant:?} is not noticed");
        assert!(start.elapsed().as_secs() < 60, "{plant:?} is noticed too late");
    }
}
