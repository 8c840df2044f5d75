//! The HAProxy exporter against the native page of the same moment, and against real processes.

use std::os::unix::net::UnixListener;
use std::process::Command;

use super::*;
use crate::testing::{
    Running, check_pack, data_text, fetch, free_port, names, page_series, series, wait_for,
    wait_for_port,
};

#[test]
fn the_socket_gives_what_the_native_page_gives() {
    let mut families = Families::new();
    map::info(&data_text("haproxy-2.6/show-info.txt"), &mut families).expect("info maps");
    map::stat(&data_text("haproxy-2.6/show-stat.csv"), &mut families).expect("stat maps");
    let ours = series(&families.into_list());
    let theirs = page_series(&data_text("haproxy-2.6/metrics.prom"));

    let mut different = Vec::new();
    let mut equal = 0;
    for (key, value) in theirs.iter().filter(|(_, value)| !value.is_nan()) {
        match ours.get(key) {
            Some(own) if (own - value).abs() <= value.abs() * 1e-9 => equal += 1,
            own => different.push(format!("{key} {value} is {own:?}")),
        }
    }
    // The scrape of the page itself went through the stats frontend and moved the process counters.
    different
        .retain(|line| !line.contains("proxy=\"stats\"") && !line.starts_with("haproxy_process_"));
    assert_eq!(different, [""; 0]);
    assert!(equal > 600, "{equal} series are equal");
    let extra: Vec<&String> = ours.keys().filter(|key| !theirs.contains_key(*key)).collect();
    let newer = |key: &&&String| {
        !["_current_session_rate", "_active_servers", "_backup_servers", "_http_requests_total"]
            .iter()
            .any(|part| key.contains(part))
    };
    let extra: Vec<&&String> = extra.iter().filter(newer).collect();
    assert!(extra.is_empty(), "not on the native page: {extra:#?}");
}

#[test]
fn the_alarm_pack_uses_only_names_of_the_native_page_and_of_the_socket() {
    check_pack("haproxy", "haproxy_", &names(&page_series(&data_text("haproxy-2.6/metrics.prom"))));
    let mut families = Families::new();
    map::stat(&data_text("haproxy-2.6/show-stat.csv"), &mut families).expect("stat maps");
    check_pack("haproxy", "haproxy_", &names(&series(&families.into_list())));
}

#[track_caller]
fn check_status(status: &str, expected: &str) {
    let csv = format!("# pxname,svname,status,type,\napp,s1,{status},2,\n");
    let mut families = Families::new();
    map::stat(&csv, &mut families).expect("the line maps");
    let ones: Vec<String> = series(&families.into_list())
        .into_iter()
        .filter(|(key, value)| key.starts_with("haproxy_server_status") && *value == 1.0)
        .map(|(key, _)| key)
        .collect();
    let key = format!("haproxy_server_status{{proxy=\"app\", server=\"s1\", state={expected:?}}}");
    assert_eq!(ones, [key], "{status}");
}

#[test]
fn every_status_text_is_one_state() {
    check_status("UP", "UP");
    check_status("UP 1/3", "UP");
    check_status("no check", "UP");
    check_status("DOWN", "DOWN");
    check_status("DOWN 1/2", "DOWN");
    check_status("DOWN (agent)", "DOWN");
    check_status("MAINT", "MAINT");
    check_status("MAINT (via app/s2)", "MAINT");
    check_status("\"MAINT (resolution, twice)\"", "MAINT");
    check_status("DRAIN", "DRAIN");
    check_status("NOLB 1/2", "NOLB");
}

#[test]
fn an_answer_of_something_else_is_refused() {
    let mut families = Families::new();
    assert!(map::info("Unknown command.\n", &mut families).is_err());
    assert!(map::stat("Permission denied\n", &mut families).is_err());
}

fn configuration(directory: &std::path::Path, port: u16, server_port: u16) -> String {
    format!(
        "global\n  stats socket {}/h.sock mode 600 level user\n  maxconn 64\n\
         defaults\n  mode http\n  timeout connect 1s\n  timeout client 2s\n  timeout server 2s\n\
         frontend web\n  bind 127.0.0.1:{port}\n\
         \x20 http-request use-service prometheus-exporter if {{ path /metrics }}\n\
         \x20 default_backend app\n\
         backend app\n  server one 127.0.0.1:{server_port} check inter 100ms fall 1\n",
        directory.display()
    )
}

#[tokio::test]
async fn a_real_process_then_stopped() {
    let directory = tempfile::tempdir().expect("temp dir");
    let (port, dead_port) = (free_port(), free_port());
    let file = directory.path().join("haproxy.cfg");
    std::fs::write(&file, configuration(directory.path(), port, dead_port)).expect("write");
    let mut command = Command::new("/usr/sbin/haproxy");
    let server = Running::start(command.arg("-db").arg("-f").arg(&file), "haproxy");
    wait_for_port(port);
    wait_for("the dead server's check", || {
        fetch(port, "/metrics")
            .contains("haproxy_server_status{proxy=\"app\",server=\"one\",state=\"DOWN\"} 1")
    });
    let theirs = page_series(&fetch(port, "/metrics"));

    let exporter = HaproxyExporter::new(directory.path().join("h.sock"), 5_000);
    let ours = series(&exporter.collect().await.expect("families"));
    assert_eq!(ours["haproxy_process_max_connections"], 64.0);
    assert_eq!(ours["haproxy_backend_active_servers{proxy=\"app\"}"], 0.0);
    assert_eq!(ours["haproxy_backend_status{proxy=\"app\", state=\"DOWN\"}"], 1.0);
    assert!(ours["haproxy_frontend_http_requests_total{proxy=\"web\"}"] >= 1.0);
    let missing: Vec<&String> = theirs
        .iter()
        .filter(|(key, value)| !value.is_nan() && !ours.contains_key(*key))
        .map(|(key, _)| key)
        .collect();
    assert!(missing.is_empty(), "the native page has and we have not: {missing:#?}");

    server.stop();
    let error = exporter.collect().await.expect_err("it is gone");
    assert!(error.contains("h.sock"), "{error}");
}

#[tokio::test]
async fn a_socket_that_never_answers_is_an_error_before_the_deadline() {
    let directory = tempfile::tempdir().expect("temp dir");
    let path = directory.path().join("h.sock");
    let _listener = UnixListener::bind(&path).expect("listen");
    let exporter = HaproxyExporter::new(path, 300);
    let started = std::time::Instant::now();
    let error = exporter.collect().await.expect_err("no answer");
    assert!(error.ends_with("no answer in time"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
}
