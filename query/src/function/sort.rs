//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.
//!
//! Place in the flow: `function::call` → **`sort`** → the same series in another order.
//!
//! Only an instant result has an order of its own; a range result is sorted by labels in the end.
//!
//! Not here: the order inside `topk` (`evaluate::aggregate`).

use std::cmp::Ordering;

use promql::ast::{Expr, Span};

use crate::block::{Block, BlockBuilder};
use crate::error::Error;
use crate::evaluate::Evaluator;
use crate::kernel::Row;
use crate::ledger::Pace;

/// Sorts by value, NaN last.
pub fn by_value(
    own: &Evaluator,
    span: Span,
    argument: &Expr,
    descending: bool,
) -> Result<Block, Error> {
    let mut block = own.eval_vector(argument)?;
    block.take_histograms(); // They have no order.
    if is_range(own, span) {
        return Ok(block);
    }
    let value = |series: &usize| block.values(*series)[0];
    reorder(own, &block, |a, b| {
        let (left, right) = (value(a), value(b));
        match (left.is_nan(), right.is_nan()) {
            (false, false) if descending => right.partial_cmp(&left).unwrap_or(Ordering::Equal),
            (false, false) => left.partial_cmp(&right).unwrap_or(Ordering::Equal),
            (left_is_nan, right_is_nan) => left_is_nan.cmp(&right_is_nan),
        }
    })
}

/// Sorts by labels in natural order, then by all labels.
pub fn by_label(
    own: &Evaluator,
    span: Span,
    args: &[Expr],
    descending: bool,
) -> Result<Block, Error> {
    let mut names = Vec::new();
    for argument in &args[1..] {
        let name = own.eval_text(argument)?;
        names.push(String::from_utf8_lossy(&name).into_owned());
    }
    let block = own.eval_vector(&args[0])?;
    if is_range(own, span) {
        return Ok(block);
    }
    reorder(own, &block, |a, b| {
        let (left, right) = (&block.keys()[*a].labels, &block.keys()[*b].labels);
        let by_names = names
            .iter()
            .map(|name| natural(left.get(name).unwrap_or(""), right.get(name).unwrap_or("")));
        let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| left.cmp(right));
        if descending { order.reverse() } else { order }
    })
}

/// Whether there is more than one step; says so.
fn is_range(own: &Evaluator, span: Span) -> bool {
    if own.grid.steps > 1 {
        own.context.notes.sort_without_effect(span);
    }
    own.grid.steps != 1
}

fn reorder(
    own: &Evaluator,
    block: &Block,
    compare: impl Fn(&usize, &usize) -> Ordering,
) -> Result<Block, Error> {
    let pace = own.pace();
    let order = sorted((0..block.len()).collect(), compare, &pace)?;
    let mut builder = BlockBuilder::new(block.steps(), &own.context.ledger);
    let mut row = Row::new(block.steps());
    for series in order {
        pace.spend(16)?;
        block.read_row(series, &mut row);
        builder.push(block.keys()[series].clone(), &row)?;
    }
    Ok(builder.finish())
}

/// Items that are sorted at once, without asking whether to go on.
const RUN_LEN: usize = 4096;

/// Sorts stably: runs of a few thousand, then runs twice as long, and so on.
fn sorted(
    mut all: Vec<usize>,
    compare: impl Fn(&usize, &usize) -> Ordering,
    pace: &Pace,
) -> Result<Vec<usize>, Error> {
    for run in all.chunks_mut(RUN_LEN) {
        pace.spend(run.len() * COMPARISON_WORK * 12)?;
        run.sort_by(&compare);
    }
    let mut length = RUN_LEN;
    while length < all.len() {
        let mut merged = Vec::with_capacity(all.len());
        for pair in all.chunks(2 * length) {
            let (left, right) = pair.split_at(length.min(pair.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let Some(next) = match (left.peek(), right.peek()) {
                (Some(one), Some(other)) if compare(one, other).is_gt() => right.next(),
                (Some(_), _) => left.next(),
                (None, _) => right.next(),
            } {
                pace.spend(COMPARISON_WORK)?;
                merged.push(*next);
            }
        }
        all = merged;
        length *= 2;
    }
    Ok(all)
}

/// What a comparison of labels takes, in simple operations.
const COMPARISON_WORK: usize = 64;

/// Compares texts so that `4m5` comes before `4m600`: runs of digits count as numbers.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let (left_chunk, left_rest) = chunk(left);
        let (right_chunk, right_rest) = chunk(right);
        if left_chunk.is_empty() || right_chunk.is_empty() {
            return left_chunk.len().cmp(&right_chunk.len());
        }
        let order = if is_digits(left_chunk) && is_digits(right_chunk) {
            let (a, b) = (left_chunk.trim_start_matches('0'), right_chunk.trim_start_matches('0'));
            a.len().cmp(&b.len()).then(a.cmp(b)).then(left_chunk.len().cmp(&right_chunk.len()))
        } else {
            left_chunk.cmp(right_chunk)
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
}

fn is_digits(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// The leading run of digits, or of anything else.
fn chunk(text: &str) -> (&str, &str) {
    let digits = is_digits(text);
    let end = text.find(|next: char| next.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_sorted_stably() {
        let values: Vec<usize> = (0..20_000).map(|index| index * 7919 % 1000).collect();
        let compare = |a: &usize, b: &usize| values[*a].cmp(&values[*b]);
        let order = sorted((0..values.len()).collect(), compare, &Pace::endless());
        let order = order.expect("goes on");
        let keys: Vec<(usize, usize)> =
            order.iter().map(|index| (values[*index], *index)).collect();
        assert!(keys.is_sorted() && keys.len() == values.len());
    }

    #[test]
    fn natural_order() {
        let mut texts =
            vec!["10", "4m600", "4m5", "1.11.3", "9", "", "1.2.3", "b", "a", "007", "7"];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["", "1.2.3", "1.11.3", "4m5", "4m600", "7", "007", "9", "10", "a", "b"]);
    }
}
