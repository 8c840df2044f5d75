//! `/api/v1/write`: remote write. 2xx means fsynced.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use collector::push::remote_write;
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
    let decoded = match remote_write::decode_counted(content_type, encoding, &body) {
        Ok(decoded) => decoded,
        Err(error) => {
            let code = StatusCode::from_u16(error.http_status());
            return text(code.unwrap_or(StatusCode::BAD_REQUEST), &error.to_string());
        }
    };
    let left_out = (decoded.samples_invalid_labels, decoded.histograms_skipped);
    let outcome = if decoded.batch.is_empty() {
        Ok(Appended::default())
    } else {
        append.append(decoded.batch).await
    };
    match outcome {
        Ok(appended) if appended.refused.is_empty() && left_out == (0, 0) => {
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(appended) => text(StatusCode::BAD_REQUEST, &refused_text(&appended, left_out)),
        Err(error @ (AppendError::Unavailable { .. } | AppendError::Stopping)) => {
            text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn refused_text(appended: &Appended, left_out: (u64, u64)) -> String {
    let mut lines =
        vec![format!("{} samples stored, {} refused:", appended.accepted, appended.refused.len())];
    for refused in appended.refused.iter().take(NAMED_MAX) {
        lines.push(format!(
            "series {} of the request at {}: {}",
            refused.series.0,
            refused.at,
            refused.reason.message()
        ));
    }
    if left_out.0 > 0 {
        lines.push(format!("{} samples of series without a name or with bad labels", left_out.0));
    }
    if left_out.1 > 0 {
        lines.push(format!("{} native histograms, which are not stored yet", left_out.1));
    }
    lines.join("\n")
}

fn text(code: StatusCode, message: &str) -> Response {
    (code, format!("{message}\n")).into_response()
}
