//! What a series costs: memory and processor time at birth, questions about labels, restart.
//!
//! Place in the flow: `cargo bench -p storage --bench series [-- <series> [births|postings]]`; prints
//! figures and judges nothing.
//!
//! Processor time is that of the store's own threads, so that making the batches does not count.
//!
//! Not here: samples of known series (`ingest`), the way over HTTP (tests/bench).

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use journal::disk::Disk;
use model::append::SeriesId;
use model::clock::SystemClock;
use model::{Append, Batch, MatchOp, Matcher, TimeRange, TimestampMs};
use storage::{Settings, Store};

/// Samples of one batch.
const BATCH_SAMPLES: usize = 5_000;
/// Samples of each series in all.
const STEPS: i64 = 20;
const INTERVAL_MS: i64 = 15_000;
const EVERYTHING: TimeRange = TimeRange::ALL;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let series = words.first().and_then(|word| word.parse().ok()).unwrap_or(1_000_000);
    if let [_, word, dir] = &words[..]
        && word == "restart"
    {
        return restart(Path::new(dir), series);
    }
    let dir = tempfile::tempdir().unwrap();
    if words.get(1).is_some_and(|word| word == "postings") {
        return postings(&open(dir.path()), series);
    }
    let end_ms = now_ms();
    println!("{series} series; rss at the start {:.0} MiB", rss_mib("VmRSS"));
    let store = open(dir.path());
    let ids = births(&store, series, end_ms - STEPS * INTERVAL_MS);
    if words.get(1).is_some_and(|word| word == "births") {
        return;
    }
    questions(&store);
    samples(&store, &ids, end_ms);
    report(&store, series, "with 20 samples each");
    store.close().unwrap();
    drop(store);
    // A process of its own, so that its memory is its own.
    let program = std::env::current_exe().unwrap();
    let arguments =
        [series.to_string().into(), "restart".into(), dir.path().as_os_str().to_owned()];
    let status = std::process::Command::new(program).args(arguments).status().unwrap();
    assert!(status.success());
}

/// Registers all series with one sample each.
fn births(store: &Store, series: usize, at_ms: i64) -> Vec<SeriesId> {
    let (mut ids, mut cpu_s, start) = (Vec::with_capacity(series), 0.0, Instant::now());
    for first in (0..series).step_by(BATCH_SAMPLES) {
        let mut batch = Batch::new();
        for index in first..series.min(first + BATCH_SAMPLES) {
            let own = labels(index);
            let ix =
                batch.series_from_sorted(own.iter().map(|(name, value)| (*name, value.as_str())));
            batch.sample(ix, TimestampMs(at_ms), (index % 1000) as f64);
        }
        let before_s = threads_cpu_s();
        let answer = block_on(store.append(batch)).unwrap();
        cpu_s += threads_cpu_s() - before_s;
        assert!(answer.refused.is_empty());
        ids.extend(answer.ids.into_iter().flatten());
    }
    assert_eq!(ids.len(), series);
    let million = series as f64 / 1e6;
    println!(
        "births: {:.2} CPU s per million, {:.1} s in all",
        cpu_s / million,
        start.elapsed().as_secs_f64()
    );
    report(store, series, "after the births");
    ids
}

/// The other samples, by number.
fn samples(store: &Store, ids: &[SeriesId], end_ms: i64) {
    let mut cpu_s = 0.0;
    for step in 1..STEPS {
        let at = TimestampMs(end_ms - (STEPS - step) * INTERVAL_MS);
        for part in ids.chunks(BATCH_SAMPLES) {
            let mut batch = Batch::new();
            for id in part {
                let ix = batch.known_series(*id);
                batch.sample(ix, at, ((id.0 as i64 * step) % 1000) as f64);
            }
            let before_s = threads_cpu_s();
            let answer = block_on(store.append(batch)).unwrap();
            cpu_s += threads_cpu_s() - before_s;
            assert!(answer.refused.is_empty());
        }
    }
    let millions = ids.len() as f64 * (STEPS - 1) as f64 / 1e6;
    println!("samples of known series: {:.3} CPU s per million", cpu_s / millions);
}

