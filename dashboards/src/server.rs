//! Listening, the router, and shutting down.
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
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::access::door::Door;
use crate::access::routes::{Need, Needs, Rule, Under};
use crate::api::envelope::ApiError;
use crate::front::{self, Front, still_starting};
use crate::openapi::table;
use crate::parts::Gate;
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
    let (mut needs, mut early, mut routes) = (Needs::default(), Vec::new(), Router::new());
    for route in table() {
        let path = format!("{prefix}{}", route.path);
        for verb in &route.verbs {
            needs.add(&path, verb.method(), route.rule());
        }
        early.extend(route.is_early.then(|| path.clone()));
        let limit = DefaultBodyLimit::max(route.body_bytes_max);
        routes = routes.route(&path, route.into_handler().layer(limit));
    }
    if !prefix.is_empty() {
        let home = format!("{prefix}/");
        for path in ["/", &prefix] {
            let home = home.clone();
            needs.add(path, Method::GET, Rule { need: Need::Known, under: Under::Plain });
            early.push(path.to_owned());
            routes = routes.route(path, get(async move || Redirect::to(&home)));
        }
    }
    let placed = routes.fallback(unknown_route).method_not_allowed_fallback(wrong_method);
    let door = Door::new(Arc::clone(gate.access()), needs, &gate.web().external_url);
    let front = Arc::new(Front::new(gate.clone(), door, early));
    placed
        .layer((middleware::from_fn_with_state(front, front::pass), compression()))
        .with_state(gate)
}

/// Compresses long answers when asked: fast rather than small, since most clients are near.
fn compression() -> CompressionLayer<impl Predicate> {
    let when = SizeAbove::new(COMPRESSED_BYTES_MIN)
        .and(NotForContentType::GRPC)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(when)
}

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
