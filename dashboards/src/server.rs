//! Listening, what surrounds every route, and shutting down.
//!
//! Place in the flow: the binary binds a [`Server`] before anything else starts (so that "port in
//! use" is the first thing an operator reads), then runs it until it is told to stop.
//!
//! Every request body has a limit and every connection an end; answers are compressed when asked.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::access::door::{self, Door};
use crate::access::routes::{Need, Needs, Rule, Under};
use crate::api::envelope::ApiError;
use crate::openapi::{Route, table};
use crate::parts::Gate;
use crate::requests;
use crate::serving::serve;

/// Answers up to this go as they are: beginning to compress costs more than their bytes.
const COMPRESSED_BYTES_MIN: u64 = 16 * 1024;
/// How long open requests may go on after the stop signal.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the server can't run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address can't be bound.
    #[error("listen on {address}: {source}; choose another with --listen")]
    Bind {
        /// What was asked for.
        address: String,
        /// The cause.
        source: std::io::Error,
    },
}

/// A bound, not yet serving HTTP server.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address.
    pub async fn bind(address: &str) -> Result<Server, ServerError> {
        let bind_error = |source| ServerError::Bind { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let local = listener.local_addr().map_err(bind_error)?;
        Ok(Server { listener, address: local })
    }

    /// The bound address, with the port the system chose for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then lets open requests end for a while.
    pub async fn run(self, gate: Gate, stop: impl Future<Output = ()> + Send + 'static) {
        let access = Arc::clone(gate.access());
        serve(self.listener, router(gate), access, stop, DRAIN).await;
    }
}

/// Everything that is served, from the table of routes, below the prefix of the gate.
pub fn router(gate: Gate) -> Router {
    let prefix = gate.web().route_prefix.clone();
    let (mut needs, mut routes) = (Needs::default(), Router::new());
    for route in table() {
        let path = format!("{prefix}{}", route.path);
        for verb in &route.verbs {
            needs.add(&path, verb.method(), route.rule());
        }
        routes = mount(routes, route, &gate);
    }
    if !prefix.is_empty() {
        let home = format!("{prefix}/");
        for path in ["/", &prefix] {
            let home = home.clone();
            needs.add(path, Method::GET, Rule { need: Need::Known, under: Under::Plain });
            routes = routes.route(path, get(async move || Redirect::to(&home)));
        }
    }
    let placed = routes.fallback(unknown_route).method_not_allowed_fallback(wrong_method);
    let door = Door::new(Arc::clone(gate.access()), needs, &gate.web().external_url);
    placed
        .layer(middleware::from_fn_with_state(door, door::guard))
        .layer(middleware::from_fn(cross_origin))
        .layer(compression())
        .layer(middleware::from_fn_with_state(Arc::clone(gate.access()), door::dress))
        .layer(middleware::from_fn_with_state(gate.clone(), requests::count))
        .with_state(gate)
}

/// One route of the table, with what every route has: a limit of its body, and 503 until the rooms
/// are open.
fn mount(router: Router<Gate>, route: Route, gate: &Gate) -> Router<Gate> {
    let (path, is_early, bytes_max) = (route.path, route.is_early, route.body_bytes_max);
    let mut handler = route.into_handler().layer(DefaultBodyLimit::max(bytes_max));
    if !is_early {
        handler = handler.layer(middleware::from_fn_with_state(gate.clone(), not_before_open));
    }
    router.route(&format!("{}{path}", gate.web().route_prefix), handler)
}

/// Compresses long answers when asked: fast rather than small, since most clients are near.
fn compression() -> CompressionLayer<impl Predicate> {
    let when = SizeAbove::new(COMPRESSED_BYTES_MIN)
        .and(NotForContentType::GRPC)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(when)
}

/// What needs the rooms is answered with 503 until they are open.
async fn not_before_open(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if gate.is_open() { next.run(request).await } else { still_starting() }
}

fn still_starting() -> Response {
    let refusal = ApiError::unavailable("Belfry is still starting; try again soon");
    let retry = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
    (retry, refusal).into_response()
}

/// Pages of other origins may ask the API, as upstream's default has it; it has no cookies.
async fn cross_origin(request: Request, next: Next) -> Response {
    let is_foreign = request.headers().contains_key(header::ORIGIN);
    let is_question = request.method() == Method::OPTIONS && request.uri().path().contains("/api/");
    let mut response =
        if is_question { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if is_foreign {
        let headers = response.headers_mut();
        for (name, value) in CROSS_ORIGIN {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// What the field's servers tell pages of other origins.
const CROSS_ORIGIN: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
];

/// JSON wherever it is: a page of HTML would look like a good answer to those who probe.
async fn unknown_route(State(gate): State<Gate>) -> Response {
    if !gate.is_open() {
        return still_starting();
    }
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such endpoint").into_response()
}

async fn wrong_method(State(gate): State<Gate>) -> Response {
    if !gate.is_open() {
        return still_starting();
    }
    let code = StatusCode::METHOD_NOT_ALLOWED;
    ApiError::new(code, "bad_data", "method not allowed here").into_response()
}
