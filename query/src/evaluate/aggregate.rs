//! Aggregation across series.
//!
//! Place in the flow: `Evaluator::eval` → **`aggregate`** → a block of groups, or of chosen series.
//!
//! What folds (sum, avg, min, max, count, group, stddev, stdvar) over a plain selector or a range
//! function folds inside the leaf and never holds its input; everything else takes a block.
//!
//! Not here: the cells (`fold`), choosing series per step (`choose`).

use std::collections::{BTreeMap, HashMap};

use model::Labels;
use model::sample::format_value;
use promql::ast::{Aggregate, AggregateOp, Expr, ExprKind, Grouping, Span};

use super::Evaluator;
use super::selector::PreparedLeaf;
use crate::block::{Block, BlockBuilder, Key};
use crate::error::Error;
use crate::fold::{Fold, FoldOp};
use crate::fragment::Partial;
use crate::kernel::order::{compare, quantile_of_sorted};
use crate::kernel::{RangeFunction, Row};
use crate::names;

/// `topk`, `bottomk`, `limitk`, `limit_ratio`: which series stay at each step.
mod choose;

/// The groups of some series.
pub struct Groups {
    /// The group of each series.
    pub of: Vec<u32>,
    /// Whose result each group is.
    pub keys: Vec<Key>,
}

impl Groups {
    /// Groups series by their labels, in order of appearance.
    pub fn new<'k>(grouping: &Grouping, keys: impl Iterator<Item = &'k Key>) -> Groups {
        let mut positions: HashMap<Labels, u32> = HashMap::new();
        let mut groups = Groups { of: Vec::new(), keys: Vec::new() };
        for key in keys {
            let labels = group_labels(grouping, &key.labels);
            let next = u32::try_from(groups.keys.len()).expect("fewer groups than a selection has");
            let position = *positions.entry(labels).or_insert_with_key(|labels| {
                groups.keys.push(Key::new(labels.clone()));
                next
            });
            groups.keys[position as usize].drop_name |= key.drop_name;
            groups.of.push(position);
        }
        groups
    }

    /// The series of each group, in order.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.keys.len()];
        for (series, group) in self.of.iter().enumerate() {
            members[*group as usize].push(series);
        }
        members
    }
}

/// The labels that name the group of a series.
fn group_labels(grouping: &Grouping, labels: &Labels) -> Labels {
    let listed = |label: &str| grouping.labels.iter().any(|own| own == label);
    if grouping.without {
        labels.filtered(|label| !listed(label) && !names::is_reserved(label))
    } else {
        labels.filtered(listed)
    }
}

