//! Exemplars and what is told of families: what was sent, and what must be there.
//!
//! Place in the flow: part of the ledger.
//!
//! An exemplar is known by its series and instant. One that a deletion took may come back with a
//! restart after the deletion was taken back.
//!
//! Not here: numbers and histograms (the ledger).

use std::collections::BTreeMap;

use model::TimestampMs;
use model::append::Metadata;

use super::Deletion;
use crate::store::held::{Content, labels};

/// What is known of one exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It is there.
    There,
    /// It is there or not: its write failed, or a deletion of it may be taken back.
    Unsure,
    /// It is not there.
    Gone,
}

/// What is known of one family.
#[derive(Debug, Clone, Default)]
struct Family {
    newest: Option<Metadata>,
    /// Words of failed writes since the last restart.
    failed: Vec<Metadata>,
    sent: Vec<Metadata>,
}

/// Exemplars and families.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    exemplars: BTreeMap<(u64, i64), Known>,
    families: BTreeMap<String, Family>,
}

impl Extras {
    /// What became of an exemplar that was sent: `None` when the whole batch failed.
    pub fn exemplar(&mut self, number: u64, at_ms: i64, is_accepted: Option<bool>) {
        let known = self.exemplars.entry((number, at_ms)).or_insert(Known::Gone);
        match (is_accepted, *known) {
            (Some(true), _) => *known = Known::There,
            (None, Known::Gone) => *known = Known::Unsure,
            (None | Some(false), _) => {}
        }
    }

    /// What became of a word on a family.
    pub fn family(&mut self, name: &str, word: Metadata, is_accepted: bool) {
        let family = self.families.entry(name.to_owned()).or_default();
        family.sent.push(word.clone());
        if is_accepted {
            family.newest = Some(word);
            family.failed.clear();
        } else {
            family.failed.push(word);
        }
    }

    fn change(&mut self, deletion: &Deletion, change: impl Fn(&mut Known)) {
        for ((number, at_ms), known) in &mut self.exemplars {
            if deletion.range.contains(TimestampMs(*at_ms)) && deletion.passes(&labels(*number)) {
                change(known);
            }
        }
    }

    /// A deletion was acknowledged.
    pub fn delete(&mut self, deletion: &Deletion) {
        self.change(deletion, |known| {
            if *known == Known::There {
                *known = Known::Gone;
            }
        });
    }

    /// A deletion failed.
    pub fn doubt(&mut self, deletion: &Deletion) {
        self.change(deletion, |known| {
            if *known == Known::There {
                *known = Known::Unsure;
            }
        });
    }

    /// Some deletion was taken back, or may have been: what is gone may come back.
    pub fn undelete(&mut self) {
        self.exemplars.values_mut().filter(|known| **known == Known::Gone).for_each(|known| {
            *known = Known::Unsure;
        });
    }

    /// Nothing is sure any more.
    pub fn forget(&mut self) {
        self.exemplars.values_mut().for_each(|known| *known = Known::Unsure);
        for family in self.families.values_mut() {
            family.newest = None;
            family.failed = family.sent.clone();
        }
    }

    /// Whether what is there is what must be.
    pub fn compare(&self, found: &Content, is_old: impl Fn(i64) -> bool) -> Result<(), String> {
        for ((number, at_ms), known) in &self.exemplars {
            let is_there = has(found, *number, *at_ms);
            let wrong = match known {
                Known::There => !is_there && !is_old(*at_ms),
                Known::Unsure => false,
                Known::Gone => is_there,
            };
            if wrong {
                return Err(format!(
                    "the exemplar of series {number} at {at_ms} is {known:?}; found: {is_there}"
                ));
            }
        }
        for (name, family) in &self.families {
            let newest = found.families.get(name).and_then(|words| words.first());
            let is_right = newest == family.newest.as_ref()
                || newest.is_some_and(|newest| family.failed.contains(newest));
            if !is_right {
                let expected = &family.newest;
                return Err(format!("family {name} is {newest:?} in place of {expected:?}"));
            }
        }
        self.check_sent(found)
    }

    /// Believes what passed `compare`.
    pub fn settle(&mut self, found: &Content) {
        for ((number, at_ms), known) in &mut self.exemplars {
            let is_there = has(found, *number, *at_ms);
            *known = if is_there { Known::There } else { Known::Gone };
        }
        for (name, family) in &mut self.families {
            family.newest = found.families.get(name).and_then(|words| words.first()).cloned();
            family.failed.clear();
        }
    }

    /// Whether all that is there was sent.
    pub fn check_sent(&self, found: &Content) -> Result<(), String> {
        for (number, instants) in &found.exemplars {
            for at_ms in instants {
                if !self.exemplars.contains_key(&(*number, *at_ms)) {
                    return Err(format!(
                        "the exemplar of series {number} at {at_ms} was never sent"
                    ));
                }
            }
        }
        for (name, words) in &found.families {
            let sent = self.families.get(name).map_or(&[][..], |family| &family.sent);
            if let Some(word) = words.iter().find(|word| !sent.contains(word)) {
                return Err(format!("{word:?} was never sent of {name}"));
            }
        }
        Ok(())
    }

    /// How many exemplars are not there.
    pub fn missing_count(&self, found: &Content, is_old: impl Fn(i64) -> bool) -> u64 {
        let is_missing = |((number, at_ms), known): &(&(u64, i64), &Known)| {
            **known == Known::There && !is_old(*at_ms) && !has(found, *number, *at_ms)
        };
        self.exemplars.iter().filter(is_missing).count() as u64
    }
}

fn has(found: &Content, number: u64, at_ms: i64) -> bool {
    let instants = found.exemplars.get(&number);
    instants.is_some_and(|instants| instants.binary_search(&at_ms).is_ok())
}
