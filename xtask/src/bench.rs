//! The side-by-side benchmark: builds Belfry and the benchmark in release mode and runs it.

use std::path::Path;

use crate::{command, servers, tree};

/// Runs tests/bench; arguments go to it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    servers::ensure(&servers::FOR_BENCH)?;
    // Built at once, so that both share every library.
    let line = ["build", "--release", "--locked", "-p", "belfry", "-p", "tests", "--bins"];
    command::run(&command::cargo(), &line, &tree::root())?;
    let metadata = tree::metadata(false)?;
    let folder = metadata["target_directory"].as_str().ok_or("cargo names no target directory")?;
    let program = Path::new(folder).join("release/bench");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    command::run(&program.to_string_lossy(), &arguments, &tree::root())
}
