//! A catalogue of all routes: path, who may, handler, parameters, answer.
//!
//! Place in the flow: handlers → **`table`** → router and document.

use model::limits::PUSH_BODY_BYTES_MAX;

use super::data;
use super::parameter::{
    END, Kind, LIMIT, LOOKBACK, MATCH, Parameter, QUERY, START, STATS, STEP, TIME, TIMEOUT,
};
use super::route::{Access, Answer, BODY_BYTES_MAX, Body, Route, Verb};
use super::serve;
use crate::api::{
    admin, alertmanager, beside, explain, federate, import, language, notifications, pools, query,
    remote_read, rules, running, search, series, silences, sql, status, targets, write,
};
use crate::{lifecycle, ui};

/// Longest body of a remote read request, packed.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// Every route.
pub fn table() -> Vec<Route> {
    let parts = [
        queries(),
        labels(),
        searches(),
        watching(),
        statuses(),
        actions(),
        pushes(),
        alerts(),
        outside(),
        pages(),
    ];
    parts.into_iter().flatten().collect()
}

/// A route for readers.
fn read(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    Route::new(Access::Read, path, id, summary)
}

fn queries() -> Vec<Route> {
    vec![
        read("/api/v1/query", "query", "The value of an expression at one instant")
            .get_post(query::instant)
            .narrowed()
            .takes([QUERY, TIME, TIMEOUT, LIMIT, LOOKBACK, STATS])
            .data(data::query()),
        read("/api/v1/query_range", "queryRange", "The values of an expression at many instants")
            .get_post(query::range)
            .narrowed()
            .takes([QUERY, START.required(), END.required(), STEP])
            .takes([TIMEOUT, LIMIT, LOOKBACK, STATS])
            .data(data::query()),
        read("/api/v1/query_exemplars", "queryExemplars", "Exemplars of the series of a query")
            .get_post(beside::exemplars)
            .narrowed()
            .takes([QUERY, START, END])
            .data(data::exemplars()),
        read("/api/v1/format_query", "formatQuery", "An expression laid out over lines")
            .get_post(language::format)
            .plain()
            .takes([QUERY])
            .data(data::formatted()),
        read("/api/v1/parse_query", "parseQuery", "An expression as a tree")
            .get_post(language::parse)
            .plain()
            .takes([QUERY])
            .data(data::tree()),
        read("/api/v1/read", "remoteRead", "Whole series for another server")
            .on(&[Verb::Post], remote_read::read)
            .narrowed()
            .body(Body::Bytes(&["application/x-protobuf"]), READ_BYTES_MAX)
            .answer(Answer::Bytes(&["application/x-protobuf", "application/x-streamed-protobuf"])),
        read("/api/v1/queries", "queries", "Which queries wait or run now")
            .get(running::list)
            .data(data::running()),
        Route::new(Access::Admin, "/api/v1/queries/{id}/kill", "killQuery", "Ends a query")
            .on(&[Verb::Post], running::kill)
            .takes([Parameter::path("id", Kind::Text, "Its number, from /api/v1/queries.")])
            .data(data::killed()),
        read("/api/v1/explain", "explain", "What each part of a query costs")
            .get_post(explain::explain)
            .narrowed()
            .takes([QUERY, TIME, START, END, Parameter { is_required: false, ..STEP }])
            .takes([TIMEOUT, LOOKBACK])
            .data(data::explained()),
        read("/api/v1/sql", "sql", "The rows of one SQL statement that reads")
            .get_post(sql::sql)
            .takes([
                Parameter::new("query", Kind::Text, "The statement; q is the same.")
                    .required()
                    .like("select 1"),
                Parameter::new("format", Kind::Choice(&["json", "csv", "arrow"]), "Of the answer."),
                LIMIT,
                TIMEOUT,
            ])
            .data(data::sql())
            .or_bytes(&["text/csv", "application/vnd.apache.arrow.stream"]),
    ]
}

