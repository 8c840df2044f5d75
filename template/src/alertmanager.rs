//! The functions of Alertmanager's notification templates: a catalogue.
//!
//! Place in the flow: executor → **`alertmanager`**.
//!
//! Not here: built-ins (`builtin`), the data of a message (the alertmanager room).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::time::TimestampMs;

use crate::arguments::{number_of, text_of};
use crate::base64;
use crate::builtin::wrong_count;
use crate::clock_text;
use crate::functions::Functions;
use crate::humanize;
use crate::json;
use crate::value::{MissingKey, Value};
use crate::words;

/// The names that templates may call beyond the built-ins.
pub const NAMES: [&str; 26] = [
    "toUpper",
    "toLower",
    "title",
    "trimSpace",
    "join",
    "match",
    "safeHtml",
    "safeUrl",
    "urlUnescape",
    "reReplaceAll",
    "stringSlice",
    "routeLabels",
    "date",
    "tz",
    "now",
    "since",
    "humanizeDuration",
    "toDate",
    "mustToDate",
    "toJson",
    "base64encode",
    "base64decode",
    "list",
    "append",
    "dict",
    "tmpl",
];

/// Longest text that a function makes.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// All functions at an instant.
#[derive(Debug, Clone)]
pub struct AlertmanagerFunctions {
    /// What `now` and `since` count from.
    pub now: TimestampMs,
    /// The labels of the route that the message came by, for `routeLabels`.
    pub route_labels: Value,
}

impl Functions for AlertmanagerFunctions {
    fn call(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        match (name, arguments) {
            ("now", []) => Some(Ok(Value::time(self.now))),
            ("routeLabels", []) => Some(Ok(self.route_labels.clone())),
            ("since", [Value::Time(at)]) => {
                let now_ns = i128::from(self.now.0) * 1_000_000;
                let span = now_ns - at.timestamp().as_nanosecond();
                let limit = if span < 0 { i64::MIN } else { i64::MAX };
                Some(Ok(Value::DurationNs(i64::try_from(span).unwrap_or(limit))))
            }
            ("since", _) => Some(Err("since needs a time".to_owned())),
            _ => pure(name, arguments),
        }
    }
}

fn pure(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let result = match (name, arguments) {
        ("list" | "stringSlice", items) => Ok(Value::list(items.to_vec())),
        ("append", [list, items @ ..]) => append(list, items),
        ("dict", pairs) => dict(pairs),
        ("join", [separator, list]) => join(separator, list),
        ("toJson", [value]) => json::encode(value, TEXT_BYTES_MAX).map(Value::text),
        ("humanizeDuration", [value]) => number_of(value).map(humanize::duration).map(Value::text),
        ("date", [layout, Value::Time(at)]) => {
            text_of(layout).map(|layout| Value::text(clock_text::layout(at, &layout)))
        }
        ("tz", [zone, Value::Time(at)]) => text_of(zone).and_then(|zone| {
            let zone = match zone.as_ref() {
                "" | "UTC" => TimeZone::UTC,
                name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
            };
            Ok(Value::Time(at.with_time_zone(zone)))
        }),
        ("toDate", [layout, text]) => to_date(layout, text).or_else(|_| {
            // A text that is no date is Go's zero time.
            let zero = Date::constant(1, 1, 1).to_zoned(TimeZone::UTC);
            zero.map(Value::Time).map_err(|error| error.to_string())
        }),
        ("mustToDate", [layout, text]) => to_date(layout, text),
        ("match", [pattern, text]) => text_of(pattern).and_then(|pattern| {
            Ok(Value::Bool(words::pattern(&pattern)?.is_match(&text_of(text)?)))
        }),
        ("reReplaceAll", [pattern, replacement, text]) => text_of(pattern).and_then(|pattern| {
            let (replacement, text) = (text_of(replacement)?, text_of(text)?);
            words::replace_all(&pattern, &replacement, &text, TEXT_BYTES_MAX).map(Value::text)
        }),
        (_, [text]) if NAMES.contains(&name) => text_of(text).and_then(|text| of_text(name, &text)),
        _ if NAMES.contains(&name) => Err(wrong_count(1, arguments.len())),
        _ => return None,
    };
    Some(result)
}

