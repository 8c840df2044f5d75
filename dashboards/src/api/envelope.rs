//! The envelope around every answer: `{"status":"success","data":…}` or the error with its type.
//!
//! Place in the flow: the last step of each handler under `/api`. Never HTML, whatever went wrong.

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// An error with the status code and type that the field's clients know.
#[derive(Debug)]
pub struct ApiError {
    code: StatusCode,
    error_type: &'static str,
    message: String,
}

impl ApiError {
    /// Any error.
    pub fn new(code: StatusCode, error_type: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { code, error_type, message: message.into() }
    }

    /// A request that can't be understood.
    pub fn bad_data(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    /// A parameter that can't be understood.
    pub fn bad_parameter(name: &str, message: impl std::fmt::Display) -> ApiError {
        ApiError::bad_data(format!("invalid parameter \"{name}\": {message}"))
    }

    /// A body that can't be read, such as one that is too large.
    pub fn body(rejection: &BytesRejection) -> ApiError {
        ApiError::new(rejection.status(), "bad_data", rejection.body_text())
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// Something that can't be done now.
    pub fn unavailable(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// The service that answers this does not run in this process.
    pub fn not_here(service: &str) -> ApiError {
        let message = format!("the service {service:?} does not run here; see --services");
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.error_type, "error": self.message});
        (self.code, JSON, body.to_string()).into_response()
    }
}

impl From<query::Error> for ApiError {
    fn from(error: query::Error) -> ApiError {
        let (code, error_type) = match &error {
            query::Error::Parse { .. } => (StatusCode::BAD_REQUEST, "bad_data"),
            query::Error::TimedOut { .. } => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            query::Error::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            query::Error::Cancelled { .. } => (client_went_away(), "canceled"),
            query::Error::Killed => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
            query::Error::Storage(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        let message = match &error {
            query::Error::Parse { .. } => format!("invalid parameter \"query\": {error}"),
            _ => error.to_string(),
        };
        ApiError::new(code, error_type, message)
    }
}

impl From<storage::Error> for ApiError {
    fn from(error: storage::Error) -> ApiError {
        ApiError::internal(error.to_string())
    }
}

/// 499: nobody waits for the answer any more.
fn client_went_away() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// Warnings, and infos as well, of one answer.
const NOTICES_MAX: usize = 10;

/// The first notices, and a line with the number of the others. `kind` is `warning` or `info`.
pub fn capped(mut notices: Vec<String>, kind: &str) -> Vec<String> {
    let omitted = notices.len().saturating_sub(NOTICES_MAX);
    if omitted > 0 {
        notices.truncate(NOTICES_MAX);
        notices.push(format!("{omitted} more {kind} annotations omitted"));
    }
    notices
}

/// The JSON content type as a header pair.
pub const JSON: [(header::HeaderName, HeaderValue); 1] =
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];

/// A good answer.
pub struct Success<T> {
    data: T,
    warnings: Vec<String>,
}

impl<T: Serialize> Success<T> {
    /// Wraps data.
    pub fn new(data: T) -> Success<T> {
        Success { data, warnings: Vec::new() }
    }

    /// Adds what the caller should know.
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Success<T> {
        self.warnings = capped(warnings, "warning");
        self
    }
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Envelope<T> {
            status: &'static str,
            data: T,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            warnings: Vec<String>,
        }
        let envelope = Envelope { status: "success", data: self.data, warnings: self.warnings };
        match serde_json::to_vec(&envelope) {
            Ok(body) => (JSON, body).into_response(),
            Err(error) => ApiError::internal(format!("write JSON: {error}")).into_response(),
        }
    }
}
