//! Reads a test file: commands, the series they load, the queries and what is expected of them.
//!
//! Place in the flow: a `.test` file → **`script`** → `run`.
//!
//! Not here: expectation lines (`expectation`), the notation of series (`promql::series`).

use model::{Labels, TimestampMs};
use promql::series::{self, Item};

use crate::expectation::Expectation;

/// One command with the line it begins at.
#[derive(Debug)]
pub enum Command {
    /// Forget all samples.
    Clear,
    /// Add samples.
    Load(Load),
    /// Ask and compare.
    Eval(Box<Case>),
}

/// The samples of one load command.
#[derive(Debug)]
pub struct Load {
    pub line: usize,
    pub step_ms: i64,
    /// Whether classic histograms are stored as native ones too.
    pub with_nhcb: bool,
    pub series: Vec<LoadedSeries>,
}

/// One series of a load.
#[derive(Debug)]
pub struct LoadedSeries {
    pub labels: Labels,
    pub items: Vec<Item>,
    /// Offsets of the start timestamps, when a line gave them.
    pub starts: Option<Vec<Option<i64>>>,
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Instant(TimestampMs),
    Range { start: TimestampMs, end: TimestampMs, step_ms: i64 },
}

/// One query and what is expected of it.
#[derive(Debug)]
pub struct Case {
    pub line: usize,
    pub text: String,
    pub when: When,
    pub expected: Expectation,
}

/// Reads a whole file. The error names its line and column.
pub fn parse(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> = text.split('\n').map(cleaned).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() {
            at += 1;
            continue;
        }
        let length = lines[at..].iter().position(|line| line.is_empty());
        let block = &lines[at..at + length.unwrap_or(lines.len() - at)];
        let word = block[0].split([' ', '\t']).next().unwrap_or("").to_lowercase();
        let line = at + 1;
        if word == "clear" {
            commands.push(Command::Clear);
            at += 1;
        } else if word.starts_with("load") {
            commands.push(Command::Load(load(block, line)?));
            at += block.len();
        } else if word.starts_with("eval") {
            commands.push(Command::Eval(Box::new(eval(block, line)?)));
            at += block.len();
        } else {
            return Err(format!("{line}:1: unknown command {:?}", block[0]));
        }
    }
    Ok(commands)
}

/// A line without the blanks around it; a comment is an empty line.
fn cleaned(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line }
}

/// A Prometheus duration in milliseconds.
pub fn duration_ms(text: &str, line: usize) -> Result<i64, String> {
    model::duration::parse_duration_ms(text)
        .and_then(|ms| i64::try_from(ms).ok())
        .ok_or_else(|| format!("{line}:1: not a duration: {text:?}"))
}

fn load(block: &[&str], line: usize) -> Result<Load, String> {
    let words: Vec<&str> = block[0].split_ascii_whitespace().collect();
    let (with_nhcb, step) = match words[..] {
        ["load", step] => (false, step),
        ["load_with_nhcb", step] => (true, step),
        _ => return Err(format!("{line}:1: expected load STEP or load_with_nhcb STEP")),
    };
    let mut load = Load { line, step_ms: duration_ms(step, line)?, with_nhcb, series: Vec::new() };
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for (index, text) in block.iter().enumerate().skip(1) {
        let here = line + index;
        let place = |problem: promql::Problem| {
            format!("{here}:{}: {}", problem.start_byte + 1, problem.message)
        };
        let (labels, end_byte) = series::parse_metric(text).map_err(place)?;
        if let Some(items) = text[end_byte..].strip_prefix("@st") {
            if starts.is_some() {
                return Err(format!("{here}:1: two lines of start timestamps in a row"));
            }
            starts = Some((labels, series::parse_start_items(items).map_err(place)?));
            continue;
        }
        let (labels, items) = series::parse_series_line(text).map_err(place)?;
        let starts = match starts.take() {
            None => None,
            Some((own, starts)) if own == labels && starts.len() == items.len() => Some(starts),
            Some(_) => {
                return Err(format!("{here}:1: start timestamps and samples do not match"));
            }
        };
        // Of two lines for one series in a block the later one counts.
        load.series.retain(|series: &LoadedSeries| series.labels != labels);
        load.series.push(LoadedSeries { labels, items, starts });
    }
    match starts {
        Some(_) => Err(format!("{line}:1: start timestamps without samples")),
        None => Ok(load),
    }
}

/// Cuts the first word off.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once([' ', '\t']).unwrap_or((text, ""))
}

fn eval(block: &[&str], line: usize) -> Result<Case, String> {
    let bad = || {
        format!(
            "{line}:1: expected eval instant at TIME QUERY or \
             eval range from TIME to TIME step TIME QUERY"
        )
    };
    let (command, rest) = word(block[0]);
    let suffix = match command {
        "eval" => "",
        "eval_fail" => "fail",
        "eval_warn" => "warn",
        "eval_info" => "info",
        "eval_ordered" => "ordered",
        _ => return Err(bad()),
    };
    let (kind, rest) = word(rest);
    let (when, text) = match kind {
        "instant" => {
            let (at, rest) = word(rest);
            let (time, rest) = word(rest);
            if at != "at" {
                return Err(bad());
            }
            (When::Instant(TimestampMs(duration_ms(time, line)?)), rest)
        }
        "range" => range(rest, line).and_then(|found| found.ok_or_else(bad))?,
        _ => return Err(bad()),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(bad());
    }
    let expected = Expectation::parse(&block[1..], line + 1, suffix, when)?;
    Ok(Case { line, text: text.to_owned(), when, expected })
}

/// `from A to B step S QUERY`.
fn range(rest: &str, line: usize) -> Result<Option<(When, &str)>, String> {
    let (from, rest) = word(rest);
    let (start, rest) = word(rest);
    let (to, rest) = word(rest);
    let (end, rest) = word(rest);
    let (step, rest) = word(rest);
    let (length, rest) = word(rest);
    if (from, to, step) != ("from", "to", "step") {
        return Ok(None);
    }
    let (start, end) = (duration_ms(start, line)?, duration_ms(end, line)?);
    let step_ms = duration_ms(length, line)?;
    if end < start || step_ms <= 0 {
        return Err(format!("{line}:1: the range must not be empty, its step must be > 0"));
    }
    let (start, end) = (TimestampMs(start), TimestampMs(end));
    Ok(Some((When::Range { start, end, step_ms }, rest)))
}
