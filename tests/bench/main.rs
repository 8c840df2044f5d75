//! Side by side: Belfry, VictoriaMetrics and Prometheus take the same samples by remote write and
//! answer the same queries, in one run on one machine.
//!
//! `cargo xtask bench [--series N] [--hours H] [--interval SECONDS] [--connections N]`
//!
//! Printed: samples per second, CPU seconds per million samples, peak memory, bytes per sample on
//! disk, latency of each query; then ratios to VictoriaMetrics. Each server runs alone while it is
//! measured.

// A tool for a terminal prints; a room of the product never does.
#![allow(clippy::print_stdout)]

/// The generated metrics.
mod data;
/// What is measured, and the table.
mod figures;
/// The three servers.
mod server;

use std::time::Duration;

use data::Shape;
use figures::Figures;

/// Reads `--name value` pairs.
fn shape() -> Shape {
    let mut shape = Shape { series: 17_080, hours: 6.0, interval_s: 15, connections: 2 };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { panic!("{} needs a value", pair[0]) };
        let number: f64 = value.parse().unwrap_or_else(|_| panic!("{name}: no number: {value}"));
        match name.as_str() {
            "--series" => shape.series = number as usize,
            "--hours" => shape.hours = number,
            "--interval" => shape.interval_s = number as i64,
            "--connections" => shape.connections = number as usize,
            _ => panic!("unknown option {name}"),
        }
    }
    shape
}

#[tokio::main]
async fn main() {
    let shape = shape();
    let end_ms = data::now_ms() / 60_000 * 60_000;
    println!(
        "{} series, {} h at {} s, 5,000 samples a request, {} connections: {} samples",
        shape.series,
        shape.hours,
        shape.interval_s,
        shape.connections,
        shape.samples()
    );
    let mut all = Vec::new();
    for kind in server::KINDS {
        let folder = tempfile::tempdir().expect("folder");
        let mut server = server::start(kind, folder.path()).await;
        let mut figures = Figures::new(kind.name);
        figures.measure_ingest(&mut server, &shape, end_ms).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        figures.measure_disk(&mut server, folder.path(), &shape).await;
        figures.measure_queries(&server, &shape, end_ms).await;
        figures.finish(&server);
        println!("{} done", kind.name);
        all.push(figures);
    }
    figures::print(&all);
}
