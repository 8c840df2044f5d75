//! A real Prometheus pushes what it scrapes: samples, exemplars, metadata, native histograms.

use std::io::Write;
use std::process::{Command, Stdio};

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tests::appliance::{Appliance, binary};
use tests::process::eventually;
use tests::{http, servers};

pub const PROTOBUF: &str = "application/vnd.google.protobuf; \
                        proto=io.prometheus.client.MetricFamily; encoding=delimited";

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let size = u8::try_from(bytes.len()).expect("a short field");
    assert!(size < 0x80, "one byte of size");
    [&[number << 3 | 2, size], bytes].concat()
}

fn varint(number: u8, value: u8) -> Vec<u8> {
    let tag = u16::from(number) << 3;
    let tag = if tag < 0x80 { vec![tag as u8] } else { vec![tag as u8 | 0x80, (tag >> 7) as u8] };
    [tag, vec![value]].concat()
}

fn double(number: u8, value: f64) -> Vec<u8> {
    [vec![number << 3 | 1], value.to_le_bytes().to_vec()].concat()
}

/// A page of one counter with an exemplar and one native histogram, as client libraries write it.
pub fn page() -> Vec<u8> {
    let label = field(1, &[field(1, b"trace_id"), field(2, b"abc")].concat());
    let exemplar = field(2, &[label, double(2, 1.0)].concat());
    let counter = field(4, &field(3, &[double(1, 42.0), exemplar].concat()));
    let texts = |name: &[u8], help: &[u8]| [field(1, name), field(2, help)].concat();
    let counter = [texts(b"pushed_total", b"Counts."), varint(3, 0), counter].concat();
    // Three observations in two buckets: spans 12, deltas 13, in zigzag form.
    let span = [&[12 << 3 | 2][..], &[4], &varint(1, 2), &varint(2, 2)].concat();
    let deltas = [&[13 << 3 | 2][..], &[2], &[2, 2]].concat();
    let histogram = [varint(1, 3), double(2, 7.0), varint(5, 0), span, deltas].concat();
    let native = field(4, &field(7, &histogram));
    let native = [texts(b"pushed_seconds", b"Takes."), varint(3, 4), native].concat();
    [counter, native]
        .iter()
        .flat_map(|family| {
            [vec![u8::try_from(family.len()).expect("short")], family.clone()].concat()
        })
        .collect()
}

async fn target(headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    assert!(accepted.is_some_and(|text| text.contains("protobuf")), "{accepted:?}");
    ([(header::CONTENT_TYPE, PROTOBUF)], page()).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_pushes() {
    let folder = tempfile::tempdir().expect("folder");
    let belfry = Appliance::start(folder.path(), &["--services", "all"]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let serving = tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/metrics", get(target))).await
    });
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\nscrape_configs:\n\
         - job_name: pushed\n\x20 static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n\
         remote_write:\n- url: '{}/api/v1/write'\n\x20 send_exemplars: true\n\
         \x20 send_native_histograms: true\n\x20 metadata_config: {{send_interval: 1s}}\n\
         \x20 queue_config: {{batch_send_deadline: 500ms}}\n",
        belfry.url
    );
    let _prometheus = servers::prometheus(folder.path(), &config).await;
    belfry.until_value("pushed_total{job=\"pushed\"}", 42.0, 60).await;
    belfry.until_value("up{job=\"pushed\"}", 1.0, 10).await;
    let metric = async |name: &str| {
        let page = http::get(&format!("{}/metrics", belfry.url)).await?;
        let line = page.lines().find(|line| line.starts_with(name))?.to_owned();
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    eventually("series are known by what they were before", 60, async || {
        (metric("belfry_push_series_known_total").await? > 20.0).then_some(())
    })
    .await;
    for column in ["histograms_received", "exemplars_received", "families_told"] {
        let name = format!("belfry_push_{column}_total");
        eventually(&format!("{name} counts"), 20, async || {
            (metric(&name).await? > 0.0).then_some(())
        })
        .await;
    }
    let answered = "belfry_push_requests_total{message=\"1.0\",status=";
    let page = http::get(&format!("{}/metrics", belfry.url)).await.expect("metrics");
    let answers: Vec<&str> = page.lines().filter(|line| line.starts_with(answered)).collect();
    assert!(
        matches!(answers[..], [one] if one.contains("status=\"204\"")),
        "nothing that a real sender sends is refused: {answers:?}\n{page}"
    );
    assert!(page.contains("belfry_push_retries_total 0"), "{page}");
    serving.abort();
}

fn belfry(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(binary())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start belfry");
    child.stdin.take().expect("input").write_all(input.as_bytes()).expect("write input");
    let output = child.wait_with_output().expect("run belfry");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_pushed_from_the_command_line() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Appliance::start(folder.path(), &["--services", "all"]).await;
    let url = format!("{}/api/v1/write", server.url);
    let page = "# TYPE job_seconds summary\njob_seconds{quantile=\"0.5\"} 4\njob_seconds_count 7\n";
    let (is_good, text) = belfry(&["push", "metrics", &url], page);
    assert!(is_good && text.contains("SUCCESS: standard input"), "{text}");
    server.until_value("job_seconds{job=\"promtool\",quantile=\"0.5\"}", 4.0, 30).await;
    assert_eq!(server.value("job_seconds_count{job=\"promtool\"}").await, Some(7.0));

    let file = folder.path().join("page.txt");
    std::fs::write(&file, "batch_bytes 5\n").expect("write a page");
    let name = file.to_str().expect("text");
    let labels = ["--label", "job=batch", "--label", "site=x"];
    let (is_good, text) = belfry(&[&["push", "metrics", &url, name][..], &labels].concat(), "");
    assert!(is_good && text.contains("1 samples"), "{text}");
    server.until_value("batch_bytes{job=\"batch\",site=\"x\"}", 5.0, 30).await;

    for (arguments, input, expected) in [
        (vec!["push", "metrics", &url], "x{", "FAILED"),
        (vec!["push", "metrics", &url, "/nothing/here"], "", "open /nothing/here"),
        (vec!["push", "metrics", &url, "--label", "job"], "x 1", "NAME=VALUE"),
        (vec!["push", "metrics", &server.url], "x 1\n", "the server answered 4"),
    ] {
        let (is_good, text) = belfry(&arguments, input);
        assert!(!is_good && text.contains(expected), "{arguments:?}: {text}");
    }
}
