//! Dashboard: Belfry itself. A catalogue.

use super::dashboard::Kind::{Graph, Stat, Table};
use super::dashboard::{Dashboard, Row, panel};

/// The description.
pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "belfry-self",
        title: "Belfry",
        tag: "self",
        anchor: "belfry_build_info",
        variables: &[],
        rows: vec![well(), intake(), store(), queries(), rules(), targets()],
    }
}

fn well() -> Row {
    let panels = vec![
        panel(
            Stat,
            ("Takes samples", "0 while the disk is full or the store waits."),
            "short",
            &[("1 - max(belfry_store_unavailable{@})", "")],
        )
        .alarm(1.0, 0.5),
        panel(
            Stat,
            ("Series", "Series the store knows."),
            "short",
            &[("sum(belfry_store_series{@})", "")],
        ),
        panel(
            Stat,
            ("Samples per second", "Samples that were stored."),
            "short",
            &[("sum(rate(belfry_store_samples_accepted_total{@}[$__rate_interval]))", "")],
        ),
        panel(
            Stat,
            ("Disk used", "Blocks and journal."),
            "bytes",
            &[("sum(belfry_store_block_bytes{@}) + sum(belfry_store_journal_bytes{@})", "")],
        ),
        panel(
            Stat,
            ("Alerts firing", "Alerts that the alert manager holds."),
            "short",
            &[("sum(belfry_alertmanager_alerts_firing{@})", "")],
        ),
        panel(
            Stat,
            ("Targets down", "Targets of all jobs whose last scrape failed."),
            "short",
            &[("count(up == 0) or vector(0)", "")],
        )
        .alarm(1.0, 5.0),
    ];
    Row { title: "Is it well?", panels }
}

fn intake() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Samples per second", "Stored, from scrapes and from senders."),
            "short",
            &[
                (
                    "rate(belfry_store_samples_accepted_total{@}[$__rate_interval])",
                    "{{instance}} stored",
                ),
                (
                    "rate(belfry_collector_samples_accepted_total{@}[$__rate_interval])",
                    "{{instance}} scraped",
                ),
                (
                    "rate(belfry_push_samples_received_total{@}[$__rate_interval])",
                    "{{instance}} pushed",
                ),
            ],
        ),
        panel(
            Graph,
            ("Refused samples per second", "By reason; sending them again can't help."),
            "short",
            &[(
                "sum by (reason) (rate(belfry_store_samples_refused_total{@}[$__rate_interval]))",
                "{{reason}}",
            )],
        ),
        panel(
            Graph,
            ("Scrapes per second", "All, and those that failed."),
            "short",
            &[
                ("rate(belfry_collector_scrapes_total{@}[$__rate_interval])", "{{instance}} all"),
                (
                    "rate(belfry_collector_scrapes_failed_total{@}[$__rate_interval])",
                    "{{instance}} failed",
                ),
            ],
        ),
        panel(
            Graph,
            ("New series per second", "Many of them mean labels that change too often."),
            "short",
            &[("rate(belfry_store_series_created_total{@}[$__rate_interval])", "{{instance}}")],
        ),
    ];
    Row { title: "Intake", panels }
}

fn store() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Disk", "Blocks, and the journal before them."),
            "bytes",
            &[
                ("belfry_store_block_bytes{@}", "{{instance}} blocks"),
                ("belfry_store_journal_bytes{@}", "{{instance}} journal"),
            ],
        ),
        panel(
            Graph,
            ("Memory of samples and labels", "What is not in blocks yet, and the index."),
            "bytes",
            &[
                ("belfry_store_memtable_bytes{@}", "{{instance}} samples"),
                ("belfry_store_registry_bytes{@}", "{{instance}} labels"),
            ],
        ),
        panel(
            Graph,
            ("Memory and descriptors of the process", "As the system counts them."),
            "bytes",
            &[("process_resident_memory_bytes{@}", "{{instance}} resident")],
        ),
        panel(
            Graph,
            ("Trouble", "Damaged files set aside, failed flushes and merges."),
            "short",
            &[
                ("belfry_store_damaged{@}", "{{instance}} damaged"),
                (
                    "increase(belfry_store_flush_failures_total{@}[$__rate_interval])",
                    "{{instance}} flushes",
                ),
                (
                    "increase(belfry_store_compaction_failures_total{@}[$__rate_interval])",
                    "{{instance}} merges",
                ),
            ],
        ),
    ];
    Row { title: "Store", panels }
}

fn queries() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Queries now", "Those that are evaluated, and those that wait for a place."),
            "short",
            &[
                ("belfry_query_running{@}", "{{instance}} running"),
                ("belfry_query_waiting{@}", "{{instance}} waiting"),
            ],
        ),
        panel(
            Graph,
            ("Queries per second", "By outcome; refused ones met a limit."),
            "short",
            &[(
                "sum by (outcome) (rate(belfry_query_ended_total{@}[$__rate_interval]))",
                "{{outcome}}",
            )],
        ),
        panel(
            Graph,
            ("Slow queries", "The slowest hundredth: waiting, reading the text, evaluating."),
            "s",
            &[(
                "histogram_quantile(0.99, sum by (slice, le) \
                 (rate(belfry_query_duration_seconds_bucket{@}[$__rate_interval])))",
                "{{slice}}",
            )],
        ),
        panel(
            Graph,
            ("Memory of queries", "What all of them hold."),
            "bytes",
            &[("belfry_query_memory_bytes{@}", "{{instance}}")],
        ),
        panel(
            Graph,
            ("Requests per second", "Of the web server, by HTTP status."),
            "short",
            &[("sum by (code) (rate(belfry_web_requests_total{@}[$__rate_interval]))", "{{code}}")],
        ),
    ];
    Row { title: "Queries", panels }
}

fn rules() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Rules evaluated per second", "All, failed, and rounds that were missed."),
            "short",
            &[
                (
                    "rate(belfry_rules_evaluations_total{@}[$__rate_interval])",
                    "{{instance}} evaluated",
                ),
                (
                    "rate(belfry_rules_evaluation_failures_total{@}[$__rate_interval])",
                    "{{instance}} failed",
                ),
                (
                    "rate(belfry_rules_iterations_missed_total{@}[$__rate_interval])",
                    "{{instance}} missed",
                ),
            ],
        ),
        panel(
            Graph,
            ("Notifications waiting", "Not delivered yet."),
            "short",
            &[("belfry_alertmanager_undelivered{@}", "{{instance}}")],
        ),
    ];
    Row { title: "Alarms", panels }
}

fn targets() -> Row {
    let panels = vec![
        panel(Table, ("Targets", "1 when the last scrape worked."), "short", &[("sort(up)", "")]),
        panel(
            Graph,
            ("Slowest scrapes", "The ten that take longest."),
            "s",
            &[("topk(10, scrape_duration_seconds)", "{{job}} {{instance}}")],
        ),
        panel(
            Graph,
            ("Largest targets", "The ten with most samples."),
            "short",
            &[("topk(10, scrape_samples_scraped)", "{{job}} {{instance}}")],
        ),
    ];
    Row { title: "Targets", panels }
}
