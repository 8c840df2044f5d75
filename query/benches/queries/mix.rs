//! The data of the side-by-side benchmark: constants, counters, gauges, histograms and
//! full-precision floats of 40 hosts; and its queries.

use std::sync::Arc;

use model::{Append, Batch, Labels, TimestampMs};
use storage::Store;

use crate::{Options, Question};

use crate::questions::QUERIES;
use crate::value::value;

const SERIES: usize = 17_080;
const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;
const STEPS: usize = 6 * 240;
/// So many of the steps are in ranges that are closed.
const STEPS_CLOSED: usize = STEPS - 300;
/// A quarter past an hour at which a range of two hours ends: three ranges are closed by then.
const END_MS: i64 = 1_790_000_000_000 / (2 * HOUR_MS) * 2 * HOUR_MS + HOUR_MS * 5 / 4;

fn labels(index: usize) -> Labels {
    let instance = format!("host-{:03}:9100", index / 427);
    let own = index % 427;
    let number = own.to_string();
    let with = |name: &str, more: &[(&str, &str)]| {
        let common = [("__name__", name), ("instance", &instance), ("job", "bench")];
        Labels::from_pairs(common.iter().chain(more).copied())
    };
    match own {
        0..40 => with("bench_constant", &[("id", &number)]),
        40..200 => {
            let modes = ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"];
            let cpu = ((own - 40) / 8).to_string();
            with("bench_cpu_seconds_total", &[("cpu", &cpu), ("mode", modes[own % 8])])
        }
        200..300 => with("bench_gauge", &[("id", &number)]),
        300..408 => {
            let route = format!("/r{}", (own - 300) / 12);
            let bounds = [
                "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
                "+Inf",
            ];
            let le = bounds[(own - 300) % 12];
            with("bench_request_seconds_bucket", &[("le", le), ("route", &route)])
        }
        _ => with("bench_float", &[("id", &number)]),
    }
}

async fn fill(store: Arc<Store>) {
    let all: Vec<Labels> = (0..SERIES).map(labels).collect();
    for first in (0..STEPS).step_by(4) {
        let mut batch = Batch::new();
        for (index, labels) in all.iter().enumerate() {
            let series = batch.series(labels);
            for step in first..first + 4 {
                let at = TimestampMs(END_MS - (STEPS - step) as i64 * INTERVAL_MS);
                batch.sample(series, at, value(index, step));
            }
        }
        store.append(batch).await.expect("is taken");
    }
    // The flusher runs by itself; the picture is the same once all ranges that are closed are in blocks.
    while store.stats().block_samples < (SERIES * STEPS_CLOSED) as u64 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Fills the store, asks, prints.
pub async fn bench(options: &Options) {
    let settings = storage::Settings::default();
    let (store, _folder) = crate::store(options, "mix", (settings, END_MS), fill).await;
    let end_ms = END_MS - INTERVAL_MS;
    let questions: Vec<Question> = QUERIES
        .iter()
        .map(|(name, text, hours, step_s)| Question {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
            start_ms: end_ms - (hours * HOUR_MS as f64) as i64,
            end_ms,
            step_ms: step_s * 1000,
        })
        .collect();
    println!("\nmix: {SERIES} series, 6 h at 15 s");
    crate::ask(&store, options, END_MS, &questions).await;
}
