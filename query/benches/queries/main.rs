//! How long queries take in the engine, over a real store: no HTTP, no JSON.
//!
//! `cargo bench -p query --bench queries -- [mix|range] [--folder DIR] [--only TEXT] [--rounds N] [--blocks yes]`
//!
//! `mix`: the data of the side-by-side benchmark (17,080 series, 6 h at 15 s). `range`: the data and
//! the 43 expressions of upstream's own range-query benchmark. The store is filled once; with
//! `--folder` it is kept for the next run; with `--blocks yes` nothing is left in memory. Printed: the median of each query, and how it splits into
//! choosing series, reading samples and the rest; with several threads those add up over threads. CPU
//! is the mean of a round: on a busy machine it says more.

// A tool for a terminal prints; a room of the product never does.
#![allow(clippy::print_stdout)]

/// The values of the side-by-side benchmark.
#[path = "../../../tests/bench/value.rs"]
mod value;
/// The queries of the side-by-side benchmark.
#[path = "../../../tests/bench/questions.rs"]
mod questions;
/// The data of the side-by-side benchmark and its queries.
mod mix;
/// The data and expressions of upstream's range-query benchmark.
mod range;
/// A source that takes the time.
mod timed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use journal::disk::Disk;
use model::TimestampMs;
use model::clock::ManualClock;
use query::{Answer, Engine, QueryOptions, Settings, Value};
use storage::Store;
use timed::Timed;

/// What the command line says.
pub struct Options {
    which: Option<String>,
    folder: Option<PathBuf>,
    only: String,
    rounds: usize,
    blocks: bool,
}

/// One query at an instant or over a range.
pub struct Question {
    /// What the table calls it.
    pub name: String,
    /// The expression.
    pub text: String,
    /// First instant.
    pub start_ms: i64,
    /// Last instant.
    pub end_ms: i64,
    /// From one step to the next; zero for an instant query.
    pub step_ms: i64,
}

fn options() -> Options {
    let only = String::new();
    let mut options = Options { which: None, folder: None, only, rounds: 15, blocks: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("an option has a value");
        match argument.as_str() {
            "--folder" => options.folder = Some(value().into()),
            "--only" => options.only = value(),
            "--blocks" => options.blocks = value() == "yes",
            "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
            "--bench" => {}
            other => options.which = Some(other.to_owned()),
        }
    }
    options
}

/// A store in a folder; `fill` is called when it is new.
pub async fn store(
    options: &Options,
    name: &str,
    (settings, end_ms): (storage::Settings, i64),
    fill: impl AsyncFnOnce(Arc<Store>),
) -> (Arc<Store>, Option<tempfile::TempDir>) {
    let temporary = options.folder.is_none().then(|| tempfile::tempdir().expect("a folder"));
    let folder = match (&options.folder, &temporary) {
        (Some(folder), _) => folder.join(name),
        (None, Some(temporary)) => temporary.path().join(name),
        (None, None) => unreachable!("there is a temporary folder when none is given"),
    };
    let is_new = !folder.exists();
    let clock = Arc::new(ManualClock::new(TimestampMs(end_ms)));
    let started = Instant::now();
    let store = Store::open(Disk::real(), &folder, settings, clock).expect("opens");
    if is_new {
        fill(Arc::clone(&store)).await;
        if options.blocks {
            store.compact().expect("compacts");
        }
        println!("filled in {:.1} s", started.elapsed().as_secs_f64());
    }
    (store, temporary)
}

/// Asks every question and prints a line for each.
pub async fn ask(store: &Arc<Store>, options: &Options, end_ms: i64, questions: &[Question]) {
    let stats = store.stats();
    println!(
        "{} series, {} blocks, {} samples in blocks, {} in memory",
        stats.series, stats.blocks, stats.block_samples, stats.samples_in_memtable
    );
    let timed = Arc::new(Timed::new(Arc::clone(store)));
    let clock = Arc::new(ManualClock::new(TimestampMs(end_ms)));
    let settings = Settings { timeout_ms: 100_000, ..Settings::default() };
    let engine = Engine::new(timed.clone(), clock, settings);
    let titles = ["median ms", "select", "read", "best", "CPU"].map(|title| format!("{title:>10}"));
    println!("{:<52}{}  points", "", titles.concat());
    let (mut logs, mut count) = (0.0, 0);
    for question in questions.iter().filter(|question| question.name.contains(&options.only)) {
        let mut runs = Vec::new();
        let mut points = 0;
        let (begun, cpu_before_ms) = (Instant::now(), cpu_ms());
        for round in 0..options.rounds.max(1) {
            if round > 2 && begun.elapsed().as_secs() > 5 {
                break;
            }
            timed.reset();
            let started = Instant::now();
            let answer = run(&engine, question).await;
            let total_ms = started.elapsed().as_secs_f64() * 1000.0;
            runs.push((total_ms, timed.select_ms(), timed.read_ms()));
            points = count_points(&answer);
        }
        let cpu = (cpu_ms() - cpu_before_ms) / runs.len() as f64;
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (total, select, read) = runs[runs.len() / 2];
        println!(
            "{:<52}{total:>10.3}{select:>10.3}{read:>10.3}{:>10.3}{cpu:>10.3}  {points}",
            question.name, runs[0].0
        );
        logs += total.ln();
        count += 1;
    }
    println!("{:<52}{:>10.3}", "geometric mean", (logs / f64::from(count)).exp());
}

/// CPU time of all threads of this process so far.
fn cpu_ms() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let own = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.flatten().map(own).sum::<f64>() / 1e6
}

async fn run(engine: &Engine, question: &Question) -> Answer {
    let (start, end) = (TimestampMs(question.start_ms), TimestampMs(question.end_ms));
    let options = QueryOptions::default();
    let answer = match question.step_ms {
        0 => engine.instant(&question.text, end, &options).await,
        step_ms => engine.range(&question.text, start, end, step_ms, &options).await,
    };
    answer.unwrap_or_else(|error| panic!("{}: {error}", question.text))
}

fn count_points(answer: &Answer) -> usize {
    match &answer.value {
        Value::Matrix(series) => series.iter().map(|series| series.points.len()).sum(),
        Value::Vector(samples) => samples.len(),
        Value::Scalar { .. } | Value::Text { .. } => 1,
    }
}

#[tokio::main]
async fn main() {
    let options = options();
    let which = options.which.as_deref().unwrap_or("all");
    if matches!(which, "all" | "mix") {
        mix::bench(&options).await;
    }
    if matches!(which, "all" | "range") {
        range::bench(&options).await;
    }
}
