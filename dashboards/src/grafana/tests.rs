//! What must hold for every bundled dashboard, without a server.

use std::collections::HashSet;

use model::yaml;
use promql::ParseOptions;
use serde_json::Value;

use super::*;

fn export() -> Export {
    let postgres = Postgres { address: "belfry:5432".to_owned(), user: "grafana".to_owned() };
    Export { url: "http://belfry:9090/".to_owned(), interval_ms: 15_000, postgres: Some(postgres) }
}

/// An expression as Grafana sends it.
fn expanded(expression: &str) -> String {
    let mut text = expression.replace("$__rate_interval", "1m");
    for name in ["$job", "$instance", "$datname", "$proxy"] {
        text = text.replace(name, ".+");
    }
    text
}

#[test]
fn every_query_parses_and_has_the_variables() {
    let free = [
        "count(up == 0) or vector(0)",
        "sort(up)",
        "topk(10, scrape_duration_seconds)",
        "topk(10, scrape_samples_scraped)",
    ];
    for dashboard in dashboards() {
        for panel in dashboard.rows.iter().flat_map(|row| &row.panels) {
            let name = format!("{}: {}", dashboard.title, panel.title);
            assert!(!panel.queries.is_empty() && !panel.unit.is_empty(), "{name}");
            assert!(panel.description.ends_with('.'), "{name}: a description is a sentence");
            for (query, _) in &panel.queries {
                let text = expanded(&dashboard.expression(query));
                assert!(!text.contains(['$', '@']), "{name}: {text}");
                let tree = promql::parse(&text, &ParseOptions::default());
                let tree = tree.unwrap_or_else(|problems| panic!("{name}: {text}: {problems:?}"));
                for selector in tree.selectors() {
                    let has = |label: &str| selector.matchers.iter().any(|own| own.name() == label);
                    assert!(
                        free.contains(query) || has("job") && has("instance"),
                        "{name}: {text}"
                    );
                }
            }
        }
    }
}

#[test]
fn dashboards_are_what_grafana_reads() {
    let mut uids = HashSet::new();
    for dashboard in dashboards() {
        let text = dashboard.json();
        assert_eq!(text, dashboard.json(), "the same bytes each time");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert!(uids.insert(json["uid"].to_string()), "{} twice", json["uid"]);
        assert!(json.get("id").is_none() && json.get("__inputs").is_none());
        assert_eq!((&json["editable"], &json["schemaVersion"]), (&Value::Bool(false), &36.into()));
        let variables = json["templating"]["list"].as_array().expect("variables");
        assert_eq!(variables[0]["current"]["value"], "belfry", "resolves to the exported source");
        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        for panel in json["panels"].as_array().expect("panels") {
            assert!(ids.insert(panel["id"].to_string()), "{panel}");
            assert!(places.insert(panel["gridPos"].to_string()), "{panel}");
            let kind = panel["type"].as_str().expect("a type");
            assert!(["row", "stat", "timeseries", "table"].contains(&kind), "{kind}");
            for target in panel["targets"].as_array().into_iter().flatten() {
                assert_eq!(target["datasource"]["uid"], "${datasource}");
            }
        }
    }
}

#[test]
fn provisioning_files() {
    let files = files(&export());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names[..2],
        ["provisioning/datasources/belfry.yaml", "provisioning/dashboards/belfry.yaml"]
    );
    assert_eq!(names[2], "dashboards/belfry/belfry-host.json");
    let sources = yaml::parse(&files[0].1).expect("YAML");
    let yaml::Kind::Sequence(list) = &sources.get("datasources").expect("sources").kind else {
        panic!("a list");
    };
    let text = |index: usize, path: &[&str]| {
        let mut node = &list[index];
        for key in path {
            node = node.get(key).unwrap_or_else(|| panic!("{path:?}"));
        }
        node.text().expect("a text").to_owned()
    };
    assert_eq!(text(0, &["jsonData", "timeInterval"]), "15s");
    assert_eq!(text(0, &["jsonData", "httpMethod"]), "POST");
    assert_eq!(text(0, &["url"]), "http://belfry:9090");
    assert_eq!(text(1, &["jsonData", "implementation"]), "prometheus");
    assert_eq!(text(0, &["jsonData", "alertmanagerUid"]), text(1, &["uid"]));
    assert_eq!(text(2, &["secureJsonData", "password"]), "$BELFRY_SQL_PASSWORD");
    let without = Export { postgres: None, ..export() };
    assert!(!super::files(&without)[0].1.contains("postgres"));
}

#[test]
fn config_maps_hold_the_same_texts() {
    let files = config_maps(&export(), "watching");
    for (name, text) in &files {
        let root = yaml::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(root.get("kind").and_then(|node| node.text()), Some("ConfigMap"));
        let namespace = root.get("metadata").and_then(|node| node.get("namespace"));
        assert_eq!(namespace.and_then(|node| node.text()), Some("watching"));
    }
    assert!(files[0].1.contains("grafana_datasource: \"1\""));
    assert!(files[1].1.contains("grafana_dashboard: \"1\""));
    let data = yaml::parse(&files[1].1).expect("YAML");
    let held = data.get("data").and_then(|node| node.get("belfry-host.json"));
    assert_eq!(held.and_then(|node| node.text()), Some(dashboards()[0].json().as_str()));
}
