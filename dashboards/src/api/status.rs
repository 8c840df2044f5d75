//! `/api/v1/status/…`, and the small answers that Grafana and others probe for.

use std::collections::BTreeMap;

use axum::extract::State;
use serde_json::{Value, json};
use storage::cardinality::Count;
use storage::limits::RefusedSeries;

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::parts::Parts;

/// The Prometheus version whose API is spoken. Grafana switches features by it.
const API_VERSION: &str = "3.14.0";

/// Who answers.
pub async fn buildinfo(State(parts): State<Parts>) -> Success<Value> {
    Success::new(json!({
        "version": API_VERSION,
        "revision": parts.control.status().version,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Belfry",
        "applicationVersion": parts.control.status().version,
    }))
}

/// How the process runs.
pub async fn runtimeinfo(State(parts): State<Parts>) -> Success<Value> {
    let status = parts.control.status();
    let stats = parts.store.as_ref().map(|store| store.stats());
    Success::new(json!({
        "startTime": rfc3339(status.started_at_ms),
        "CWD": status.data_folder,
        "serverTime": rfc3339(parts.clock.now().0),
        "reloadConfigSuccess": status.reload_ok,
        "lastConfigTime": rfc3339(status.config_at_ms),
        "corruptionCount": stats.map_or(0, |stats| stats.damaged.len()),
    }))
}

/// The configuration in force, secrets replaced.
pub async fn config(State(parts): State<Parts>) -> Success<Value> {
    Success::new(json!({"yaml": parts.control.status().config_text}))
}

/// Command-line flags.
pub async fn flags(State(parts): State<Parts>) -> Success<BTreeMap<String, String>> {
    Success::new(parts.control.status().flags.into_iter().collect())
}

/// Entries of each list of [`tsdb`] unless the request says otherwise, and at most.
const TSDB_LIMIT: (usize, usize) = (10, 10_000);

/// What the store holds, and where its series come from.
pub async fn tsdb(State(parts): State<Parts>, params: Params) -> Result<Success<Value>, ApiError> {
    let store = parts.store.clone().ok_or_else(|| ApiError::not_here("store"))?;
    let limit = match params.get("limit") {
        None => TSDB_LIMIT.0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=TSDB_LIMIT.1).contains(limit))
            .ok_or_else(|| ApiError::bad_parameter("limit", "must be 1 to 10,000"))?,
    };
    let work = move || (store.stats(), store.cardinality(limit));
    let (stats, found) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ApiError::internal(format!("status task: {error}")))?;
    let refused: Vec<Value> = stats.series_refused.iter().map(refused_series).collect();
    Ok(Success::new(json!({
        "headStats": {
            "numSeries": stats.series,
            "numLabelPairs": found.label_pairs,
            // Every series with samples in memory has at least one run of them.
            "chunkCount": stats.series_active,
            "minTime": stats.oldest_ms.map_or(i64::MAX, |at| at.0),
            "maxTime": stats.newest_ms.map_or(i64::MIN, |at| at.0),
            "numSamples": stats.samples_in_memtable,
        },
        "seriesCountByMetricName": counts(&found.series_by_metric),
        "labelValueCountByLabelName": counts(&found.values_by_label),
        "memoryInBytesByLabelName": counts(&found.value_bytes_by_label),
        "seriesCountByLabelValuePair": counts(&found.series_by_pair),
        "blockBytesByMetricName": counts(&found.block_bytes_by_metric),
        "seriesRefused": refused,
        "memory": {"registryBytes": stats.registry_bytes, "memtableBytes": stats.memtable_bytes},
        "blocks": stats.blocks,
        "blockBytes": stats.block_bytes,
        "journalBytes": stats.journal_bytes,
        "damaged": stats.damaged,
    })))
}

fn counts(counts: &[Count]) -> Vec<Value> {
    counts.iter().map(|one| json!({"name": one.name, "value": one.count})).collect()
}

fn refused_series(line: &RefusedSeries) -> Value {
    json!({
        "limit": line.culprit.limit.as_str(),
        "job": line.culprit.job,
        "instance": line.culprit.instance,
        "label": line.label.0,
        "labelValues": line.label.1,
        "samples": line.samples,
    })
}

/// Alert managers that rules send to: the one in this process.
pub async fn alertmanagers(State(parts): State<Parts>) -> Success<Value> {
    let own = parts.alertmanager.iter().map(|_| json!({"url": "/api/v2/alerts"}));
    let active: Vec<Value> = own.collect();
    Success::new(json!({"activeAlertmanagers": active, "droppedAlertmanagers": []}))
}

/// An instant as RFC 3339 with milliseconds.
pub fn rfc3339(at_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(at_ms) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => ZERO_TIME.to_owned(),
    }
}

/// Go's zero time: what the field's clients expect for "never".
pub const ZERO_TIME: &str = "0001-01-01T00:00:00Z";
