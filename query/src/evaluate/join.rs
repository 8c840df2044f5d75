//! Matching two vectors: labels are matched once, then whole rows meet.
//!
//! Place in the flow: `binary` → **`join`** → a block of results.
//!
//! Series of equal signature (the labels that must agree) form a match group. On the "one" side at
//! most one of a group may have a value at a step; each of the "many" meets it. `fill` stands in for
//! whoever is missing.
//!
//! Not here: `and`, `or`, `unless` (`set`).

use std::collections::HashMap;

use model::Labels;
use promql::ast::{Binary, BinaryOp, Cardinality, Matching, Span};

use super::Evaluator;
use super::binary::{Combined, combine};
use super::range::any_valid;
use super::signature::{Signatures, signature};
use crate::block::{Block, Key, MergingBuilder};
use crate::error::Error;
use crate::histogram::binary::{self, Site};
use crate::kernel::{Element, Row};
use crate::ledger::Pace;
use crate::names;

/// Series of both sides with one signature.
#[derive(Debug, Default)]
struct MatchGroup {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// What came of one pair of series.
struct Met {
    key: Key,
    row: Row,
    at: Vec<bool>, // At which steps both were there.
}

/// One join in the making.
struct Join<'a> {
    evaluator: &'a Evaluator<'a>,
    span: Span,
    binary: &'a Binary,
    matching: &'a Matching,
    many: Block,
    one: Block,
    fill_many: Option<f64>,
    fill_one: Option<f64>,
}

impl Evaluator<'_> {
    /// Joins two vectors.
    pub fn join(
        &self,
        span: Span,
        binary: &Binary,
        matching: &Matching,
        sides: (Block, Block),
    ) -> Result<Block, Error> {
        let fill = |literal: &Option<promql::ast::NumberLiteral>| literal.map(|own| own.value);
        // As upstream has it, the left filler fills the many side even under `group_right`.
        let (fill_many, fill_one) = (fill(&matching.fill_left), fill(&matching.fill_right));
        let swap = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swap { (sides.1, sides.0) } else { sides };
        if (many.is_empty() && fill_many.is_none()) || (one.is_empty() && fill_one.is_none()) {
            return Ok(self.empty_block());
        }
        Join { evaluator: self, span, binary, matching, many, one, fill_many, fill_one }.run()
    }
}

