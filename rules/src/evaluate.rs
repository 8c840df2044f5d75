//! The door to the query engine.
//!
//! Place in the flow: groups → **`Evaluate::instant`** → the engine, with the priority of rules.
//!
//! Not here: the engine, deadlines of queries (query).

use model::{BoxFuture, Labels, TimestampMs};
use query::QueryOptions;

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Whose value; empty for a scalar.
    pub labels: Labels,
    /// The value.
    pub value: f64,
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
                query::Value::Vector(samples)
                    if samples.iter().any(|sample| sample.histogram.is_some()) =>
                {
                    Err("rule result holds native histograms, which are not stored yet".to_owned())
                }
                query::Value::Vector(samples) => Ok(samples
                    .into_iter()
                    .map(|sample| Row { labels: sample.labels, value: sample.value })
                    .collect()),
                query::Value::Scalar { value, .. } => {
                    Ok(vec![Row { labels: Labels::empty(), value }])
                }
                other => Err(format!("rule result is not a vector or scalar but {}", other.kind())),
            }
        })
    }
}
