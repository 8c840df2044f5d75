//! Builds the variant of a query in which every selector is fixed to one time.
//!
//! Place in the flow: `run` asks it for a second text of each instant query. The variant must give
//! the same answer whenever it is evaluated.
//!
//! The text is lengthened in place, so that positions before the first selector stay.

use model::TimestampMs;
use promql::ast::{At, AtTime, Expr, ExprKind, Modifiers};

/// Functions whose result depends on the evaluation time itself.
const TIME_BOUND: &[&str] = &[
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// The variant fixed to `at`; `None` when the query depends on the time it is evaluated.
pub fn pinned(text: &str, expr: &Expr, at: TimestampMs) -> Option<String> {
    let mut is_time_bound = false;
    expr.walk(&mut |expr| {
        if let ExprKind::Call(call) = &expr.kind {
            is_time_bound |= TIME_BOUND.contains(&call.function.name);
        }
    });
    if is_time_bound {
        return None;
    }
    let mut edits = Vec::new();
    collect(expr, &mut edits);
    let sign = if at.0 < 0 { "-" } else { "" };
    let time = format!("@ {sign}{}.{:03}", at.0.abs() / 1000, at.0.abs() % 1000);
    let mut changed = text.to_owned();
    edits.sort_unstable();
    for (start_byte, end_byte) in edits.into_iter().rev() {
        let blank = if start_byte == end_byte { " " } else { "" };
        changed.replace_range(start_byte..end_byte, &format!("{blank}{time}"));
    }
    Some(changed)
}

/// The bytes that the time replaces, in each selector.
fn collect(expr: &Expr, edits: &mut Vec<(usize, usize)>) {
    let mut edit = |modifiers: &Modifiers| match modifiers.at {
        None => edits.push((expr.span.end_byte, expr.span.end_byte)),
        Some(At { time: AtTime::Fixed(_), .. }) => {}
        Some(At { span, .. }) => edits.push((span.start_byte, span.end_byte)),
    };
    match &expr.kind {
        ExprKind::Vector(selector) => edit(&selector.modifiers),
        ExprKind::Matrix(matrix) => edit(&matrix.selector.modifiers),
        // What is inside runs at the subquery's own, now fixed, times.
        ExprKind::Subquery(subquery) => edit(&subquery.modifiers),
        // The second argument of `info` only narrows which labels are joined.
        ExprKind::Call(call) if call.function.name == "info" => collect(&call.args[0], edits),
        _ => expr.children().into_iter().for_each(|child| collect(child, edits)),
    }
}

/// When the variant is evaluated.
pub fn times(at: TimestampMs) -> Vec<TimestampMs> {
    let times = match at.0 {
        0 => vec![-1000, 0, 1000],
        ms => vec![-10 * ms, 0, ms / 5, ms, 10 * ms],
    };
    times.into_iter().map(TimestampMs).collect()
}
