//! Requests of the bucket's client go out through the house's HTTP door.
//!
//! Place in the flow: object store client → **`Dialler`** → `HttpDoor` → the network. So a bucket is
//! dialled under the same allow-list as everything else, and nothing is read from the environment.
//!
//! Not here: signing and trying again (the client).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full};
use model::http_door::{self, HttpDoor, HttpTls};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use super::PIECE_BYTES;

/// For one piece up or down, also over a slow line.
const DEADLINE: Duration = Duration::from_secs(300);
/// A piece, or a page of a listing.
const ANSWER_BYTES_MAX: usize = PIECE_BYTES + 8 * 1024 * 1024;

/// Makes clients that use the door.
#[derive(Clone)]
pub(super) struct Dialler(pub(super) Arc<dyn HttpDoor>);

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialler")
    }
}

impl HttpConnector for Dialler {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Dialler {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let method = method(&head.method)?;
        let headers = head.headers.iter().filter(|(name, _)| *name != http::header::CONTENT_LENGTH);
        let headers = headers
            .map(|(name, value)| match value.to_str() {
                Ok(text) => Ok((name.as_str().to_owned(), text.to_owned())),
                Err(error) => Err(HttpError::new(HttpErrorKind::Unknown, error)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let body = body.collect().await?.to_bytes().to_vec();
        let request = http_door::HttpRequest {
            method,
            url: head.uri.to_string(),
            headers,
            body,
            deadline: DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
            tls: HttpTls::default(),
            follow_redirects: false,
        };
        let answer = self.0.request(request).await.map_err(failed)?;
        let mut response = http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        let body = Full::new(bytes::Bytes::from(answer.body));
        let body = HttpResponseBody::new(body.map_err(|never| match never {}));
        response.body(body).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
    }
}

fn method(method: &http::Method) -> Result<&'static str, HttpError> {
    const KNOWN: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).ok_or_else(|| {
        let reason = format!("the method {method} is not used with buckets");
        HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(reason))
    })
}

/// The kind tells the client whether to try again.
fn failed(error: http_door::HttpError) -> HttpError {
    let kind = match &error {
        http_door::HttpError::Connect { .. } => HttpErrorKind::Connect,
        http_door::HttpError::DeadlineExceeded { .. } => HttpErrorKind::Timeout,
        http_door::HttpError::Broken { .. } => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}
