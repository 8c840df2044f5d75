//! The only dialler of the house.
//!
//! Place in the flow: scrapes and webhooks → **`HttpClient`** → the network.
//!
//! Not here: what is asked (scrape, alertmanager).

use model::BoxFuture;
use model::http_door::{HttpDoor, HttpError, HttpRequest, HttpResponse};

/// Sends requests to hosts that the configuration names, and to no other.
#[derive(Debug, Default)]
pub struct HttpClient {}

impl HttpClient {
    /// A client that may not go anywhere yet.
    pub fn new() -> HttpClient {
        HttpClient {}
    }

    /// Allows requests to the scheme, host and port of an address from the configuration.
    pub fn allow(&self, url: &str) -> Result<(), HttpError> {
        let _ = url;
        Ok(())
    }
}

impl HttpDoor for HttpClient {
    fn request(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async move { Err(HttpError::Invalid { reason: request.url }) })
    }
}
