//! The door to the query engine.
//!
//! Place in the flow: groups → **`Evaluate::instant`** → the engine, with the priority of rules.
//!
//! Not here: the engine, deadlines of queries (query).

use std::sync::Arc;

use model::{BoxFuture, Histogram, Labels, TimestampMs};
use query::QueryOptions;

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose value; empty for a scalar.
    pub labels: Labels,
    /// The value; 0 when it is a histogram, as upstream has it.
    pub value: f64,
    /// The native histogram, if it is one.
    pub histogram: Option<Arc<Histogram>>,
}

impl Row {
    /// A number.
    pub fn number(labels: Labels, value: f64) -> Row {
        Row { labels, value, histogram: None }
    }
}

/// Answers instant queries.
pub trait Evaluate: Send + Sync + 'static {
    /// The rows of an expression at an instant; a scalar is one row without labels.
    fn instant<'a>(
        &'a self,
        expression: &'a str,
        at: TimestampMs,
    ) -> BoxFuture<'a, Result<Vec<Row>, String>>;
}

impl Evaluate for query::Engine {
    fn instant<'a>(
        &'a self,
        expression: &'a str,
        at: TimestampMs,
    ) -> BoxFuture<'a, Result<Vec<Row>, String>> {
        Box::pin(async move {
            let options = QueryOptions::rule();
            let answer = query::Engine::instant(self, expression, at, &options)
                .await
                .map_err(|error| error.to_string())?;
            match answer.value {
                query::Value::Vector(samples) => Ok(samples
                    .into_iter()
                    .map(|sample| Row {
                        labels: sample.labels,
                        value: if sample.histogram.is_some() { 0.0 } else { sample.value },
                        histogram: sample.histogram,
                    })
                    .collect()),
                query::Value::Scalar { value, .. } => Ok(vec![Row::number(Labels::empty(), value)]),
                other => Err(format!("rule result is not a vector or scalar but {}", other.kind())),
            }
        })
    }
}
