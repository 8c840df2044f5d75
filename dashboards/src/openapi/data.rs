//! A catalogue of shapes: what stands under `data` of each answer.
//!
//! Place in the flow: **here** → `table`. The handlers write what is told here; a test compares.

use super::shape::{
    Shape, any, boolean, choice, either, list, map, named, number, object, pattern, schema, text,
    tuple, whole,
};

/// The shapes that stand in the document under a name.
pub fn named_shapes() -> Vec<(&'static str, Shape)> {
    vec![
        ("Error", error()),
        ("Labels", map(text())),
        ("ExplainNode", explained_node()),
        ("TextPoint", tuple([schema(number()), schema(text())])),
        ("Point", tuple([schema(number()), schema(value())])),
        ("HistogramPoint", tuple([schema(number()), schema(histogram())])),
        ("VectorSample", vector_sample()),
        ("MatrixSeries", matrix_series()),
        ("QueryStats", query_stats()),
        ("Rule", rule()),
        ("Alert", alert()),
        ("Count", object(&[("name", text()), ("value", whole())])),
        ("GettableAlert", gettable_alert()),
    ]
}

fn error() -> Shape {
    object(&[
        ("status", choice(&["error"])),
        ("errorType", text()),
        ("error", text()),
        ("data?", any()),
        ("warnings?", list(text())),
    ])
}

/// A sample's value as text.
fn value() -> Shape {
    pattern(r"^(NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]?\d+)?)$")
}

fn histogram() -> Shape {
    let bucket = tuple([schema(whole()), schema(value()), schema(value()), schema(value())]);
    object(&[("count", value()), ("sum", value()), ("buckets?", list(bucket))])
}

fn vector_sample() -> Shape {
    object(&[
        ("metric", named("Labels")),
        ("value?", named("Point")),
        ("histogram?", named("HistogramPoint")),
    ])
}

fn matrix_series() -> Shape {
    object(&[
        ("metric", named("Labels")),
        ("values?", list(named("Point"))),
        ("histograms?", list(named("HistogramPoint"))),
    ])
}

fn query_stats() -> Shape {
    let timings = object(&[
        ("evalTotalTime", number()),
        ("resultSortTime", number()),
        ("queryPreparationTime", number()),
        ("innerEvalTime", number()),
        ("execQueueTime", number()),
        ("execTotalTime", number()),
    ]);
    let samples = object(&[
        ("totalQueryableSamples", whole()),
        ("peakSamples", whole()),
        ("samplesRead", whole()),
        ("totalQueryableSamplesPerStep?", list(tuple([schema(number()), schema(whole())]))),
    ]);
    object(&[("timings", timings), ("samples", samples)])
}

/// `/query`, `/query_range`.
pub fn query() -> Shape {
    let result = either([
        list(named("VectorSample")),
        list(named("MatrixSeries")),
        // Under a name: some readers of such documents stumble over it in place.
        named("TextPoint"),
    ]);
    object(&[
        ("resultType", choice(&["matrix", "vector", "scalar", "string"])),
        ("result", result),
        ("stats?", named("QueryStats")),
    ])
}

/// `/queries`.
pub fn running() -> Shape {
    let one = object(&[
        ("id", whole()),
        ("query", text()),
        ("start", number()),
        ("end", number()),
        ("step", number()),
        ("priority", choice(&["rule", "interactive"])),
        ("origin", text()),
        ("state", choice(&["running", "waiting"])),
        ("elapsedSeconds", number()),
        ("peakSamples", whole()),
        ("peakBytes", whole()),
    ]);
    object(&[("queries", list(one)), ("memoryBytes", whole())])
}

/// `/queries/{id}/kill`.
pub fn killed() -> Shape {
    object(&[("killed", whole())])
}

/// `/series`.
pub fn series() -> Shape {
    list(named("Labels"))
}

/// `/labels`, `/label/{name}/values`.
pub fn texts() -> Shape {
    list(text())
}

