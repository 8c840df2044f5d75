//! Runs a target for a while.
//!
//! Place in the flow: seeds → changed again and again → the target; what fails is shown whole.
//!
//! Not here: what the targets are (`target`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{Golden, Target};
use crate::mutate::mutate;
use crate::random::Random;

/// Inputs kept beside the seeds, so that changes pile up.
const KEPT_MAX: usize = 64;

/// Feeds a target until the time is over; answers how many inputs it took. The error shows the input
/// and repeats with the same seed.
pub fn hunt(target: &Target, seed: u64, time: Duration) -> Result<u64, String> {
    let golden = Golden::new(seed);
    let mut random = Random::new(seed);
    let mut inputs = (target.seeds)(&golden, &mut random);
    inputs.retain(|input| !input.is_empty());
    let seeds = inputs.len();
    for input in &inputs {
        check(target, &golden, input)?;
    }
    let start = Instant::now();
    let mut runs = seeds as u64;
    while start.elapsed() < time {
        let mut input = random.pick(&inputs).clone();
        let other = random.pick(&inputs).clone();
        mutate(&mut input, &other, &mut random, target.keep_length);
        check(target, &golden, &input)?;
        runs += 1;
        if random.one_in(8) && !input.is_empty() {
            if inputs.len() < seeds + KEPT_MAX {
                inputs.push(input);
            } else {
                let place = seeds + random.below(KEPT_MAX as u64) as usize;
                inputs[place] = input;
            }
        }
    }
    Ok(runs)
}

/// Feeds one input.
pub fn check(target: &Target, golden: &Golden, input: &[u8]) -> Result<(), String> {
    let what = match catch_unwind(AssertUnwindSafe(|| (target.run)(golden, input))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(what)) => what,
        Err(_) => "it panicked; the message stands above".to_owned(),
    };
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    Err(format!("target {}: {what}\ninput: {hex}", target.name))
}
