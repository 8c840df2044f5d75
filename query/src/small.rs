//! Which queries are so small that they are evaluated on the thread that was asked: waking another
//! one, and being woken by it, takes longer than they do.
//!
//! Place in the flow: `engine` asks → **`small`** → the question, and the bounds of the index.
//!
//! What counts is the most that it can be: series by the least common label value that each selector
//! names, times seconds of samples, times windows that overlap. In doubt a query is not small.
//!
//! Invariants: a small query is over in about a millisecond, since it can't be told to stop before its
//! end; should the disk make it wait, one thread of the runtime at least does not wait for it.
//!
//! Not here: how it is evaluated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Handle, RuntimeFlavor};

use promql::ast::{Expr, ExprKind};

use crate::context::Context;

/// Series times seconds: a day of three series, or six hours of twelve. At a sample every ten seconds
/// that is a tenth of a millisecond's work.
const SERIES_SECONDS_MAX: u64 = 300_000;
/// Trees up to this depth are evaluated on the stack at hand.
pub const DEPTH_MAX: usize = 24;

/// Whether a query that is evaluated at so many steps is small.
pub fn is_small(expr: &Expr, steps: usize, context: &Context) -> bool {
    let seconds = |ms: i64| u64::try_from(ms / 1000).unwrap_or(0) + 1;
    let steps = steps as u64;
    let span_s = seconds(context.end_ms.saturating_sub(context.start_ms));
    let mut cost = Some(0_u64);
    let mut add = |more: Option<u64>| {
        let sum = cost.zip(more).and_then(|(own, more)| own.checked_add(more));
        cost = sum.filter(|sum| *sum <= SERIES_SECONDS_MAX);
    };
    expr.walk(&mut |expr| {
        add(Some(steps));
        match &expr.kind {
            ExprKind::Vector(selector) => {
                let series = context.source.series_at_most(&selector.matchers);
                let looked_at = span_s + seconds(context.lookback_ms) + steps;
                add(series.and_then(|series| series.checked_mul(looked_at)));
            }
            ExprKind::Matrix(matrix) => {
                let series = context.source.series_at_most(&matrix.selector.matchers);
                let length_ms = matrix.range.length_ms(context.durations).ok();
                let in_windows = length_ms.and_then(|own| steps.checked_mul(seconds(own)));
                let looked_at = in_windows.and_then(|own| own.checked_add(span_s));
                add(series.zip(looked_at).and_then(|(series, own)| series.checked_mul(own)));
            }
            ExprKind::Subquery(_) => add(None),
            // It looks for series by itself.
            ExprKind::Call(call) if call.function.name == "info" => add(None),
            _ => {}
        }
    });
    cost.is_some() && expr.depth() <= DEPTH_MAX
}

/// The threads of the runtime that evaluate small queries now.
#[derive(Debug, Clone, Default)]
pub struct InPlace(Arc<AtomicUsize>);

/// A thread that evaluates a small query, as long as this lives.
pub struct Taken(Arc<AtomicUsize>);

impl InPlace {
    /// Takes the thread at hand, unless it is the last one that is free, or belongs to a runtime that
    /// has no other.
    pub fn take(&self, runtime: &Handle) -> Option<Taken> {
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return None;
        }
        let taken = Taken(Arc::clone(&self.0));
        let others = taken.0.fetch_add(1, Ordering::Relaxed);
        (others + 1 < runtime.metrics().num_workers()).then_some(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