fn labels() -> Vec<Route> {
    let name = Parameter::path("name", Kind::Text, "The label, perhaps escaped as U__…");
    vec![
        read("/api/v1/series", "series", "The label sets of all series that match")
            .get_post(series::series)
            .narrowed()
            .takes([MATCH.required(), START, END, LIMIT])
            .data(data::series()),
        read("/api/v1/labels", "labelNames", "All label names")
            .get_post(series::labels)
            .narrowed()
            .takes([START, END, MATCH, LIMIT])
            .data(data::texts()),
        read("/api/v1/label/{name}/values", "labelValues", "All values of one label")
            .get(series::label_values)
            .narrowed()
            .takes([name, START, END, MATCH, LIMIT])
            .data(data::texts()),
        read("/api/v1/metadata", "metadata", "Kind, help and unit of metrics")
            .get(beside::metadata)
            .narrowed()
            .takes([
                Parameter::new("limit", Kind::Whole(-1, 1_000_000_000), "Most metrics."),
                Parameter::new(
                    "limit_per_metric",
                    Kind::Whole(-1, 1_000_000_000),
                    "Most entries of one metric.",
                ),
                Parameter::new("metric", Kind::Text, "Only this metric."),
            ])
            .data(data::metadata()),
    ]
}

fn searches() -> Vec<Route> {
    let of = |path, id, summary| {
        read(path, id, summary)
            .takes([
                MATCH,
                Parameter::new("search[]", Kind::Text, "What somebody types; several by \"or\".")
                    .repeated(),
                Parameter::new("fuzz_threshold", Kind::Whole(0, 100), "How alike at least."),
                Parameter::new(
                    "fuzz_alg",
                    Kind::Choice(&["subsequence", "jarowinkler"]),
                    "What alike means.",
                ),
                Parameter::new("case_sensitive", Kind::Boolean, "Whether the letter case counts."),
                Parameter::new("sort_by", Kind::Choice(&["alpha", "score"]), "The order."),
                Parameter::new("sort_dir", Kind::Choice(&["asc", "dsc"]), "Its direction."),
                Parameter::new("include_score", Kind::Boolean, "Tell how alike each one is."),
                START,
                END,
                Parameter::new("limit", Kind::Whole(0, 10_000), "Most results; 100 if not told."),
                Parameter::new("batch_size", Kind::Whole(0, 10_000), "Results of one line."),
            ])
            .answer(Answer::Bytes(&["application/x-ndjson"]))
    };
    let with_metadata =
        Parameter::new("include_metadata", Kind::Boolean, "Tell kind, help and unit of each one.");
    let label = Parameter::new("label", Kind::Text, "Whose values.").required().like("job");
    vec![
        of("/api/v1/search/metric_names", "searchMetricNames", "Metric names like a text")
            .takes([with_metadata])
            .get_post(search::metric_names)
            .narrowed(),
        of("/api/v1/search/label_names", "searchLabelNames", "Label names like a text")
            .get_post(search::label_names)
            .narrowed(),
        of("/api/v1/search/label_values", "searchLabelValues", "Values of a label like a text")
            .takes([label])
            .get_post(search::label_values)
            .narrowed(),
    ]
}