impl Join<'_> {
    fn run(&self) -> Result<Block, Error> {
        let ledger = &self.evaluator.context.ledger;
        let steps = self.many.steps();
        let pace = self.evaluator.pace();
        let groups = self.groups(&pace)?;
        let has_duplicates = groups.iter().any(|group| group.one.len() > 1);
        let many_present = if has_duplicates { any_valid(&self.many, ledger)? } else { Vec::new() };
        let is_trim = matches!(self.binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let is_plain = !is_trim
            && !self.many.has_histograms()
            && !self.one.has_histograms()
            && self.fill_many.or(self.fill_one).is_none();
        let mut builder = MergingBuilder::new(steps, ledger);
        let mut row = Row::new(steps);
        for group in &groups {
            pace.spend(64)?;
            match (is_plain, &group.many[..], &group.one[..]) {
                (true, [], [_]) | (true, _, []) => {}
                (true, [many], [one]) => {
                    pace.spend(steps)?;
                    self.join_pair(*many, *one, &mut row);
                    if row.valid.contains(&true) {
                        let key = self
                            .result_key(&self.many.keys()[*many], &self.one.keys()[*one].labels);
                        builder.push(key, &row)?;
                    }
                }
                _ => {
                    self.refuse_duplicates(group, &many_present)?;
                    self.join_group(group, &mut builder)?;
                }
            }
        }
        Ok(builder.finish())
    }

    /// The match groups: those of the many side in its order, then those of the one side alone.
    fn groups(&self, pace: &Pace) -> Result<Vec<MatchGroup>, Error> {
        let mut groups: Vec<MatchGroup> = Vec::new();
        let mut signatures = Signatures::new(self.matching);
        for (block, is_many) in [(&self.many, true), (&self.one, false)] {
            for (series, key) in block.keys().iter().enumerate() {
                pace.spend(256)?;
                let number = signatures.number(&key.labels);
                if number == groups.len() {
                    groups.push(MatchGroup::default());
                }
                let group = &mut groups[number];
                if is_many { group.many.push(series) } else { group.one.push(series) }
            }
        }
        Ok(groups)
    }

    /// The labels that the series of a group have in common.
    fn signature(&self, group: &MatchGroup) -> Labels {
        let many = group.many.first().map(|series| &self.many.keys()[*series]);
        let one = group.one.first().map(|series| &self.one.keys()[*series]);
        let key = many.or(one).expect("a group has a series");
        signature(self.matching, &key.labels)
    }

    /// At a step where anything can match, the one side must be one.
    fn refuse_duplicates(&self, group: &MatchGroup, many_present: &[bool]) -> Result<(), Error> {
        if group.one.len() < 2 {
            return Ok(());
        }
        let pace = self.evaluator.pace();
        for (step, present) in many_present.iter().enumerate() {
            pace.spend(group.one.len() * 4)?;
            let mut valid = group.one.iter().filter(|series| self.one.has(**series, step));
            let (Some(first), Some(second)) = (valid.next(), valid.next()) else { continue };
            if !present && self.fill_many.is_none() {
                continue;
            }
            let side = if self.is_swapped() { "left" } else { "right" };
            let mut pair = [first, second].map(|series| &self.one.keys()[*series].labels);
            pair.sort();
            return Err(Error::Execution(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the \
                 operation: [{}, {}];many-to-many matching not allowed: matching labels must be \
                 unique on one side",
                names::braced(&self.signature(group)),
                names::braced(pair[0]),
                names::braced(pair[1]),
            )));
        }
        Ok(())
    }

    fn is_swapped(&self) -> bool {
        self.matching.cardinality == Cardinality::OneToMany
    }

    /// Numbers of one series meet those of one other.
    fn join_pair(&self, many: usize, one: usize, row: &mut Row) {
        self.many.read_row(many, row);
        self.one.restrict(one, &mut row.valid);
        let others = self.one.values(one);
        let (is_swapped, return_bool) = (self.is_swapped(), self.binary.return_bool);
        // A loop of its own for each operator: the choice is not made again at every step.
        macro_rules! each {
            ($($op:ident)*) => {
                match self.binary.op {
                    $(BinaryOp::$op => {
                        let combine = |left, right| combine(BinaryOp::$op, left, right);
                        meet_rows(row, others, (is_swapped, return_bool), combine);
                    })*
                    _ => row.clear(), // Sets and histograms are joined elsewhere.
                }
            };
        }
        each!(
            Add Sub Mul Div Mod Pow Atan2
            Equal NotEqual Less LessEqual Greater GreaterEqual
        );
    }

    fn join_group(&self, group: &MatchGroup, builder: &mut MergingBuilder) -> Result<(), Error> {
        let mut results: Vec<Met> = Vec::new();
        let steps = self.many.steps();
        let has_histograms = self.many.has_histograms() || self.one.has_histograms();
        let pace = self.evaluator.pace();
        let mut rest = Row::new(steps); // Where no partner was found yet.
        for &many in &group.many {
            let key = &self.many.keys()[many];
            self.many.read_row(many, &mut rest);
            for &one in &group.one {
                pace.spend(128 + steps * 4)?;
                let mut met = self.met(key, &self.one.keys()[one].labels);
                for step in 0..steps {
                    if let Some(partner) = self.one.get(one, step)
                        && let Some(value) = rest.get(step)
                    {
                        rest.valid[step] = false;
                        self.meet_floats(&mut met, step, value, partner);
                    } else if has_histograms
                        && let Some(partner) = self.one.element(one, step)
                        && let Some(element) = rest.take(step)
                    {
                        self.meet(&mut met, step, element, partner);
                    }
                }
                results.push(met);
            }
            if let Some(fill) = self.fill_one {
                let mut met = self.met(key, &self.signature(group));
                for step in 0..steps {
                    if let Some(value) = rest.element(step) {
                        self.meet(&mut met, step, value, Element::Float(fill));
                    }
                }
                results.push(met);
            }
        }
        if let Some(fill) = self.fill_many {
            self.fill_many(group, fill, &mut results);
        }
        pace.spend(results.len().saturating_mul(steps))?;
        self.refuse_ambiguity(&results)?;
        results.into_iter().try_for_each(|met| builder.push(met.key, &met.row))
    }

    /// Elements of the one side whose group has nobody on the many side.
    fn fill_many(&self, group: &MatchGroup, fill: f64, results: &mut Vec<Met>) {
        let steps = self.many.steps();
        let stand_in = Key::new(self.signature(group));
        for &one in &group.one {
            let mut met = self.met(&stand_in, &self.one.keys()[one].labels);
            for step in 0..steps {
                let alone = !group.many.iter().any(|many| self.many.has(*many, step));
                if let Some(partner) = self.one.element(one, step).filter(|_| alone) {
                    self.meet(&mut met, step, Element::Float(fill), partner);
                }
            }
            results.push(met);
        }
    }

    fn met(&self, many: &Key, one: &Labels) -> Met {
        let steps = self.many.steps();
        Met { key: self.result_key(many, one), row: Row::new(steps), at: vec![false; steps] }
    }

    /// Puts the operator's result into the row, unless it filters it out.
    fn meet_floats(&self, met: &mut Met, step: usize, many: f64, one: f64) {
        let (left, right) = if self.is_swapped() { (one, many) } else { (many, one) };
        match combine(self.binary.op, left, right) {
            Combined::Number(number) => {
                met.at[step] = true;
                met.row.set(step, number);
            }
            _ => self.meet(met, step, Element::Float(many), Element::Float(one)),
        }
    }

    /// The same for numbers and histograms.
    fn meet(&self, met: &mut Met, step: usize, many: Element, one: Element) {
        let row = &mut met.row;
        met.at[step] = true;
        let (left, right) = if self.is_swapped() { (one, many) } else { (many, one) };
        let notes = &self.evaluator.context.notes;
        let site = Site { op: self.binary.op, span: self.span, notes };
        match site.combine(&left, &right) {
            Some(binary::Met::Element(element)) => row.set_element(step, element),
            Some(binary::Met::Holds(holds)) if self.binary.return_bool => {
                row.set(step, f64::from(u8::from(holds)));
            }
            // Of a filter the left value stays, whichever side is the many one.
            Some(binary::Met::Holds(true)) => row.set_element(step, left),
            Some(binary::Met::Holds(false)) | None => {}
        }
    }

    /// The labels of a result: the many side's, with what `group_left` copies from the one side.
    fn result_key(&self, many: &Key, one: &Labels) -> Key {
        let op = self.binary.op;
        let is_trim = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        let is_new_metric = !op.is_comparison() && !is_trim;
        let listed = |label: &str| self.matching.labels.iter().any(|own| own == label);
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        let mut labels = many.labels.filtered(|label| {
            let is_kept = !one_to_one || listed(label) == self.matching.on;
            is_kept && !(is_new_metric && names::is_reserved(label))
        });
        if !self.matching.include.is_empty() {
            let mut builder = labels.to_builder();
            for label in &self.matching.include {
                builder.set(label, one.get(label).unwrap_or(""));
            }
            labels = builder.build();
        }
        let key = Key { labels, drop_name: many.drop_name };
        if self.binary.return_bool { self.evaluator.nameless(&key) } else { key }
    }

    /// Inside one match group, no two pairs may meet at the same step: with one-to-one matching at
    /// all, otherwise under the same labels. It does not matter whether a filter drops the result.
    fn refuse_ambiguity(&self, results: &[Met]) -> Result<(), Error> {
        let one_to_one = self.matching.cardinality == Cardinality::OneToOne;
        if results.len() < 2 {
            return Ok(());
        }
        let mut taken: HashMap<Option<&Labels>, Vec<bool>> = HashMap::new();
        for met in results {
            let class = (!one_to_one).then_some(&met.key.labels);
            let steps = taken.entry(class).or_insert_with(|| vec![false; met.at.len()]);
            for (taken, meets) in steps.iter_mut().zip(&met.at) {
                if *taken && *meets {
                    let problem = if one_to_one {
                        "multiple matches for labels: many-to-one matching must be explicit \
                         (group_left/group_right)"
                    } else {
                        "multiple matches for labels: grouping labels must ensure unique matches"
                    };
                    return Err(Error::Execution(problem.to_owned()));
                }
                *taken |= *meets;
            }
        }
        Ok(())
    }
}

/// Puts the operator's results into the row, unless it filters them out.
#[inline(always)]
fn meet_rows(
    row: &mut Row,
    others: &[f64],
    (is_swapped, return_bool): (bool, bool),
    combine: impl Fn(f64, f64) -> Combined,
) {
    for ((value, valid), other) in row.values.iter_mut().zip(&mut row.valid).zip(others) {
        let (left, right) = if is_swapped { (*other, *value) } else { (*value, *other) };
        (*value, *valid) = match combine(left, right) {
            Combined::Number(number) => (number, *valid),
            Combined::Holds(holds) if return_bool => (f64::from(u8::from(holds)), *valid),
            // Of a filter the left value stays, whichever side is the many one.
            Combined::Holds(holds) => (left, *valid && holds),
            Combined::Nothing => (0.0, false),
        };
    }
}
