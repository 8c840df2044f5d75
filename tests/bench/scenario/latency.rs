//! How long an acknowledgement takes under moderate load.

use std::path::Path;
use std::time::Duration;

use crate::asking::quantile;
use crate::data::{self, Shape};
use crate::sender;
use crate::server::{self, Kind};
use crate::table::Column;

/// One line for the reader.
pub const ABOUT: &str = "4 connections, each 10 requests of 1,000 samples a second, for 30 s";
const CONNECTIONS: usize = 4;
const EVERY: Duration = Duration::from_millis(100);

/// Measures one server.
pub async fn run(kind: Kind, folder: &Path, column: &mut Column) {
    let end_ms = data::now_ms() / 1000 * 1000;
    let server = server::start(kind, folder, "").await;
    let shape = Shape {
        series: CONNECTIONS * 1000,
        hours: 300.0 / 3600.0,
        interval_s: 1,
        connections: CONNECTIONS,
    };
    let senders = (0..CONNECTIONS).map(|own| {
        let (url, bodies) = (server.url.clone(), data::requests(shape, own, end_ms).collect());
        tokio::spawn(async move { sender::pace(&url, bodies, EVERY).await })
    });
    let mut times_ms = Vec::new();
    for task in senders.collect::<Vec<_>>() {
        times_ms.extend(task.await.expect("a sender"));
    }
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        column.set(format!("acknowledged after, {name}, ms"), quantile(&mut times_ms, share));
    }
}
