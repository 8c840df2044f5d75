//! Inhibition rules: a firing source keeps its targets quiet.
//!
//! Place in the flow: [`super::parse`] → **here** → the core's inhibition index.
//!
//! Not here: deciding which alert is muted (core).

use model::Matcher;
use model::fields::Fields;

use super::Context;
use super::route::read_matchers;

/// One rule.
#[derive(Debug, Clone)]
pub struct InhibitRule {
    /// For people; may be empty.
    pub name: String,
    /// Which alerts mute.
    pub source_matchers: Vec<Matcher>,
    /// Which alerts are muted.
    pub target_matchers: Vec<Matcher>,
    /// Labels whose values must agree; a missing one counts as empty.
    pub equal: Vec<String>,
}

pub(super) fn read_all(root: &mut Fields<'_>, context: &Context<'_>) -> Vec<InhibitRule> {
    let mut rules = Vec::new();
    for (path, node) in root.list("inhibit_rules") {
        let mut fields = Fields::new(node, &path, root.problems());
        let name = fields.text("name").unwrap_or_default();
        let source = ("source_matchers", "source_match", "source_match_re");
        let target = ("target_matchers", "target_match", "target_match_re");
        let source_matchers = read_matchers(&mut fields, source, context);
        let target_matchers = read_matchers(&mut fields, target, context);
        let mut equal = fields.texts("equal").unwrap_or_default();
        equal.sort();
        equal.dedup();
        if equal.iter().any(String::is_empty) {
            fields.problem("equal", "label names must not be empty");
        }
        fields.finish();
        rules.push(InhibitRule { name, source_matchers, target_matchers, equal });
    }
    rules
}
