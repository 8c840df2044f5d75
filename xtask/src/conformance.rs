//! Conformance files from outside, run by the rooms they test.

use crate::{command, tree};

const USAGE: &str = "cargo xtask conformance promqltest DIR… [--features all]";

/// Runs one kind of conformance files.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let Some((kind, rest)) = arguments.split_first() else { return Err(USAGE.to_owned()) };
    match kind.as_str() {
        "promqltest" if !rest.is_empty() => {
            let here = std::env::current_dir().map_err(|error| format!("find folder: {error}"))?;
            // Cargo runs the test in its crate's folder: paths must not depend on where we stand.
            let rest: Vec<String> = rest
                .iter()
                .map(|word| match here.join(word) {
                    path if path.exists() => path.to_string_lossy().into_owned(),
                    _ => word.clone(),
                })
                .collect();
            let mut line =
                vec!["test", "--quiet", "--locked", "-p", "query", "--test", "promqltest", "--"];
            line.extend(rest.iter().map(String::as_str));
            command::run(&command::cargo(), &line, &tree::root())
        }
        _ => Err(USAGE.to_owned()),
    }
}
