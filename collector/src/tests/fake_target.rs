//! A real HTTP server that answers as a test tells it to.
use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};

/// What the server answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A page in the text format.
    Page(String),
    /// A page with another Content-Type.
    Typed(&'static str, String),
    /// A gigabyte, in pieces.
    Endless,
    /// A gigabyte of zeros, packed.
    GzipBomb,
    /// A packed page.
    Packed(String),
    /// Nothing, ever.
    Hang,
    /// A status without a page.
    Status(u16),
    /// Another address.
    Redirect(String),
}

pub(crate) struct FakeTarget {
    /// Host and port.
    pub(crate) address: String,
    answer: Arc<Mutex<Answer>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    server: tokio::task::JoinHandle<()>,
}

impl FakeTarget {
    pub(crate) async fn new(answer: Answer) -> FakeTarget {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address").to_string();
        let answer = Arc::new(Mutex::new(answer));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (own_answer, own_seen) = (answer.clone(), seen.clone());
        let app = axum::Router::new().fallback(move |headers: HeaderMap| {
            own_seen.lock().expect("lock").push(headers);
            let answer = own_answer.lock().expect("lock").clone();
            respond(answer)
        });
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("serve");
        });
        FakeTarget { address, answer, seen, server }
    }

    pub(crate) async fn page(page: &str) -> FakeTarget {
        FakeTarget::new(Answer::Page(page.to_owned())).await
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.answer.lock().expect("lock") = answer;
    }

    pub(crate) fn set_page(&self, page: &str) {
        self.set(Answer::Page(page.to_owned()));
    }

    /// The headers of each request so far.
    pub(crate) fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().expect("lock").clone()
    }
}

impl Drop for FakeTarget {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn respond(answer: Answer) -> Response<Body> {
    let text = |body: Body| Response::builder().header("content-type", "text/plain").body(body);
    let packed = |bytes: Vec<u8>| {
        let response = Response::builder().header("content-type", "text/plain");
        response.header("content-encoding", "gzip").body(Body::from(bytes))
    };
    let response = match answer {
        Answer::Page(page) => text(Body::from(page)),
        Answer::Typed(content_type, page) => {
            Response::builder().header("content-type", content_type).body(Body::from(page))
        }
        Answer::Endless => {
            let piece = Bytes::from(vec![b'#'; 1 << 20]);
            let pieces = futures::stream::iter(
                (0..1024).map(move |_| Ok::<_, std::convert::Infallible>(piece.clone())),
            );
            text(Body::from_stream(pieces))
        }
        Answer::GzipBomb => {
            // One packed member many times over is a valid packed page, and quickly made.
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&vec![0; 1 << 20]).expect("pack");
            packed(encoder.finish().expect("pack").repeat(1024))
        }
        Answer::Packed(page) => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(page.as_bytes()).expect("pack");
            packed(encoder.finish().expect("pack"))
        }
        Answer::Hang => std::future::pending().await,
        Answer::Status(status) => Response::builder().status(status).body(Body::empty()),
        Answer::Redirect(location) => {
            Response::builder().status(302).header("location", location).body(Body::empty())
        }
    };
    response.expect("a response")
}