/// `/metadata`.
pub fn metadata() -> Shape {
    map(list(object(&[("type", text()), ("help", text()), ("unit", text())])))
}

/// `/query_exemplars`.
pub fn exemplars() -> Shape {
    let exemplar =
        object(&[("labels", named("Labels")), ("value", value()), ("timestamp", number())]);
    list(object(&[("seriesLabels", named("Labels")), ("exemplars", list(exemplar))]))
}

fn health() -> Shape {
    choice(&["ok", "err", "unknown"])
}

fn rule() -> Shape {
    object(&[
        ("name", text()),
        ("query", text()),
        ("labels", named("Labels")),
        ("health", health()),
        ("lastError?", text()),
        ("evaluationTime", number()),
        ("lastEvaluation", text()),
        ("type", choice(&["alerting", "recording"])),
        ("state?", choice(&["inactive", "pending", "firing", "unknown"])),
        ("duration?", number()),
        ("keepFiringFor?", number()),
        ("annotations?", named("Labels")),
        ("alerts?", list(named("Alert"))),
    ])
}

fn alert() -> Shape {
    object(&[
        ("labels", named("Labels")),
        ("annotations", named("Labels")),
        ("state", choice(&["inactive", "pending", "firing"])),
        ("activeAt", text()),
        ("keepFiringSince?", text()),
        ("value", value()),
    ])
}

/// `/rules`.
pub fn rules() -> Shape {
    let group = object(&[
        ("name", text()),
        ("file", text()),
        ("rules", list(named("Rule"))),
        ("interval", number()),
        ("limit", whole()),
        ("evaluationTime", number()),
        ("lastEvaluation", text()),
    ]);
    object(&[("groups", list(group)), ("groupNextToken?", text())])
}

/// `/alerts`.
pub fn alerts() -> Shape {
    object(&[("alerts", list(named("Alert")))])
}

/// `/alertmanagers`.
pub fn alertmanagers() -> Shape {
    let all = || list(object(&[("url", text())]));
    object(&[("activeAlertmanagers", all()), ("droppedAlertmanagers", all())])
}

/// `/targets`.
pub fn targets() -> Shape {
    let active = object(&[
        ("discoveredLabels", named("Labels")),
        ("labels", named("Labels")),
        ("scrapePool", text()),
        ("scrapeUrl", text()),
        ("globalUrl", text()),
        ("lastError", text()),
        ("lastScrape", text()),
        ("lastScrapeDuration", number()),
        ("health", choice(&["up", "down", "unknown"])),
        ("scrapeInterval", text()),
        ("scrapeTimeout", text()),
    ]);
    let dropped = object(&[("discoveredLabels", named("Labels")), ("scrapePool", text())]);
    object(&[
        ("activeTargets", list(active)),
        ("droppedTargets", list(dropped)),
        ("droppedTargetCounts", map(whole())),
    ])
}

/// `/status/buildinfo`.
pub fn buildinfo() -> Shape {
    object(&[
        ("version", pattern(r"^\d+\.\d+\.\d+$")),
        ("revision", text()),
        ("branch", text()),
        ("buildUser", text()),
        ("buildDate", text()),
        ("goVersion", text()),
        ("application", text()),
        ("applicationVersion", text()),
    ])
}

/// `/status/runtimeinfo`.
pub fn runtimeinfo() -> Shape {
    object(&[
        ("startTime", text()),
        ("CWD", text()),
        ("serverTime", text()),
        ("reloadConfigSuccess", boolean()),
        ("lastConfigTime", text()),
        ("corruptionCount", whole()),
        ("hostname", text()),
        ("goroutineCount", whole()),
        ("GOMAXPROCS", whole()),
        ("GOMEMLIMIT", whole()),
        ("GOGC", text()),
        ("GODEBUG", text()),
        ("storageRetention", text()),
    ])
}

