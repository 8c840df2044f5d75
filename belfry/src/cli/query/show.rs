//! Answers of the API as text, JSON, tables.
//!
//! Place in the flow: `data` of an answer → **here** → standard output.
//!
//! The forms `promql` and `json` are promtool's to the byte, its order of series included: a matrix
//! as text is sorted by the number of labels first, everything else keeps the server's order.

use std::cmp::Ordering;

use model::TimestampMs;
use serde_json::{Map, Value};

use super::Format;
use crate::cli::output::{json_text, plain_number, quoted, table};
use crate::cli::times;

/// The value of an expression.
pub fn value(data: &Value, format: Format) -> String {
    let result = &data["result"];
    let list = result.as_array().map(Vec::as_slice).unwrap_or_default();
    match (data["resultType"].as_str().unwrap_or_default(), format) {
        ("scalar", Format::Promql) => format!("scalar: {}", point(result)),
        ("string", Format::Promql) => text_of(&result[1]).to_owned(),
        ("scalar" | "string", Format::Json) => pair_json(result),
        ("scalar" | "string", Format::Table) => {
            let row = vec![text_of(&result[1]).to_owned(), time_of(&result[0])];
            table(&[head(&["VALUE", "TIME"]), row])
        }
        ("vector", Format::Promql) => {
            let line = |one: &Value| {
                let metric = metric_text(&one["metric"]);
                match one.get("histogram") {
                    Some(pair) => format!("{metric} => {}", histogram_point(pair)),
                    None => format!("{metric} => {}", point(&one["value"])),
                }
            };
            lines(list.iter().map(line))
        }
        ("matrix", Format::Promql) => {
            let mut sorted: Vec<&Value> = list.iter().collect();
            sorted.sort_by(|one, other| before(&one["metric"], &other["metric"]));
            lines(sorted.into_iter().map(stream_text))
        }
        (_, Format::Json) => list_json(list.iter().map(series_json)),
        (_, _) => value_table(list),
    }
}

/// Label sets.
pub fn series(data: &Value, format: Format) -> String {
    let list = data.as_array().map(Vec::as_slice).unwrap_or_default();
    match format {
        Format::Promql => lines(list.iter().map(labels_text)),
        Format::Json => list_json(list.iter().map(labels_json)),
        Format::Table => {
            let mut names: Vec<&String> =
                list.iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
            names.sort();
            names.dedup();
            let mut rows = vec![names.iter().map(|name| (*name).clone()).collect()];
            let row = |one: &Value| {
                names.iter().map(|name| text_of(&one[name.as_str()]).to_owned()).collect()
            };
            rows.extend(list.iter().map(row));
            table(&rows)
        }
    }
}

/// Values of a label.
pub fn words(data: &Value, format: Format) -> String {
    let list = data.as_array().map(Vec::as_slice).unwrap_or_default();
    match format {
        Format::Promql | Format::Table => lines(list.iter().map(|word| text_of(word).to_owned())),
        Format::Json => list_json(list.iter().map(|word| json_text(text_of(word)))),
    }
}

