//! The only dialler of the house: allow-list, deadline, byte limit.
//!
//! Place in the flow: scrapes and webhooks → **`HttpClient`** → the network.
//!
//! Invariants:
//! - A request only goes to a host and port that the configuration names; redirects too.
//! - The deadline stands over everything from the dial to the last byte.
//! - The answer is unpacked while it streams and given up at its limit, so a gzip bomb costs no more
//!   memory than an honest answer.
//! - No proxy, no cookies, nothing from the environment. No process-wide TLS provider is installed.
//!
//! Not here: what is asked (`scrape`, alertmanager), what an operator writes (`config`).

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::BoxFuture;
use model::http_door::{HttpDoor, HttpError, HttpRequest, HttpResponse};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use url::Url;

mod allow;
mod body;
mod tls;

pub use tls::Tls;

use allow::AllowList;

/// Most redirects of one request, as upstream has it.
const REDIRECTS_MAX: usize = 10;
/// Most clients (one per set of TLS settings) that are kept with their open connections.
const CLIENTS_MAX: usize = 128;
/// Open connections that wait for their next use, per host.
const IDLE_PER_HOST_MAX: usize = 2;
/// How long an open connection waits. Longer than the usual scrape interval.
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// Sends requests to hosts that the configuration names, and to no other.
#[derive(Default)]
pub struct HttpClient {
    allowed: AllowList,
    clients: Mutex<Clients>, // Guards the map only; held for look-ups, never over a wait.
}

#[derive(Default)]
struct Clients {
    by_tls: HashMap<Tls, (reqwest::Client, u64)>,
    uses: u64,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client that may not go anywhere yet.
    pub fn new() -> HttpClient {
        HttpClient::default()
    }

    /// Allows requests to the host and port of an address from the configuration.
    pub fn allow(&self, url: &str) -> Result<(), HttpError> {
        self.allowed.add("", &parsed(url)?)
    }

    /// Replaces what one owner (a job, the receivers) has allowed by the hosts of these addresses.
    /// Addresses that are none are left out; using them fails with a reason.
    pub fn replace_allowed<'a>(&self, owner: &str, urls: impl IntoIterator<Item = &'a str>) {
        self.allowed.replace(owner, urls.into_iter().filter_map(|url| Url::parse(url).ok()));
    }

    /// Sends one request with TLS settings that [`HttpRequest`] has no words for.
    pub async fn send(&self, request: HttpRequest, tls: &Tls) -> Result<HttpResponse, HttpError> {
        self.send_prepared(Prepared::new(request)?, tls).await
    }

    /// Sends a request whose parts have been read before.
    pub(crate) async fn send_prepared(
        &self,
        request: Prepared,
        tls: &Tls,
    ) -> Result<HttpResponse, HttpError> {
        let deadline = request.deadline;
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        match tokio::time::timeout(deadline, self.follow(request, tls)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::DeadlineExceeded { deadline_ms }),
        }
    }

    /// Sends the request and, if it may, goes where it is sent.
    async fn follow(&self, request: Prepared, tls: &Tls) -> Result<HttpResponse, HttpError> {
        let client = self.client(tls)?;
        let Prepared { mut method, mut url, mut headers, mut body, .. } = request;
        for _ in 0..=REDIRECTS_MAX {
            self.allowed.check(&url)?;
            let mut sent = reqwest::Request::new(method.clone(), url.clone());
            *sent.headers_mut() = headers.clone();
            if !body.is_empty() {
                *sent.body_mut() = Some(body.clone().into());
            }
            let answer = client.execute(sent).await.map_err(network_error)?;
            let status = answer.status();
            let next = answer.headers().get(LOCATION).filter(|_| status.is_redirection());
            let (Some(next), true) = (next, request.follow_redirects) else {
                return body::read(answer, request.answer_bytes_max).await;
            };
            let text = next.to_str().map_err(|_| invalid("the redirect is no text".into()))?;
            let target =
                url.join(text).map_err(|_| invalid("the redirect is no address".to_owned()))?;
            if target.origin() != url.origin() {
                for secret in ["authorization", "cookie", "proxy-authorization"] {
                    headers.remove(secret);
                }
            }
            if matches!(status.as_u16(), 301..=303) && method != reqwest::Method::HEAD {
                method = reqwest::Method::GET;
                body.clear();
                headers.remove("content-type");
            }
            url = target;
        }
        Err(HttpError::Broken { reason: format!("more than {REDIRECTS_MAX} redirects") })
    }

    fn client(&self, tls: &Tls) -> Result<reqwest::Client, HttpError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.uses += 1;
        let uses = clients.uses;
        if let Some((client, last_use)) = clients.by_tls.get_mut(tls) {
            *last_use = uses;
            return Ok(client.clone());
        }
        let client = build(tls)?;
        if clients.by_tls.len() >= CLIENTS_MAX {
            let oldest = clients.by_tls.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(tls, _)| tls.clone()) {
                clients.by_tls.remove(&oldest);
            }
        }
        clients.by_tls.insert(tls.clone(), (client.clone(), uses));
        Ok(client)
    }
}

