//! The rooms' counters as metrics. A catalogue: one function per room.

use std::sync::Arc;

use dashboards::Requests;
use dashboards::access::Access;
use model::exporter::{Family, MetricKind};
use query::Engine;
use query::cost::{Cost, Costs};
use query::tally::Counts;

use super::Rooms;
use crate::cli::VERSION;
use crate::telemetry::{counter, counters, gauge, process_families};

/// Registers every room that runs.
pub fn add(rooms: &Rooms) {
    rooms.metrics.add(Box::new(|| {
        let help = "A metric with a constant '1' value labeled by version.";
        let mut build = Family::new("belfry_build_info", MetricKind::Gauge, help);
        build.sample(&[("version", VERSION)], 1.0);
        let mut families = vec![build];
        families.extend(process_families());
        families
    }));
    if let Some(store) = rooms.store.as_ref().map(Arc::clone) {
        rooms.metrics.add(Box::new(move || store_families(&store.stats())));
    }
    if let Some(engine) = rooms.engine.as_ref().map(Arc::clone) {
        let (costs, log) = (Arc::clone(&rooms.costs), rooms.query_log.clone());
        let tally = Arc::clone(&rooms.tally);
        rooms.metrics.add(Box::new(move || {
            let mut families = engine_families(&engine);
            families.extend(query_families(&tally.counts()));
            families.extend(cost_families(&costs));
            families.extend(log.as_ref().map(|log| {
                let help = "Lines of the query log that were lost because the disk was too slow.";
                counter("belfry_query_log_lines_lost_total", help, log.lost())
            }));
            families
        }));
    }
    if let Some(collector) = rooms.collector.as_ref().map(Arc::clone) {
        rooms.metrics.add(Box::new(move || collector_families(&collector.stats())));
    }
    if let Some(receiver) = rooms.receiver.as_ref().map(Arc::clone) {
        rooms.metrics.add(Box::new(move || push_families(&receiver.stats())));
    }
    if let Some(rules) = rooms.rules.as_ref().map(Arc::clone) {
        rooms.metrics.add(Box::new(move || rules_families(&rules.stats())));
    }
    if let Some(alertmanager) = rooms.alertmanager.as_ref().map(Arc::clone) {
        rooms.metrics.add(Box::new(move || alertmanager_families(&alertmanager.stats())));
    }
}

/// Registers the web server.
pub fn add_front(rooms: &Rooms, access: Arc<Access>, requests: Arc<Requests>) {
    rooms.metrics.add(Box::new(move || {
        [access_families(&access.stats()), request_families(&requests)].concat()
    }));
}

/// Whether and when the configuration was last taken.
pub fn config_families(status: &dashboards::parts::Status) -> Vec<Family> {
    vec![
        gauge(
            "belfry_config_last_reload_successful",
            "1 when the last configuration that was read was taken.",
            f64::from(u8::from(status.reload_ok)),
        ),
        gauge(
            "belfry_config_last_reload_success_timestamp_seconds",
            "When a configuration was last taken.",
            status.config_at_ms as f64 / 1000.0,
        ),
    ]
}

/// Who came to the web server, and who was turned away.
fn access_families(stats: &dashboards::access::Stats) -> Vec<Family> {
    let help = "Requests of the web server that were refused, by reason.";
    let refused = [
        ("login", stats.logins_failed),
        ("limit", stats.requests_limited),
        ("forbidden", stats.requests_forbidden),
    ];
    let mut families = vec![
        counters("belfry_web_refused_total", help, "reason", refused),
        counter(
            "belfry_web_passwords_checked_total",
            "Passwords that were checked, right or wrong.",
            stats.passwords_checked,
        ),
        gauge("belfry_web_connections", "Connections open now.", stats.connections as f64),
        counter(
            "belfry_web_connections_accepted_total",
            "Connections that were accepted.",
            stats.connections_accepted,
        ),
        counter(
            "belfry_web_handshakes_failed_total",
            "TLS handshakes that failed.",
            stats.handshakes_failed,
        ),
        gauge(
            "belfry_web_access_current",
            "1 when the newest files of users, tokens and certificates are in force.",
            f64::from(u8::from(stats.is_current)),
        ),
    ];
    if let Some(ends_at_ms) = stats.certificate_ends_at_ms {
        families.push(gauge(
            "belfry_web_certificate_expiry_timestamp_seconds",
            "When the web server's certificate ends.",
            ends_at_ms as f64 / 1000.0,
        ));
    }
    families
}

