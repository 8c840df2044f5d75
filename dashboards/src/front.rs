//! What every request passes on its way to its route, and every answer on its way back.
//!
//! Place in the flow: router has found the route → **`pass`** → door → handler.
//!
//! One layer for all of it: for each layer and request the router copies everything that lies inside
//! it, which took longer than what the layers did.
//!
//! Not here: who may do what (`access`), compression (`server`).

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::door::{self, Door, Peer};
use crate::api::envelope::ApiError;
use crate::parts::Gate;
use crate::requests::Asked;

/// What requests are passed by.
pub struct Front {
    gate: Gate,
    door: Door,
    /// Routes that need no room.
    early: Vec<String>,
}

impl Front {
    /// In front of a gate; the early routes, with their prefix, are open before its rooms.
    pub fn new(gate: Gate, door: Door, early: Vec<String>) -> Front {
        Front { gate, door, early }
    }

    async fn answer(&self, request: Request, next: Next) -> Response {
        if request.method() == Method::OPTIONS && request.uri().path().contains("/api/") {
            return StatusCode::NO_CONTENT.into_response();
        }
        match door::admit(&self.door, request).await {
            Ok(request) if self.is_open_to(&request) => next.run(request).await,
            Ok(_) => still_starting(),
            Err(refusal) => refusal,
        }
    }

    /// What needs the rooms is answered with 503 until they are open.
    fn is_open_to(&self, request: &Request) -> bool {
        let matched = || request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        self.gate.is_open()
            || matched().is_none_or(|route| self.early.iter().any(|own| own == route))
    }
}

/// Passes a request on, and its answer back.
pub async fn pass(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
    let is_foreign = request.headers().contains_key(header::ORIGIN);
    let mut response = front.answer(request, next).await;
    if is_foreign {
        for (name, value) in CROSS_ORIGIN {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    let gate = &front.gate;
    door::dress(&front.door, peer, &mut response);
    gate.requests().count(asked, &gate.web().route_prefix, response.status().as_u16());
    response
}

/// The answer of what needs the rooms, before they are open.
pub fn still_starting() -> Response {
    let refusal = ApiError::unavailable("Belfry is still starting; try again soon");
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (retry, refusal).into_response()
}

/// What the field's servers tell pages of other origins: they may ask the API, as upstream's default
/// has it; it has no cookies.
const CROSS_ORIGIN: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
];
