//! What broke look-alikes of Prometheus in front of Grafana, each as a test: the quirks Q1–Q12 and
//! the rules P1–P12 of Grafana's streaming parser.

use model::append::BatchExemplar;
use model::histogram::Buckets;
use model::{Append, Batch, Histogram, Labels, TimestampMs};
use serde_json::Value;

/// The API over a small store.
mod served;

use served::Api;

fn list(json: &Value) -> Vec<String> {
    let all = json["data"].as_array().unwrap_or_else(|| panic!("a list: {json}"));
    all.iter().map(|own| own.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn q1_to_q3_the_version_is_one_that_grafana_knows() {
    let api = Api::open().await;
    for method in ["GET", "POST"] {
        let reply = api.send(method, "/api/v1/status/buildinfo", "", b"").await;
        let json = reply.json();
        let version = json["data"]["version"].as_str().expect("a version");
        let numbers: Vec<u32> =
            version.split('.').map(|own| own.parse().expect("number")).collect();
        assert!(numbers.len() == 3 && numbers >= vec![2, 50, 1], "{version}");
        // With features Grafana would take it for Mimir.
        assert!(json["data"].get("features").is_none(), "{json}");
        assert_eq!(reply.status, 200);
    }
    // Anything but 200 and 404 leaves Grafana's rule list empty; unknown parameters change nothing.
    for target in ["/api/v1/status/buildinfo?x=1&time=abc", "/api/v1/status/buildinfo?"] {
        assert_eq!(api.get(target).await.status, 200);
    }
    api.stop().await;
}

#[tokio::test]
async fn q4_p5_the_health_check_is_a_scalar_as_one_pair() {
    let api = Api::open().await;
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#;
    for form in
        ["query=1%2B1&time=4", "query=1%2B1&time=4.0", "query=1%2B1&time=1970-01-01T00:00:04Z"]
    {
        assert_eq!(api.post("/api/v1/query", form).await.body, scalar, "{form}");
        assert_eq!(api.get(&format!("/api/v1/query?{form}")).await.body, scalar, "{form}");
    }
    let text = api.get("/api/v1/query?query=%22a%22&time=4").await.json();
    assert_eq!(text["data"]["resultType"], "string");
    assert_eq!(text["data"]["result"], serde_json::json!([4, "a"]));
    api.stop().await;
}

#[tokio::test]
async fn q5_what_metrics_drilldown_asks() {
    let api = Api::open().await;
    let all = "match[]=%7B__name__%3D~%22.%2B%22%2C%7D";
    let times = "start=0&end=9999999999";
    for (path, expected) in [
        ("/api/v1/label/__name__/values".to_owned(), vec!["m"]),
        (format!("/api/v1/label/__name__/values?{all}&{times}"), vec!["m"]),
        (format!("/api/v1/label/a/values?{times}"), vec!["1", "2"]),
        (format!("/api/v1/labels?{all}&match[]=%7Ba%3D~%22x.%2B%22%7D"), vec!["__name__", "a"]),
    ] {
        assert_eq!(list(&api.get(&path).await.json()), expected, "{path}");
    }
    assert_eq!(api.get("/api/v1/metadata?metric=m").await.json()["data"], serde_json::json!({}));
    // Older Grafana asks everything through the series endpoint.
    let series = api.post("/api/v1/series", "match[]=%7B__name__!%3D%22%22%7D").await.json();
    assert_eq!(series["data"].as_array().map(Vec::len), Some(2), "{series}");
    api.stop().await;
}

#[tokio::test]
async fn q6_a_label_of_one_metric_among_many() {
    let api = Api::open().await;
    let mut batch = Batch::new();
    for number in 0..1000 {
        let name = format!("metric_{number}");
        let mut pairs = vec![("__name__", name.as_str())];
        if number == 500 {
            pairs.push(("rare", "yes"));
        }
        let series = batch.series(&Labels::from_pairs(pairs));
        batch.sample(series, TimestampMs(1_009_000), 1.0);
    }
    api.store.clone().expect("open").append(batch).await.expect("durable");
    assert_eq!(list(&api.get("/api/v1/label/rare/values").await.json()), ["yes"]);
    let many = "/api/v1/label/rare/values?match[]=%7B__name__%3D~%22metric_.*%22%7D";
    assert_eq!(list(&api.get(many).await.json()), ["yes"]);
    let other = "/api/v1/label/rare/values?match[]=metric_1&match[]=m";
    assert_eq!(list(&api.get(other).await.json()), [""; 0]);
    // Grafana's limit, and the warning that it was reached.
    let cut = api.get("/api/v1/label/__name__/values?limit=1000").await.json();
    assert_eq!(cut["data"].as_array().map(Vec::len), Some(1000));
    assert!(cut["warnings"][0].as_str().is_some_and(|text| text.contains("limit")), "{cut}");
    let whole = api.get("/api/v1/label/__name__/values?limit=40000").await.json();
    assert!(whole.get("warnings").is_none());
    assert_eq!(list(&api.get("/api/v1/label/__name__/values?limit=0").await.json()).len(), 1001);
    api.stop().await;
}

#[tokio::test]
async fn q7_q10_p7_exemplars_and_the_other_routes_are_there() {
    let api = Api::whole().await;
    let none = r#"{"status":"success","data":[]}"#;
    for form in ["query=m&start=0&end=1", "query=nothing", "query=m&start=1e12&end=1e12"] {
        let reply = api.post("/api/v1/query_exemplars", form).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, none), "{form}");
    }
    let mut batch = Batch::new();
    let series = batch.series(&Labels::from_pairs([("__name__", "m"), ("a", "1")]));
    let labels = Labels::from_pairs([("trace_id", "x")]);
    batch.exemplar(BatchExemplar { series, at: TimestampMs(5_250), value: 0.5, labels });
    api.store.clone().expect("open").append(batch).await.expect("durable");
    let json = api.get("/api/v1/query_exemplars?query=m").await.json();
    let exemplar = &json["data"][0]["exemplars"][0];
    assert_eq!((&exemplar["value"], &exemplar["timestamp"]), (&"0.5".into(), &5.25.into()));
    assert!(json["data"][0]["seriesLabels"].is_object(), "{json}");
    for path in ["/api/v1/rules", "/api/v1/alerts", "/api/v1/status/flags"] {
        assert_eq!(api.get(path).await.json()["status"], "success", "{path}");
    }
    api.stop().await;
}

