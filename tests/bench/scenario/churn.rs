//! The cost of new series: a server that holds a fleet takes one sample each of many new series.

use std::path::Path;

use crate::data::{self, Shape};
use crate::sender;
use crate::server::{self, Kind};
use crate::table::Column;

/// The new series.
pub const SHAPE: Shape =
    Shape { series: 427_000, hours: 15.0 / 3600.0, interval_s: 15, connections: 2 };

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, column: &mut Column) {
    let end_ms = data::now_ms() / 60_000 * 60_000;
    let server = server::start(kind, folder, "").await;
    let before = server.cpu_seconds();
    let samples = SHAPE.samples() as f64;
    let busy_s = sender::saturate(&server.url, data::all_requests(SHAPE, end_ms)).await;
    server.until_idle().await;
    column.set("new series/s", samples / busy_s);
    let cpu_s = server.cpu_seconds() - before;
    column.set("CPU s per million samples", cpu_s / (samples / 1e6));
    column.set("RSS, MiB", server.resident_mib());
}
