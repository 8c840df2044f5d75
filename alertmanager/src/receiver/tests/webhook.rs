//! The payload on the wire, and what each answer means.

use super::*;

fn hook(keys: &str) -> Live {
    live(&format!(
        "route: {{receiver: web.hook, labels: {{reason: '{{{{ .GroupLabels.alertname }}}}', \
         text: 'because {{{{ routeLabels \"reason\" }}}}'}}}}\nreceivers: [{{name: web.hook, \
         webhook_configs: [{{url: 'http://h/x', {keys}}}]}}]"
    ))
}

async fn post(keys: &str, with_resolved: bool, answers: Vec<Answer>) -> (Report, HttpRequest) {
    let door = Arc::new(FakeDoor::default());
    door.answers.lock().expect("lock").extend(answers);
    let delivery = delivery("web.hook/webhook/0", with_resolved);
    let report = attempt(&delivery, &hook(keys), &doors(door.clone())).await;
    let request = door.asked.lock().expect("lock").pop().expect("one request");
    (report, request)
}

#[tokio::test]
async fn payload_of_version_4() {
    let (report, request) = post("max_alerts: 0", true, vec![answer(200, &[])]).await;
    assert_eq!(report.outcome, Outcome::Delivered);
    let header = |name: &str| {
        let found = request.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("Content-Type"), Some("application/json"));
    assert_eq!(header("Idempotency-Key"), Some("00000000000000000000000000abcdef"));
    assert_eq!(header("X-Belfry-Attempt"), Some("1"));
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("json");
    let fingerprints: Vec<String> = delivery("x/webhook/0", true)
        .intent
        .alerts
        .iter()
        .map(|own| format!("{:016x}", own.fingerprint()))
        .collect();
    let annotations = serde_json::json!({"summary": "full <90%> & größer"});
    assert_eq!(
        body,
        serde_json::json!({
            "receiver": "web\\.hook",
            "status": "firing",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "Disk", "env": "prod", "instance": "b1"},
                    "annotations": annotations,
                    "startsAt": "2025-11-20T10:40:57Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prom/graph?g0.expr=x",
                    "fingerprint": fingerprints[0],
                },
                {
                    "status": "resolved",
                    "labels": {"alertname": "Disk", "env": "prod", "instance": "b2"},
                    "annotations": annotations,
                    "startsAt": "2025-11-20T10:40:57Z",
                    "endsAt": "2025-11-20T10:41:40.5Z",
                    "generatorURL": "http://prom/graph?g0.expr=x",
                    "fingerprint": fingerprints[1],
                },
            ],
            "groupLabels": {"alertname": "Disk"},
            "commonLabels": {"alertname": "Disk", "env": "prod"},
            "commonAnnotations": annotations,
            "routeLabels": {"reason": "Disk", "text": "because Disk"},
            "externalURL": "http://am.example:9093",
            "notification_reason": "first notification",
            "version": "4",
            "groupKey": "{}:{alertname=\"Disk\"}",
            "truncatedAlerts": 0,
        })
    );
}

#[tokio::test]
async fn the_first_alerts_are_kept() {
    let (_, request) = post("max_alerts: 1", true, vec![answer(200, &[])]).await;
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("json");
    assert_eq!(body["alerts"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["truncatedAlerts"], 1);
    assert_eq!(body["commonLabels"]["instance"], "b1");
}

#[tokio::test]
async fn an_own_payload_keeps_types() {
    let keys = "payload: {text: '{{ .CommonLabels.env }}', n: '{{ len .Alerts }}', deep: [true, \
                '{{ .Status }}']}";
    let (_, request) = post(keys, true, vec![answer(200, &[])]).await;
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("json");
    assert_eq!(body, serde_json::json!({"text": "prod", "n": 2, "deep": [true, "firing"]}));
}

#[tokio::test]
async fn credentials_and_headers() {
    let keys = "http_config: {basic_auth: {username: u, password: p}, http_headers: {X-A: \
                {values: [b]}}}";
    let (_, request) = post(keys, false, vec![answer(200, &[])]).await;
    let has =
        |name: &str, value: &str| request.headers.contains(&(name.to_owned(), value.to_owned()));
    assert!(has("Authorization", "Basic dTpw") && has("X-A", "b"));
    let keys = "http_config: {authorization: {credentials: tok}}";
    let (_, request) = post(keys, false, vec![answer(200, &[])]).await;
    assert!(request.headers.contains(&("Authorization".to_owned(), "Bearer tok".to_owned())));
}

#[tokio::test]
async fn what_each_answer_means() {
    for (status, expected) in [
        (200, Outcome::Delivered),
        (204, Outcome::Delivered),
        (302, Outcome::Config),
        (400, Outcome::Rejected),
        (401, Outcome::Config),
        (404, Outcome::Config),
        (408, Outcome::Transient),
        (413, Outcome::Rejected),
        (429, Outcome::Transient),
        (500, Outcome::Transient),
        (503, Outcome::Transient),
    ] {
        let (report, _) = post("max_alerts: 0", false, vec![answer(status, &[])]).await;
        assert_eq!(report.outcome, expected, "status {status}");
    }
    let broken = HttpError::Broken { reason: "reset".to_owned() };
    let (report, _) = post("max_alerts: 0", false, vec![Err(broken)]).await;
    assert_eq!(report.outcome, Outcome::Ambiguous);
    let refused = HttpError::Connect { reason: "refused".to_owned() };
    let (report, _) = post("max_alerts: 0", false, vec![Err(refused)]).await;
    assert_eq!(report.outcome, Outcome::Transient);
}

#[tokio::test]
async fn retry_after_as_seconds_and_as_a_date() {
    for (text, expected_ms) in
        [("120", Some(120_000)), ("Fri, 15 Jan 2027 08:01:00 GMT", Some(60_000)), ("soon", None)]
    {
        let answers = vec![answer(429, &[("retry-after", text)])];
        let (report, _) = post("max_alerts: 0", false, answers).await;
        assert_eq!(report.retry_after_ms, expected_ms, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_door_that_hangs_is_left() {
    let (report, request) = post("timeout: 2s", false, Vec::new()).await;
    assert_eq!(request.deadline.as_secs(), 2);
    assert_eq!(report.outcome, Outcome::Ambiguous);
}
