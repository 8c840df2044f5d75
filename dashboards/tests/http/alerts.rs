//! Alertmanager's API: alerts that are posted, silences.

use crate::served::Api;

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
