//! Queries and their latencies.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::Value;
use tests::http;

/// One query over a range, or at its end.
pub struct Question<'a> {
    /// The expression.
    pub query: &'a str,
    /// Seconds since the epoch.
    pub start_s: f64,
    /// Seconds since the epoch.
    pub end_s: f64,
    /// 0: instant.
    pub step_s: i64,
    /// Whether the server shall say what it took.
    pub stats: bool,
}

impl Question<'_> {
    /// The question as a request to a server.
    pub fn request(&self, client: &reqwest::Client, url: &str) -> RequestBuilder {
        let path = if self.step_s == 0 { "query" } else { "query_range" };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        if self.stats {
            form.append_pair("stats", "all");
        }
        let form = form
            .append_pair("query", self.query)
            .append_pair("step", &self.step_s.max(1).to_string())
            .append_pair("time", &self.end_s.to_string())
            .append_pair("start", &self.start_s.to_string())
            .append_pair("end", &self.end_s.to_string())
            .append_pair("nocache", "1")
            .finish();
        client
            .post(format!("{url}/api/v1/{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    }
}

/// A quick question is asked again and again for so long.
const SPELL: Duration = Duration::from_millis(100);

/// The median milliseconds until the body of an answer was read, of this many rounds and more; not
/// a number when the server refuses.
pub fn median_ms(rounds_min: usize, request: impl Fn(&reqwest::Client) -> RequestBuilder) -> f64 {
    median_of(rounds_min, request, |took_ms, _| took_ms)
}

/// The median milliseconds that the server itself says it took to execute a question, asked with
/// `stats=all`: without the way there and back.
pub fn median_executed_ms(
    rounds_min: usize,
    request: impl Fn(&reqwest::Client) -> RequestBuilder,
) -> f64 {
    median_of(rounds_min, request, |_, body| {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let executed_s = answer["data"]["stats"]["timings"]["execTotalTime"].as_f64();
        executed_s.map_or(f64::NAN, |seconds| seconds * 1000.0)
    })
}

/// The median of what is made of the milliseconds that each answer took, and of its body.
///
/// Asked from a single thread: with more, each answer would pay for this client's own threads
/// that wake each other, about 0.15 ms, which hides what small queries cost.
fn median_of(
    rounds_min: usize,
    request: impl Fn(&reqwest::Client) -> RequestBuilder,
    measure: impl Fn(f64, &[u8]) -> f64,
) -> f64 {
    let rounds = async {
        let (client, begun) = (http::patient_client(), Instant::now());
        let mut measured = Vec::new();
        while measured.len() < rounds_min || begun.elapsed() < SPELL {
            let request = request(&client);
            let started = Instant::now();
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            let body = answer.bytes().await.expect("a body");
            let took_ms = started.elapsed().as_secs_f64() * 1000.0;
            if !status.is_success() {
                return f64::NAN;
            }
            measured.push(measure(took_ms, &body));
        }
        median(&mut measured)
    };
    tokio::task::block_in_place(|| {
        let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build();
        one_thread.expect("a runtime").block_on(rounds)
    })
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that this share of all stays below.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
