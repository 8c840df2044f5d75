//! Runs PromQL test files: `promqltest [FILE | FOLDER]… [--features all] [--source SOURCE]`.
//!
//! Place in the flow: `script` reads a file → `run` asks the engine → `compare` → **`main`** counts.
//!
//! Without files it runs those of `tests/data/promqltest` and our own with everything switched on and
//! compares the counts with `expected.tsv` there: a ratchet that `UPDATE=1` rewrites. One evaluation command
//! is one case, however many questions it takes.

// A test program prints its verdict.
#![allow(clippy::print_stdout)]

/// Table or store behind the engine.
mod backing;
/// Answers against expectations.
mod compare;
/// The lines below a query.
mod expectation;
/// Queries fixed to one time.
mod pinned;
/// Native histograms.
mod native;
/// Files against an engine.
mod run;
/// Files to commands.
mod script;
/// Proof that the runner notices what is wrong.
mod selfcheck;
/// Series in memory.
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use backing::Backing;
use run::{Outcome, Plan, Runner};

/// What the command line asks for.
struct Arguments {
    paths: Vec<PathBuf>,
    plan: Plan,
    /// Only cases whose `file:line` or query contains this.
    only: Option<String>,
    is_filtered_out: bool,
}

/// Counts of one file.
#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    /// Where the cases begin that passed.
    passed_lines: BTreeSet<usize>,
    gated: BTreeMap<&'static str, usize>,
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
    let outcome = if arguments.paths.is_empty() { ratchet(&arguments) } else { plain(&arguments) };
    match outcome {
        Ok(code) => code,
        Err(message) => {
            println!("promqltest: {message}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let plan = Plan { all_features: false, backing: Backing::Store, once: false };
        let mut found = Arguments { paths: Vec::new(), plan, only: None, is_filtered_out: false };
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--features" => match value()?.as_str() {
                    "all" => found.plan.all_features = true,
                    other => return Err(format!("unknown features {other:?}; there is: all")),
                },
                "--source" => {
                    let word = value()?;
                    found.plan.backing = Backing::from_word(&word).ok_or_else(|| {
                        format!("unknown source {word:?}; there are: table, store, flushed")
                    })?;
                }
                "--only" => found.only = Some(value()?),
                "--once" => found.plan.once = true,
                // What `cargo test` hands to every test program.
                "--list" => found.is_filtered_out = true,
                "--test-threads" | "--skip" | "--format" | "--color" => drop(value()?),
                word if word.starts_with('-') => {}
                word if Path::new(word).exists() => found.paths.push(PathBuf::from(word)),
                word if word.contains('/') || word.ends_with(".test") => {
                    return Err(format!("no such file or folder: {word}"));
                }
                filter => found.is_filtered_out |= !"promqltest".contains(filter),
            }
        }
        Ok(found)
    }
}

