//! Replies to families.
//!
//! Place in the flow: `client` → replies → **families** → `redis`.
//!
//! Most fields of INFO map by name (`names`). Those that hold several values, or become labels,
//! have functions here. A field that nobody knows is skipped: new releases add some.
//!
//! Not here: the protocol.

use std::collections::BTreeMap;

use model::MetricKind;

use crate::families::Families;

use super::client::Replies;
use super::names::{CLUSTER_FIELDS, INFO_FIELDS};

/// Databases of a server that does not tell how many it has.
const DATABASES: usize = 16;
/// Most databases shown; each is three series.
const DATABASES_MAX: usize = 1024;

pub(super) fn replies(replies: &Replies, families: &mut Families) -> Result<(), String> {
    let info: BTreeMap<&str, &str> = fields(&replies.info).collect();
    if !info.contains_key("redis_version") && !info.contains_key("valkey_version") {
        return Err("INFO has no redis_version; is this a Redis server?".to_owned());
    }
    by_name(&info, INFO_FIELDS, families);
    instance(&info, families);
    replication(&info, families);
    for (field, value) in &info {
        statistics(field, value, families);
        if let Some(command) = field.strip_prefix("latency_percentiles_usec_") {
            let calls = info.get(format!("cmdstat_{command}").as_str());
            latency(command, value, calls.copied().unwrap_or(""), families);
        }
    }
    databases(&info, &replies.config, families);
    config(&replies.config, families);
    if let Some(text) = &replies.cluster_info
        && info.get("cluster_enabled") == Some(&"1")
    {
        by_name(&fields(text).collect(), CLUSTER_FIELDS, families);
    }
    slow(replies, families);
    Ok(())
}

fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(':'))
}

fn by_name(
    info: &BTreeMap<&str, &str>,
    names: &[(&str, &str, MetricKind)],
    families: &mut Families,
) {
    for (field, name, kind) in names {
        let Some(value) = info.get(field).and_then(|text| number(text)) else { continue };
        // The only field whose metric has another unit.
        let value = if *field == "latest_fork_usec" { value / 1e6 } else { value };
        families.add((name, *kind, &format!("{field} of the server.")), &[], value);
    }
}

/// A number, a status as 1 or 0, or nothing.
fn number(text: &str) -> Option<f64> {
    match text {
        "ok" => Some(1.0),
        "err" | "fail" => Some(0.0),
        _ => text.trim_end_matches('%').parse().ok(),
    }
}

fn instance(info: &BTreeMap<&str, &str>, families: &mut Families) {
    let text = |field: &str| info.get(field).copied().unwrap_or("");
    let fields = [
        "role",
        "redis_version",
        "redis_build_id",
        "redis_mode",
        "os",
        "maxmemory_policy",
        "tcp_port",
        "run_id",
        "process_id",
        "master_replid",
        "valkey_version",
    ];
    let labels: Vec<(&str, &str)> = fields
        .iter()
        .map(|field| (*field, text(field)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    families.gauge("redis_instance_info", "What the server is.", &labels, 1.0);
    let uptime = number(text("uptime_in_seconds"));
    let now = number(text("server_time_usec")).map(|microseconds| (microseconds / 1e6).trunc());
    if let (Some(uptime), Some(now)) = (uptime, now) {
        let help = "When the server started.";
        families.gauge("redis_start_time_seconds", help, &[], now - uptime);
    }
}

fn replication(info: &BTreeMap<&str, &str>, families: &mut Families) {
    let (Some(host), Some(port)) = (info.get("master_host"), info.get("master_port")) else {
        return;
    };
    let labels = [("master_host", *host), ("master_port", *port)];
    let up = info.get("master_link_status") == Some(&"up");
    let help = "Whether the link to the primary is up.";
    families.gauge("redis_master_link_up", help, &labels, f64::from(u8::from(up)));
    let gauges = [
        ("master_last_io_seconds_ago", "redis_master_last_io_seconds_ago"),
        ("master_sync_in_progress", "redis_master_sync_in_progress"),
        ("slave_repl_offset", "redis_slave_repl_offset"),
    ];
    for (field, name) in gauges {
        if let Some(value) = info.get(field).and_then(|text| number(text)) {
            families.gauge(name, &format!("{field} of the replica."), &labels, value);
        }
    }
    if let Some(read_only) = info.get("slave_read_only") {
        let labels = [labels[0], labels[1], ("read_only", *read_only)];
        families.gauge("redis_slave_info", "What the replica is.", &labels, 1.0);
    }
}

/// Fields of which there is one per command, error, replica.
fn statistics(field: &str, value: &str, families: &mut Families) {
    if let Some(command) = field.strip_prefix("cmdstat_") {
        command_statistics(command, value, families);
    } else if let Some(error) = field.strip_prefix("errorstat_") {
        if let Some(count) = part(value, "count").and_then(number) {
            let help = "Errors answered, by kind.";
            families.counter("redis_errors_total", help, &[("err", error)], count);
        }
    } else if is_numbered(field, "slave") {
        replica(value, families);
    }
}

/// A summary: quantiles from one field, sum and count from the command's other field.
fn latency(command: &str, value: &str, calls: &str, families: &mut Families) {
    let family = ("redis_latency_percentiles_usec", MetricKind::Summary, "Latency by command.");
    for (quantile, microseconds) in parts(value) {
        let Some(microseconds) = number(microseconds) else { continue };
        // 50, 99 and 99.9 as redis_exporter has them, not 0.5 and so on.
        let labels = [("cmd", command), ("quantile", quantile.trim_start_matches('p'))];
        families.add(family, &labels, microseconds);
    }
    for (suffix, key) in [("_sum", "usec"), ("_count", "calls")] {
        if let Some(value) = part(calls, key).and_then(number) {
            families.add_with_suffix(family, suffix, &[("cmd", command)], value);
        }
    }
}

fn command_statistics(command: &str, value: &str, families: &mut Families) {
    let labels = [("cmd", command)];
    let counters = [
        ("calls", "redis_commands_total", "Calls by command.", 1.0),
        ("usec", "redis_commands_duration_seconds_total", "Seconds by command.", 1e6),
        ("rejected_calls", "redis_commands_rejected_calls_total", "Calls refused.", 1.0),
        ("failed_calls", "redis_commands_failed_calls_total", "Calls that failed.", 1.0),
    ];
    for (key, name, help, divisor) in counters {
        if let Some(value) = part(value, key).and_then(number) {
            families.counter(name, help, &labels, value / divisor);
        }
    }
}

fn replica(value: &str, families: &mut Families) {
    let text = |key: &str| part(value, key).unwrap_or("");
    let labels =
        [("slave_ip", text("ip")), ("slave_port", text("port")), ("slave_state", text("state"))];
    if let Some(offset) = number(text("offset")) {
        let help = "Position that the replica confirmed.";
        families.gauge("redis_connected_slave_offset_bytes", help, &labels, offset);
    }
    // -1 means that it has not said anything yet.
    if let Some(lag) = number(text("lag")).filter(|lag| *lag >= 0.0) {
        let help = "Seconds since the replica last said something.";
        families.gauge("redis_connected_slave_lag_seconds", help, &labels, lag);
    }
}

/// `a=1,b=2`.
fn parts(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split(',').filter_map(|pair| pair.split_once('='))
}

fn part<'v>(value: &'v str, key: &str) -> Option<&'v str> {
    parts(value).find(|(own, _)| *own == key).map(|(_, text)| text)
}

