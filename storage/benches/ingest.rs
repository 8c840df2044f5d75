//! What ingest costs: CPU seconds per million samples, by thread, and memory.
//!
//! `cargo bench -p storage --bench ingest -- [--series N] [--steps N] [--connections N] [--by ids|labels] [--late PERCENT]`
//!
//! Place in the flow: beside the store. The samples are those of `cargo xtask bench`: constants,
//! counters, gauges, histograms and full-precision floats; each connection sends one sample of
//! each of its series a request, at most 5,000 a request. The CPU of making the batches is that of
//! the connections' threads and not counted.
//!
//! Not here: the doors in front of the store (`cargo xtask bench`).

// A tool for a terminal prints; a room of the product never does.
#![allow(clippy::print_stdout)]

/// The values of the side-by-side benchmark.
#[path = "../../tests/bench/value.rs"]
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use journal::disk::Disk;
use model::append::SeriesId;
use model::clock::SystemClock;
use model::{Append, Batch, Clock, Labels, TimestampMs};
use storage::{Settings, Store};
use value::{mix, value};

/// Samples of one request.
const REQUEST_SAMPLES: usize = 5_000;
const INTERVAL_MS: i64 = 15_000;

#[derive(Clone)]
struct Shape {
    series: usize,
    steps: usize,
    connections: usize,
    by_ids: bool,
    late_percent: u64,
    /// Pause between two requests of a connection: a moderate load.
    pause: Duration,
}

/// Reads `--name value` pairs.
fn shape() -> Shape {
    let mut shape = Shape {
        series: 17_080,
        steps: 480,
        connections: 2,
        by_ids: true,
        late_percent: 0,
        pause: Duration::ZERO,
    };
    let all = std::env::args().skip(1);
    let arguments: Vec<String> = all.filter(|argument| argument != "--bench").collect();
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { panic!("{} needs a value", pair[0]) };
        let number = || value.parse().unwrap_or_else(|_| panic!("{name}: no number: {value}"));
        match name.as_str() {
            "--series" => shape.series = number(),
            "--steps" => shape.steps = number(),
            "--connections" => shape.connections = number(),
            "--late" => shape.late_percent = number() as u64,
            "--pause-ms" => shape.pause = Duration::from_millis(number() as u64),
            "--by" => shape.by_ids = value == "ids",
            _ => panic!("unknown option {name}"),
        }
    }
    shape
}

fn labels(index: usize) -> Labels {
    let own = index % 427;
    let name = match own {
        0..40 => "bench_constant",
        40..200 => "bench_cpu_seconds_total",
        200..300 => "bench_gauge",
        300..408 => "bench_request_seconds_bucket",
        _ => "bench_float",
    };
    let instance = format!("host-{:03}:9100", index / 427);
    let (number, half) = (own.to_string(), (own / 2).to_string());
    let all = [
        ("__name__", name),
        ("id", &number),
        ("instance", &instance),
        ("job", "bench"),
        ("part", &half),
    ];
    Labels::from_pairs(all)
}

/// CPU seconds so far by the name of the thread.
fn cpu_seconds() -> BTreeMap<String, f64> {
    let mut seconds = BTreeMap::new();
    let tasks = std::fs::read_dir("/proc/self/task").expect("the kernel shows threads");
    for task in tasks.flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let is_main = task.file_name().to_str() == Some(&std::process::id().to_string());
        let name = if is_main { "main".to_owned() } else { read("comm").trim().to_owned() };
        let stat = read("schedstat");
        let on_cpu_ns: f64 = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0.0);
        *seconds.entry(name).or_default() += on_cpu_ns / 1e9;
    }
    seconds
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn print_phase(name: &str, samples: usize, before: &BTreeMap<String, f64>, start: Instant) {
    let millions = samples as f64 / 1e6;
    let mut text = String::new();
    let mut sum = 0.0;
    for (thread, seconds) in cpu_seconds() {
        let own = (seconds - before.get(&thread).copied().unwrap_or(0.0)) / millions;
        let is_flush = thread == "main" && name.contains("flush");
        if thread.starts_with("store") || thread == "journal" || is_flush {
            sum += own;
            text.push_str(&format!(" {thread} {own:.4}"));
        }
    }
    let wall_s = start.elapsed().as_secs_f64();
    println!(
        "{name}: CPU s per million samples {sum:.4} ({}), {:.2} M samples/s, RSS {:.1} MiB",
        text.trim(),
        millions / wall_s,
        resident_mib()
    );
}

/// One connection's series, as the sender knows them.
struct Sender {
    runtime: tokio::runtime::Runtime,
    own: Vec<(usize, Labels)>,
    ids: Vec<Option<SeriesId>>,
}

impl Sender {
    fn new(shape: &Shape, connection: usize) -> Sender {
        let own: Vec<_> = (connection..shape.series)
            .step_by(shape.connections)
            .map(|index| (index, labels(index)))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Sender { runtime, ids: vec![None; own.len()], own }
    }

