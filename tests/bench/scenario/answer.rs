//! Answers of a million points: how fast they leave, when the first byte comes, what they cost; as
//! they are, and packed by gzip as Grafana asks for them. The reader only counts the bytes.

use std::path::Path;
use std::time::Instant;

use tests::http;

use crate::asking::{Question, median};
use crate::data::{self, Shape};
use crate::sender;
use crate::server::{self, Kind, Running};
use crate::table::Column;

/// A thousand gauges over a thousand steps, and what stands beside them.
pub const SHAPE: Shape =
    Shape { series: 4270, hours: 1020.0 / 240.0, interval_s: 15, connections: 2 };
/// Steps after the first.
const STEPS: f64 = 999.0;
/// Rounds of each question; the median counts.
const ROUNDS: usize = 7;

/// What is asked: short numbers, and numbers of seventeen digits; how the answer is to come.
const QUERIES: [(&str, &str, &str); 4] = [
    ("short numbers", "bench_gauge", "identity"),
    ("long numbers", "bench_gauge / 7", "identity"),
    ("short, gzip", "bench_gauge", "gzip"),
    ("long, gzip", "bench_gauge / 7", "gzip"),
];

/// What one answer took.
struct Received {
    first_byte_ms: f64,
    whole_ms: f64,
    sent_bytes: f64,
    /// Unpacked.
    bytes: f64,
}

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, column: &mut Column) {
    let end_ms = data::now_ms() / 60_000 * 60_000;
    let server = server::start(kind, folder, "").await;
    sender::saturate(&server.url, data::all_requests(SHAPE, end_ms)).await;
    server.compact().await;
    let end_s = end_ms as f64 / 1000.0 - SHAPE.interval_s as f64;
    for (name, query, coding) in QUERIES {
        let start_s = end_s - STEPS * SHAPE.interval_s as f64;
        let question = Question { query, start_s, end_s, step_s: SHAPE.interval_s, stats: false };
        ask(&server, name, (&question, coding), column).await;
    }
}

async fn ask(
    server: &Running,
    name: &str,
    (question, coding): (&Question<'_>, &str),
    column: &mut Column,
) {
    server.forget_peak();
    let (before_mib, cpu_before_s) = (server.resident_mib(), server.cpu_seconds());
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        all.push(receive(&server.url, question, coding).await);
    }
    let cpu_ms = (server.cpu_seconds() - cpu_before_s) * 1000.0 / ROUNDS as f64;
    let middle = |of: fn(&Received) -> f64| median(&mut all.iter().map(of).collect::<Vec<_>>());
    let (whole_ms, bytes) = (middle(|own| own.whole_ms), middle(|own| own.bytes));
    column.set(format!("{name}: MB"), bytes / 1e6);
    if coding == "gzip" {
        column.set(format!("{name}: MB sent"), middle(|own| own.sent_bytes) / 1e6);
    }
    column.set(format!("{name}: first byte, ms"), middle(|own| own.first_byte_ms));
    column.set(format!("{name}: whole, ms"), whole_ms);
    column.set(format!("{name}: MB/s"), bytes / 1e3 / whole_ms);
    column.set(format!("{name}: CPU ms"), cpu_ms);
    let grown_bytes = (server.peak_mib() - before_mib) * 1024.0 * 1024.0;
    column.set(format!("{name}: peak memory ÷ answer"), grown_bytes / bytes);
}

async fn receive(url: &str, question: &Question<'_>, coding: &str) -> Received {
    let client = http::packed_client();
    let request = question.request(&client, url).header("accept-encoding", coding);
    let started = Instant::now();
    let mut answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}: {}", question.query, answer.status());
    let is_packed = answer.headers().get("content-encoding").is_some_and(|own| own == "gzip");
    assert_eq!(is_packed, coding == "gzip", "what was asked for");
    let (mut first_byte_ms, mut sent_bytes, mut packed) = (f64::NAN, 0, Vec::new());
    while let Some(chunk) = answer.chunk().await.expect("a piece of the body") {
        if sent_bytes == 0 {
            first_byte_ms = started.elapsed().as_secs_f64() * 1000.0;
        }
        sent_bytes += chunk.len() as u64;
        if is_packed {
            packed.extend_from_slice(&chunk);
        }
    }
    let whole_ms = started.elapsed().as_secs_f64() * 1000.0;
    let bytes = if is_packed { unpacked_bytes(&packed) } else { sent_bytes };
    Received { first_byte_ms, whole_ms, sent_bytes: sent_bytes as f64, bytes: bytes as f64 }
}

fn unpacked_bytes(packed: &[u8]) -> u64 {
    let mut unpacked = flate2::read::GzDecoder::new(packed);
    std::io::copy(&mut unpacked, &mut std::io::sink()).expect("a gzip stream")
}
