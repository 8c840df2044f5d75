//! `/api/v1/query` and `/api/v1/query_range`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use model::TimestampMs;
use query::{Answer, Engine, QueryOptions, Stats, Value};

use crate::api::envelope::{ApiError, JSON, capped};
use crate::api::json::Pieces;
use crate::api::leaving;
use crate::api::params::Params;
use crate::parts::Parts;

/// Most points per series of one range query, as upstream.
const STEPS_MAX: i64 = 11_000;
/// Bytes of an answer that is written while it leaves.
const STREAMED_BYTES_MIN: usize = 256 * 1024;

fn engine(parts: &Parts) -> Result<Arc<Engine>, ApiError> {
    parts.engine.clone().ok_or_else(|| ApiError::not_here("query"))
}

/// What a request asks for beyond the query.
pub fn options(params: &Params) -> Result<QueryOptions, ApiError> {
    // Looked at before the query runs, so that a wrong one costs nothing.
    params.limit()?;
    let timeout = params.duration_ms("timeout")?.map(|ms| {
        let wrong = || ApiError::bad_parameter("timeout", "must be greater than 0");
        u64::try_from(ms).ok().filter(|ms| *ms > 0).ok_or_else(wrong)
    });
    Ok(QueryOptions {
        timeout_ms: timeout.transpose()?,
        lookback_ms: params.duration_ms("lookback_delta")?.filter(|ms| *ms > 0),
        origin: params.origin().to_owned(),
        user: params.identity().name().to_owned(),
        scope: params.scope().matchers(),
        ..QueryOptions::default()
    })
}

/// The same where the caller may ask for the samples of each step.
fn counting(params: &Params) -> Result<QueryOptions, ApiError> {
    Ok(QueryOptions { counts_steps: params.get("stats") == Some("all"), ..options(params)? })
}

/// One instant.
pub async fn instant(State(parts): State<Parts>, params: Params) -> Result<Response, ApiError> {
    let engine = engine(&parts)?;
    let at = params.time_or_now(parts.clock.as_ref())?;
    let text = params.required("query")?;
    let answer = engine.instant(text, at, &counting(&params)?).await?;
    respond(answer, (at, 0), &params)
}

/// The start, the end and the step in milliseconds of a range.
pub fn range_of(params: &Params) -> Result<(TimestampMs, TimestampMs, i64), ApiError> {
    let start = params.time("start")?;
    let end = params.time("end")?;
    let step_ms = params.duration_ms("step")?;
    let missing = |name| ApiError::bad_parameter(name, "is missing or empty");
    let start = start.ok_or_else(|| missing("start"))?;
    let end = end.ok_or_else(|| missing("end"))?;
    let step_ms = step_ms.ok_or_else(|| missing("step"))?;
    if end < start {
        let message = "end timestamp must not be before start time";
        return Err(ApiError::bad_parameter("end", message));
    }
    if step_ms <= 0 {
        let message = "zero or negative query resolution step widths are not accepted. Try a \
                       positive integer";
        return Err(ApiError::bad_parameter("step", message));
    }
    if end.0.saturating_sub(start.0) / step_ms > STEPS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
             query resolution (?step=XX)",
        ));
    }
    Ok((start, end, step_ms))
}

/// A range of steps.
pub async fn range(State(parts): State<Parts>, params: Params) -> Result<Response, ApiError> {
    let engine = engine(&parts)?;
    let (start, end, step_ms) = range_of(&params)?;
    let text = params.required("query")?;
    let answer = engine.range(text, start, end, step_ms, &counting(&params)?).await?;
    respond(answer, (start, step_ms), &params)
}

/// `first` is the instant of the first step, and the step in milliseconds.
fn respond(
    mut answer: Answer,
    first: (TimestampMs, i64),
    params: &Params,
) -> Result<Response, ApiError> {
    truncate(&mut answer, params.limit()?);
    answer.warnings = capped(std::mem::take(&mut answer.warnings), "warning");
    answer.infos = capped(std::mem::take(&mut answer.infos), "info");
    let stats = params.get("stats").map(|_| stats(&answer.stats, first).to_string());
    let pieces = Pieces::new(answer, stats);
    if pieces.bytes_estimate() < STREAMED_BYTES_MIN {
        return Ok((JSON, pieces.join()).into_response());
    }
    Ok((JSON, leaving::response(pieces, params.packing())).into_response())
}

fn stats(stats: &Stats, (start, step_ms): (TimestampMs, i64)) -> serde_json::Value {
    let mut samples = serde_json::json!({
        "totalQueryableSamples": stats.samples_total,
        "peakSamples": stats.samples_peak,
        "samplesRead": stats.samples_read,
    });
    if !stats.samples_by_step.is_empty() {
        let steps = stats.samples_by_step.iter().enumerate().map(|(step, own)| {
            let at_ms = start.0.saturating_add(step as i64 * step_ms);
            // As Go writes it: no fraction where there is none.
            let at: serde_json::Value = match at_ms % 1000 {
                0 => (at_ms / 1000).into(),
                _ => (at_ms as f64 / 1000.0).into(),
            };
            serde_json::json!([at, own])
        });
        samples["totalQueryableSamplesPerStep"] = steps.collect();
    }
    serde_json::json!({
        "timings": {
            "execQueueTime": seconds(stats.queue_us),
            "queryPreparationTime": seconds(stats.prepare_us),
            "innerEvalTime": seconds(stats.eval_us),
            "evalTotalTime": seconds(stats.prepare_us + stats.eval_us),
            "execTotalTime": seconds(stats.queue_us + stats.prepare_us + stats.eval_us),
            "resultSortTime": 0.0,
        },
        "samples": samples,
    })
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

fn truncate(answer: &mut Answer, limit: usize) {
    let length = match &mut answer.value {
        Value::Vector(samples) => {
            let length = samples.len();
            samples.truncate(limit);
            length
        }
        Value::Matrix(series) => {
            let length = series.len();
            series.truncate(limit);
            length
        }
        Value::Scalar { .. } | Value::Text { .. } => 0,
    };
    if length > limit {
        answer.warnings.push("results truncated due to limit".to_owned());
    }
}
