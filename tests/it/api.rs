//! The HTTP API against its own document: schemathesis makes up requests by it and compares the
//! answers with what is told.

use std::process::Command;

use tests::appliance::Appliance;
use tests::python;

/// What is looked at in every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread")]
async fn every_made_up_request_is_answered_as_told() {
    let folder = tempfile::tempdir().expect("folder");
    let config = "exporters:\n  host: {interval: 1s}\n";
    std::fs::write(folder.path().join("belfry.yml"), config).expect("write");
    let belfry =
        Appliance::start(folder.path(), &["--services", "all", "--config", "belfry.yml"]).await;
    belfry.until_value("count(node_load1)", 1.0, 30).await;
    let output = Command::new(python::program("st"))
        .args(["run", &format!("{}/api/v1/openapi.json", belfry.url), "--checks", CHECKS])
        // A stream of events ends with its reader only.
        .args(["--exclude-path", "/api/v1/notifications/live", "--max-time", "60"])
        .args(["--phases", "examples,coverage,fuzzing", "--seed", "1", "--workers", "2"])
        .args(["--continue-on-failure", "--request-timeout", "20", "--no-color"])
        .args(["--generation-database", "none", "--warnings", "off"])
        .current_dir(folder.path())
        .output()
        .expect("run schemathesis");
    let text = String::from_utf8_lossy(&output.stdout);
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{problem}");
    assert_eq!(belfry.value("count(node_load1)").await, Some(1.0), "it still answers");
}
