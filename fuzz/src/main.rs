//! The long forms on the command line; `cargo xtask soak`, `fuzz` and `planted` call it.
//!
//! Place in the flow: arguments → a scenario or target, seed after seed → progress, or the first
//! failure with the command that repeats it.
//!
//! Not here: the scenarios (the library).

// A tool for a terminal prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::store::flips::{KINDS, one_flip};
use fuzz::store::kills::{KILLS_PER_DISK, Tally, one_disk};
use fuzz::store::planted::{PLANTS, short_suite};
use fuzz::target::hunt::hunt;
use fuzz::target::{ALL, named};

const USAGE: &str = "\
soak [--minutes N | --kills N] [--seed S]   kills, power cuts and flipped bits
fuzz [TARGET] [--seconds N] [--seed S]      one target, or all of them
planted [NAME]                              the short suite, with a bug: sync, sync_dir, checksum,
                                            block, index, manifest";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("soak") => soak(rest),
        Some("fuzz") => fuzz(rest),
        Some("planted") => planted(rest.first().map(String::as_str)),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The number behind an option.
fn number(arguments: &[String], option: &str) -> Result<Option<u64>, String> {
    let Some(place) = arguments.iter().position(|own| own == option) else { return Ok(None) };
    let text = arguments.get(place + 1).ok_or_else(|| format!("{option} wants a number"))?;
    text.parse().map(Some).map_err(|_| format!("{option} wants a number, not {text:?}"))
}

fn soak(arguments: &[String]) -> Result<(), String> {
    let minutes = number(arguments, "--minutes")?;
    let kills = number(arguments, "--kills")?;
    let first = number(arguments, "--seed")?.unwrap_or(0);
    let kills = kills.or(minutes.is_none().then_some(100_000)).unwrap_or(u64::MAX);
    let time = minutes.map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes));
    let (start, mut told) = (Instant::now(), Instant::now());
    let (mut tally, mut flips, mut seed) = (Tally::default(), 0, first);
    while tally.kills < kills && start.elapsed() < time {
        let repeat = format!("cargo xtask soak --seed {seed} --kills {KILLS_PER_DISK}");
        let repeated = |what: String| format!("{what}\nrepeat it: {repeat}");
        tally.add(one_disk(seed, KILLS_PER_DISK, None).map_err(repeated)?);
        for kind in KINDS {
            one_flip(seed, kind, None).map_err(repeated)?;
            flips += 1;
        }
        seed += 1;
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            println!(
                "{:>6} s, seed {seed}: {tally:?}, {flips} flipped bits",
                start.elapsed().as_secs()
            );
        }
    }
    println!("{tally:?}, {flips} flipped bits, seeds {first} to {}: nothing lost", seed - 1);
    Ok(())
}

fn fuzz(arguments: &[String]) -> Result<(), String> {
    let time = Duration::from_secs(number(arguments, "--seconds")?.unwrap_or(60));
    let seed = number(arguments, "--seed")?.unwrap_or(1);
    let name = arguments.first().filter(|own| !own.starts_with("--"));
    let names = ALL.map(|target| target.name).join(", ");
    let targets = match name {
        Some(name) => vec![named(name).ok_or_else(|| format!("{name} is none of {names}"))?],
        None => ALL.iter().collect(),
    };
    for target in targets {
        let runs = hunt(target, seed, time).map_err(|what| {
            format!("{what}\nrepeat it: cargo xtask fuzz {} --seed {seed}", target.name)
        })?;
        println!("{}: {runs} inputs", target.name);
    }
    Ok(())
}

fn planted(name: Option<&str>) -> Result<(), String> {
    let plant = match name {
        Some(name) => {
            let found = PLANTS.into_iter().find(|plant| plant.name() == name);
            Some(found.ok_or_else(|| format!("there is no bug {name:?}"))?)
        }
        None => None,
    };
    let start = Instant::now();
    // A bug that is not noticed may take its time.
    let seeds = if plant.is_some() { 120 } else { 40 };
    short_suite(plant, seeds).map_err(|what| format!("noticed after {:?}: {what}", start.elapsed()))
}
