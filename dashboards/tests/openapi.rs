//! The OpenAPI document: it tells of every route, and every answer is what it tells.

use std::collections::BTreeSet;

use dashboards::openapi::{Access, table};
use model::yaml::{Kind, Node};
use serde_json::{Value, json};

/// The API over a small store.
mod served;

use served::{Api, Reply};

/// Operations whose answers are not JSON in an envelope that a test could ask for here, or that act.
const NOT_ASKED: [&str; 4] =
    ["/api/v1/queries/{id}/kill", "/api/v1/sql", "/api/v1/admin/tsdb/snapshot", "/api/v2/status"];

/// What stands under `/api/v1` in Prometheus' own document.
const OF_PROMETHEUS: [&str; 36] = [
    "query",
    "query_range",
    "query_exemplars",
    "format_query",
    "parse_query",
    "labels",
    "label/{name}/values",
    "search/metric_names",
    "search/label_names",
    "search/label_values",
    "series",
    "metadata",
    "scrape_pools",
    "scrape_pools/config",
    "targets",
    "targets/metadata",
    "targets/relabel_steps",
    "rules",
    "alerts",
    "alertmanagers",
    "status/config",
    "status/runtimeinfo",
    "status/buildinfo",
    "status/flags",
    "status/tsdb",
    "status/tsdb/blocks",
    "status/walreplay",
    "status/self_metrics",
    "admin/tsdb/delete_series",
    "admin/tsdb/clean_tombstones",
    "admin/tsdb/snapshot",
    "read",
    "write",
    "notifications",
    "notifications/live",
    "features",
];

/// Path, parameters and the status of the answer, for each route that answers a GET.
const REQUESTS: &[(&str, &str, u16)] = &[
    ("/api/v1/query", "query=m&time=1009&stats=all", 200),
    ("/api/v1/query", "query=1%2B1&time=4", 200),
    ("/api/v1/query", "query=%22x%22", 200),
    ("/api/v1/query", "query=m[5s]&time=1009", 200),
    ("/api/v1/query", "query=(", 400),
    ("/api/v1/query_range", "query=m/0&start=1000&end=1009&step=1", 200),
    ("/api/v1/query_range", "query=m&start=1&end=2", 400),
    ("/api/v1/query_exemplars", "query=m", 200),
    ("/api/v1/format_query", "query=sum(m)", 200),
    ("/api/v1/parse_query", "query=sum%20by%20(a)%20(rate(m[5m]))", 200),
    ("/api/v1/explain", "query=sum(m)&time=1009", 200),
    ("/api/v1/explain", "query=rate(m[5s])&start=1000&end=1009&step=1", 200),
    ("/api/v1/queries", "", 200),
    ("/api/v1/series", "match[]=m", 200),
    ("/api/v1/series", "", 400),
    ("/api/v1/labels", "limit=1", 200),
    ("/api/v1/label/{name}/values", "", 200),
    ("/api/v1/search/metric_names", "start=0&search[]=m&include_score=1", 200),
    ("/api/v1/search/label_names", "start=0", 200),
    ("/api/v1/search/label_values", "label=a&start=0", 200),
    ("/api/v1/search/label_values", "", 400),
    ("/api/v1/metadata", "", 200),
    ("/api/v1/rules", "", 200),
    ("/api/v1/rules", "group_limit=0", 400),
    ("/api/v1/alerts", "", 200),
    ("/api/v1/alertmanagers", "", 200),
    ("/api/v1/targets", "", 200),
    ("/api/v1/targets/metadata", "", 200),
    ("/api/v1/targets/metadata", "metric=none", 404),
    ("/api/v1/targets/relabel_steps", "scrapePool=node&labels={%22__address__%22:%22127.%22}", 200),
    ("/api/v1/targets/relabel_steps", "scrapePool=none&labels={}", 404),
    ("/api/v1/scrape_pools", "", 200),
    ("/api/v1/scrape_pools/config", "scrapePool=node", 200),
    ("/api/v1/status/buildinfo", "", 200),
    ("/api/v1/status/runtimeinfo", "", 200),
    ("/api/v1/status/config", "", 200),
    ("/api/v1/status/flags", "", 200),
    ("/api/v1/status/tsdb", "", 200),
    ("/api/v1/status/tsdb/blocks", "", 200),
    ("/api/v1/status/walreplay", "", 200),
    ("/api/v1/status/self_metrics", "", 200),
    ("/api/v1/features", "", 200),
    ("/api/v1/notifications", "", 200),
    ("/api/v1/admin/tsdb/tombstones", "", 200),
    ("/api/v1/openapi.json", "", 200),
    ("/api/v1/openapi.yaml", "", 200),
    ("/api/v2/alerts", "", 200),
    ("/api/v2/alerts", "filter==", 400),
    ("/api/v2/alerts/groups", "", 200),
    ("/api/v2/receivers", "", 200),
    ("/api/v2/silences", "filter=alertname%3D%22A%22&expired=false", 200),
    ("/api/v2/silences", "filter==", 400),
    ("/api/v2/silence/{id}", "", 404),
    ("/api/v2/status", "", 200),
    ("/federate", "match[]=m", 200),
    ("/metrics", "", 200),
    ("/version", "", 200),
    ("/-/healthy", "", 200),
    ("/-/ready", "", 200),
    ("/", "", 200),
    ("/graph", "", 200),
    ("/alerts", "", 200),
    ("/docs", "", 200),
    ("/ui/{file}", "", 200),
];

