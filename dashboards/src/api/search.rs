//! `/api/v1/search/…`: names and values that look like what somebody types.
//!
//! Place in the flow: HTTP → **here** → the store's index → lines of JSON: batches of results, and a
//! last line that says whether there is more.
//!
//! Not here: how alike two words are (`likeness`).

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::labels::METRIC_NAME;
use model::time::TimeRange;
use model::{Matcher, TimestampMs};
use serde_json::{Value, json};
use storage::Store;

use crate::api::envelope::ApiError;
use crate::api::likeness::{Algorithm, Wanted};
use crate::api::params::Params;
use crate::api::series::{on_index, store};
use crate::parts::Parts;

/// Results, unless the request says otherwise.
const LIMIT_DEFAULT: usize = 100;
/// Most results.
const LIMIT_MAX: usize = 10_000;
/// How far back is looked, unless the request says otherwise.
const REACH_MS: i64 = 60 * 60 * 1000;

/// What is searched.
enum Among {
    LabelNames,
    Values(String),
}

/// How results are ordered.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Alphabet,
    AlphabetDown,
    Likeness,
}

/// A request.
struct Search {
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    wanted: Wanted,
    order: Order,
    limit: usize,
    batch: usize,
    with_score: bool,
    with_metadata: bool,
}

impl Search {
    fn new(params: &Params, now: TimestampMs) -> Result<Search, ApiError> {
        let start = params.time("start")?.unwrap_or(now.plus_ms(-REACH_MS));
        let end = params.time("end")?.unwrap_or(now);
        let range = TimeRange::closed(start, end).ok_or_else(|| {
            ApiError::bad_parameter("end", "end timestamp must not be before start time")
        })?;
        let threshold = whole(params, "fuzz_threshold", 0, 100)?.unwrap_or(0);
        let algorithm = match params.get("fuzz_alg") {
            None | Some("subsequence") => Algorithm::Subsequence,
            Some("jarowinkler") => Algorithm::JaroWinkler,
            Some(other) => {
                let message = format!("\"{other}\" is neither subsequence nor jarowinkler");
                return Err(ApiError::bad_parameter("fuzz_alg", message));
            }
        };
        let texts: Vec<String> = params.all("search[]").map(str::to_owned).collect();
        let order = order(params, texts.is_empty())?;
        let is_exact = params.boolean("case_sensitive")?.unwrap_or(true);
        let limit = whole(params, "limit", 0, usize::MAX)?.filter(|limit| *limit > 0);
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if limit > LIMIT_MAX {
            let message = format!("must be at most {LIMIT_MAX}");
            return Err(ApiError::bad_parameter("limit", message));
        }
        let batch = whole(params, "batch_size", 0, usize::MAX)?.filter(|batch| *batch > 0);
        Ok(Search {
            selectors: params.selectors_or_all()?,
            range,
            wanted: Wanted::new(&texts, algorithm, threshold as f64 / 100.0, is_exact),
            order,
            limit,
            batch: batch.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX),
            with_score: params.boolean("include_score")?.unwrap_or(false),
            with_metadata: params.boolean("include_metadata")?.unwrap_or(false),
        })
    }

    /// What is found, with its likeness, in order; one more than the limit at most.
    fn find(&self, store: &Store, among: &Among) -> Result<Vec<(String, f64)>, storage::Error> {
        let mut names = std::collections::BTreeSet::new();
        for matchers in &self.selectors {
            names.extend(match among {
                Among::LabelNames => store.label_names(matchers, self.range, usize::MAX)?,
                Among::Values(name) => {
                    store.label_values(name, matchers, self.range, usize::MAX)?
                }
            });
        }
        let liked = names.into_iter().filter_map(|name| {
            let score = self.wanted.likeness(&name)?;
            Some((name, score))
        });
        let mut found: Vec<(String, f64)> = match self.order {
            Order::Alphabet => liked.take(self.limit.saturating_add(1)).collect(),
            _ => liked.collect(),
        };
        match self.order {
            Order::Alphabet => {}
            Order::AlphabetDown => found.reverse(),
            // The sort is stable, so that equals stay in alphabetical order.
            Order::Likeness => found.sort_by(|one, two| two.1.total_cmp(&one.1)),
        }
        found.truncate(self.limit.saturating_add(1));
        Ok(found)
    }

    fn entry(&self, store: &Store, name: &str, score: f64) -> Result<Value, storage::Error> {
        let mut entry = json!({ "name": name });
        if self.with_score {
            entry["score"] = json!(score);
        }
        if self.with_metadata {
            let told = store.metadata(1, Some(name))?;
            if let Some(known) = told.first().and_then(|(_, known)| known.first()) {
                entry["type"] = json!(known.kind.as_str());
                for (field, text) in [("help", &known.help), ("unit", &known.unit)] {
                    if !text.is_empty() {
                        entry[field] = json!(text);
                    }
                }
            }
        }
        Ok(entry)
    }

    /// The lines of the answer.
    fn lines(&self, store: &Store, among: &Among) -> Result<Vec<String>, storage::Error> {
        let mut found = self.find(store, among)?;
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        let mut lines = Vec::new();
        for batch in found.chunks(self.batch) {
            let entries: Result<Vec<Value>, _> =
                batch.iter().map(|(name, score)| self.entry(store, name, *score)).collect();
            lines.push(format!("{}\n", json!({ "results": entries? })));
        }
        if lines.is_empty() {
            lines.push("{\"results\":[]}\n".to_owned());
        }
        lines.push(format!("{}\n", json!({"status": "success", "has_more": has_more})));
        Ok(lines)
    }
}

