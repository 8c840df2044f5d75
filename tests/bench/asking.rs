//! Queries and their latencies.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
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
}

impl Question<'_> {
    /// The question as a request to a server.
    pub fn request(&self, client: &reqwest::Client, url: &str) -> RequestBuilder {
        let path = if self.step_s == 0 { "query" } else { "query_range" };
        let form = url::form_urlencoded::Serializer::new(String::new())
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
///
/// Asked from a single thread: with more, each answer would pay for this client's own threads
/// that wake each other, about 0.15 ms, which hides what small queries cost.
pub fn median_ms(rounds_min: usize, request: impl Fn(&reqwest::Client) -> RequestBuilder) -> f64 {
    let rounds = async {
        let client = http::patient_client();
        let (mut times_ms, begun) = (Vec::new(), Instant::now());
        while times_ms.len() < rounds_min || begun.elapsed() < SPELL {
            let request = request(&client);
            let started = Instant::now();
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            answer.bytes().await.expect("a body");
            if !status.is_success() {
                return f64::NAN;
            }
            times_ms.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        median(&mut times_ms)
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