/// What the routes of the web server answered. There are as many series as routes that were asked.
fn request_families(requests: &Requests) -> Vec<Family> {
    let mut answered = Family::new(
        "belfry_web_requests_total",
        MetricKind::Counter,
        "Requests of the web server, by route and HTTP status.",
    );
    let mut durations = Family::new(
        "belfry_web_request_duration_seconds",
        MetricKind::Histogram,
        "How long it took until an answer began, by route.",
    );
    for (handler, answers) in requests.answers() {
        for (code, count) in &answers.by_code {
            let code = code.to_string();
            answered.sample(&[("code", &code), ("handler", handler)], *count as f64);
        }
        answers.durations.show(&mut durations, &[("handler", handler)]);
    }
    vec![answered, durations]
}

fn engine_families(engine: &Engine) -> Vec<Family> {
    let settings = engine.settings();
    let of = |name: &str, help: &str, count: usize| gauge(name, help, count as f64);
    vec![
        of("belfry_query_running", "Queries that are evaluated now.", engine.evaluated()),
        of("belfry_query_running_max", "Queries that may be at once.", settings.concurrent_max),
        of("belfry_query_waiting", "Queries that wait for a place now.", engine.waiting()),
        of(
            "belfry_query_waiting_max",
            "Queries that may wait; more are refused.",
            settings.queue_max,
        ),
        of("belfry_query_memory_bytes", "Memory that all queries hold now.", engine.memory_bytes()),
        of(
            "belfry_query_memory_max_bytes",
            "Memory that all queries may hold.",
            engine.memory_bytes_max(),
        ),
    ]
}

fn query_families(counts: &Counts) -> Vec<Family> {
    let mut ended = Family::new(
        "belfry_query_ended_total",
        MetricKind::Counter,
        "Queries that have ended, by language and outcome.",
    );
    for ((language, outcome), count) in &counts.ended {
        ended.sample(&[("language", *language), ("outcome", *outcome)], *count as f64);
    }
    let mut durations = Family::new(
        "belfry_query_duration_seconds",
        MetricKind::Histogram,
        "How long the parts of queries took.",
    );
    for (slice, own) in [
        ("queue_time", &counts.queue),
        ("prepare_time", &counts.prepare),
        ("inner_eval", &counts.eval),
    ] {
        own.show(&mut durations, &[("slice", slice)]);
    }
    let samples = "Samples that went into the answers of queries.";
    vec![ended, durations, counter("belfry_query_samples_total", samples, counts.samples)]
}

/// What panels of dashboards have cost; their number is bounded.
fn cost_families(costs: &Costs) -> Vec<Family> {
    let all = costs.all();
    let family = |name: &str, help: &str, value: fn(&Cost) -> f64| {
        let mut family = Family::new(name, MetricKind::Counter, help);
        for (panel, cost) in &all {
            let labels = [("dashboard_uid", panel.dashboard.as_str()), ("panel_id", &panel.panel)];
            family.sample(&labels, value(cost));
        }
        family
    };
    vec![
        family("belfry_panel_queries_total", "Queries of dashboard panels.", |own| {
            own.queries as f64
        }),
        family("belfry_panel_query_failures_total", "Those that failed.", |own| {
            own.failures as f64
        }),
        family("belfry_panel_samples_total", "Samples that went into their answers.", |own| {
            own.samples as f64
        }),
        family("belfry_panel_seconds_total", "Seconds that they were evaluated for.", |own| {
            own.seconds
        }),
    ]
}

fn store_families(stats: &storage::Stats) -> Vec<Family> {
    [store_memory(stats), store_blocks(stats), store_state(stats), store_counts(stats)].concat()
}

fn store_memory(stats: &storage::Stats) -> Vec<Family> {
    vec![
        gauge("belfry_store_series", "Series the store knows.", stats.series as f64),
        gauge(
            "belfry_store_series_ended",
            "Known series without a sample for long: they do not count against limits.",
            stats.series_ended as f64,
        ),
        gauge(
            "belfry_store_registry_bytes",
            "Memory for labels and numbers of series.",
            stats.registry_bytes as f64,
        ),
        series_refused(stats),
        gauge(
            "belfry_store_memtable_samples",
            "Samples that are not in a block yet.",
            stats.samples_in_memtable as f64,
        ),
        gauge(
            "belfry_store_memory_histograms",
            "Native histograms that are not in a block yet.",
            stats.histograms_in_memory as f64,
        ),
        gauge("belfry_store_exemplars", "Exemplars in memory.", stats.exemplars as f64),
        gauge("belfry_store_memtable_bytes", "Memory of those.", stats.memtable_bytes as f64),
    ]
}

