//! Dashboard: Redis and Valkey. A catalogue.

use super::dashboard::Kind::{Graph, Stack, Stat};
use super::dashboard::{Dashboard, Row, panel};

/// The description.
pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "belfry-redis",
        title: "Redis",
        tag: "redis",
        anchor: "redis_up",
        variables: &[],
        rows: vec![well(), commands(), keys(), memory(), exporter()],
    }
}

fn well() -> Row {
    let panels = vec![
        panel(Stat, ("Up", "Servers that answer."), "short", &[("sum(redis_up{@})", "")])
            .alarm(1.0, 0.5),
        panel(
            Stat,
            ("Up since", "Time since the newest start."),
            "s",
            &[("min(redis_uptime_in_seconds{@})", "")],
        ),
        panel(
            Stat,
            ("Clients", "Connections, the exporter's included."),
            "short",
            &[("sum(redis_connected_clients{@})", "")],
        ),
        panel(
            Stat,
            ("Memory used", "All servers together."),
            "bytes",
            &[("sum(redis_memory_used_bytes{@})", "")],
        ),
        panel(
            Stat,
            ("Commands per second", "All servers together."),
            "short",
            &[("sum(rate(redis_commands_processed_total{@}[$__rate_interval]))", "")],
        ),
        panel(
            Stat,
            ("Rejected connections", "Connections beyond the limit, since the start."),
            "short",
            &[("sum(redis_rejected_connections_total{@})", "")],
        )
        .alarm(1.0, 100.0),
    ];
    Row { title: "Is it well?", panels }
}

fn commands() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Commands per second", "By server."),
            "ops",
            &[("rate(redis_commands_processed_total{@}[$__rate_interval])", "{{instance}}")],
        ),
        panel(
            Stack,
            ("Commands per second by name", "The ten most frequent ones."),
            "ops",
            &[(
                "topk(10, sum by (cmd) (rate(redis_commands_total{@}[$__rate_interval])))",
                "{{cmd}}",
            )],
        ),
        panel(
            Graph,
            ("Time per command", "By name, averaged."),
            "s",
            &[(
                "sum by (cmd) (rate(redis_commands_duration_seconds_total{@}[$__rate_interval])) / (sum by (cmd) (rate(redis_commands_total{@}[$__rate_interval])) > 0) or sum by (cmd) (redis_commands_duration_seconds_total{@}) / sum by (cmd) (redis_commands_total{@})",
                "{{cmd}}",
            )],
        ),
        panel(
            Graph,
            ("Network per second", "Bytes in and out."),
            "Bps",
            &[
                ("rate(redis_net_input_bytes_total{@}[$__rate_interval])", "{{instance}} in"),
                ("rate(redis_net_output_bytes_total{@}[$__rate_interval])", "{{instance}} out"),
            ],
        ),
    ];
    Row { title: "Commands", panels }
}

fn keys() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Hits and misses per second", "Look-ups of keys that were there, and that were not."),
            "ops",
            &[
                ("rate(redis_keyspace_hits_total{@}[$__rate_interval])", "{{instance}} hits"),
                ("rate(redis_keyspace_misses_total{@}[$__rate_interval])", "{{instance}} misses"),
            ],
        ),
        panel(
            Graph,
            ("Keys that went per second", "Expired by time, evicted for lack of memory."),
            "ops",
            &[
                ("rate(redis_expired_keys_total{@}[$__rate_interval])", "{{instance}} expired"),
                ("rate(redis_evicted_keys_total{@}[$__rate_interval])", "{{instance}} evicted"),
            ],
        ),
        panel(
            Graph,
            ("Keys by database", "How many keys there are."),
            "short",
            &[("redis_db_keys{@}", "{{instance}} {{db}}")],
        ),
        panel(
            Graph,
            ("Clients", "Connected, and waiting for data."),
            "short",
            &[
                ("redis_connected_clients{@}", "{{instance}} connected"),
                ("redis_blocked_clients{@}", "{{instance}} blocked"),
            ],
        ),
    ];
    Row { title: "Keys and clients", panels }
}

fn memory() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Memory", "For data, and as the system counts it."),
            "bytes",
            &[
                ("redis_memory_used_bytes{@}", "{{instance}} used"),
                ("redis_memory_used_rss_bytes{@}", "{{instance}} resident"),
                ("redis_memory_max_bytes{@} > 0", "{{instance}} limit"),
            ],
        ),
        panel(
            Graph,
            ("Changes since the last save", "What a crash would cost without an append-only file."),
            "short",
            &[("redis_rdb_changes_since_last_save{@}", "{{instance}}")],
        ),
    ];
    Row { title: "Memory and disk", panels }
}

fn exporter() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Scrape time", "How long reading the server takes."),
            "s",
            &[("scrape_duration_seconds{@}", "{{instance}}")],
        ),
        panel(
            Graph,
            ("Samples per scrape", "How much each server tells."),
            "short",
            &[("scrape_samples_scraped{@}", "{{instance}}")],
        ),
    ];
    Row { title: "About the exporter", panels }
}