impl HttpDoor for HttpClient {
    fn request(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let tls = Tls::from(request.tls.clone());
        Box::pin(async move { self.send(request, &tls).await })
    }
}

/// A request whose parts have been read: what is sent again and again is prepared once.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    method: reqwest::Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    deadline: Duration,
    answer_bytes_max: usize,
    follow_redirects: bool,
}

impl Prepared {
    /// Reads the parts of a request.
    pub(crate) fn new(request: HttpRequest) -> Result<Prepared, HttpError> {
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid(format!("{:?} is no HTTP method", request.method)))?;
        let mut prepared = Prepared {
            method,
            url: parsed(&request.url)?,
            headers: HeaderMap::new(),
            body: request.body,
            deadline: request.deadline,
            answer_bytes_max: request.answer_bytes_max,
            follow_redirects: request.follow_redirects,
        };
        prepared.add_headers(&request.headers)?;
        Ok(prepared)
    }

    /// Adds headers behind those that are there.
    pub(crate) fn add_headers(&mut self, headers: &[(String, String)]) -> Result<(), HttpError> {
        for (name, value) in headers {
            let key = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(format!("{name:?} is no header name")))?;
            let value = HeaderValue::from_str(value)
                .map_err(|_| invalid(format!("the value of header {name:?} can't be sent")))?;
            self.headers.append(key, value);
        }
        Ok(())
    }
}

fn build(tls: &Tls) -> Result<reqwest::Client, HttpError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.client_config().map_err(invalid)?)
        .no_proxy()
        .no_gzip()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .pool_idle_timeout(IDLE_MAX)
        .user_agent(concat!("Belfry/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| invalid(reason_of(&error)))
}

fn parsed(url: &str) -> Result<Url, HttpError> {
    let url = Url::parse(url).map_err(|error| invalid(format!("the address is none: {error}")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(invalid(format!("the scheme {scheme:?} is neither http nor https"))),
    }
}

fn invalid(reason: String) -> HttpError {
    HttpError::Invalid { reason }
}

fn network_error(error: reqwest::Error) -> HttpError {
    let reason = reason_of(&error);
    if error.is_builder() {
        HttpError::Invalid { reason }
    } else if error.is_connect() {
        HttpError::Connect { reason }
    } else {
        HttpError::Broken { reason }
    }
}

/// The chain of causes without the address, which may hold a secret.
fn reason_of(error: &reqwest::Error) -> String {
    let mut source = error.source();
    let mut reasons = Vec::new();
    while let Some(cause) = source {
        let text = cause.to_string();
        if reasons.last() != Some(&text) {
            reasons.push(text);
        }
        source = cause.source();
    }
    if reasons.is_empty() { "the request failed".to_owned() } else { reasons.join(": ") }
}

#[cfg(test)]
mod tests;
