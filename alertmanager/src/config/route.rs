//! The routing tree: which alert goes to which receiver, grouped how, how often.
//!
//! Place in the flow: [`super::parse`] → **here** → the core's plan.
//!
//! A child takes over what it does not say itself; what stands in a [`Route`] is the finished value.
//! Each route has an id made from the matchers on the way to it (and a number when siblings are
//! alike), so that a reload which moves routes about keeps their groups.
//!
//! Not here: walking the tree with an alert (core).

use model::Matcher;
use model::fields::{Fields, Problems};
use model::labels::is_label_name;
use model::yaml::{Kind, Node};

use super::interval::NamedInterval;
use super::receiver::Receiver;
use super::{Context, syntax};
use crate::matchers;

/// Which alerts share a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// `['...']`: each label set alone.
    All,
    /// Those with equal values of these labels; none puts all into one.
    Labels(Vec<String>),
}

/// One node of the tree, with everything it inherits.
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique in the tree and stable while matchers stay the same.
    pub id: String,
    /// The matchers on the way, as group keys show them: `{}/{env="prod"}`.
    pub key: String,
    /// Who is told.
    pub receiver: String,
    /// Which alerts share a message.
    pub group_by: GroupBy,
    /// From a group's first alert to its first message.
    pub group_wait_ms: u64,
    /// Between looks at a group.
    pub group_interval_ms: u64,
    /// Until an unchanged message is sent again.
    pub repeat_interval_ms: u64,
    /// All must pass.
    pub matchers: Vec<Matcher>,
    /// Texts for templates, themselves templates, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Quiet inside these.
    pub mute_time_intervals: Vec<String>,
    /// Quiet outside these, when there are any.
    pub active_time_intervals: Vec<String>,
    /// Go on to the next sibling after a match.
    pub continues: bool,
    /// More special routes.
    pub routes: Vec<Route>,
    /// Where it stands in the file.
    line: usize,
}

pub(super) fn read_root(root: &mut Fields<'_>, context: &Context<'_>) -> Option<Route> {
    let Some(mut fields) = root.fields("route") else {
        root.problem("route", "is required: no route, no message");
        return None;
    };
    for key in ["matchers", "match", "match_re"] {
        let filled = fields.get(key).is_some_and(|node| !is_empty(node));
        if filled {
            fields.problem(key, "the root route takes every alert; move the matchers to a child");
        }
    }
    for key in ["mute_time_intervals", "active_time_intervals"] {
        if fields.get(key).is_some_and(|node| !is_empty(node)) {
            fields.problem(key, "the root route has no time intervals; move them to a child");
        }
    }
    if fields.boolean("continue") == Some(true) {
        fields.problem("continue", "the root route has no sibling to continue with");
    }
    fields.required_text("receiver");
    let defaults = Route {
        id: String::new(),
        key: String::new(),
        receiver: String::new(),
        group_by: GroupBy::Labels(Vec::new()),
        group_wait_ms: 30_000,
        group_interval_ms: 5 * 60_000,
        repeat_interval_ms: 4 * 3_600_000,
        matchers: Vec::new(),
        labels: Vec::new(),
        mute_time_intervals: Vec::new(),
        active_time_intervals: Vec::new(),
        continues: false,
        routes: Vec::new(),
        line: fields.node().line,
    };
    let mut route = read(&mut fields, &defaults, context);
    route.matchers.clear();
    fields.finish();
    name_routes(&mut route, "", &mut Vec::new());
    Some(route)
}

fn is_empty(node: &Node) -> bool {
    match &node.kind {
        Kind::Scalar { text, .. } => text.is_empty(),
        Kind::Sequence(items) => items.is_empty(),
        Kind::Mapping(pairs) => pairs.is_empty(),
    }
}

fn read(fields: &mut Fields<'_>, parent: &Route, context: &Context<'_>) -> Route {
    let mut route = Route { routes: Vec::new(), continues: false, ..parent.clone() };
    route.line = fields.node().line;
    if let Some(receiver) = fields.text("receiver").filter(|text| !text.is_empty()) {
        route.receiver = receiver;
    }
    if let Some(names) = fields.texts("group_by") {
        route.group_by = group_by(fields, names);
    }
    let written = [
        (fields.duration_ms("group_wait"), &mut route.group_wait_ms),
        (fields.duration_ms("group_interval"), &mut route.group_interval_ms),
        (fields.duration_ms("repeat_interval"), &mut route.repeat_interval_ms),
    ];
    for (value, field) in written {
        *field = value.unwrap_or(*field);
    }
    for (key, value) in
        [("group_interval", route.group_interval_ms), ("repeat_interval", route.repeat_interval_ms)]
    {
        if value == 0 {
            fields.problem(key, "cannot be zero");
        }
    }
    route.matchers = read_matchers(fields, ("matchers", "match", "match_re"), context);
    route.labels = read_labels(fields, &parent.labels);
    for (key, names) in [
        ("mute_time_intervals", &mut route.mute_time_intervals),
        ("active_time_intervals", &mut route.active_time_intervals),
    ] {
        if let Some(written) = fields.texts(key) {
            *names = written;
        }
    }
    route.continues = fields.boolean("continue").unwrap_or(false);
    for (path, node) in fields.list("routes") {
        let mut child = Fields::new(node, &path, fields.problems());
        route.routes.push(read(&mut child, &route.clone(), context));
        child.finish();
    }
    route
}

