//! Kernels against their definitions, over random series and windows.

use proptest::prelude::*;

use super::window::{Reach, find};
use super::*;

const RANGE_MS: i64 = 60_000;

/// Evaluates a function over all windows of a series at steps of 15 s.
fn evaluate(function: RangeFunction, ts: &[i64], values: &[f64], params: &[f64]) -> Row {
    let right_ms: Vec<i64> = (0..40).map(|step| step * 15_000).collect();
    let mut windows = Vec::new();
    find(ts, &right_ms, Reach { before_ms: RANGE_MS, after_ms: 0 }, &mut windows);
    let params: Vec<Vec<f64>> = params.iter().map(|value| vec![*value; right_ms.len()]).collect();
    let mut row = Row::new(right_ms.len());
    let frames = Frames { right_ms: &right_ms, eval_ms: &right_ms, range_ms: RANGE_MS };
    let (samples, pace) = (Samples { ts, values }, Pace::endless());
    let input =
        Input { samples, windows: &windows, frames, params: &params, edges: None, pace: &pace };
    function.evaluate(&input, &mut row);
    if let Some(kind) = function.extrapolates() {
        // What another series worked out beforehand makes no difference.
        let (mut edges, mut other) = (counter::Edges::default(), Row::new(right_ms.len()));
        edges.find(ts, &windows, (frames, kind));
        function.evaluate(&Input { edges: Some(&edges), ..input }, &mut other);
        let bits = |row: &Row| row.values.iter().map(|own| own.to_bits()).collect::<Vec<_>>();
        assert_eq!((bits(&row), &row.valid), (bits(&other), &other.valid));
    }
    row
}

/// Evaluates a function at a single step.
fn evaluate_one(function: RangeFunction, ts: &[i64], values: &[f64], step: usize) -> Option<f64> {
    let right_ms = [step as i64 * 15_000];
    let mut row = Row::new(1);
    function.evaluate(
        &Input {
            samples: Samples { ts, values },
            windows: &[Window { lo: 0, hi: ts.len() }],
            frames: Frames { right_ms: &right_ms, eval_ms: &right_ms, range_ms: RANGE_MS },
            params: &[vec![0.3], vec![0.6]],
            edges: None,
            pace: &Pace::endless(),
        },
        &mut row,
    );
    row.get(0)
}

/// The samples inside the window that ends at a step.
fn inside(ts: &[i64], values: &[f64], step: usize) -> (Vec<i64>, Vec<f64>) {
    let right = step as i64 * 15_000;
    ts.iter().zip(values).filter(|(at, _)| right - RANGE_MS < **at && **at <= right).unzip()
}

#[track_caller]
fn close(got: Option<f64>, expected: Option<f64>, what: &str) {
    match (got, expected) {
        (Some(got), Some(expected)) => {
            let same = got == expected
                || (got.is_nan() && expected.is_nan())
                || (got - expected).abs() <= 1e-7 * (1.0 + got.abs() + expected.abs());
            assert!(same, "{what}: {got} instead of {expected}");
        }
        _ => assert_eq!(got, expected, "{what}"),
    }
}

fn series() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    let sample = (1_i64..30_000, prop_oneof![9 => -100.0..100.0_f64, 1 => Just(f64::NAN)]);
    prop::collection::vec(sample, 0..60).prop_map(|gaps| {
        let mut at = 0;
        gaps.iter()
            .map(|(gap, value)| {
                at += gap;
                (at, value.round())
            })
            .unzip()
    })
}

/// The plain definition of a function over one window.
type Definition = fn(&[i64], &[f64]) -> Option<f64>;

fn at_least(count: usize, values: &[f64], output: impl Fn() -> f64) -> Option<f64> {
    (values.len() >= count).then(output)
}

fn without_nan(values: &[f64], pick: fn(f64, f64) -> f64) -> f64 {
    values.iter().copied().filter(|value| !value.is_nan()).reduce(pick).unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(order::compare);
    sorted
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

fn slope(ts: &[i64], values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let x: Vec<f64> = ts.iter().map(|at| (at - ts[0]) as f64 / 1000.0).collect();
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, values.iter().sum::<f64>() / n);
    let cov: f64 = x.iter().zip(values).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    cov / x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>()
}

