//! `topk`, `bottomk`, `limitk`, `limit_ratio`: which series stay at each step.
//!
//! Place in the flow: `aggregate` → **`choose`** → the same series with fewer values.
//!
//! An instant result comes out group by group, inside a group best first; a range result is sorted
//! by labels in the end like any other.
//!
//! Not here: operators that make one value of a group (`aggregate`).

use std::cmp::Ordering;

use model::Labels;
use promql::ast::{Aggregate, AggregateOp, Expr, Span};
use xxhash_rust::xxh64::xxh64;

use super::{Groups, ends};
use crate::block::{Block, BlockBuilder};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::kernel::Row;
use crate::notes::short;

impl Evaluator<'_> {
    /// Evaluates one of the four operators.
    pub(super) fn choose(
        &self,
        span: Span,
        aggregate: &Aggregate,
        parameter: &Expr,
        params: Vec<f64>,
    ) -> Result<Block, Error> {
        let is_ratio = aggregate.op == AggregateOp::LimitRatio;
        let block = self.eval_vector(&aggregate.expr)?;
        if params.iter().any(|value| value.is_nan()) {
            let what = if is_ratio { "Ratio" } else { "Parameter" };
            return Err(Error::Execution(format!("{what} value is NaN")));
        }
        if !is_ratio && params.iter().all(|count| *count < 1.0) {
            return Ok(self.empty_block());
        }
        let params = match is_ratio {
            true => self.cap_ratios(parameter, params),
            false => whole_counts(params)?,
        };
        let groups = Groups::new(&aggregate.grouping, block.keys());
        let mut kept = vec![false; block.len() * block.steps()];
        let by_value = matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk);
        if by_value && block.has_histograms() {
            self.context.notes.histogram_ignored(span, aggregate.op.name());
        }
        let stays = |series: usize, step: usize| {
            block.is_valid(series, step) || !by_value && block.has(series, step)
        };
        let mut order = Vec::new(); // Best first, by group; only read for a single step.
        let hashes: Vec<f64> = if is_ratio {
            block.keys().iter().map(|key| share_of(&key.labels)).collect()
        } else {
            Vec::new()
        };
        let pace = self.pace();
        for members in groups.members() {
            for (step, param) in params.iter().enumerate() {
                pace.spend(members.len() * 8)?;
                let mut present: Vec<usize> =
                    members.iter().copied().filter(|own| stays(*own, step)).collect();
                if is_ratio {
                    present.retain(|series| is_in_ratio(hashes[*series], *param));
                } else {
                    best(aggregate.op, *param, &mut present, |own| block.values(own)[step]);
                }
                for series in present {
                    kept[series * block.steps() + step] = true;
                    if params.len() == 1 {
                        order.push(series);
                    }
                }
            }
        }
        if block.steps() != 1 {
            order = (0..block.len()).collect();
        }
        let mut builder = BlockBuilder::new(block.steps(), &self.context.ledger);
        let mut row = Row::new(block.steps());
        for series in order {
            pace.spend(block.steps() + 16)?;
            block.read_row(series, &mut row);
            let steps = series * block.steps()..(series + 1) * block.steps();
            let kept = &kept[steps];
            row.retain(|step| kept[step]);
            builder.push(block.keys()[series].clone(), &row)?;
        }
        Ok(builder.finish())
    }

    fn cap_ratios(&self, parameter: &Expr, ratios: Vec<f64>) -> Vec<f64> {
        let capped = |ratio: f64| ratio.clamp(-1.0, 1.0);
        for ratio in ends(&ratios).into_iter().filter(|ratio| capped(*ratio) != *ratio) {
            self.context.notes.invalid_ratio(parameter.span, ratio, capped(ratio));
        }
        ratios.into_iter().map(capped).collect()
    }
}

/// Counts fit into 64 bits; where one does not, the smallest or the largest of the query is told.
fn whole_counts(counts: Vec<f64>) -> Result<Vec<f64>, Error> {
    let [most, least] = ends(&counts);
    let problem = if least <= i64::MIN as f64 {
        format!("Scalar value {} underflows int64", short(least))
    } else if most >= i64::MAX as f64 {
        format!("Scalar value {} overflows int64", short(most))
    } else {
        return Ok(counts);
    };
    Err(Error::Execution(problem))
}

/// Leaves the `count` best series, best first.
fn best(op: AggregateOp, count: f64, present: &mut Vec<usize>, value: impl Fn(usize) -> f64) {
    let count = if count >= 1.0 { (count as usize).min(present.len()) } else { 0 };
    if op != AggregateOp::Limitk {
        let compare = |a: &usize, b: &usize| {
            let (left, right) = (value(*a), value(*b));
            let by_value = match (left.is_nan(), right.is_nan()) {
                (false, false) if op == AggregateOp::Topk => right.partial_cmp(&left),
                (false, false) => left.partial_cmp(&right),
                (left_is_nan, right_is_nan) => Some(left_is_nan.cmp(&right_is_nan)),
            };
            by_value.unwrap_or(Ordering::Equal).then(a.cmp(b))
        };
        if count > 0 && count < present.len() {
            present.select_nth_unstable_by(count - 1, compare);
        }
        present.truncate(count);
        present.sort_unstable_by(compare);
    }
    present.truncate(count);
}

fn is_in_ratio(share: f64, ratio: f64) -> bool {
    if ratio >= 0.0 { share < ratio } else { share >= 1.0 + ratio }
}

/// Where a label set falls between 0 and 1, by the hash that upstream takes of it.
fn share_of(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for (name, value) in labels.iter() {
        for part in [name, value] {
            match u8::try_from(part.len()) {
                Ok(len) if len < u8::MAX => bytes.push(len),
                _ => {
                    bytes.push(u8::MAX);
                    bytes.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    xxh64(&bytes, 0) as f64 / u64::MAX as f64
}