fn watching() -> Vec<Route> {
    let pool = Parameter::new("scrapePool", Kind::Text, "A scrape pool.").like("node");
    vec![
        read("/api/v1/rules", "rules", "Groups with their rules and alerts")
            .get(rules::rules)
            .narrowed()
            .takes([
                Parameter::new("type", Kind::Choice(&["alert", "record"]), "Only rules of a kind."),
                Parameter::new("rule_name[]", Kind::Text, "Only rules of these names.").repeated(),
                Parameter::new("rule_group[]", Kind::Text, "Only these groups.").repeated(),
                Parameter::new("file[]", Kind::Text, "Only groups of these files.").repeated(),
                Parameter::new("exclude_alerts", Kind::Boolean, "Leave the alerts out."),
                MATCH,
                Parameter::new("group_limit", Kind::Whole(1, 1_000_000), "Most groups."),
                Parameter::new("group_next_token", Kind::Text, "From the answer before."),
            ])
            .data(data::rules()),
        read("/api/v1/alerts", "alerts", "What is pending or firing")
            .get(rules::alerts)
            .narrowed()
            .data(data::alerts()),
        read("/api/v1/alertmanagers", "alertmanagers", "Where alerts are sent")
            .get(status::alertmanagers)
            .plain()
            .data(data::alertmanagers()),
        read("/api/v1/targets", "targets", "What is scraped, and how it did")
            .get(targets::targets)
            .narrowed()
            .takes([
                Parameter::new(
                    "state",
                    Kind::Choice(&["active", "dropped", "any"]),
                    "Only targets in this state.",
                ),
                pool,
            ])
            .data(data::targets()),
        read("/api/v1/targets/metadata", "targetsMetadata", "What targets tell of their metrics")
            .get(targets::metadata)
            .narrowed()
            .takes([
                Parameter::new("match_target", Kind::Text, "Only targets with these labels.")
                    .like("{job=\"node\"}"),
                Parameter::new("metric", Kind::Text, "Only this metric."),
                Parameter::new("limit", Kind::Whole(-1, 1_000_000_000), "Most entries."),
            ])
            .data(data::target_metadata()),
        read(
            "/api/v1/targets/relabel_steps",
            "relabelSteps",
            "What relabelling does, rule by rule",
        )
        .get(pools::relabel_steps)
        .takes([
            pool.required(),
            Parameter::new("labels", Kind::Text, "Labels as a JSON object.")
                .required()
                .like("{\"__address__\":\"a:1\"}"),
        ])
        .data(data::relabel_steps()),
        read("/api/v1/scrape_pools", "scrapePools", "Names of all scrape pools")
            .get(pools::pools)
            .data(data::pools()),
        read("/api/v1/scrape_pools/config", "scrapePoolConfig", "A pool's configuration")
            .get(pools::config)
            .takes([pool.required()])
            .data(data::yaml()),
    ]
}

fn statuses() -> Vec<Route> {
    vec![
        read("/api/v1/status/buildinfo", "buildinfo", "Who answers")
            .get_post(status::buildinfo)
            .plain()
            .data(data::buildinfo()),
        read("/api/v1/status/runtimeinfo", "runtimeinfo", "How the process runs")
            .get(status::runtimeinfo)
            .data(data::runtimeinfo()),
        read("/api/v1/status/config", "config", "The configuration in force, secrets replaced")
            .get(status::config)
            .data(data::yaml()),
        read("/api/v1/status/flags", "flags", "Command-line flags")
            .get(status::flags)
            .data(data::flags()),
        read("/api/v1/status/tsdb", "tsdb", "What the store holds, and where series come from")
            .get(status::tsdb)
            .takes([Parameter::new("limit", Kind::Whole(1, 10_000), "Entries of each list.")])
            .data(data::tsdb()),
        read("/api/v1/status/tsdb/blocks", "blocks", "The blocks on disk")
            .get(status::blocks)
            .data(data::blocks()),
        read("/api/v1/status/walreplay", "walreplay", "How far the journal has been read")
            .get(status::walreplay)
            .plain()
            .data(data::walreplay()),
        read("/api/v1/status/self_metrics", "selfMetrics", "Own metrics as JSON")
            .get(status::self_metrics)
            .takes([Parameter::new(
                "metric_name_pattern",
                Kind::Text,
                "Only metrics whose whole name matches.",
            )
            .like("belfry_.*")])
            .data(data::self_metrics()),
        read("/api/v1/features", "features", "What this server can do")
            .get(status::features)
            .plain()
            .data(data::features()),
        read("/api/v1/notifications", "notifications", "What an operator should know now")
            .get(notifications::list)
            .data(data::notifications()),
        read("/api/v1/notifications/live", "notificationsLive", "The same as a stream of events")
            .get(notifications::live)
            .answer(Answer::Bytes(&["text/event-stream"]))
            .also(204, "too many subscribers"),
        read("/api/v1/openapi.yaml", "openapiYaml", "This document")
            .get(serve::yaml)
            .plain()
            .takes([Parameter::new(
                "openapi_version",
                Kind::Choice(&["3.1", "3.2"]),
                "The document's own version.",
            )])
            .answer(Answer::Bytes(&["application/yaml"]))
            .early(),
        read("/api/v1/openapi.json", "openapiJson", "This document as JSON")
            .get(serve::json)
            .plain()
            .takes([Parameter::new(
                "openapi_version",
                Kind::Choice(&["3.1", "3.2"]),
                "The document's own version.",
            )])
            .answer(Answer::Json(super::shape::any()))
            .early(),
    ]
}

