//! Ingest at saturation, disk, memory, then queries on the same data.

use crate::asking::{Asking, Question};
use crate::awake;
use crate::data::{self, Shape};
use crate::questions::QUERIES;
use crate::sender;
use crate::server::Kind;
use crate::side::Side;
use crate::table::Column;

/// Measures the servers: each alone while it is written to, then queries of all in turn.
pub async fn run(servers: &[Kind], shape: &Shape) -> Vec<Column> {
    let end_ms = data::now_ms() / 60_000 * 60_000;
    let mut sides = Vec::new();
    for kind in servers {
        let mut side = Side::start(*kind).await;
        write(&mut side, shape, end_ms).await;
        println!("{} is written to", kind.name());
        sides.push(side);
    }
    tokio::task::block_in_place(|| ask(sides, shape, end_ms))
}

async fn write(side: &mut Side, shape: &Shape, end_ms: i64) {
    let Side { server, column, .. } = side;
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
}

fn ask(sides: Vec<Side>, shape: &Shape, end_ms: i64) -> Vec<Column> {
    let _awake = awake::keep();
    let end_s = end_ms as f64 / 1000.0 - shape.interval_s as f64;
    let mut asking = Asking::new(sides);
    for (name, query, hours, step_s) in QUERIES {
        let start_s = end_s - f64::min(hours, shape.hours) * 3600.0;
        let question = Question { query, start_s, end_s, step_s, stats: false };
        asking.answered(&format!("{name}, ms"), &question);
    }
    asking.finish("geometric mean of queries, ms")
}
