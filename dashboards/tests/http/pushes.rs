//! Samples that are pushed: remote write in both versions, a page of text.

use crate::served::{Api, Reply};

/// A snappy block of literals.
fn packed(message: &[u8]) -> Vec<u8> {
    assert!(message.len() < 16_384, "two bytes of size");
    let mut block = vec![(message.len() & 0x7f) as u8 | 0x80, (message.len() >> 7) as u8];
    for piece in message.chunks(60) {
        block.push((piece.len() as u8 - 1) << 2);
        block.extend_from_slice(piece);
    }
    block
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

fn pushed_sample(value: f64, at: u8) -> Vec<u8> {
    field(2, &[&[0x09][..], &value.to_le_bytes(), &[0x10, at]].concat())
}

#[tokio::test]
async fn remote_write_in_both_versions() {
    let api = Api::open().await;
    let push = async |kind: &str, body: &[u8]| {
        let head = format!("Content-Type: {kind}\r\nContent-Encoding: snappy\r\n");
        api.send("POST", "/api/v1/write", &head, &packed(body)).await
    };
    let v1 = "application/x-protobuf";
    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let name = field(1, &[field(1, b"__name__"), field(2, b"one")].concat());
    for at in [50, 51, 52] {
        let series = field(1, &[name.clone(), pushed_sample(f64::from(at), at)].concat());
        let reply = push(v1, &series).await;
        assert_eq!((reply.status, reply.body.as_str()), (204, ""));
        assert!(!reply.head.contains("written"), "{}", reply.head);
    }
    let json = api.get("/api/v1/query?query=one&time=0.052").await.json();
    assert_eq!(json["data"]["result"][0]["value"][1], "52", "{json}");

    let two = |value: f64, at| {
        let symbols = [&b""[..], b"__name__", b"two", b"job"].map(|symbol| field(4, symbol));
        let good = [field(1, &[1, 2]), pushed_sample(value, at)].concat();
        let bad = [field(1, &[3, 2]), pushed_sample(value, at)].concat();
        (symbols.concat(), field(5, &good), field(5, &bad))
    };
    let (symbols, good, bad) = two(7.0, 60);
    let written = |reply: &Reply, counts: [u64; 3]| {
        for (what, count) in ["samples", "histograms", "exemplars"].iter().zip(counts) {
            let header = format!("x-prometheus-remote-write-{what}-written: {count}\r\n");
            assert!(format!("{}\r\n", reply.head).contains(&header), "{header}: {}", reply.head);
        }
    };
    let reply = push(v2, &[symbols.clone(), good.clone()].concat()).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    written(&reply, [1, 0, 0]);
    // The same again is the same; another value at that time is a conflict.
    let reply = push(v2, &[symbols.clone(), good, bad].concat()).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.contains("invalid metric name or labels, got {job=\"two\"}"),
        "{}",
        reply.body
    );
    written(&reply, [1, 0, 0]);
    let (symbols, good, _) = two(8.0, 60);
    let reply = push(v2, &[symbols, good].concat()).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("duplicate sample for timestamp for series two"), "{}", reply.body);
    written(&reply, [0, 0, 0]);
    let reply = push(v2, b"\x22\x01x").await;
    assert!(reply.status == 400 && reply.body.contains("empty string"), "{}", reply.body);
    written(&reply, [0, 0, 0]);
    assert_eq!(push("application/json", b"").await.status, 415);
    let head = "Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n";
    assert_eq!(api.send("POST", "/api/v1/write", head, b"x").await.status, 415);
    // Refused by its announced size alone.
    let long = vec![0; 33 * 1024 * 1024];
    assert_eq!(api.send("POST", "/api/v1/write", "", &long).await.status, 413);
    api.stop().await;
}

#[tokio::test]
async fn text_is_imported() {
    let api = Api::open().await;
    let import = async |query: &str, head: &str, body: &str| {
        let target = format!("/api/v1/import/prometheus?{query}");
        api.send("POST", &target, head, body.as_bytes()).await
    };
    let reply = import("extra_label=dc%3Dx", "", "up{job=\"a\"} 1 50\nup{job=\"b\"} 2 50\n").await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    let json = api.get("/api/v1/query?query=sum(up%7Bdc=%22x%22%7D)&time=0.05").await.json();
    assert_eq!(json["data"]["result"][0]["value"][1], "3", "{json}");
    let reply = import("timestamp=60", "", "late 1\nworse{ 2\n").await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("line 2 of the page"), "{}", reply.body);
    assert!(reply.body.contains("1 samples stored, 0 refused"), "{}", reply.body);
    let open_metrics = "Content-Type: application/openmetrics-text; version=1.0.0\r\n";
    assert_eq!(import("", open_metrics, "c_total 1\n# EOF\n").await.status, 204);
    assert_eq!(import("", open_metrics, "c_total 1\n").await.status, 400);
    assert_eq!(import("extra_label=x", "", "a 1\n").await.status, 400);
    assert_eq!(import("", "Content-Encoding: br\r\n", "a 1\n").await.status, 415);
    assert_eq!(api.get("/api/v1/import/prometheus").await.status, 405);
    // Longer than any request that is held as a whole.
    let line = format!("long{{x=\"{}\"}} 1 50\n", "y".repeat(10_000));
    let reply = import("", "", &line.repeat(4_000)).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    api.stop().await;
}
