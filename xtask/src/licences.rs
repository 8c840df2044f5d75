//! Licences and sources of what we depend on.
//!
//! Every dependency must come from crates.io and offer a licence of the list. An advisory database
//! is not consulted: it can't be reached from a closed network.

use serde_json::Value;

use crate::tree;

/// Licences that an Apache-2.0 product may ship.
const ALLOWED: [&str; 16] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "CC0-1.0",
    "0BSD",
    "CDLA-Permissive-2.0",
    "Unlicense",
    "bzip2-1.0.6",
    // Holds for the library's own files, which are used as they are.
    "MPL-2.0",
];
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks every package of the lock file.
pub fn run() -> Result<(), String> {
    let metadata = tree::metadata(true)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata has no packages")?;
    let mut problems = Vec::new();
    let mut outside = 0;
    for package in packages {
        if package["source"].is_null() {
            continue;
        }
        outside += 1;
        problems.extend(check(package));
    }
    for problem in &problems {
        println!("{problem}");
    }
    if problems.is_empty() {
        println!("licences: {outside} dependencies, all allowed and from crates.io");
        Ok(())
    } else {
        Err(format!("licences: {} problems", problems.len()))
    }
}

fn check(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let source = package["source"].as_str().unwrap_or_default();
    if source != SOURCE {
        return Some(format!("{name}: comes from {source}, not from crates.io"));
    }
    let licence = package["license"].as_str().unwrap_or_default();
    if is_allowed(licence) { None } else { Some(format!("{name}: licence {licence:?}")) }
}

/// Whether a licence expression can be met: one side of each OR, all sides of each AND.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let tokens = tokens(&expression);
    let mut position = 0;
    let met = any(&tokens, &mut position);
    met && position == tokens.len()
}

fn tokens(expression: &str) -> Vec<String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut tokens: Vec<String> = Vec::new();
    let mut words = spaced.split_whitespace();
    while let Some(word) = words.next() {
        match (word, tokens.last_mut()) {
            ("WITH", Some(last)) => {
                last.push_str(" WITH ");
                last.push_str(words.next().unwrap_or_default());
            }
            _ => tokens.push(word.to_owned()),
        }
    }
    tokens
}

fn any(tokens: &[String], position: &mut usize) -> bool {
    let mut met = all(tokens, position);
    while tokens.get(*position).is_some_and(|token| token == "OR") {
        *position += 1;
        met |= all(tokens, position);
    }
    met
}

fn all(tokens: &[String], position: &mut usize) -> bool {
    let mut met = one(tokens, position);
    while tokens.get(*position).is_some_and(|token| token == "AND") {
        *position += 1;
        met &= one(tokens, position);
    }
    met
}

fn one(tokens: &[String], position: &mut usize) -> bool {
    let Some(token) = tokens.get(*position) else { return false };
    *position += 1;
    if token != "(" {
        return ALLOWED.contains(&token.as_str());
    }
    let met = any(tokens, position);
    let closed = tokens.get(*position).is_some_and(|token| token == ")");
    *position += 1;
    met && closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR Apache-2.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 AND MIT", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression), expected, "{expression}");
        }
    }
}