fn actions() -> Vec<Route> {
    let admin = |path, id, summary| Route::new(Access::Admin, path, id, summary);
    vec![
        admin("/api/v1/admin/tsdb/snapshot", "snapshot", "A picture of everything durable")
            .post_put(admin::snapshot)
            .takes([Parameter::new("skip_head", Kind::Boolean, "Without what is in memory.")])
            .data(data::snapshot()),
        admin("/api/v1/admin/tsdb/delete_series", "deleteSeries", "Hides samples")
            .post_put(admin::delete_series)
            .takes([MATCH.required(), START, END]),
        admin("/api/v1/admin/tsdb/clean_tombstones", "cleanTombstones", "Carries deletions out")
            .post_put(admin::clean_tombstones),
        admin("/api/v1/admin/tsdb/tombstones", "tombstones", "Deletions not carried out yet")
            .get(admin::tombstones)
            .data(data::tombstones()),
        admin("/api/v1/admin/tsdb/undelete", "undelete", "Takes a deletion back")
            .on(&[Verb::Post], admin::undelete)
            .takes([Parameter::new("id", Kind::Text, "The deletion's number.").required()])
            .data(data::undone()),
        admin("/api/v1/admin/tsdb/compact", "compact", "Writes memory to blocks and merges them")
            .on(&[Verb::Post], admin::compact),
    ]
}

fn pushes() -> Vec<Route> {
    let push = |path, id, summary| Route::new(Access::Write, path, id, summary);
    vec![
        push("/api/v1/write", "remoteWrite", "Takes remote write 1.0 and 2.0")
            .on(&[Verb::Post], write::remote_write)
            .narrowed()
            .body(Body::Bytes(&["application/x-protobuf"]), PUSH_BODY_BYTES_MAX),
        push("/api/v1/import/prometheus", "importText", "Takes samples as text")
            .on(&[Verb::Post], import::text)
            .narrowed()
            .takes([
                Parameter::new("extra_label", Kind::Text, "name=value for every series.")
                    .repeated(),
                Parameter::new(
                    "timestamp",
                    Kind::Whole(-1_000_000_000_000_000, 1_000_000_000_000_000),
                    "Milliseconds, for samples without one.",
                ),
            ])
            .body(Body::Bytes(&["text/plain", "application/openmetrics-text"]), PUSH_BODY_BYTES_MAX)
            .also(408, "nothing came for too long"),
    ]
}

/// Which silence.
const SILENCE_ID: Parameter = Parameter::path("id", Kind::Text, "The silence's UUID.");

