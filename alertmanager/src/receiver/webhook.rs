//! Webhooks: one JSON post per message, payload version 4.
//!
//! Place in the flow: attempt → **`send`** → the HTTP door → a report.
//!
//! The same message carries the same `Idempotency-Key` in every attempt, and its number in a header
//! of its own, so that a receiver can tell a repetition from news.
//!
//! Not here: connections and redirects (the HTTP door).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use model::http_door::{HttpError, HttpRequest, HttpResponse, HttpTls};
use model::yaml::{self, Kind, Node};
use model::{Labels, TimestampMs};
use serde::Serialize;
use serde_json::Value as Json;

use super::{Attempt, Doors};
use crate::config::{Credentials, HttpConfig, WebhookConfig};
use crate::core::{Outcome, Report};
use crate::message::{Message, quote_meta};
use crate::secret::SecretSource;

/// Limit of one attempt when the configuration has none.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// More of an answer is not read: it is only shown to people.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Largest PEM file.
const PEM_BYTES_MAX: usize = 1024 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    receiver: String,
    status: &'static str,
    alerts: Vec<PayloadAlert>,
    group_labels: BTreeMap<String, String>,
    common_labels: BTreeMap<String, String>,
    common_annotations: BTreeMap<String, String>,
    route_labels: BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: String,
    #[serde(rename = "notification_reason")]
    notification_reason: &'static str,
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PayloadAlert {
    status: &'static str,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// Makes one attempt.
pub(super) async fn send(attempt: Attempt<'_>, config: &WebhookConfig) -> Report {
    let Attempt { delivery, doors, message, .. } = attempt;
    let message = message.truncate(config.alerts_max);
    let request = match request(&message, config, doors, delivery.attempt) {
        Ok(request) => request,
        Err(reason) => return Report::plain(Outcome::Config, reason),
    };
    let limit = request.deadline;
    // The door keeps the deadline; a door that does not must not hold us either.
    let answer = tokio::time::timeout(limit + Duration::from_secs(5), doors.http.request(request));
    match answer.await {
        Ok(Ok(response)) => judge(&response, doors.clock.now()),
        Ok(Err(error)) => Report::plain(outcome_of(&error), error.to_string()),
        Err(_) => Report::plain(Outcome::Ambiguous, "no answer within the deadline"),
    }
}

fn request(
    message: &Message<'_>,
    config: &WebhookConfig,
    doors: &Doors,
    attempt: u32,
) -> Result<HttpRequest, String> {
    let url = message.text(config.url.read(&doors.disk)?.expose())?;
    let body = match &config.payload {
        Some(node) => serde_json::to_vec(&custom(node, message)?),
        None => serde_json::to_vec(&payload(message)?),
    };
    let body = body.map_err(|error| format!("write the payload: {error}"))?;
    let mut headers = vec![
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("User-Agent".to_owned(), concat!("Belfry/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("Idempotency-Key".to_owned(), message.intent.id.clone()),
        ("X-Belfry-Attempt".to_owned(), attempt.to_string()),
    ];
    add_credentials(&mut headers, &config.http_config, doors)?;
    let deadline = match config.timeout_ms {
        0 => TIMEOUT_DEFAULT,
        ms => Duration::from_millis(ms),
    };
    Ok(HttpRequest {
        method: "POST",
        url: url.trim().to_owned(),
        headers,
        body,
        deadline,
        answer_bytes_max: ANSWER_BYTES_MAX,
        tls: tls(&config.http_config, doors)?,
        follow_redirects: config.http_config.follow_redirects,
    })
}

fn add_credentials(
    headers: &mut Vec<(String, String)>,
    config: &HttpConfig,
    doors: &Doors,
) -> Result<(), String> {
    let read = |source: &SecretSource| source.read(&doors.disk).map(|own| own.expose().to_owned());
    match &config.credentials {
        Credentials::None => {}
        Credentials::Basic { username, password } => {
            let password = password.as_ref().map_or(Ok(String::new()), read)?;
            let encoded = STANDARD.encode(format!("{}:{password}", read(username)?));
            headers.push(("Authorization".to_owned(), format!("Basic {encoded}")));
        }
        Credentials::Token { kind, credentials } => {
            let value = format!("{kind} {}", read(credentials)?);
            headers.push(("Authorization".to_owned(), value));
        }
    }
    for (name, source) in &config.headers {
        headers.push((name.clone(), read(source)?));
    }
    Ok(())
}

fn tls(config: &HttpConfig, doors: &Doors) -> Result<HttpTls, String> {
    let pem = |path: &Option<std::path::PathBuf>| match path {
        None => Ok(None),
        Some(path) => doors
            .disk
            .read(path, PEM_BYTES_MAX)
            .map_err(|error| error.to_string())
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()))
            .map(Some)
            .map_err(|error| format!("read {}: {error}", path.display())),
    };
    let files = &config.tls;
    let identity_pem = match (pem(&files.cert_file)?, pem(&files.key_file)?) {
        (Some(cert), Some(key)) => Some(format!("{cert}\n{key}")),
        _ => None,
    };
    Ok(HttpTls {
        ca_pem: pem(&files.ca_file)?,
        identity_pem,
        insecure_skip_verify: files.insecure_skip_verify,
    })
}

fn payload(message: &Message<'_>) -> Result<Payload, String> {
    let alerts = message.alerts.iter().map(|alert| {
        let fires = message.fires(alert);
        let ends_at =
            if fires { "0001-01-01T00:00:00Z".to_owned() } else { go_time(alert.ends_at_ms) };
        PayloadAlert {
            status: if fires { "firing" } else { "resolved" },
            labels: text_map(&alert.labels),
            annotations: text_map(&alert.annotations),
            starts_at: go_time(alert.starts_at_ms),
            ends_at,
            generator_url: alert.generator_url.clone(),
            fingerprint: format!("{:016x}", alert.fingerprint()),
        }
    });
    Ok(Payload {
        receiver: quote_meta(&message.intent.receiver),
        status: message.status(),
        alerts: alerts.collect(),
        group_labels: text_map(&message.intent.group_labels),
        common_labels: text_map(&message.common_labels()),
        common_annotations: text_map(&message.common_annotations()),
        route_labels: message.rendered_route_labels()?,
        external_url: message.external_url.to_owned(),
        notification_reason: message.intent.reason.text(),
        version: "4",
        group_key: message.intent.group_key.clone(),
        truncated_alerts: message.truncated,
    })
}

fn text_map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// RFC 3339 with as many digits as needed, as Go prints it.
fn go_time(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |own| own.to_string())
}

