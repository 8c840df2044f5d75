//! The queries' counters as metrics: the engine, what has ended, the cost of panels.
//!
//! Not here: when they are asked (`self_metrics`), the query log.

use model::exporter::{Family, MetricKind};
use query::Engine;
use query::cost::{Cost, Costs};
use query::tally::Counts;

use crate::telemetry::{counter, gauge};

/// What runs and waits now, and how much of it may.
pub fn engine(engine: &Engine) -> Vec<Family> {
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

/// What became of queries, and how long their parts took.
pub fn ended(counts: &Counts) -> Vec<Family> {
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
pub fn panels(costs: &Costs) -> Vec<Family> {
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
