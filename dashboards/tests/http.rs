//! The HTTP API over real sockets: answers, errors and their shapes, before and after the start.

use std::sync::Arc;

use model::append::{BatchExemplar, Metadata};
use model::{Append, Batch, Labels, MetricKind, TimestampMs};
use serde_json::Value;

/// The API over a small store.
mod served;

use served::{Api, Reply, Snapshots, unchunked};

#[tokio::test]
async fn until_the_rooms_are_open_it_says_so() {
    let api = Api::closed().await;
    for path in ["/api/v1/query?query=1", "/api/v1/write", "/api/v2/alerts", "/api/v1/x"] {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 503, "{path}");
        assert_eq!(reply.json()["errorType"], "unavailable", "{path}");
        assert!(reply.head.contains("retry-after: 1"), "{}", reply.head);
    }
    assert_eq!(api.get("/metrics").await.status, 503);
    assert_eq!(api.get("/-/healthy").await.status, 200);
    assert_eq!(api.get("/").await.status, 200, "the page itself needs no room");
    api.stop().await;
}

#[tokio::test]
async fn wrong_requests_get_the_envelope() {
    let api = Api::open().await;
    for (path, status, kind, text) in [
        ("/api/v1/query", 400, "bad_data", "\"query\""),
        ("/api/v1/query?query=sum(", 400, "bad_data", "1:"),
        ("/api/v1/query?query=m&time=x", 400, "bad_data", "\"time\""),
        ("/api/v1/query?query=m&limit=-1", 400, "bad_data", "\"limit\""),
        ("/api/v1/query?query=m&timeout=x", 400, "bad_data", "\"timeout\""),
        ("/api/v1/query?query=m&timeout=-1", 400, "bad_data", "\"timeout\""),
        ("/api/v1/query?query=m&timeout=0", 400, "bad_data", "\"timeout\""),
        ("/api/v1/query?query=m&lookback_delta=x", 400, "bad_data", "\"lookback_delta\""),
        ("/api/v1/query?query=m%20%2B%20on(x)%20m&time=1009", 422, "execution", "many"),
        ("/api/v1/query_range?query=m&start=1&end=2", 400, "bad_data", "\"step\""),
        ("/api/v1/query_range?query=m&start=2&end=1&step=1", 400, "bad_data", "\"end\""),
        ("/api/v1/query_range?query=m&start=1&end=2&step=0", 400, "bad_data", "\"step\""),
        ("/api/v1/query_range?query=m&start=1&end=2&step=-5s", 400, "bad_data", "\"step\""),
        ("/api/v1/query_range?query=m&start=0&end=11001&step=1", 400, "bad_data", "11,000"),
        ("/api/v1/query_range?query=m[5m]&start=1&end=2&step=1", 400, "bad_data", "\"query\""),
        ("/api/v1/series", 400, "bad_data", "match[]"),
        ("/api/v1/series?match[]=", 400, "bad_data", "match[]"),
        ("/api/v1/series?match[]=%7B%7D", 400, "bad_data", "match[]"),
        ("/api/v1/series?match[]=m&start=2&end=1", 400, "bad_data", "\"end\""),
        ("/api/v1/labels?match[]=%7B", 400, "bad_data", "match[]"),
        ("/api/v1/label/%FF/values", 400, "bad_data", "\"name\""),
        ("/api/v1/status/tsdb?limit=0", 400, "bad_data", "\"limit\""),
        ("/api/v1/status/tsdb?limit=10001", 400, "bad_data", "\"limit\""),
        ("/api/v1/rules", 404, "not_found", "rules"),
        ("/api/v1/nonsense", 404, "not_found", "no such"),
        ("/api/v3/query", 404, "not_found", "no such"),
        ("/api/v1/write", 405, "bad_data", "method"),
    ] {
        let reply = api.get(path).await;
        let json = reply.json();
        assert_eq!(reply.status, status, "{path}: {json}");
        assert_eq!(
            (&json["status"], &json["errorType"]),
            (&"error".into(), &kind.into()),
            "{path}"
        );
        assert!(json["error"].as_str().is_some_and(|error| error.contains(text)), "{path}: {json}");
    }
    assert_eq!(api.send("DELETE", "/api/v1/query", "", b"").await.json()["status"], "error");
    let long = format!("query={}", "1".repeat(5 * 1024 * 1024));
    let reply = api.post("/api/v1/query", &long).await;
    assert_eq!((reply.status, &reply.json()["status"]), (413, &"error".into()));
    let reply = api.send("POST", "/-/reload", "", b"").await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("belfry.yml:3: listen: is wrong"), "{}", reply.body);
    api.stop().await;
}

