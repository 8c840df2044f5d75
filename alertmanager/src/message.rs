//! A message as templates and payloads see it.
//!
//! Place in the flow: intent + configuration → **`Message`** → template data, JSON payload.
//!
//! Names and shapes are the field's, so that existing template files work unchanged.
//!
//! Not here: parsing templates (crate template), sending (receiver).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, TimestampMs};
use template::{AlertmanagerFunctions, Functions, Object, Templates, Value};

use crate::core::record::{Intent, StoredAlert};

/// Deepest nesting of route labels that call each other.
const ROUTE_LABEL_DEPTH_MAX: usize = 8;

/// What all ways of telling share for one message.
pub(crate) struct Message<'a> {
    /// The message.
    pub(crate) intent: &'a Intent,
    /// The alerts shown, after `max_alerts`.
    pub(crate) alerts: &'a [StoredAlert],
    /// How many were left out.
    pub(crate) truncated: usize,
    /// Where people find us.
    pub(crate) external_url: &'a str,
    /// All template files.
    pub(crate) templates: &'a Templates,
    /// Raw texts of the route's labels.
    pub(crate) route_labels: &'a [(String, String)],
    /// Now, for templates.
    pub(crate) now: TimestampMs,
}

impl<'a> Message<'a> {
    /// Leaves out alerts beyond the maximum (0 is none).
    pub(crate) fn truncate(mut self, alerts_max: usize) -> Message<'a> {
        if alerts_max > 0 && self.alerts.len() > alerts_max {
            self.truncated = self.alerts.len() - alerts_max;
            self.alerts = &self.alerts[..alerts_max];
        }
        self
    }

    /// Whether the alert fires in this message, whatever the time is by now.
    pub(crate) fn fires(&self, alert: &StoredAlert) -> bool {
        self.intent.firing.contains(&alert.fingerprint())
    }

    /// `firing` if anything fires.
    pub(crate) fn status(&self) -> &'static str {
        if self.alerts.iter().any(|alert| self.fires(alert)) { "firing" } else { "resolved" }
    }

    /// Labels that all alerts share.
    pub(crate) fn common_labels(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.labels))
    }

    /// Annotations that all alerts share.
    pub(crate) fn common_annotations(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.annotations))
    }

    /// The route's labels with their templates executed.
    pub(crate) fn rendered_route_labels(&self) -> Result<BTreeMap<String, String>, String> {
        let data = self.data();
        let functions = self.functions(&data, 0);
        self.route_labels
            .iter()
            .map(|(name, text)| {
                let rendered = self.templates.execute_once(text, &data, &functions);
                rendered.map(|value| (name.clone(), value)).map_err(|error| error.to_string())
            })
            .collect()
    }

    /// Executes a text template.
    pub(crate) fn text(&self, text: &str) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let data = self.data();
        let functions = self.functions(&data, 0);
        self.templates.execute_once(text, &data, &functions).map_err(|error| error.to_string())
    }

    /// Executes an HTML template with contextual escaping.
    pub(crate) fn html(&self, text: &str) -> Result<String, String> {
        let data = self.data();
        let functions = self.functions(&data, 0);
        self.templates.execute_html_once(text, &data, &functions).map_err(|error| error.to_string())
    }

    fn functions<'b>(&'b self, data: &'b Value, depth: usize) -> MessageFunctions<'b> {
        let route_labels = Value::text_map(self.route_labels.iter().map(|(n, v)| (n, v)));
        let rest = AlertmanagerFunctions { now: self.now, route_labels };
        MessageFunctions { message: self, data, depth, rest }
    }

    fn data(&self) -> Value {
        let alerts: Vec<(bool, Value)> =
            self.alerts.iter().map(|own| (self.fires(own), self.alert_data(own))).collect();
        Value::record(
            "template.Data",
            vec![
                ("Receiver", Value::text(quote_meta(&self.intent.receiver))),
                ("Status", Value::text(self.status())),
                ("Alerts", Value::Object(Arc::new(AlertList(alerts)))),
                ("GroupLabels", pairs(&self.intent.group_labels)),
                ("CommonLabels", pairs(&self.common_labels())),
                ("CommonAnnotations", pairs(&self.common_annotations())),
                ("RouteLabels", pairs(&Labels::from_pairs(self.route_labels.iter().cloned()))),
                ("ExternalURL", Value::text(self.external_url)),
                ("NotificationReason", Value::text(self.intent.reason.text())),
            ],
        )
    }

    fn alert_data(&self, alert: &StoredAlert) -> Value {
        let fires = self.fires(alert);
        let ends_at = if fires { zero_time() } else { Value::time(TimestampMs(alert.ends_at_ms)) };
        Value::record(
            "template.Alert",
            vec![
                ("Status", Value::text(if fires { "firing" } else { "resolved" })),
                ("Labels", pairs(&alert.labels)),
                ("Annotations", pairs(&alert.annotations)),
                ("StartsAt", Value::time(TimestampMs(alert.starts_at_ms))),
                ("EndsAt", ends_at),
                ("GeneratorURL", Value::text(alert.generator_url.as_str())),
                ("Fingerprint", Value::text(format!("{:016x}", alert.fingerprint()))),
            ],
        )
    }
}