/// `/status/config`, `/scrape_pools/config`.
pub fn yaml() -> Shape {
    object(&[("yaml", text())])
}

/// `/status/flags`.
pub fn flags() -> Shape {
    map(text())
}

/// `/status/tsdb`.
pub fn tsdb() -> Shape {
    let counts = || list(named("Count"));
    let head = object(&[
        ("numSeries", whole()),
        ("numLabelPairs", whole()),
        ("chunkCount", whole()),
        ("minTime", whole()),
        ("maxTime", whole()),
        ("numSamples", whole()),
    ]);
    object(&[
        ("headStats", head),
        ("seriesCountByMetricName", counts()),
        ("labelValueCountByLabelName", counts()),
        ("memoryInBytesByLabelName", counts()),
        ("seriesCountByLabelValuePair", counts()),
        ("blockBytesByMetricName", counts()),
        ("seriesRefused", list(any())),
    ])
}

/// `/status/tsdb/blocks`.
pub fn blocks() -> Shape {
    let stats = object(&[
        ("numSamples", whole()),
        ("numSeries", whole()),
        ("numChunks", whole()),
        ("numTombstones", whole()),
        ("numBytes", whole()),
    ]);
    let block = object(&[
        ("ulid", text()),
        ("minTime", whole()),
        ("maxTime", whole()),
        ("stats", stats),
        ("compaction", object(&[("level", whole()), ("sources", list(text()))])),
        ("version", whole()),
    ]);
    object(&[("blocks", list(block))])
}

/// `/status/walreplay`.
pub fn walreplay() -> Shape {
    object(&[("min", whole()), ("max", whole()), ("current", whole())])
}

/// `/status/self_metrics`.
pub fn self_metrics() -> Shape {
    let metric = object(&[("labels", named("Labels")), ("value", value())]);
    list(object(&[("name", text()), ("help", text()), ("type", text()), ("metrics", list(metric))]))
}

/// `/features`.
pub fn features() -> Shape {
    map(map(boolean()))
}

/// `/notifications`.
pub fn notifications() -> Shape {
    list(object(&[("text", text()), ("date", text()), ("active", boolean())]))
}

/// `/format_query`.
pub fn formatted() -> Shape {
    text()
}

/// `/parse_query`: nodes within nodes.
pub fn tree() -> Shape {
    object(&[("type", text())])
}

/// `/scrape_pools`.
pub fn pools() -> Shape {
    object(&[("scrapePools", list(text()))])
}

/// `/targets/relabel_steps`.
pub fn relabel_steps() -> Shape {
    let rule = object(&[
        ("source_labels", list(text())),
        ("separator", text()),
        ("regex", text()),
        ("target_label", text()),
        ("replacement", text()),
        ("action", text()),
        ("modulus?", whole()),
    ]);
    let step = object(&[("rule", rule), ("output", named("Labels")), ("keep", boolean())]);
    object(&[("steps", list(step))])
}

/// `/targets/metadata`.
pub fn target_metadata() -> Shape {
    list(object(&[
        ("target", named("Labels")),
        ("metric?", text()),
        ("type", text()),
        ("help", text()),
        ("unit", text()),
    ]))
}

/// `/version`.
pub fn version() -> Shape {
    map(text())
}

/// `/admin/tsdb/snapshot`.
pub fn snapshot() -> Shape {
    object(&[("name", text())])
}

/// `/admin/tsdb/tombstones`.
pub fn tombstones() -> Shape {
    list(object(&[
        ("id", whole()),
        ("selector", text()),
        ("start", number()),
        ("end", number()),
        ("created", number()),
        ("partlyDone", boolean()),
    ]))
}

/// `/admin/tsdb/undelete`.
pub fn undone() -> Shape {
    object(&[("undone", choice(&["whole", "partly"]))])
}