fn order(params: &Params, is_without_text: bool) -> Result<Order, ApiError> {
    let direction = params.get("sort_dir");
    let order = match (params.get("sort_by"), direction) {
        (None, Some(_)) => {
            return Err(ApiError::bad_data("sort_dir is only valid when sort_by is set"));
        }
        (Some("score"), Some(_)) => {
            return Err(ApiError::bad_data("sort_dir is not supported for sort_by=score"));
        }
        (None, None) | (Some("alpha"), None | Some("asc")) => Order::Alphabet,
        (Some("alpha"), Some("dsc")) => Order::AlphabetDown,
        (Some("score"), None) => Order::Likeness,
        (Some("alpha"), Some(other)) => {
            let message = format!("\"{other}\" is neither asc nor dsc");
            return Err(ApiError::bad_parameter("sort_dir", message));
        }
        (Some(other), _) => {
            let message = format!("\"{other}\" is neither alpha nor score");
            return Err(ApiError::bad_parameter("sort_by", message));
        }
    };
    if order == Order::Likeness && is_without_text {
        return Err(ApiError::bad_data("sort_by=score requires search[] to be set"));
    }
    Ok(order)
}

fn whole(
    params: &Params,
    name: &str,
    least: usize,
    most: usize,
) -> Result<Option<usize>, ApiError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    let wrong = || {
        let bounds = if most == usize::MAX { "or more".to_owned() } else { format!("to {most}") };
        ApiError::bad_parameter(name, format!("must be {least} {bounds}, and is \"{text}\""))
    };
    number.map(Some).ok_or_else(wrong)
}

/// Metric names.
pub async fn metric_names(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Response, ApiError> {
    search(parts, &params, Among::Values(METRIC_NAME.to_owned())).await
}

/// Label names.
pub async fn label_names(State(parts): State<Parts>, params: Params) -> Result<Response, ApiError> {
    search(parts, &params, Among::LabelNames).await
}

/// Values of the label named under `label`.
pub async fn label_values(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Response, ApiError> {
    let name = params.required("label")?.to_owned();
    search(parts, &params, Among::Values(name)).await
}

async fn search(parts: Parts, params: &Params, among: Among) -> Result<Response, ApiError> {
    let store = store(&parts)?;
    let search = Search::new(params, parts.clock.now())?;
    let lines = on_index(move || search.lines(&store, &among)).await?;
    let lines = futures::stream::iter(lines.into_iter().map(Ok::<_, std::convert::Infallible>));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8")];
    Ok((kind, Body::from_stream(lines)).into_response())
}
