//! Asks a target for its page.
//!
//! Place in the flow: `worker` → **`fetch`** → `http` or an exporter inside the process → `pass`.
//!
//! Secrets and certificates in files are read at each scrape, so a renewed one works at once.
//!
//! Not here: reading the page (`exposition`), the deadline's length (`config`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Exporter;
use model::http_door::{HttpError, HttpRequest, HttpTls};
use tokio::io::AsyncReadExt;

use crate::config::Job;
use crate::config::client::{Auth, ClientSettings, Source};
use crate::exposition::{Format, accept_header, format_of, write};
use crate::http::{HttpClient, Prepared, Tls};
use crate::pass::Page;
use crate::target::Target;

/// Longest secret or certificate file.
const SECRET_BYTES_MAX: u64 = 1024 * 1024;

/// Where a target's page comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// Over the network.
    Http(Arc<HttpClient>),
    /// From an exporter inside the process.
    Inside(Arc<dyn Exporter>),
}

impl Origin {
    /// Whether another origin is the same one.
    pub(crate) fn is(&self, other: &Origin) -> bool {
        match (self, other) {
            (Origin::Http(_), Origin::Http(_)) => true,
            (Origin::Inside(one), Origin::Inside(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The word of the counters.
    pub(crate) kind: &'static str,
    /// What an operator must know.
    pub(crate) reason: String,
}

impl Failure {
    fn new(kind: &'static str, reason: impl Into<String>) -> Failure {
        Failure { kind, reason: reason.into() }
    }
}

/// What a target on the network is asked each time; secrets come on top at each scrape.
pub(crate) fn prepare(job: &Job, target: &Target) -> Result<Prepared, Failure> {
    let request = HttpRequest {
        method: "GET",
        url: target.url.clone(),
        headers: headers(job, target),
        body: Vec::new(),
        deadline: Duration::from_millis(target.timeout_ms),
        answer_bytes_max: job.scraping.limits.body_bytes_max,
        tls: HttpTls::default(),
        follow_redirects: job.client.follow_redirects,
    };
    Prepared::new(request).map_err(|error| Failure::new("settings", error.to_string()))
}

/// Fetches one page within the target's timeout.
pub(crate) async fn fetch(
    origin: &Origin,
    job: &Job,
    target: &Target,
    prepared: &Result<Prepared, Failure>,
) -> Result<Page, Failure> {
    let deadline = Duration::from_millis(target.timeout_ms);
    let page = async {
        match origin {
            Origin::Http(http) => over_http(http, job, target, prepared.clone()?).await,
            Origin::Inside(exporter) => inside(exporter.as_ref(), job).await,
        }
    };
    match tokio::time::timeout(deadline, page).await {
        Ok(page) => page,
        Err(_) => Err(timed_out(target.timeout_ms)),
    }
}

fn timed_out(timeout_ms: u64) -> Failure {
    Failure::new("timeout", format!("no complete answer within {timeout_ms} ms"))
}

async fn inside(exporter: &dyn Exporter, job: &Job) -> Result<Page, Failure> {
    let families = exporter.collect().await.map_err(|reason| Failure::new("exporter", reason))?;
    let body = write::page(&families).into_bytes();
    if body.len() > job.scraping.limits.body_bytes_max {
        let max = job.scraping.limits.body_bytes_max;
        return Err(Failure::new("body_size", format!("the page exceeds {max} bytes")));
    }
    Ok(Page { body, format: Format::Text })
}

async fn over_http(
    http: &HttpClient,
    job: &Job,
    target: &Target,
    mut request: Prepared,
) -> Result<Page, Failure> {
    let settings = |reason| Failure::new("settings", reason);
    let headers = client_headers(&job.client).await.map_err(settings)?;
    request.add_headers(&headers).map_err(|error| settings(error.to_string()))?;
    let tls = tls(&job.client).await.map_err(settings)?;
    let answer = http.send_prepared(request, &tls).await.map_err(|error| match &error {
        HttpError::DeadlineExceeded { .. } => timed_out(target.timeout_ms),
        HttpError::TooLarge { limit_bytes } => {
            Failure::new("body_size", format!("the page exceeds {limit_bytes} bytes"))
        }
        HttpError::Invalid { .. } => Failure::new("settings", error.to_string()),
        HttpError::Connect { .. } => Failure::new("connect", error.to_string()),
        _ => Failure::new("broken", error.to_string()),
    })?;
    if answer.status != 200 {
        let reason = format!("the server answered HTTP status {}", answer.status);
        return Err(Failure::new("status", reason));
    }
    let format = format_of(answer.header("content-type"), job.fallback_protocol)
        .map_err(|reason| Failure::new("content_type", reason))?;
    Ok(Page { body: answer.body, format })
}

fn headers(job: &Job, target: &Target) -> Vec<(String, String)> {
    let encoding = if job.compression { "gzip" } else { "identity" };
    let seconds = target.timeout_ms as f64 / 1000.0;
    [
        ("accept", accept_header(&job.scraping.protocols, &job.scraping.escaping)),
        ("accept-encoding", encoding.to_owned()),
        ("x-prometheus-scrape-timeout-seconds", seconds.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The headers and the TLS settings that show a server who asks; files are read now.
pub async fn credentials(
    settings: &ClientSettings,
) -> Result<(Vec<(String, String)>, Tls), String> {
    Ok((client_headers(settings).await?, tls(settings).await?))
}
/// The headers that hold secrets, or may.
async fn client_headers(settings: &ClientSettings) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    match &settings.auth {
        None => {}
        Some(Auth::Basic { username, password }) => {
            let (username, password) = (text_of(username).await?, text_of(password).await?);
            headers.push(("authorization".to_owned(), basic(&username, &password)));
        }
        Some(Auth::Header { scheme, credentials }) => {
            let credentials = text_of(credentials).await?;
            headers.push(("authorization".to_owned(), format!("{scheme} {credentials}")));
        }
    }
    for (name, value) in &settings.headers {
        headers.push((name.clone(), text_of(value).await?));
    }
    Ok(headers)
}

async fn tls(settings: &ClientSettings) -> Result<Tls, String> {
    let own = &settings.tls;
    let ca_pem = match &own.ca {
        Some(source) => Some(text_of(source).await?),
        None => None,
    };
    let identity_pem = match (&own.cert, &own.key) {
        (Some(cert), Some(key)) => {
            Some(format!("{}\n{}\n", text_of(cert).await?, text_of(key).await?))
        }
        _ => None,
    };
    Ok(Tls {
        ca_pem,
        identity_pem,
        server_name: own.server_name.clone(),
        insecure_skip_verify: own.insecure_skip_verify,
        only_tls13: own.only_tls13,
        only_tls12: own.only_tls12,
        only_http1: !settings.http2,
    })
}

/// The text itself, or what stands in the file, without blanks around it.
async fn text_of(source: &Source) -> Result<String, String> {
    match source {
        Source::Inline(secret) => Ok(secret.0.clone()),
        Source::File(path) => {
            read_secret(path).await.map_err(|error| format!("read {}: {error}", path.display()))
        }
    }
}

async fn read_secret(path: &Path) -> std::io::Result<String> {
    let file = tokio::fs::File::open(path).await?;
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).await?;
    Ok(text.trim().to_owned())
}

/// `Basic` and the base64 of `user:password`.
fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_authentication() {
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(basic("", ""), "Basic Og==");
        assert_eq!(basic("a", "b"), "Basic YTpi");
    }
}
