//! Our own tools: `cargo xtask test | tidy | layers | licences | soak | fuzz | planted | bench | conformance | python |
//! node`.
//!
//! Place in the flow: none; this program reads the tree and starts other programs. It depends on no
//! room, so that it builds in seconds.
//!
//! Not here: the checks' subjects. What is tested stands beside what it tests.

// A tool for a terminal prints; a room of the product never does.
#![allow(clippy::print_stdout, clippy::print_stderr)]

/// The side-by-side benchmark.
mod bench;
/// Starting programs and telling how they ended.
mod command;
/// Conformance files from outside.
mod conformance;
/// The long forms of the fault tests.
mod faults;
/// Who may use whom.
mod layers;
/// Licences and sources of what we depend on.
mod licences;
/// Clients of the field written in JavaScript.
mod node;
/// Python programs and libraries that tests talk to.
mod python;
/// The real servers that tests talk to, from Debian's packages.
mod servers;
/// The README's test command.
mod test;
/// Style that a program can check: sizes, module docs, the map.
mod tidy;
/// Where the workspace lies and which files belong to it.
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test [FILTER…]     build and run all tests; installs the real servers they need when root
  tidy               file and function sizes, module docs, map in step with the tree
  layers             who may use whom, dev-dependencies too
  licences           licences and sources of all dependencies
  soak [--minutes N | --kills N] [--seed S]
                     kills, power cuts and flipped bits of a simulated store
  soak reference [--minutes N | --cases N] [--seed S]
                     random expressions on random series: the engine against a naive reference
  fuzz [TARGET] [--seconds N] [--seed S]
                     hostile bytes for the decoders
  planted            the fault tests notice a missing fsync, directory sync and checksum
  bench [SCENARIO…] [OPTIONS]
                     Belfry, VictoriaMetrics and Prometheus side by side (tests/bench)
  conformance promqltest DIR… [--features all]
                     run a folder of PromQL test files
  conformance queries FILE…
                     parse and lay out expressions as an oracle did
  python             the Python programs and libraries that tests talk to, in a venv of their own
  node               the JavaScript clients that tests run, in a folder of their own";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("test") => test::run(rest),
        Some("tidy") => tidy::run(),
        Some("layers") => layers::run(),
        Some("licences") => licences::run(),
        Some("soak") => faults::soak(rest),
        Some("fuzz") => faults::fuzz(rest),
        Some("planted") => faults::planted(),
        Some("bench") => bench::run(rest),
        Some("python") => python::ensure(),
        Some("node") => node::ensure(),
        Some("conformance") => conformance::run(rest),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            if !message.is_empty() {
                eprintln!("{message}");
            }
            ExitCode::FAILURE
        }
    }
}
