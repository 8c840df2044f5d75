//! The rooms' counters as metrics. A catalogue: one function per room.

/// What the engine and its queries do.
mod queries;
/// What the store holds.
mod store;

use std::sync::Arc;

use dashboards::Requests;
use dashboards::access::Access;
use model::exporter::{Family, MetricKind};

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
        rooms.metrics.add(Box::new(move || store::families(&store.stats())));
    }
    if let Some(engine) = rooms.engine.as_ref().map(Arc::clone) {
        let (costs, log) = (Arc::clone(&rooms.costs), rooms.query_log.clone());
        let tally = Arc::clone(&rooms.tally);
        rooms.metrics.add(Box::new(move || {
            let mut families = queries::engine(&engine);
            families.extend(queries::ended(&tally.counts()));
            families.extend(queries::panels(&costs));
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
