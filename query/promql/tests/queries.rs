//! Real expressions against the verdict of a Prometheus: `queries [FILE…]`.
//!
//! A case is a line of JSON: `expr`, and `canonical` when the oracle accepts it or `error` when it
//! does not. It agrees when the parser says the same, with the same position and wording, the layout
//! is the oracle's, the layout parses to the same tree, and a second round changes nothing.
//!
//! Without files it reads the corpus in `tests/data/promql`. An expression that the oracle does not
//! know but 3.14 does is listed by name in [`NEWER`].

// A test program prints its verdict.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use promql::{ParseOptions, parse, pretty, print};

/// Expressions with another verdict in 3.14 than in the oracle's 2.42, and why. None so far.
const NEWER: [(&str, &str); 0] = [];
/// Parsing is linear: no expression of people takes longer. Generous, for slow machines.
const PARSE_MAX: Duration = Duration::from_millis(500);

/// One line of a corpus.
struct Case {
    expr: String,
    canonical: Option<String>,
    error: Option<String>,
}

fn main() -> ExitCode {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/promql/queries.jsonl");
    let mut files: Vec<String> = Vec::new();
    for word in std::env::args().skip(1) {
        // What `cargo test` hands to every test program: options, a filter of names.
        match word.as_str() {
            "--list" => return ExitCode::SUCCESS,
            option if option.starts_with('-') => {}
            file if file.contains('/') || file.contains('.') => files.push(word),
            filter if "queries".contains(filter) => {}
            _ => return ExitCode::SUCCESS,
        }
    }
    if files.is_empty() {
        files.push(default.to_owned());
    }
    let (mut agree, mut differ, mut longest) = (0, 0, Duration::ZERO);
    for case in files.iter().flat_map(|file| cases(&PathBuf::from(file))) {
        let started = Instant::now();
        // Only the time counts here; the verdict is compared below.
        let _ = parse(&case.expr, &ParseOptions::default());
        longest = longest.max(started.elapsed());
        match difference(&case) {
            None => agree += 1,
            Some(text) => {
                differ += 1;
                println!("{}\n  {text}", case.expr);
            }
        }
    }
    println!("longest parse: {} µs", longest.as_micros());
    println!("{agree} agree, {differ} differ");
    if differ > 0 || agree == 0 || longest > PARSE_MAX {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn cases(file: &PathBuf) -> Vec<Case> {
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("read {}: {error}", file.display()));
    let case = |(index, line): (usize, &str)| {
        let value: serde_json::Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}:{}: {error}", file.display(), index + 1));
        let field = |name: &str| value[name].as_str().map(str::to_owned);
        let expr = field("expr")
            .unwrap_or_else(|| panic!("{}:{}: no field expr", file.display(), index + 1));
        Case { expr, canonical: field("canonical"), error: field("error") }
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(case).collect()
}

/// What is not as the oracle has it; `None` when all is.
fn difference(case: &Case) -> Option<String> {
    let options = ParseOptions::default();
    if NEWER.iter().any(|(expr, _)| *expr == case.expr) {
        return None;
    }
    match (parse(&case.expr, &options), &case.canonical, &case.error) {
        (Ok(expr), Some(canonical), _) => {
            let laid_out = pretty(&expr);
            if &laid_out != canonical {
                return Some(format!("laid out as\n{laid_out}\n  instead of\n{canonical}"));
            }
            for text in [print(&expr), laid_out] {
                let again = parse(&text, &options).map(|expr| pretty(&expr));
                if again.as_ref() != Ok(canonical) {
                    return Some(format!("a second round gives {again:?}"));
                }
            }
            None
        }
        (Err(problems), None, Some(error)) => {
            let rendered = problems[0].render(&case.expr);
            (&rendered != error).then(|| format!("refused with {rendered}\n  instead of {error}"))
        }
        (Ok(_), ..) => Some("accepted; the oracle refuses it".to_owned()),
        (Err(problems), ..) => {
            let rendered = problems[0].render(&case.expr);
            Some(format!("refused with {rendered}; the oracle accepts it"))
        }
    }
}
