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
