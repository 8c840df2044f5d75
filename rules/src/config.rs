//! Rule files, read and checked.
//!
//! Place in the flow: file text → **`config::parse`** → [`GroupConfig`]s → [`crate::Rules`].
//!
//! Everything that can be known without data is checked here: names, labels, durations, the
//! expressions and the templates. All mistakes of a file are reported at once, each with its line.
//!
//! Not here: finding and reading the files (belfry), defaults of the server (`rules`).

use std::collections::HashSet;

use model::fields::{Fields, Problem, Problems};
use model::labels::{METRIC_NAME, is_label_name, is_metric_name};
use model::yaml::{self, Node};
use promql::ParseOptions;

use crate::expand;

/// A group of rules that are evaluated together, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupConfig {
    /// The file as the operator named it.
    pub file: String,
    /// Unique in its file.
    pub name: String,
    /// How often; the server's default when absent.
    pub interval_ms: Option<u64>,
    /// Most series or alerts of one rule; 0 is no limit.
    pub limit: u64,
    /// How far in the past the rules look; the server's default when absent.
    pub query_offset_ms: Option<u64>,
    /// Labels of all its rules; a rule's own win.
    pub labels: Vec<(String, String)>,
    /// In order of evaluation.
    pub rules: Vec<RuleConfig>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleConfig {
    /// What it makes.
    pub kind: RuleKind,
    /// The expression as Belfry prints it.
    pub expression: String,
    /// Labels that are added or overridden, the group's included.
    pub labels: Vec<(String, String)>,
    /// Line of the rule in its file.
    pub line: usize,
}

/// What a rule makes.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// Series.
    Record {
        /// Their metric name.
        name: String,
    },
    /// Alerts.
    Alert {
        /// Their `alertname`.
        name: String,
        /// How long the condition holds before the alert fires.
        for_ms: u64,
        /// How long it keeps firing after the condition ended.
        keep_firing_for_ms: u64,
        /// What a person reads; templates.
        annotations: Vec<(String, String)>,
    },
}

impl GroupConfig {
    /// What tells it from the groups of all files.
    pub fn key(&self) -> String {
        format!("{};{}", self.file, self.name)
    }
}

impl RuleConfig {
    /// The name of the series or of the alert.
    pub fn name(&self) -> &str {
        match &self.kind {
            RuleKind::Record { name } | RuleKind::Alert { name, .. } => name,
        }
    }
}

/// Which names are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`, with colons for metrics.
    Legacy,
}

/// Reads a rule file.
pub fn parse(text: &str, file: &str) -> Result<Vec<GroupConfig>, Vec<Problem>> {
    parse_with(text, file, NameScheme::Utf8, &ParseOptions::all())
}

/// Reads a rule file, and passes over fields that nobody knows.
pub fn parse_known_fields(text: &str, file: &str) -> Result<Vec<GroupConfig>, Vec<Problem>> {
    let problems = Problems::ignoring_unknown_fields(file);
    read(text, problems, NameScheme::Utf8, &ParseOptions::all())
}

/// Reads a rule file under other rules for names and language.
pub fn parse_with(
    text: &str,
    file: &str,
    names: NameScheme,
    language: &ParseOptions,
) -> Result<Vec<GroupConfig>, Vec<Problem>> {
    read(text, Problems::new(file), names, language)
}

fn read(
    text: &str,
    problems: Problems,
    names: NameScheme,
    language: &ParseOptions,
) -> Result<Vec<GroupConfig>, Vec<Problem>> {
    let file = problems.file();
    let root = yaml::parse(text).map_err(|error| {
        vec![Problem {
            file: file.to_owned(),
            line: error.line,
            field: String::new(),
            message: error.message,
        }]
    })?;
    let reader = Reader { file, names, language };
    let mut groups = Vec::new();
    let mut seen = HashSet::new();
    let mut fields = Fields::new(&root, "", &problems);
    for (path, node) in fields.list("groups") {
        let group = reader.group(node, &path, &problems);
        if !group.name.is_empty() && !seen.insert(group.name.clone()) {
            let message = format!("groupname {:?} is repeated in the same file", group.name);
            problems.add(node.get("name").unwrap_or(node), &format!("{path}.name"), message);
        }
        groups.push(group);
    }
    fields.finish();
    problems.result(groups)
}

struct Reader<'a> {
    file: &'a str,
    names: NameScheme,
    language: &'a ParseOptions,
}

