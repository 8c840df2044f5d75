//! `sum`, `avg`, `count`, `group` of histograms; all other aggregations ignore them.
//!
//! Place in the flow: `evaluate::aggregate` folded the numbers of a group → **`aggregate`** adds what
//! histograms do to the group's row.
//!
//! Not here: `topk` and its like (`evaluate::aggregate::choose`).

use std::sync::Arc;

use model::Histogram;
use model::histogram::{Added, Incompatible, ResetHint, Total};
use promql::ast::Aggregate;

use crate::block::Block;
use crate::evaluate::Evaluator;
use crate::fold::FoldOp;
use crate::kernel::{Element, Row};

/// The sum of some histograms, or their mean; `None` when there is none at all.
pub fn folded<'h>(
    all: impl Iterator<Item = &'h Arc<Histogram>>,
    is_mean: bool,
    mut noted: impl FnMut(Added),
) -> Result<Option<Histogram>, Incompatible> {
    let mut total: Option<Total> = None;
    let mut count = 0.0;
    let mut bounds_reconciled = false;
    let (mut saw_reset, mut saw_not_reset) = (false, false);
    let mut is_running = false; // Whether the total holds a mean because the sum overflowed.
    for histogram in all {
        count += 1.0;
        saw_reset |= histogram.hint == ResetHint::Reset;
        saw_not_reset |= histogram.hint == ResetHint::NotReset;
        let Some(own) = &mut total else {
            total = Some(Total::of(histogram));
            continue;
        };
        if is_mean && !is_running {
            let mut next = own.clone();
            let added = next.add(histogram, 1.0)?;
            if !next.has_overflowed() {
                *own = next;
                bounds_reconciled |= added.bounds_reconciled;
                continue;
            }
            is_running = true;
            own.scale(1.0 / (count - 1.0));
        }
        if is_running {
            own.scale((count - 1.0) / count);
            bounds_reconciled |= own.add(&histogram.divided(count), 1.0)?.bounds_reconciled;
        } else {
            bounds_reconciled |= own.add(histogram, 1.0)?.bounds_reconciled;
        }
    }
    let Some(total) = total else { return Ok(None) };
    // A gauge among them must not hide that two others collide.
    noted(Added { hints_collide: saw_reset && saw_not_reset, bounds_reconciled });
    let value = total.value();
    // A mean is divided here rather than in the total, where rounding would count twice.
    Ok(Some(if is_mean && !is_running && count > 1.0 { value.divided(count) } else { value }))
}

impl Evaluator<'_> {
    /// What the histograms of a group do to its row, which holds the fold of its numbers.
    pub fn fold_histograms(
        &self,
        op: FoldOp,
        aggregate: &Aggregate,
        block: &Block,
        (members, row): (&[usize], &mut Row),
    ) {
        let (notes, span) = (&self.context.notes, aggregate.expr.span);
        for step in 0..block.steps() {
            let found = || members.iter().filter_map(|series| block.histogram(*series, step));
            let count = found().count();
            if count == 0 {
                continue;
            }
            match op {
                FoldOp::Count => row.set(step, row.get(step).unwrap_or(0.0) + count as f64),
                FoldOp::Group => row.set(step, 1.0),
                FoldOp::Sum | FoldOp::Avg if row.get(step).is_some() => {
                    notes.mixed_group(span);
                    row.valid[step] = false;
                }
                FoldOp::Sum | FoldOp::Avg => {
                    let noted = |added| notes.added(span, added, "aggregation");
                    match folded(found(), op == FoldOp::Avg, noted) {
                        Ok(None) => {}
                        Ok(Some(own)) => row.set_element(step, Element::Histogram(Arc::new(own))),
                        Err(Incompatible) => notes.mixed_bounds(span, ""),
                    }
                }
                FoldOp::Min | FoldOp::Max | FoldOp::Stddev | FoldOp::Stdvar => {
                    notes.histogram_ignored(span, aggregate.op.name());
                }
            }
        }
    }
}