/// Columns and rows of a SQL answer.
pub fn rows(data: &Value, format: Format) -> String {
    if format == Format::Json {
        return data.to_string();
    }
    let names = data["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all = vec![names.iter().map(|column| text_of(&column["name"]).to_owned()).collect()];
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for row in data["rows"].as_array().map(Vec::as_slice).unwrap_or_default() {
        all.push(row.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(cell).collect());
    }
    table(&all)
}

fn value_table(list: &[Value]) -> String {
    let mut rows = vec![head(&["SERIES", "VALUE", "TIME"])];
    for one in list {
        let metric = metric_text(&one["metric"]);
        let single = [one.get("value"), one.get("histogram")].into_iter().flatten();
        let many = ["values", "histograms"].map(|key| one[key].as_array());
        for pair in single.chain(many.into_iter().flatten().flatten()) {
            let shown = match &pair[1] {
                Value::Object(_) => histogram_text(&pair[1]),
                value => number_text(value),
            };
            rows.push(vec![metric.clone(), shown, time_of(&pair[0])]);
        }
    }
    table(&rows)
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn lines(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("\n")
}

fn list_json(all: impl Iterator<Item = String>) -> String {
    format!("[{}]", all.collect::<Vec<_>>().join(","))
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn ms_of(value: &Value) -> TimestampMs {
    TimestampMs((value.as_f64().unwrap_or_default() * 1000.0).round() as i64)
}

fn time_of(value: &Value) -> String {
    times::civil(ms_of(value))
}

/// The value of a pair without an exponent.
fn number_text(value: &Value) -> String {
    let text = text_of(value);
    text.parse().map_or_else(|_| text.to_owned(), plain_number)
}

/// `value @[seconds]`.
fn point(pair: &Value) -> String {
    format!("{} @[{}]", number_text(&pair[1]), times::seconds(ms_of(&pair[0])))
}

fn histogram_point(pair: &Value) -> String {
    format!("{} @[{}]", histogram_text(&pair[1]), times::seconds(ms_of(&pair[0])))
}

fn stream_text(one: &Value) -> String {
    let mut all = vec![format!("{} =>", metric_text(&one["metric"]))];
    let list = |key: &str| one[key].as_array().map(Vec::as_slice).unwrap_or_default();
    all.extend(list("values").iter().map(point));
    all.extend(list("histograms").iter().map(histogram_point));
    all.join("\n")
}

/// `Count: 3.000000, Sum: 7.000000, Buckets: [(1,2]:1 (2,4]:2]`.
fn histogram_text(histogram: &Value) -> String {
    let number = |value: &Value| text_of(value).parse::<f64>().unwrap_or(f64::NAN);
    let fixed =
        |value: f64| if value.is_finite() { format!("{value:.6}") } else { plain_number(value) };
    let buckets = histogram["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bucket = |own: &Value| {
        let rule = own[0].as_u64().unwrap_or_default();
        let left = if matches!(rule, 1 | 3) { '[' } else { '(' };
        let right = if matches!(rule, 0 | 3) { ']' } else { ')' };
        let bound = |value: &Value| model::sample::format_value(number(value));
        format!("{left}{},{}{right}:{}", bound(&own[1]), bound(&own[2]), number_text(&own[3]))
    };
    let buckets: Vec<String> = buckets.iter().map(bucket).collect();
    let (count, sum) = (number(&histogram["count"]), number(&histogram["sum"]));
    format!("Count: {}, Sum: {}, Buckets: [{}]", fixed(count), fixed(sum), buckets.join(" "))
}

/// Labels as `name="value"`, sorted as texts.
fn label_texts(labels: &Value, keep: impl Fn(&str) -> bool) -> Vec<String> {
    let pairs = labels.as_object().into_iter().flatten().filter(|(name, _)| keep(name));
    let mut texts: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", quoted(text_of(value)))).collect();
    texts.sort();
    texts
}

/// `name{label="value"}`.
fn metric_text(labels: &Value) -> String {
    let name = text_of(&labels["__name__"]);
    let texts = label_texts(labels, |name| name != "__name__");
    match (name, texts.len()) {
        ("", 0) => "{}".to_owned(),
        (name, 0) => name.to_owned(),
        (name, _) => format!("{name}{{{}}}", texts.join(", ")),
    }
}

fn labels_text(labels: &Value) -> String {
    format!("{{{}}}", label_texts(labels, |_| true).join(", "))
}

/// Fewer labels first, then label by label.
fn before(one: &Value, other: &Value) -> Ordering {
    let empty = Map::new();
    let (one, other) = (one.as_object().unwrap_or(&empty), other.as_object().unwrap_or(&empty));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    let by_name = names.into_iter().map(|name| match (one.get(name), other.get(name)) {
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (own, its) => own.and_then(Value::as_str).cmp(&its.and_then(Value::as_str)),
    });
    one.len().cmp(&other.len()).then_with(|| by_name.fold(Ordering::Equal, Ordering::then))
}

fn labels_json(labels: &Value) -> String {
    let mut pairs: Vec<(&String, &Value)> = labels.as_object().into_iter().flatten().collect();
    pairs.sort_by_key(|(name, _)| *name);
    let text = |(name, value): (&String, &Value)| {
        format!("{}:{}", json_text(name), json_text(text_of(value)))
    };
    format!("{{{}}}", pairs.into_iter().map(text).collect::<Vec<_>>().join(","))
}

fn pair_json(pair: &Value) -> String {
    let at = times::seconds(ms_of(&pair[0]));
    match &pair[1] {
        Value::Object(_) => format!("[{at},{}]", histogram_json(&pair[1])),
        value => format!("[{at},{}]", json_text(&number_text(value))),
    }
}

fn histogram_json(histogram: &Value) -> String {
    let number = |value: &Value| json_text(&number_text(value));
    let buckets = histogram["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bucket = |own: &Value| {
        format!("[{},{},{},{}]", own[0], number(&own[1]), number(&own[2]), number(&own[3]))
    };
    format!(
        "{{\"count\":{},\"sum\":{},\"buckets\":{}}}",
        number(&histogram["count"]),
        number(&histogram["sum"]),
        list_json(buckets.iter().map(bucket))
    )
}

fn series_json(one: &Value) -> String {
    let mut parts = vec![format!("\"metric\":{}", labels_json(&one["metric"]))];
    for key in ["value", "histogram"] {
        if let Some(pair) = one.get(key) {
            parts.push(format!("\"{key}\":{}", pair_json(pair)));
        }
    }
    for key in ["values", "histograms"] {
        if let Some(pairs) = one[key].as_array() {
            parts.push(format!("\"{key}\":{}", list_json(pairs.iter().map(pair_json))));
        }
    }
    format!("{{{}}}", parts.join(","))
}
