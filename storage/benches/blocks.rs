//! What the disk side of the store costs: bytes per sample by file and column, CPU seconds per
//! million samples of flush and of compaction.
//!
//! `cargo bench -p storage --bench blocks [-- --hosts N] [--hours H]`: hosts of 427 series each, one
//! sample every 15 s; the mix of tests/bench/data.rs. The default is 20 hosts for 6 hours.

// A tool for a terminal prints; a room of the product never does.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints")]

/// The values of the side-by-side benchmark.
#[path = "../../tests/bench/value.rs"]
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use journal::disk::Disk;
use model::append::SeriesId;
use model::clock::SystemClock;
use model::{Append, Batch, Labels, TimestampMs};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use storage::{Settings, Store};
use value::value;

const STEP_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const SERIES_PER_HOST: usize = 427;

fn labels(index: usize) -> Labels {
    let instance = format!("host-{:03}:9100", index / SERIES_PER_HOST);
    let own = index % SERIES_PER_HOST;
    let number = own.to_string();
    let mut pairs = vec![("instance", instance.as_str()), ("job", "bench")];
    let (cpu, route) = ((own.max(40) - 40) / 8, format!("/r{}", (own.max(300) - 300) / 12));
    let cpu = cpu.to_string();
    const MODES: [&str; 8] =
        ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"];
    const BOUNDS: [&str; 12] =
        ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    match own {
        0..40 => pairs.extend([("__name__", "bench_constant"), ("id", &number)]),
        40..200 => pairs.extend([
            ("__name__", "bench_cpu_seconds_total"),
            ("cpu", &cpu),
            ("mode", MODES[own % 8]),
        ]),
        200..300 => pairs.extend([("__name__", "bench_gauge"), ("id", &number)]),
        300..408 => pairs.extend([
            ("__name__", "bench_request_seconds_bucket"),
            ("le", BOUNDS[(own - 300) % 12]),
            ("route", &route),
        ]),
        _ => pairs.extend([("__name__", "bench_float"), ("id", &number)]),
    }
    Labels::from_pairs(pairs)
}

/// CPU seconds of this process, all threads.
fn cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

fn peak_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn append(store: &Store, ids: &[SeriesId], start_ms: i64, steps: std::ops::Range<usize>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for part in steps.collect::<Vec<_>>().chunks(8) {
        let mut batch = Batch::new();
        let known: Vec<_> = ids.iter().map(|id| batch.known_series(*id)).collect();
        for &step in part {
            let at = TimestampMs(start_ms + step as i64 * STEP_MS);
            for (index, series) in known.iter().enumerate() {
                batch.sample(*series, at, value(index, step));
            }
        }
        let answer = runtime.block_on(store.append(batch)).unwrap();
        assert_eq!(answer.refused, vec![]);
    }
}

/// The classes of values in the order of blocks, and the series of a host up to the end of each.
const CLASSES: [(&str, usize); 5] =
    [("constant", 40), ("counter", 200), ("float", 219), ("gauge", 319), ("bucket", 427)];

/// Columns of a file, its pages by class of values, and how many pages there are.
fn samples_bytes(path: &Path, sizes: &mut BTreeMap<String, u64>) {
    let options = ReadOptionsBuilder::new().with_page_index().build();
    let file = std::fs::File::open(path).unwrap();
    let reader = SerializedFileReader::new_with_options(file, options).unwrap();
    let metadata = reader.metadata();
    let rows = metadata.file_metadata().num_rows() as usize;
    let offsets = metadata.offset_index().unwrap();
    let mut first_row = 0;
    for (group, offsets) in metadata.row_groups().iter().zip(offsets) {
        for (column, offsets) in group.columns().iter().zip(offsets) {
            let name = column.column_path().string();
            *sizes.entry(format!("  column {name}")).or_default() +=
                column.compressed_size() as u64;
            *sizes.entry(format!(" pages of {name}")).or_default() +=
                offsets.page_locations().len() as u64;
            if !["ts", "v_int", "v_float"].contains(&name.as_str()) {
                continue;
            }
            let places = offsets.page_locations();
            for (index, place) in places.iter().enumerate() {
                let end = places.get(index + 1).map_or(group.num_rows(), |own| own.first_row_index);
                let middle = first_row + (place.first_row_index + end) as usize / 2;
                let own = middle * SERIES_PER_HOST / rows;
                let class = CLASSES.iter().find(|class| own < class.1).unwrap().0;
                let name = format!("   {class} {name}");
                *sizes.entry(name).or_default() += place.compressed_page_size as u64;
            }
        }
        first_row += group.num_rows() as usize;
    }
}

