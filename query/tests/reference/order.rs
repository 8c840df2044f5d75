//! Whether an instant answer is in the order that its outermost function or operator gives it.
//!
//! Place in the flow: the engine's vector → **`difference`** → `case`.
//!
//! Elements of equal rank may stand in any order.

use std::cmp::Ordering;

use promql::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind};

use crate::naive::{Labels, Point};

/// An element of an answer.
pub type Sample = (Labels, Point);

/// What stands in the wrong place.
pub fn difference(expr: &Expr, samples: &[Sample]) -> Option<String> {
    let is_right = match &expr.without_parens().kind {
        ExprKind::Call(call) => is_sorted(call, samples),
        ExprKind::Aggregate(aggregate) => is_chosen(aggregate, samples),
        _ => true,
    };
    (!is_right).then(|| format!("not in order: {samples:?}"))
}

fn is_sorted(call: &Call, samples: &[Sample]) -> bool {
    let name = call.function.name;
    match name {
        "sort" => samples.is_sorted_by(|a, b| by_value(a, b, false).is_le()),
        "sort_desc" => samples.is_sorted_by(|a, b| by_value(a, b, true).is_le()),
        "sort_by_label" | "sort_by_label_desc" => {
            let texts = call.args[1..].iter().filter_map(|arg| match &arg.kind {
                ExprKind::String(text) => Some(text.lossy()),
                _ => None,
            });
            let names: Vec<String> = texts.collect();
            samples.is_sorted_by(|a, b| {
                let order = by_labels(&names, &a.0, &b.0);
                if name == "sort_by_label" { order.is_le() } else { order.is_ge() }
            })
        }
        _ => true,
    }
}

/// NaN comes last either way.
fn by_value(a: &Sample, b: &Sample, is_falling: bool) -> Ordering {
    let number = |own: &Sample| match own.1 {
        Point::Number(value) => value,
        Point::Histogram(_) => f64::NAN,
    };
    let (a, b) = (number(a), number(b));
    match a.partial_cmp(&b) {
        Some(order) if is_falling => order.reverse(),
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

/// By the labels named, runs of digits as numbers.
fn by_labels(names: &[String], a: &Labels, b: &Labels) -> Ordering {
    let value = |own: &Labels, name: &String| own.get(name).cloned().unwrap_or_default();
    let orders = names.iter().map(|name| natural(&value(a, name), &value(b, name)));
    orders.fold(Ordering::Equal, Ordering::then)
}

fn natural(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for found in text.chars() {
            match parts.last_mut() {
                Some(last) if last.ends_with(is_digit) == is_digit(found) => last.push(found),
                _ => parts.push(found.to_string()),
            }
        }
        parts
    };
    let (a, b) = (parts(a), parts(b));
    for (a, b) in a.iter().zip(&b) {
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn is_digit(found: char) -> bool {
    found.is_ascii_digit()
}

/// `topk` and `bottomk`: group after group, in each the best first. Names that are dropped in the
/// end tell groups apart, so they must not be asked for.
fn is_chosen(aggregate: &Aggregate, samples: &[Sample]) -> bool {
    let grouping = &aggregate.grouping;
    let is_largest_first = match aggregate.op {
        AggregateOp::Topk => true,
        AggregateOp::Bottomk => false,
        _ => return true,
    };
    if grouping.labels.iter().any(|label| label == "__name__") {
        return true;
    }
    let group = |own: &Sample| {
        let mut labels = own.0.clone();
        labels.remove("__name__");
        labels.retain(|name, _| grouping.labels.contains(name) != grouping.without);
        labels
    };
    let groups: Vec<Labels> = samples.iter().map(group).collect();
    let mut seen: Vec<&Labels> = Vec::new();
    for (index, own) in groups.iter().enumerate() {
        if index > 0 && groups[index - 1] == *own {
            if by_value(&samples[index - 1], &samples[index], is_largest_first).is_gt() {
                return false;
            }
        } else if seen.contains(&own) {
            return false;
        } else {
            seen.push(own);
        }
    }
    true
}
