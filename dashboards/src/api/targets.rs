//! `/api/v1/targets`: what is scraped, and how it did.

use axum::extract::State;
use collector::TargetStatus;
use serde_json::{Map, Value, json};

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::api::status::{ZERO_TIME, rfc3339};
use crate::parts::Parts;

/// Active targets, by state and pool.
pub async fn targets(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Value>, ApiError> {
    let collector = parts.collector.as_ref().ok_or_else(|| ApiError::not_here("collect"))?;
    let state = params.get("state").unwrap_or("any").to_lowercase();
    let mut targets = if state == "dropped" { Vec::new() } else { collector.targets() };
    if let Some(pool) = params.get("scrapePool") {
        targets.retain(|target| target.pool == pool);
    }
    let active: Vec<Value> = targets.iter().map(shape).collect();
    Ok(Success::new(json!({
        "activeTargets": active,
        "droppedTargets": [],
        "droppedTargetCounts": {},
    })))
}

fn shape(target: &TargetStatus) -> Value {
    json!({
        "discoveredLabels": labels(&target.discovered_labels),
        "labels": labels(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.scrape_url,
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
pub fn labels(labels: &model::Labels) -> Value {
    let pairs = labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}
