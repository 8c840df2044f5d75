//! The README's test command: the real servers are there, then every test of every room runs.

use crate::{command, node, python, servers, tree};

/// Ends a test program that hangs, with all that it started: the slowest takes two minutes.
const RUNNER: &str =
    r#"target."cfg(unix)".runner = ["timeout", "--verbose", "--kill-after=10", "900"]"#;

/// Runs the tests; arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    servers::ensure(&servers::FOR_TESTS)?;
    python::ensure()?;
    node::ensure()?;
    let mut line = vec!["--config", RUNNER, "test", "--workspace", "--locked", "--no-fail-fast"];
    line.extend(arguments.iter().map(String::as_str));
    command::run(&command::cargo(), &line, &tree::root())?;
    println!("all tests passed");
    Ok(())
}
