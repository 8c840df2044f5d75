//! The side-by-side benchmark: builds Belfry and the benchmark in release mode and runs it.

use crate::{command, servers, tree};

/// Runs tests/bench; arguments go to it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    servers::ensure(&servers::FOR_BENCH)?;
    let cargo = command::cargo();
    command::run(&cargo, &["build", "--release", "--locked", "-p", "belfry"], &tree::root())?;
    let mut line = vec!["run", "--release", "--locked", "-p", "tests", "--bin", "bench", "--"];
    line.extend(arguments.iter().map(String::as_str));
    command::run(&cargo, &line, &tree::root())
}