fn folder_bytes(folder: &Path, sizes: &mut BTreeMap<String, u64>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.metadata().unwrap().is_dir() {
            folder_bytes(&entry.path(), sizes);
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        let name = if name.contains('.')
            || ["index", "guard", "manifest", "reserve"].contains(&name.as_str())
        {
            name
        } else {
            folder.file_name().unwrap().to_string_lossy().into_owned()
        };
        *sizes.entry(name).or_default() += entry.metadata().unwrap().len();
        if entry.file_name() == "samples.parquet" {
            samples_bytes(&entry.path(), sizes);
        }
    }
}

fn print_sizes(what: &str, dir: &Path, samples: usize) {
    let mut sizes = BTreeMap::new();
    folder_bytes(dir, &mut sizes);
    println!("{what}: bytes per sample");
    for (name, bytes) in &sizes {
        if name.starts_with(" pages") {
            println!("  {name:<24} {bytes}");
            continue;
        }
        let class = CLASSES.iter().position(|class| name.trim().starts_with(class.0));
        let share = class.map_or(1.0, |class| {
            let before = class.checked_sub(1).map_or(0, |before| CLASSES[before].1);
            (CLASSES[class].1 - before) as f64 / SERIES_PER_HOST as f64
        });
        println!("  {name:<24} {:.4}", *bytes as f64 / samples as f64 / share);
    }
    let all: u64 = sizes.iter().filter(|size| !size.0.starts_with(' ')).map(|size| size.1).sum();
    println!("  {:<24} {:.4}", "all", all as f64 / samples as f64);
}

fn main() {
    let (mut hosts, mut hours) = (20, 6);
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    for pair in arguments.chunks(2) {
        match (pair[0].as_str(), pair.get(1).and_then(|value| value.parse().ok())) {
            ("--hosts", Some(number)) => hosts = number,
            ("--hours", Some(number)) => hours = number,
            _ => panic!("options are --hosts N and --hours H"),
        }
    }
    let dir = tempfile::tempdir_in(".").unwrap();
    // Nothing is flushed but when this asks for it.
    let settings = Settings { flush_margin_ms: 1 << 50, ..Settings::default() };
    let store = Store::open(Disk::real(), dir.path(), settings, Arc::new(SystemClock)).unwrap();
    let now_ms = model::Clock::now(&SystemClock).0;
    let start_ms = (now_ms - 10 * HOUR_MS) / (24 * HOUR_MS) * 24 * HOUR_MS - 24 * HOUR_MS;
    let mut batch = Batch::new();
    let series = hosts * SERIES_PER_HOST;
    for index in 0..series {
        let at = TimestampMs(start_ms);
        let series = batch.series(&labels(index));
        batch.sample(series, at, value(index, 0));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ids: Vec<SeriesId> =
        runtime.block_on(store.append(batch)).unwrap().ids.into_iter().flatten().collect();
    let steps = hours * 240;
    let samples = series * steps;
    let million = samples as f64 / 1e6;
    println!("{series} series, {hours} h at 15 s: {samples} samples");
    let (mut flush_s, mut flush_wall_s) = (0.0, 0.0);
    for begin in (1..steps).step_by(480) {
        append(&store, &ids, start_ms, begin..(begin + 480).min(steps));
        let (before_s, started) = (cpu_s(), std::time::Instant::now());
        store.flush().unwrap();
        flush_s += cpu_s() - before_s;
        flush_wall_s += started.elapsed().as_secs_f64();
    }
    println!("peak RSS {:.0} MiB", peak_mib());
    println!("flush: {:.4} CPU s per million ({flush_wall_s:.2} s wall)", flush_s / million);
    print_sizes("after flush", dir.path(), samples);
    compact(&store, million);
    print_sizes("after compaction", dir.path(), samples);
}

fn compact(store: &Store, million: f64) {
    let (before_s, started) = (cpu_s(), std::time::Instant::now());
    store.compact().unwrap();
    let (spent_s, wall_s) = (cpu_s() - before_s, started.elapsed().as_secs_f64());
    println!("compaction: {:.4} CPU s per million ({wall_s:.2} s wall)", spent_s / million);
    println!("peak RSS {:.0} MiB; {:?}", peak_mib(), store.stats().blocks_by_level);
}
