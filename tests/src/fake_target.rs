//! Targets that misbehave: endless pages, garbage, compression bombs, silence.

use std::convert::Infallible;
use std::io::Write;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const TEXT: &str = "text/plain; version=0.0.4";

/// Starts the server on a free loopback port and returns the port. Paths: `/good`, `/gigabyte`,
/// `/garbage`, `/bomb`, `/hang`, `/error`.
pub async fn start() -> u16 {
    let bomb = tokio::task::spawn_blocking(bomb).await.expect("pack the bomb");
    let router = Router::new()
        .route("/good", get(async || text("good_metric 1\n")))
        .route("/gigabyte", get(gigabyte))
        .route("/garbage", get(async || text("\u{0}\u{1}{{{ this is = no page\n\"\n")))
        .route("/bomb", get(async move || packed(bomb)))
        .route("/hang", get(std::future::pending::<String>))
        .route("/error", get(async || (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "broken")));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind target");
    let port = listener.local_addr().expect("target address").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

fn text(body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, TEXT)], body).into_response()
}

/// A gigabyte of well-formed lines, made as it is read.
async fn gigabyte() -> Response {
    const CHUNKS: usize = 1024;
    let chunk = Bytes::from("endless_metric{a=\"b\"} 1\n".repeat(1024 * 1024 / 24));
    let chunks = (0..CHUNKS).map(move |_| Ok::<_, Infallible>(chunk.clone()));
    let body = Body::from_stream(futures::stream::iter(chunks));
    ([(header::CONTENT_TYPE, TEXT)], body).into_response()
}

fn packed(body: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, TEXT), (header::CONTENT_ENCODING, "gzip")];
    (headers, body).into_response()
}

/// About a megabyte that unpacks to a gigabyte.
fn bomb() -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let chunk = vec![b'#'; 1024 * 1024];
    for _ in 0..1024 {
        encoder.write_all(&chunk).expect("compress");
    }
    Bytes::from(encoder.finish().expect("compress"))
}
