//! Conformance files from outside, run by the rooms they test.
//!
//! The test program is built first and then started by itself, so that its own last line, the
//! counts, is the last line on the terminal.

use std::process::Command;

use crate::{command, tree};

const USAGE: &str = "cargo xtask conformance promqltest DIR… [--features all]
cargo xtask conformance queries FILE…";

/// Runs one kind of conformance files. An empty error: the cases that failed were shown already.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let Some((kind, rest)) = arguments.split_first() else { return Err(USAGE.to_owned()) };
    match kind.as_str() {
        "promqltest" if !rest.is_empty() => run_test_program("query", "promqltest", rest),
        "queries" if !rest.is_empty() => run_test_program("promql", "queries", rest),
        _ => Err(USAGE.to_owned()),
    }
}

/// Runs a test program of a room with arguments of its own. An empty error: it has said everything.
pub fn run_test_program(package: &str, test: &str, rest: &[String]) -> Result<(), String> {
    let program = test_program(package, test)?;
    let status = Command::new(&program)
        .args(rest)
        .status()
        .map_err(|error| format!("start {program}: {error}"))?;
    if status.success() { Ok(()) } else { Err(String::new()) }
}

/// Builds a test program of a room and says where it lies.
fn test_program(package: &str, test: &str) -> Result<String, String> {
    let line = [
        "test",
        "--quiet",
        "--locked",
        "--no-run",
        "--message-format=json-render-diagnostics",
        "-p",
        package,
        "--test",
        test,
    ];
    let messages = command::output(&command::cargo(), &line, &tree::root())?;
    let is_ours = |message: &serde_json::Value| {
        message["target"]["name"] == test && message["executable"].is_string()
    };
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(is_ours)
        .and_then(|message| message["executable"].as_str().map(str::to_owned))
        .ok_or_else(|| format!("cargo built no test program {test} of {package}"))
}
