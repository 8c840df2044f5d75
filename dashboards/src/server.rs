//! Listening, the table of routes, and shutting down.
//!
//! Place in the flow: the binary binds a [`Server`] before anything else starts (so that "port in
//! use" is the first thing an operator reads), then runs it until it is told to stop.
//!
//! Every request body has a limit and every connection an end; answers are compressed when asked.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use crate::api::{self, envelope::ApiError};
use crate::parts::Gate;
use crate::{lifecycle, ui};

/// Longest form or JSON body; queries are far smaller.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest compressed push body: the decoded one is limited by the decoder.
const PUSH_BYTES_MAX: usize = model::limits::PUSH_BODY_BYTES_MAX;
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
    /// Serving broke.
    #[error("serve HTTP: {0}")]
    Serve(std::io::Error),
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
    pub async fn run(
        self,
        gate: Gate,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let (stopping, mut stopped) = tokio::sync::watch::channel(false);
        let signal = async move {
            stop.await;
            // The receiver lives until this function returns.
            let _ = stopping.send(true);
        };
        // A refusal only makes the last piece of an answer wait a little.
        let listener = self.listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let serving = axum::serve(listener, router(gate)).with_graceful_shutdown(signal);
        let drained = async move {
            let _ = stopped.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            outcome = serving.into_future() => outcome.map_err(ServerError::Serve),
            () = drained => Ok(()),
        }
    }
}

/// What changes or merges the stored samples; off unless allowed.
fn deletions() -> Router<Gate> {
    let delete = post(api::admin::delete_series).put(api::admin::delete_series);
    let clean = post(api::admin::clean_tombstones).put(api::admin::clean_tombstones);
    Router::new()
        .route("/admin/tsdb/delete_series", delete)
        .route("/admin/tsdb/clean_tombstones", clean)
        .route("/admin/tsdb/tombstones", get(api::admin::tombstones))
        .route("/admin/tsdb/undelete", post(api::admin::undelete))
        .route("/admin/tsdb/compact", post(api::admin::compact))
}

/// All routes.
pub fn router(gate: Gate) -> Router {
    let push = Router::new()
        .route("/api/v1/write", post(api::write::remote_write))
        .route("/api/v1/import/prometheus", post(api::import::text))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(PUSH_BYTES_MAX));
    let prometheus = Router::new()
        .route("/query", get(api::query::instant).post(api::query::instant))
        .route("/query_range", get(api::query::range).post(api::query::range))
        .route("/explain", get(api::explain::explain).post(api::explain::explain))
        .route("/queries", get(api::running::list))
        .route("/queries/{id}/kill", post(api::running::kill))
        .route("/series", get(api::series::series).post(api::series::series))
        .route("/labels", get(api::series::labels).post(api::series::labels))
        .route("/label/{name}/values", get(api::series::label_values))
        .route("/metadata", get(api::beside::metadata))
        .route("/query_exemplars", get(api::beside::exemplars).post(api::beside::exemplars))
        .route("/rules", get(api::rules::rules))
        .route("/alerts", get(api::rules::alerts))
        .route("/alertmanagers", get(api::status::alertmanagers))
        .route("/targets", get(api::targets::targets))
        .route("/sql", get(api::sql::sql).post(api::sql::sql))
        .route("/status/buildinfo", get(api::status::buildinfo).post(api::status::buildinfo))
        .route("/status/runtimeinfo", get(api::status::runtimeinfo))
        .route("/status/config", get(api::status::config))
        .route("/status/flags", get(api::status::flags))
        .route("/status/tsdb", get(api::status::tsdb))
        .route("/admin/tsdb/snapshot", post(api::admin::snapshot).put(api::admin::snapshot))
        .merge(deletions())
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method);
    let alerts = Router::new()
        .route("/status", get(api::alertmanager::status))
        .route("/alerts", get(api::alertmanager::alerts).post(api::alertmanager::post_alerts))
        .route("/alerts/groups", get(api::alertmanager::groups))
        .route("/receivers", get(api::alertmanager::receivers))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method);
    Router::new()
        .nest("/api/v1", prometheus)
        .nest("/api/v2", alerts)
        .route("/api/{*rest}", any(unknown_route))
        .route("/-/healthy", get(lifecycle::healthy).head(lifecycle::healthy))
        .route("/-/ready", get(lifecycle::ready).head(lifecycle::ready))
        .route("/-/reload", post(lifecycle::reload).put(lifecycle::reload))
        .route("/metrics", get(lifecycle::metrics))
        .route("/", get(ui::page))
        .route("/graph", get(ui::page))
        .route("/alerts", get(ui::page))
        .route("/ui/{file}", get(ui::file))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(push)
        .layer(middleware::from_fn_with_state(gate.clone(), not_before_open))
        .layer(compression())
        .layer(middleware::map_response(security_headers))
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

/// What needs the rooms is answered with 503 until they are open.
async fn not_before_open(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let needs_rooms = path.starts_with("/api/") || path == "/metrics" || path == "/-/reload";
    if needs_rooms && !gate.is_open() {
        let error = ApiError::unavailable("Belfry is still starting; try again in a moment");
        return ([(header::RETRY_AFTER, HeaderValue::from_static("1"))], error).into_response();
    }
    next.run(request).await
}

async fn unknown_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such endpoint")
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "bad_data", "method not allowed here")
}

async fn security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
