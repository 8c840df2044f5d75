//! The command line without anything running: refusals, version, help.

use std::process::{Command, Output};

fn belfry(arguments: &[&str], folder: &std::path::Path) -> Output {
    let binary = env!("CARGO_BIN_EXE_belfry");
    Command::new(binary).args(arguments).current_dir(folder).output().expect("run belfry")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn told_no_services_it_refuses_and_lists_them() {
    let folder = tempfile::tempdir().expect("folder");
    let output = belfry(&["run"], folder.path());
    assert!(!output.status.success());
    for service in ["collect", "exporters", "store", "query", "rules", "alert", "web"] {
        assert!(stderr(&output).contains(service), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0, "nothing was touched");
}

#[test]
fn version_and_help() {
    let folder = tempfile::tempdir().expect("folder");
    let output = belfry(&["version"], folder.path());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("belfry "));
    assert!(belfry(&["--help"], folder.path()).status.success());
    assert!(!belfry(&["nonsense"], folder.path()).status.success());
}

#[test]
fn the_postgres_wire_on_the_network_needs_users_from_a_file_or_a_flag() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("belfry.yml", "sql: {postgres: {listen: '0.0.0.0:0'}}\n").expect("write");
    let hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
    write("users.yml", &format!("basic_auth_users: {{ada: {hash}}}\n")).expect("write");
    write("nobody.yml", "http_server_config: {http2: true}\n").expect("write");
    // A data folder that can't be made ends it after the configuration was taken.
    write("file", "").expect("write");
    let run = ["run", "--services", "all", "--config", "belfry.yml", "--data", "file/data"];
    for (flag, expected) in [
        (&[][..], "belfry.yml:1: sql.postgres.listen: without users"),
        (&["--web.config.file", "nobody.yml"], "belfry.yml:1: sql.postgres.listen: without users"),
        (&["--web.config.file", "users.yml"], "create the data folder file/data"),
    ] {
        let output = belfry(&[&run, flag].concat(), folder.path());
        assert!(!output.status.success());
        assert!(stderr(&output).contains(expected), "{flag:?}: {}", stderr(&output));
    }
}

#[test]
fn backups_are_named_made_and_found_again() {
    let folder = tempfile::tempdir().expect("folder");
    let missing = belfry(&["backup"], folder.path());
    assert!(stderr(&missing).contains("DEST"), "{}", stderr(&missing));
    assert!(!missing.status.success());
    std::fs::create_dir_all(folder.path().join("d/store")).expect("create");
    std::fs::write(folder.path().join("d/store/anything"), "here").expect("write");
    let both = belfry(&["backup", "to", "list"], folder.path());
    assert!(!both.status.success(), "one thing at a time");
    let damaged = belfry(&["backup", "to", "--data", "d"], folder.path());
    assert!(stderr(&damaged).contains("damaged before"), "no manifest: {}", stderr(&damaged));
    let listed = belfry(&["backup", "list", "to"], folder.path());
    let shown = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success() && shown.contains("1 files"), "{shown}");
    let verified = belfry(&["backup", "verify", "to"], folder.path());
    assert!(!verified.status.success());
    let restored = belfry(&["restore", "to", "--data", "new"], folder.path());
    assert!(restored.status.success(), "{}", stderr(&restored));
    let back = std::fs::read_to_string(folder.path().join("new/store/anything")).expect("read");
    assert_eq!(back, "here");
}
