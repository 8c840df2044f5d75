//! Expressions with steps of their own, and range functions over them.
//!
//! Place in the flow: `range` → **`subquery`** → an inner `Evaluator` → kernels.
//!
//! The inner steps are multiples of the subquery's step since the epoch, whatever the evaluation
//! time, so that neighbouring steps of the outer query share inner points.
//!
//! Not here: selectors (`leaf`).

use promql::ast::Subquery;

use super::Evaluator;
use super::Hints;
use super::range::RangeCall;
use crate::block::{Block, BlockBuilder, Grid};
use crate::counts::{Counting, Looked};
use crate::error::Error;
use crate::fragment::Times;
use crate::histogram::range::{Windowed, mixed_range};
use crate::histogram::series::Mixed;
use crate::kernel::window::{Reach, find};
use crate::kernel::{Frames, Input, Row, Samples, Window};
use crate::ledger::Pace;

/// A subquery's inner values and when they are looked at.
pub struct Inner {
    /// The inner instants.
    pub grid: Grid,
    /// The inner values.
    pub block: Block,
    /// The windows over them.
    pub times: Times,
    /// The windows' length.
    pub range_ms: i64,
}

impl Evaluator<'_> {
    /// Evaluates the inner expression at all instants that any step needs.
    pub fn inner(&self, subquery: &Subquery, counting: Counting) -> Result<Inner, Error> {
        let times = self.times(&subquery.modifiers)?;
        let range_ms = self.length_ms(&subquery.range)?;
        let step_ms = match &subquery.step {
            Some(step) => self.length_ms(step)?,
            None => self.context.settings.default_subquery_step_ms.max(1),
        };
        let (first_ms, last_ms) = match times.right_ms.first().zip(times.right_ms.last()) {
            Some((first, last)) => (*first, *last),
            None => (0, -1),
        };
        let left_ms = first_ms.saturating_sub(range_ms);
        let start_ms = (left_ms.div_euclid(step_ms) + 1).saturating_mul(step_ms);
        let grid = Grid::range(start_ms, last_ms, step_ms);
        if grid.steps == 0 {
            let block = Block::empty(0, &self.context.ledger);
            return Ok(Inner { grid, block, times, range_ms });
        }
        self.context.charge_steps(grid.steps)?;
        let inner = Evaluator { grid, hints: Hints::Stored, counting, ..*self };
        let block = inner.eval_vector(&subquery.expr)?;
        Ok(Inner { grid, block, times, range_ms })
    }

    /// A range function over a subquery.
    pub fn subquery_function(
        &self,
        range: &RangeCall,
        subquery: &Subquery,
    ) -> Result<Block, Error> {
        let inner = self.inner(subquery, Counting::Nothing)?;
        let ledger = &self.context.ledger;
        let mut builder = BlockBuilder::new(self.grid.steps, ledger);
        let mut row = Row::new(self.grid.steps);
        let mut windows = Vec::new();
        let reach = Reach { before_ms: inner.range_ms, after_ms: 0 };
        let pace = Pace::new(ledger);
        let mut looked = Looked::new(self.counting, self.grid.steps);
        let mut look = |windows: &[Window]| {
            let windows_total = windows.iter().map(|window| window.len()).sum();
            looked.add_windows(windows, windows_total, windows.len());
        };
        for (series, key) in inner.block.keys().iter().enumerate() {
            ledger.check()?;
            if inner.block.histograms(series).next().is_some() {
                let windowed = Windowed {
                    function: range.function,
                    extension: None,
                    times: &inner.times,
                    range_ms: inner.range_ms,
                    params: &range.params,
                    pace: &pace,
                };
                let mixed = Mixed::of_block(&inner.block, series, inner.grid);
                let noted = self.noted(range.argument.span, &key.labels);
                find(&mixed.ts, &inner.times.right_ms, reach, &mut windows);
                look(&windows);
                row.clear();
                mixed_range(&windowed, &mixed, &noted, &mut row);
                builder.push(key.clone(), &row)?;
                continue;
            }
            let (ts, values): (Vec<i64>, Vec<f64>) = inner
                .block
                .points(series)
                .map(|(step, value)| (inner.grid.at(step), value))
                .unzip();
            find(&ts, &inner.times.right_ms, reach, &mut windows);
            look(&windows);
            row.clear();
            let frames = Frames {
                right_ms: &inner.times.right_ms,
                eval_ms: &inner.times.eval_ms,
                range_ms: inner.range_ms,
            };
            let samples = Samples { ts: &ts, values: &values };
            let (windows, params) = (&windows, &range.params);
            let input = Input { samples, windows, frames, params, edges: None, pace: &pace };
            range.function.evaluate(&input, &mut row);
            builder.push(key.clone(), &row)?;
        }
        self.context.count(&looked);
        Ok(builder.finish())
    }
}
