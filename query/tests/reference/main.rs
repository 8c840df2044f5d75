//! The engine against a naive reference: random series, random expressions, equal answers.
//!
//! Place in the flow: bytes → `case` (series from `data`, an expression from `grammar`) → the engine
//! and `naive` → `close` compares.
//!
//! `cargo test` runs a number of cases from fixed seeds. `cargo xtask soak reference` runs this
//! program with `--minutes N` or `--cases N` and `--seed S`. What differs is made smaller by proptest
//! before it is shown.

// A test program prints its verdict.
#![allow(clippy::print_stdout)]

/// A question on some data, asked of both.
mod case;
/// Decisions out of bytes.
mod choices;
/// Comparison of answers.
mod close;
/// Random series.
mod data;
/// Random expressions.
mod grammar;
/// The reference.
mod naive;
/// The order of instant answers.
mod order;
/// The series as a source of the engine.
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use case::{Case, Verdict};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// Cases of one seed, which proptest draws one after the other.
const CASES_PER_SEED: u32 = 100;
/// Bytes of one case, at most.
const BYTES_MAX: usize = 4096;
/// What `cargo test` runs.
const CASES: u64 = 2000;

struct Arguments {
    cases: u64,
    time: Duration,
    seed: u64,
    is_filtered_out: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            println!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.is_filtered_out {
        return ExitCode::SUCCESS;
    }
    match hunt(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut found =
            Arguments { cases: CASES, time: Duration::MAX, seed: 0, is_filtered_out: false };
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let mut number = || -> Result<u64, String> {
                let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
                text.parse().map_err(|_| format!("{word} needs a number, not {text:?}"))
            };
            match word.as_str() {
                "--cases" => found.cases = number()?,
                "--minutes" => {
                    found.time = Duration::from_secs(60 * number()?);
                    found.cases = u64::MAX;
                }
                "--seed" => found.seed = number()?,
                // What `cargo test` hands to every test program.
                "--list" => found.is_filtered_out = true,
                "--test-threads" | "--skip" | "--format" | "--color" => drop(words.next()),
                word if word.starts_with('-') => {}
                filter => found.is_filtered_out |= !"reference".contains(filter),
            }
        }
        Ok(found)
    }
}

/// Runs seed after seed on two threads until the time is over or the number is reached.
fn hunt(arguments: &Arguments) -> Result<(), String> {
    let start = Instant::now();
    let halves: Vec<Result<BTreeMap<String, u64>, String>> = std::thread::scope(|scope| {
        let threads = [0, 1].map(|half| scope.spawn(move || hunt_half(arguments, half, start)));
        threads.map(|thread| thread.join().expect("a thread of the test")).into()
    });
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    for half in halves {
        for (verdict, count) in half? {
            *tally.entry(verdict).or_default() += count;
        }
    }
    println!("reference: {tally:?} in {:?}", start.elapsed());
    let all: u64 = tally.values().sum();
    let count = |verdict: Verdict| tally.get(&format!("{verdict:?}")).copied().unwrap_or(0);
    // A generator that asks for nothing would agree with everything.
    if all >= 1000 && (count(Verdict::Same) < all / 3 || count(Verdict::Open) > all / 20) {
        return Err("too few cases say anything".to_owned());
    }
    Ok(())
}

fn hunt_half(
    arguments: &Arguments,
    half: u64,
    start: Instant,
) -> Result<BTreeMap<String, u64>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    let mut round = half;
    let per_seed = u64::from(CASES_PER_SEED);
    while round.saturating_mul(per_seed) < arguments.cases && start.elapsed() < arguments.time {
        let seed = arguments.seed.wrapping_add(round);
        let counts = one_seed(seed, &runtime).map_err(|problem| {
            format!("{problem}\nrepeat it: cargo xtask soak reference --cases 1 --seed {seed}")
        })?;
        for (verdict, count) in counts {
            *tally.entry(verdict).or_default() += count;
        }
        round += 2;
    }
    Ok(tally)
}

/// The cases of one seed; a difference is shrunk and described.
fn one_seed(seed: u64, runtime: &tokio::runtime::Runtime) -> Result<BTreeMap<String, u64>, String> {
    let config = Config {
        cases: CASES_PER_SEED,
        failure_persistence: None,
        max_shrink_time: 8_000,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let tally = std::cell::RefCell::new(BTreeMap::new());
    let outcome =
        runner.run(&vec(any::<u8>(), 0..BYTES_MAX), |bytes| match Case::new(&bytes).run(runtime) {
            Ok(verdict) => {
                *tally.borrow_mut().entry(format!("{verdict:?}")).or_default() += 1;
                Ok(())
            }
            Err(difference) => Err(TestCaseError::fail(difference)),
        });
    match outcome {
        Ok(()) => Ok(tally.into_inner()),
        Err(TestError::Fail(reason, _)) => Err(reason.message().to_owned()),
        Err(TestError::Abort(reason)) => Err(reason.message().to_owned()),
    }
}
