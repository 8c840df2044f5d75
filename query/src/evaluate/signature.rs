//! Which series of two vectors have the labels in common that must agree.
//!
//! Place in the flow: `join`, `set` and `narrow` → **`Signatures`** → match groups.
//!
//! No label set is built for it: the labels that must agree are hashed and compared where they
//! stand.
//!
//! Not here: what is made of a match (`join`, `set`).

use std::collections::HashMap;

use model::Labels;
use model::labels::{METRIC_NAME, hash_parts};
use promql::ast::Matching;

/// Whether a label must agree with the other side's.
fn agrees(matching: &Matching, label: &str) -> bool {
    let is_listed = matching.labels.iter().any(|own| own == label);
    if matching.on { is_listed } else { !is_listed && label != METRIC_NAME }
}

/// The labels of a series that must agree with the other side's.
pub fn signature(matching: &Matching, labels: &Labels) -> Labels {
    labels.filtered(|label| agrees(matching, label))
}

/// Hashes signatures.
#[derive(Debug)]
pub struct Hasher<'m> {
    matching: &'m Matching,
    text: String,
    ends: Vec<u32>,
}

impl<'m> Hasher<'m> {
    /// For one operator.
    pub fn new(matching: &'m Matching) -> Hasher<'m> {
        Hasher { matching, text: String::new(), ends: Vec::new() }
    }

    /// The hash of a series' signature.
    pub fn hash(&mut self, labels: &Labels) -> u64 {
        self.text.clear();
        self.ends.clear();
        for (name, value) in labels.iter().filter(|(name, _)| agrees(self.matching, name)) {
            for part in [name, value] {
                self.text.push_str(part);
                self.ends.push(u32::try_from(self.text.len()).expect("label sets are smaller"));
            }
        }
        hash_parts(&self.text, &self.ends)
    }
}

/// Numbers the signatures of series, from 0 on, in the order they come.
#[derive(Debug)]
pub struct Signatures<'l, 'm> {
    hasher: Hasher<'m>,
    by_hash: HashMap<u64, Vec<u32>>,
    /// One series of each.
    examples: Vec<&'l Labels>,
}

impl<'l, 'm> Signatures<'l, 'm> {
    /// None yet.
    pub fn new(matching: &'m Matching) -> Signatures<'l, 'm> {
        let (by_hash, examples) = (HashMap::new(), Vec::new());
        Signatures { hasher: Hasher::new(matching), by_hash, examples }
    }

    /// The number of a series' signature, if it is known.
    pub fn find(&mut self, labels: &Labels) -> Option<usize> {
        let hash = self.hasher.hash(labels);
        self.find_hashed(hash, labels)
    }

    /// The number of a series' signature, which may be new.
    pub fn number(&mut self, labels: &'l Labels) -> usize {
        let hash = self.hasher.hash(labels);
        if let Some(known) = self.find_hashed(hash, labels) {
            return known;
        }
        let number = self.examples.len();
        self.examples.push(labels);
        let number_32 = u32::try_from(number).expect("the evaluator caps a selection");
        self.by_hash.entry(hash).or_default().push(number_32);
        number
    }

    fn find_hashed(&self, hash: u64, labels: &Labels) -> Option<usize> {
        let matching = self.hasher.matching;
        let own = |labels: &'l Labels| labels.iter().filter(|(name, _)| agrees(matching, name));
        let is_same = |number: &&u32| {
            let asked = labels.iter().filter(|(name, _)| agrees(matching, name));
            own(self.examples[**number as usize]).eq(asked)
        };
        let found = self.by_hash.get(&hash)?.iter().find(is_same)?;
        Some(*found as usize)
    }
}

#[cfg(test)]
mod tests {
    use promql::ast::Cardinality;

    use super::*;

    #[test]
    fn signatures_are_numbered() {
        let set = |name: &str, a: &str, b: &str| {
            Labels::from_pairs([(METRIC_NAME, name), ("a", a), ("b", b)])
        };
        let all = [set("x", "1", "1"), set("y", "1", "1"), set("x", "1", "2"), set("x", "", "1")];
        for (on, labels, expected) in [
            (true, vec!["a"], [0, 0, 0, 1]),
            (true, vec![], [0, 0, 0, 0]),
            (true, vec!["a", METRIC_NAME], [0, 1, 0, 2]),
            (false, vec!["a"], [0, 0, 1, 0]),
            (false, vec![], [0, 0, 1, 2]),
        ] {
            let matching = Matching {
                cardinality: Cardinality::OneToOne,
                on,
                labels: labels.into_iter().map(String::from).collect(),
                include: Vec::new(),
                fill_left: None,
                fill_right: None,
            };
            let mut signatures = Signatures::new(&matching);
            assert_eq!(all.each_ref().map(|labels| signatures.number(labels)), expected);
            assert_eq!(
                signatures.find(&set("x", "9", "9")),
                (on && matching.labels.is_empty()).then_some(0)
            );
            for (one, own) in all.iter().zip(expected) {
                for (other, number) in all.iter().zip(expected) {
                    let is_same = signature(&matching, one) == signature(&matching, other);
                    assert_eq!(is_same, own == number);
                }
            }
        }
    }
}
