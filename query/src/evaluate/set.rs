//! `and`, `or`, `unless`: which elements stay, by whether the other side has a match.
//!
//! Place in the flow: `binary` → **`set`** → a block.
//!
//! Not here: operators that make new values (`join`).

use std::collections::HashMap;

use model::Labels;
use promql::ast::{BinaryOp, Matching};

use super::Evaluator;
use super::join::signature;
use crate::block::{Block, BlockBuilder, MergingBuilder};
use crate::error::Error;
use crate::kernel::Row;
use crate::ledger::Pace;

/// At which steps a signature has any element.
type Presence = HashMap<Labels, Vec<bool>>;

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
            BinaryOp::And => {
                self.keep(&left, matching, &presence(matching, &right, &self.pace())?, true)
            }
            BinaryOp::Unless => {
                self.keep(&left, matching, &presence(matching, &right, &self.pace())?, false)
            }
            _ => self.or(matching, left, right),
        }
    }

    /// The left elements whose presence on the other side is as wanted.
    fn keep(
        &self,
        left: &Block,
        matching: &Matching,
        other: &Presence,
        wanted: bool,
    ) -> Result<Block, Error> {
        let mut builder = BlockBuilder::new(left.steps(), &self.context.ledger);
        let mut row = Row::new(left.steps());
        let pace = self.pace();
        for (series, key) in left.keys().iter().enumerate() {
            pace.spend(256 + left.steps() * 4)?;
            let found = other.get(&signature(matching, &key.labels));
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
        let taken = presence(matching, &left, &pace)?;
        let added = self.keep(&right, matching, &taken, false)?;
        let mut builder = MergingBuilder::new(left.steps(), &self.context.ledger);
        let mut row = Row::new(left.steps());
        for block in [left, added] {
            for (series, key) in block.keys().iter().enumerate() {
                pace.spend(64 + block.steps())?;
                block.read_row(series, &mut row);
                builder.push(key.clone(), &row)?;
            }
        }
        builder.finish(&self.context.ledger)
    }
}

fn presence(matching: &Matching, block: &Block, pace: &Pace) -> Result<Presence, Error> {
    let mut presence = Presence::new();
    for (series, key) in block.keys().iter().enumerate() {
        pace.spend(256 + block.steps() * 4)?;
        let steps = presence
            .entry(signature(matching, &key.labels))
            .or_insert_with(|| vec![false; block.steps()]);
        for (step, present) in steps.iter_mut().enumerate() {
            *present |= block.has(series, step);
        }
    }
    Ok(presence)
}
