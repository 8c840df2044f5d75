//! Tables for the `exporters:` section.

use model::fields::{Problem, Problems};
use model::yaml;

use super::*;

fn read_text(text: &str) -> (Config, Vec<String>) {
    let node = yaml::parse(text).expect("yaml");
    let problems = Problems::new("belfry.yml");
    let config = read_node(&node, &problems);
    (config, problems.into_list().iter().map(Problem::to_string).collect())
}

#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let (_, problems) = read_text(text);
    assert_eq!(problems, expected, "{text}");
}

#[test]
fn nothing_written_watches_the_host() {
    let (config, problems) = read_text("");
    assert_eq!(problems, [""; 0]);
    assert_eq!(config, Config::default());
    assert!(config.host.enabled);
    assert_eq!(config.host.pace, Pace { interval_ms: 15_000, timeout_ms: 10_000 });
}

#[test]
fn everything_written() {
    let (config, problems) = read_text(
        "host: {enabled: false, interval: 30s, timeout: 5s, proc: /host/proc}\n\
         postgres:\n\
         - {name: orders, url: 'postgres://bel%40fry:p%3Aw@db1:6432/orders?sslmode=disable'}\n\
         - {host: /run/postgresql, user: belfry, password_file: /etc/pg, sslmode: disable}\n\
         redis:\n\
         - {address: 'cache1:6380', username: belfry, password: hush, tls: no}\n\
         - {address: '[::1]:6379', name: six}\n\
         haproxy:\n\
         - {url: 'http://lb1:8404'}\n\
         - {name: edge, socket: /run/haproxy/admin.sock}\n",
    );
    assert_eq!(problems, [""; 0]);
    assert!(!config.host.enabled);
    assert_eq!(config.host.proc, PathBuf::from("/host/proc"));
    let orders = &config.postgres[0];
    assert_eq!((orders.host.as_str(), orders.port), ("db1", 6432));
    assert_eq!((orders.user.as_str(), orders.dbname.as_str()), ("bel@fry", "orders"));
    assert_eq!(orders.password, Password::Inline("p:w".into()));
    assert_eq!(config.postgres[1].name, "/run/postgresql:5432");
    assert_eq!(config.postgres[1].password, Password::File("/etc/pg".into()));
    assert_eq!(config.redis[0].name, "cache1:6380");
    assert_eq!((config.redis[1].host.as_str(), config.redis[1].port), ("::1", 6379));
    assert_eq!(config.haproxy[0].name, "lb1:8404");
    let page = HaproxySource::Page { url: "http://lb1:8404/metrics".into() };
    assert_eq!(config.haproxy[0].source, page);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush") && !shown.contains("p:w"), "{shown}");
}

#[test]
fn mistakes_are_named_with_line_and_field() {
    check_refused(
        "hosts: {}\npostgres: {}\n",
        &[
            "belfry.yml:1: exporters.hosts: unknown field; did you mean \"host\"?",
            "belfry.yml:2: exporters.postgres: needs a list, but is a mapping",
        ],
    );
    check_refused(
        "postgres:\n- url: postgres://u:secret@h/db?sslmode=require\n",
        &[&format!("belfry.yml:2: exporters.postgres[0].url: {SSLMODE_MESSAGE}")],
    );
    check_refused(
        "postgres:\n- url: postgres://u:secret@h/db\n  password_file: /x\n",
        &["belfry.yml:2: exporters.postgres[0].url: holds a password besides password or \
           password_file; keep one"],
    );
    check_refused(
        "postgres:\n- url: mysql://h/db\n  host: h\n",
        &[
            "belfry.yml:2: exporters.postgres[0].url: needs an address such as \
             postgres://user@host:5432/database",
            "belfry.yml:3: exporters.postgres[0].host: is already part of url; keep one of the two",
        ],
    );
    check_refused(
        "postgres:\n- host: h\n  interval: 10s\n  timeout: 20s\n  port: 70000\n",
        &[
            "belfry.yml:2: exporters.postgres[0].user: is required",
            "belfry.yml:4: exporters.postgres[0].timeout: must be above 0s and at most the interval",
            "belfry.yml:5: exporters.postgres[0].port: needs a port between 1 and 65535, but is \
             70000",
        ],
    );
    check_refused(
        "redis:\n- address: redis://h\n  tls: true\n- address: a:1\n- address: a:1\n",
        &[
            "belfry.yml:2: exporters.redis[0].address: needs host:port, but is \"redis://h\"",
            "belfry.yml:2: exporters.redis: two entries are named \"a:1\"; give each its own name",
            "belfry.yml:3: exporters.redis[0].tls: is not supported; use a local TLS tunnel and \
             write tls: false",
        ],
    );
    check_refused(
        "haproxy:\n- name: none\n- {url: 'http://h/;csv'}\n- {socket: run}\n",
        &[
            "belfry.yml:2: exporters.haproxy[0].url: is required, or socket in its place",
            "belfry.yml:3: exporters.haproxy[1].url: is the CSV page; give HAProxy's own /metrics \
             page here, or its stats socket under socket",
            "belfry.yml:4: exporters.haproxy[2].socket: needs an absolute path such as \
             /run/haproxy/admin.sock",
        ],
    );
}
