//! The generated metrics: a mix of constants, counters, gauges, histograms and full-precision
//! floats, the same for every server.

use std::time::{SystemTime, UNIX_EPOCH};

use tests::remote_write::{self, TimeSeries};

/// Samples of one request.
const REQUEST_SAMPLES: usize = 5_000;

/// How much is written.
pub struct Shape {
    /// Series.
    pub series: usize,
    /// Hours of data.
    pub hours: f64,
    /// Seconds between samples.
    pub interval_s: i64,
    /// Connections that write at once.
    pub connections: usize,
}

impl Shape {
    /// Steps of each series.
    pub fn steps(&self) -> usize {
        (self.hours * 3600.0 / self.interval_s as f64) as usize
    }

    /// Samples in all.
    pub fn samples(&self) -> usize {
        self.series * self.steps()
    }
}

/// The present.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("fits")
}

/// A number that looks random and depends on nothing but its input.
fn mix(mut seed: u64) -> u64 {
    seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

fn unit(seed: u64) -> f64 {
    (mix(seed) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The labels of a series.
fn labels(index: usize) -> TimeSeries {
    let instance = format!("host-{:03}:9100", index / 427);
    let own = index % 427;
    let common = [("instance", instance.as_str()), ("job", "bench")];
    let number = own.to_string();
    match own {
        0..40 => {
            TimeSeries::new("bench_constant", &[common[0], common[1], ("id", &number)], vec![])
        }
        40..200 => {
            let (cpu, mode) = (
                (own - 40) / 8,
                ["user", "system", "idle", "iowait", "irq", "softirq", "steal", "nice"][own % 8],
            );
            let cpu = cpu.to_string();
            TimeSeries::new(
                "bench_cpu_seconds_total",
                &[common[0], common[1], ("cpu", &cpu), ("mode", mode)],
                vec![],
            )
        }
        200..300 => {
            TimeSeries::new("bench_gauge", &[common[0], common[1], ("id", &number)], vec![])
        }
        300..408 => {
            let route = format!("/r{}", (own - 300) / 12);
            let bounds = [
                "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
                "+Inf",
            ];
            let le = bounds[(own - 300) % 12];
            TimeSeries::new(
                "bench_request_seconds_bucket",
                &[common[0], common[1], ("le", le), ("route", &route)],
                vec![],
            )
        }
        _ => TimeSeries::new("bench_float", &[common[0], common[1], ("id", &number)], vec![]),
    }
}

/// The value of a series at a step.
fn value(index: usize, step: usize) -> f64 {
    let own = index % 427;
    let seed = mix(index as u64);
    let time = step as f64;
    match own {
        0..40 => (seed % 1000) as f64,
        40..200 => {
            let rate = 1.0 + (seed % 1400) as f64;
            ((time * rate + unit(seed ^ step as u64) * rate) / 100.0 * 100.0).floor() / 100.0
        }
        200..300 => {
            let wave = (time / 40.0 + (seed % 100) as f64).sin();
            ((500.0 + 400.0 * wave + 20.0 * unit(seed ^ step as u64)) * 10.0).round() / 10.0
        }
        300..408 => {
            let bucket = ((own - 300) % 12 + 1) as f64;
            (time * bucket * (1.0 + (seed % 7) as f64)).floor()
        }
        _ => 1000.0 * unit(seed ^ (step as u64) << 20),
    }
}

/// Encoded requests of one connection in time order: the series are split among connections, each
/// request holds some series at one or more steps.
pub fn requests(
    shape: &Shape,
    connection: usize,
    end_ms: i64,
) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let own: Vec<TimeSeries> =
        (connection..shape.series).step_by(shape.connections).map(labels).collect();
    let (stride, steps, interval_ms) = (shape.connections, shape.steps(), shape.interval_s * 1000);
    let start_ms = end_ms - steps as i64 * interval_ms;
    (0..steps).flat_map(move |step| {
        let at_ms = start_ms + step as i64 * interval_ms;
        let mut parts = Vec::new();
        for (chunk_index, chunk) in own.chunks(REQUEST_SAMPLES).enumerate() {
            let mut chunk = chunk.to_vec();
            for (index, series) in chunk.iter_mut().enumerate() {
                let global = connection + (chunk_index * REQUEST_SAMPLES + index) * stride;
                series.samples.push((at_ms, value(global, step)));
            }
            parts.push((chunk.len(), remote_write::encode(&chunk)));
        }
        parts
    })
}
