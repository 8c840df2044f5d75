//! What a template computes with, and the door for host objects.
//!
//! Place in the flow: rules and alertmanager build **`Value`s** → `execute` → text.
//!
//! The kinds are those that Go programs hand to their templates, so that printing, comparing and
//! truth can follow Go's rules. A container knows its own depth: a template that nests lists in a
//! loop meets a limit instead of the end of the stack.
//!
//! Not here: how values print (`print`), what functions do with them (`builtin`, the catalogues).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Zoned;
use jiff::tz::TimeZone;
use model::labels::Labels;
use model::time::TimestampMs;

/// Deepest nesting of lists and maps that a template may build.
pub const NESTING_MAX: u16 = 32;

/// One value.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Go's nil, and what a missing key of a `map[string]any` yields: `<no value>`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number (Go's int; a character is one too).
    Int(i64),
    /// A float64.
    Float(f64),
    /// A string.
    Text(Arc<str>),
    /// HTML that the author vouches for: it passes the HTML mode unescaped.
    SafeHtml(Arc<str>),
    /// A URL that the author vouches for: its scheme is not looked at.
    SafeUrl(Arc<str>),
    /// A list.
    List(Arc<List>),
    /// A map with text keys, in order of the keys.
    Map(Arc<Map>),
    /// An object of the host: fields and methods.
    Object(Arc<dyn Object>),
    /// An instant in a time zone.
    Time(Zoned),
    /// A span of time in nanoseconds, as Go's `time.Duration`.
    DurationNs(i64),
}

/// The items of a list.
#[derive(Debug)]
pub struct List {
    items: Vec<Value>,
    depth: u16,
}

impl List {
    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

/// What a key that is not there yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// The empty text, as in a `map[string]string`.
    EmptyText,
    /// Nil, as in a `map[string]any`.
    Null,
}

/// The entries of a map.
#[derive(Debug)]
pub struct Map {
    entries: BTreeMap<Arc<str>, Value>,
    missing: MissingKey,
    depth: u16,
}

impl Map {
    /// The entries in order of their keys.
    pub fn entries(&self) -> &BTreeMap<Arc<str>, Value> {
        &self.entries
    }

    /// What a key that is not there yields.
    pub fn missing(&self) -> MissingKey {
        self.missing
    }

    /// The value under a key, or what a missing key yields.
    pub fn get(&self, key: &str) -> Value {
        match (self.entries.get(key), self.missing) {
            (Some(value), _) => value.clone(),
            (None, MissingKey::EmptyText) => Value::text(""),
            (None, MissingKey::Null) => Value::Null,
        }
    }
}

/// Something of the host's with fields and methods: an alert, a list with methods, a label set.
pub trait Object: fmt::Debug + Send + Sync {
    /// The type's name for error texts and `%T`.
    fn type_name(&self) -> &str;

    /// A field or a method: `{{ .Name }}` comes without arguments, `{{ .Remove list }}` with them.
    /// `None` when there is no such field.
    fn member(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>>;

    /// The list, map or text that it behaves as when it is printed, measured, indexed or ranged
    /// over. `None` for a plain struct that [`Object::fields`] describes.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// The fields in order, for printing a plain struct as `{a b}`.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// A list.
    pub fn list(items: Vec<Value>) -> Value {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        Value::List(Arc::new(List { items, depth }))
    }

    /// A map.
    pub fn map(entries: BTreeMap<Arc<str>, Value>, missing: MissingKey) -> Value {
        let depth = 1 + entries.values().map(Value::depth).max().unwrap_or(0);
        Value::Map(Arc::new(Map { entries, missing, depth }))
    }

    /// A `map[string]string` from pairs.
    pub fn text_map<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Value {
        let entries = pairs
            .into_iter()
            .map(|(key, value)| (Arc::from(key.as_ref()), Value::text(value.as_ref())))
            .collect();
        Value::map(entries, MissingKey::EmptyText)
    }

    /// A label set as a `map[string]string`.
    pub fn labels(labels: &Labels) -> Value {
        Value::text_map(labels.iter())
    }

    /// A struct with named fields.
    pub fn record(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
        Value::Object(Arc::new(Record { type_name, fields }))
    }

    /// An instant, in UTC.
    pub fn time(at: TimestampMs) -> Value {
        let instant = jiff::Timestamp::from_millisecond(at.0).unwrap_or(if at.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        Value::Time(instant.to_zoned(TimeZone::UTC))
    }

    /// How deep lists and maps are nested in it.
    pub(crate) fn depth(&self) -> u16 {
        match self {
            Value::List(list) => list.depth,
            Value::Map(map) => map.depth,
            _ => 0,
        }
    }

    /// The value that an object behaves as; any other value is itself.
    pub fn plain(&self) -> Value {
        match self {
            Value::Object(object) => object.underlying().unwrap_or_else(|| self.clone()),
            _ => self.clone(),
        }
    }

    /// The text of a text value, however it is marked.
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match self {
            Value::Text(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => Some(text),
            _ => None,
        }
    }

    /// Go's truth: false, zero, nil and what is empty are false.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(flag) => *flag,
            Value::Int(number) | Value::DurationNs(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) | Value::SafeHtml(text) | Value::SafeUrl(text) => !text.is_empty(),
            Value::List(list) => !list.items.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            Value::Time(_) => true,
            Value::Object(object) => object.underlying().is_none_or(|plain| plain.is_true()),
        }
    }

    /// The name of its type as `%T` writes it.
    pub fn type_name(&self) -> String {
        match self {
            Value::Null => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::SafeHtml(_) => "template.HTML",
            Value::SafeUrl(_) => "template.URL",
            Value::List(list) if all_texts(&list.items) => "[]string",
            Value::List(_) => "[]interface {}",
            Value::Map(map) => match map.missing {
                MissingKey::EmptyText => "map[string]string",
                MissingKey::Null => "map[string]interface {}",
            },
            Value::Time(_) => "time.Time",
            Value::DurationNs(_) => "time.Duration",
            Value::Object(object) => object.type_name(),
        }
        .to_owned()
    }
}

fn all_texts(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| matches!(item, Value::Text(_)))
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

/// A struct whose fields are known when it is made.
#[derive(Debug)]
struct Record {
    type_name: &'static str,
    fields: Vec<(&'static str, Value)>,
}

impl Object for Record {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn member(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let (_, value) = self.fields.iter().find(|(own, _)| *own == name)?;
        if !arguments.is_empty() {
            return Some(Err(format!("{name} has arguments but cannot be invoked as function")));
        }
        Some(Ok(value.clone()))
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.fields.clone()
    }
}
