//! The functions of Prometheus' rule templates: a catalogue.
//!
//! Place in the flow: executor → **`prometheus`**; what needs the world asks [`World`].
//!
//! Not here: built-ins (`builtin`), running the queries (rules).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::duration::parse_duration_ms;
use model::labels::Labels;
use model::time::TimestampMs;

use crate::arguments::{number_of, text_of};
use crate::builtin::{query_escape, wrong_count};
use crate::functions::Functions;
use crate::humanize;
use crate::print;
use crate::value::{MissingKey, Value};
use crate::words;

/// The names that templates may call beyond the built-ins.
pub const NAMES: [&str; 31] = [
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "sortByLabel",
    "args",
    "tmpl",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "parseDuration",
    "title",
    "toUpper",
    "toLower",
    "match",
    "reReplaceAll",
    "stripPort",
    "stripDomain",
    "graphLink",
    "tableLink",
    "urlQueryEscape",
    "safeHtml",
    "externalURL",
    "pathPrefix",
    "safeUrl",
];

/// Longest text that a function makes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// What rule templates may ask of the world.
pub trait World: Send + Sync {
    /// The answer of an instant query as samples.
    fn query(&self, expression: &str) -> Result<Vec<(Labels, f64)>, String>;

    /// The instant of the evaluation.
    fn now(&self) -> TimestampMs;

    /// Where people reach this server, without a slash at the end.
    fn external_url(&self) -> &str;
}

/// All functions over a world.
pub struct PrometheusFunctions<'a>(pub &'a dyn World);

impl Functions for PrometheusFunctions<'_> {
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        match (name, arguments) {
            ("query", [expression]) => Some(text_of(expression).and_then(|expression| {
                let samples = self.0.query(&expression)?;
                Ok(Value::list(
                    samples.iter().map(|(labels, value)| sample(labels, *value)).collect(),
                ))
            })),
            ("now", []) => Some(Ok(Value::Float(self.0.now().seconds()))),
            ("externalURL", []) => Some(Ok(Value::text(self.0.external_url()))),
            ("pathPrefix", []) => Some(Ok(Value::text(path_of(self.0.external_url())))),
            ("query", _) => Some(Err(wrong_count(1, arguments.len()))),
            ("now" | "externalURL" | "pathPrefix", _) => Some(Err(wrong_count(0, arguments.len()))),
            _ => pure(name, arguments),
        }
    }
}

/// A sample as `query` returns it.
pub fn sample(labels: &Labels, value: f64) -> Value {
    let fields = vec![("Labels", Value::labels(labels)), ("Value", Value::Float(value))];
    Value::record("*template.sample", fields)
}

fn path_of(external_url: &str) -> String {
    let path = url::Url::parse(external_url).map(|url| url.path().to_owned()).unwrap_or_default();
    path.trim_end_matches('/').to_owned()
}

fn pure(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let wanted = match name {
        "sortByLabel" | "label" | "match" => 2,
        "reReplaceAll" => 3,
        "args" => return Some(Ok(numbered(arguments))),
        _ if NAMES.contains(&name) => 1,
        _ => return None,
    };
    if arguments.len() != wanted {
        return Some(Err(wrong_count(wanted, arguments.len())));
    }
    Some(match name {
        "first" | "label" | "value" | "strvalue" | "sortByLabel" => of_samples(name, arguments),
        _ => of_scalars(name, arguments),
    })
}

/// `args`: a map `arg0`, `arg1` … for templates with several arguments.
fn numbered(arguments: &[Value]) -> Value {
    let entries: BTreeMap<Arc<str>, Value> = arguments
        .iter()
        .enumerate()
        .map(|(index, value)| (Arc::from(format!("arg{index}")), value.clone()))
        .collect();
    Value::map(entries, MissingKey::Null)
}

fn of_samples(name: &str, arguments: &[Value]) -> Result<Value, String> {
    match (name, arguments) {
        ("first", [Value::List(list)]) => match list.items().first() {
            Some(first) => Ok(first.clone()),
            None => Err("first() called on vector with no elements".to_owned()),
        },
        ("label", [label, sample]) => label_of(sample, &text_of(label)?),
        ("strvalue", [sample]) => label_of(sample, "__value__"),
        ("value", [Value::Object(sample)]) => {
            sample.member("Value", &[]).unwrap_or_else(|| Err("no sample".to_owned()))
        }
        ("sortByLabel", [label, Value::List(list)]) => {
            let label = text_of(label)?;
            let key = |item: &Value| {
                let text = label_of(item, &label).ok();
                text.and_then(|text| text.as_text().cloned()).unwrap_or_default()
            };
            let mut items = list.items().to_vec();
            items.sort_by_cached_key(key);
            Ok(Value::list(items))
        }
        _ => Err("wrong type of argument: needs samples of a query".to_owned()),
    }
}

