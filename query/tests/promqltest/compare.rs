//! Compares an answer with what was expected of it.
//!
//! Place in the flow: `run` → **`compare`** → a verdict with its reason.

use std::fmt::{self, Write};
use std::sync::Arc;

use model::sample::STALE_NAN_BITS;
use model::{Histogram, Labels, TimestampMs};
use promql::series::Item;
use query::{Answer, MatrixSeries, Value, VectorSample};

use crate::expectation::{Expectation, Notes};
use crate::native;

/// Relative difference up to which two numbers count as equal.
const EPSILON: f64 = 1e-6;

/// Whether two numbers count as equal.
pub fn almost_equal(a: f64, b: f64) -> bool {
    let is_stale = |value: f64| value.to_bits() == STALE_NAN_BITS;
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// The annotations of both kinds.
pub fn notes(expected: &Expectation, answer: &Answer) -> Result<(), String> {
    kind_of_notes("warn", &expected.warnings, &answer.warnings)?;
    kind_of_notes("info", &expected.infos, &answer.infos)
}

fn kind_of_notes(kind: &str, expected: &Notes, found: &[String]) -> Result<(), String> {
    if expected.none && !found.is_empty() {
        return Err(format!("unexpected {kind} annotations: {found:?}"));
    }
    if expected.wanted.is_empty() {
        return Ok(());
    }
    if found.is_empty() {
        return Err(format!("expected {kind} annotations, got none"));
    }
    for wanted in &expected.wanted {
        if !found.iter().any(|text| wanted.matches(text)) {
            return Err(format!("expected {kind} annotation {wanted:?}, got {found:?}"));
        }
    }
    match found.iter().find(|text| !expected.wanted.iter().any(|wanted| wanted.matches(text))) {
        Some(text) => Err(format!("unexpected {kind} annotation {text:?}")),
        None => Ok(()),
    }
}

/// The answer of an instant query.
pub fn instant(expected: &Expectation, value: &Value) -> Result<(), String> {
    match value {
        Value::Scalar { value, .. } => scalar(expected, *value),
        Value::Text { text, .. } => match &expected.text {
            Some(wanted) if wanted == text => Ok(()),
            Some(wanted) => Err(format!("expected string {wanted:?}, got {text:?}")),
            None => Err(format!("expected no string, got {text:?}")),
        },
        _ if expected.scalar.is_some() => Err(format!("expected a number, got a {}", value.kind())),
        _ if expected.text.is_some() => Err(format!("expected a string, got a {}", value.kind())),
        Value::Vector(samples) => {
            if expected.range_vector.is_some() {
                return Err("expected a range vector, got an instant vector".to_owned());
            }
            let found: Vec<(&Labels, Found)> =
                samples.iter().map(|sample| (&sample.labels, Found::of(sample))).collect();
            vector(expected, &found)
        }
        Value::Matrix(series) => match expected.range_vector {
            Some((start, _, step_ms)) => matrix(expected, start, step_ms, series),
            None => Err("expected an instant vector, got a matrix".to_owned()),
        },
    }
}

fn scalar(expected: &Expectation, found: f64) -> Result<(), String> {
    match expected.scalar {
        Some(wanted) if almost_equal(wanted, found) => Ok(()),
        Some(wanted) => Err(format!("expected {wanted}, got {found}")),
        None => Err(format!("expected no scalar, got {found}")),
    }
}

fn vector(expected: &Expectation, found: &[(&Labels, Found)]) -> Result<(), String> {
    let shown = || {
        let mut text = String::new();
        for (labels, value) in found {
            let _ = write!(text, "\n      {labels} {value}");
        }
        if text.is_empty() { "\n      (nothing)".to_owned() } else { text }
    };
    for (index, (labels, value)) in found.iter().enumerate() {
        if found[..index].iter().any(|(own, _)| own == labels) {
            return Err(format!("{labels} is in the answer twice{}", shown()));
        }
        let Some(position) = expected.series.iter().position(|(own, _)| own == *labels) else {
            return Err(format!("unexpected series {labels}; got{}", shown()));
        };
        if expected.ordered && position != index {
            return Err(format!("{labels} must be number {}; got{}", position + 1, shown()));
        }
        match &expected.series[position].1[..] {
            [wanted] if value.is(wanted) => {}
            [wanted] => {
                return Err(format!("expected {} for {labels}, got {value}", item_text(wanted)));
            }
            _ => return Err(format!("expected no single value for {labels}, got {value}")),
        }
    }
    let is_missing = |wanted: &Labels| !found.iter().any(|(labels, _)| *labels == wanted);
    match expected.series.iter().find(|(labels, _)| is_missing(labels)) {
        Some((labels, _)) => Err(format!("missing series {labels}; got{}", shown())),
        None => Ok(()),
    }
}

/// A matrix whose expected items begin at `start`.
pub fn matrix(
    expected: &Expectation,
    start: TimestampMs,
    step_ms: i64,
    found: &[MatrixSeries],
) -> Result<(), String> {
    sorted(found)?;
    for series in found {
        let labels = &series.labels;
        let Some((_, items)) = expected.series.iter().find(|(own, _)| own == labels) else {
            return Err(format!("unexpected series {labels}: {:?}", points(series)));
        };
        let at = |index: usize| start.plus_ms(index as i64 * step_ms);
        let wanted: Vec<(TimestampMs, &Item)> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| **item != Item::Missing)
            .map(|(index, item)| (at(index), item))
            .collect();
        let found = points(series);
        let is_equal =
            |(a, b): (&(TimestampMs, &Item), &(TimestampMs, Found))| a.0 == b.0 && b.1.is(a.1);
        if wanted.len() != found.len() || !wanted.iter().zip(&found).all(is_equal) {
            let found: Vec<String> =
                found.iter().map(|(at, own)| format!("{own}@{}", at.seconds())).collect();
            let found = found.join(" ");
            let wanted: Vec<String> = wanted
                .iter()
                .map(|(at, item)| format!("{}@{}", item_text(item), at.seconds()))
                .collect();
            let wanted = wanted.join(" ");
            return Err(format!("expected for {labels}\n      {wanted}, got\n      {found}"));
        }
    }
    let is_missing = |(wanted, items): &&(Labels, Vec<Item>)| {
        !found.iter().any(|series| series.labels == *wanted)
            && items.iter().any(|item| *item != Item::Missing)
    };
    match expected.series.iter().find(is_missing) {
        Some((labels, _)) => Err(format!("missing series {labels}; got {} series", found.len())),
        None => Ok(()),
    }
}