#[tokio::test]
async fn every_route_is_told() {
    let api = Api::closed().await;
    let document = api.get("/api/v1/openapi.json").await.json();
    let yaml = api.get("/api/v1/openapi.yaml").await;
    assert!(yaml.head.contains("content-type: application/yaml"), "{}", yaml.head);
    let root = model::yaml::parse(&yaml.body).expect("YAML");
    assert!(root.get("paths").is_some_and(|paths| paths.get("/api/v1/query").is_some()));
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        api.get("/api/v1/openapi.json?openapi_version=3.2").await.json()["openapi"],
        "3.2.0"
    );
    assert_eq!(api.get("/api/v1/openapi.json?openapi_version=2").await.status, 400);
    let paths = document["paths"].as_object().expect("paths");
    let (mut told, mut ids) = (0, BTreeSet::new());
    for route in table() {
        for verb in &route.verbs {
            let own = &paths[route.path][verb.as_str().to_lowercase()];
            assert!(own["summary"].is_string(), "{} {}", verb.as_str(), route.path);
            assert_eq!(own["x-belfry-role"], route.access.as_str(), "{}", route.path);
            assert_eq!(own["security"].is_array(), route.access != Access::None, "{}", route.path);
            assert!(own["responses"].is_object());
            let id = own["operationId"].as_str().expect("an id").to_owned();
            assert!(ids.insert(id.clone()), "{id} twice");
            told += 1;
            let in_path = route.path.matches('{').count();
            let parameters = own["parameters"].as_array().cloned().unwrap_or_default();
            let named = parameters.iter().filter(|one| one["in"] == "path").count();
            assert_eq!(named, in_path, "{}", route.path);
        }
    }
    let all: usize = paths.values().map(|item| item.as_object().expect("verbs").len()).sum();
    assert_eq!(all, told, "nothing is told that is not there");
    // Nothing of Prometheus' document is missing.
    for path in OF_PROMETHEUS {
        assert!(paths.contains_key(&format!("/api/v1/{path}")), "{path}");
    }
    api.stop().await;
}

/// A tree of YAML as JSON.
fn json_of(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { .. } if node.is_null() => Value::Null,
        Kind::Scalar { text, plain: true } => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
        }
        Kind::Scalar { text, .. } => Value::from(text.as_str()),
        Kind::Sequence(items) => items.iter().map(json_of).collect(),
        Kind::Mapping(pairs) => {
            let name = |key: &Node| key.text().unwrap_or("null").to_owned();
            Value::Object(pairs.iter().map(|(key, own)| (name(key), json_of(own))).collect())
        }
    }
}

