//! `/api/v2`: what amtool, Grafana and a foreign Prometheus ask an Alertmanager.
//!
//! Errors are JSON strings here, as upstream has them.

use std::sync::Arc;

use alertmanager::Alertmanager;
use alertmanager::core::view::{AlertView, GroupView};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::labels::Labels;
use model::time::TimestampMs;
use model::{Alert, AlertSink, AlertSinkError, Matcher};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{Identity, Scope};
use crate::api::params::Params;
use crate::api::status::rfc3339;
use crate::api::targets::labels;
use crate::parts::Parts;

/// An error of this API.
pub struct ErrorText(pub(super) StatusCode, pub(super) String);

impl IntoResponse for ErrorText {
    fn into_response(self) -> Response {
        (self.0, Json(Value::String(self.1))).into_response()
    }
}

pub(super) fn manager(parts: &Parts) -> Result<Arc<Alertmanager>, ErrorText> {
    let missing = "the service \"alert\" does not run here; see --services";
    parts.alertmanager.clone().ok_or_else(|| ErrorText(StatusCode::NOT_FOUND, missing.to_owned()))
}

pub(super) fn bad(message: impl Into<String>) -> ErrorText {
    ErrorText(StatusCode::BAD_REQUEST, message.into())
}

/// Which alerts are asked for.
struct Filter {
    scope: Scope,
    matchers: Vec<Matcher>,
    receiver: Option<Matcher>,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

/// The matchers under `filter`, all of which must match.
pub(super) fn matchers(params: &Params) -> Result<Vec<Matcher>, ErrorText> {
    let mut all = Vec::new();
    for text in params.all("filter").chain(params.all("filter[]")) {
        let parsed = alertmanager::matchers::parse(text)
            .map_err(|error| bad(format!("bad matcher format: {error}")))?;
        all.extend(parsed.matchers);
    }
    Ok(all)
}

impl Filter {
    fn new(params: &Params) -> Result<Filter, ErrorText> {
        let receiver = match params.get("receiver") {
            None => None,
            Some(text) => Some(
                Matcher::new("receiver", model::MatchOp::Regex, text)
                    .map_err(|error| bad(format!("failed to parse receiver param: {error}")))?,
            ),
        };
        let wanted = |name: &str| params.get(name).is_none_or(|text| text != "false");
        Ok(Filter {
            scope: params.scope().clone(),
            matchers: matchers(params)?,
            receiver,
            active: wanted("active"),
            silenced: wanted("silenced"),
            inhibited: wanted("inhibited"),
        })
    }

    fn takes(&self, alert: &AlertView) -> bool {
        let is_active = alert.state() == "active";
        self.scope.takes(&alert.labels)
            && self.matchers.iter().all(|matcher| matcher.matches_labels(&alert.labels))
            && self
                .receiver
                .as_ref()
                .is_none_or(|receiver| alert.receivers.iter().any(|name| receiver.matches(name)))
            && (self.active || !is_active)
            && (self.silenced || alert.silenced_by.is_empty())
            && (self.inhibited || alert.inhibited_by.is_empty())
    }
}

/// Alerts that fire.
pub async fn alerts(State(parts): State<Parts>, params: Params) -> Result<Json<Value>, ErrorText> {
    let manager = manager(&parts)?;
    let filter = Filter::new(&params)?;
    let shown = manager.alerts();
    Ok(Json(shown.iter().filter(|alert| filter.takes(alert)).map(alert_shape).collect()))
}

/// Alerts by group.
pub async fn groups(State(parts): State<Parts>, params: Params) -> Result<Json<Value>, ErrorText> {
    let manager = manager(&parts)?;
    let filter = Filter::new(&params)?;
    let mut shown = Vec::new();
    for group in manager.groups() {
        let GroupView { labels: own, receiver, alerts, .. } = &group;
        let alerts: Vec<Value> =
            alerts.iter().filter(|alert| filter.takes(alert)).map(alert_shape).collect();
        if !alerts.is_empty() {
            let labels = labels(own);
            shown.push(json!({"labels": labels, "receiver": {"name": receiver}, "alerts": alerts}));
        }
    }
    Ok(Json(Value::Array(shown)))
}

fn alert_shape(alert: &AlertView) -> Value {
    let receivers: Vec<Value> = alert.receivers.iter().map(|name| json!({"name": name})).collect();
    json!({
        "annotations": labels(&alert.annotations),
        "endsAt": rfc3339(alert.ends_at.0),
        "fingerprint": alert.fingerprint,
        "receivers": receivers,
        "startsAt": rfc3339(alert.starts_at.0),
        "status": {
            "inhibitedBy": alert.inhibited_by,
            "mutedBy": alert.muted_by,
            "silencedBy": alert.silenced_by,
            "state": alert.state(),
        },
        "updatedAt": rfc3339(alert.updated_at.0),
        "generatorURL": alert.generator_url,
        "labels": labels(&alert.labels),
    })
}

/// Names of receivers.
pub async fn receivers(State(parts): State<Parts>) -> Result<Json<Value>, ErrorText> {
    let manager = manager(&parts)?;
    let names = manager.receivers().into_iter().map(|(name, _)| json!({"name": name}));
    Ok(Json(names.collect()))
}

/// Version, configuration and uptime.
pub async fn status(State(parts): State<Parts>) -> Result<Json<Value>, ErrorText> {
    let manager = manager(&parts)?;
    let status = parts.control.status();
    Ok(Json(json!({
        "cluster": {"name": "", "status": "disabled", "peers": []},
        "config": {"original": manager.config_text()},
        "uptime": rfc3339(status.started_at_ms),
        "versionInfo": {
            "branch": "",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": "",
            "version": status.version,
        },
    })))
}

/// An alert as clients post it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostedAlert {
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: String,
}

impl PostedAlert {
    fn alert(self) -> Result<Alert, ErrorText> {
        Ok(Alert {
            labels: Labels::from_pairs(&self.labels),
            annotations: Labels::from_pairs(&self.annotations),
            starts_at: instant(self.starts_at.as_deref())?,
            ends_at: instant(self.ends_at.as_deref())?,
            generator_url: self.generator_url,
        })
    }
}

/// Go's zero time means "not set".
pub(super) fn instant(text: Option<&str>) -> Result<Option<TimestampMs>, ErrorText> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    let at: jiff::Timestamp =
        text.parse().map_err(|error| bad(format!("bad time {text:?}: {error}")))?;
    Ok(Some(TimestampMs(at.as_millisecond())))
}

/// Takes alerts. 200 means fsynced.
pub async fn post_alerts(
    State(parts): State<Parts>,
    identity: Identity,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, ErrorText> {
    let manager = manager(&parts)?;
    let body = body.map_err(|error| ErrorText(error.status(), error.body_text()))?;
    let posted: Vec<PostedAlert> =
        serde_json::from_slice(&body).map_err(|error| bad(format!("parsing body: {error}")))?;
    let alerts = posted.into_iter().map(PostedAlert::alert).collect::<Result<Vec<_>, _>>()?;
    if let Some(outside) = alerts.iter().find(|own| !identity.scope().takes(&own.labels)) {
        let message = format!("outside the label scope of the sender: {}", outside.labels);
        return Err(ErrorText(StatusCode::FORBIDDEN, message));
    }
    manager.send(alerts).await.map(|()| StatusCode::OK).map_err(|error| match &error {
        AlertSinkError::Invalid { .. } => bad(error.to_string()),
        _ => ErrorText(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    })
}