fn store_blocks(stats: &storage::Stats) -> Vec<Family> {
    vec![
        gauge("belfry_store_blocks", "Blocks on disk.", stats.blocks as f64),
        gauge("belfry_store_block_bytes", "Bytes of all blocks.", stats.block_bytes as f64),
        gauge(
            "belfry_store_tombstones",
            "Deletions that are not carried out everywhere yet.",
            stats.tombstones as f64,
        ),
        gauge(
            "belfry_store_upkeep_failing",
            "1 while blocks can't be merged or dropped, or the flusher has ended.",
            f64::from(u8::from(stats.upkeep_failure.is_some())),
        ),
        counter(
            "belfry_store_compactions_total",
            "Merges of blocks, rewritings for deletions included.",
            stats.compactions_count,
        ),
        counter(
            "belfry_store_compaction_failures_total",
            "Merges that failed and are tried again.",
            stats.compaction_failures_count,
        ),
        counter(
            "belfry_store_compacted_bytes_total",
            "Bytes of blocks that merges wrote.",
            stats.compacted_bytes,
        ),
        counters(
            "belfry_store_blocks_dropped_total",
            "Blocks dropped by retention, by reason.",
            "reason",
            [
                ("age", stats.blocks_dropped_by_age_count),
                ("size", stats.blocks_dropped_by_size_count),
            ],
        ),
    ]
}

fn store_state(stats: &storage::Stats) -> Vec<Family> {
    let unavailable = f64::from(u8::from(stats.unavailable.is_some()));
    vec![
        gauge("belfry_store_journal_bytes", "Bytes of the journal.", stats.journal_bytes as f64),
        gauge("belfry_store_damaged", "Damaged files set aside.", stats.damaged.len() as f64),
        gauge("belfry_store_unavailable", "1 while the store takes no samples.", unavailable),
    ]
}

fn store_counts(stats: &storage::Stats) -> Vec<Family> {
    let refused = stats.refused.iter().map(|(reason, count)| (reason.as_str(), *count));
    vec![
        counter(
            "belfry_store_samples_accepted_total",
            "Samples that are durable.",
            stats.samples_accepted_count,
        ),
        counter(
            "belfry_store_histograms_accepted_total",
            "Native histograms that are durable.",
            stats.histograms_accepted_count,
        ),
        counter(
            "belfry_store_exemplars_accepted_total",
            "Exemplars that are durable.",
            stats.exemplars_accepted_count,
        ),
        counter("belfry_store_commits_total", "Commits to the journal.", stats.commits_count),
        counter(
            "belfry_store_series_created_total",
            "Series that were new.",
            stats.series_created_count,
        ),
        counter(
            "belfry_store_flush_failures_total",
            "Flushes that failed and are tried again.",
            stats.flush_failures_count,
        ),
        counters(
            "belfry_store_samples_refused_total",
            "Samples refused, by reason.",
            "reason",
            refused,
        ),
    ]
}

/// The ten worst: a label per culprit that anybody can bring must not grow without end.
fn series_refused(stats: &storage::Stats) -> Family {
    let help = "Samples refused for a limit of series, by who brought them; the ten worst.";
    let mut family = Family::new("belfry_store_series_refused_total", MetricKind::Counter, help);
    for line in &stats.series_refused {
        let (culprit, limit) = (&line.culprit, line.culprit.limit.as_str());
        let labels =
            [("limit", limit), ("of_job", &culprit.job), ("of_instance", &culprit.instance)];
        family.sample(&labels, line.samples as f64);
    }
    family
}

fn collector_families(stats: &collector::Stats) -> Vec<Family> {
    let failed = stats.scrapes_failed.iter().map(|(reason, count)| (*reason, *count));
    let refused = stats.samples_refused.iter().map(|(reason, count)| (*reason, *count));
    vec![
        gauge("belfry_collector_targets", "Targets that are scraped.", stats.targets as f64),
        counter(
            "belfry_collector_scrapes_total",
            "Scrapes that ended with a page.",
            stats.scrapes_ok,
        ),
        counters(
            "belfry_collector_scrapes_failed_total",
            "Scrapes that failed, by reason.",
            "reason",
            failed,
        ),
        counter(
            "belfry_collector_samples_accepted_total",
            "Scraped samples the store took.",
            stats.samples_accepted,
        ),
        counters(
            "belfry_collector_samples_refused_total",
            "Scraped samples the store refused, by reason.",
            "reason",
            refused,
        ),
        gauge(
            "belfry_collector_waiting_bytes",
            "Bytes of scrapes that wait for the store.",
            stats.waiting_bytes as f64,
        ),
        counter(
            "belfry_collector_samples_dropped_total",
            "Samples given up because too many waited.",
            stats.samples_dropped,
        ),
    ]
}

