//! Queries and their latencies.
//!
//! Place in the flow: servers that hold the same data (`Side`) → **each is asked in turn** → columns.
//!
//! What a machine does meanwhile meets all sides alike: a question goes through several turns, and in
//! each of them every server is asked for a while. Before it is asked the one that was asked last has
//! come to rest, so that nobody pays for what another cleans up.
//!
//! Asked from a single thread: with more, each answer would pay for this client's own threads that
//! wake each other, about 0.15 ms, which hides what small queries cost.
//!
//! Not here: what is asked (`questions`, `scenario`).

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tests::http;

use crate::server::Kind;
use crate::side::Side;
use crate::table::{Column, geometric_mean};

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
    /// The question as a request to one of the sides, under the names that it knows.
    fn request_to(&self, side: &Side, client: &Client) -> RequestBuilder {
        let known = match side.kind {
            Kind::VictoriaMetrics | Kind::Prometheus => {
                self.query.replace("double_exponential_smoothing", "holt_winters")
            }
            Kind::Belfry => self.query.to_owned(),
        };
        Question { query: &known, ..*self }.request(client, &side.server.url)
    }

    /// The question as a request to a server.
    pub fn request(&self, client: &Client, url: &str) -> RequestBuilder {
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

/// How often each server has its turn.
const TURNS: usize = 5;
/// In each turn a server is asked again and again for so long.
const SPELL: Duration = Duration::from_millis(20);

/// The sides and the client that asks them.
pub struct Asking {
    sides: Vec<Side>,
    /// The medians of each question, by side.
    medians_ms: Vec<Vec<f64>>,
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Asking {
    /// Asks these sides, from a thread that may block.
    pub fn new(sides: Vec<Side>) -> Asking {
        let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (medians_ms, client) = (vec![Vec::new(); sides.len()], http::patient_client());
        Asking { sides, medians_ms, client, runtime: one_thread.expect("a runtime") }
    }

    /// Notes the geometric mean of all questions, and the most memory that each server ever had; what
    /// the sides reached.
    pub fn finish(self, row: &str) -> Vec<Column> {
        let noted = |(mut side, medians_ms): (Side, Vec<f64>)| {
            side.column.set(row, geometric_mean(&medians_ms));
            side.column.set("peak RSS, MiB", side.server.peak_mib());
            side.column
        };
        self.sides.into_iter().zip(self.medians_ms).map(noted).collect()
    }

    /// Notes the median milliseconds of a request that asks nothing: no server can be below it.
    pub fn round_trip(&mut self, row: &str) {
        let healthy = |client: &Client, side: &Side| {
            Some(client.get(format!("{}/-/healthy", side.server.url)))
        };
        self.measure(row, healthy, |took_ms, _| took_ms);
    }

    /// Notes the median milliseconds until the body of an answer was read; not a number when a server
    /// refuses.
    pub fn answered(&mut self, row: &str, question: &Question<'_>) {
        let request = |client: &Client, side: &Side| Some(question.request_to(side, client));
        let medians = self.measure(row, request, |took_ms, _| took_ms);
        for (all, median) in self.medians_ms.iter_mut().zip(medians) {
            all.push(median);
        }
    }

    /// Notes the median milliseconds that servers themselves say they took to execute a question,
    /// without the way there and back. VictoriaMetrics does not tell.
    pub fn executed(&mut self, row: &str, question: &Question<'_>) {
        let request = |client: &Client, side: &Side| {
            let asked = Question { stats: true, ..*question };
            (side.kind != Kind::VictoriaMetrics).then(|| asked.request_to(side, client))
        };
        self.measure(row, request, |_, body| {
            let answer: Value = serde_json::from_slice(body).unwrap_or_default();
            let executed_s = answer["data"]["stats"]["timings"]["execTotalTime"].as_f64();
            executed_s.map_or(f64::NAN, |seconds| seconds * 1000.0)
        });
    }

    /// Notes the median of what is made of the milliseconds that each answer took, and of its body.
    fn measure(
        &mut self,
        row: &str,
        request: impl Fn(&Client, &Side) -> Option<RequestBuilder>,
        measure: impl Fn(f64, &[u8]) -> f64,
    ) -> Vec<f64> {
        let Asking { sides, client, runtime, .. } = self;
        let mut measured = vec![Some(Vec::new()); sides.len()];
        for turn in 0..TURNS {
            // Nobody is always the one behind another.
            for at in (0..sides.len()).map(|at| (at + turn) % sides.len()) {
                let (side, own) = (&sides[at], &mut measured[at]);
                let Some(all) = own else { continue };
                match runtime.block_on(spell(|| request(client, side), &measure)) {
                    Some(more) => all.extend(more),
                    None => *own = None,
                }
                side.server.rest();
            }
        }
        let of_all = |own: Option<Vec<f64>>| own.map_or(f64::NAN, |mut all| median(&mut all));
        let medians: Vec<f64> = measured.into_iter().map(of_all).collect();
        for (side, median) in sides.iter_mut().zip(&medians) {
            side.column.set(row, *median);
        }
        medians
    }
}

/// Asks one server for a while; nothing when there is no request for it, or when it refuses.
async fn spell(
    request: impl Fn() -> Option<RequestBuilder>,
    measure: &impl Fn(f64, &[u8]) -> f64,
) -> Option<Vec<f64>> {
    let (begun, mut measured) = (Instant::now(), Vec::new());
    while measured.is_empty() || begun.elapsed() < SPELL {
        let request = request()?;
        let started = Instant::now();
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.bytes().await.expect("a body");
        let took_ms = started.elapsed().as_secs_f64() * 1000.0;
        if !status.is_success() {
            return None;
        }
        measured.push(measure(took_ms, &body));
    }
    Some(measured)
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
