//! Memory at a million active series, each written once per 15 s for five minutes.

use std::path::Path;

use crate::data::{self, Shape};
use crate::sender;
use crate::server::{self, Kind};
use crate::table::Column;

/// Five minutes of a million series.
pub const SHAPE: Shape =
    Shape { series: 1_000_000, hours: 1.0 / 12.0, interval_s: 15, connections: 2 };

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, column: &mut Column) {
    let end_ms = data::now_ms() / 60_000 * 60_000;
    let server = server::start(kind, folder, "").await;
    let samples = SHAPE.samples() as f64;
    let busy_s = sender::saturate(&server.url, data::all_requests(SHAPE, end_ms)).await;
    column.set("samples/s", samples / busy_s);
    column.set("CPU s per million samples", server.cpu_seconds() / (samples / 1e6));
    column.set("RSS, MiB", server.resident_mib());
    column.set("peak RSS, MiB", server.peak_mib());
}