impl Reader<'_> {
    fn group(&self, node: &Node, path: &str, problems: &Problems) -> GroupConfig {
        let mut fields = Fields::new(node, path, problems);
        let name = fields.required_text("name");
        let interval_ms = fields.duration_ms("interval").filter(|interval| *interval > 0);
        let limit = fields.unsigned("limit").unwrap_or(0);
        let query_offset_ms = fields.duration_ms("query_offset");
        let labels = self.labels(&mut fields);
        let rules = fields
            .list("rules")
            .into_iter()
            .filter_map(|(path, node)| self.rule(node, &path, &labels, problems))
            .collect();
        fields.finish();
        GroupConfig {
            file: self.file.to_owned(),
            name,
            interval_ms,
            limit,
            query_offset_ms,
            labels,
            rules,
        }
    }

    fn rule(
        &self,
        node: &Node,
        path: &str,
        group_labels: &[(String, String)],
        problems: &Problems,
    ) -> Option<RuleConfig> {
        let mut fields = Fields::new(node, path, problems);
        let record = fields.text("record").unwrap_or_default();
        let alert = fields.text("alert").unwrap_or_default();
        let expression = self.expression(&mut fields);
        let mut labels = group_labels.to_vec();
        let own_labels = self.labels(&mut fields);
        labels.retain(|(name, _)| !own_labels.iter().any(|(own, _)| own == name));
        labels.extend(own_labels);
        let for_ms = fields.duration_ms("for");
        let keep_firing_for_ms = fields.duration_ms("keep_firing_for");
        let annotations = self.annotations(&mut fields);
        let kind = match (record.is_empty(), alert.is_empty()) {
            (false, false) => {
                fields.problem("alert", "only one of 'record' and 'alert' must be set");
                None
            }
            (true, true) => {
                problems.add(node, path, "one of 'record' or 'alert' must be set");
                None
            }
            (false, true) => {
                self.recording(&fields, &record);
                Some(RuleKind::Record { name: record })
            }
            (true, false) => {
                self.templates(&fields, &alert, &labels, &annotations);
                Some(RuleKind::Alert {
                    name: alert,
                    for_ms: for_ms.unwrap_or(0),
                    keep_firing_for_ms: keep_firing_for_ms.unwrap_or(0),
                    annotations,
                })
            }
        };
        fields.finish();
        Some(RuleConfig { kind: kind?, expression, labels, line: node.line })
    }

    /// The expression in Belfry's own spelling; a problem and an empty text when it is none.
    fn expression(&self, fields: &mut Fields<'_>) -> String {
        let text = fields.text("expr").unwrap_or_default();
        if text.trim().is_empty() {
            fields.problem("expr", "field 'expr' must be set in rule");
            return String::new();
        }
        match promql::parse(&text, self.language) {
            Ok(tree) => {
                let kind = tree.value_type();
                let allowed = matches!(
                    kind,
                    promql::functions::ValueType::Scalar | promql::functions::ValueType::Vector
                );
                if !allowed {
                    let message =
                        format!("needs an instant vector or a scalar, but is {}", kind.describe());
                    fields.problem("expr", message);
                }
                promql::print(&tree)
            }
            Err(list) => {
                for problem in list {
                    let shown = problem.render(&text);
                    fields.problem("expr", format!("could not parse expression: {shown}"));
                }
                String::new()
            }
        }
    }

    fn labels(&self, fields: &mut Fields<'_>) -> Vec<(String, String)> {
        let pairs = fields.text_map("labels");
        for (name, _) in &pairs {
            if name == METRIC_NAME || !self.is_name(name, is_label_name) {
                add_below(fields, "labels", name, format!("invalid label name {name:?}"));
            }
        }
        pairs
    }

    fn annotations(&self, fields: &mut Fields<'_>) -> Vec<(String, String)> {
        let pairs = fields.text_map("annotations");
        for (name, _) in &pairs {
            if !self.is_name(name, is_label_name) {
                let message = format!("invalid annotation name {name:?}");
                add_below(fields, "annotations", name, message);
            }
        }
        pairs
    }

    fn is_name(&self, name: &str, is_legacy: fn(&str) -> bool) -> bool {
        match self.names {
            NameScheme::Utf8 => !name.is_empty(),
            NameScheme::Legacy => is_legacy(name),
        }
    }

    fn recording(&self, fields: &Fields<'_>, name: &str) {
        for key in ["for", "keep_firing_for", "annotations"] {
            if fields.node().get(key).is_some_and(|node| !node.is_null()) {
                fields.problem(key, format!("invalid field '{key}' in recording rule"));
            }
        }
        if name.contains(['{', '}']) {
            let message = format!(
                "braces present in the recording rule name {name:?}; should it be in expr?"
            );
            fields.problem("record", message);
        } else if !self.is_name(name, is_metric_name) {
            fields.problem("record", format!("invalid recording rule name {name:?}"));
        }
    }

    /// Parses the templates, as the evaluation will.
    fn templates(
        &self,
        fields: &Fields<'_>,
        alert: &str,
        labels: &[(String, String)],
        annotations: &[(String, String)],
    ) {
        for (key, pairs) in [("labels", labels), ("annotations", annotations)] {
            for (name, text) in pairs {
                if let Err(error) = expand::Text::parse(alert, text) {
                    let kind = key.trim_end_matches('s');
                    add_below(fields, key, name, format!("{kind} {name:?}: {error}"));
                }
            }
        }
    }
}

/// Notes a problem at one entry of a mapping below a key.
fn add_below(fields: &Fields<'_>, key: &str, name: &str, message: String) {
    let map = fields.node().get(key).unwrap_or(fields.node());
    let node = map.get(name).unwrap_or(map);
    fields.problems().add(node, &format!("{}.{name}", fields.path_of(key)), message);
}

#[cfg(test)]
mod tests;
