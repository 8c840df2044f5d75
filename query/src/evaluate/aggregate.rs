//! Aggregation across series.
//!
//! Place in the flow: `Evaluator::eval` → **`aggregate`** → a block of groups, or of chosen series.
//!
//! What folds (sum, avg, min, max, count, group, stddev, stdvar) over a plain selector or a range
//! function folds inside the leaf and never holds its input; everything else takes a block.
//!
//! Not here: the cells (`fold`), choosing series per step (`choose`).

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::sample::format_value;
use promql::ast::{Aggregate, AggregateOp, Expr, ExprKind, Grouping, Span, VectorSelector};

use super::Evaluator;
use crate::block::{Block, BlockBuilder, Key};
use crate::error::Error;
use crate::fold::{Fold, FoldOp};
use crate::fragment::{Leaf, Partial};
use crate::kernel::order::{compare, quantile_of_sorted};
use crate::kernel::{RangeFunction, Row};
use crate::ledger::Pace;
use crate::names;
use crate::source::{self, Keep};

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
    pub fn new(grouping: &Grouping, keys: &[Key]) -> Groups {
        let all = keys.iter().map(|key| &key.labels);
        let by_labels = source::Groups::of(all, &|name| stays(grouping, name));
        let mut groups =
            Groups { of: by_labels.of, keys: by_labels.labels.into_iter().map(Key::new).collect() };
        for (key, group) in keys.iter().zip(&groups.of) {
            groups.keys[*group as usize].drop_name |= key.drop_name;
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

/// Whether a label is part of the name of its group.
fn stays(grouping: &Grouping, label: &str) -> bool {
    let is_listed = grouping.labels.iter().any(|own| own == label);
    if grouping.without { !is_listed && !names::is_reserved(label) } else { is_listed }
}

/// A selector with what is computed from it, and the range function of that.
struct Foldable<'e> {
    span: Span,
    selector: &'e VectorSelector,
    leaf: Leaf,
    function: Option<RangeFunction>,
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
        let groups = Groups::new(&aggregate.grouping, block.keys());
        let bytes = Fold::bytes(groups.keys.len(), block.steps());
        let charge = self.context.ledger.charge(0, bytes)?;
        let mut fold = Fold::new(op, groups.keys.len(), block.steps());
        let mut row = Row::new(block.steps());
        let pace = self.pace();
        for (series, group) in groups.of.iter().enumerate() {
            pace.spend(block.steps())?;
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
        let pace = self.pace();
        for (group, key) in keys.into_iter().enumerate() {
            pace.spend(self.grid.steps)?;
            fold.read_row(group, &mut row);
            beside(group, &mut row);
            builder.push(key, &row)?;
        }
        Ok(builder.finish())
    }

    /// Folds inside the leaf when the operand is a selector or a range function over one.
    fn fold_in_leaf(&self, op: FoldOp, aggregate: &Aggregate) -> Result<Option<Block>, Error> {
        let operand = aggregate.expr.without_parens();
        let Some(foldable) = self.foldable(operand)? else { return Ok(None) };
        let Foldable { span, selector, leaf, function } = foldable;
        let by_grouping = |name: &str| stays(&aggregate.grouping, name);
        let by_kind = |name: &str| name == METRIC_NAME || name == names::METRIC_TYPE;
        // The second is for notes about counters only.
        let ways: [Keep; 2] = [&by_grouping, &by_kind];
        let ways = &ways[..1 + usize::from(function.is_some())];
        let (mut prepared, ways) = self.prepare_grouped(span, selector, leaf, ways)?;
        let mut ways = ways.into_iter();
        let groups = ways.next().ok_or_else(|| Error::Storage("groups are missing".to_owned()))?;
        let kinds = ways.next().unwrap_or_default();
        if !prepared.beside.is_empty() {
            return Ok(None);
        }
        let count = groups.labels.len();
        let charge = self.context.ledger.charge(0, Fold::bytes(count, self.grid.steps))?;
        prepared.partial = Some(Partial { op, group_of: groups.of, groups: count });
        let (fold, fragment) = self.run_folded(prepared)?;
        if let (Some(function), ExprKind::Call(call)) = (function, &operand.kind) {
            let mut is_noted = vec![false; kinds.labels.len()];
            for (series, kind) in kinds.of.iter().enumerate() {
                let kind = *kind as usize;
                if !is_noted[kind] && fragment.tally.has_produced(series) {
                    is_noted[kind] = true;
                    self.note_counter(function, call.args[0].span, &kinds.labels[kind]);
                }
            }
        }
        let drop_name = function.is_some_and(|function| !function.keeps_name());
        let keys = groups.labels.into_iter().map(|labels| Key { labels, drop_name });
        let answer = self.read_fold(&fold, keys.collect(), |_, _| {});
        drop(charge);
        answer.map(Some)
    }

    /// What an operand computes that can be folded as it streams.
    fn foldable<'e>(&self, operand: &'e Expr) -> Result<Option<Foldable<'e>>, Error> {
        match &operand.kind {
            ExprKind::Vector(selector) => {
                let leaf = self.instant_leaf(selector)?;
                Ok(Some(Foldable { span: operand.span, selector, leaf, function: None }))
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
                Ok(Some(Foldable {
                    span: range.argument.without_parens().span,
                    selector: &matrix.selector,
                    leaf: self.range_leaf(&range, matrix)?,
                    function: Some(range.function),
                }))
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
        let no_number = phis.iter().copied().find(|phi| phi.is_nan());
        let wrong = |phi: &f64| *phi > 1.0 || *phi < 0.0;
        for phi in no_number.into_iter().chain(ends(phis).into_iter().filter(wrong)) {
            self.context.notes.invalid_quantile(parameter.span, phi);
        }
        let block = self.eval_vector(&aggregate.expr)?;
        if block.has_histograms() {
            self.context.notes.histogram_ignored(aggregate.expr.span, aggregate.op.name());
        }
        let groups = Groups::new(&aggregate.grouping, block.keys());
        let mut builder = BlockBuilder::new(block.steps(), &self.context.ledger);
        let mut row = Row::new(block.steps());
        let mut values = Vec::new();
        let pace = self.pace();
        for (members, key) in groups.members().into_iter().zip(&groups.keys) {
            row.clear();
            for (step, phi) in phis.iter().enumerate() {
                pace.spend(members.len() * 16)?;
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
        // `without` takes the label away again that the values were written to.
        let is_shown = !grouping.without || stays(&grouping, label);
        grouping.labels.retain(|own| own != label || !is_shown);
        let groups = Groups::new(&grouping, block.keys());
        let mut counted: Vec<(Key, Counts)> = Vec::new();
        let pace = self.pace();
        for (members, key) in groups.members().into_iter().zip(&groups.keys) {
            for (text, counts) in count_texts(&block, &members, &pace)? {
                pace.spend(256)?;
                let mut labels = key.labels.to_builder();
                if is_shown {
                    labels.set(label, &text);
                }
                let key = Key { labels: labels.build(), drop_name: key.drop_name };
                counted.push((key, counts));
            }
        }
        if groups.keys.len() > 1 || !is_shown {
            // Groups that differ in nothing but the label which is written here become one.
            counted.sort_by(|one, other| one.0.labels.cmp(&other.0.labels));
            counted.dedup_by(|later, kept| {
                let is_same = later.0.labels == kept.0.labels;
                if is_same {
                    kept.0.drop_name |= later.0.drop_name;
                    kept.1.append(&mut later.1);
                }
                is_same
            });
        }
        let mut builder = BlockBuilder::new(block.steps(), &self.context.ledger);
        let mut row = Row::new(block.steps());
        for (key, counts) in counted {
            pace.spend(block.steps() + 64)?;
            row.clear();
            for (step, count) in counts {
                let before = row.get(step as usize).unwrap_or(0.0);
                row.set(step as usize, before + f64::from(count));
            }
            builder.push(key, &row)?;
        }
        Ok(builder.finish())
    }
}

/// The largest and the smallest of a parameter's values, of which what is wrong is told; NaN when
/// there is nothing else.
fn ends(values: &[f64]) -> [f64; 2] {
    let over = |pick: fn(f64, f64) -> f64| values.iter().copied().fold(f64::NAN, pick);
    [over(f64::max), over(f64::min)]
}

/// How often a value is there, step by step.
type Counts = Vec<(u32, u32)>;

/// Counts the values of some series, in the order of their texts.
fn count_texts(
    block: &Block,
    members: &[usize],
    pace: &Pace,
) -> Result<Vec<(String, Counts)>, Error> {
    let add = |counts: &mut Counts, step: usize| match counts.last_mut() {
        Some((own, count)) if *own as usize == step => *count += 1,
        _ => counts.push((step as u32, 1)),
    };
    // By bits first: a text is made once for each distinct value.
    let mut by_bits: HashMap<u64, Counts> = HashMap::new();
    let mut histograms: HashMap<String, Counts> = HashMap::new();
    for series in members {
        pace.spend(32 * block.steps())?;
        for (step, value) in block.points(*series) {
            add(by_bits.entry(value.to_bits()).or_default(), step);
        }
        for (step, own) in block.histograms(*series) {
            add(histograms.entry(own.to_string()).or_default(), step);
        }
    }
    let numbers = by_bits.into_iter().map(|(bits, counts)| (plain(f64::from_bits(bits)), counts));
    let mut all: Vec<(String, Counts)> = numbers.chain(histograms).collect();
    all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    all.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0; // Different NaN have one text.
        if is_same {
            kept.1.append(&mut later.1);
        }
        is_same
    });
    Ok(all)
}

/// A value without an exponent, however long that gets.
fn plain(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { format_value(value) }
}