fn is_numbered(field: &str, start: &str) -> bool {
    field
        .strip_prefix(start)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Databases without keys are absent from INFO; they are shown as empty.
fn databases(info: &BTreeMap<&str, &str>, config: &[(String, String)], families: &mut Families) {
    for (field, value) in info.iter().filter(|(field, _)| is_numbered(field, "db")) {
        let labels = [("db", *field)];
        let number = |key| part(value, key).and_then(number);
        if let Some(keys) = number("keys") {
            families.gauge("redis_db_keys", "Keys.", &labels, keys);
        }
        if let Some(expiring) = number("expires") {
            families.gauge("redis_db_keys_expiring", "Keys that expire.", &labels, expiring);
        }
        if let Some(milliseconds) = number("avg_ttl") {
            let help = "Average time to live.";
            families.gauge("redis_db_avg_ttl_seconds", help, &labels, milliseconds / 1e3);
        }
    }
    let told = config.iter().find(|(name, _)| name == "databases");
    let count = told.and_then(|(_, value)| value.parse().ok()).unwrap_or(DATABASES);
    let in_cluster = info.get("cluster_enabled") == Some(&"1");
    let count = if in_cluster { 1 } else { count.min(DATABASES_MAX) };
    for database in (0..count).map(|index| format!("db{index}")) {
        let labels = [("db", database.as_str())];
        if !info.contains_key(database.as_str()) {
            families.gauge("redis_db_keys", "Keys.", &labels, 0.0);
            families.gauge("redis_db_keys_expiring", "Keys that expire.", &labels, 0.0);
        }
    }
}

fn config(config: &[(String, String)], families: &mut Families) {
    let names = [
        ("maxmemory", "redis_config_maxmemory"),
        ("maxclients", "redis_config_maxclients"),
        ("io-threads", "redis_config_io_threads"),
    ];
    for (key, value) in config {
        let name = names.iter().find(|(own, _)| own == key);
        if let (Some((_, name)), Some(value)) = (name, number(value)) {
            families.gauge(name, &format!("Setting {key}."), &[], value);
        }
    }
}

fn slow(replies: &Replies, families: &mut Families) {
    if let Some(length) = replies.slowlog_length {
        families.gauge("redis_slowlog_length", "Entries in the slow log.", &[], length as f64);
        let (last_id, microseconds) = replies.slowlog_last.unwrap_or((0, 0));
        let help = "Number of its newest entry.";
        families.gauge("redis_slowlog_last_id", help, &[], last_id as f64);
        let name = "redis_last_slow_execution_duration_seconds";
        families.gauge(name, "How long that entry took.", &[], microseconds as f64 / 1e6);
    }
    for (event, at, last_ms) in &replies.latency {
        let labels = [("event_name", event.as_str())];
        let help = "When the last spike was.";
        families.gauge("redis_latency_spike_last", help, &labels, *at as f64);
        let name = "redis_latency_spike_duration_seconds";
        families.gauge(name, "How long the last spike was.", &labels, *last_ms as f64 / 1e3);
    }
}
