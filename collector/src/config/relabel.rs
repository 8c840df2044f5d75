//! Reads relabel rules and refuses those that upstream refuses.
//!
//! Place in the flow: YAML list → **`read`** → `relabel::Rule`.
//!
//! Not here: applying them (`relabel`).

use model::fields::{Fields, Problems};
use model::re2::Expression;
use model::yaml::Node;

use crate::relabel::{Action, Rule};

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_PATTERN: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

/// Reads the list under a key.
pub fn read_list(fields: &mut Fields<'_>, key: &'static str, classic_names: bool) -> Vec<Rule> {
    let problems = fields.problems();
    fields
        .list(key)
        .into_iter()
        .filter_map(|(path, node)| read(node, &path, classic_names, problems))
        .collect()
}

/// Reads one rule; `None` after a problem.
pub fn read(node: &Node, path: &str, classic_names: bool, problems: &Problems) -> Option<Rule> {
    if node.is_null() {
        problems.add(node, path, "the rule is empty; remove it or write one");
        return None;
    }
    let mut fields = Fields::new(node, path, problems);
    let action = action(&mut fields);
    let written = |fields: &mut Fields<'_>, key: &'static str, default: &str| {
        // A key with nothing after it means the empty text.
        let has = fields.has(key);
        fields.text(key).unwrap_or(if has { String::new() } else { default.to_owned() })
    };
    let source_labels = fields.texts("source_labels").unwrap_or_default();
    let separator = written(&mut fields, "separator", DEFAULT_SEPARATOR);
    let pattern = written(&mut fields, "regex", DEFAULT_PATTERN);
    let target_label = written(&mut fields, "target_label", "");
    let replacement = written(&mut fields, "replacement", DEFAULT_REPLACEMENT);
    let modulus = fields.unsigned("modulus").unwrap_or(0);
    let regex = match Expression::framed(&pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            fields.problem("regex", format!("is no regular expression: {error}"));
            None
        }
    };
    let rule = Rule {
        source_labels,
        separator,
        pattern,
        regex: regex?,
        modulus,
        target_label,
        replacement,
        action: action?,
        classic_names,
    };
    let valid = check(&rule, &fields);
    fields.finish();
    valid.then_some(rule)
}

fn action(fields: &mut Fields<'_>) -> Option<Action> {
    if !fields.has("action") {
        return Some(Action::Replace);
    }
    let Some(text) = fields.text("action") else {
        fields.problem("action", "is empty; name an action or remove the key");
        return None;
    };
    let action = Action::from_name(&text);
    if action.is_none() {
        fields.problem("action", format!("{text:?} is no relabel action"));
    }
    action
}

/// Names fields that an action needs or can't use.
fn check(rule: &Rule, fields: &Fields<'_>) -> bool {
    let mut valid = true;
    let mut problem = |key: &str, message: &str| {
        fields.problem(key, message);
        valid = false;
    };
    let writes = matches!(
        rule.action,
        Action::Replace
            | Action::HashMod
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
    );
    if writes && rule.target_label.is_empty() {
        problem("target_label", "is required for this action");
    }
    let template = rule.action == Action::Replace && rule.target_label.contains('$');
    if writes
        && rule.classic_names
        && !template
        && !rule.target_label.is_empty()
        && !model::labels::is_label_name(&rule.target_label)
    {
        problem("target_label", "is no label name");
    }
    if rule.action == Action::HashMod && rule.modulus == 0 {
        problem("modulus", "must be greater than 0 for hashmod");
    }
    let unused: &[&str] = match rule.action {
        Action::Lowercase | Action::Uppercase => &["replacement"],
        Action::KeepEqual | Action::DropEqual => &["regex", "modulus", "separator", "replacement"],
        Action::LabelDrop | Action::LabelKeep => {
            &["source_labels", "target_label", "modulus", "separator", "replacement"]
        }
        _ => &[],
    };
    for key in unused {
        let set = match *key {
            "source_labels" => !rule.source_labels.is_empty(),
            "target_label" => !rule.target_label.is_empty(),
            "modulus" => rule.modulus != 0,
            "separator" => rule.separator != DEFAULT_SEPARATOR,
            "replacement" => rule.replacement != DEFAULT_REPLACEMENT,
            _ => rule.pattern != DEFAULT_PATTERN,
        };
        if set {
            problem(key, "has no meaning for this action; remove it");
        }
    }
    if rule.action == Action::LabelMap && rule.replacement.is_empty() {
        problem("replacement", "must name a label");
    }
    valid
}
