//! Templates of alerting rules.
//!
//! Place in the flow: a row → **`expand`** → labels and annotations of its alert.
//!
//! A template that fails yields a text with the error in its place: an alert with a broken
//! description is worth more than no alert.
//!
//! Not here: the template language (template), what an alert does next (`alerting`).

use std::sync::Arc;
use std::time::Duration;

use model::labels::{ALERT_NAME, METRIC_NAME};
use model::{Labels, TimestampMs};
use template::{Dialect, PrometheusFunctions, TemplateError, Templates, Value, World};
use tokio::runtime::Handle;

use crate::evaluate::{Evaluate, Row};

/// Variables that upstream's templates start with.
const PROLOGUE: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                        {{$externalURL := .ExternalURL}}{{$value := .Value}}";
/// The template's name inside its set.
const BODY: &str = "body";
/// Longest a query inside a template may take.
const QUERY_DEADLINE: Duration = Duration::from_secs(30);

/// A text that may hold template actions.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// Without any.
    Plain(String),
    /// With some, parsed.
    Template(Box<Templates>),
}

impl Text {
    /// Parses a text of an alert.
    pub(crate) fn parse(alert: &str, text: &str) -> Result<Text, TemplateError> {
        if !text.contains("{{") {
            return Ok(Text::Plain(text.to_owned()));
        }
        let mut set = Templates::for_dialect(Dialect::Prometheus);
        set.parse(BODY, &format!("{PROLOGUE}{text}"))
            .map_err(|error| TemplateError { name: format!("__alert_{alert}"), ..error })?;
        Ok(Text::Template(Box::new(set)))
    }

    fn queries(&self) -> bool {
        match self {
            Text::Plain(_) => false,
            Text::Template(set) => set.calls("query"),
        }
    }

    fn expand(&self, alert: &str, data: &Value, world: &dyn World) -> String {
        match self {
            Text::Plain(text) => text.clone(),
            Text::Template(set) => {
                set.execute(BODY, data, &PrometheusFunctions(world)).unwrap_or_else(|error| {
                    let named = TemplateError { name: format!("__alert_{alert}"), ..error };
                    format!("<error expanding template: {named}>")
                })
            }
        }
    }
}

/// The templates of one rule.
#[derive(Debug)]
pub(crate) struct RuleTexts {
    alert: String,
    labels: Vec<(String, Text)>,
    annotations: Vec<(String, Text)>,
}

/// What templates see besides the row.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) external_labels: Labels,
    pub(crate) external_url: String,
}

/// A row with its labels and annotations as an alert.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expanded {
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) value: f64,
}

impl RuleTexts {
    /// Parses the templates of a rule. A text that does not parse stands for its own error; the
    /// configuration reader refuses such files before.
    pub(crate) fn new(
        alert: &str,
        labels: &[(String, String)],
        annotations: &[(String, String)],
    ) -> RuleTexts {
        let parsed = |pairs: &[(String, String)]| {
            pairs
                .iter()
                .map(|(name, text)| {
                    let text = Text::parse(alert, text).unwrap_or_else(|error| {
                        Text::Plain(format!("<error expanding template: {error}>"))
                    });
                    (name.clone(), text)
                })
                .collect()
        };
        RuleTexts {
            alert: alert.to_owned(),
            labels: parsed(labels),
            annotations: parsed(annotations),
        }
    }

    fn queries(&self) -> bool {
        self.labels.iter().chain(&self.annotations).any(|(_, text)| text.queries())
    }

    fn expand(&self, row: &Row, around: &Surroundings, world: &dyn World) -> Expanded {
        let data = Value::record(
            "template.AlertTemplateData",
            vec![
                ("Labels", Value::labels(&row.labels)),
                ("ExternalLabels", Value::labels(&around.external_labels)),
                ("ExternalURL", Value::text(around.external_url.as_str())),
                ("Value", Value::Float(row.value)),
            ],
        );
        let mut labels = row.labels.to_builder();
        labels.remove(METRIC_NAME);
        for (name, text) in &self.labels {
            labels.set(name, &text.expand(&self.alert, &data, world));
        }
        labels.set(ALERT_NAME, &self.alert);
        let annotations = self
            .annotations
            .iter()
            .map(|(name, text)| (name.as_str(), text.expand(&self.alert, &data, world)));
        Expanded {
            labels: labels.build(),
            annotations: Labels::from_pairs(annotations),
            value: row.value,
        }
    }
}

/// Expands the templates of a rule for all its rows.
pub(crate) async fn expand_all(
    texts: &Arc<RuleTexts>,
    rows: Vec<Row>,
    around: &Arc<Surroundings>,
    (evaluate, at): (&Arc<dyn Evaluate>, TimestampMs),
) -> Result<Vec<Expanded>, String> {
    if !texts.queries() || rows.is_empty() {
        let world = Offline { around, at };
        return Ok(rows.iter().map(|row| texts.expand(row, around, &world)).collect());
    }
    // Templates run to their end without waiting, but their queries must wait: on another thread.
    let world = Online {
        around: around.clone(),
        at,
        evaluate: evaluate.clone(),
        runtime: Handle::current(),
    };
    let texts = texts.clone();
    let expanded = tokio::task::spawn_blocking(move || {
        rows.iter().map(|row| texts.expand(row, &world.around, &world)).collect()
    });
    expanded.await.map_err(|error| format!("expanding templates: {error}"))
}

/// The world of templates that ask no queries.
struct Offline<'a> {
    around: &'a Surroundings,
    at: TimestampMs,
}

impl World for Offline<'_> {
    fn query(&self, _: &str) -> Result<Vec<(Labels, f64)>, String> {
        Err("queries are not possible here".to_owned())
    }

    fn now(&self) -> TimestampMs {
        self.at
    }

    fn external_url(&self) -> &str {
        &self.around.external_url
    }
}

/// The world of templates that do.
struct Online {
    around: Arc<Surroundings>,
    at: TimestampMs,
    evaluate: Arc<dyn Evaluate>,
    runtime: Handle,
}

impl World for Online {
    fn query(&self, expression: &str) -> Result<Vec<(Labels, f64)>, String> {
        let answer = async {
            tokio::time::timeout(QUERY_DEADLINE, self.evaluate.instant(expression, self.at)).await
        };
        let rows = self
            .runtime
            .block_on(answer)
            .map_err(|_| format!("query takes longer than {} s", QUERY_DEADLINE.as_secs()))??;
        Ok(rows.into_iter().map(|row| (row.labels, row.value)).collect())
    }

    fn now(&self) -> TimestampMs {
        self.at
    }

    fn external_url(&self) -> &str {
        &self.around.external_url
    }
}
