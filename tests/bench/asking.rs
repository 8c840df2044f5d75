//! Queries and their latencies.

use std::time::Instant;

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

/// The median milliseconds until the body of an answer was read; NaN when the server refuses.
pub async fn median_ms(url: &str, question: &Question<'_>, rounds: usize) -> f64 {
    let client = http::client();
    let path = if question.step_s == 0 { "query" } else { "query_range" };
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("query", question.query)
        .append_pair("step", &question.step_s.max(1).to_string())
        .append_pair("time", &question.end_s.to_string())
        .append_pair("start", &question.start_s.to_string())
        .append_pair("end", &question.end_s.to_string())
        .append_pair("nocache", "1")
        .finish();
    let mut times_ms = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let answer = client
            .post(format!("{url}/api/v1/{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.clone())
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        answer.bytes().await.expect("a body");
        times_ms.push(started.elapsed().as_secs_f64() * 1000.0);
        if !status.is_success() {
            return f64::NAN;
        }
    }
    median(&mut times_ms)
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