fn label_of(sample: &Value, label: &str) -> Result<Value, String> {
    let Value::Object(object) = sample else {
        return Err(format!("wrong type: needs a sample, got {}", sample.type_name()));
    };
    match object.member("Labels", &[]) {
        Some(Ok(Value::Map(labels))) => Ok(labels.get(label)),
        _ => Err("wrong type: needs a sample".to_owned()),
    }
}

fn of_scalars(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let first = &arguments[0];
    let text = |made: String| Ok(Value::text(made));
    match name {
        "humanize" => text(humanize::metric(number_of(first)?)),
        "humanize1024" => text(humanize::binary(number_of(first)?)),
        "humanizeDuration" => text(humanize::duration(number_of(first)?)),
        "humanizePercentage" => text(humanize::percentage(number_of(first)?)),
        "humanizeTimestamp" => text(humanize::timestamp(number_of(first)?)?),
        "toTime" => to_time(number_of(first)?),
        "toDuration" => {
            let nanoseconds = number_of(first)? * 1e9;
            Ok(Value::DurationNs(nanoseconds as i64))
        }
        "parseDuration" => {
            let given = text_of(first)?;
            let span_ms = parse_duration_ms(&given)
                .ok_or_else(|| format!("not a valid duration string: {given:?}"))?;
            Ok(Value::Float(span_ms as f64 / 1000.0))
        }
        "title" => text(words::title(&text_of(first)?)),
        "toUpper" => text(text_of(first)?.to_uppercase()),
        "toLower" => text(text_of(first)?.to_lowercase()),
        "match" => {
            let pattern = words::pattern(&text_of(first)?)?;
            Ok(Value::Bool(pattern.is_match(&text_of(&arguments[1])?)))
        }
        "reReplaceAll" => {
            let (replacement, given) = (text_of(&arguments[1])?, text_of(&arguments[2])?);
            text(words::replace_all(&text_of(first)?, &replacement, &given, TEXT_BYTES_MAX)?)
        }
        "stripPort" => text(strip_port(&text_of(first)?)),
        "stripDomain" => text(strip_domain(&text_of(first)?)),
        "graphLink" => text(link(&text_of(first)?, 0)),
        "tableLink" => text(link(&text_of(first)?, 1)),
        "urlQueryEscape" => text(query_escape(&text_of(first)?)),
        "safeHtml" => Ok(Value::SafeHtml(text_of(first)?)),
        "safeUrl" => Ok(Value::SafeUrl(text_of(first)?)),
        _ => Err(format!("function {name:?} not defined")),
    }
}

/// The page of an expression, below the external URL: tab 0 is the graph, tab 1 the table.
pub fn link(expression: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query_escape(expression))
}

fn to_time(seconds: f64) -> Result<Value, String> {
    let at = humanize::instant(seconds).ok_or_else(|| {
        let shown = print::value_text(&Value::Float(seconds), 64).unwrap_or_default();
        format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64")
    })?;
    Ok(Value::Time(at.to_zoned(jiff::tz::TimeZone::UTC)))
}

/// `host:port` → `host`, `[::1]:80` → `::1`; anything else as it is.
fn strip_port(host_port: &str) -> String {
    if let Some((host, tail)) = host_port.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match tail.strip_prefix(':') {
            Some(_) => host.to_owned(),
            None => host_port.to_owned(),
        };
    }
    match host_port.split_once(':') {
        Some((host, port)) if !port.contains(':') => host.to_owned(),
        _ => host_port.to_owned(),
    }
}

/// The first name of a host, with its port; addresses stay whole.
fn strip_domain(host_port: &str) -> String {
    let host = strip_port(host_port);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host_port.to_owned();
    }
    let first = host.split('.').next().unwrap_or("").to_owned();
    match host_port.strip_prefix(host.as_str()).and_then(|tail| tail.strip_prefix(':')) {
        Some(port) => format!("{first}:{port}"),
        None => first,
    }
}
