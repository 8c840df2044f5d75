//! The long forms of the fault tests: `soak`, `fuzz`, `planted`.
//!
//! They run the program of the crate fuzz, or a test program of a room, as it is built for the tests,
//! with all its assertions.

use std::time::{Duration, Instant};

use crate::{command, conformance, tree};

/// A planted bug must be noticed within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);
/// Bugs, and whether their switch is compiled in.
const PLANTS: [(&str, bool); 6] = [
    ("sync", false),
    ("sync_dir", false),
    ("checksum", true),
    ("block", true),
    ("index", true),
    ("manifest", true),
];

/// Kills, power cuts and flipped bits until the time or the number is reached; with the word
/// `reference`, questions to the query engine and its naive reference.
pub fn soak(arguments: &[String]) -> Result<(), String> {
    if let Some((word, rest)) = arguments.split_first()
        && word == "reference"
    {
        return conformance::run_test_program("query", "reference", rest);
    }
    run(&["soak"], arguments, false)
}

/// Hostile bytes for one target or all.
pub fn fuzz(arguments: &[String]) -> Result<(), String> {
    run(&["fuzz"], arguments, false)
}

/// The short suite is green as it is, and red with every bug.
pub fn planted() -> Result<(), String> {
    run(&["planted"], &[], false).map_err(|error| format!("without any bug: {error}"))?;
    for (name, is_compiled_in) in PLANTS {
        if is_compiled_in {
            build(true)?;
        }
        let start = Instant::now();
        if run(&["planted", name], &[], is_compiled_in).is_ok() {
            return Err(format!("the suite does not notice the planted bug {name}"));
        }
        let took = start.elapsed();
        if took > NOTICED_WITHIN {
            return Err(format!("the planted bug {name} was noticed only after {took:?}"));
        }
        println!("planted bug {name}: noticed after {took:?}");
    }
    Ok(())
}

/// A release binary can never hold the switch: it is a feature of the crate fuzz.
fn line(command: &'static str, with_switch: bool) -> Vec<&'static str> {
    let mut line = vec![command, "--locked", "--quiet", "-p", "fuzz"];
    if with_switch {
        line.extend(["--features", "planted"]);
    }
    line
}

fn build(with_switch: bool) -> Result<(), String> {
    command::run(&command::cargo(), &line("build", with_switch), &tree::root())
}

fn run(words: &[&str], arguments: &[String], with_switch: bool) -> Result<(), String> {
    let mut line = line("run", with_switch);
    line.push("--");
    line.extend(words);
    line.extend(arguments.iter().map(String::as_str));
    command::run(&command::cargo(), &line, &tree::root())
}
