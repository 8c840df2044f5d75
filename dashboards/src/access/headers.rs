//! Headers of every answer.
//!
//! Place in the flow: the last step on the way out.
//!
//! What the web configuration file sets counts; an empty value there takes a header away. Our own
//! come next, and what a handler has set itself is left as it is.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::access::rulebook::Rulebook;

/// What every answer tells browsers unless told otherwise.
const DEFAULTS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; img-src 'self' data:; base-uri 'none'; object-src 'none'; \
             frame-ancestors 'self'; form-action 'self'",
        ),
    ),
];

/// A day: it counts for every port of the host, other servers' too.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=86400");

/// Sets the headers of an answer.
pub fn set(response: &mut Response, rules: &Rulebook, is_encrypted: bool) {
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if is_encrypted && !headers.contains_key(header::STRICT_TRANSPORT_SECURITY) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    for (name, value) in &rules.headers {
        if value.is_empty() {
            headers.remove(name);
        } else {
            headers.insert(name, value.clone());
        }
    }
}
