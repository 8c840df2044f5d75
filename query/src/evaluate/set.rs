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
use crate::ledger::Pace;

/// At which steps signatures have any element.
struct Presence<'l, 'm> {
    signatures: Signatures<'l, 'm>,
    at: Vec<Vec<bool>>,
}

impl<'l, 'm> Presence<'l, 'm> {
    fn of(
        matching: &'m Matching,
        block: &'l Block,
        pace: &Pace,
    ) -> Result<Presence<'l, 'm>, Error> {
        let mut signatures = Signatures::new(matching);
        let mut at: Vec<Vec<bool>> = Vec::new();
        for (series, key) in block.keys().iter().enumerate() {
            pace.spend(256 + block.steps() * 4)?;
            let number = signatures.number(&key.labels);
            if number == at.len() {
                at.push(vec![false; block.steps()]);
            }
            for (step, present) in at[number].iter_mut().enumerate() {
                *present |= block.has(series, step);
            }
        }
        Ok(Presence { signatures, at })
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
            BinaryOp::And => self.keep(&left, Presence::of(matching, &right, &self.pace())?, true),
            BinaryOp::Unless => {
                self.keep(&left, Presence::of(matching, &right, &self.pace())?, false)
            }
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
        let pace = self.pace();
        for (series, key) in left.keys().iter().enumerate() {
            pace.spend(256 + left.steps() * 4)?;
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
        let pace = self.pace();
        let added = self.keep(&right, Presence::of(matching, &left, &pace)?, false)?;
        let mut builder = MergingBuilder::new(left.steps(), &self.context.ledger);
        let mut row = Row::new(left.steps());
        for block in [left, added] {
            for (series, key) in block.keys().iter().enumerate() {
                pace.spend(64 + block.steps())?;
                block.read_row(series, &mut row);
                builder.push(key.clone(), &row)?;
            }
        }
        Ok(builder.finish())
    }
}
