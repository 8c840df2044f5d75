//! `/-/healthy`, `/-/ready`, `/-/reload`, `/-/quit`, `/metrics`, `/version`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};

use crate::parts::Parts;

/// The process lives.
pub async fn healthy() -> &'static str {
    "Belfry is healthy.\n"
}

/// All rooms have started.
pub async fn ready(State(parts): State<Parts>) -> Response {
    match parts.control.readiness() {
        Ok(()) => "Belfry is ready.\n".into_response(),
        Err(missing) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("Belfry is not ready: {missing}\n"))
                .into_response()
        }
    }
}

/// Reads the configuration again. A bad one changes nothing and answers with its mistakes.
pub async fn reload(State(parts): State<Parts>) -> Response {
    match parts.control.reload().await {
        Ok(()) => "The configuration is in force.\n".into_response(),
        Err(problems) => {
            let text = format!("failed to reload config: {problems}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// Ends the process, if the operator allowed it.
pub async fn quit(State(parts): State<Parts>) -> Response {
    if parts.control.quit() {
        "Requesting termination... Goodbye!\n".into_response()
    } else {
        let text = "Lifecycle API is not enabled: set web.enable_lifecycle in belfry.yml\n";
        (StatusCode::FORBIDDEN, text).into_response()
    }
}

/// Belfry's version in words of its own.
pub async fn version(State(parts): State<Parts>) -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({
        "version": crate::api::status::API_VERSION,
        "revision": parts.control.status().version,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

/// Belfry's own metrics in the text format.
pub async fn metrics(State(parts): State<Parts>) -> Response {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    match encoder.encode(&parts.registry.gather(), &mut body) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("encode metrics: {error}\n"))
            .into_response(),
    }
}
