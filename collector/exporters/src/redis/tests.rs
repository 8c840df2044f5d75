//! The Redis exporter against recorded answers and against servers that it starts.

use std::process::Command;

use super::client::Replies;
use super::resp::{Value, parse};
use super::*;
use crate::config::Pace;
use crate::secret::Password;
use crate::testing::{
    Running, check_pack, data, data_text, free_port, names, page_series, series, silent_server,
    wait_for_port,
};

fn mapped(fixture: &str) -> std::collections::BTreeMap<String, f64> {
    let replies = Replies {
        info: data_text(&format!("redis-7.0/{fixture}.info-everything.txt")),
        config: vec![("maxmemory".into(), "67108864".into()), ("databases".into(), "16".into())],
        slowlog_length: Some(34),
        slowlog_last: Some((33, 535)),
        latency: vec![("command".into(), 1_795_173_361, 244)],
        ..Replies::default()
    };
    let mut families = Families::new();
    map::replies(&replies, &mut families).expect("the answers map");
    series(&families.into_list())
}

#[test]
fn recorded_answers_give_what_redis_exporter_gives() {
    let ours = mapped("primary");
    let theirs = page_series(&data_text("redis-7.0/redis_exporter-1.45.primary.prom"));
    // Names whose value the two must agree on: what does not move between the two askings.
    let still = [
        "redis_db_keys",
        "redis_config_maxmemory",
        "redis_max_clients",
        "redis_memory_max_bytes",
        "redis_errors_total",
        "redis_slowlog_",
        "redis_latency_spike",
        "redis_aof_enabled",
        "redis_rdb_last_bgsave_status",
        "redis_start_time_seconds",
        "redis_last_slow_execution",
        "redis_latest_fork_seconds",
        "redis_commands_total{cmd=\"config|set\"}",
        "redis_commands_duration_seconds_total{cmd=\"flushdb\"}",
    ];
    let mut compared = 0;
    for (key, value) in &theirs {
        if still.iter().any(|start| key.starts_with(start)) {
            let own = ours.get(key).unwrap_or_else(|| panic!("{key} is missing"));
            assert!((own - value).abs() <= value.abs() * 1e-9, "{key}: {own} and {value}");
            compared += 1;
        }
    }
    assert!(compared > 40, "only {compared} series compared");
    // Every name of theirs is one of ours, but for what only they can know.
    let name = |key: &str| key.split('{').next().unwrap_or("").to_owned();
    let names: std::collections::BTreeSet<String> = ours.keys().map(|key| name(key)).collect();
    let missing: Vec<String> = theirs
        .keys()
        .map(|key| name(key))
        .filter(|name| name.starts_with("redis_") && !name.starts_with("redis_exporter_"))
        // Keys and streams are not watched; config is given in part above.
        .filter(|name| {
            !["redis_key", "redis_stream", "redis_last_key_groups", "redis_target"]
                .iter()
                .any(|start| name.starts_with(start))
        })
        .filter(|name| name != "redis_up" && !name.starts_with("redis_config_"))
        .filter(|name| !names.contains(name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_replica_shows_its_primary() {
    let ours = mapped("replica");
    let primary = "{master_host=\"127.0.0.1\", master_port=\"26379\"}";
    assert_eq!(ours[&format!("redis_master_link_up{primary}")], 1.0);
    assert_eq!(ours[&format!("redis_slave_repl_offset{primary}")], 11_520_931.0);
    let primary = mapped("primary");
    let replica = "{slave_ip=\"127.0.0.1\", slave_port=\"26380\", slave_state=\"online\"}";
    assert_eq!(primary[&format!("redis_connected_slave_lag_seconds{replica}")], 1.0);
    assert_eq!(primary["redis_latency_percentiles_usec{cmd=\"scard\", quantile=\"99.9\"}"], 3.007);
}

#[test]
fn the_alarm_pack_uses_only_names_that_are_emitted() {
    let mut emitted = names(&mapped("primary"));
    emitted.extend(names(&mapped("replica")));
    emitted.insert("redis_up".to_owned());
    check_pack("redis", "redis_", &emitted);
}

#[test]
fn a_recorded_pipeline_is_read_to_its_end() {
    let bytes = std::fs::read(data("redis-7.0/resp2-pipeline.reply.bin")).expect("read");
    let mut rest = &bytes[..];
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (value, used) = parse(rest).expect("valid").expect("whole");
        values.push(value);
        rest = &rest[used..];
    }
    assert!(values.iter().any(|value| matches!(value, Value::Error(_))));
    assert_eq!(values.last(), Some(&Value::Number(34)));
    for cut in 0..bytes.len().min(600) {
        // A reply that has not arrived whole is not a mistake.
        parse(&bytes[..cut]).expect("a prefix is no mistake");
    }
}

#[track_caller]
fn check_refused(bytes: &[u8]) {
    assert!(parse(bytes).is_err(), "{bytes:?}");
}

#[test]
fn nonsense_is_refused_before_memory_is_taken() {
    check_refused(b"HTTP/1.1 400 Bad Request\r\n");
    check_refused(b"$99999999999\r\n");
    check_refused(b"*99999999\r\n");
    check_refused(b":x\r\n");
    check_refused(b"\r\n");
    check_refused(&b"*1\r\n".repeat(20));
}

fn config(port: u16) -> RedisConfig {
    RedisConfig {
        name: "test".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        username: None,
        password: Password::None,
        pace: Pace { interval_ms: 15_000, timeout_ms: 5_000 },
    }
}

fn start_server(port: u16, directory: &std::path::Path, extra: &[&str]) -> Running {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    command.arg("--dir").arg(directory).args(["--appendonly", "no"]).args(extra);
    let running = Running::start(&mut command, "redis-server");
    wait_for_port(port);
    running
}

async fn collect(exporter: &RedisExporter) -> std::collections::BTreeMap<String, f64> {
    series(&exporter.collect().await.expect("families"))
}

#[tokio::test]
async fn a_real_server_then_stopped() {
    let directory = tempfile::tempdir().expect("temp dir");
    let port = free_port();
    let server = start_server(port, directory.path(), &["--maxmemory", "64mb"]);
    let exporter = RedisExporter::new(config(port));
    collect(&exporter).await;
    let ours = collect(&exporter).await;
    assert_eq!(ours["redis_up"], 1.0);
    assert_eq!(ours["redis_exporter_last_scrape_error"], 0.0);
    assert_eq!(ours["redis_exporter_scrapes_total"], 2.0);
    assert_eq!(ours["redis_config_maxmemory"], 64.0 * 1024.0 * 1024.0);
    assert_eq!(ours["redis_memory_max_bytes"], 64.0 * 1024.0 * 1024.0);
    assert_eq!(ours["redis_config_maxclients"], 10_000.0);
    assert_eq!(ours["redis_db_keys{db=\"db15\"}"], 0.0);
    assert!(ours["redis_memory_used_bytes"] > 100_000.0);
    assert!(ours["redis_connected_clients"] >= 1.0);
    assert!(ours["redis_commands_total{cmd=\"info\"}"] >= 1.0);
    assert!(ours.contains_key("redis_slowlog_length"));
    assert!(ours.keys().any(|key| key.starts_with("redis_instance_info{")));
    server.stop();
    let ours = collect(&exporter).await;
    assert_eq!(ours["redis_up"], 0.0);
    assert!(!ours.contains_key("redis_connected_clients"));
}

#[tokio::test]
async fn a_password_is_needed_and_config_may_be_forbidden() {
    let directory = tempfile::tempdir().expect("temp dir");
    let port = free_port();
    let user = "user watcher on >hush ~* +info +ping +slowlog";
    let acl = directory.path().join("users.acl");
    std::fs::write(&acl, format!("user default off\n{user}\n")).expect("write the users");
    let acl = acl.to_str().expect("a plain path");
    let _server = start_server(port, directory.path(), &["--aclfile", acl]);

    let ours = collect(&RedisExporter::new(config(port))).await;
    assert_eq!(ours["redis_up"], 0.0, "no password");

    let file = directory.path().join("password");
    std::fs::write(&file, "hush\n").expect("write the password");
    let mut config = config(port);
    config.username = Some("watcher".to_owned());
    config.password = Password::File(file);
    let ours = collect(&RedisExporter::new(config.clone())).await;
    assert_eq!(ours["redis_up"], 1.0, "{ours:?}");
    assert!(!ours.contains_key("redis_config_maxmemory"));
    assert!(ours.contains_key("redis_slowlog_length"));

    config.password = Password::Inline("wrong".to_owned());
    let ours = collect(&RedisExporter::new(config)).await;
    assert_eq!(ours["redis_up"], 0.0, "wrong password");
    assert!(!ours.keys().any(|key| key.contains("wrong\"")), "{ours:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_down_before_the_deadline() {
    let (_listener, port) = silent_server();
    let mut config = config(port);
    config.pace.timeout_ms = 300;
    let started = std::time::Instant::now();
    let ours = collect(&RedisExporter::new(config)).await;
    assert_eq!(ours["redis_up"], 0.0);
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
}
