//! `/api/v1/write`: remote write 1.0 and 2.0. Success means fsynced.
//!
//! Place in the flow: HTTP → **`remote_write`** → `collector::push::Receiver`, which decides.
//!
//! Not here: what is taken and what is refused (collector).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use collector::push::{Answer, Receiver};

use crate::access::Identity;
use crate::parts::Parts;

/// How long a sender should wait when the store takes nothing, in seconds.
const RETRY_AFTER_S: HeaderValue = HeaderValue::from_static("5");
const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Takes one remote-write request.
pub async fn remote_write(
    State(parts): State<Parts>,
    identity: Identity,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(receiver) = receiver(parts, &identity) else {
        return text(StatusCode::NOT_FOUND, "the service \"collect\" does not run here");
    };
    let content_type = header_text(&headers, &header::CONTENT_TYPE);
    let encoding = header_text(&headers, &header::CONTENT_ENCODING);
    respond(&receiver.remote_write(content_type, encoding, &body).await)
}

/// The door for what a caller may write.
pub(super) fn receiver(parts: Parts, identity: &Identity) -> Option<Arc<Receiver>> {
    let whole = parts.receiver?;
    let scope = identity.scope();
    Some(if scope.is_everything() { whole } else { whole.narrowed(&scope.matchers()) })
}

/// An answer of the doors as HTTP.
pub(super) fn respond(answer: &Answer) -> Response {
    let code = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match code {
        StatusCode::NO_CONTENT => code.into_response(),
        _ => text(code, &answer.text),
    };
    let headers = response.headers_mut();
    if answer.is_v2 {
        headers.insert(SAMPLES_WRITTEN, answer.written.samples.into());
        headers.insert(HISTOGRAMS_WRITTEN, answer.written.histograms.into());
        headers.insert(EXEMPLARS_WRITTEN, answer.written.exemplars.into());
    }
    if code == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER_S);
    }
    response
}

/// A header's text; empty when it is absent or no text.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// An answer for people.
pub(super) fn text(code: StatusCode, message: &str) -> Response {
    (code, format!("{message}\n")).into_response()
}
