//! Arguments of functions as the types they are needed in.
//!
//! Place in the flow: both dialects' functions read their arguments with these; the messages are
//! Go's.
//!
//! Not here: how many arguments a function takes (each dialect).

use std::sync::Arc;

use model::sample::parse_value;

use crate::value::Value;

/// A text, or why it is none.
pub(crate) fn text_of(value: &Value) -> Result<Arc<str>, String> {
    let text = value.as_text().cloned();
    text.ok_or_else(|| format!("wrong type for value; expected string; got {}", value.type_name()))
}

/// A number, or why it is none. A text is read as one, a span counts in seconds.
pub(crate) fn number_of(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::DurationNs(span) => Ok(*span as f64 / 1e9),
        _ => match value.as_text() {
            Some(text) => parse_value(text)
                .ok_or_else(|| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
            None => Err(format!("can't convert {} to float", value.type_name())),
        },
    }
}
