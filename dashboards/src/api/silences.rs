//! `/api/v2/silences`, `/api/v2/silence/<id>`: made, changed, shown and ended, as amtool, Grafana and
//! the field's pages do it.
//!
//! Place in the flow: JSON → **here** → the alert manager. 200 means fsynced.
//!
//! Not here: what a silence does, which are valid (alertmanager).

use alertmanager::Error;
use alertmanager::core::silence::{Silence, SilenceMatcher};
use alertmanager::core::view::SilenceView;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::Labels;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::alertmanager::{ErrorText, bad, instant, manager, matchers};
use crate::api::params::Params;
use crate::api::status::rfc3339;
use crate::parts::Parts;

/// Silences; a filter is compared with what their matchers say.
pub async fn list(State(parts): State<Parts>, params: Params) -> Result<Json<Value>, ErrorText> {
    let manager = manager(&parts)?;
    let filter = matchers(&params)?;
    let wanted = |view: &SilenceView| {
        let said = view.silence.matchers.iter().map(|own| (own.name.as_str(), own.value.as_str()));
        let said = Labels::from_pairs(said);
        params.get(view.state.name()).is_none_or(|text| text != "false")
            && filter.iter().all(|matcher| matcher.matches_labels(&said))
    };
    let silences = manager.silences();
    Ok(Json(silences.iter().filter(|view| wanted(view)).map(shape).collect()))
}

/// One silence.
pub async fn get(
    State(parts): State<Parts>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ErrorText> {
    let (manager, id) = (manager(&parts)?, id(path)?);
    let found = manager.silences().into_iter().find(|view| view.silence.id == id);
    found.as_ref().map(|view| Json(shape(view))).ok_or_else(|| refused(&Error::NotFound(id)))
}

/// Makes a silence, or changes the one with this id. Answers the id.
pub async fn put(
    State(parts): State<Parts>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ErrorText> {
    let manager = manager(&parts)?;
    let body = body.map_err(|error| ErrorText(error.status(), error.body_text()))?;
    let posted: PostedSilence =
        serde_json::from_slice(&body).map_err(|error| bad(format!("parsing body: {error}")))?;
    let id = manager.put_silence(posted.silence()?).await.map_err(|error| refused(&error))?;
    Ok(Json(json!({"silenceID": id})))
}

/// Ends a silence.
pub async fn expire(
    State(parts): State<Parts>,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ErrorText> {
    let (manager, id) = (manager(&parts)?, id(path)?);
    let ended = manager.expire_silence(&id).await;
    ended.map(|()| StatusCode::OK).map_err(|error| refused(&error))
}

fn id(path: Result<Path<String>, PathRejection>) -> Result<String, ErrorText> {
    path.map(|Path(id)| id).map_err(|error| bad(error.body_text()))
}

fn refused(error: &Error) -> ErrorText {
    let code = match error {
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    ErrorText(code, error.to_string())
}

fn shape(view: &SilenceView) -> Value {
    let SilenceView { silence, state } = view;
    json!({
        "id": silence.id,
        "status": {"state": state.name()},
        "updatedAt": rfc3339(silence.updated_at_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "startsAt": rfc3339(silence.starts_at_ms),
        "endsAt": rfc3339(silence.ends_at_ms),
        "matchers": silence.matchers,
    })
}

/// A silence as clients post it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedSilence {
    #[serde(default)]
    id: Option<String>,
    matchers: Vec<SilenceMatcher>,
    starts_at: String,
    ends_at: String,
    created_by: String,
    comment: String,
}

impl PostedSilence {
    fn silence(self) -> Result<Silence, ErrorText> {
        let at_ms = |name: &str, text: &str| match instant(Some(text))? {
            Some(at) => Ok(at.0),
            None => Err(bad(format!("{name} is missing"))),
        };
        Ok(Silence {
            id: self.id.unwrap_or_default(),
            starts_at_ms: at_ms("startsAt", &self.starts_at)?,
            ends_at_ms: at_ms("endsAt", &self.ends_at)?,
            updated_at_ms: 0,
            matchers: self.matchers,
            created_by: self.created_by,
            comment: self.comment,
        })
    }
}
