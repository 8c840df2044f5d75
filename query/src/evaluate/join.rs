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
use model::labels::METRIC_NAME;
use promql::ast::{Binary, BinaryOp, Cardinality, Matching, Span};

use super::Evaluator;
use super::binary::{Combined, combine};
use super::range::any_valid;
use crate::block::{Block, Key, MergingBuilder};
use crate::error::Error;
use crate::histogram::binary::{self, Site};
use crate::kernel::{Element, Row};
use crate::ledger::Pace;
use crate::names;

/// The labels of a series that must agree with the other side's.
pub fn signature(matching: &Matching, labels: &Labels) -> Labels {
    let listed = |label: &str| matching.labels.iter().any(|own| own == label);
    if matching.on {
        labels.filtered(listed)
    } else {
        labels.filtered(|label| !listed(label) && label != METRIC_NAME)
    }
}

/// Series of both sides with one signature.
#[derive(Debug, Default)]
struct MatchGroup {
    signature: Labels,
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
        let many_present = any_valid(&self.many, ledger)?;
        let mut builder = MergingBuilder::new(steps, ledger);
        let pace = self.evaluator.pace();
        for group in self.groups(&pace)? {
            pace.spend(64)?;
            self.refuse_duplicates(&group, &many_present)?;
            self.join_group(&group, &mut builder)?;
        }
        builder.finish(ledger)
    }

    /// The match groups: those of the many side in its order, then those of the one side alone.
    fn groups(&self, pace: &Pace) -> Result<Vec<MatchGroup>, Error> {
        let mut groups: Vec<MatchGroup> = Vec::new();
        let mut positions: HashMap<Labels, usize> = HashMap::new();
        for (block, is_many) in [(&self.many, true), (&self.one, false)] {
            for (series, key) in block.keys().iter().enumerate() {
                pace.spend(256)?;
                let signature = signature(self.matching, &key.labels);
                let position = *positions.entry(signature).or_insert_with_key(|signature| {
                    let signature = signature.clone();
                    groups.push(MatchGroup { signature, ..MatchGroup::default() });
                    groups.len() - 1
                });
                let group = &mut groups[position];
                if is_many { group.many.push(series) } else { group.one.push(series) }
            }
        }
        Ok(groups)
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
                names::braced(&group.signature),
                names::braced(pair[0]),
                names::braced(pair[1]),
            )));
        }
        Ok(())
    }

    fn is_swapped(&self) -> bool {
        self.matching.cardinality == Cardinality::OneToMany
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
                let mut met = self.met(key, &group.signature);
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
        let stand_in = Key::new(group.signature.clone());
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