/// Prometheus' own document. More fields than it tells are allowed.
fn prometheus() -> Value {
    fn open(own: &mut Value) {
        if let Some(fields) = own.as_object_mut() {
            fields.retain(|name, value| name != "additionalProperties" || *value != json!(false));
            fields.values_mut().for_each(open);
        }
        if let Some(items) = own.as_array_mut() {
            items.iter_mut().for_each(open);
        }
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/openapi/prometheus-3.1.yaml");
    let text = std::fs::read_to_string(file).expect("the file");
    let mut document = json_of(&model::yaml::parse(&text).expect("YAML"));
    open(&mut document);
    document
}

/// What Prometheus' document finds wrong with a good answer, if it tells of the path.
fn foreign_problems(document: &Value, path: &str, verb: &str, reply: &Reply) -> Vec<String> {
    let Some(path) = path.strip_prefix("/api/v1") else { return Vec::new() };
    let told = &document["paths"][path][verb]["responses"]["200"]["content"]["application/json"];
    let mut schema = told["schema"].clone();
    if reply.status != 200 || schema.is_null() {
        return Vec::new();
    }
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let body: Value = serde_json::from_str(&reply.body).expect("JSON");
    validator
        .iter_errors(&body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// What is wrong with an answer, by what the document tells of the operation.
fn problems(document: &Value, path: &str, verb: &str, reply: &Reply) -> Vec<String> {
    let responses = &document["paths"][path][verb]["responses"];
    let mut told = &responses[reply.status.to_string()];
    if let Some(name) = told["$ref"].as_str() {
        told = &document["components"]["responses"][name.rsplit('/').next().expect("a name")];
    }
    let Some(content) = told["content"].as_object() else {
        let is_nothing = told.is_object() && reply.body.is_empty();
        return if is_nothing { Vec::new() } else { vec![format!("{} is not told", reply.status)] };
    };
    let line = reply.head.lines().find_map(|line| line.strip_prefix("content-type: "));
    let kind = line.unwrap_or("").split(';').next().unwrap_or("").trim().to_owned();
    let Some(schema) = content.get(&kind).map(|own| own["schema"].clone()) else {
        return vec![format!("{kind} is not told")];
    };
    if kind != "application/json" {
        return Vec::new();
    }
    let mut schema = schema;
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let body: Value = serde_json::from_str(&reply.body).expect("JSON");
    validator
        .iter_errors(&body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_what_is_told() {
    let api = Api::whole().await;
    let document = api.get("/api/v1/openapi.json").await.json();
    let foreign = prometheus();
    assert!(foreign["paths"].as_object().is_some_and(|paths| paths.len() > 30));
    wait_for_the_exporter(&api).await;
    let (mut asked, mut wrong) = (BTreeSet::new(), Vec::new());
    for (path, query, status) in REQUESTS.iter().copied() {
        asked.insert(path);
        let real = path.replace("{name}", "a").replace("{file}", "app.js");
        let mut replies = vec![("get", api.get(&format!("{real}?{query}")).await)];
        if !document["paths"][path]["post"].is_null() && !path.starts_with("/api/v2") {
            replies.push(("post", api.post(&real, query).await));
        }
        for (verb, mut reply) in replies {
            if reply.head.contains("transfer-encoding: chunked") {
                reply.body = served::unchunked(&reply.body);
            }
            assert_eq!(reply.status, status, "{verb} {path}?{query}: {}", reply.body);
            let mut found = problems(&document, path, verb, &reply);
            if !reply.body.contains("\"resultType\":\"string\"") {
                // Prometheus' document does not tell of texts.
                found.extend(foreign_problems(&foreign, path, verb, &reply));
            }
            for problem in found {
                wrong.push(format!("{verb} {path}?{query}: {problem}: {}", reply.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (path, item) in document["paths"].as_object().expect("paths") {
        let is_live = path == "/api/v1/notifications/live";
        let is_asked = asked.contains(path.as_str()) || NOT_ASKED.contains(&path.as_str());
        assert!(item["get"].is_null() || is_asked || is_live, "{path} is asked by no test");
    }
    api.stop().await;
}

async fn wait_for_the_exporter(api: &Api) {
    for _ in 0..200 {
        let json = api.get("/api/v1/targets/metadata").await.json();
        if json["status"] == "success" && api.get("/api/v1/rules").await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the exporter inside the process tells nothing");
}

#[tokio::test]
async fn a_wrong_answer_would_be_seen() {
    let api = Api::closed().await;
    let document = api.get("/api/v1/openapi.json").await.json();
    let reply = |body: Value| Reply {
        status: 200,
        head: "http/1.1 200 ok\r\ncontent-type: application/json".to_owned(),
        body: body.to_string(),
        bytes: Vec::new(),
    };
    let right = json!({"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}});
    assert!(problems(&document, "/api/v1/query", "get", &reply(right.clone())).is_empty());
    for (field, value) in [
        ("/status", json!("fine")),
        ("/data/resultType", json!("list")),
        ("/data/result", json!(null)),
        ("/data/result", json!([4])),
        ("/data/result", json!([{"metric": {"a": 1}}])),
    ] {
        let mut wrong = right.clone();
        *wrong.pointer_mut(field).expect("the field") = value;
        assert!(!problems(&document, "/api/v1/query", "get", &reply(wrong)).is_empty(), "{field}");
    }
    api.stop().await;
}
