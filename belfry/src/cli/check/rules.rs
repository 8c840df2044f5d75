//! `belfry check rules`: rule files, and rules that stand in them twice.
//!
//! Place in the flow: files or standard input → [`rules::config::parse`] → every mistake, or the
//! number of rules; then lint.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use rules::config::{GroupConfig, RuleKind};

use super::LINT_CODE;
use crate::cli::{fail, note, say};
use crate::config::read_text;

/// Longest text on standard input, as of a file.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What lint looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lint {
    /// Everything.
    All,
    /// Rules of the same name with the same labels.
    DuplicateRules,
    /// Jobs that are scraped less often than queries look back.
    TooLongScrapeInterval,
    /// Nothing.
    None,
}

impl Lint {
    /// Whether it includes another one.
    pub fn has(self, other: Lint) -> bool {
        self == Lint::All || self == other
    }
}

/// What `check rules` is told.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// The files.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What is unusual but no mistake; can be given several times.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "duplicate-rules")]
    lint: Vec<Lint>,
    /// End with code 3 when lint finds something.
    #[arg(long)]
    lint_fatal: bool,
    /// Pass over fields that nobody knows, such as those of a newer release.
    #[arg(long)]
    ignore_unknown_fields: bool,
}

/// Checks each file.
pub fn run(arguments: &Arguments) -> ExitCode {
    let (mut failed, mut linted) = (false, false);
    let mut one = |name: &str, text: Result<String, String>| {
        _ = say(&format!("Checking {name}"));
        let groups = text.and_then(|text| {
            let read = match arguments.ignore_unknown_fields {
                true => rules::config::parse_known_fields(&text, name),
                false => rules::config::parse(&text, name),
            };
            read.map_err(|problems| {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            })
        });
        match groups {
            Err(message) => {
                _ = fail(&format!("  FAILED:\n{message}"));
                failed = true;
            }
            Ok(groups) => {
                let count: usize = groups.iter().map(|group| group.rules.len()).sum();
                _ = say(&format!("  SUCCESS: {count} rules found"));
                if arguments.lint.iter().any(|own| own.has(Lint::DuplicateRules))
                    && let Some(text) = duplicates(&groups)
                {
                    note(&format!("  lint: {text}"));
                    linted = true;
                }
            }
        }
        _ = say("");
    };
    for file in &arguments.files {
        let text = read_text(file).map_err(|message| format!("{}: {message}", file.display()));
        one(&file.display().to_string(), text);
    }
    if arguments.files.is_empty() {
        one("standard input", standard_input());
    }
    match (failed, linted && arguments.lint_fatal) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(LINT_CODE),
        (false, false) => ExitCode::SUCCESS,
    }
}

fn standard_input() -> Result<String, String> {
    let mut text = String::new();
    let taken = std::io::stdin().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    taken.map_err(|error| format!("read standard input: {error}"))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(format!("standard input is longer than {INPUT_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// What makes two rules the same: file, name, whether it alerts, labels.
type RuleKey<'a> = (&'a Path, &'a str, bool, BTreeMap<&'a str, &'a str>);

/// Rules of one file with the same name and labels, in promtool's words; `None` when there are none.
pub fn duplicates(groups: &[GroupConfig]) -> Option<String> {
    let mut counts: BTreeMap<RuleKey<'_>, usize> = BTreeMap::new();
    for group in groups {
        for rule in &group.rules {
            let labels = rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let is_alert = matches!(rule.kind, RuleKind::Alert { .. });
            let key = (Path::new(&group.file), rule.name(), is_alert, labels.collect());
            *counts.entry(key).or_default() += 1;
        }
    }
    let doubled: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
    if doubled.is_empty() {
        return None;
    }
    let total: usize = doubled.iter().map(|(_, count)| count - 1).sum();
    let mut text = format!("{total} duplicate rule(s) found.\n");
    for ((_, name, _, labels), _) in &doubled {
        text.push_str(&format!("Metric: {name}\nLabel(s):\n"));
        labels.iter().for_each(|(name, value)| text.push_str(&format!("\t{name}: {value}\n")));
    }
    text.push_str("Might cause inconsistency while recording expressions");
    Some(text)
}