fn push_families(stats: &collector::push::Stats) -> Vec<Family> {
    let mut requests = Family::new(
        "belfry_push_requests_total",
        MetricKind::Counter,
        "Requests that push samples, by message and HTTP status.",
    );
    for ((message, status), count) in &stats.requests {
        let labels = [("message", *message), ("status", &status.to_string())];
        requests.sample(&labels, *count as f64);
    }
    let mut refused = Family::new(
        "belfry_push_refused_total",
        MetricKind::Counter,
        "Pushed samples, histograms and exemplars that were refused, by reason.",
    );
    for ((column, reason), count) in &stats.refused {
        refused.sample(&[("column", *column), ("reason", *reason)], *count as f64);
    }
    let mut all = vec![
        requests,
        refused,
        counter(
            "belfry_push_received_bytes_total",
            "Bytes of bodies as they came.",
            stats.bytes_packed,
        ),
        counter("belfry_push_unpacked_bytes_total", "Bytes of bodies unpacked.", stats.bytes),
        counter(
            "belfry_push_samples_received_total",
            "Pushed samples that came, refused ones included.",
            stats.samples_received,
        ),
        counter(
            "belfry_push_histograms_received_total",
            "Pushed native histograms that came.",
            stats.histograms_received,
        ),
        counter(
            "belfry_push_exemplars_received_total",
            "Pushed exemplars that came.",
            stats.exemplars_received,
        ),
        counter(
            "belfry_push_families_told_total",
            "Metric families whose type, unit and help the store was told.",
            stats.families_told,
        ),
    ];
    all.extend(push_outcome(stats));
    all
}

fn push_outcome(stats: &collector::push::Stats) -> Vec<Family> {
    vec![
        counter("belfry_push_samples_stored_total", "Pushed samples stored.", stats.samples),
        counter(
            "belfry_push_histograms_stored_total",
            "Pushed native histograms stored.",
            stats.histograms,
        ),
        counter("belfry_push_exemplars_stored_total", "Pushed exemplars stored.", stats.exemplars),
        counter(
            "belfry_push_series_known_total",
            "Pushed series that were known by their raw bytes.",
            stats.series_known,
        ),
        counter(
            "belfry_push_series_described_total",
            "Pushed series whose labels had to be read.",
            stats.series_described,
        ),
        counter(
            "belfry_push_retries_total",
            "Requests sent to the store again because it had lost a series.",
            stats.retries,
        ),
        gauge(
            "belfry_push_cached_series",
            "Pushed series that are remembered.",
            stats.cached_series as f64,
        ),
        gauge("belfry_push_cache_bytes", "Memory of those.", stats.cache_bytes as f64),
    ]
}

fn rules_families(stats: &rules::Stats) -> Vec<Family> {
    vec![
        counter("belfry_rules_evaluations_total", "Rules evaluated.", stats.evaluations),
        counter(
            "belfry_rules_evaluation_failures_total",
            "Evaluations that ended with an error.",
            stats.evaluation_failures,
        ),
        counter(
            "belfry_rules_iterations_missed_total",
            "Group evaluations skipped because the one before was not over.",
            stats.iterations_missed,
        ),
        counter("belfry_rules_alerts_sent_total", "Alerts handed over.", stats.alerts_sent),
        counter(
            "belfry_rules_alerts_failed_total",
            "Alerts that were not taken and are tried again.",
            stats.alerts_failed,
        ),
    ]
}

fn alertmanager_families(stats: &alertmanager::Stats) -> Vec<Family> {
    let help = "Attempts to deliver, by kind of integration and outcome.";
    let mut attempts = Family::new("belfry_alertmanager_attempts_total", MetricKind::Counter, help);
    for ((integration, outcome), count) in &stats.attempts {
        attempts.sample(&[("integration", integration), ("outcome", outcome)], *count as f64);
    }
    vec![
        attempts,
        counter(
            "belfry_alertmanager_alerts_received_total",
            "Alerts taken, repetitions included.",
            stats.alerts_received,
        ),
        counter(
            "belfry_alertmanager_alerts_invalid_total",
            "Alerts refused because they are wrong.",
            stats.alerts_invalid,
        ),
        counter(
            "belfry_alertmanager_dead_letters_total",
            "Notifications given up.",
            stats.dead_letters,
        ),
        gauge("belfry_alertmanager_alerts_firing", "Alerts that fire.", stats.alerts_firing as f64),
        gauge(
            "belfry_alertmanager_undelivered",
            "Notifications that are decided and not delivered yet.",
            stats.undelivered as f64,
        ),
        counter(
            "belfry_alertmanager_log_failures_total",
            "Writes of the durable state that failed.",
            stats.log_failures,
        ),
    ]
}
