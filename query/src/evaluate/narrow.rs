//! Operators between two vectors read no series that can't meet the other side.
//!
//! Place in the flow: `binary` → **`narrow`** → leaves with fewer series → `join` or `set`.
//!
//! The labels of a selector's series are known before a sample is read. When a side is a selector, or
//! a range function over one, its series without a partner are left out; a side that must be
//! evaluated is evaluated first. When the index already says that one of two selectors has no series,
//! those of the other are not even chosen.
//!
//! Invariant: results, errors and annotations are the same as without it, but that series which are
//! not chosen reach no limit; in doubt nothing is left out.
//!
//! Not here: how two sides meet (`join`, `set`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use promql::ast::{Binary, BinaryOp, Cardinality, Expr, ExprKind, Matching, Span, VectorSelector};

use super::range::RangeCall;
use super::selector::PreparedLeaf;
use super::signature::Hasher;
use super::{Evaluated, Evaluator};
use crate::error::Error;
use crate::fragment::Selection;
use crate::kernel::RangeFunction;
use crate::source::Source;

/// A side whose series are known before samples are read.
pub struct Known<'e> {
    span: Span,
    prepared: PreparedLeaf,
    range: Option<RangeCall<'e>>,
}

/// One side of an operator. Boxed where it is large: expressions nest deeply.
pub enum Side<'e> {
    /// Not read yet.
    Known(Box<Known<'e>>),
    /// Its value.
    Evaluated(Evaluated),
}

/// Which sides lose the series that have no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loses {
    left: bool,
    right: bool,
}

impl Loses {
    /// By what the operator makes of series without a partner; `None` when neither side does.
    pub fn of(op: BinaryOp, matching: &Matching) -> Option<Loses> {
        match op {
            BinaryOp::Or => None,
            BinaryOp::Unless => Some(Loses { left: false, right: true }),
            BinaryOp::And => Some(Loses { left: true, right: true }),
            // Somebody stands in for the partner.
            _ if matching.fill_left.is_some() || matching.fill_right.is_some() => None,
            _ => Some(Loses { left: true, right: true }),
        }
    }
}

/// Whether an operator between selectors needs no series: one side has none at all, as the index says,
/// and the other loses those without a partner.
pub fn needs_no_series(binary: &Binary, source: &dyn Source) -> bool {
    let loses = binary.matching.as_ref().and_then(|matching| Loses::of(binary.op, matching));
    let selectors = [&binary.left, &binary.right].map(|side| match &side.without_parens().kind {
        ExprKind::Vector(selector) => Some(selector),
        _ => None,
    });
    let (Some(loses), [Some(left), Some(right)]) = (loses, selectors) else { return false };
    let is_empty = |side: &VectorSelector| source.series_at_most(&side.matchers) == Some(0);
    (loses.left && is_empty(right)) || (loses.right && is_empty(left))
}

