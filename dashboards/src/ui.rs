//! The page at `/`: what is watched, what is down, which alarms ring, a query box with a chart.
//!
//! Place in the flow: embedded files, no build step, nothing fetched from elsewhere; the page asks
//! `/api/v1` like any other client. All its addresses are relative, for the sake of a path prefix.
//!
//! A second page at `/docs` shows the OpenAPI document.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

const CONTENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; img-src 'self' data:; base-uri 'none'");

/// The page.
pub async fn page() -> Response {
    let headers = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    (headers, Html(include_str!("ui/index.html"))).into_response()
}

/// The page that shows the OpenAPI document.
pub async fn docs() -> Response {
    let headers = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    (headers, Html(include_str!("ui/docs.html"))).into_response()
}

/// Its script and style.
pub async fn file(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "app.js" => ("text/javascript; charset=utf-8", include_str!("ui/app.js")),
        "docs.js" => ("text/javascript; charset=utf-8", include_str!("ui/docs.js")),
        "style.css" => ("text/css; charset=utf-8", include_str!("ui/style.css")),
        _ => return (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
