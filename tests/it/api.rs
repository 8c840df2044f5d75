//! The HTTP API against its own document: schemathesis makes up requests by it and compares the
//! answers with what is told. And a long answer, which must not be held twice.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use tests::appliance::Appliance;
use tests::remote_write::{self, TimeSeries};
use tests::{http, python};

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
        // It can't make up protobuf.
        .args(["--exclude-path", "/api/v1/read", "--exclude-path", "/api/v1/write"])
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

/// A line of `/proc/PID/status` in bytes.
fn memory_bytes(process: u32, name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("read status");
    let line = text.lines().find(|line| line.starts_with(name)).expect("the line");
    let kib: usize = line.split_whitespace().nth(1).and_then(|own| own.parse().ok()).expect("KiB");
    kib * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_points_are_not_held_twice() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = Appliance::start(folder.path(), &["--services", "collect,store,query,web"]).await;
    let client = http::patient_client();
    let end_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let start_s = end_s - 999;
    for part in 0..10 {
        let series: Vec<TimeSeries> = (part * 100..part * 100 + 100)
            .map(|number| {
                let samples = (0..1000u64).map(|at| {
                    let value = (number * 1000 + at) as f64 * 0.37;
                    ((start_s + at).cast_signed() * 1000, value)
                });
                TimeSeries::new("long", &[("i", &number.to_string())], samples.collect())
            })
            .collect();
        let url = format!("{}/api/v1/write", belfry.url);
        let answer = remote_write::post(&client, &url, remote_write::encode(&series)).await;
        assert_eq!(answer.map(|(status, _)| status), Some(204));
    }
    let ask = async || {
        let url = format!(
            "{}/api/v1/query_range?query=long&start={start_s}&end={end_s}&step=1",
            belfry.url
        );
        let answer = client.get(url).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        answer.text().await.expect("text")
    };
    let process = belfry.process.id();
    let before = memory_bytes(process, "VmRSS:");
    // Forgets the highest mark.
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").expect("write clear_refs");
    let answer = ask().await;
    let points = answer.matches("],[").count();
    assert!(points > 995_000, "{points} points");
    let grown = memory_bytes(process, "VmHWM:").saturating_sub(before);
    assert!(
        grown <= 2 * answer.len(),
        "an answer of {} bytes took {grown} bytes of memory",
        answer.len()
    );
}
