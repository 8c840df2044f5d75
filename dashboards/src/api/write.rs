//! `/api/v1/write`: remote write. 2xx means fsynced.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use collector::push::remote_write;
use collector::push::PushError;
use model::append::{AppendError, Appended};

use crate::parts::Parts;

/// Most refused samples that are named in an answer.
const NAMED_MAX: usize = 5;

/// Takes one remote-write request.
pub async fn remote_write(State(parts): State<Parts>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(append) = parts.append.clone() else {
        return text(StatusCode::NOT_FOUND, "the service \"store\" does not run here");
    };
    let content_type = header_text(&headers, &header::CONTENT_TYPE);
    let encoding = header_text(&headers, &header::CONTENT_ENCODING);
    let batch = match remote_write::decode(content_type, encoding, &body) {
        Ok(batch) => batch,
        Err(error) => return refuse(&error),
    };
    if batch.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    match append.append(batch).await {
        Ok(appended) if appended.refused.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(appended) => text(StatusCode::BAD_REQUEST, &refused_text(&appended)),
        Err(error @ (AppendError::Unavailable { .. } | AppendError::Stopping)) => {
            text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn refuse(error: &PushError) -> Response {
    let code = match error {
        PushError::UnsupportedMedia { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        PushError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    text(code, &error.to_string())
}

fn refused_text(appended: &Appended) -> String {
    let mut lines = vec![format!(
        "{} samples stored, {} refused:",
        appended.accepted,
        appended.refused.len()
    )];
    for refused in appended.refused.iter().take(NAMED_MAX) {
        lines.push(format!(
            "series {} of the request at {}: {}",
            refused.series.0,
            refused.at,
            refused.reason.message()
        ));
    }
    lines.join("\n")
}

fn text(code: StatusCode, message: &str) -> Response {
    (code, format!("{message}\n")).into_response()
}
