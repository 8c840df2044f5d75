//! Which series match: per label its sorted distinct values, per value the series that carry it.
//!
//! Place in the flow: matchers → **index** → series numbers → scan. The head (all series in the
//! registry) has one over slots, every block has one over its own series ordinals.
//!
//! A matcher that also passes the empty value selects series without the label too, as the field
//! means it: such matchers take away the series whose value does not pass.
//!
//! Invariants: `all` is the union of everything; a label's `all` is the union of its values.
//!
//! Not here: the file of a block's index (`index::file`), time (`store`).

/// Sets of series numbers.
pub mod postings;
/// What a regular expression says about the text it can match.
mod regex;
/// The index file of a block.
pub mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use model::{Labels, MatchOp, Matcher};
use roaring::RoaringBitmap;

pub use file::BlockIndex;
pub use postings::Postings;

/// The values of one label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelValues {
    values: BTreeMap<Box<str>, Postings>,
    all: RoaringBitmap,
}

/// Postings of a set of series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Index {
    labels: BTreeMap<Box<str>, LabelValues>,
    all: RoaringBitmap,
}

impl Index {
    /// Adds a series.
    pub fn insert(&mut self, number: u32, labels: &Labels) {
        self.all.insert(number);
        for (name, value) in labels.iter() {
            let label = match self.labels.get_mut(name) {
                Some(label) => label,
                None => self.labels.entry(name.into()).or_default(),
            };
            label.all.insert(number);
            match label.values.get_mut(value) {
                Some(postings) => postings.insert(number),
                None => {
                    label.values.insert(value.into(), Postings::One(number));
                }
            }
        }
    }

    /// The series that pass every matcher.
    pub fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let (subtracting, adding): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches_empty());
        let mut selected: Option<RoaringBitmap> = None;
        for matcher in adding {
            let passing = self.passing(matcher);
            let narrowed = match selected {
                None => passing,
                Some(before) => before & passing,
            };
            if narrowed.is_empty() {
                return narrowed;
            }
            selected = Some(narrowed);
        }
        let mut selected = selected.unwrap_or_else(|| self.all.clone());
        for matcher in subtracting {
            self.subtract_failing(matcher, &mut selected);
        }
        selected
    }

    /// The series with a value that passes; for matchers that do not pass the empty value.
    fn passing(&self, matcher: &Matcher) -> RoaringBitmap {
        let mut passing = RoaringBitmap::new();
        let Some(label) = self.labels.get(matcher.name()) else { return passing };
        match matcher.op() {
            MatchOp::Equal => {
                if let Some(postings) = label.values.get(matcher.value()) {
                    postings.add_to(&mut passing);
                }
            }
            // Not empty: every series that has the label.
            MatchOp::NotEqual => passing.clone_from(&label.all),
            MatchOp::Regex if matcher.value() == ".+" => passing.clone_from(&label.all),
            MatchOp::Regex => {
                if let Some(words) = regex::words(matcher.value()) {
                    for word in words {
                        if let Some(postings) = label.values.get(word) {
                            postings.add_to(&mut passing);
                        }
                    }
                    return passing;
                }
                let prefix = regex::prefix(matcher.value());
                for (value, postings) in label.with_prefix(prefix) {
                    if matcher.matches(value) {
                        postings.add_to(&mut passing);
                    }
                }
            }
            MatchOp::NotRegex => {
                for (value, postings) in &label.values {
                    if matcher.matches(value) {
                        postings.add_to(&mut passing);
                    }
                }
            }
        }
        passing
    }

    /// Takes away the series with a value that does not pass.
    fn subtract_failing(&self, matcher: &Matcher, selected: &mut RoaringBitmap) {
        let Some(label) = self.labels.get(matcher.name()) else { return };
        match matcher.op() {
            // `a=""`: series that have the label fail.
            MatchOp::Equal => *selected -= &label.all,
            MatchOp::NotEqual => {
                if let Some(postings) = label.values.get(matcher.value()) {
                    let mut failing = RoaringBitmap::new();
                    postings.add_to(&mut failing);
                    *selected -= failing;
                }
            }
            MatchOp::Regex if matcher.value() == ".*" => {}
            MatchOp::Regex | MatchOp::NotRegex => {
                let mut failing = RoaringBitmap::new();
                for (value, postings) in &label.values {
                    if !matcher.matches(value) {
                        postings.add_to(&mut failing);
                    }
                }
                *selected -= failing;
            }
        }
    }

    /// Adds the names of labels that any of the series carries.
    pub fn add_names(&self, among: &RoaringBitmap, names: &mut BTreeSet<String>) {
        for (name, label) in &self.labels {
            if !names.contains(name.as_ref()) && !label.all.is_disjoint(among) {
                names.insert(name.to_string());
            }
        }
    }

    /// Adds the values of a label that any of the series carries.
    pub fn add_values(&self, name: &str, among: &RoaringBitmap, values: &mut BTreeSet<String>) {
        let Some(label) = self.labels.get(name) else { return };
        for (value, postings) in &label.values {
            if !values.contains(value.as_ref()) && postings.touches(among) {
                values.insert(value.to_string());
            }
        }
    }

    /// Memory, roughly.
    pub fn bytes(&self) -> u64 {
        let label_bytes = |label: &LabelValues| {
            let values = label.values.iter();
            values.map(|(value, postings)| value.len() + 32 + postings.bytes()).sum::<usize>()
                + label.all.serialized_size()
        };
        let labels: usize = self.labels.values().map(label_bytes).sum();
        (labels + self.all.serialized_size()) as u64
    }
}

impl LabelValues {
    fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Postings)> + 'a {
        let start = Bound::Included(prefix);
        self.values
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(value, _)| value.starts_with(prefix))
            .map(|(value, postings)| (value.as_ref(), postings))
    }
}

#[cfg(test)]
mod tests;