impl Evaluator<'_> {
    /// Makes both sides ready: samples are read only of a side that is no leaf.
    pub fn sides<'e>(&self, binary: &'e Binary) -> Result<(Side<'e>, Side<'e>), Error> {
        let needs_series = !needs_no_series(binary, &*self.context.source);
        let side = |expr: &'e Expr| match self.known_side(expr, needs_series)? {
            Some(known) => Ok(known),
            None => Ok(Side::Evaluated(self.eval(expr)?)),
        };
        Ok((side(&binary.left)?, side(&binary.right)?))
    }

    /// Prepares a side that is a leaf; `None` for any other.
    #[inline(never)]
    fn known_side<'e>(
        &self,
        expr: &'e Expr,
        needs_series: bool,
    ) -> Result<Option<Side<'e>>, Error> {
        let plain = expr.without_parens();
        let known = match &plain.kind {
            ExprKind::Vector(selector) => {
                let leaf = self.instant_leaf(selector)?;
                let prepared = match needs_series {
                    true => self.prepare(plain.span, selector, leaf)?,
                    false => self.prepare_nothing(plain.span, selector, leaf)?,
                };
                Known { span: plain.span, prepared, range: None }
            }
            ExprKind::Call(call) if self.context.settings.delayed_name_removal => {
                let is_matrix =
                    |arg: &Expr| matches!(arg.without_parens().kind, ExprKind::Matrix(_));
                if !call.args.iter().any(is_matrix) {
                    return Ok(None);
                }
                let Some(range) = self.range_call(call)? else { return Ok(None) };
                let ExprKind::Matrix(matrix) = &range.argument.without_parens().kind else {
                    return Ok(None);
                };
                let prepared = self.prepare_range(&range, matrix)?;
                Known { span: plain.span, prepared, range: Some(range) }
            }
            _ => return Ok(None),
        };
        Ok(Some(Side::Known(Box::new(known))))
    }

    /// Leaves out what has no partner, and evaluates what is not evaluated yet.
    #[inline(never)]
    pub fn narrowed(
        &self,
        binary: &Binary,
        (loses, matching): (Loses, &Matching),
        (mut left, mut right): (Side, Side),
    ) -> Result<(Evaluated, Evaluated), Error> {
        if let (Side::Evaluated(_), Side::Evaluated(_)) = (&left, &right) {
            return Ok((self.evaluated(left)?, self.evaluated(right)?));
        }
        let hashes = (hashes_of(&left, matching), hashes_of(&right, matching));
        if let (Some(left_hashes), Some(right_hashes)) = hashes {
            let one_side = match matching.cardinality {
                _ if binary.op.is_set() => None,
                Cardinality::OneToMany => Some(&left_hashes),
                _ => Some(&right_hashes),
            };
            // Two of one signature on the "one" side may be an error, partner or not.
            if one_side.is_none_or(|hashes| are_distinct(hashes)) {
                if loses.left {
                    left.keep(&left_hashes, &right_hashes);
                }
                if loses.right {
                    right.keep(&right_hashes, &left_hashes);
                }
            }
        }
        Ok((self.evaluated(left)?, self.evaluated(right)?))
    }

    fn evaluated(&self, side: Side) -> Result<Evaluated, Error> {
        match side {
            Side::Evaluated(value) => Ok(value),
            Side::Known(known) => {
                let started = Instant::now();
                let Known { span, prepared, range } = *known;
                let block = self.run_plain(prepared)?;
                let block = match range {
                    Some(range) => self.finish_range(&range, block)?,
                    None => block,
                };
                let value = Evaluated::Vector(block);
                self.trace(span, started, &value);
                Ok(value)
            }
        }
    }
}

/// The hashes of the signatures of a side's series; nothing for what is no vector.
fn hashes_of(side: &Side, matching: &Matching) -> Option<Vec<u64>> {
    let mut hasher = Hasher::new(matching);
    match side {
        Side::Known(known) => {
            let labels = known.prepared.selection.labels.iter();
            Some(labels.map(|labels| hasher.hash(labels)).collect())
        }
        Side::Evaluated(Evaluated::Vector(block)) => {
            // A filter may have left nothing of a series.
            let is_there = |series: usize| {
                block.points(series).next().is_some() || block.histograms(series).next().is_some()
            };
            let there = block.keys().iter().enumerate().filter(|(series, _)| is_there(*series));
            Some(there.map(|(_, key)| hasher.hash(&key.labels)).collect())
        }
        Side::Evaluated(_) => None,
    }
}

fn are_distinct(hashes: &[u64]) -> bool {
    let mut seen = HashSet::with_capacity(hashes.len());
    hashes.iter().all(|hash| seen.insert(*hash))
}

impl Side<'_> {
    /// Leaves out the series of a leaf whose signature is not among the other side's.
    fn keep(&mut self, own: &[u64], others: &[u64]) {
        let Side::Known(known) = self else { return };
        if !known.may_lose_series() {
            return;
        }
        let others: HashSet<u64> = others.iter().copied().collect();
        if own.iter().all(|hash| others.contains(hash)) {
            return;
        }
        let all = &known.prepared.selection;
        let kept = own.iter().enumerate().filter(|(_, hash)| others.contains(*hash));
        let kept: Vec<usize> = kept.map(|(series, _)| series).collect();
        known.prepared.selection = Arc::new(Selection {
            ids: kept.iter().map(|series| all.ids[*series]).collect(),
            labels: kept.iter().map(|series| all.labels[*series].clone()).collect(),
        });
    }
}

impl Known<'_> {
    /// Not when its series have more than numbers, or when there would be something to be said of
    /// those left out.
    fn may_lose_series(&self) -> bool {
        let Some(range) = &self.range else { return self.prepared.beside.is_empty() };
        let labels = &self.prepared.selection.labels;
        self.prepared.beside.is_empty()
            && range.function != RangeFunction::Quantile
            && labels.iter().all(|own| range.function.suits(own))
    }
}
