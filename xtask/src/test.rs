//! The README's test command: the real servers are there, then every test of every room runs.

use crate::{command, node, python, servers, tree};

/// Runs the tests; arguments go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    servers::ensure(&servers::FOR_TESTS)?;
    python::ensure()?;
    node::ensure()?;
    let mut line = vec!["test", "--workspace", "--locked", "--no-fail-fast"];
    line.extend(arguments.iter().map(String::as_str));
    command::run(&command::cargo(), &line, &tree::root())?;
    println!("all tests passed");
    Ok(())
}
