//! The PostgreSQL exporter against catalogue fixtures and against servers that it starts.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::queries::Mapping;
use super::rows::Rows;
use super::*;
use crate::config::Pace;
use crate::secret::Password;
use crate::testing::{
    Running, check_pack, data_text, free_port, names, series, silent_server, wait_for,
    wait_for_port,
};

/// Reads what `psql --csv` wrote; an empty cell is NULL.
fn csv(text: &str) -> Rows {
    let mut lines = Vec::new();
    let (mut line, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            other => cell.push(other),
        }
    }
    let columns = lines.remove(0);
    let optional = |cell: String| Some(cell).filter(|cell| !cell.is_empty());
    let rows = lines.into_iter().map(|line| line.into_iter().map(optional).collect()).collect();
    Rows { columns, rows }
}

#[track_caller]
fn check_map(collector: &str, version: u32, fixture: &str, expected: &[(&str, f64)]) {
    let query = QUERIES
        .iter()
        .find(|query| query.collector == collector && query.fits(version))
        .expect("a query for that version");
    let mut rows = csv(&data_text(&format!("postgres-15/{fixture}.csv")));
    // The fixture has the raw time; the query takes seconds out of it.
    rows.columns.iter_mut().filter(|name| name.ends_with("_reset")).for_each(String::clear);
    let mut families = Families::new();
    map::rows(query, &rows, &mut families).expect("the rows map");
    let ours = series(&families.into_list());
    for (key, value) in expected {
        assert_eq!(ours.get(*key), Some(value), "{key} in {ours:#?}");
    }
}

#[test]
fn fixtures_map_to_the_fields_names() {
    check_map(
        "stat_database",
        15,
        "primary.pg_stat_database",
        &[
            ("pg_stat_database_xact_commit{datid=\"16417\", datname=\"app\"}", 5935.0),
            ("pg_stat_database_deadlocks{datid=\"16417\", datname=\"app\"}", 1.0),
            ("pg_stat_database_temp_bytes{datid=\"16417\", datname=\"app\"}", 25_174_016.0),
            ("pg_stat_database_blk_read_time{datid=\"5\", datname=\"postgres\"}", 15.861),
        ],
    );
    check_map(
        "settings",
        15,
        "primary.pg_settings",
        &[
            ("pg_settings_max_connections", 60.0),
            ("pg_settings_shared_buffers_bytes", 134_217_728.0),
            ("pg_settings_wal_segment_size_bytes", 16_777_216.0),
            ("pg_settings_autovacuum_naptime_seconds", 60.0),
            ("pg_settings_log_min_duration_statement_seconds", 0.2),
            ("pg_settings_temp_file_limit_bytes", -1.0),
            ("pg_settings_fsync", 0.0),
        ],
    );
    check_map(
        "stat_bgwriter",
        15,
        "primary.pg_stat_bgwriter",
        &[
            ("pg_stat_bgwriter_checkpoints_req_total", 1.0),
            ("pg_stat_bgwriter_buffers_checkpoint_total", 3412.0),
            ("pg_stat_bgwriter_checkpoint_write_time_total", 25.0),
        ],
    );
    check_map(
        "stat_archiver",
        15,
        "primary.pg_stat_archiver",
        &[("pg_stat_archiver_failed_count", 30.0), ("pg_stat_archiver_archived_count", 0.0)],
    );
    check_map(
        "replication_slots",
        15,
        "primary.pg_replication_slots",
        &[
            ("pg_replication_slots_active{slot_name=\"orphan\"}", 0.0),
            ("pg_replication_slots_active{database=\"postgres\", slot_name=\"cdc\"}", 0.0),
            (
                "pg_replication_slots_safe_wal_size_bytes{slot_name=\"orphan\", \
                 slot_type=\"physical\"}",
                162_685_848.0,
            ),
        ],
    );
}

