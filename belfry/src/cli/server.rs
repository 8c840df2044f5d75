//! A server that a command asks: any that speaks Prometheus' HTTP API.
//!
//! Place in the flow: `query`, `check healthy`, `tsdb import --url` … → **`Server`** →
//! [`HttpClient`], which is allowed to dial this one address and no other.
//!
//! Not here: what is asked, how answers are shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use collector::config::client::{self, ClientSettings};
use collector::http::Tls;
use collector::{HttpClient, credentials};
use journal::disk::Disk;
use model::fields::{Fields, Problems};
use model::http_door::{HttpRequest, HttpResponse, HttpTls};
use model::yaml;
use serde_json::Value;

/// Longest answer that is read. A person's terminal takes less; a program's pipe may take this much.
const ANSWER_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Longest settings file.
const SETTINGS_BYTES_MAX: usize = 1024 * 1024;
/// How much of an answer that is no JSON is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// How a server is reached.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// A header to send along; can be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// A YAML file that says how to reach the server: basic_auth, authorization, tls_config … as in a
    /// scrape configuration.
    #[arg(long = "http.config.file", value_name = "FILE")]
    settings: Option<PathBuf>,
    /// How long the answer may take, such as 30s.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = super::times::duration)]
    timeout: Duration,
}

/// One server.
#[derive(Debug)]
pub struct Server {
    http: HttpClient,
    base: String,
    headers: Vec<(String, String)>,
    tls: Tls,
    follow_redirects: bool,
    deadline: Duration,
}

/// An answer of the API that says "success".
#[derive(Debug)]
pub struct Answer {
    /// `data`.
    pub data: Value,
    /// `warnings` and `infos`.
    pub notes: Vec<String>,
}

impl Server {
    /// The server at an address; nothing is dialled yet.
    pub async fn new(address: &str, reach: &Reach) -> Result<Server, String> {
        let base = match address.contains("://") {
            true => address.to_owned(),
            false => format!("http://{address}"),
        };
        let base = base.trim_end_matches('/').to_owned();
        let settings = match &reach.settings {
            Some(file) => read_settings(file)?,
            None => ClientSettings::default(),
        };
        let (mut headers, tls) = credentials(&settings).await?;
        for text in &reach.headers {
            let place = text.find(['=', ':']).filter(|place| *place > 0);
            let place = place.ok_or_else(|| format!("--header {text:?} needs NAME=VALUE"))?;
            headers.push((text[..place].trim().to_owned(), text[place + 1..].trim().to_owned()));
        }
        let http = HttpClient::new();
        http.allow(&base).map_err(|error| format!("{address}: {error}"))?;
        let follow_redirects = settings.follow_redirects;
        Ok(Server { http, base, headers, tls, follow_redirects, deadline: reach.timeout })
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(
        &self,
        method: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<HttpResponse, String> {
        let mut all = self.headers.clone();
        all.push(("accept-encoding".to_owned(), "gzip".to_owned()));
        all.extend(headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        let url = format!("{}{path}", self.base);
        let request = HttpRequest {
            method,
            url: url.clone(),
            headers: all,
            body,
            deadline: self.deadline,
            answer_bytes_max: ANSWER_BYTES_MAX,
            tls: HttpTls::default(),
            follow_redirects: self.follow_redirects,
        };
        let sent = self.http.send(request, &self.tls).await;
        sent.map_err(|error| format!("{method} {url}: {error}"))
    }

    /// Asks the API with a form; a server that takes no POST there is asked by GET.
    pub async fn ask(&self, path: &str, form: &[(&str, String)]) -> Result<Answer, String> {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.send("POST", path, &kind, text.clone().into_bytes()).await?;
        if matches!(answer.status, 405 | 501) {
            return read(&self.send("GET", &format!("{path}?{text}"), &[], Vec::new()).await?);
        }
        read(&answer)
    }

    /// Asks the API by GET.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, String> {
        let text =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let path = if text.is_empty() { path.to_owned() } else { format!("{path}?{text}") };
        read(&self.send("GET", &path, &[], Vec::new()).await?)
    }
}

fn read_settings(file: &Path) -> Result<ClientSettings, String> {
    let name = file.display().to_string();
    let bytes = Disk::real().read(file, SETTINGS_BYTES_MAX);
    let bytes = bytes.map_err(|error| format!("read {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is no UTF-8 text"))?;
    let root = yaml::parse(&text).map_err(|error| format!("{name}: {error}"))?;
    let problems = Problems::new(&name);
    let mut fields = Fields::new(&root, "", &problems);
    let settings = client::read(&mut fields);
    fields.finish();
    problems
        .result(settings)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// The beginning of what an answer says.
fn shown(answer: &HttpResponse) -> String {
    String::from_utf8_lossy(&answer.body).trim().chars().take(SHOWN_CHARS_MAX).collect()
}

/// Says that a server refused what was sent, and why.
pub fn refusal(answer: &HttpResponse) -> String {
    format!("the server answered {}: {}", answer.status, shown(answer))
}

/// The data of an answer, or what went wrong in the words that the field's tools use.
fn read(answer: &HttpResponse) -> Result<Answer, String> {
    let parsed: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let words = || match shown(answer) {
        text if text.is_empty() => "no more words".to_owned(),
        text => text,
    };
    match (parsed, answer.status / 100) {
        (Some(mut body), 2) if body["status"] == "success" => {
            let lists = [&body["warnings"], &body["infos"]].map(|list| list.as_array().cloned());
            let notes = lists.into_iter().flatten().flatten();
            let notes = notes.filter_map(|note| note.as_str().map(str::to_owned)).collect();
            Ok(Answer { data: body["data"].take(), notes })
        }
        (Some(body), _) if body["status"] == "error" => {
            Err(format!("{}: {}", text(&body, "errorType"), text(&body, "error")))
        }
        (_, 2) => Err(format!("bad_response: the answer is none of Prometheus' API: {}", words())),
        (_, 4) => Err(format!("client_error: client error: {} ({})", answer.status, words())),
        (_, 5) => Err(format!("server_error: server error: {} ({})", answer.status, words())),
        _ => Err(format!("bad_response: HTTP status {} ({})", answer.status, words())),
    }
}
