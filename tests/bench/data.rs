//! The generated metrics: a mix of constants, counters, gauges, histograms and full-precision
//! floats, the same for every server.

use std::time::{SystemTime, UNIX_EPOCH};

use tests::remote_write::{self, TimeSeries};

use crate::value::value;

/// Samples of one request.
const REQUEST_SAMPLES: usize = 5_000;

/// How much is written.
#[derive(Debug, Clone, Copy)]
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
        (self.hours * 3600.0 / self.interval_s as f64).round() as usize
    }

    /// One line for the reader of a table.
    pub fn about(&self) -> String {
        format!(
            "{} series, {} samples each, {} s apart, 5,000 samples a request, {} connections",
            self.series,
            self.steps(),
            self.interval_s,
            self.connections
        )
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

/// Encoded requests of one connection in time order: the series are split among connections, each
/// request holds some series at one step.
pub fn requests(shape: Shape, connection: usize, end_ms: i64) -> impl Iterator<Item = Vec<u8>> {
    let own: Vec<TimeSeries> =
        (connection..shape.series).step_by(shape.connections).map(labels).collect();
    let (stride, steps, interval_ms) = (shape.connections, shape.steps(), shape.interval_s * 1000);
    let start_ms = end_ms - steps as i64 * interval_ms;
    let chunks = own.len().div_ceil(REQUEST_SAMPLES);
    (0..steps * chunks).map(move |number| {
        let (step, chunk) = (number / chunks, number % chunks * REQUEST_SAMPLES);
        let at_ms = start_ms + step as i64 * interval_ms;
        let mut part = own[chunk..own.len().min(chunk + REQUEST_SAMPLES)].to_vec();
        for (index, series) in part.iter_mut().enumerate() {
            let global = connection + (chunk + index) * stride;
            series.samples.push((at_ms, value(global, step)));
        }
        remote_write::encode(&part)
    })
}

/// The requests of every connection.
pub fn all_requests(shape: Shape, end_ms: i64) -> Vec<Box<dyn Iterator<Item = Vec<u8>>>> {
    let of = |own| Box::new(requests(shape, own, end_ms)) as Box<dyn Iterator<Item = Vec<u8>>>;
    (0..shape.connections).map(of).collect()
}

/// The data of Prometheus' own range-query benchmark: plain series `a_X` and `b_X` and buckets `h_X`
/// for X of one, ten and a hundred values of `l`, and one series at a time of `sparse`.
pub fn range_benchmark(points: usize, end_ms: i64) -> impl Iterator<Item = Vec<u8>> {
    const POINTS_PER_REQUEST: usize = 10;
    let mut series: Vec<TimeSeries> = Vec::new();
    for (size, count) in [("one", 1), ("ten", 10), ("hundred", 100)] {
        for number in 0..count {
            let number = number.to_string();
            let own: &[(&str, &str)] = if count == 1 { &[] } else { &[("l", &number)] };
            for kind in ["a", "b"] {
                series.push(TimeSeries::new(&format!("{kind}_{size}"), own, vec![]));
            }
            for le in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+Inf"] {
                let labels = [own, &[("le", le)]].concat();
                series.push(TimeSeries::new(&format!("h_{size}"), &labels, vec![]));
            }
        }
    }
    let instant = move |point: usize| end_ms - (points - point) as i64 * 10_000;
    (0..points.div_ceil(POINTS_PER_REQUEST)).map(move |request| {
        let first = request * POINTS_PER_REQUEST;
        let own = first..points.min(first + POINTS_PER_REQUEST);
        let mut all = series.clone();
        let count = series.len() as f64;
        for (index, one) in all.iter_mut().enumerate() {
            let value = |point: usize| point as f64 + index as f64 / count;
            one.samples = own.clone().map(|point| (instant(point), value(point))).collect();
        }
        for point in own {
            let number = (point / 372).to_string();
            let sample = (instant(point), point as f64 / count);
            all.push(TimeSeries::new("sparse", &[("l", &number)], vec![sample]));
        }
        remote_write::encode(&all)
    })
}