#[test]
fn every_version_has_one_query_per_collector() {
    for version in 12..=19 {
        let mut collectors: Vec<&str> = QUERIES
            .iter()
            .filter(|query| query.fits(version))
            .map(|query| query.collector)
            .collect();
        collectors.sort_unstable();
        let count = collectors.len();
        collectors.dedup();
        assert_eq!(collectors.len(), count, "version {version}");
    }
}

#[test]
fn the_alarm_packs_use_only_names_that_are_emitted() {
    let mut emitted = std::collections::BTreeSet::new();
    let mut families = Families::new();
    for query in QUERIES {
        match query.mapping {
            Mapping::Settings => {
                let rows = csv(&data_text("postgres-15/primary.pg_settings.csv"));
                map::rows(query, &rows, &mut families).expect("the settings map");
            }
            Mapping::Columns(groups) => {
                let metrics = groups.iter().flat_map(|group| group.metrics);
                emitted.extend(metrics.map(|metric| metric.name.to_owned()));
            }
        }
    }
    map::outcome("wal", Duration::ZERO, true, &mut families);
    emitted.extend(names(&series(&families.into_list())));
    emitted.insert("pg_up".to_owned());
    check_pack("postgres", "pg_", &emitted);
    check_pack("belfry", "pg_", &emitted);
}

const PACKAGE: &str = "postgresql";

/// Where Debian puts the programs of its newest version.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders.filter(|folder| folder.join("postgres").exists()).max();
    newest.unwrap_or_else(|| panic!("no PostgreSQL server; install the Debian package {PACKAGE}"))
}

/// A PostgreSQL program, as the user postgres when the tests run as root: it refuses root.
fn program(name: &str) -> Command {
    let path = programs().join(name);
    if !rustix_is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
    command
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").expect("own process").uid() == 0
}

struct Server {
    running: Option<Running>,
    port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let directory = tempfile::tempdir().expect("temp dir");
        let everyone = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), everyone).expect("open the directory");
        let made = program("initdb")
            .arg("-D")
            .arg(directory.path().join("data"))
            .args(["-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions"])
            .output()
            .expect("run initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut server = Server { running: None, port: free_port(), directory };
        server.run();
        server
    }

    fn run(&mut self) {
        let mut command = program("postgres");
        command.arg("-D").arg(self.directory.path().join("data"));
        command.arg("-k").arg(self.directory.path());
        command.args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "fsync=off", "-c", "max_connections=33"]);
        self.running = Some(Running::start(&mut command, PACKAGE));
        wait_for_port(self.port);
        wait_for("the server", || self.try_sql("SELECT 1"));
    }

    fn stop(&mut self) {
        // The postmaster's children follow it at once with an immediate shutdown.
        let stopped = program("pg_ctl")
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(["stop", "-m", "immediate", "-w"])
            .output()
            .expect("run pg_ctl");
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        self.running.take().expect("it runs").stop();
    }

    fn try_sql(&self, sql: &str) -> bool {
        let mut command = program("psql");
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()]);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", sql]);
        command.output().expect("run psql").status.success()
    }

    #[track_caller]
    fn sql(&self, sql: &str) {
        assert!(self.try_sql(sql), "{sql}");
    }

    fn config(&self, user: &str) -> PostgresConfig {
        config(self.port, user)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.stop();
        }
    }
}

