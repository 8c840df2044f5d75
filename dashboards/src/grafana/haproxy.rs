//! Dashboard: HAProxy. A catalogue.

use super::dashboard::Kind::{Graph, Stack, Stat, Table};
use super::dashboard::{Dashboard, Row, panel};

/// The description.
pub fn dashboard() -> Dashboard {
    Dashboard {
        uid: "belfry-haproxy",
        title: "HAProxy",
        tag: "haproxy",
        anchor: "haproxy_process_uptime_seconds",
        variables: &[("proxy", "haproxy_backend_status")],
        rows: vec![well(), traffic(), backends(), process()],
    }
}

fn well() -> Row {
    let panels = vec![
        panel(
            Stat,
            ("Sessions per second", "New sessions of all frontends."),
            "short",
            &[("sum(rate(haproxy_frontend_sessions_total{@}[$__rate_interval]))", "")],
        ),
        panel(
            Stat,
            ("Open sessions", "Sessions that frontends hold now."),
            "short",
            &[("sum(haproxy_frontend_current_sessions{@})", "")],
        ),
        panel(
            Stat,
            ("Servers down", "Servers whose checks fail."),
            "short",
            &[("sum(haproxy_server_status{@, state=\"DOWN\"})", "")],
        )
        .alarm(1.0, 2.0),
        panel(
            Stat,
            ("Servers up", "Servers whose checks succeed."),
            "short",
            &[("sum(haproxy_server_status{@, state=\"UP\"})", "")],
        ),
        panel(
            Stat,
            ("Waiting", "Requests that wait for a server."),
            "short",
            &[("sum(haproxy_backend_current_queue{@})", "")],
        )
        .alarm(1.0, 100.0),
        panel(
            Stat,
            ("Idle", "Time the busiest process had nothing to do."),
            "percent",
            &[("min(haproxy_process_idle_time_percent{@})", "")],
        )
        .alarm(30.0, 10.0),
    ];
    Row { title: "Is it well?", panels }
}

fn traffic() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Sessions per second by frontend", "Who is asked how often."),
            "short",
            &[(
                "rate(haproxy_frontend_sessions_total{@}[$__rate_interval])",
                "{{instance}} {{proxy}}",
            )],
        ),
        panel(
            Stack,
            (
                "Responses per second by class",
                "5xx are failures of the servers, 4xx of the clients.",
            ),
            "reqps",
            &[(
                "sum by (code) (rate(haproxy_frontend_http_responses_total{@}[$__rate_interval]))",
                "{{code}}",
            )],
        ),
        panel(
            Graph,
            ("Received per second", "From clients."),
            "Bps",
            &[(
                "rate(haproxy_frontend_bytes_in_total{@}[$__rate_interval])",
                "{{instance}} {{proxy}}",
            )],
        ),
        panel(
            Graph,
            ("Sent per second", "To clients."),
            "Bps",
            &[(
                "rate(haproxy_frontend_bytes_out_total{@}[$__rate_interval])",
                "{{instance}} {{proxy}}",
            )],
        ),
    ];
    Row { title: "Traffic", panels }
}

fn backends() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Time of the last requests", "Waiting, connecting, answering, averaged by backend."),
            "s",
            &[
                ("haproxy_backend_queue_time_average_seconds{@proxy}", "{{proxy}} queue"),
                ("haproxy_backend_connect_time_average_seconds{@proxy}", "{{proxy}} connect"),
                ("haproxy_backend_response_time_average_seconds{@proxy}", "{{proxy}} response"),
            ],
        ),
        panel(
            Graph,
            ("Errors per second", "Connections and answers that failed, and retries."),
            "short",
            &[
                (
                    "rate(haproxy_backend_connection_errors_total{@proxy}[$__rate_interval])",
                    "{{proxy}} connection",
                ),
                (
                    "rate(haproxy_backend_response_errors_total{@proxy}[$__rate_interval])",
                    "{{proxy}} response",
                ),
                (
                    "rate(haproxy_backend_retry_warnings_total{@proxy}[$__rate_interval])",
                    "{{proxy}} retries",
                ),
            ],
        ),
        panel(
            Graph,
            ("Active servers", "Servers that take requests, by backend."),
            "short",
            &[("haproxy_backend_active_servers{@proxy}", "{{proxy}}")],
        ),
        panel(
            Graph,
            ("Failed checks", "By server."),
            "short",
            &[(
                "increase(haproxy_server_check_failures_total{@proxy}[$__rate_interval])",
                "{{proxy}} {{server}}",
            )],
        ),
        panel(
            Table,
            ("Servers", "The state of each."),
            "short",
            &[("haproxy_server_status{@proxy} == 1", "")],
        ),
    ];
    Row { title: "Backends", panels }
}

fn process() -> Row {
    let panels = vec![
        panel(
            Graph,
            ("Connections", "Open now, and the most there may be."),
            "short",
            &[
                ("haproxy_process_current_connections{@}", "{{instance}} open"),
                ("haproxy_process_max_connections{@}", "{{instance}} limit"),
            ],
        ),
        panel(
            Graph,
            ("Idle", "Time the process had nothing to do."),
            "percent",
            &[("haproxy_process_idle_time_percent{@}", "{{instance}}")],
        ),
        panel(
            Graph,
            ("Uptime", "It falls at a restart or reload."),
            "s",
            &[("haproxy_process_uptime_seconds{@}", "{{instance}}")],
        ),
        panel(
            Graph,
            ("Scrape time", "How long reading the page takes."),
            "s",
            &[("scrape_duration_seconds{@}", "{{instance}}")],
        ),
    ];
    Row { title: "Process and exporter", panels }
}