fn of_text(name: &str, text: &Arc<str>) -> Result<Value, String> {
    Ok(match name {
        "toUpper" => Value::text(text.to_uppercase()),
        "toLower" => Value::text(text.to_lowercase()),
        "title" => Value::text(words::title_lowering(text)),
        "trimSpace" => Value::text(text.trim()),
        "safeHtml" => Value::SafeHtml(text.clone()),
        "safeUrl" => Value::SafeUrl(text.clone()),
        "urlUnescape" => Value::text(url_unescape(text)?),
        "base64encode" => Value::text(base64::encode(text.as_bytes())),
        "base64decode" => Value::text(base64::decode(text)?),
        _ => return Err(format!("wrong arguments for {name}")),
    })
}

fn append(list: &Value, items: &[Value]) -> Result<Value, String> {
    match list.plain() {
        Value::List(own) => Ok(Value::list(own.items().iter().chain(items).cloned().collect())),
        Value::Null => Ok(Value::list(items.to_vec())),
        other => Err(format!("append needs a list, got {}", other.type_name())),
    }
}

fn dict(pairs: &[Value]) -> Result<Value, String> {
    if !pairs.len().is_multiple_of(2) {
        return Err("invalid dict call: odd number of arguments".to_owned());
    }
    let mut entries: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    for pair in pairs.chunks_exact(2) {
        let key = pair[0].as_text().ok_or("dict keys must be strings")?;
        entries.insert(key.clone(), pair[1].clone());
    }
    Ok(Value::map(entries, MissingKey::Null))
}

fn join(separator: &Value, list: &Value) -> Result<Value, String> {
    let separator = text_of(separator)?;
    let Value::List(list) = list.plain() else {
        return Err(format!("join needs a list of strings, got {}", list.type_name()));
    };
    let mut out = String::new();
    for (index, item) in list.items().iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(&text_of(item)?);
        if out.len() > TEXT_BYTES_MAX {
            return Err(format!("output is larger than {TEXT_BYTES_MAX} bytes"));
        }
    }
    Ok(Value::text(out))
}

fn url_unescape(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = text.get(index + 1..index + 3);
                let byte = digits
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let shown = text.get(index..index + 3).unwrap_or("%");
                out.push(byte.ok_or_else(|| format!("invalid URL escape {shown:?}"))?);
                index += 2;
            }
            byte => out.push(byte),
        }
        index += 1;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// Reads a date or an instant after the common Go layouts.
fn to_date(layout: &Value, text: &Value) -> Result<Value, String> {
    let (layout, text) = (text_of(layout)?, text_of(text)?);
    let bad = || format!("parsing time {text:?} as {layout:?}: cannot parse");
    if layout.as_ref() == "2006-01-02T15:04:05Z07:00" {
        let at: Timestamp = text.parse().map_err(|_| bad())?;
        return Ok(Value::Time(at.to_zoned(TimeZone::UTC)));
    }
    let format = strptime_format(&layout).ok_or_else(bad)?;
    let mut parsed = jiff::fmt::strtime::parse(&format, text.as_ref()).map_err(|_| bad())?;
    if parsed.hour().is_none() {
        parsed.set_hour(Some(0)).map_err(|_| bad())?;
    }
    if parsed.offset().is_some() {
        let zoned = parsed.to_zoned().map_err(|_| bad())?;
        return Ok(Value::Time(zoned));
    }
    let civil = parsed.to_datetime().map_err(|_| bad())?;
    civil.to_zoned(TimeZone::UTC).map(Value::Time).map_err(|_| bad())
}

/// Go's layout pieces as conversion specifiers; `None` for a layout that has no equal.
fn strptime_format(layout: &str) -> Option<String> {
    const PIECES: [(&str, &str); 17] = [
        ("January", "%B"),
        ("Jan", "%b"),
        ("Monday", "%A"),
        ("Mon", "%a"),
        ("2006", "%Y"),
        ("01", "%m"),
        ("02", "%d"),
        ("15", "%H"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("PM", "%p"),
        ("-07:00", "%:z"),
        ("-0700", "%z"),
        ("_2", "%e"),
        ("1", "%m"),
        ("2", "%d"),
    ];
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((piece, specifier)) = PIECES.iter().find(|(piece, _)| rest.starts_with(piece)) {
            out.push_str(specifier);
            rest = &rest[piece.len()..];
            continue;
        }
        if first.is_ascii_digit() {
            return None;
        }
        out.push_str(if first == '%' { "%%" } else { &rest[..first.len_utf8()] });
        rest = &rest[first.len_utf8()..];
    }
    Some(out)
}