fn config(port: u16, user: &str) -> PostgresConfig {
    PostgresConfig {
        name: "test".to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        user: user.to_owned(),
        password: Password::None,
        dbname: "postgres".to_owned(),
        pace: Pace { interval_ms: 15_000, timeout_ms: 10_000 },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_as_a_monitor_then_stopped_then_back() {
    let mut server = Server::start();
    server.sql("CREATE ROLE belfry LOGIN IN ROLE pg_monitor");
    server.sql("CREATE TABLE orders (id smallserial PRIMARY KEY, t text)");
    server.sql("INSERT INTO orders (t) SELECT 'x' FROM generate_series(1, 1000)");
    server.sql("GRANT USAGE ON SEQUENCE orders_id_seq TO belfry");
    server.sql("SELECT pg_create_physical_replication_slot('orphan', true)");

    let exporter = PostgresExporter::new(server.config("belfry"));
    let ours = series(&exporter.collect().await.expect("families"));
    let failed: Vec<&String> = ours
        .iter()
        .filter(|(key, value)| key.starts_with("pg_scrape_collector_success") && **value != 1.0)
        .map(|(key, _)| key)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
    let value = |key: &str| *ours.get(key).unwrap_or_else(|| panic!("{key} in {ours:#?}"));
    assert_eq!(value("pg_up"), 1.0);
    assert_eq!(value("pg_exporter_last_scrape_error"), 0.0);
    assert_eq!(value("pg_settings_max_connections"), 33.0);
    assert!(value("pg_database_size_bytes{datname=\"postgres\"}") > 1e6);
    assert!(value("pg_stat_database_numbackends{datid=\"5\", datname=\"postgres\"}") >= 1.0);
    assert_eq!(value("pg_stat_activity_count{datname=\"postgres\", state=\"active\"}"), 0.0);
    assert!(value("pg_locks_count{datname=\"postgres\", mode=\"accesssharelock\"}") >= 1.0);
    assert_eq!(value("pg_replication_is_replica"), 0.0);
    assert_eq!(value("pg_replication_lag_seconds"), 0.0);
    assert_eq!(value("pg_replication_slots_active{slot_name=\"orphan\"}"), 0.0);
    assert!(value("pg_wal_segments") >= 1.0);
    assert!(value("pg_postmaster_start_time_seconds") > 1.7e9);
    let table = "{datname=\"postgres\", relname=\"orders\", schemaname=\"public\"}";
    assert!(value(&format!("pg_stat_user_tables_table_size_bytes{table}")) > 8192.0);
    let sequence = "{datname=\"postgres\", schemaname=\"public\", sequencename=\"orders_id_seq\"}";
    let used = value(&format!("pg_sequence_used_ratio{sequence}"));
    assert!((used - 1000.0 / 32767.0).abs() < 1e-9, "{used}");
    assert!(ours.keys().any(|key| key.starts_with("pg_static{") && key.contains("short_version")));

    server.stop();
    let started = std::time::Instant::now();
    let ours = series(&exporter.collect().await.expect("families"));
    assert_eq!(ours["pg_up"], 0.0);
    assert_eq!(ours["pg_exporter_last_scrape_error"], 1.0);
    assert_eq!(ours["pg_exporter_scrapes_total"], 2.0);
    assert!(started.elapsed() < Duration::from_secs(10));

    server.run();
    let ours = series(&exporter.collect().await.expect("families"));
    assert_eq!(ours["pg_up"], 1.0, "it connects again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_role_loses_only_what_it_may_not_see() {
    let server = Server::start();
    server.sql("CREATE ROLE nobody LOGIN");
    let exporter = PostgresExporter::new(server.config("nobody"));
    let ours = series(&exporter.collect().await.expect("families"));
    assert_eq!(ours["pg_up"], 1.0);
    assert_eq!(ours["pg_scrape_collector_success{collector=\"wal\"}"], 0.0);
    assert_eq!(ours["pg_scrape_collector_success{collector=\"stat_database\"}"], 1.0);
    assert_eq!(ours["pg_exporter_last_scrape_error"], 1.0);
}

#[tokio::test]
async fn a_server_that_never_answers_is_down_before_the_deadline() {
    let (_listener, port) = silent_server();
    let mut config = config(port, "belfry");
    config.pace.timeout_ms = 400;
    let exporter = PostgresExporter::new(config);
    let started = std::time::Instant::now();
    let ours = series(&exporter.collect().await.expect("families"));
    assert_eq!(ours["pg_up"], 0.0);
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
}