/// `/explain`.
pub fn explained() -> Shape {
    let timings = object(&[
        ("queueSeconds", number()),
        ("prepareSeconds", number()),
        ("evalSeconds", number()),
    ]);
    object(&[
        ("timings", timings),
        ("series", whole()),
        ("samples", whole()),
        ("peakSamples", whole()),
        ("peakBytes", whole()),
        ("warnings", list(text())),
        ("tree?", named("ExplainNode")),
        ("text?", text()),
    ])
}

/// A node of the tree that `/explain` answers.
fn explained_node() -> Shape {
    object(&[
        ("kind", text()),
        ("text", text()),
        ("start", whole()),
        ("end", whole()),
        ("fused", boolean()),
        ("series", whole()),
        ("samples", whole()),
        ("bytes", whole()),
        ("blocksRead", whole()),
        ("blocksPruned", whole()),
        ("pagesRead", whole()),
        ("pagesPruned", whole()),
        ("bytesRead", whole()),
        ("seconds", number()),
        ("children", list(named("ExplainNode"))),
    ])
}

/// `/sql`.
pub fn sql() -> Shape {
    let column = object(&[("name", text()), ("type", text())]);
    object(&[("columns", list(column)), ("rows", list(list(any())))])
}

fn gettable_alert() -> Shape {
    let status = object(&[
        ("state", choice(&["unprocessed", "active", "suppressed"])),
        ("silencedBy", list(text())),
        ("inhibitedBy", list(text())),
        ("mutedBy", list(text())),
    ]);
    object(&[
        ("annotations", named("Labels")),
        ("labels", named("Labels")),
        ("endsAt", text()),
        ("startsAt", text()),
        ("updatedAt", text()),
        ("fingerprint", text()),
        ("generatorURL", text()),
        ("receivers", list(object(&[("name", text())]))),
        ("status", status),
    ])
}

/// `/api/v2/alerts`.
pub fn gettable_alerts() -> Shape {
    list(named("GettableAlert"))
}

/// What `/api/v2/alerts` takes.
pub fn postable_alerts() -> Shape {
    list(object(&[
        ("labels", named("Labels")),
        ("annotations?", named("Labels")),
        ("startsAt?", text()),
        ("endsAt?", text()),
        ("generatorURL?", text()),
    ]))
}

/// `/api/v2/alerts/groups`.
pub fn alert_groups() -> Shape {
    list(object(&[
        ("labels", named("Labels")),
        ("receiver", object(&[("name", text())])),
        ("alerts", list(named("GettableAlert"))),
    ]))
}

fn silence_fields() -> Vec<(&'static str, Shape)> {
    let matcher = object(&[
        ("name", text()),
        ("value", text()),
        ("isRegex", boolean()),
        ("isEqual?", boolean()),
    ]);
    vec![
        ("matchers", list(matcher)),
        ("startsAt", text()),
        ("endsAt", text()),
        ("createdBy", text()),
        ("comment", text()),
    ]
}

/// `/api/v2/silence/<id>`.
pub fn gettable_silence() -> Shape {
    let state = object(&[("state", choice(&["pending", "active", "expired"]))]);
    let own = [("id", text()), ("status", state), ("updatedAt", text())];
    object(&[&own[..], &silence_fields()].concat())
}

/// `/api/v2/silences`.
pub fn gettable_silences() -> Shape {
    list(gettable_silence())
}

/// What `/api/v2/silences` takes.
pub fn postable_silence() -> Shape {
    object(&[&[("id?", text())][..], &silence_fields()].concat())
}

/// What a posted silence is answered with.
pub fn silence_id() -> Shape {
    object(&[("silenceID", text())])
}

/// `/api/v2/receivers`.
pub fn receivers() -> Shape {
    list(object(&[("name", text())]))
}

/// `/api/v2/status`.
pub fn alertmanager_status() -> Shape {
    object(&[
        ("cluster", object(&[("status", text()), ("peers", list(any()))])),
        ("config", object(&[("original", text())])),
        ("uptime", text()),
        ("versionInfo", map(text())),
    ])
}