/// Go's zero time, the end of what still fires.
fn zero_time() -> Value {
    let zero = jiff::civil::Date::constant(1, 1, 1).to_zoned(jiff::tz::TimeZone::UTC);
    zero.map_or(Value::Null, Value::Time)
}

fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    sets.fold(first.clone(), |kept, next| kept.filtered(|name| kept.get(name) == next.get(name)))
}

/// A text with every sign escaped that means something in a regular expression, as receivers of the
/// field see receiver names.
pub(crate) fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        if "\\.+*?()|[]{}^$".contains(letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted
}

/// The field's functions, and `routeLabels "name"` which executes that label's own template.
struct MessageFunctions<'a> {
    message: &'a Message<'a>,
    data: &'a Value,
    depth: usize,
    rest: AlertmanagerFunctions,
}

impl Functions for MessageFunctions<'_> {
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let ("routeLabels", [wanted]) = (name, arguments) else {
            return self.rest.call(name, arguments);
        };
        let Some(wanted) = wanted.as_text() else {
            return Some(Err("routeLabels needs the name of a label".to_owned()));
        };
        let labels = self.message.route_labels;
        let Some((_, text)) = labels.iter().find(|(own, _)| *own == **wanted) else {
            return Some(Ok(Value::text("")));
        };
        if self.depth >= ROUTE_LABEL_DEPTH_MAX {
            return Some(Err(format!("route label {wanted:?} calls itself")));
        }
        let nested = self.message.functions(self.data, self.depth + 1);
        let rendered = self.message.templates.execute_once(text, self.data, &nested);
        Some(rendered.map(Value::text).map_err(|error| error.to_string()))
    }
}

/// `.Alerts`: a list with `.Firing` and `.Resolved`.
#[derive(Debug)]
struct AlertList(Vec<(bool, Value)>);

impl AlertList {
    fn only(&self, fires: bool) -> Value {
        let kept = self.0.iter().filter(|(own, _)| *own == fires);
        Value::list(kept.map(|(_, value)| value.clone()).collect())
    }
}

impl Object for AlertList {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn member(&self, name: &str, _: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Firing" => Some(Ok(self.only(true))),
            "Resolved" => Some(Ok(self.only(false))),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::list(self.0.iter().map(|(_, value)| value.clone()).collect()))
    }
}

fn pairs(labels: &Labels) -> Value {
    Value::Object(Arc::new(LabelMap(labels.clone())))
}

/// A label map: names as members, and the field's methods.
#[derive(Debug)]
struct LabelMap(Labels);

impl LabelMap {
    /// `alertname` first, then by name.
    fn sorted(&self) -> Vec<(&str, &str)> {
        let mut sorted: Vec<(&str, &str)> = self.0.iter().collect();
        sorted.sort_by_key(|(name, _)| (*name != model::labels::ALERT_NAME, *name));
        sorted
    }
}

impl Object for LabelMap {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn member(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let texts = |part: fn((&str, &str)) -> Value| {
            Value::list(self.sorted().into_iter().map(part).collect())
        };
        match name {
            "SortedPairs" => Some(Ok(sorted_pairs(&self.sorted()))),
            "Names" => Some(Ok(texts(|(name, _)| Value::text(name)))),
            "Values" => Some(Ok(texts(|(_, value)| Value::text(value)))),
            "Remove" => Some(removed(&self.0, arguments)),
            key => Some(Ok(Value::text(self.0.get(key).unwrap_or("")))),
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::labels(&self.0))
    }
}

fn removed(labels: &Labels, arguments: &[Value]) -> Result<Value, String> {
    let [Value::List(names)] = arguments else {
        return Err("Remove needs a list of names".to_owned());
    };
    let gone = |name: &str| {
        names.items().iter().any(|own| own.as_text().is_some_and(|text| **text == *name))
    };
    Ok(pairs(&labels.filtered(|name| !gone(name))))
}

fn sorted_pairs(sorted: &[(&str, &str)]) -> Value {
    let pair = |(name, value): &(&str, &str)| {
        Value::record("template.Pair", vec![("Name", (*name).into()), ("Value", (*value).into())])
    };
    Value::Object(Arc::new(PairList {
        items: sorted.iter().map(pair).collect(),
        names: sorted.iter().map(|(name, _)| Value::text(*name)).collect(),
        values: sorted.iter().map(|(_, value)| Value::text(*value)).collect(),
    }))
}

/// A list of pairs with `.Names` and `.Values`.
#[derive(Debug)]
struct PairList {
    items: Vec<Value>,
    names: Vec<Value>,
    values: Vec<Value>,
}

impl Object for PairList {
    fn type_name(&self) -> &str {
        "template.Pairs"
    }

    fn member(&self, name: &str, _: &[Value]) -> Option<Result<Value, String>> {
        match name {
            "Names" => Some(Ok(Value::list(self.names.clone()))),
            "Values" => Some(Ok(Value::list(self.values.clone()))),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::list(self.items.clone()))
    }
}