/// The files of the tree, with the ratchet.
fn ratchet(arguments: &Arguments) -> Result<ExitCode, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/promqltest");
    let plan = Plan { all_features: true, ..arguments.plan };
    selfcheck::run()?;
    // What upstream's files leave out.
    let own = folder.join("../promql/exact.test");
    let files = files(&[folder.clone(), own])?;
    let counts = run_files(&files, plan, arguments)?;
    let path = folder.join("expected.tsv");
    let (passed, failed) = totals(&counts);
    if std::env::var_os("UPDATE").is_some() {
        let mut text = String::from("# file\tcases that pass\n");
        for (name, count) in &counts {
            let _ = writeln!(text, "{name}\t{}", count.passed);
        }
        std::fs::write(&path, text).map_err(|error| format!("write expected.tsv: {error}"))?;
    }
    let held = std::fs::read_to_string(&path)
        .map_err(|error| format!("read expected.tsv: {error}; UPDATE=1 writes it"))?;
    let mut slipped = Vec::new();
    for line in held.lines().filter(|line| !line.starts_with('#')) {
        let (name, expected) = line.split_once('\t').ok_or("expected.tsv: no tab in a line")?;
        let expected: usize = expected.parse().map_err(|_| "expected.tsv: not a number")?;
        let found = counts.get(name).map_or(0, |count| count.passed);
        if found < expected && arguments.only.is_none() {
            slipped.push(format!("{name}: {found} passed, at least {expected} expected"));
        }
    }
    slipped.extend(differences(&files, plan, &counts)?);
    for line in &slipped {
        println!("promqltest: {line}");
    }
    let verdict = if slipped.is_empty() { "ratchet held" } else { "ratchet broken" };
    println!("promqltest: {verdict}");
    println!("{passed} passed, {failed} failed");
    Ok(if slipped.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Samples in blocks must give the answers that samples in memory gave. Each question is asked once.
fn differences(
    files: &[PathBuf],
    plan: Plan,
    counts: &BTreeMap<String, Count>,
) -> Result<Vec<String>, String> {
    let plan = Plan { backing: Backing::Flushed, once: true, ..plan };
    let mut found = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("read {}: {error}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let runtime = runtime()?;
        let passed_before = &counts[name.as_ref()].passed_lines;
        run_file(&text, plan, &runtime, &mut |line, query, outcome| {
            if let Outcome::Failed(reason) = outcome
                && passed_before.contains(&line)
            {
                found.push(format!("{name}:{line} {query} fails from blocks only: {reason}"));
            }
        })?;
    }
    Ok(found)
}

/// Files from outside.
fn plain(arguments: &Arguments) -> Result<ExitCode, String> {
    let counts = run_files(&files(&arguments.paths)?, arguments.plan, arguments)?;
    let mut gated: BTreeMap<&str, usize> = BTreeMap::new();
    for (feature, count) in counts.values().flat_map(|count| &count.gated) {
        *gated.entry(feature).or_default() += count;
    }
    for (feature, count) in gated {
        println!("not counted: {count} cases that need {feature}; --features all runs them");
    }
    let (passed, failed) = totals(&counts);
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn totals(counts: &BTreeMap<String, Count>) -> (usize, usize) {
    counts
        .values()
        .fold((0, 0), |(passed, failed), count| (passed + count.passed, failed + count.failed))
}

/// The `.test` files among the paths and in the folders, sorted.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_file() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path)
            .map_err(|error| format!("read folder {}: {error}", path.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("read folder: {error}"))?.path();
            if path.extension().is_some_and(|extension| extension == "test") {
                found.push(path);
            }
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err("no .test files there".to_owned()),
        false => Ok(found),
    }
}

fn run_files(
    files: &[PathBuf],
    plan: Plan,
    arguments: &Arguments,
) -> Result<BTreeMap<String, Count>, String> {
    let runtime = runtime()?;
    let mut counts = BTreeMap::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("read {}: {error}", path.display()))?;
        let mut count = Count::default();
        let report = |line: usize, text: &str, reason: &str| {
            println!("FAIL {name}:{line} {text}\n     {reason}");
        };
        if let Err(message) = run_file(&text, plan, &runtime, &mut |line, text, outcome| {
            let place = format!("{name}:{line}");
            let is_wanted = |only: &String| place.contains(only) || text.contains(only.as_str());
            match outcome {
                _ if !arguments.only.as_ref().is_none_or(is_wanted) => {}
                Outcome::Passed => {
                    count.passed += 1;
                    count.passed_lines.insert(line);
                }
                Outcome::Gated(feature) => *count.gated.entry(feature).or_default() += 1,
                Outcome::Failed(reason) => {
                    count.failed += 1;
                    report(line, text, &reason);
                }
            }
        }) {
            count.failed += 1;
            println!("FAIL {name}:{message}");
        }
        println!("{name}: {} passed, {} failed", count.passed, count.failed);
        counts.insert(name, count);
    }
    Ok(counts)
}

/// A runtime for the engine's calls.
pub fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("start runtime: {error}"))
}

/// Runs one file's text and tells `judged` about every case.
pub fn run_file(
    text: &str,
    plan: Plan,
    runtime: &tokio::runtime::Runtime,
    judged: &mut dyn FnMut(usize, &str, Outcome),
) -> Result<(), String> {
    let commands = script::parse(text)?;
    let mut runner = Runner::new(plan, runtime)?;
    let mut broken: Option<String> = None;
    for command in &commands {
        let outcome = match &broken {
            // The samples are not what the file says; only `clear` gets us back to that.
            Some(reason) if !matches!(command, script::Command::Clear) => match command {
                script::Command::Eval(_) => Some(Outcome::Failed(reason.clone())),
                _ => None,
            },
            _ => {
                broken = None;
                runner.command(command).unwrap_or_else(|reason| {
                    broken = Some(reason);
                    None
                })
            }
        };
        if let (script::Command::Eval(case), Some(outcome)) = (command, outcome) {
            judged(case.line, &case.text, outcome);
        }
    }
    Ok(())
}