const DEFINITIONS: &[(RangeFunction, Definition)] = &[
    (RangeFunction::Sum, |_, v| at_least(1, v, || v.iter().sum())),
    (RangeFunction::Avg, |_, v| at_least(1, v, || v.iter().sum::<f64>() / v.len() as f64)),
    (RangeFunction::Min, |_, v| at_least(1, v, || without_nan(v, f64::min))),
    (RangeFunction::Max, |_, v| at_least(1, v, || without_nan(v, f64::max))),
    (RangeFunction::Count, |_, v| at_least(1, v, || v.len() as f64)),
    (RangeFunction::Present, |_, v| at_least(1, v, || 1.0)),
    (RangeFunction::First, |_, v| v.first().copied()),
    (RangeFunction::Last, |_, v| v.last().copied()),
    (RangeFunction::Stdvar, |_, v| at_least(1, v, || variance(v))),
    (RangeFunction::Stddev, |_, v| at_least(1, v, || variance(v).sqrt())),
    (RangeFunction::Quantile, |_, v| at_least(1, v, || order::quantile_of_sorted(0.3, &sorted(v)))),
    (RangeFunction::Changes, |_, v| {
        at_least(1, v, || v.windows(2).filter(|p| counter::is_change(p[0], p[1])).count() as f64)
    }),
    (RangeFunction::Resets, |_, v| {
        at_least(1, v, || v.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64)
    }),
    (RangeFunction::Deriv, |ts, v| at_least(2, v, || slope(ts, v))),
    (RangeFunction::Idelta, |_, v| at_least(2, v, || v[v.len() - 1] - v[v.len() - 2])),
    (RangeFunction::Mad, |_, v| {
        at_least(1, v, || {
            if v.iter().any(|value| value.is_nan()) {
                return f64::NAN;
            }
            let median = order::quantile_of_sorted(0.5, &sorted(v));
            let distances: Vec<f64> = v.iter().map(|value| (value - median).abs()).collect();
            order::quantile_of_sorted(0.5, &sorted(&distances))
        })
    }),
];

proptest! {
    #[test]
    fn kernels_equal_their_definitions((ts, values) in series()) {
        for (function, definition) in DEFINITIONS {
            let row = evaluate(*function, &ts, &values, &[0.3]);
            for step in 0..40 {
                let (ts, values) = inside(&ts, &values, step);
                let what = format!("{} of {values:?} at step {step}", function.name());
                close(row.get(step), definition(&ts, &values), &what);
            }
        }
    }

    #[test]
    fn one_step_equals_many((ts, values) in series()) {
        // A query of one step folds in plain order; a long one slides. Both must agree.
        for function in [RangeFunction::Rate, RangeFunction::Increase, RangeFunction::Delta] {
            let row = evaluate(function, &ts, &values, &[0.3, 0.6]);
            for step in 0..40 {
                let (ts, values) = inside(&ts, &values, step);
                let alone = evaluate_one(function, &ts, &values, step);
                close(row.get(step), alone, function.name());
            }
        }
    }
}

#[test]
fn resets_are_corrected_and_edges_extrapolated() {
    // 10 s apart: 0, 10, 20, 5 (reset), 15; the window (0, 60] holds four gaps of usual length.
    let ts = [10_000, 20_000, 30_000, 40_000, 50_000];
    let values = [0.0, 10.0, 20.0, 5.0, 15.0];
    let row = evaluate(RangeFunction::Increase, &ts, &values, &[]);
    // 15 - 0 + 20 = 35 over 40 s; the start is at zero already, the end reaches 10 s further.
    close(row.get(4), Some(35.0 * 50.0 / 40.0), "increase");
    let rate = evaluate(RangeFunction::Rate, &ts, &values, &[]);
    close(rate.get(4), Some(35.0 * 50.0 / 40.0 / 60.0), "rate");
}

#[test]
fn sums_keep_what_rounding_loses() {
    let ts = [1_000, 2_000, 3_000, 4_000];
    let row = evaluate(RangeFunction::Sum, &ts, &[1.0, 1e100, 1.0, -1e100], &[]);
    assert_eq!(row.get(1), Some(2.0));
    let big = 9.98e307;
    let row = evaluate(RangeFunction::Avg, &ts, &[big, big, big, big], &[]);
    close(row.get(1), Some(big), "avg of values whose sum overflows");
}

#[test]
fn buckets() {
    let bucket = |upper, count| histogram::Bucket { upper, count };
    let full = vec![bucket(0.1, 50.0), bucket(0.5, 100.0), bucket(f64::INFINITY, 100.0)];
    let (median, raised) = histogram::quantile(0.5, &mut full.clone());
    assert_eq!((median, raised), (0.1, None));
    assert_eq!(histogram::quantile(1.0, &mut full.clone()).0, 0.5);
    assert_eq!(histogram::fraction(0.0, 0.1, &mut full.clone()), 0.5);
    let mut falling = vec![bucket(1.0, 10.0), bucket(2.0, 8.0), bucket(f64::INFINITY, 20.0)];
    assert!(histogram::quantile(0.5, &mut falling).1.is_some());
    assert!(histogram::quantile(0.5, &mut vec![bucket(1.0, 10.0)]).0.is_nan());
}
