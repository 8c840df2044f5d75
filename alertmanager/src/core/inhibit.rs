//! Which alerts are kept quiet by others.
//!
//! Place in the flow: alerts come and go → **index** → a flush asks `muted_by` for each member.
//!
//! For each rule and each combination of values of its `equal` labels, *all* sources are kept, so
//! that one source's end does not open a gap while another still fires.
//!
//! Not here: silences, time intervals.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Labels, Matcher};

use super::record::StoredAlert;
use crate::config::InhibitRule;

#[derive(Debug)]
pub(super) struct InhibitIndex {
    rules: Vec<Indexed>,
}

#[derive(Debug)]
struct Indexed {
    rule: InhibitRule,
    sources: HashMap<Vec<String>, BTreeSet<u64>>,
}

impl InhibitIndex {
    pub(super) fn new(rules: &[InhibitRule]) -> InhibitIndex {
        let index = |rule: &InhibitRule| Indexed { rule: rule.clone(), sources: HashMap::new() };
        InhibitIndex { rules: rules.iter().map(index).collect() }
    }

    pub(super) fn add(&mut self, fingerprint: u64, labels: &Labels) {
        for own in &mut self.rules {
            if all_match(&own.rule.source_matchers, labels) {
                own.sources.entry(equal_key(&own.rule, labels)).or_default().insert(fingerprint);
            }
        }
    }

    pub(super) fn remove(&mut self, fingerprint: u64, labels: &Labels) {
        for own in &mut self.rules {
            let key = equal_key(&own.rule, labels);
            if let Some(sources) = own.sources.get_mut(&key) {
                sources.remove(&fingerprint);
                if sources.is_empty() {
                    own.sources.remove(&key);
                }
            }
        }
    }

    /// The firing alerts that keep this one quiet.
    pub(super) fn muted_by(
        &self,
        labels: &Labels,
        alerts: &BTreeMap<u64, StoredAlert>,
        now_ms: i64,
    ) -> Vec<u64> {
        let own_fingerprint = model::alert::fingerprint(labels);
        let mut found = BTreeSet::new();
        for own in &self.rules {
            if !all_match(&own.rule.target_matchers, labels) {
                continue;
            }
            let Some(sources) = own.sources.get(&equal_key(&own.rule, labels)) else { continue };
            // Who is both source and target is not kept quiet by another that is both.
            let is_source_too = all_match(&own.rule.source_matchers, labels);
            found.extend(sources.iter().copied().filter(|source| {
                *source != own_fingerprint
                    && alerts.get(source).is_some_and(|alert| {
                        let both = all_match(&own.rule.target_matchers, &alert.labels);
                        !(alert.is_resolved_at(now_ms) || is_source_too && both)
                    })
            }));
        }
        found.into_iter().collect()
    }
}

fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels))
}

fn equal_key(rule: &InhibitRule, labels: &Labels) -> Vec<String> {
    rule.equal.iter().map(|name| labels.get(name).unwrap_or("").to_owned()).collect()
}
