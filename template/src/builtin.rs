//! Go's built-in functions.
//!
//! Place in the flow: executor → **`builtin`**; what is not found here goes to the host's functions.
//!
//! Not here: `and` and `or`, which decide which arguments are evaluated (`execute`).

use std::cmp::Ordering;

use crate::alertmanager;
use crate::functions::Dialect;
use crate::print::{self, Sink};
use crate::prometheus;
use crate::value::Value;

/// All built-ins, those of the executor too.
const NAMES: [&str; 19] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print",
    "printf", "println", "html", "js", "urlquery", "call",
];

/// Whether a template of that dialect may call a function of that name.
pub(crate) fn is_known(dialect: Dialect, name: &str) -> bool {
    let own = match dialect {
        Dialect::Any => return true,
        Dialect::Prometheus => prometheus::NAMES.contains(&name),
        Dialect::Alertmanager => alertmanager::NAMES.contains(&name),
    };
    own || NAMES.contains(&name)
}

/// Calls a built-in; `None` when there is none of that name.
pub(crate) fn call(
    name: &str,
    arguments: &[Value],
    bytes_max: usize,
    html_mode: bool,
) -> Option<Result<Value, String>> {
    let mut sink = Sink::new(bytes_max);
    match name {
        "print" => print::print(&mut sink, arguments),
        "println" => print::println(&mut sink, arguments),
        "printf" => match arguments.split_first().map(|(format, rest)| (format.as_text(), rest)) {
            Some((Some(format), rest)) => print::printf(&mut sink, format, rest),
            Some((None, _)) => return Some(Err("the format must be a string".to_owned())),
            None => return Some(Err(wrong_count(1, 0))),
        },
        "html" | "js" | "urlquery" => {
            return Some(joined(arguments, bytes_max).map(|text| {
                let escaped = match name {
                    "html" => escape_html(&text),
                    "js" => escape_js(&text),
                    _ => query_escape(&text),
                };
                // Escaped once is enough: HTML mode takes it as it is.
                let safe = html_mode && name == "html";
                if safe { Value::SafeHtml(escaped.into()) } else { Value::text(escaped) }
            }));
        }
        _ => return call_on_values(name, arguments),
    }
    Some(sink.finish().map(Value::text))
}

fn call_on_values(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    Some(match (name, arguments) {
        ("not", [value]) => Ok(Value::Bool(!value.is_true())),
        ("len", [value]) => length(value),
        ("index", [container, keys @ ..]) => index(container, keys),
        ("slice", [container, bounds @ ..]) => slice(container, bounds),
        ("eq", [first, others @ ..]) => equal_to_any(first, others).map(Value::Bool),
        ("ne", [first, second]) => equal(first, second).map(|same| Value::Bool(!same)),
        ("lt" | "le" | "gt" | "ge", [first, second]) => order(first, second).map(|ordering| {
            Value::Bool(match (name, ordering) {
                (_, None) => false,
                ("lt", Some(ordering)) => ordering == Ordering::Less,
                ("le", Some(ordering)) => ordering != Ordering::Greater,
                ("gt", Some(ordering)) => ordering == Ordering::Greater,
                (_, Some(ordering)) => ordering != Ordering::Less,
            })
        }),
        ("call", [value, ..]) => Err(format!("non-function of type {}", value.type_name())),
        ("not" | "len" | "index" | "slice" | "eq" | "call", _) => {
            Err(wrong_count(1, arguments.len()))
        }
        ("ne" | "lt" | "le" | "gt" | "ge", _) => Err(wrong_count(2, arguments.len())),
        _ => return None,
    })
}

/// What to say when a function got too few or too many arguments.
pub(crate) fn wrong_count(wanted: usize, got: usize) -> String {
    format!("wrong number of args: want {wanted} got {got}")
}

fn joined(arguments: &[Value], bytes_max: usize) -> Result<String, String> {
    if let [Value::Text(text)] = arguments {
        return Ok(text.to_string());
    }
    let mut sink = Sink::new(bytes_max);
    print::print(&mut sink, arguments);
    sink.finish()
}

/// Go's `HTMLEscapeString`.
pub(crate) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(character),
        }
    }
    out
}