fn alerts() -> Vec<Route> {
    let filter = [
        Parameter::new("filter", Kind::Text, "A matcher such as job=\"a\".").repeated(),
        Parameter::new("receiver", Kind::Text, "An expression for receivers."),
        Parameter::new("active", Kind::Boolean, "Show active ones."),
        Parameter::new("silenced", Kind::Boolean, "Show silenced ones."),
        Parameter::new("inhibited", Kind::Boolean, "Show inhibited ones."),
    ];
    vec![
        read("/api/v2/status", "alertmanagerStatus", "Version, configuration and uptime")
            .get(alertmanager::status)
            .answer(Answer::Json(data::alertmanager_status())),
        read("/api/v2/alerts", "gettableAlerts", "Alerts that fire")
            .get(alertmanager::alerts)
            .narrowed()
            .takes(filter)
            .answer(Answer::Json(data::gettable_alerts())),
        Route::new(Access::Write, "/api/v2/alerts", "postAlerts", "Takes alerts")
            .on(&[Verb::Post], alertmanager::post_alerts)
            .narrowed()
            .body(Body::Json(Box::new(data::postable_alerts())), BODY_BYTES_MAX)
            .also(200, "durable"),
        read("/api/v2/alerts/groups", "alertGroups", "Alerts by group")
            .get(alertmanager::groups)
            .narrowed()
            .takes(filter)
            .answer(Answer::Json(data::alert_groups())),
        read("/api/v2/silences", "silences", "Silences, those that are over for a while too")
            .get(silences::list)
            .takes([
                Parameter::new("filter", Kind::Text, "A matcher of what their matchers say.")
                    .repeated(),
                Parameter::new("active", Kind::Boolean, "Show active ones."),
                Parameter::new("pending", Kind::Boolean, "Show those that have not begun."),
                Parameter::new("expired", Kind::Boolean, "Show those that are over."),
            ])
            .answer(Answer::Json(data::gettable_silences())),
        Route::new(Access::Silence, "/api/v2/silences", "putSilence", "Makes or changes a silence")
            .on(&[Verb::Post], silences::put)
            .body(Body::Json(Box::new(data::postable_silence())), BODY_BYTES_MAX)
            .answer(Answer::Json(data::silence_id())),
        read("/api/v2/silence/{id}", "silence", "One silence")
            .get(silences::get)
            .takes([SILENCE_ID])
            .answer(Answer::Json(data::gettable_silence())),
        Route::new(Access::Silence, "/api/v2/silence/{id}", "expireSilence", "Ends a silence")
            .on(&[Verb::Delete], silences::expire)
            .takes([SILENCE_ID])
            .also(200, "ended, and durable"),
        read("/api/v2/receivers", "receivers", "Names of receivers")
            .get(alertmanager::receivers)
            .plain()
            .answer(Answer::Json(data::receivers())),
    ]
}

fn outside() -> Vec<Route> {
    let plain = Answer::Bytes(&["text/plain"]);
    let server = |access, path, id, summary| Route::new(access, path, id, summary);
    vec![
        server(Access::None, "/-/healthy", "healthy", "The process lives")
            .get(lifecycle::healthy)
            .plain()
            .answer(plain.clone())
            .early(),
        server(Access::None, "/-/ready", "ready", "All rooms have started")
            .get(lifecycle::ready)
            .plain()
            .answer(plain.clone())
            .early(),
        server(Access::Admin, "/-/reload", "reload", "Reads the configuration again")
            .post_put(lifecycle::reload)
            .answer(plain)
            .early(),
        server(Access::Admin, "/-/quit", "quit", "Ends the process, if that is allowed")
            .post_put(lifecycle::quit)
            .answer(Answer::Bytes(&["text/plain"])),
        server(Access::Read, "/metrics", "metrics", "Own metrics")
            .get(lifecycle::metrics)
            .answer(Answer::Bytes(&["text/plain"])),
        server(Access::Read, "/federate", "federate", "Newest samples as a page to scrape")
            .get(federate::federate)
            .narrowed()
            .takes([MATCH])
            .answer(Answer::Bytes(&["text/plain", "application/openmetrics-text"])),
        server(Access::None, "/version", "version", "Who answers")
            .get(lifecycle::version)
            .plain()
            .answer(Answer::Json(data::version()))
            .early(),
    ]
}

fn pages() -> Vec<Route> {
    let page = |path, id| {
        Route::new(Access::None, path, id, "The page")
            .get(ui::page)
            .plain()
            .answer(Answer::Bytes(&["text/html"]))
            .early()
    };
    vec![
        page("/", "pageHome"),
        page("/graph", "pageGraph"),
        page("/alerts", "pageAlerts"),
        Route::new(Access::None, "/docs", "pageDocs", "The page that shows this document")
            .get(ui::docs)
            .plain()
            .answer(Answer::Bytes(&["text/html"]))
            .early(),
        Route::new(Access::None, "/ui/{file}", "pageFile", "The page's script and style")
            .get(ui::file)
            .plain()
            .takes([Parameter::path("file", Kind::Text, "The file's name.")])
            .answer(Answer::Bytes(&["text/javascript", "text/css"]))
            .early(),
    ]
}
