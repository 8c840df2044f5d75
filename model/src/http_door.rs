//! Hinge: one HTTP request goes out through the only dialler of the house.
//!
//! Place in the flow: alertmanager's webhooks → **`HttpDoor::request`** → the collector's HTTP
//! client, which holds the allow-list. Joined in the binary's wiring; tests hand in a fake.
//!
//! Not here: TLS, pooling, redirects (collector).

use std::time::Duration;

use crate::BoxFuture;

/// Sends requests.
pub trait HttpDoor: Send + Sync + 'static {
    /// Sends one request and reads the whole answer, within its deadline and byte limit.
    fn request(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>>;
}

/// One request.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: &'static str,
    /// The whole address.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// From the first byte of the dial to the last byte of the answer.
    pub deadline: Duration,
    /// Longest answer that is read (after decompression).
    pub answer_bytes_max: usize,
    /// How the other side is trusted and how we show who we are.
    pub tls: HttpTls,
    /// Whether redirects are followed (at most ten).
    pub follow_redirects: bool,
}

/// TLS settings of one request, all as an operator wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HttpTls {
    /// PEM text of the certificate authorities to trust instead of the system's.
    pub ca_pem: Option<String>,
    /// PEM text of our certificate and key.
    pub identity_pem: Option<String>,
    /// Accept any certificate. The operator asked for it.
    pub insecure_skip_verify: bool,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address can't be used at all. An operator must change it.
    #[error("bad request: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing reached the other side. Safe to send again.
    #[error("connect: {reason}")]
    Connect {
        /// The cause, innermost last.
        reason: String,
    },
    /// The deadline passed. The other side may have acted on the request.
    #[error("deadline of {deadline_ms} ms exceeded")]
    DeadlineExceeded {
        /// The deadline.
        deadline_ms: u64,
    },
    /// The answer is longer than allowed. It was not kept.
    #[error("answer exceeds {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The connection broke after the request went out. The other side may have acted on it.
    #[error("connection broke: {reason}")]
    Broken {
        /// The cause.
        reason: String,
    },
}
