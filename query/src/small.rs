//! Which queries are so small that they are evaluated on the thread that was asked: waking another
//! one, and being woken by it, takes longer than they do.
//!
//! Place in the flow: `engine` asks → **`small`** → the question, and the bounds of the index.
//!
//! What counts is the most that it can be: series by the least common label value that each selector
//! names, times seconds of samples, times windows that overlap when a function goes through each of
//! them. In doubt a query is not small.
//!
//! Invariants: a small query is over in about a millisecond (some tens where it reads histograms),
//! since it can't be told to stop before its end; should the disk make it wait, one thread of the
//! runtime at least does not wait for it.
//!
//! Not here: how it is evaluated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use promql::ast::{Expr, ExprKind, MatrixSelector, VectorSelector};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::context::Context;
use crate::evaluate::narrow::needs_no_series;
use crate::kernel::RangeFunction;

/// Series times seconds: a day of three series, or six hours of twelve. At a sample every ten seconds
/// that is a tenth of a millisecond's work.
const SERIES_SECONDS_MAX: u64 = 300_000;
/// Trees up to this depth are evaluated on the stack at hand.
pub const DEPTH_MAX: usize = 24;

/// Whether a query that is evaluated at so many steps is small.
pub fn is_small(expr: &Expr, steps: usize, context: &Context) -> bool {
    let asked = Asked {
        context,
        steps: steps as u64,
        span_s: seconds(context.end_ms.saturating_sub(context.start_ms)),
    };
    let cost = || asked.cost(expr, true);
    expr.depth() <= DEPTH_MAX && cost().is_some_and(|cost| cost <= SERIES_SECONDS_MAX)
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1000).unwrap_or(0) + 1
}

/// Whether a function goes through its series once, however much its windows overlap.
fn goes_through_once(name: &str) -> bool {
    let own = RangeFunction::from_name(name);
    name == "absent_over_time" || own.is_some_and(RangeFunction::goes_once)
}

struct Asked<'c> {
    context: &'c Context,
    steps: u64,
    span_s: u64,
}

impl Asked<'_> {
    /// The most that an expression can cost; `None` when that is not known. A range vector is given to
    /// a function that goes through its series once, or through every window.
    fn cost(&self, expr: &Expr, goes_once: bool) -> Option<u64> {
        let own = match &expr.kind {
            ExprKind::Vector(selector) => self.at_instants(self.series(selector)?)?,
            ExprKind::Matrix(matrix) => self.windows(matrix, goes_once)?,
            ExprKind::Subquery(_) => return None,
            // It looks for series by itself.
            ExprKind::Call(call) if call.function.name == "info" => return None,
            ExprKind::Binary(binary) if needs_no_series(binary, &*self.context.source) => {
                return Some(self.steps);
            }
            _ => 0,
        };
        let goes_once = match &expr.kind {
            ExprKind::Call(call) => goes_through_once(call.function.name),
            _ => goes_once,
        };
        let mut sum = own.checked_add(self.steps)?;
        for child in expr.children() {
            sum = sum.checked_add(self.cost(child, goes_once)?)?;
        }
        Some(sum)
    }

    /// What windows cost, when a function goes once through its series or through every window.
    fn windows(&self, matrix: &MatrixSelector, goes_once: bool) -> Option<u64> {
        let length_s = seconds(matrix.range.length_ms(self.context.durations).ok()?);
        // Functions go through every window of histograms.
        let is_plain =
            matrix.selector.extension.is_none() && !self.context.source.has_more_than_numbers();
        let times = if goes_once && is_plain { 1 } else { self.steps };
        let in_windows = length_s.checked_mul(times)?.checked_add(self.steps)?;
        self.series(&matrix.selector)?.checked_mul(in_windows.checked_add(self.span_s)?)
    }

    /// What so many series cost that are looked up at every step.
    fn at_instants(&self, series: u64) -> Option<u64> {
        series.checked_mul(self.span_s + seconds(self.context.lookback_ms) + self.steps)
    }

    fn series(&self, selector: &VectorSelector) -> Option<u64> {
        self.context.source.series_at_most(&selector.matchers)
    }
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