#[tokio::test]
async fn q8_p1_to_p4_p9_p12_the_shape_of_every_query_answer() {
    let api = Api::open().await;
    let queries = [
        ("query?query=m&time=1009", "vector"),
        ("query?query=nothing", "vector"),
        ("query?query=m[5s]&time=1009", "matrix"),
        ("query?query=1", "scalar"),
        ("query?query=%22x%22", "string"),
        ("query_range?query=m&start=1000&end=1009&step=1", "matrix"),
        ("query_range?query=nothing&start=1000&end=1009&step=1", "matrix"),
        ("query_range?query=time()&start=0&end=10999&step=1", "matrix"),
    ];
    for (target, kind) in queries {
        let reply = api.get(&format!("/api/v1/{target}")).await;
        let head = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":["#);
        let is_chunked = reply.head.contains("transfer-encoding: chunked");
        let body = if is_chunked { served::unchunked(&reply.body) } else { reply.body };
        assert!(body.starts_with(&head), "{target}: {body}");
    }
    let odd = api.get("/api/v1/query?query=m%7Ba=%222%22%7D*0&time=1009").await.body;
    assert!(odd.contains(r#"[1009,"NaN"]"#), "{odd}");
    for (expression, expected) in [("1/0", "+Inf"), ("-1/0", "-Inf"), ("0/0", "NaN")] {
        let body = api.get(&format!("/api/v1/query?query={expression}&time=4")).await.body;
        assert!(body.contains(&format!(r#"[4,"{expected}"]"#)), "{body}");
    }
    let values = api.get("/api/v1/query_range?query=m/0&start=1000&end=1009&step=1").await.body;
    assert!(!values.contains("inf") && !values.contains("nan"), "{values}");
    api.stop().await;
}

#[tokio::test]
async fn p6_native_histograms_have_four_items_a_bucket() {
    let api = Api::open().await;
    let histogram = Histogram {
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 6.0,
        sum: 3.5,
        positive: Buckets::dense(0, vec![3.0]),
        negative: Buckets::dense(0, vec![1.0]),
        ..Histogram::default()
    };
    let mut batch = Batch::new();
    let series = batch.series(&Labels::from_pairs([("__name__", "native")]));
    batch.histogram(series, TimestampMs(1_009_000), std::sync::Arc::new(histogram));
    api.store.clone().expect("open").append(batch).await.expect("durable");
    for target in
        ["query?query=native&time=1009", "query_range?query=native&start=1009&end=1009&step=1"]
    {
        let json = api.get(&format!("/api/v1/{target}")).await.json();
        let result = &json["data"]["result"][0];
        let own = if result["histogram"].is_null() {
            &result["histograms"][0]
        } else {
            &result["histogram"]
        };
        let own = &own[1];
        assert!(own["count"].is_string() && own["sum"].is_string(), "{json}");
        let buckets = own["buckets"].as_array().expect("buckets");
        assert_eq!(buckets.len(), 3, "{json}");
        for bucket in buckets {
            assert_eq!(bucket.as_array().map(Vec::len), Some(4), "{json}");
            assert!(bucket[0].as_u64().is_some_and(|rule| rule <= 3), "{json}");
            assert!((1..4).all(|place| bucket[place].is_string()), "{json}");
        }
    }
    api.stop().await;
}

#[tokio::test]
async fn p8_q9_times_of_every_size() {
    let api = Api::open().await;
    // Milliseconds where seconds are meant, and an end in the future.
    for path in [
        "query?query=m&time=1700000000000",
        "query_range?query=m&start=1700000000000&end=1700000060000&step=15000",
        "query_exemplars?query=m&start=1700000000000&end=1700003600000",
        "labels?start=1700000000000&end=1700003600000",
        "label/a/values?start=1700000000000&end=1700003600000",
        "series?match[]=m&start=1700000000000&end=1700003600000",
        "label/a/values?start=1700000000000",
    ] {
        let reply = api.get(&format!("/api/v1/{path}")).await;
        let json = reply.json();
        assert_eq!(reply.status, 200, "{path}: {json}");
        let found = if json["data"].is_array() { &json["data"] } else { &json["data"]["result"] };
        assert_eq!(found.as_array().map(Vec::len), Some(0), "{path}: {json}");
    }
    // The extremes that the field's Go client sends, in every spelling.
    for (start, end) in [
        ("-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z"),
        ("-292273086-05-16T16:47:06Z", "%2B292277025-08-18T07:12:54.999999999Z"),
        ("-292273086-05-16T16:47:06Z", "+292277025-08-18T07:12:54.999999999Z"),
        ("-9223372036854775.808", "9223372036854775"),
        ("-9e15", "9e15"),
        ("0", "99999999999999"),
    ] {
        let json = api.get(&format!("/api/v1/label/a/values?start={start}&end={end}")).await.json();
        assert_eq!(list(&json), ["1", "2"], "{start} {end}");
        let form = format!("match[]=m&start={start}&end={end}");
        let json = api.post("/api/v1/series", &form).await.json();
        assert_eq!(json["data"].as_array().map(Vec::len), Some(2), "{form}");
    }
    for time in ["1e300", "-1e300", "NaN", "Inf", "soon", "9223372036854776000"] {
        assert_eq!(
            api.get(&format!("/api/v1/query?query=m&time={time}")).await.status,
            400,
            "{time}"
        );
    }
    // A third digit is as fine as it gets.
    let body = api.get("/api/v1/query?query=m%7Ba=%221%22%7D&time=1009.0004").await.body;
    assert!(body.contains(r#""value":[1009,"9"]"#), "{body}");
    let body = api.get("/api/v1/query?query=m%7Ba=%221%22%7D&time=1009.0126").await.body;
    assert!(body.contains(r#""value":[1009.013,"9"]"#), "{body}");
    api.stop().await;
}

#[tokio::test]
async fn p10_p11_stats_and_notices() {
    let api = Api::open().await;
    let json = api.post("/api/v1/query?stats=all", "query=m&time=1009").await.json();
    assert!(json["data"]["stats"]["samples"]["totalQueryableSamples"].is_number(), "{json}");
    assert!(json["data"]["stats"]["timings"]["evalTotalTime"].is_number(), "{json}");
    let per_step = |json: &Value| {
        let samples = &json["data"]["stats"]["samples"];
        (samples["totalQueryableSamples"].clone(), samples["totalQueryableSamplesPerStep"].clone())
    };
    assert_eq!(per_step(&json), (2.into(), serde_json::json!([[1009, 2]])));
    let form = "query=sum_over_time(m[3s])&start=1000&end=1009.5&step=4.5";
    let json = api.post("/api/v1/query_range?stats=all", form).await.json();
    // Ranges are open on the left: at 1004.5 there are 1002, 1003 and 1004.
    let steps = serde_json::json!([[1000, 1], [1004.5, 3], [1009, 4]]);
    assert_eq!(per_step(&json), (8.into(), steps), "{json}");
    let json = api.post("/api/v1/query_range?stats=true", form).await.json();
    assert_eq!(per_step(&json), (8.into(), Value::Null), "{json}");
    assert!(api.get("/api/v1/query?query=m").await.json()["data"].get("stats").is_none());
    let json = api.get("/api/v1/query?query=rate(m[5m])&time=1009").await.json();
    let infos = json["infos"].as_array().unwrap_or_else(|| panic!("infos: {json}"));
    assert!(infos.iter().all(Value::is_string), "{json}");
    // Ten of a kind, and a line for the others.
    let rates: Vec<String> = (0..15).map(|number| format!("rate(m{number}[5m])")).collect();
    let mut batch = Batch::new();
    for number in 0..15 {
        let series = batch.series(&Labels::from_pairs([("__name__", format!("m{number}"))]));
        for second in 1000..1010 {
            batch.sample(series, TimestampMs(second * 1000), 1.0);
        }
    }
    api.store.clone().expect("open").append(batch).await.expect("durable");
    let form = format!("time=1009&query={}", rates.join("%20or%20"));
    let json = api.post("/api/v1/query", &form).await.json();
    let infos = json["infos"].as_array().expect("infos");
    assert_eq!(infos.len(), 11, "{json}");
    assert_eq!(infos[10], "5 more info annotations omitted");
    let error = api.get("/api/v1/query?query=(").await.json();
    assert_eq!(error["errorType"], "bad_data");
    assert!(error["error"].is_string());
    api.stop().await;
}

#[tokio::test]
async fn q12_links_of_alerts_lead_to_the_page() {
    let api = Api::open().await;
    let link =
        "/graph?g0.expr=up%20%3D%3D%200&g0.tab=1&g0.range_input=1h&g0.end_input=2024-01-01%2000:00";
    let page = api.get(link).await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-type: text/html"), "{}", page.head);
    let script = api.get("/ui/app.js").await.body;
    for word in ["g0.expr", "g0.range_input", "g0.end_input", "g0.tab"] {
        assert!(script.contains(word), "{word}");
    }
    api.stop().await;
}

#[tokio::test]
async fn never_html_under_api_and_alertmanager() {
    let api = Api::open().await;
    for (method, target, status) in [
        ("GET", "/api", 404),
        ("GET", "/api/", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/", 404),
        ("GET", "/api/v1/query/", 404),
        ("POST", "/api/v9/x", 404),
        ("GET", "/api/v2/nothing", 404),
        // Grafana wants this one to fail, or it takes us for another product.
        ("GET", "/alertmanager/api/v2/status", 404),
        ("GET", "/alertmanager", 404),
        ("DELETE", "/api/v1/query", 405),
        ("PUT", "/api/v1/labels", 405),
        ("DELETE", "/api/v2/alerts", 405),
        ("GET", "/api/v1/write", 405),
    ] {
        let reply = api.send(method, target, "", b"").await;
        assert_eq!(reply.status, status, "{method} {target}");
        assert_eq!(reply.json()["status"], "error", "{method} {target}");
    }
    assert_eq!(api.get("/nothing").await.status, 404);
    api.stop().await;
}

#[tokio::test]
async fn get_and_post_url_and_body_are_the_same() {
    let api = Api::open().await;
    for (path, parameters) in [
        ("query", "query=m&time=1009"),
        ("query_range", "query=m&start=1000&end=1009&step=1"),
        ("series", "match[]=m&match[]=none"),
        ("labels", "match[]=m&match[]=none"),
        ("query_exemplars", "query=m"),
        ("format_query", "query=sum(m)by(a)"),
        ("parse_query", "query=sum(m)by(a)"),
    ] {
        let path = format!("/api/v1/{path}");
        let by_url = api.get(&format!("{path}?{parameters}")).await;
        assert_eq!(by_url.status, 200, "{path}: {}", by_url.body);
        assert_eq!(api.post(&path, parameters).await.body, by_url.body, "{path}");
        let (first, rest) = parameters.split_once('&').unwrap_or((parameters, ""));
        assert_eq!(api.post(&format!("{path}?{rest}"), first).await.body, by_url.body, "{path}");
        // What nobody knows is nobody's mistake.
        let more = format!("{path}?{parameters}&max_samples_processed_warning_threshold=5&x[]=y");
        assert_eq!(api.get(&more).await.body, by_url.body, "{path}");
    }
    api.stop().await;
}

#[tokio::test]
async fn rule_filters_in_both_spellings_and_pages() {
    let api = Api::whole().await;
    let names = async |query: &str| -> Vec<String> {
        let json = api.get(&format!("/api/v1/rules?{query}")).await.json();
        let groups = json["data"]["groups"].as_array().unwrap_or_else(|| panic!("{json}")).clone();
        let rules =
            groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone());
        rules.map(|rule| rule["name"].as_str().expect("a name").to_owned()).collect()
    };
    let all = ["job:m:sum", "Always", "Never"];
    for (query, expected) in [
        ("", &all[..]),
        ("type=alert", &all[1..]),
        ("type=record", &all[..1]),
        ("rule_name=Always&rule_name[]=Always", &all[1..2]),
        ("rule_name[]=Always&rule_name[]=Never", &all[1..]),
        ("rule_group=two", &all[2..]),
        ("rule_group[]=two&file=r.yml", &all[2..]),
        ("file[]=other.yml", &[]),
        ("match[]=%7Bteam%3D%22a%22%7D", &all[..1]),
        ("match[]=%7Bteam%3D%22a%22%7D&match[]=%7Bseverity%3D~%22p.*%22%7D", &all[..2]),
        ("group_limit=1", &all[..2]),
        ("unknown=1&exclude_alerts=true&dashboard_uid=x", &all[..]),
    ] {
        assert_eq!(names(query).await, expected, "{query}");
    }
    let first = api.get("/api/v1/rules?group_limit=1").await.json();
    let token = first["data"]["groupNextToken"].as_str().expect("a token").to_owned();
    assert_eq!(names(&format!("group_limit=1&group_next_token={token}")).await, &all[2..]);
    let last = api.get(&format!("/api/v1/rules?group_limit=1&group_next_token={token}")).await;
    assert!(last.json()["data"].get("groupNextToken").is_none());
    for query in [
        "type=x",
        "group_limit=0",
        "group_limit=x",
        "group_next_token=x",
        "group_limit=1&group_next_token=x",
        "exclude_alerts=maybe",
        "match[]=(",
    ] {
        let reply = api.get(&format!("/api/v1/rules?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.body);
    }
    let shape = api.get("/api/v1/rules").await.json();
    for rule in shape["data"]["groups"].as_array().expect("groups").iter().flat_map(|group| {
        assert!(group["interval"].is_number() && group["evaluationTime"].is_number());
        group["rules"].as_array().expect("rules")
    }) {
        assert!(matches!(rule["type"].as_str(), Some("alerting" | "recording")), "{rule}");
        assert!(matches!(rule["health"].as_str(), Some("ok" | "err" | "unknown")), "{rule}");
        assert!(rule["lastEvaluation"].as_str().is_some_and(|at| at.contains('T')), "{rule}");
    }
    api.stop().await;
}

#[tokio::test]
async fn everything_stands_under_a_prefix() {
    let web = dashboards::Web {
        route_prefix: "/belfry".to_owned(),
        external_url: "https://b.example/belfry".to_owned(),
    };
    let api = Api::open_at(web, None, true).await;
    for path in ["/", "/belfry"] {
        let reply = api.get(path).await;
        assert!(reply.head.contains("location: /belfry/"), "{path}: {}", reply.head);
    }
    let page = api.get("/belfry/").await;
    assert_eq!(page.status, 200);
    // Relative addresses: they hold wherever the page stands.
    assert!(page.body.contains("href=\"ui/style.css\"") && page.body.contains("src=\"ui/app.js\""));
    for path in [
        "/belfry/graph",
        "/belfry/ui/app.js",
        "/belfry/docs",
        "/belfry/-/healthy",
        "/belfry/metrics",
        "/belfry/federate",
        "/belfry/api/v1/labels",
        "/belfry/api/v2/status",
    ] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    for path in ["/api/v1/labels", "/graph", "/-/healthy", "/belfry/api/v1/nothing"] {
        let reply = api.get(path).await;
        assert_eq!((reply.status, &reply.json()["status"]), (404, &"error".into()), "{path}");
    }
    let document = api.get("/belfry/api/v1/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], "/belfry");
    let managers = api.get("/belfry/api/v1/alertmanagers").await.json();
    let url = &managers["data"]["activeAlertmanagers"][0]["url"];
    assert_eq!(url, "https://b.example/belfry/api/v2/alerts");
    api.stop().await;
}

#[tokio::test]
async fn other_origins_may_ask() {
    let api = Api::open().await;
    let origin = "Origin: http://grafana.example\r\n";
    let reply = api.send("GET", "/api/v1/query?query=1", origin, b"").await;
    assert!(reply.head.contains("access-control-allow-origin: *"), "{}", reply.head);
    let asked = format!("{origin}Access-Control-Request-Method: POST\r\n");
    let reply = api.send("OPTIONS", "/api/v1/query", &asked, b"").await;
    assert_eq!(reply.status, 204);
    assert!(
        reply.head.contains("access-control-allow-methods: get, post, options"),
        "{}",
        reply.head
    );
    let own = api.get("/api/v1/query?query=1").await;
    assert!(!own.head.contains("access-control"), "{}", own.head);
    api.stop().await;
}
