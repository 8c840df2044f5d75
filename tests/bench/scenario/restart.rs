//! The way back after `kill -9` with ten million samples that are in no block yet.

use std::path::Path;

use crate::data::{self, Shape};
use crate::sender;
use crate::server::{self, Kind};
use crate::table::Column;

/// Ten minutes at one second: nothing of it is due to be flushed.
pub const SHAPE: Shape =
    Shape { series: 17_080, hours: 586.0 / 3600.0, interval_s: 1, connections: 2 };

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, column: &mut Column) {
    let end_ms = data::now_ms() / 1000 * 1000;
    let mut server = server::start(kind, folder, "").await;
    sender::saturate(&server.url, data::all_requests(SHAPE, end_ms)).await;
    let before = server.resident_mib();
    let ready_s = server.restart_after_kill("count(bench_gauge)").await;
    column.set("seconds until a query is answered", ready_s);
    column.set("seconds per 10 M samples", ready_s / (SHAPE.samples() as f64 / 1e7));
    column.set("RSS before, MiB", before);
    column.set("RSS after, MiB", server.resident_mib());
    column.set("peak RSS after, MiB", server.peak_mib());
}
