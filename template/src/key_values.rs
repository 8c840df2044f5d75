//! A label set with the methods that Alertmanager's templates know: `SortedPairs`, `Names`,
//! `Values`, `Remove`.
//!
//! Place in the flow: alertmanager builds its data with **`key_values`** → executor.
//!
//! Not here: the plain `map[string]string` of rule templates ([`Value::labels`]).

use std::sync::Arc;

use model::labels::{ALERT_NAME, Labels};

use crate::value::{Object, Value};

/// A label set with methods.
pub fn key_values(labels: &Labels) -> Value {
    Value::Object(Arc::new(KeyValues(labels.clone())))
}

#[derive(Debug)]
struct KeyValues(Labels);

impl Object for KeyValues {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn member(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let sorted = || SortedPairs(sorted(&self.0));
        match (name, arguments) {
            ("SortedPairs", []) => Some(Ok(Value::Object(Arc::new(sorted())))),
            ("Names" | "Values", []) => sorted().member(name, &[]),
            ("Remove", [names]) => Some(match names.plain() {
                Value::List(list) => {
                    let names: Vec<_> = list.items().iter().filter_map(Value::as_text).collect();
                    let keeps = |own: &str| !names.iter().any(|name| name.as_ref() == own);
                    Ok(key_values(&self.0.filtered(keeps)))
                }
                other => Err(format!("Remove needs a list of names, got {}", other.type_name())),
            }),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::labels(&self.0))
    }
}

/// By name, `alertname` first.
fn sorted(labels: &Labels) -> Vec<Pair> {
    let mut pairs: Vec<Pair> =
        labels.iter().map(|(name, value)| (name.into(), value.into())).collect();
    pairs.sort_by_key(|(name, _)| name.as_ref() != ALERT_NAME);
    pairs
}

type Pair = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct SortedPairs(Vec<Pair>);

impl Object for SortedPairs {
    fn type_name(&self) -> &str {
        "template.Pairs"
    }

    fn member(&self, name: &str, _: &[Value]) -> Option<Result<Value, String>> {
        let part = |take: fn(&Pair) -> &Arc<str>| {
            Value::list(self.0.iter().map(|pair| Value::Text(take(pair).clone())).collect())
        };
        match name {
            "Names" => Some(Ok(part(|pair| &pair.0))),
            "Values" => Some(Ok(part(|pair| &pair.1))),
            _ => None,
        }
    }

    fn underlying(&self) -> Option<Value> {
        let record = |(name, value): &Pair| {
            let fields =
                vec![("Name", Value::Text(name.clone())), ("Value", Value::Text(value.clone()))];
            Value::record("template.Pair", fields)
        };
        Some(Value::list(self.0.iter().map(record).collect()))
    }
}
