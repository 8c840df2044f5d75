//! Random series: counters and gauges, classic and native histograms, with gaps, stale markers,
//! restarts and numbers that are none.
//!
//! Place in the flow: `Choices` → **`series`** → the source of the engine and the reference alike.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::choices::Choices;
use crate::naive::{Distribution, Labels, Point, STALE_BITS, Series};

/// The metrics there are.
pub const METRICS: [&str; 8] = [
    "requests_total",
    "temperature",
    "size",
    "latency_bucket",
    "latency",
    "mixed",
    "target_info",
    "build_info",
];
/// From one sample to the next, before it is shaken.
const INTERVALS_MS: [i64; 5] = [15_000, 60_000, 5_000, 30_000, 7_300];
/// Series of one metric, as a rule.
const SERIES_MAX: usize = 5;

/// All series of one case; sometimes one metric has very many.
pub fn series(choices: &mut Choices) -> Vec<Series> {
    let mut all = Vec::new();
    for metric in METRICS {
        let count = match choices.one_in(24) {
            true => 65 + choices.below(150),
            false if choices.one_in(8) => 0,
            false => 1 + choices.below(SERIES_MAX),
        };
        // All series of one target are scraped together, as a rule.
        let instants = instants(choices, count);
        for index in 0..count {
            let own = if choices.one_in(4) { instants_anew(choices) } else { instants.clone() };
            let labels = labels(metric, index, choices);
            if !all.iter().any(|other: &Series| other.labels == labels) {
                all.push(Series { samples: samples(metric, index, own, choices), labels });
            }
        }
    }
    all.sort_by(|a, b| in_order(&a.labels).cmp(&in_order(&b.labels)));
    all
}

/// Label sets compare pair by pair, names first.
fn in_order(labels: &Labels) -> Vec<(&String, &String)> {
    labels.iter().collect()
}

fn labels(metric: &str, index: usize, choices: &mut Choices) -> Labels {
    let mut labels = Labels::new();
    let mut set = |name: &str, value: &str| labels.insert(name.to_owned(), value.to_owned());
    set("__name__", metric);
    set("instance", &(index / 2).to_string());
    if !choices.one_in(6) {
        set("job", ["a", "b"][index % 2]);
    }
    if metric == "latency_bucket" {
        set("le", ["0.5", "+Inf", "2", "1e1", "-1"][index % 5]);
        set("instance", &(index / 10).to_string());
        set("job", ["a", "b"][index / 5 % 2]);
    } else if metric.ends_with("_info") {
        set("version", ["1", "2", "3"][choices.below(3)]);
        set("instance", &(index / 3).to_string());
        if choices.one_in(4) {
            set(["path", "zone"][choices.below(2)], "x");
        }
    } else if choices.one_in(5) {
        set("path", ["/", "/api"][choices.below(2)]);
    }
    labels
}

fn instants_anew(choices: &mut Choices) -> Vec<i64> {
    instants(choices, 1)
}

/// When there are samples: regular, shaken, with gaps.
fn instants(choices: &mut Choices, series: usize) -> Vec<i64> {
    let interval_ms = INTERVALS_MS[choices.below(INTERVALS_MS.len())];
    let count = match series > SERIES_MAX {
        true => choices.below(12),
        false if choices.one_in(8) => choices.below(4),
        false => 62 - choices.below(50),
    };
    let is_shaken = choices.one_in(3);
    let gap_every = if choices.one_in(3) { 4 + choices.below(12) } else { usize::MAX };
    let mut at_ms = choices.below(20) as i64 * 1000;
    let mut found = Vec::new();
    for index in 0..count {
        at_ms += interval_ms;
        if index % gap_every.max(1) == gap_every.wrapping_sub(1) {
            at_ms += interval_ms * choices.below(20) as i64;
        }
        let shaken = if is_shaken { choices.below(4000) as i64 } else { 0 };
        found.push(at_ms + shaken);
    }
    found
}