impl Evaluator<'_> {
    /// Evaluates an aggregation.
    pub fn aggregate(&self, span: Span, aggregate: &Aggregate) -> Result<Block, Error> {
        if let Some(op) = FoldOp::of(aggregate.op) {
            return self.fold(op, aggregate);
        }
        let parameter = aggregate.parameter.as_ref();
        let parameter =
            parameter.ok_or_else(|| Error::Execution("a parameter is missing".to_owned()))?;
        if aggregate.op == AggregateOp::CountValues {
            return self.count_values(aggregate, &self.eval_text(parameter)?);
        }
        let values = self.eval_scalar(parameter)?;
        if aggregate.op == AggregateOp::Quantile {
            return self.quantile(aggregate, parameter, &values);
        }
        self.choose(span, aggregate, parameter, values)
    }

    fn fold(&self, op: FoldOp, aggregate: &Aggregate) -> Result<Block, Error> {
        if let Some(folded) = self.fold_in_leaf(op, aggregate)? {
            return Ok(folded);
        }
        let block = self.eval_vector(&aggregate.expr)?;
        let groups = Groups::new(&aggregate.grouping, block.keys().iter());
        let bytes = Fold::bytes(groups.keys.len(), block.steps());
        let charge = self.context.ledger.charge(0, bytes)?;
        let mut fold = Fold::new(op, groups.keys.len(), block.steps());
        let mut row = Row::new(block.steps());
        for (series, group) in groups.of.iter().enumerate() {
            block.read_row(series, &mut row);
            fold.add_row(*group as usize, &row);
        }
        let members = groups.members();
        let beside = |group: usize, row: &mut Row| {
            if block.has_histograms() {
                self.fold_histograms(op, aggregate, &block, (&members[group], row));
            }
        };
        let answer = self.read_fold(&fold, groups.keys, beside);
        drop(charge);
        answer
    }

    fn read_fold(
        &self,
        fold: &Fold,
        keys: Vec<Key>,
        beside: impl Fn(usize, &mut Row),
    ) -> Result<Block, Error> {
        let mut builder = BlockBuilder::new(self.grid.steps, &self.context.ledger);
        let mut row = Row::new(self.grid.steps);
        for (group, key) in keys.into_iter().enumerate() {
            fold.read_row(group, &mut row);
            beside(group, &mut row);
            builder.push(key, &row)?;
        }
        Ok(builder.finish())
    }

    /// Folds inside the leaf when the operand is a selector or a range function over one.
    fn fold_in_leaf(&self, op: FoldOp, aggregate: &Aggregate) -> Result<Option<Block>, Error> {
        let operand = aggregate.expr.without_parens();
        let Some((mut prepared, function)) = self.foldable(operand)? else { return Ok(None) };
        if !prepared.beside.is_empty() {
            return Ok(None);
        }
        let drop_name = function.is_some_and(|function| !function.keeps_name());
        let labels = &prepared.selection.labels;
        let keys: Vec<Key> =
            labels.iter().map(|labels| Key { labels: labels.clone(), drop_name }).collect();
        let groups = Groups::new(&aggregate.grouping, keys.iter());
        let charge =
            self.context.ledger.charge(0, Fold::bytes(groups.keys.len(), self.grid.steps))?;
        prepared.partial = Some(Partial { op, group_of: groups.of, groups: groups.keys.len() });
        let (fold, fragment) = self.run_folded(prepared)?;
        if let (Some(function), ExprKind::Call(call)) = (function, &operand.kind) {
            for (series, labels) in fragment.selection.labels.iter().enumerate() {
                if fragment.tally.has_produced(series) {
                    self.note_counter(function, call.args[0].span, labels);
                }
            }
        }
        let answer = self.read_fold(&fold, groups.keys, |_, _| {});
        drop(charge);
        answer.map(Some)
    }

    /// The leaf of an operand that can be folded as it streams.
    fn foldable(
        &self,
        operand: &Expr,
    ) -> Result<Option<(PreparedLeaf, Option<RangeFunction>)>, Error> {
        match &operand.kind {
            ExprKind::Vector(selector) => {
                Ok(Some((self.prepare_instant(operand.span, selector)?, None)))
            }
            ExprKind::Call(call) if self.context.settings.delayed_name_removal => {
                let Some(range) = self.range_call(call)? else { return Ok(None) };
                // Quantiles warn about their parameter once there is a result.
                let ExprKind::Matrix(matrix) = &range.argument.without_parens().kind else {
                    return Ok(None);
                };
                if range.function == RangeFunction::Quantile {
                    return Ok(None);
                }
                Ok(Some((self.prepare_range(&range, matrix)?, Some(range.function))))
            }
            _ => Ok(None),
        }
    }

    fn quantile(
        &self,
        aggregate: &Aggregate,
        parameter: &Expr,
        phis: &[f64],
    ) -> Result<Block, Error> {
        for phi in phis.iter().filter(|phi| !(0.0..=1.0).contains(*phi)) {
            self.context.notes.invalid_quantile(parameter.span, *phi);
        }
        let block = self.eval_vector(&aggregate.expr)?;
        if block.has_histograms() {
            self.context.notes.histogram_ignored(aggregate.expr.span, aggregate.op.name());
        }
        let groups = Groups::new(&aggregate.grouping, block.keys().iter());
        let mut builder = BlockBuilder::new(block.steps(), &self.context.ledger);
        let mut row = Row::new(block.steps());
        let mut values = Vec::new();
        for (members, key) in groups.members().into_iter().zip(&groups.keys) {
            self.context.ledger.check()?;
            row.clear();
            for (step, phi) in phis.iter().enumerate() {
                values.clear();
                values.extend(members.iter().filter_map(|series| block.get(*series, step)));
                if !values.is_empty() {
                    values.sort_unstable_by(compare);
                    row.set(step, quantile_of_sorted(*phi, &values));
                }
            }
            builder.push(key.clone(), &row)?;
        }
        Ok(builder.finish())
    }

    fn count_values(&self, aggregate: &Aggregate, label: &[u8]) -> Result<Block, Error> {
        let Some(label) = names::label_name(label) else {
            return Err(Error::Execution(format!("invalid label name {}", names::quoted(label))));
        };
        let block = self.eval_vector(&aggregate.expr)?;
        let mut grouping = aggregate.grouping.clone();
        grouping.labels.retain(|own| own != label);
        let groups = Groups::new(&grouping, block.keys().iter());
        let mut rows: BTreeMap<Labels, (Key, Row)> = BTreeMap::new();
        for (members, key) in groups.members().into_iter().zip(&groups.keys) {
            self.context.ledger.check()?;
            // Groups that differ in nothing but the label which is written here become one.
            let mut count = |text: String, step: usize| {
                let mut labels = key.labels.to_builder();
                labels.set(label, &text);
                let (own, row) = rows.entry(labels.build()).or_insert_with_key(|labels| {
                    (Key::new(labels.clone()), Row::new(block.steps()))
                });
                own.drop_name |= key.drop_name;
                row.set(step, row.get(step).unwrap_or(0.0) + 1.0);
            };
            for series in members {
                block.points(series).for_each(|(step, value)| count(plain(value), step));
                block.histograms(series).for_each(|(step, own)| count(own.to_string(), step));
            }
        }
        let mut builder = BlockBuilder::new(block.steps(), &self.context.ledger);
        for (key, row) in rows.into_values() {
            builder.push(key, &row)?;
        }
        Ok(builder.finish())
    }
}

/// A value without an exponent, however long that gets.
fn plain(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format_value(value) }
}
