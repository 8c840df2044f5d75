//! `/api/v1/metadata` and `/api/v1/query_exemplars`: what the store knows beside samples.
//!
//! Everything that targets and senders tell of their metrics goes to the store, so there is one
//! place to ask.
//!
//! Not here: metadata by target.

use std::collections::{BTreeMap, HashSet};

use axum::extract::State;
use model::TimeRange;
use model::append::Metadata;
use model::labels::METRIC_NAME;
use serde_json::{Map, Value, json};
use storage::Store;

use crate::access::Scope;
use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::api::series::store;
use crate::api::targets::{has_series, labels};
use crate::parts::Parts;

/// Metric families with what is known of each.
type Families = Vec<(String, Vec<Metadata>)>;

/// A whole number that may be negative, which means none.
fn count(params: &Params, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let number: i64 =
        text.parse().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(usize::try_from(number).ok())
}

/// Kind, help and unit of metrics: `{metric: [{type, help, unit}]}`.
pub async fn metadata(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<BTreeMap<String, Value>>, ApiError> {
    let store = store(&parts)?;
    let limit = count(&params, "limit")?;
    let per_metric = count(&params, "limit_per_metric")?.filter(|limit| *limit > 0);
    if limit == Some(0) {
        return Ok(Success::new(BTreeMap::new()));
    }
    let mut families = if params.scope().is_everything() {
        store.metadata(limit.unwrap_or(0), params.get("metric"))?
    } else {
        inside(&store, params.get("metric"), params.scope())?
    };
    families.truncate(limit.unwrap_or(usize::MAX));
    let shape = |(name, known): (String, Vec<Metadata>)| {
        let known = known.iter().take(per_metric.unwrap_or(usize::MAX));
        let known: Vec<Value> = known
            .map(|one| json!({"type": one.kind.as_str(), "help": one.help, "unit": one.unit}))
            .collect();
        (name, Value::from(known))
    };
    Ok(Success::new(families.into_iter().map(shape).collect()))
}

/// The families that have series inside a label scope.
fn inside(store: &Store, metric: Option<&str>, scope: &Scope) -> Result<Families, storage::Error> {
    let selector = scope.narrow(Vec::new());
    let names = store.label_values(METRIC_NAME, &selector, TimeRange::ALL, 0)?;
    let names: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut families = store.metadata(0, metric)?;
    families.retain(|(family, _)| has_series(family, &names));
    Ok(families)
}

/// Exemplars of all series that a query selects: `[{seriesLabels, exemplars}]`.
pub async fn exemplars(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Vec<Value>>, ApiError> {
    let store = store(&parts)?;
    let text = params.required("query")?;
    let range = params.range()?;
    let expression = promql::parse(text, &promql::ParseOptions::all()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(|problem| problem.render(text)).collect();
        ApiError::bad_parameter("query", lines.join("; "))
    })?;
    let selectors = expression.selectors().into_iter();
    let selectors = selectors.map(|own| params.scope().narrow(own.matchers.clone())).collect();
    let work = move || -> Result<_, storage::Error> {
        let selectors: Vec<Vec<model::Matcher>> = selectors;
        store.exemplars(&selectors, range)
    };
    let found = tokio::task::spawn_blocking(work).await;
    let found = found.map_err(|error| ApiError::internal(format!("exemplar task: {error}")))??;
    Ok(Success::new(found.iter().map(shape).collect()))
}

fn shape(series: &storage::SeriesExemplars) -> Value {
    let exemplars = series.exemplars.iter().map(|one| {
        let mut fields = Map::new();
        fields.insert("labels".to_owned(), labels(&one.labels));
        fields.insert("value".to_owned(), model::sample::format_value(one.value).into());
        fields.insert("timestamp".to_owned(), seconds(one.at.0));
        Value::Object(fields)
    });
    let exemplars: Vec<Value> = exemplars.collect();
    json!({"seriesLabels": labels(&series.labels), "exemplars": exemplars})
}

/// Seconds as a number, whole ones without a fraction.
fn seconds(at_ms: i64) -> Value {
    if at_ms % 1000 == 0 { Value::from(at_ms / 1000) } else { Value::from(at_ms as f64 / 1000.0) }
}
