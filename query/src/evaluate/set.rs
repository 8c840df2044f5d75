//! `and`, `or`, `unless`: which elements stay, by whether the other side has a match.
//!
//! Place in the flow: `binary` → **`set`** → a block.
//!
//! Not here: operators that make new values (`join`).

use model::Labels;
use promql::ast::{BinaryOp, Matching};

use super::Evaluator;
use super::signature::Signatures;
use crate::block::{Block, BlockBuilder, MergingBuilder};
use crate::error::Error;
use crate::kernel::Row;

/// At which steps signatures have any element.
struct Presence<'l, 'm> {
    signatures: Signatures<'l, 'm>,
    at: Vec<Vec<bool>>,
}

impl<'l, 'm> Presence<'l, 'm> {
    fn of(matching: &'m Matching, block: &'l Block) -> Presence<'l, 'm> {
        let mut signatures = Signatures::new(matching);
        let mut at: Vec<Vec<bool>> = Vec::new();
        for (series, key) in block.keys().iter().enumerate() {
            let number = signatures.number(&key.labels);
            if number == at.len() {
                at.push(vec![false; block.steps()]);
            }
            for (step, present) in at[number].iter_mut().enumerate() {
                *present |= block.has(series, step);
            }
        }
        Presence { signatures, at }
    }

    fn find(&mut self, labels: &Labels) -> Option<&[bool]> {
        let number = self.signatures.find(labels)?;
        Some(&self.at[number])
    }
}

impl Evaluator<'_> {
    /// Evaluates a set operator.
    pub fn set(
        &self,
        op: BinaryOp,
        matching: &Matching,
        left: Block,
        right: Block,
    ) -> Result<Block, Error> {
        match op {
            BinaryOp::And if left.is_empty() || right.is_empty() => Ok(self.empty_block()),
            BinaryOp::Unless if left.is_empty() || right.is_empty() => Ok(left),
            BinaryOp::And => self.keep(&left, Presence::of(matching, &right), true),
            BinaryOp::Unless => self.keep(&left, Presence::of(matching, &right), false),
            _ => self.or(matching, left, right),
        }
    }

    /// The left elements whose presence on the other side is as wanted.
    fn keep(
        &self,
        left: &Block,
        mut other: Presence<'_, '_>,
        wanted: bool,
    ) -> Result<Block, Error> {
        let mut builder = BlockBuilder::new(left.steps(), &self.context.ledger);
        let mut row = Row::new(left.steps());
        for (series, key) in left.keys().iter().enumerate() {
            let found = other.find(&key.labels);
            left.read_row(series, &mut row);
            row.retain(|step| found.is_some_and(|steps| steps[step]) == wanted);
            builder.push(key.clone(), &row)?;
        }
        Ok(builder.finish())
    }

    fn or(&self, matching: &Matching, left: Block, right: Block) -> Result<Block, Error> {
        if left.is_empty() {
            return Ok(right);
        }
        if right.is_empty() {
            return Ok(left);
        }
        let added = self.keep(&right, Presence::of(matching, &left), false)?;
        let mut builder = MergingBuilder::new(left.steps(), &self.context.ledger);
        let mut row = Row::new(left.steps());
        for block in [left, added] {
            for (series, key) in block.keys().iter().enumerate() {
                block.read_row(series, &mut row);
                builder.push(key.clone(), &row)?;
            }
        }
        Ok(builder.finish())
    }
}