fn questions(store: &Store) {
    let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
    let (equal, unequal, regex, not_regex) =
        (MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex);
    let table: Vec<Vec<Matcher>> = vec![
        vec![matcher("instance", equal, "host-7:9100")],
        vec![matcher("__name__", equal, "bench_gauge"), matcher("instance", equal, "host-7:9100")],
        vec![matcher("__name__", equal, "bench_gauge"), matcher("id", equal, "250")],
        vec![matcher("instance", regex, "host-7.*"), matcher("id", equal, "250")],
        vec![matcher("instance", regex, "host-7:9100|host-8:9100|host-9:9100")],
        vec![matcher("instance", regex, ".*77.*"), matcher("id", equal, "250")],
        vec![matcher("instance", not_regex, "host-1.*"), matcher("id", equal, "250")],
        vec![matcher("id", unequal, ""), matcher("instance", equal, "host-7:9100")],
        vec![matcher("id", regex, ".+"), matcher("instance", equal, "host-7:9100")],
        vec![matcher("id", equal, ""), matcher("instance", equal, "host-7:9100")],
        vec![matcher("mode", regex, ".*"), matcher("instance", equal, "host-7:9100")],
        vec![matcher("__name__", equal, "bench_cpu_seconds_total")],
        vec![matcher("__name__", unequal, "")],
    ];
    for matchers in table {
        let mut best_ms = [f64::MAX; 2];
        let mut found = 0;
        for _ in 0..3 {
            let start = Instant::now();
            found = store.series(&matchers, EVERYTHING, 0).unwrap().len();
            best_ms[0] = best_ms[0].min(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            store.label_names(&matchers, EVERYTHING, 0).unwrap();
            best_ms[1] = best_ms[1].min(start.elapsed().as_secs_f64() * 1e3);
        }
        let text: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        println!(
            "{{{}}}: {found} series in {:.2} ms, label names in {:.2} ms",
            text.join(", "),
            best_ms[0],
            best_ms[1]
        );
    }
    for name in ["__name__", "instance", "id"] {
        let start = Instant::now();
        let found = store.label_values(name, &[], EVERYTHING, 0).unwrap().len();
        println!("values of {name}: {found} in {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    }
}

/// The label sets and questions that upstream measures its postings with, on fewer series.
fn postings(store: &Store, series: usize) {
    const SUFFIX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let values = series / 50;
    let sets: Vec<[(&str, String); 3]> = (0..10)
        .flat_map(|n| (0..values).map(move |i| (n, i)))
        .flat_map(|(n, i)| {
            let others = [("foo", ""), ("bar", ""), ("bar", "0_"), ("bar", "1_"), ("foo", "2_")];
            others.map(|(j, before)| {
                let n = format!("{before}{n}{SUFFIX}");
                [("i", format!("{i}{SUFFIX}")), ("j", j.to_owned()), ("n", n)]
            })
        })
        .collect();
    for part in sets.chunks(BATCH_SAMPLES) {
        let mut batch = Batch::new();
        for set in part {
            let pairs = set.iter().map(|(name, value)| (*name, value.as_str()));
            let ix = batch.series_from_sorted(pairs);
            batch.sample(ix, TimestampMs(now_ms()), 1.0);
        }
        assert!(block_on(store.append(batch)).unwrap().refused.is_empty());
    }
    report(store, sets.len(), "postings");
    let one = format!("1{SUFFIX}");
    let (equal, unequal, regex, not_regex) =
        (MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex);
    let table: Vec<Vec<(&str, MatchOp, &str)>> = vec![
        vec![("n", equal, &one)],
        vec![("n", equal, &one), ("j", equal, "foo")],
        vec![("i", unequal, "")],
        vec![("i", regex, ".*")],
        vec![("i", regex, ".+")],
        vec![("i", regex, "1.*")],
        vec![("i", regex, ".*1")],
        vec![("i", regex, ".*1.+")],
        vec![("i", regex, "1[0-9].*")],
        vec![("n", equal, &one), ("i", regex, "1.+"), ("j", equal, "foo")],
        vec![("n", equal, &one), ("i", not_regex, ""), ("j", equal, "foo")],
        vec![("n", equal, &one), ("i", not_regex, ".*2.*"), ("j", equal, "foo")],
        vec![
            ("n", equal, &one),
            ("i", regex, ".+"),
            ("i", not_regex, ".*2.*"),
            ("j", equal, "foo"),
        ],
    ];
    for question in table {
        let matchers: Vec<Matcher> = question
            .iter()
            .map(|(name, op, value)| Matcher::new(name, *op, value).unwrap())
            .collect();
        let mut times_ms = [0.0; 3];
        for time_ms in &mut times_ms {
            let start = Instant::now();
            store.label_names(&matchers, EVERYTHING, 0).unwrap();
            *time_ms = start.elapsed().as_secs_f64() * 1e3;
        }
        let text: Vec<String> =
            matchers.iter().map(|one| one.to_string().replace(SUFFIX, "a…")).collect();
        println!(
            "{{{}}}: first {:.2} ms, then {:.2} ms",
            text.join(", "),
            times_ms[0],
            times_ms[2]
        );
    }
}

/// Opens again, and finds the same series.
fn restart(dir: &Path, series: usize) {
    let (before_s, start) = (all_cpu_s(), Instant::now());
    let store = open(dir);
    println!(
        "restart: {:.2} s, {:.2} CPU s for {:.1} M samples in the journal",
        start.elapsed().as_secs_f64(),
        all_cpu_s() - before_s,
        store.stats().samples_in_memtable as f64 / 1e6
    );
    assert_eq!(store.stats().series, series as u64);
    assert_eq!(store.stats().samples_in_memtable, series as u64 * STEPS as u64);
    let own = labels(series / 2);
    let matchers: Vec<Matcher> =
        own.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let found = store.series(&matchers, EVERYTHING, 0).unwrap();
    assert!(found.iter().any(|entry| entry.id == SeriesId(series as u64 / 2 + 1)));
    report(&store, series, "after the restart");
    let (before_s, start) = (all_cpu_s(), Instant::now());
    store.flush().unwrap();
    let cpu_s = all_cpu_s() - before_s;
    println!("flush of everything: {:.2} s, {cpu_s:.2} CPU s", start.elapsed().as_secs_f64());
    report(&store, series, "after the flush");
    store.close().unwrap();
}

fn report(store: &Store, series: usize, when: &str) {
    let per_series = |bytes: u64| bytes as f64 / series as f64;
    let stats = store.stats();
    println!(
        "{when}: rss {:.0} MiB (peak {:.0}), {:.0} B/series; registry {:.0} + index {:.0} + memtable {:.0}, journals on disk {:.0} B/series",
        rss_mib("VmRSS"),
        rss_mib("VmHWM"),
        rss_mib("VmRSS") * 1048576.0 / series as f64,
        per_series(stats.registry_bytes - stats.index_bytes),
        per_series(stats.index_bytes),
        per_series(stats.memtable_bytes),
        per_series(stats.journal_bytes),
    );
}

fn open(dir: &Path) -> Arc<Store> {
    let settings = Settings { block_range_ms: 1 << 50, ..Settings::default() };
    Store::open(Disk::real(), dir, settings, Arc::new(SystemClock)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

fn rss_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn schedstat_s(path: &Path) -> f64 {
    let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Processor time of the whole process, to a hundredth of a second.
fn all_cpu_s() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = text.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

/// Processor time of all threads but the first.
fn threads_cpu_s() -> f64 {
    let own = std::process::id().to_string();
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let others = threads.filter(|entry| entry.file_name().to_string_lossy() != own);
    others.map(|entry| schedstat_s(&entry.path())).sum()
}

/// The labels of a series, sorted by name: about 90 bytes of text.
fn labels(index: usize) -> Vec<(&'static str, String)> {
    let (own, number) = (index % 427, (index % 427).to_string());
    let instance = ("instance", format!("host-{}:9100", index / 427));
    let job = ("job", "bench".to_owned());
    let named = |name: &str| ("__name__", name.to_owned());
    match own {
        0..40 => vec![named("bench_constant"), ("id", number), instance, job],
        40..200 => {
            let modes = ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"];
            let cpu = ("cpu", ((own - 40) / 8).to_string());
            let mode = ("mode", modes[own % 8].to_owned());
            vec![named("bench_cpu_seconds_total"), cpu, instance, job, mode]
        }
        200..300 => vec![named("bench_gauge"), ("id", number), instance, job],
        300..408 => {
            let bounds = [
                "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
                "+Inf",
            ];
            let le = ("le", bounds[(own - 300) % 12].to_owned());
            let route = ("route", format!("/r{}", (own - 300) / 12));
            vec![named("bench_request_seconds_bucket"), instance, job, le, route]
        }
        _ => vec![named("bench_float"), ("id", number), instance, job],
    }
}