    /// Sends one step of all series; says how long each request took.
    fn step(&mut self, store: &Store, step: usize, shape: &Shape, at_ms: i64) -> Vec<Duration> {
        let mut waits = Vec::new();
        let chunks = self.own.chunks(REQUEST_SAMPLES).zip(self.ids.chunks_mut(REQUEST_SAMPLES));
        for (chunk, ids) in chunks {
            let mut batch = Batch::new();
            for ((index, labels), id) in chunk.iter().zip(&*ids) {
                let series = match id.filter(|_| shape.by_ids) {
                    Some(id) => batch.known_series(id),
                    None => batch.series(labels),
                };
                let is_late =
                    step > 0 && mix((index * 7919 + step) as u64) % 100 < shape.late_percent;
                let late_ms = if is_late { INTERVAL_MS * 5 / 2 } else { 0 };
                batch.sample(series, TimestampMs(at_ms - late_ms), value(*index, step));
            }
            let start = Instant::now();
            let answer = self.runtime.block_on(store.append(batch)).expect("the store takes it");
            waits.push(start.elapsed());
            ids.copy_from_slice(&answer.ids);
            if !shape.pause.is_zero() {
                std::thread::sleep(shape.pause);
            }
        }
        waits
    }
}

/// All connections at once, each as fast as it is answered.
fn append_all(store: &Store, senders: Vec<Sender>, shape: &Shape, start_ms: i64) {
    let (before, start) = (cpu_seconds(), Instant::now());
    let mut resident = Vec::new();
    let barrier = Barrier::new(shape.connections + 1);
    let waits = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for mut sender in senders {
            let (store, barrier, waits) = (store, &barrier, &waits);
            scope.spawn(move || {
                let mut own = Vec::new();
                for step in 1..shape.steps {
                    own.extend(sender.step(
                        store,
                        step,
                        shape,
                        start_ms + step as i64 * INTERVAL_MS,
                    ));
                    if step == 20 || step == 240 {
                        barrier.wait();
                    }
                }
                waits.lock().expect("no panics").extend(own);
                barrier.wait();
            });
        }
        let marks = [20, 240].iter().filter(|step| **step < shape.steps).count();
        for _ in 0..marks {
            barrier.wait();
            let stats = store.stats();
            resident.push((resident_mib(), stats.memtable_bytes, stats.samples_in_memtable));
        }
        barrier.wait();
        print_phase("append", shape.series * (shape.steps - 1), &before, start);
    });
    for (resident_mib, bytes, samples) in resident {
        println!(
            "on the way: {} samples/series, RSS {resident_mib:.1} MiB, memtable {:.0} bytes/series, {:.2} bytes/sample",
            samples / shape.series as u64,
            bytes as f64 / shape.series as f64,
            bytes as f64 / samples as f64,
        );
    }
    let mut waits = waits.into_inner().expect("no panics");
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!("answers: p50 {:?}, p99 {:?}, longest {:?}", at(0.5), at(0.99), at(1.0));
}

fn run(shape: &Shape, dir: &Path) {
    let store = Store::open(Disk::real(), dir, Settings::default(), Arc::new(SystemClock));
    let store = store.expect("the store opens");
    let end_ms = SystemClock.now().0 / 7_200_000 * 7_200_000;
    let start_ms = end_ms - shape.steps as i64 * INTERVAL_MS;
    let mut senders: Vec<Sender> =
        (0..shape.connections).map(|connection| Sender::new(shape, connection)).collect();
    println!("start: RSS {:.1} MiB", resident_mib());

    let (before, start) = (cpu_seconds(), Instant::now());
    for sender in &mut senders {
        sender.step(&store, 0, shape, start_ms);
    }
    print_phase("new series", shape.series, &before, start);

    append_all(&store, senders, shape, start_ms);
    let stats = store.stats();
    println!(
        "journal {:.1} MiB ({} commits, {} blocks written so far), refused {:?}",
        stats.journal_bytes as f64 / (1 << 20) as f64,
        stats.commits_count,
        stats.blocks_written_count,
        stats.refused
    );
    let (before, start, rest) = (cpu_seconds(), Instant::now(), stats.samples_in_memtable);
    store.flush().expect("the store flushes");
    print_phase("last flush", rest.max(1) as usize, &before, start);
    let stats = store.stats();
    println!(
        "blocks {:.2} bytes/sample",
        stats.block_bytes as f64 / stats.block_samples.max(1) as f64
    );
    store.close().expect("the store closes");
}

fn main() {
    let shape = shape();
    let dir = tempfile::tempdir().expect("a folder");
    println!(
        "{} series, {} steps, {} connections, by {}",
        shape.series,
        shape.steps,
        shape.connections,
        if shape.by_ids { "ids" } else { "labels" }
    );
    run(&shape, dir.path());
}
