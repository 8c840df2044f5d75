//! `/api/v1/status/…`, and the small answers that Grafana and others probe for.

use std::collections::BTreeMap;

use axum::extract::State;
use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};
use serde_json::{Value, json};
use storage::cardinality::Count;
use storage::limits::RefusedSeries;

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::api::series::store;
use crate::parts::{Parts, Web};

/// The Prometheus version whose API is spoken. Grafana switches features by it.
pub const API_VERSION: &str = "3.14.0";

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

/// How the process runs. What only a Go program has is empty.
pub async fn runtimeinfo(State(parts): State<Parts>) -> Success<Value> {
    let status = parts.control.status();
    let stats = parts.store.as_ref().map(|store| store.stats());
    Success::new(json!({
        "startTime": rfc3339(status.started_at_ms),
        "CWD": status.data_folder,
        "hostname": status.host,
        "serverTime": rfc3339(parts.clock.now().0),
        "reloadConfigSuccess": status.reload_ok,
        "lastConfigTime": rfc3339(status.config_at_ms),
        "corruptionCount": stats.map_or(0, |stats| stats.damaged.len()),
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": status.retention,
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
    let store = store(&parts)?;
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

/// The blocks on disk, the oldest first.
pub async fn blocks(State(parts): State<Parts>) -> Result<Success<Value>, ApiError> {
    let store = store(&parts)?;
    let shown: Vec<Value> = store
        .blocks()
        .iter()
        .map(|own| {
            json!({
                "ulid": own.id,
                "minTime": own.min_ms,
                // Outside the block, as upstream has it.
                "maxTime": own.max_ms.saturating_add(1),
                "stats": {
                    "numSamples": own.samples,
                    "numSeries": own.series,
                    "numChunks": 0,
                    "numTombstones": own.tombstones,
                    "numBytes": own.size_bytes,
                },
                "compaction": {"level": own.level, "sources": [own.id]},
                "version": 1,
            })
        })
        .collect();
    Ok(Success::new(json!({ "blocks": shown })))
}

/// How far the journal has been read. Whoever can ask this gets the end: before it, all answers are
/// 503.
pub async fn walreplay() -> Success<Value> {
    Success::new(json!({"min": 0, "max": 0, "current": 0}))
}

/// Own metrics as JSON, those whose name matches.
pub async fn self_metrics(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<Vec<Value>>, ApiError> {
    let pattern = params.get("metric_name_pattern").unwrap_or(".*");
    let matcher = Matcher::new(METRIC_NAME, MatchOp::Regex, pattern)
        .map_err(|error| ApiError::bad_parameter("metric_name_pattern", error.to_string()))?;
    let families = parts.registry.gather();
    Ok(Success::new(
        families.iter().filter(|own| matcher.matches(own.name())).map(own_family).collect(),
    ))
}

fn own_family(family: &prometheus::proto::MetricFamily) -> Value {
    use prometheus::proto::MetricType;
    let kind = family.get_field_type();
    let metrics = family.get_metric().iter().map(|metric| {
        let pairs = metric.get_label().iter().map(|own| (own.name(), own.value()));
        let labels: BTreeMap<&str, &str> = pairs.collect();
        let value = match kind {
            MetricType::COUNTER => metric.get_counter().get_value(),
            MetricType::HISTOGRAM => metric.get_histogram().get_sample_sum(),
            MetricType::SUMMARY => metric.get_summary().sample_sum(),
            // Nothing of ours is untyped.
            MetricType::GAUGE | MetricType::UNTYPED => metric.get_gauge().get_value(),
        };
        json!({"labels": labels, "value": model::sample::format_value(value)})
    });
    json!({
        "name": family.name(),
        "help": family.help(),
        "type": format!("{kind:?}").to_lowercase(),
        "metrics": metrics.collect::<Vec<Value>>(),
    })
}

/// What this server can do, by part: `{part: {feature: bool}}`.
pub async fn features(State(parts): State<Parts>) -> Success<Value> {
    let options = parts.engine.as_ref().map(|engine| engine.parse_options());
    let options = options.unwrap_or_default();
    let functions: BTreeMap<&str, bool> = promql::functions::FUNCTIONS
        .iter()
        .map(|own| (own.name, !own.is_experimental || options.experimental_functions))
        .collect();
    Success::new(json!({
        "api": {
            "admin": parts.admin.is_some(),
            "exclude_alerts": true,
            "label_values_match": true,
            "query_stats": true,
            "query_warnings": true,
            "remote_write_receiver": parts.receiver.is_some(),
            "rule_group_paging": true,
            "search": true,
            "search_fuzz_jarowinkler": true,
            "search_fuzz_subsequence": true,
            "sql": parts.sql.is_some(),
            "time_range_labels": true,
            "time_range_series": true,
        },
        "promql": {
            "anchored": options.extended_ranges,
            "at_modifier": true,
            "bool": true,
            "by": true,
            "duration_expr": options.duration_expressions,
            "fill": options.fill,
            "group_left": true,
            "group_right": true,
            "ignoring": true,
            "negative_offset": true,
            "offset": true,
            "on": true,
            "smoothed": options.extended_ranges,
            "subqueries": true,
            "without": true,
        },
        "promql_functions": functions,
        "rules": {"keep_firing_for": true, "query_offset": true},
        "scrape": {"native_histograms": true, "utf8_names": true},
        "tsdb": {"delete": true, "exemplar_storage": true, "snapshot": true},
    }))
}

/// Alert managers that rules send to: the one in this process.
pub async fn alertmanagers(State(parts): State<Parts>, State(web): State<Web>) -> Success<Value> {
    let url = format!("{}/api/v2/alerts", web.external_url);
    let own = parts.alertmanager.iter().map(|_| json!({ "url": url }));
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