fn samples(
    metric: &str,
    index: usize,
    instants: Vec<i64>,
    choices: &mut Choices,
) -> Vec<(i64, Point)> {
    let stale_every = if choices.one_in(3) { 3 + choices.below(20) } else { usize::MAX };
    let mut counter = choices.below(100) as f64;
    let mut distribution = empty(choices);
    let kind = choices.below(6);
    let mut found: Vec<(i64, Point)> = Vec::new();
    for (place, at_ms) in instants.into_iter().enumerate() {
        let is_histogram = match metric {
            "latency" => true,
            "mixed" => choices.one_in(2),
            _ => false,
        };
        let point = if place % stale_every == stale_every.wrapping_sub(1) {
            Point::Number(f64::from_bits(STALE_BITS))
        } else if is_histogram {
            observe(&mut distribution, choices);
            Point::Histogram(Rc::new(distribution.clone()))
        } else if metric == "requests_total" || metric == "latency_bucket" {
            counter = match choices.one_in(13) {
                true => choices.below(5) as f64,
                false => counter + choices.below(40) as f64 * (index + 1) as f64 / 4.0,
            };
            Point::Number(counter)
        } else {
            Point::Number(gauge(metric, kind, place, choices))
        };
        if found.last().is_none_or(|last| last.0 < at_ms) {
            found.push((at_ms, point));
        }
    }
    found
}

/// A number as gauges have them: round ones, any ones, and such as nobody expects.
fn gauge(metric: &str, kind: usize, place: usize, choices: &mut Choices) -> f64 {
    let any = choices.below(65_536) as f64;
    match (metric, kind) {
        (_, 0) => (any % 64.0) - 20.0,
        (_, 1) => any / 7.0 - 3000.0,
        (_, 2) => (place / 3) as f64,
        (_, 3) => any * 1e6 + place as f64 * 1e9,
        ("temperature", _) => any / 1000.0 - 30.0,
        _ => *[
            0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e300,
            -1e300,
            1e-300,
            -0.0,
            1.0,
            3.5,
            1.7e308,
        ]
        .get(choices.below(16))
        .unwrap_or(&(any - 30_000.0)),
    }
}

fn empty(choices: &mut Choices) -> Distribution {
    if choices.one_in(3) {
        let bounds = [vec![0.5, 1.0, 2.0], vec![1.0, 2.0, 4.0], vec![-1.0, 0.0, 1.0, 8.0]];
        let custom_values = bounds[choices.below(3)].clone();
        return Distribution { schema: -53, custom_values, ..Distribution::default() };
    }
    let schema = [0, 1, 3, -1][choices.below(4)];
    let zero_threshold = [0.0, 0.001, 0.5][choices.below(3)];
    Distribution { schema, zero_threshold, ..Distribution::default() }
}

/// More observations; now and then everything begins anew, in another layout.
fn observe(own: &mut Distribution, choices: &mut Choices) {
    if choices.one_in(15) {
        *own = match choices.one_in(3) {
            true => empty(choices),
            false => Distribution {
                positive: BTreeMap::new(),
                negative: BTreeMap::new(),
                zero_count: 0.0,
                count: 0.0,
                sum: 0.0,
                ..own.clone()
            },
        };
    }
    for _ in 0..choices.below(4) {
        let count = choices.below(9) as f64;
        let index = choices.below(4) as i32;
        if own.schema == -53 {
            *own.positive.entry(index).or_insert(0.0) += count;
        } else {
            match choices.below(4) {
                0 => own.zero_count += count,
                1 => *own.negative.entry(index + 1).or_insert(0.0) += count,
                _ => *own.positive.entry(index + 1).or_insert(0.0) += count,
            }
        }
        own.count += count;
        own.sum += count * f64::from(index);
    }
    own.positive.retain(|_, count| *count != 0.0);
    own.negative.retain(|_, count| *count != 0.0);
}
