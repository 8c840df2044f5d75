//! `/api/v1/queries`: which queries wait or run now, and ending one.
//!
//! Place in the flow: an operator who wonders what is slow → **here** → the engine's list.
//!
//! Not here: limits (query), who may ask (access).

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use query::{Priority, Running};
use serde_json::{Value, json};

use crate::api::envelope::{ApiError, Success};
use crate::parts::Parts;

/// All queries that wait or run, the oldest first.
pub async fn list(State(parts): State<Parts>) -> Result<Success<Value>, ApiError> {
    let engine = parts.engine.clone().ok_or_else(|| ApiError::not_here("query"))?;
    let queries: Vec<Value> = engine.running().iter().map(entry).collect();
    Ok(Success::new(json!({ "queries": queries, "memoryBytes": engine.memory_bytes() })))
}

/// Ends one; whoever waits for it gets the error type `canceled`.
pub async fn kill(
    State(parts): State<Parts>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Success<Value>, ApiError> {
    let engine = parts.engine.clone().ok_or_else(|| ApiError::not_here("query"))?;
    let Path(id) = path.map_err(|error| ApiError::bad_parameter("id", error.body_text()))?;
    let number = id.parse().ok().filter(|number| engine.kill(*number));
    match number {
        Some(number) => Ok(Success::new(json!({ "killed": number }))),
        None => {
            let message = format!("no query {id:?} waits or runs now; see /api/v1/queries");
            Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", message))
        }
    }
}

fn entry(running: &Running) -> Value {
    let (start, end, step_ms) = running.range;
    let panel = query::cost::Panel::of(&running.origin).unwrap_or_default();
    json!({
        "id": running.id,
        "query": running.text,
        "language": running.language.as_str(),
        "start": start.0 as f64 / 1000.0,
        "end": end.0 as f64 / 1000.0,
        "step": step_ms as f64 / 1000.0,
        "priority": match running.priority {
            Priority::Rule => "rule",
            Priority::Interactive => "interactive",
        },
        "origin": running.origin,
        "user": running.user,
        "dashboardUid": panel.dashboard,
        "panelId": panel.panel,
        "state": if running.is_evaluated { "running" } else { "waiting" },
        "elapsedSeconds": running.elapsed_us as f64 / 1e6,
        "peakSamples": running.samples_peak,
        "peakBytes": running.bytes_peak,
    })
}