/// The operator's own body: texts are templates, and what they give is read again as YAML, so that
/// a number stays a number.
fn custom(node: &Node, message: &Message<'_>) -> Result<Json, String> {
    match &node.kind {
        Kind::Scalar { text, plain } => {
            if !text.contains("{{") {
                return Ok(scalar(text, *plain));
            }
            let rendered = message.text(text)?;
            match yaml::parse(&rendered) {
                Ok(Node { kind: Kind::Scalar { plain: true, text }, .. }) if text == rendered => {
                    Ok(scalar(&text, true))
                }
                Ok(node @ Node { kind: Kind::Sequence(_) | Kind::Mapping(_), .. })
                    if rendered.trim_start().starts_with(['{', '[']) =>
                {
                    plain_json(&node)
                }
                _ => Ok(Json::String(rendered)),
            }
        }
        Kind::Sequence(items) => items.iter().map(|item| custom(item, message)).collect(),
        Kind::Mapping(pairs) => pairs
            .iter()
            .map(|(key, value)| Ok((key.text().unwrap_or("").to_owned(), custom(value, message)?)))
            .collect::<Result<serde_json::Map<String, Json>, String>>()
            .map(Json::Object),
    }
}

fn plain_json(node: &Node) -> Result<Json, String> {
    match &node.kind {
        Kind::Scalar { text, plain } => Ok(scalar(text, *plain)),
        Kind::Sequence(items) => items.iter().map(plain_json).collect(),
        Kind::Mapping(pairs) => pairs
            .iter()
            .map(|(key, value)| Ok((key.text().unwrap_or("").to_owned(), plain_json(value)?)))
            .collect::<Result<serde_json::Map<String, Json>, String>>()
            .map(Json::Object),
    }
}

fn scalar(text: &str, plain: bool) -> Json {
    if !plain {
        return Json::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        text => {
            let number = text.parse::<serde_json::Number>().ok();
            number.map_or_else(|| Json::String(text.to_owned()), Json::Number)
        }
    }
}

fn outcome_of(error: &HttpError) -> Outcome {
    match error {
        HttpError::Invalid { .. } => Outcome::Config,
        HttpError::DeadlineExceeded { .. }
        | HttpError::Broken { .. }
        | HttpError::TooLarge { .. } => Outcome::Ambiguous,
        // `Connect` and whatever is added later: nothing reached the other side.
        _ => Outcome::Transient,
    }
}

/// What a status means for the message.
fn judge(response: &HttpResponse, now: TimestampMs) -> Report {
    let outcome = match response.status {
        200..=299 => Outcome::Delivered,
        408 | 425 | 429 | 500..=599 => Outcome::Transient,
        300..=399 | 401 | 403 | 404 | 407 | 410 => Outcome::Config,
        _ => Outcome::Rejected,
    };
    let mut said: String = String::from_utf8_lossy(&response.body).chars().take(200).collect();
    said.retain(|letter| !letter.is_control());
    let detail = match (said.is_empty(), outcome) {
        (true, _) | (_, Outcome::Delivered) => format!("status {}", response.status),
        (false, _) => format!("status {}: {said}", response.status),
    };
    let mut report = Report::plain(outcome, detail);
    report.retry_after_ms = response.header("retry-after").and_then(|text| retry_after(text, now));
    report
}

/// Seconds, or an HTTP date.
fn retry_after(text: &str, now: TimestampMs) -> Option<u64> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_millisecond();
    u64::try_from(at.saturating_sub(now.0)).ok()
}
