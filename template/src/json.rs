//! Values as JSON, the way Go's encoding/json writes them.
//!
//! Place in the flow: `toJson` and values in scripts → **`json`**.
//!
//! Not here: reading JSON.

use crate::clock_text;
use crate::number::{Shape, float};
use crate::print::Sink;
use crate::value::Value;

/// Encodes a value; `<`, `>` and `&` are escaped, as in Go.
pub(crate) fn encode(value: &Value, bytes_max: usize) -> Result<String, String> {
    let mut sink = Sink::new(bytes_max);
    write(&mut sink, value)?;
    sink.finish()
}

fn write(sink: &mut Sink, value: &Value) -> Result<(), String> {
    if sink.is_full() {
        return Ok(());
    }
    match value {
        Value::Null => sink.push("null"),
        Value::Bool(flag) => sink.push(if *flag { "true" } else { "false" }),
        Value::Int(number) | Value::DurationNs(number) => sink.push(&number.to_string()),
        Value::Float(number) if !number.is_finite() => {
            return Err(format!("json: unsupported value: {}", float(*number, Shape::Fixed, None)));
        }
        Value::Float(number) => sink.push(&json_number(*number)),
        Value::Text(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => string(sink, text),
        Value::Time(at) => {
            string(sink, &clock_text::layout(at, "2006-01-02T15:04:05.999999999Z07:00"));
        }
        Value::List(list) => {
            sink.push("[");
            for (index, item) in list.items().iter().enumerate() {
                if index > 0 {
                    sink.push(",");
                }
                write(sink, item)?;
            }
            sink.push("]");
        }
        Value::Map(map) => {
            let pairs = map.entries().iter().map(|(key, item)| (key.as_ref(), item));
            object(sink, pairs)?;
        }
        Value::Object(host) => match host.underlying() {
            Some(plain) => write(sink, &plain)?,
            None => {
                let fields = host.fields();
                object(sink, fields.iter().map(|(name, item)| (json_name(name), item)))?;
            }
        },
    }
    Ok(())
}

/// Alertmanager's data has lower-case names in JSON.
fn json_name(field: &str) -> &str {
    match field {
        "Status" => "status",
        "Labels" => "labels",
        "Annotations" => "annotations",
        "StartsAt" => "startsAt",
        "EndsAt" => "endsAt",
        "GeneratorURL" => "generatorURL",
        "Fingerprint" => "fingerprint",
        "Receiver" => "receiver",
        "Alerts" => "alerts",
        "GroupLabels" => "groupLabels",
        "CommonLabels" => "commonLabels",
        "CommonAnnotations" => "commonAnnotations",
        "ExternalURL" => "externalURL",
        other => other,
    }
}

fn object<'a>(
    sink: &mut Sink,
    pairs: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Result<(), String> {
    sink.push("{");
    for (index, (key, item)) in pairs.enumerate() {
        if index > 0 {
            sink.push(",");
        }
        string(sink, key);
        sink.push(":");
        write(sink, item)?;
    }
    sink.push("}");
    Ok(())
}

fn json_number(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // Go writes `1e-7`, not `1e-07`.
        return float(number, Shape::Exponent, None).replace("e-0", "e-");
    }
    float(number, Shape::Fixed, None)
}

fn string(sink: &mut Sink, text: &str) {
    sink.push("\"");
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '"' => sink.push("\\\""),
            '\\' => sink.push("\\\\"),
            '\n' => sink.push("\\n"),
            '\r' => sink.push("\\r"),
            '\t' => sink.push("\\t"),
            '\u{8}' => sink.push("\\b"),
            '\u{c}' => sink.push("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                sink.push(&format!("\\u{:04x}", character as u32));
            }
            _ if (character as u32) < 0x20 => sink.push(&format!("\\u{:04x}", character as u32)),
            _ => sink.push(character.encode_utf8(&mut buffer)),
        }
    }
    sink.push("\"");
}
