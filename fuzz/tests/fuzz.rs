//! Every fuzz target for a moment.
#![allow(clippy::print_stdout, reason = "all of this crate is tests")]

use std::time::Duration;

use fuzz::target::hunt::hunt;
use fuzz::target::{ALL, Target};

/// Another seed each time would make the test run differ; `cargo xtask fuzz` takes any.
fn check(target: &Target) -> Result<(), String> {
    let runs = hunt(target, 1, Duration::from_millis(1500)).map_err(|what| {
        format!("{what}\nrepeat it: cargo xtask fuzz {} --seed 1\n", target.name)
    })?;
    println!("{}: {runs} inputs", target.name);
    Ok(())
}

#[test]
fn no_target_fails_for_a_moment() {
    let failed: Vec<String> = ALL.iter().filter_map(|target| check(target).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