#[tokio::test]
async fn queries_in_every_spelling() {
    let api = Api::open().await;
    let at = |text: &str| format!("/api/v1/query?query=m%7Ba=%221%22%7D&time={text}");
    for (time, value) in [
        ("1009", "9"),
        ("1005.4", "5"),
        ("1.005e3", "5"),
        ("1970-01-01T00:16:45Z", "5"),
        ("1970-01-01T01:16:45.5%2B01:00", "5"),
    ] {
        let json = api.get(&at(time)).await.json();
        assert_eq!(json["data"]["result"][0]["value"][1], value, "{time}: {json}");
    }
    let infinite = api.get("/api/v1/query?query=m%7Ba=%222%22%7D&time=1009").await;
    assert!(infinite.body.contains(r#""value":[1009,"+Inf"]"#), "{}", infinite.body);
    for query in ["nothing", "vector(1)%20%3E%202"] {
        let reply = api.get(&format!("/api/v1/query?query={query}&time=4")).await;
        assert_eq!(
            reply.body,
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#
        );
    }
    // What Grafana asks first.
    let health = api.post("/api/v1/query", "query=1%2B1&time=4").await;
    assert_eq!(
        health.body,
        r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#
    );
    // Times far beyond what there is.
    for time in ["-9e12", "9e12", "9e15", "-292273086-05-16T16:47:06Z"] {
        assert_eq!(api.get(&at(time)).await.status, 200, "{time}");
    }
    // The URL's parameters beside the form's, and both spellings of a step.
    for step in ["1", "1s", "1000ms", "1.0"] {
        let form = format!("query=m&start=1000&end=1009&step={step}");
        let json = api.post("/api/v1/query_range?stats=all&limit=1", &form).await.json();
        assert_eq!(json["data"]["resultType"], "matrix");
        assert_eq!(json["data"]["result"].as_array().map(Vec::len), Some(1));
        assert_eq!(json["data"]["result"][0]["values"].as_array().map(Vec::len), Some(10));
        assert!(json["data"]["stats"]["samples"]["totalQueryableSamples"].is_number(), "{json}");
        assert!(json["warnings"][0].as_str().is_some_and(|text| text.contains("limit")), "{json}");
    }
    let edge = "query=1&start=0&end=11000&step=1&lookback_delta=-5";
    assert_eq!(api.post("/api/v1/query_range", edge).await.status, 200);
    let none = api.post("/api/v1/query_range", "query=nothing&start=1&end=2&step=1").await;
    assert!(none.body.contains(r#""resultType":"matrix","result":[]"#), "{}", none.body);
    api.stop().await;
}

#[tokio::test]
async fn what_is_known_beside_samples() {
    let api = Api::open().await;
    let store = api.store.clone().expect("it is open");
    let mut batch = Batch::new();
    let told = |kind, help: &str| Metadata { kind, unit: String::new(), help: help.to_owned() };
    batch.metadata("m", told(MetricKind::Gauge, "old"));
    batch.metadata("m", told(MetricKind::Counter, "new \"one\""));
    batch.metadata("other", told(MetricKind::Unknown, ""));
    for (a, at_ms) in [("1", 5_000), ("2", 6_500)] {
        let series = batch.series(&Labels::from_pairs([("__name__", "m"), ("a", a)]));
        let labels = Labels::from_pairs([("trace_id", "x")]);
        batch.exemplar(BatchExemplar { series, at: TimestampMs(at_ms), value: 0.5, labels });
    }
    store.append(batch).await.expect("durable");
    let new = r#"{"help":"new \"one\"","type":"counter","unit":""}"#;
    let old = r#"{"help":"old","type":"gauge","unit":""}"#;
    let other = r#""other":[{"help":"","type":"unknown","unit":""}]"#;
    let row = |a: &str, seconds: &str| {
        format!(
            r#"{{"exemplars":[{{"labels":{{"trace_id":"x"}},"timestamp":{seconds},"value":"0.5"}}],"seriesLabels":{{"__name__":"m","a":"{a}"}}}}"#
        )
    };
    let (one, two) = (row("1", "5"), row("2", "6.5"));
    for (path, expected) in [
        ("metadata", format!(r#"{{"m":[{new},{old}],{other}}}"#)),
        ("metadata?limit_per_metric=1", format!(r#"{{"m":[{new}],{other}}}"#)),
        ("metadata?limit=1", format!(r#"{{"m":[{new},{old}]}}"#)),
        ("metadata?limit=0", "{}".to_owned()),
        ("metadata?limit=-1&metric=other", format!("{{{other}}}")),
        ("metadata?metric=none", "{}".to_owned()),
        ("query_exemplars?query=rate(m[5m])", format!("[{one},{two}]")),
        ("query_exemplars?query=m&start=6&end=7", format!("[{two}]")),
        ("query_exemplars?query=m%7Ba=%221%22%7D%2Bsum(none)", format!("[{one}]")),
        ("query_exemplars?query=1", "[]".to_owned()),
    ] {
        let reply = api.get(&format!("/api/v1/{path}")).await;
        assert_eq!(reply.body, format!(r#"{{"status":"success","data":{expected}}}"#), "{path}");
    }
    let posted = api.post("/api/v1/query_exemplars", "query=m&start=5&end=5").await;
    assert_eq!(posted.json()["data"].as_array().map(Vec::len), Some(1));
    for path in [
        "metadata?limit=x",
        "metadata?limit_per_metric=x",
        "query_exemplars",
        "query_exemplars?query=m%7B",
        "query_exemplars?query=m&start=7&end=6",
    ] {
        let reply = api.get(&format!("/api/v1/{path}")).await;
        assert_eq!((reply.status, reply.json()["errorType"].as_str()), (400, Some("bad_data")));
    }
    api.stop().await;
}

#[tokio::test]
async fn labels_series_and_small_answers() {
    let api = Api::open().await;
    let two = "match[]=m%7Ba=%221%22%7D&match[]=m%7Ba=%222%22,%7D&start=0&end=9999999999";
    for (path, expected) in [
        ("/api/v1/labels", r#"["__name__","a"]"#),
        ("/api/v1/label/a/values", r#"["1","2"]"#),
        ("/api/v1/label/U__a/values", r#"["1","2"]"#),
        ("/api/v1/label/none/values", "[]"),
        ("/api/v1/label/a/values?match[]=none", "[]"),
        ("/api/v1/series?match[]=none", "[]"),
        ("/api/v1/query_exemplars?query=m", "[]"),
        ("/api/v1/metadata?limit=40000", "{}"),
    ] {
        let reply = api.get(path).await;
        assert_eq!(reply.body, format!(r#"{{"status":"success","data":{expected}}}"#), "{path}");
    }
    let series = api.post("/api/v1/series", two).await.json();
    assert_eq!(series["data"].as_array().map(Vec::len), Some(2), "{series}");
    let cut = api.get("/api/v1/label/a/values?limit=1").await.json();
    assert_eq!(cut["data"].as_array().map(Vec::len), Some(1));
    assert!(cut["warnings"][0].is_string(), "{cut}");
    for method in ["GET", "POST"] {
        let reply = api.send(method, "/api/v1/status/buildinfo", "", b"").await;
        assert_eq!(reply.json()["data"]["application"], "Belfry");
    }
    let head = api.send("HEAD", "/-/ready", "", b"").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(api.send("HEAD", "/api/v1/query?query=1", "", b"").await.status, 200);
    api.stop().await;
}

#[tokio::test]
async fn long_answers_are_compressed_and_leave_in_pieces() {
    let api = Api::open().await;
    let range = |end_s: u64| format!("/api/v1/query_range?query=time()&start=0&end={end_s}&step=1");
    for (target, is_packed) in
        [("/api/v1/labels".to_owned(), false), (range(2000), true), (range(10_999), true)]
    {
        let reply = api.send("GET", &target, "Accept-Encoding: gzip\r\n", b"").await;
        let own = reply.head.contains("content-encoding: gzip");
        assert_eq!((reply.status, own), (200, is_packed), "{target}: {}", reply.head);
    }
    let reply = api.get(&range(10_999)).await;
    assert!(reply.head.contains("transfer-encoding: chunked"), "{}", reply.head);
    let json: Value = serde_json::from_str(&unchunked(&reply.body)).expect("JSON");
    let values = json["data"]["result"][0]["values"].as_array().expect("values").len();
    assert_eq!(values, 11_000, "every point is there");
    api.stop().await;
}

#[tokio::test]
async fn alerts_are_posted_and_refused_in_json() {
    let api = Api::open().await;
    let post = async |body: &str| {
        let kind = "Content-Type: application/json\r\n";
        api.send("POST", "/api/v2/alerts", kind, body.as_bytes()).await
    };
    assert_eq!(post(r#"[{"labels":{"alertname":"A"},"annotations":{}}]"#).await.status, 200);
    let shown = api.get("/api/v2/alerts?filter=alertname%3DA").await.json();
    assert_eq!(shown[0]["labels"]["alertname"], "A", "{shown}");
    for (body, text) in [
        ("{", "parsing body"),
        (r#"[{"annotations":{}}]"#, "labels"),
        (r#"[{"labels":{"a":"b"},"startsAt":"soon"}]"#, "soon"),
        (r#"[{"labels":{}}]"#, "label"),
    ] {
        let reply = post(body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.body);
        let json = reply.json();
        assert!(json.as_str().is_some_and(|error| error.contains(text)), "{body}: {json}");
    }
    let long = format!("[{}]", " ".repeat(5 * 1024 * 1024));
    let reply = post(&long).await;
    assert_eq!((reply.status, reply.json().is_string()), (413, true));
    api.stop().await;
}

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

#[tokio::test]
async fn where_series_come_from() {
    let api = Api::open().await;
    let json = api.get("/api/v1/status/tsdb?limit=1").await.json();
    let data = &json["data"];
    assert!(data["headStats"]["numSeries"].as_u64().is_some_and(|series| series > 0), "{json}");
    for list in [
        "seriesCountByMetricName",
        "labelValueCountByLabelName",
        "memoryInBytesByLabelName",
        "seriesCountByLabelValuePair",
    ] {
        let list = data[list].as_array().expect("a list");
        assert_eq!(list.len(), 1, "{json}");
        assert!(list[0]["name"].is_string() && list[0]["value"].is_u64(), "{json}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_api_is_off_unless_allowed() {
    let api = Api::open().await;
    let path = "/api/v1/admin/tsdb/snapshot";
    let reply = api.post(path, "").await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.json()["errorType"], "unavailable");
    assert_eq!(reply.json()["error"], "admin APIs disabled");
    api.stop().await;

    let api = Api::open_with(Some(Arc::new(Snapshots))).await;
    assert_eq!(api.get(path).await.status, 405, "reading changes nothing");
    for (method, target, form, status, expected) in [
        ("POST", "", "", 200, r#"{"data":{"name":"picture"},"status":"success"}"#),
        ("PUT", "?skip_head=false", "", 200, r#""name":"picture""#),
        ("POST", "", "skip_head=1", 500, "no space left"),
        ("POST", "?skip_head=maybe", "", 400, "skip_head"),
    ] {
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let reply = api.send(method, &format!("{path}{target}"), kind, form.as_bytes()).await;
        assert_eq!(reply.status, status, "{method} {target} {form}: {}", reply.body);
        let text = reply.json().to_string();
        assert!(text.contains(expected), "{method} {target} {form}: {text}");
    }
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_deleted_restored_and_cleaned() {
    let api = Api::open().await;
    assert_eq!(api.post("/api/v1/admin/tsdb/delete_series", "match[]=up").await.status, 403);
    assert_eq!(api.get("/api/v1/admin/tsdb/tombstones").await.status, 403);
    api.stop().await;

    let api = Api::open_with(Some(Arc::new(Snapshots))).await;
    let lines = "gone{job=\"a\"} 1 50\ngone{job=\"b\"} 2 50\n";
    let import = api.send("POST", "/api/v1/import/prometheus", "", lines.as_bytes()).await;
    assert_eq!(import.status, 204, "{}", import.body);
    let count = async || {
        let json = api.get("/api/v1/query?query=count(gone)&time=0.05").await.json();
        json["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let admin = async |path: &str, body: &str| {
        api.send("POST", &format!("/api/v1/admin/tsdb/{path}"), form, body.as_bytes()).await
    };
    assert_eq!(count().await.as_deref(), Some("2"));
    let reply = admin("delete_series", "").await;
    assert_eq!((reply.status, reply.json()["errorType"].as_str()), (400, Some("bad_data")));
    assert_eq!(admin("delete_series", "match[]=gone{job=\"a\"}").await.status, 204);
    assert_eq!(count().await.as_deref(), Some("1"));

    let listed = api.get("/api/v1/admin/tsdb/tombstones").await.json();
    let all = listed["data"].as_array().expect("a list");
    assert_eq!(all.len(), 1, "{listed}");
    assert!(all[0]["selector"].as_str().is_some_and(|text| text.contains("job=\"a\"")), "{listed}");
    let reply = admin("undelete", &format!("id={}", all[0]["id"])).await;
    assert_eq!(reply.json()["data"]["undone"], "whole", "{}", reply.body);
    assert_eq!(count().await.as_deref(), Some("2"));
    assert_eq!(admin("undelete", "id=77").await.status, 404);
    assert_eq!(admin("undelete", "id=x").await.status, 400);

    assert_eq!(admin("delete_series", "match[]=gone{job=\"b\"}&start=0&end=1").await.status, 204);
    assert_eq!(admin("clean_tombstones", "").await.status, 204);
    assert_eq!(admin("compact", "").await.status, 204);
    let listed = api.get("/api/v1/admin/tsdb/tombstones").await.json();
    assert_eq!(listed["data"], serde_json::json!([]), "{listed}");
    assert_eq!(count().await.as_deref(), Some("1"));
    api.stop().await;
}

#[tokio::test]
async fn silences_are_made_changed_shown_and_ended() {
    let api = Api::open().await;
    let post = async |body: &str| {
        let kind = "Content-Type: application/json\r\n";
        api.send("POST", "/api/v2/silences", kind, body.as_bytes()).await
    };
    let text = |id: &str, comment: &str, matchers: &str| {
        format!(
            r#"{{"id":"{id}","matchers":[{matchers}],"startsAt":"2020-01-01T00:00:00Z",
            "endsAt":"2120-01-01T00:00:00.5Z","createdBy":"ada","comment":"{comment}","annotations":{{}}}}"#
        )
    };
    let own = r#"{"name":"alertname","value":"A.*","isRegex":true,"isEqual":true}"#;
    let made = post(&text("", "first", own)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let id = made.json()["silenceID"].as_str().expect("an id").to_owned();
    let shown = api.get(&format!("/api/v2/silence/{id}")).await.json();
    assert_eq!((&shown["status"]["state"], &shown["comment"]), (&"active".into(), &"first".into()));
    assert_eq!(shown["endsAt"], "2120-01-01T00:00:00.500Z");
    assert_eq!(shown["matchers"][0]["value"], "A.*");

    // An alert that it holds.
    let alert = br#"[{"labels":{"alertname":"Abc"}}]"#;
    let kind = "Content-Type: application/json\r\n";
    assert_eq!(api.send("POST", "/api/v2/alerts", kind, alert).await.status, 200);
    let alerts = api.get("/api/v2/alerts").await.json();
    assert_eq!(alerts[0]["status"]["silencedBy"], serde_json::json!([id]), "{alerts}");

    // The same matchers: the same silence. Others: another one, and the old one has ended.
    let starts = shown["startsAt"].as_str().expect("a time").to_owned();
    let same = text(&id, "second", own).replace("2020-01-01T00:00:00Z", &starts);
    assert_eq!(post(&same).await.json()["silenceID"], id.as_str());
    let other = r#"{"name":"job","value":"b","isRegex":false}"#;
    let next = post(&text(&id, "third", other)).await.json()["silenceID"].clone();
    assert_ne!(next, id.as_str());
    for (query, expected) in [
        ("", vec!["third", "second"]),
        ("?expired=false", vec!["third"]),
        ("?active=false&pending=false", vec!["second"]),
        ("?filter=job%3D%22b%22", vec!["third"]),
        ("?filter=alertname%3D~%22A.*%22&filter=job%3D%22b%22", vec![]),
    ] {
        let json = api.get(&format!("/api/v2/silences{query}")).await.json();
        let all = json.as_array().unwrap_or_else(|| panic!("{json}"));
        let comments: Vec<&str> = all.iter().filter_map(|own| own["comment"].as_str()).collect();
        assert_eq!(comments, expected, "{query}");
    }
    let path = format!("/api/v2/silence/{}", next.as_str().expect("an id"));
    for _ in 0..2 {
        assert_eq!(api.send("DELETE", &path, "", b"").await.status, 200, "again changes nothing");
    }
    assert_eq!(api.get(&path).await.json()["status"]["state"], "expired");

    let unknown = "/api/v2/silence/4fa5c0a4-0000-4000-8000-000000000000";
    for method in ["GET", "DELETE"] {
        let reply = api.send(method, unknown, "", b"").await;
        assert_eq!((reply.status, reply.json().is_string()), (404, true), "{method}");
    }
    let late = text("", "x", own).replace("2120", "2019");
    let missing = text("", "x", own).replace("createdBy", "by");
    for (body, status) in [
        ("{".to_owned(), 400),
        (text("", "x", ""), 400),
        (text("", "x", r#"{"name":"a","value":"","isRegex":false}"#), 400),
        (text("", "x", r#"{"name":"a","value":"(","isRegex":true}"#), 400),
        (text("nothing", "x", own), 404),
        (late, 400),
        (missing, 400),
    ] {
        let reply = post(&body).await;
        assert_eq!((reply.status, reply.json().is_string()), (status, true), "{body}");
    }
    api.stop().await;
}
