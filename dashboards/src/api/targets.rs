//! `/api/v1/targets` and `/api/v1/targets/metadata`: what is scraped, how it did, and what it tells.
//!
//! Place in the flow: HTTP → **here** → the collector's list; what metrics mean comes from the store.

use std::collections::{BTreeMap, HashSet};

use axum::extract::State;
use axum::http::StatusCode;
use collector::{Collector, TargetStatus};
use model::labels::METRIC_NAME;
use model::time::TimeRange;
use model::{Labels, Matcher};
use serde_json::{Map, Value, json};
use storage::Store;

use crate::access::Scope;
use crate::api::envelope::{ApiError, Success};
use crate::api::params::{Params, parse_selector};
use crate::api::series::{on_index, store};
use crate::api::status::{ZERO_TIME, rfc3339};
use crate::parts::{Parts, Web};

pub(super) fn collector(parts: &Parts) -> Result<&Collector, ApiError> {
    parts.collector.as_deref().ok_or_else(|| ApiError::not_here("collect"))
}

/// Active and dropped targets, by state and pool.
pub async fn targets(
    State(parts): State<Parts>,
    State(web): State<Web>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    let collector = collector(&parts)?;
    let state = params.get("state").unwrap_or("any").to_lowercase();
    let pool = params.get("scrapePool");
    let is_wanted = |name: &str| pool.is_none_or(|pool| pool == name);
    let shows = |kind: &str| !matches!(state.as_str(), "active" | "dropped") || state == kind;
    let mut active = if shows("active") { collector.targets() } else { Vec::new() };
    active.retain(|target| is_wanted(&target.pool) && params.scope().takes(&target.labels));
    let mut counts = Map::new();
    let mut dropped = Vec::new();
    // What is dropped has no labels that a scope could look at.
    let all = if params.scope().is_everything() { collector.dropped() } else { BTreeMap::new() };
    for (name, own) in all {
        if shows("dropped") && is_wanted(&name) {
            dropped.extend(
                own.labels
                    .iter()
                    .map(|own| json!({"discoveredLabels": labels(own), "scrapePool": name})),
            );
        }
        counts.insert(name, own.count.into());
    }
    let host = host_of(&web.external_url);
    let active: Vec<Value> = active.iter().map(|target| shape(target, host.as_deref())).collect();
    Ok(Success::new(json!({
        "activeTargets": active,
        "droppedTargets": dropped,
        "droppedTargetCounts": counts,
    })))
}

fn host_of(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// A loopback address as others reach it: by the name of the server's own address.
fn global_url(url: &str, host: Option<&str>) -> String {
    let Some((host, mut own)) = host.zip(url::Url::parse(url).ok()) else { return url.to_owned() };
    let is_loopback = matches!(own.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if is_loopback && own.set_host(Some(host)).is_ok() { own.into() } else { url.to_owned() }
}

fn shape(target: &TargetStatus, host: Option<&str>) -> Value {
    json!({
        "discoveredLabels": labels(&target.discovered_labels),
        "labels": labels(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": global_url(&target.scrape_url, host),
        "lastError": target.last_error,
        "lastScrape": target.last_scrape.map_or(ZERO_TIME.to_owned(), |at| rfc3339(at.0)),
        "lastScrapeDuration": target.duration_ms / 1000.0,
        "health": target.health.as_str(),
        "scrapeInterval": duration(target.interval_ms),
        "scrapeTimeout": duration(target.timeout_ms),
    })
}

fn duration(ms: u64) -> String {
    model::duration::format_duration_ms(ms)
}

/// A label set as a JSON object.
pub fn labels(labels: &Labels) -> Value {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// Endings that series have and families have not.
const SUFFIXES: [&str; 7] = ["", "_total", "_bucket", "_count", "_sum", "_created", "_info"];

/// Whether one of these metrics belongs to a family.
pub(super) fn has_series(family: &str, names: &HashSet<&str>) -> bool {
    SUFFIXES.iter().any(|end| names.contains(format!("{family}{end}").as_str()))
}

/// What targets tell of their metrics: `[{target, metric, type, help, unit}]`.
pub async fn metadata(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Vec<Value>>, ApiError> {
    let limit = match params.get("limit") {
        None => usize::MAX,
        Some(text) => {
            let number: i64 =
                text.parse().map_err(|_| ApiError::bad_data("limit must be a number"))?;
            // Negative: all, as upstream has it.
            usize::try_from(number).unwrap_or(usize::MAX)
        }
    };
    let matchers = params
        .get("match_target")
        .map(|text| parse_selector("match_target", text))
        .transpose()?
        .unwrap_or_default();
    let mut targets: Vec<Labels> =
        collector(&parts)?.targets().into_iter().map(|target| target.labels).collect();
    targets.retain(|own| matchers.iter().all(|matcher| matcher.matches_labels(own)));
    targets.retain(|own| params.scope().takes(own));
    let metric = params.get("metric").map(str::to_owned);
    let store = store(&parts)?;
    let scope = params.scope().clone();
    let work = move || told(&store, &targets, (metric.as_deref(), &scope), limit);
    let found = on_index(work).await?;
    if found.is_empty() {
        let message = "specified metadata not found";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", message));
    }
    Ok(Success::new(found))
}

/// A target tells of a family when one of its series carries the name.
fn told(
    store: &Store,
    targets: &[Labels],
    (metric, scope): (Option<&str>, &Scope),
    limit: usize,
) -> Result<Vec<Value>, storage::Error> {
    let families = store.metadata(0, metric)?;
    let mut found = Vec::new();
    for target in targets {
        let own: Vec<Matcher> = ["job", "instance"]
            .iter()
            .map(|name| Matcher::equal(name, target.get(name).unwrap_or("")))
            .collect();
        let names = store.label_values(METRIC_NAME, &scope.narrow(own), TimeRange::ALL, 0)?;
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        for (family, known) in &families {
            let is_told = has_series(family, &names);
            let Some(one) = known.first().filter(|_| is_told) else { continue };
            if found.len() >= limit {
                return Ok(found);
            }
            let mut entry = json!({
                "target": labels(target),
                "type": one.kind.as_str(),
                "help": one.help,
                "unit": one.unit,
            });
            if metric.is_none() {
                entry["metric"] = json!(family);
            }
            found.push(entry);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::global_url;

    #[test]
    fn loopback_is_shown_as_others_reach_it() {
        for (url, host, expected) in [
            ("http://127.0.0.1:9100/metrics", Some("b.example"), "http://b.example:9100/metrics"),
            ("http://localhost/m?x=1", Some("b.example"), "http://b.example/m?x=1"),
            ("http://other:1/m", Some("b.example"), "http://other:1/m"),
            ("internal://host/a", Some("b.example"), "internal://host/a"),
            ("http://localhost/m", None, "http://localhost/m"),
        ] {
            assert_eq!(global_url(url, host), expected);
        }
    }
}
