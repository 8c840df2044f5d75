//! Leaves over series that have more than numbers.
//!
//! Place in the flow: `Evaluator::run_plain` hands such a leaf over → **`leaf`** → a block.
//!
//! The other series of the selection go the columnar way; both parts meet again in label order.
//!
//! Not here: choosing series (`evaluate::selector`), the functions (`range`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, UInt32Type};
use model::append::SeriesId;
use model::{Labels, TimeRange};
use promql::ast::Span;

use super::extended::instant;
use super::range::{Noted, Windowed, mixed_range};
use super::series::Mixed;
use crate::block::{Block, BlockBuilder, Key};
use crate::counts::Looked;
use crate::error::Error;
use crate::evaluate::selector::PreparedLeaf;
use crate::evaluate::{Evaluator, Hints};
use crate::fragment::{Leaf, Selection, Times};
use crate::kernel::Row;
use crate::kernel::lookback::Output;
use crate::kernel::window::{Reach, find};
use crate::ledger::{Charge, Pace};
use crate::source::Beside;

impl Evaluator<'_> {
    /// What the series of a selector have beside their numbers.
    pub fn read_beside(
        &self,
        ids: &[SeriesId],
        range: Option<TimeRange>,
    ) -> Result<(Vec<Beside>, Charge), Error> {
        let mut charge = self.context.ledger.nothing();
        let mut found = Vec::new();
        let Some(range) = range.filter(|_| !ids.is_empty()) else { return Ok((found, charge)) };
        let mut all = self.context.source.beside(ids, range)?;
        for beside in all.by_ref() {
            let beside = beside?;
            self.context.ledger.check()?;
            let bytes: usize = beside.histograms.iter().map(|(_, own)| own.bytes() + 16).sum();
            charge.grow(beside.histograms.len(), bytes + beside.starts.len() * 16)?;
            found.push(beside);
        }
        for warning in all.warnings() {
            self.context.notes.partial(warning);
        }
        Ok((found, charge))
    }

    /// Where notes about an argument go.
    pub fn noted<'n>(&'n self, span: Span, labels: &'n Labels) -> Noted<'n> {
        Noted { notes: &self.context.notes, span, metric: labels.metric_name() }
    }

    /// Runs a leaf some of whose series have more than numbers.
    pub fn run_beside(&self, prepared: PreparedLeaf) -> Result<Block, Error> {
        let own: BTreeMap<usize, Beside> =
            prepared.beside.into_iter().map(|beside| (beside.position, beside)).collect();
        let pick = |is_own: bool| {
            let chosen =
                (0..prepared.selection.ids.len()).filter(|at| own.contains_key(at) == is_own);
            let chosen: Vec<usize> = chosen.collect();
            Selection {
                ids: chosen.iter().map(|at| prepared.selection.ids[*at]).collect(),
                labels: chosen.iter().map(|at| prepared.selection.labels[*at].clone()).collect(),
            }
        };
        let mixed = self.read_mixed(&pick(true), prepared.range, own.values())?;
        let plain = self.run_plain(PreparedLeaf {
            span: prepared.span,
            selection: Arc::new(pick(false)),
            range: prepared.range,
            times: prepared.times.clone(),
            leaf: prepared.leaf.clone(),
            beside: Vec::new(),
            charge: self.context.ledger.nothing(),
            partial: None,
        })?;
        let mut builder = BlockBuilder::new(self.grid.steps, &self.context.ledger);
        let mut row = Row::new(self.grid.steps);
        let mut next_plain = 0;
        let mut push_plain = |builder: &mut BlockBuilder, before: Option<&Labels>| {
            while next_plain < plain.len()
                && before.is_none_or(|before| plain.keys()[next_plain].labels < *before)
            {
                let mut row = Row::new(plain.steps());
                plain.read_row(next_plain, &mut row);
                builder.push(plain.keys()[next_plain].clone(), &row)?;
                next_plain += 1;
            }
            Ok::<(), Error>(())
        };
        for (labels, series) in mixed {
            self.context.ledger.check()?;
            push_plain(&mut builder, Some(&labels))?;
            row.clear();
            let noted = self.noted(prepared.span, &labels);
            self.evaluate_mixed(&prepared.leaf, &prepared.times, series, (&noted, &mut row));
            builder.push(Key::new(labels), &row)?;
        }
        push_plain(&mut builder, None)?;
        Ok(builder.finish())
    }

    /// Numbers and histograms of these series, in one order each.
    fn read_mixed<'b>(
        &self,
        selection: &Selection,
        range: TimeRange,
        beside: impl Iterator<Item = &'b Beside>,
    ) -> Result<Vec<(Labels, Mixed)>, Error> {
        let wrong = || Error::Storage("the scan has a column of a wrong type".to_owned());
        let mut floats: Vec<(Vec<i64>, Vec<f64>)> = vec![Default::default(); selection.ids.len()];
        let mut scan = self.context.source.scan(&selection.ids, range)?;
        let mut charge = self.context.ledger.nothing();
        for batch in scan.by_ref() {
            let batch = batch?;
            self.context.ledger.check()?;
            charge.grow(0, batch.num_rows() * 64)?;
            let column = |name: &str| batch.column_by_name(name).ok_or_else(wrong);
            let series = column("series")?.as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
            let ts = column("ts")?.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
            let values = column("value")?.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?;
            for row in 0..batch.num_rows() {
                let own = &mut floats[series.value(row) as usize];
                own.0.push(ts.value(row));
                own.1.push(values.value(row));
            }
        }
        for warning in scan.warnings() {
            self.context.notes.partial(warning);
        }
        let all = selection.labels.iter().zip(floats).zip(beside);
        Ok(all
            .map(|((labels, (ts, values)), beside)| {
                let mut mixed = Mixed::new(&ts, &values, beside);
                if self.hints == Hints::Derived {
                    mixed.derive_hints();
                }
                (labels.clone(), mixed)
            })
            .collect())
    }

    fn evaluate_mixed(
        &self,
        leaf: &Leaf,
        times: &Times,
        series: Mixed,
        (noted, row): (&Noted, &mut Row),
    ) {
        let mut windows = Vec::new();
        let mut looked = Looked::new(self.counting, self.grid.steps);
        let (before_ms, after_ms) = leaf.reach_ms();
        let reach = Reach { before_ms, after_ms };
        match leaf {
            Leaf::Range { function, range_ms, params, extension } => {
                let series = series.without_stale();
                find(&series.ts, &times.right_ms, reach, &mut windows);
                let windows_total = windows.iter().map(|window| window.len()).sum();
                looked.add_windows(&windows, windows_total, windows.len());
                let extension = extension.map(|(extension, _)| (extension, reach));
                let pace = &Pace::new(&self.context.ledger);
                let (function, range_ms) = (*function, *range_ms);
                let windowed = Windowed { function, extension, times, range_ms, params, pace };
                mixed_range(&windowed, &series, noted, row);
            }
            Leaf::LookBack { output, .. } => {
                find(&series.ts, &times.right_ms, reach, &mut windows);
                for (step, window) in windows.iter().enumerate() {
                    if window.is_empty() || series.is_stale(window.hi - 1) {
                        continue;
                    }
                    let last = window.hi - 1;
                    match output {
                        Output::Value => row.set_element(step, series.elements[last].clone()),
                        Output::Timestamp => row.set(step, series.ts[last] as f64 / 1000.0),
                        Output::StartTimestamp => {
                            row.set(step, series.starts[last] as f64 / 1000.0);
                        }
                    }
                }
            }
            Leaf::Smoothed { .. } => {
                let series = series.without_stale();
                find(&series.ts, &times.right_ms, reach, &mut windows);
                for (step, window) in windows.iter().enumerate() {
                    let at_ms = times.right_ms[step];
                    if let Some(element) = instant(&series, *window, at_ms, noted) {
                        row.set_element(step, element);
                    }
                }
            }
        }
        if !matches!(leaf, Leaf::Range { .. }) {
            looked.add_row(row);
        }
        self.context.count(&looked);
    }
}
