//! Side by side: Belfry, VictoriaMetrics and Prometheus do the same work, in one run on one machine.
//!
//! `cargo xtask bench [SCENARIO…] [--servers LIST] [--series N] [--hours H] [--interval SECONDS] [--connections N]`
//!
//! Without a scenario: `ingest`, the figures of the README. Each server runs alone while it is
//! measured, but for queries, where all hold the data and are asked in turn. Printed: a table with the
//! ratios to the first server.
//!
//! Not here: what a scenario does (`scenario`), pass or fail: a benchmark reports, people judge.

// A tool for a terminal prints; a room of the product never does.
#![allow(clippy::print_stdout)]

/// What the command line asks for.
mod options;
/// The values of the generated metrics.
mod value;
/// The generated metrics.
mod data;
/// The three servers.
mod server;
/// Remote-write senders.
mod sender;
/// The queries of `ingest`.
mod questions;
/// Servers that hold the data.
mod side;
/// Queries and their latencies.
mod asking;
/// Processors that do not sleep.
mod awake;
/// Names and numbers, side by side.
mod table;
/// What is measured.
mod scenario;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [awake::ARGUMENT] {
        awake::stay();
    }
    let options = match options::read(&arguments) {
        Ok(options) => options,
        Err(message) => {
            println!("{message}");
            std::process::exit(2);
        }
    };
    for scenario in &options.scenarios {
        println!("\n{}: {}", scenario.name(), scenario.about(&options));
        table::print(&scenario.run(&options).await);
    }
}