fn group_by(fields: &Fields<'_>, names: Vec<String>) -> GroupBy {
    if names.iter().any(|name| name == "...") {
        if names.len() > 1 {
            fields.problem("group_by", "`...` stands for all labels and must stand alone");
        }
        return GroupBy::All;
    }
    let mut known: Vec<&String> = Vec::new();
    for name in &names {
        if name.is_empty() {
            fields.problem("group_by", "label names must not be empty");
        }
        if known.contains(&name) {
            fields.problem("group_by", format!("duplicated label {name:?}"));
        }
        known.push(name);
    }
    GroupBy::Labels(names)
}

fn read_labels(fields: &mut Fields<'_>, inherited: &[(String, String)]) -> Vec<(String, String)> {
    let mut labels = inherited.to_vec();
    for (name, text) in fields.text_map("labels") {
        if !is_label_name(&name) {
            fields.problem("labels", format!("{name:?} is no label name"));
        }
        if let Err(message) = syntax::check_text(&text) {
            fields.problem("labels", format!("{name}: {message}"));
        }
        labels.retain(|(own, _)| *own != name);
        labels.push((name, text));
    }
    labels.sort();
    labels
}

/// Reads matchers in the present and in the two deprecated forms.
pub(super) fn read_matchers(
    fields: &mut Fields<'_>,
    (list_key, equal_key, regex_key): (&'static str, &'static str, &'static str),
    context: &Context<'_>,
) -> Vec<Matcher> {
    let mut all = Vec::new();
    for (path, node) in fields.list(list_key) {
        let Some(text) = node.text() else {
            fields.problems().add(node, &path, "needs a text such as 'team=\"db\"'");
            continue;
        };
        match matchers::parse(text) {
            Ok(parsed) => {
                all.extend(parsed.matchers);
                if let Some(warning) = parsed.warning {
                    context.warn(format!("{path}: {warning}"));
                }
            }
            Err(message) => fields.problems().add(node, &path, format!("{text:?}: {message}")),
        }
    }
    let equal = fields.text_map(equal_key);
    let regex = regex_pairs(fields, regex_key);
    if !(equal.is_empty() && regex.is_empty()) {
        context.warn(format!("{equal_key} and {regex_key} are deprecated; use {list_key}"));
    }
    for (name, value) in equal {
        if !is_label_name(&name) {
            fields.problem(equal_key, format!("{name:?} is no label name"));
        }
        all.push(Matcher::equal(&name, &value));
    }
    for (name, value) in regex {
        if !is_label_name(&name) {
            fields.problem(regex_key, format!("{name:?} is no label name"));
        }
        match Matcher::new(&name, model::MatchOp::Regex, &value) {
            Ok(matcher) => all.push(matcher),
            Err(error) => fields.problem(regex_key, format!("{name}: {error}")),
        }
    }
    all
}

fn regex_pairs(fields: &mut Fields<'_>, key: &'static str) -> Vec<(String, String)> {
    let pairs = fields.text_map(key);
    if let Some(Node { kind: Kind::Mapping(nodes), .. }) = fields.get(key) {
        for (name, value) in nodes {
            if value.is_null() {
                let path = format!("{}.{}", fields.path_of(key), name.text().unwrap_or(""));
                fields.problems().add(name, &path, "needs a regular expression, but is nothing");
            }
        }
    }
    pairs
}

fn name_routes(route: &mut Route, parent_key: &str, taken: &mut Vec<String>) {
    let own = matchers::group_key_form(&route.matchers);
    route.key = if parent_key.is_empty() { own } else { format!("{parent_key}/{own}") };
    let mut id = route.key.clone();
    let mut twin = 1;
    while taken.contains(&id) {
        twin += 1;
        id = format!("{}#{twin}", route.key);
    }
    taken.push(id.clone());
    route.id = id;
    let key = route.key.clone();
    for child in &mut route.routes {
        name_routes(child, &key, taken);
    }
}

/// Notes every receiver and interval that a route names and nobody defines.
pub(super) fn check_names(
    route: &Route,
    receivers: &[Receiver],
    intervals: &[NamedInterval],
    (root, problems): (&Node, &Problems),
) {
    let at = Node { kind: Node::null().kind, line: route.line, column: root.column };
    if !route.receiver.is_empty() && !receivers.iter().any(|own| own.name == route.receiver) {
        let message = format!("undefined receiver {:?}", route.receiver);
        problems.add(&at, "route.receiver", message);
    }
    for name in route.mute_time_intervals.iter().chain(&route.active_time_intervals) {
        if !intervals.iter().any(|own| own.name == *name) {
            problems.add(&at, "route", format!("undefined time interval {name:?}"));
        }
    }
    for child in &route.routes {
        check_names(child, receivers, intervals, (root, problems));
    }
}