/// Go's `JSEscapeString`.
pub(crate) fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", character as u32)),
            _ if character.is_control() => out.push_str(&format!("\\u{:04X}", character as u32)),
            _ => out.push(character),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
pub(crate) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn length(value: &Value) -> Result<Value, String> {
    let count = match value.plain() {
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.entries().len(),
        Value::Null => return Err("len of nil pointer".to_owned()),
        other => match other.as_text() {
            Some(text) => text.len(),
            None => return Err(format!("len of type {}", other.type_name())),
        },
    };
    Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn whole(value: &Value) -> Result<usize, String> {
    match value {
        Value::Int(number) => {
            usize::try_from(*number).map_err(|_| format!("index out of range: {number}"))
        }
        Value::Null => Err("cannot index slice/array with nil".to_owned()),
        other => Err(format!("cannot index slice/array with type {}", other.type_name())),
    }
}

fn index(container: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = container.clone();
    for key in keys {
        value = match &value.plain() {
            Value::List(list) => {
                let position = whole(key)?;
                let out_of_range = || format!("index out of range: {position}");
                list.items().get(position).cloned().ok_or_else(out_of_range)?
            }
            Value::Map(map) => match (key.as_text(), key) {
                (Some(key), _) => map.get(key),
                (None, Value::Null) => return Err("value is nil; should be string".to_owned()),
                _ => return Err(format!("value has type {}; should be string", key.type_name())),
            },
            Value::Null => return Err("index of untyped nil".to_owned()),
            other => match other.as_text() {
                Some(text) => {
                    let position = whole(key)?;
                    let byte = text.as_bytes().get(position);
                    let out_of_range = || format!("index out of range: {position}");
                    Value::Int(i64::from(*byte.ok_or_else(out_of_range)?))
                }
                None => return Err(format!("can't index item of type {}", other.type_name())),
            },
        };
    }
    Ok(value)
}

fn slice(container: &Value, bounds: &[Value]) -> Result<Value, String> {
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    let plain = container.plain();
    let count = match &plain {
        Value::List(list) => list.items().len(),
        other => match other.as_text() {
            Some(_) if bounds.len() == 3 => return Err("cannot 3-index slice a string".to_owned()),
            Some(text) => text.len(),
            None => return Err(format!("can't slice item of type {}", other.type_name())),
        },
    };
    let start = bounds.first().map_or(Ok(0), whole)?;
    let end = bounds.get(1).map_or(Ok(count), whole)?;
    if end > count {
        return Err(format!("index out of range: {end}"));
    }
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    match &plain {
        Value::List(list) => Ok(Value::list(list.items()[start..end].to_vec())),
        other => {
            let bytes = other.as_text().map_or(&[][..], |text| &text.as_bytes()[start..end]);
            Ok(Value::text(String::from_utf8_lossy(bytes).into_owned()))
        }
    }
}

const INCOMPATIBLE: &str = "incompatible types for comparison";

fn equal_to_any(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    match (first.plain(), second.plain()) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (Value::Bool(one), Value::Bool(two)) => Ok(one == two),
        (Value::Time(one), Value::Time(two)) => Ok(one == two),
        (one, two) => order(&one, &two).map(|ordering| ordering == Some(Ordering::Equal)),
    }
}

/// `None` when one of them is not a number.
fn order(first: &Value, second: &Value) -> Result<Option<Ordering>, String> {
    match (first.plain(), second.plain()) {
        (Value::Int(one) | Value::DurationNs(one), Value::Int(two) | Value::DurationNs(two)) => {
            Ok(Some(one.cmp(&two)))
        }
        (Value::Float(one), Value::Float(two)) => Ok(one.partial_cmp(&two)),
        (one, two) => match (one.as_text(), two.as_text()) {
            (Some(one), Some(two)) => Ok(Some(one.cmp(two))),
            _ if comparable(&one) && comparable(&two) => Err(INCOMPATIBLE.to_owned()),
            _ => Err("invalid type for comparison".to_owned()),
        },
    }
}

fn comparable(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::DurationNs(_) | Value::Float(_))
        || value.as_text().is_some()
}
