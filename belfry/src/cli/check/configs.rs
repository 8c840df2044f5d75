//! `belfry check config`: files of the configuration, and what is unusual about their rules and jobs.
//!
//! Place in the flow: files → [`config::check_file`] → every mistake; no mistake → lint.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::LINT_CODE;
use super::rules::{Lint, duplicates};
use crate::cli::{environment, fail, note, say};
use crate::config::{self, Checked, Depth};

/// How far back a query looks for a value; a longer interval leaves gaps.
const LOOKBACK_MS: u64 = 5 * 60 * 1000;

/// What `check config` is told.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Look at the files alone, not at those they name.
    #[arg(long)]
    syntax_only: bool,
    /// What is unusual but no mistake; can be given several times.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "duplicate-rules")]
    lint: Vec<Lint>,
    /// End with code 3 when lint finds something.
    #[arg(long)]
    lint_fatal: bool,
    /// Accepted for promtool's sake: the file of a forward-only Prometheus is read the same way.
    #[arg(long)]
    agent: bool,
}

/// Checks each file.
pub fn run(arguments: &Arguments) -> ExitCode {
    let depth = if arguments.syntax_only { Depth::Alone } else { Depth::Whole };
    let (mut failed, mut linted) = (false, false);
    for file in &arguments.files {
        match config::check_file(file, &environment, depth) {
            Ok(checked) => {
                _ = say(&format!("{}: {}", file.display(), checked.summary()));
                for text in unusual(&checked, &arguments.lint) {
                    linted = true;
                    note(&format!("  lint: {text}"));
                }
            }
            Err(problems) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                _ = fail(&lines.join("\n"));
                failed = true;
            }
        }
    }
    match (failed, linted && arguments.lint_fatal) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(LINT_CODE),
        (false, false) => ExitCode::SUCCESS,
    }
}

fn unusual(checked: &Checked, lint: &[Lint]) -> Vec<String> {
    let mut found = Vec::new();
    if lint.iter().any(|own| own.has(Lint::DuplicateRules)) {
        found.extend(duplicates(&checked.groups));
    }
    if lint.iter().any(|own| own.has(Lint::TooLongScrapeInterval)) {
        for job in checked.collector.jobs.iter().filter(|job| job.interval_ms > LOOKBACK_MS) {
            found.push(format!(
                "long scrape interval found. Data point will be marked as stale. Job: {}. \
                 Interval: {}",
                job.name,
                model::duration::format_duration_ms(job.interval_ms)
            ));
        }
    }
    found
}
