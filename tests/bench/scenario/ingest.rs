//! Ingest at saturation, disk, memory, then queries on the same data.

use std::path::Path;

use crate::asking::{Question, median_ms};
use crate::awake;
use crate::data::{self, Shape};
use crate::questions::QUERIES;
use crate::server::{self, Kind};
use crate::table::{Column, geometric_mean};
use crate::{sender, server::Running};

/// Rounds of each query at least; the median counts.
const ROUNDS: usize = 15;

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, shape: &Shape, column: &mut Column) {
    let end_ms = data::now_ms() / 60_000 * 60_000;
    let server = server::start(kind, folder, "").await;
    let samples = shape.samples() as f64;
    let busy_s = sender::saturate(&server.url, data::all_requests(*shape, end_ms)).await;
    // Work that was put off belongs to the samples too.
    server.until_idle().await;
    column.set("samples/s", samples / busy_s);
    column.set("CPU s per million samples", server.cpu_seconds() / (samples / 1e6));
    column.set("peak RSS after ingest, MiB", server.peak_mib());
    column.set("bytes per sample, at rest", server.disk_bytes() / samples);
    let before = server.cpu_seconds();
    server.compact().await;
    column.set(
        "CPU s per million, compaction asked for",
        (server.cpu_seconds() - before) / (samples / 1e6),
    );
    column.set("bytes per sample, compacted", server.disk_bytes() / samples);
    ask(&server, shape, end_ms, column);
    column.set("peak RSS, MiB", server.peak_mib());
}

fn ask(server: &Running, shape: &Shape, end_ms: i64, column: &mut Column) {
    let _awake = awake::keep();
    let end_s = end_ms as f64 / 1000.0 - shape.interval_s as f64;
    let mut all_ms = Vec::new();
    for (name, query, hours, step_s) in QUERIES {
        let start_s = end_s - f64::min(hours, shape.hours) * 3600.0;
        let question = Question { query, start_s, end_s, step_s, stats: false };
        let ms = median_ms(ROUNDS, |client| question.request(client, &server.url));
        column.set(format!("{name}, ms"), ms);
        all_ms.push(ms);
    }
    column.set("geometric mean of queries, ms", geometric_mean(&all_ms));
}
