//! The HTTP API over real sockets: answers, errors and their shapes, before and after the start.

use std::sync::Arc;

use dashboards::Web;
use model::append::{BatchExemplar, Metadata};
use model::{Append, Batch, Labels, MetricKind, TimestampMs};
use serde_json::Value;

/// Alerts and silences.
mod alerts;
/// Samples that are pushed.
mod pushes;
/// The API over a small store.
#[path = "../served/mod.rs"]
mod served;

use served::{Api, Snapshots, unchunked};

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
async fn requests_are_counted_by_route_and_status() {
    let web = Web { route_prefix: "/below".to_owned(), external_url: String::new() };
    let api = Api::open_at(web, None, false).await;
    for path in ["query?query=1", "query?query=2", "query?query=x(", "label/a/values", "a", "b"] {
        api.get(&format!("/below/api/v1/{path}")).await;
    }
    let counted: Vec<_> = api.gate.requests().answers().into_iter().collect();
    let shown = counted.iter().map(|(path, answers)| {
        let codes: Vec<_> = answers.by_code.iter().map(|(code, count)| (*code, *count)).collect();
        (*path, codes, answers.durations.count())
    });
    let expected = [
        ("/api/v1/label/{name}/values", vec![(200, 1)], 1),
        ("/api/v1/query", vec![(200, 2), (400, 1)], 3),
        ("none", vec![(404, 2)], 2),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
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