/// What an answer holds at one instant.
#[derive(Debug, Clone)]
enum Found {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Found {
    fn of(sample: &VectorSample) -> Found {
        match &sample.histogram {
            Some(own) => Found::Histogram(own.clone()),
            None => Found::Float(sample.value),
        }
    }

    fn is(&self, wanted: &Item) -> bool {
        match (wanted, self) {
            (Item::Float(wanted), Found::Float(own)) => almost_equal(*wanted, *own),
            (Item::Histogram(wanted), Found::Histogram(own)) => native::is_equal(wanted, own),
            _ => false,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Float(value) => write!(f, "{value}"),
            Found::Histogram(own) => f.write_str(&native::notation(own)),
        }
    }
}

/// An expected item as the test language writes it.
fn item_text(item: &Item) -> String {
    match item {
        Item::Missing => "_".to_owned(),
        Item::Float(value) => value.to_string(),
        Item::Histogram(literal) => native::notation(&native::histogram(literal)),
    }
}

/// Numbers and histograms of a series in one order.
fn points(series: &MatrixSeries) -> Vec<(TimestampMs, Found)> {
    let floats = series.points.iter().map(|(at, value)| (*at, Found::Float(*value)));
    let histograms = series.histograms.iter();
    let histograms = histograms.map(|(at, own)| (*at, Found::Histogram(own.clone())));
    let mut all: Vec<_> = floats.chain(histograms).collect();
    all.sort_by_key(|(at, _)| *at);
    all
}

/// Matrices are sorted by labels, each series once.
pub fn sorted(found: &[MatrixSeries]) -> Result<(), String> {
    match found.windows(2).find(|pair| pair[0].labels >= pair[1].labels) {
        Some(pair) => {
            Err(format!("matrix is not sorted: {} before {}", pair[0].labels, pair[1].labels))
        }
        None => Ok(()),
    }
}

/// The points of a range query at one instant, as if that had been an instant query.
pub fn at_instant(expected: &Expectation, at: TimestampMs, value: &Value) -> Result<(), String> {
    let Value::Matrix(series) = value else {
        return Err(format!("a range query must give a matrix, got a {}", value.kind()));
    };
    sorted(series)?;
    let found: Vec<(&Labels, Found)> = series
        .iter()
        .filter_map(|series| {
            let (_, point) = points(series).into_iter().find(|(point_at, _)| *point_at == at)?;
            Some((&series.labels, point))
        })
        .collect();
    match (expected.scalar, &found[..]) {
        (Some(_), [(_, Found::Float(value))]) => scalar(expected, *value),
        (Some(_), _) => Err(format!("expected one value, got {} series", found.len())),
        (None, _) if expected.ordered => Ok(()),
        (None, _) => vector(expected, &found),
    }
}
