//! Rules that rewrite, keep and drop label sets.
//!
//! Place in the flow: discovered target → **`apply`** → target, and scraped series → **`apply`** →
//! series. The rules and their meaning are upstream's.
//!
//! Not here: reading rules from the configuration (`config::relabel`), special labels (`target`).

use md5::{Digest, Md5};
use model::LabelsBuilder;
use model::re2::Expression;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Writes the expanded replacement to the target label.
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops what does not equal the target label.
    KeepEqual,
    /// Drops what equals the target label.
    DropEqual,
    /// Writes a hash modulo a number.
    HashMod,
    /// Copies labels whose name matches.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Writes the value in lower case.
    Lowercase,
    /// Writes the value in upper case.
    Uppercase,
}

impl Action {
    /// As a configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Replace => "replace",
            Action::Keep => "keep",
            Action::Drop => "drop",
            Action::KeepEqual => "keepequal",
            Action::DropEqual => "dropequal",
            Action::HashMod => "hashmod",
            Action::LabelMap => "labelmap",
            Action::LabelDrop => "labeldrop",
            Action::LabelKeep => "labelkeep",
            Action::Lowercase => "lowercase",
            Action::Uppercase => "uppercase",
        }
    }

    /// The action that a configuration names, in any case.
    pub fn from_name(name: &str) -> Option<Action> {
        Some(match name.to_ascii_lowercase().as_str() {
            "replace" => Action::Replace,
            "keep" => Action::Keep,
            "drop" => Action::Drop,
            "keepequal" => Action::KeepEqual,
            "dropequal" => Action::DropEqual,
            "hashmod" => Action::HashMod,
            "labelmap" => Action::LabelMap,
            "labeldrop" => Action::LabelDrop,
            "labelkeep" => Action::LabelKeep,
            "lowercase" => Action::Lowercase,
            "uppercase" => Action::Uppercase,
            _ => return None,
        })
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// What joins them.
    pub separator: String,
    /// What the joined value (or the label's name) must match, as written.
    pub pattern: String,
    /// The pattern, anchored and compiled.
    pub regex: Expression,
    /// The divisor of a hash.
    pub modulus: u64,
    /// The label that is written or compared.
    pub target_label: String,
    /// What is written, with `$1`.
    pub replacement: String,
    /// What is done.
    pub action: Action,
    /// Refuse names that the classic scheme does not allow.
    pub classic_names: bool,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        let parts = |rule: &Rule| {
            (
                rule.source_labels.clone(),
                [&rule.separator, &rule.pattern, &rule.target_label, &rule.replacement]
                    .map(String::clone),
                (rule.modulus, rule.action, rule.classic_names),
            )
        };
        parts(self) == parts(other)
    }
}

/// Applies rules one after the other. `false` when one of them drops the label set.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let value = self.joined(labels);
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return labels.get(&self.target_label) == value,
            Action::DropEqual => return labels.get(&self.target_label) != value,
            Action::Replace => self.replace(&value, labels),
            Action::HashMod => {
                labels.set(&self.target_label, &hash_mod(&value, self.modulus).to_string());
            }
            Action::Lowercase => {
                labels.set(&self.target_label, &value.to_lowercase());
            }
            Action::Uppercase => {
                labels.set(&self.target_label, &value.to_uppercase());
            }
            Action::LabelMap => self.map_names(labels),
            Action::LabelDrop | Action::LabelKeep => {
                let drops = self.action == Action::LabelDrop;
                let named: Vec<String> = labels
                    .pairs()
                    .iter()
                    .filter(|(name, _)| self.regex.is_match(name) == drops)
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in named {
                    labels.remove(&name);
                }
            }
        }
        true
    }

    fn joined(&self, labels: &LabelsBuilder) -> String {
        let mut joined = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(labels.get(name));
        }
        joined
    }

    fn replace(&self, value: &str, labels: &mut LabelsBuilder) {
        let Some(captures) = self.regex.captures(value) else { return };
        let mut target = String::new();
        captures.expand(&self.target_label, &mut target);
        if !self.is_name(&target) {
            return;
        }
        let mut replacement = String::new();
        captures.expand(&self.replacement, &mut replacement);
        // An empty value removes the label.
        labels.set(&target, &replacement);
    }

    fn map_names(&self, labels: &mut LabelsBuilder) {
        let mut copies = Vec::new();
        for (name, value) in labels.pairs() {
            if let Some(captures) = self.regex.captures(name) {
                let mut copy = String::new();
                captures.expand(&self.replacement, &mut copy);
                copies.push((copy, value.clone()));
            }
        }
        for (name, value) in copies {
            if self.is_name(&name) {
                labels.set(&name, &value);
            }
        }
    }

    fn is_name(&self, name: &str) -> bool {
        !name.is_empty() && (!self.classic_names || model::labels::is_label_name(name))
    }
}

/// The last eight bytes of the MD5, big-endian, modulo a number: upstream's hash, so that a fleet of
/// servers that share targets by hash can be mixed.
fn hash_mod(value: &str, modulus: u64) -> u64 {
    let digest = Md5::digest(value.as_bytes());
    let mut last = [0; 8];
    last.copy_from_slice(&digest[8..16]);
    u64::from_be_bytes(last) % modulus.max(1)
}

#[cfg(test)]
mod tests;
