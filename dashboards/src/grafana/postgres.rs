//! Dashboard: PostgreSQL. A catalogue.

use super::dashboard::Kind::{Graph, Stack, Stat, Table};
use super::dashboard::{Dashboard, Row, panel};

/// The description.
pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "belfry-postgres",
        title: "PostgreSQL",
        tag: "postgres",
        anchor: "pg_up",
        variables: &[("datname", "pg_stat_database_xact_commit")],
        rows: vec![well(), activity(), work(), cache(), space(), exporter()],
    }
}

fn well() -> Row {
    let panels = vec![
        panel(Stat, ("Up", "Servers that answer."), "short", &[("sum(pg_up{@})", "")]).alarm(1.0, 0.5),
        panel(Stat, ("Transactions per second", "Commits and rollbacks of all databases."), "short", &[
            ("sum(rate(pg_stat_database_xact_commit{@datname}[$__rate_interval])) + sum(rate(pg_stat_database_xact_rollback{@datname}[$__rate_interval]))", ""),
        ]),
        panel(Stat, ("Connections used", "Share of the connections that the server allows."), "percent", &[
            ("max(100 * sum by (instance, job) (pg_stat_activity_count{@}) / on (instance, job) pg_settings_max_connections{@})", ""),
        ]).alarm(80.0, 90.0),
        panel(Stat, ("Cache hits", "Share of blocks that were in memory already."), "percent", &[
            ("100 * sum(pg_stat_database_blks_hit{@datname}) / (sum(pg_stat_database_blks_hit{@datname}) + sum(pg_stat_database_blks_read{@datname}))", ""),
        ]).alarm(95.0, 90.0),
        panel(Stat, ("Longest transaction", "Age of the oldest transaction that is open."), "s", &[
            ("max(pg_stat_activity_max_tx_duration{@})", ""),
        ]).alarm(300.0, 3600.0),
        panel(Stat, ("Wraparound", "Share of transaction numbers used by the oldest database."), "percent", &[
            ("max(100 * pg_database_wraparound_age_datfrozenxid_seconds{@} / 2147483648)", ""),
        ]).alarm(50.0, 75.0),
    ];
    Row { title: "Is it well?", panels }
}

fn activity() -> Row {
    let panels = vec![
        panel(
            Stack,
            ("Connections by state", "What clients are doing."),
            "short",
            &[("sum by (state) (pg_stat_activity_count{@})", "{{state}}")],
        ),
        panel(
            Graph,
            ("Connections by database", "Which database is used."),
            "short",
            &[(
                "sum by (instance, datname) (pg_stat_database_numbackends{@datname})",
                "{{instance}} {{datname}}",
            )],
        ),
        panel(
            Stack,
            ("Locks by mode", "Locks that are held or awaited."),
            "short",
            &[("sum by (mode) (pg_locks_count{@})", "{{mode}}")],
        ),
        panel(
            Graph,
            ("Longest transaction by state", "A long one keeps dead rows from being removed."),
            "s",
            &[(
                "max by (instance, state) (pg_stat_activity_max_tx_duration{@})",
                "{{instance}} {{state}}",
            )],
        ),
    ];
    Row { title: "Activity", panels }
}

fn work() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Commits and rollbacks per second", "Many rollbacks mean failing clients."),
            "ops",
            &[
                (
                    "sum by (instance) (rate(pg_stat_database_xact_commit{@datname}[$__rate_interval]))",
                    "{{instance}} commits",
                ),
                (
                    "sum by (instance) (rate(pg_stat_database_xact_rollback{@datname}[$__rate_interval]))",
                    "{{instance}} rollbacks",
                ),
            ],
        ),
        panel(
            Graph,
            ("Rows written per second", "Inserted, updated and deleted."),
            "ops",
            &[
                (
                    "sum by (instance) (rate(pg_stat_database_tup_inserted{@datname}[$__rate_interval]))",
                    "{{instance}} inserted",
                ),
                (
                    "sum by (instance) (rate(pg_stat_database_tup_updated{@datname}[$__rate_interval]))",
                    "{{instance}} updated",
                ),
                (
                    "sum by (instance) (rate(pg_stat_database_tup_deleted{@datname}[$__rate_interval]))",
                    "{{instance}} deleted",
                ),
            ],
        ),
        panel(
            Graph,
            ("Rows read per second", "Scanned, and given to clients."),
            "ops",
            &[
                (
                    "sum by (instance) (rate(pg_stat_database_tup_returned{@datname}[$__rate_interval]))",
                    "{{instance}} scanned",
                ),
                (
                    "sum by (instance) (rate(pg_stat_database_tup_fetched{@datname}[$__rate_interval]))",
                    "{{instance}} fetched",
                ),
            ],
        ),
        panel(
            Graph,
            ("Deadlocks and conflicts", "Transactions that were ended for another one's sake."),
            "short",
            &[
                (
                    "sum by (instance) (increase(pg_stat_database_deadlocks{@datname}[$__rate_interval]))",
                    "{{instance}} deadlocks",
                ),
                (
                    "sum by (instance) (increase(pg_stat_database_conflicts{@datname}[$__rate_interval]))",
                    "{{instance}} conflicts",
                ),
            ],
        ),
    ];
    Row { title: "Work", panels }
}

fn cache() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Cache hits", "Share of blocks that were in memory already."),
            "percentunit",
            &[(
                "sum by (instance) (rate(pg_stat_database_blks_hit{@datname}[$__rate_interval])) / (sum by (instance) (rate(pg_stat_database_blks_hit{@datname}[$__rate_interval])) + sum by (instance) (rate(pg_stat_database_blks_read{@datname}[$__rate_interval])) > 0)",
                "{{instance}}",
            )],
        ),
        panel(
            Graph,
            ("Temporary files per second", "Sorts and joins that did not fit into memory."),
            "Bps",
            &[(
                "sum by (instance) (rate(pg_stat_database_temp_bytes{@datname}[$__rate_interval]))",
                "{{instance}}",
            )],
        ),
    ];
    Row { title: "Cache and files", panels }
}

fn space() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Size of databases", "Tables and indexes."),
            "bytes",
            &[("pg_database_size_bytes{@datname}", "{{instance}} {{datname}}")],
        ),
        panel(
            Graph,
            ("Size of the write-ahead log", "It grows when a replica or the archive lags behind."),
            "bytes",
            &[("pg_wal_size_bytes{@}", "{{instance}}")],
        ),
        panel(
            Table,
            ("Databases", "By size."),
            "bytes",
            &[("sort_desc(pg_database_size_bytes{@datname})", "")],
        ),
    ];
    Row { title: "Space", panels }
}

fn exporter() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Time of each query of the exporter", "What watching the server costs."),
            "s",
            &[("pg_scrape_collector_duration_seconds{@}", "{{instance}} {{collector}}")],
        ),
        panel(
            Graph,
            (
                "Failed queries of the exporter",
                "1 while a query fails, usually for lack of rights.",
            ),
            "short",
            &[("1 - pg_scrape_collector_success{@}", "{{instance}} {{collector}}")],
        ),
    ];
    Row { title: "About the exporter", panels }
}
