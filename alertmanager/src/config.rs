//! The Alertmanager configuration: routes, receivers, inhibition rules, time intervals.
//!
//! Place in the flow: file text → [`model::yaml`] → **`parse`** → the core's plan and the receivers.
//!
//! Reading touches nothing: files named inside (templates, secrets, certificates) are opened later.
//! Every mistake is reported with line and field; a file with one mistake is refused as a whole, so
//! that a bad file never replaces a good one. Relative paths stand relative to the file.
//!
//! Not here: what a route does (core), how a receiver sends (receiver).

use std::path::{Path, PathBuf};

use model::fields::{Fields, Problem, Problems};
use model::yaml::{self, Node};

pub use email::{EmailConfig, EmailLogin, EmailTls, Threading};
pub use global::{Global, SmtpDefaults};
pub use http::{Credentials, HttpConfig, TlsFiles};
pub use inhibit::InhibitRule;
pub use interval::{NamedInterval, TimeInterval};
pub use receiver::{Integration, IntegrationKind, Receiver, WebhookConfig};
pub use route::{GroupBy, Route};

mod email;
mod global;
mod http;
mod inhibit;
mod interval;
/// Which other services the field's files name, and which of their keys are secrets.
mod other;
mod receiver;
mod redact;
mod route;
mod syntax;

/// A whole, checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Defaults of all receivers.
    pub global: Global,
    /// Template files, each a path whose last element may hold `*`.
    pub templates: Vec<PathBuf>,
    /// The root of the routing tree.
    pub route: Route,
    /// Who can be told, each name once.
    pub receivers: Vec<Receiver>,
    /// Which alerts keep others quiet.
    pub inhibit_rules: Vec<InhibitRule>,
    /// The named times that routes refer to.
    pub time_intervals: Vec<NamedInterval>,
    /// What works and should still be written in another way.
    pub warnings: Vec<String>,
    original: String,
}

impl Config {
    /// The file's content with every secret replaced, as the status page shows it.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The receiver of that name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}

/// What the readers of the parts share.
struct Context<'a> {
    folder: &'a Path,
    warnings: std::cell::RefCell<Vec<String>>,
}

impl Context<'_> {
    fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }
}

/// Reads a configuration. The error is the list of all mistakes, by line.
pub fn parse(text: &str, file: &str) -> Result<Config, Vec<Problem>> {
    let root = yaml::parse(text).map_err(|error| {
        vec![Problem {
            file: file.to_owned(),
            line: error.line,
            field: String::new(),
            message: error.message.clone(),
        }]
    })?;
    let problems = Problems::new(file);
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let context = Context { folder, warnings: std::cell::RefCell::default() };
    let config = read(&root, &problems, &context);
    problems.result(())?;
    let Some(mut config) = config else { return Err(Vec::new()) };
    config.warnings = context.warnings.into_inner();
    Ok(config)
}

/// `None` only when a problem was noted.
fn read(root: &Node, problems: &Problems, context: &Context<'_>) -> Option<Config> {
    let mut fields = Fields::new(root, "", problems);
    let global = global::read(&mut fields, context);
    let templates: Vec<PathBuf> = fields
        .texts("templates")
        .unwrap_or_default()
        .iter()
        .map(|pattern| context.path(pattern))
        .collect();
    for (index, pattern) in templates.iter().enumerate() {
        let in_folder = pattern.parent().is_some_and(|own| own.to_string_lossy().contains('*'));
        if in_folder {
            let message = "a `*` may only stand in the last element of the path";
            fields.problem("templates", format!("entry {index}: {message}"));
        }
    }
    let receivers = receiver::read_all(&mut fields, &global, context);
    let time_intervals = interval::read_all(&mut fields);
    let inhibit_rules = inhibit::read_all(&mut fields, context);
    let route = route::read_root(&mut fields, context);
    for ignored in ["tracing", "event_recorder"] {
        if fields.has(ignored) {
            context.warn(format!("`{ignored}` has no effect here; Belfry keeps its own history"));
        }
    }
    fields.finish();
    let route = route?;
    route::check_names(&route, &receivers, &time_intervals, (root, problems));
    let original = redact::redacted(root);
    let warnings = Vec::new();
    Some(Config {
        global,
        templates,
        route,
        receivers,
        inhibit_rules,
        time_intervals,
        warnings,
        original,
    })
}

#[cfg(test)]
mod tests;
