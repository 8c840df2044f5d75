//! Reads the lines below a query: what its answer must be.
//!
//! Place in the flow: `script` → **`expectation`** → `compare`.

use model::{Labels, TimestampMs};
use promql::series::{self, Item};
use regex::Regex;

use crate::script::{When, duration_ms};

/// A text that must be there.
#[derive(Debug)]
pub enum TextMatch {
    /// Whatever it says.
    Any,
    /// Exactly this.
    Exact(String),
    /// Found anywhere in it.
    Pattern(Regex),
}

impl TextMatch {
    pub fn matches(&self, text: &str) -> bool {
        match self {
            TextMatch::Any => true,
            TextMatch::Exact(expected) => expected == text,
            TextMatch::Pattern(regex) => regex.is_match(text),
        }
    }
}

/// What is expected of the annotations of one kind.
#[derive(Debug, Default)]
pub struct Notes {
    /// Each must be found, and nothing else.
    pub wanted: Vec<TextMatch>,
    /// None must be there.
    pub none: bool,
}

/// Everything that the lines say.
#[derive(Debug, Default)]
pub struct Expectation {
    pub fail: Option<TextMatch>,
    pub warnings: Notes,
    pub infos: Notes,
    pub ordered: bool,
    pub text: Option<String>,
    pub scalar: Option<f64>,
    /// Start, end and step of the items when an instant query gives a matrix.
    pub range_vector: Option<(TimestampMs, TimestampMs, i64)>,
    pub series: Vec<(Labels, Vec<Item>)>,
}

impl Expectation {
    /// Reads the lines; `suffix` is the old style's ending of the command.
    pub fn parse(
        lines: &[&str],
        first_line: usize,
        suffix: &str,
        when: When,
    ) -> Result<Expectation, String> {
        let mut expected = Expectation { ordered: suffix == "ordered", ..Expectation::default() };
        match suffix {
            "fail" => expected.fail = Some(TextMatch::Any),
            "warn" => expected.warnings.wanted.push(TextMatch::Any),
            "info" => expected.infos.wanted.push(TextMatch::Any),
            _ => {}
        }
        for (index, text) in lines.iter().enumerate() {
            let line = first_line + index;
            if expected.scalar.is_some() {
                return Err(format!("{line}:1: a number must be the last line of a case"));
            }
            expected.line(text, line).map_err(|message| format!("{line}:1: {message}"))?;
        }
        expected.check(when).map_err(|message| format!("{first_line}:1: {message}"))?;
        Ok(expected)
    }

    fn line(&mut self, text: &str, line: usize) -> Result<(), String> {
        if self.fail.is_some() {
            let rest = |word: &str| text.strip_prefix(word).map(str::trim);
            if let Some(message) = rest("expected_fail_message ") {
                self.fail = Some(TextMatch::Exact(message.to_owned()));
                return Ok(());
            }
            if let Some(pattern) = rest("expected_fail_regexp ") {
                self.fail = Some(pattern_match(pattern)?);
                return Ok(());
            }
        }
        if let Some(rest) = text.strip_prefix("expect ") {
            return self.expect_line(rest.trim(), line);
        }
        if let Some(number) = bare_number(text) {
            self.scalar = Some(number);
            return Ok(());
        }
        let (labels, items) = series::parse_series_line(text)
            .map_err(|problem| format!("column {}: {}", problem.start_byte + 1, problem.message))?;
        if self.series.iter().any(|(own, _)| *own == labels) {
            return Err(format!("series {labels} is listed twice"));
        }
        self.series.push((labels, items));
        Ok(())
    }

    fn expect_line(&mut self, text: &str, line: usize) -> Result<(), String> {
        if let Some(rest) = text.strip_prefix("range vector from ") {
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            let [from, "to", to, "step", step] = words[..] else {
                return Err("expected: expect range vector from A to B step S".to_owned());
            };
            let time = |text: &str| duration_ms(text, line).map(TimestampMs);
            self.range_vector = Some((time(from)?, time(to)?, duration_ms(step, line)?));
            return Ok(());
        }
        if let Some(quoted) = text.strip_prefix("string") {
            self.text = Some(unquoted(quoted.trim())?);
            return Ok(());
        }
        let (kind, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let matcher = || text_match(rest.trim());
        match kind {
            "fail" if self.fail.is_some() => return Err("more than one expect fail".to_owned()),
            "fail" => self.fail = Some(matcher()?),
            "warn" => self.warnings.wanted.push(matcher()?),
            "info" => self.infos.wanted.push(matcher()?),
            "no_warn" => self.warnings.none = true,
            "no_info" => self.infos.none = true,
            "ordered" => self.ordered = true,
            _ => return Err(format!("unknown expectation {text:?}")),
        }
        Ok(())
    }

    /// What the lines must not say together.
    fn check(&self, when: When) -> Result<(), String> {
        for notes in [&self.warnings, &self.infos] {
            if notes.none && !notes.wanted.is_empty() {
                return Err("annotations are both wanted and forbidden".to_owned());
            }
        }
        let steps = match (when, self.range_vector) {
            (When::Range { start, end, step_ms }, None) => Some((start, end, step_ms)),
            (When::Instant(_), Some(range)) => Some(range),
            (When::Instant(_), None) => None,
            (When::Range { .. }, Some(_)) => {
                return Err("range vector is for instant queries only".to_owned());
            }
        };
        let Some((start, end, step_ms)) = steps else {
            return match self.series.iter().find(|(_, items)| items.len() != 1) {
                Some((labels, _)) => Err(format!("{labels} must have exactly one value")),
                None => Ok(()),
            };
        };
        if self.ordered || self.scalar.is_some() {
            return Err("a matrix is neither ordered nor a number".to_owned());
        }
        let most = usize::try_from((end.0 - start.0) / step_ms.max(1)).unwrap_or(0) + 1;
        match self.series.iter().find(|(_, items)| items.len() > most) {
            Some((labels, _)) => Err(format!("{labels} has items beyond the end of the range")),
            None => Ok(()),
        }
    }
}

fn text_match(text: &str) -> Result<TextMatch, String> {
    if text.is_empty() {
        Ok(TextMatch::Any)
    } else if let Some(exact) = text.strip_prefix("msg:") {
        Ok(TextMatch::Exact(exact.trim().to_owned()))
    } else if let Some(pattern) = text.strip_prefix("regex:") {
        pattern_match(pattern.trim())
    } else {
        Err(format!("expected msg: or regex:, got {text:?}"))
    }
}

fn pattern_match(pattern: &str) -> Result<TextMatch, String> {
    Regex::new(pattern).map(TextMatch::Pattern).map_err(|error| error.to_string())
}

fn literal(text: &str) -> Option<promql::ExprKind> {
    promql::parse(text, &promql::ParseOptions::all()).ok().map(|expr| expr.kind)
}

fn bare_number(text: &str) -> Option<f64> {
    match literal(text)? {
        promql::ExprKind::Number(number) if !number.is_duration => Some(number.value),
        _ => None,
    }
}

fn unquoted(text: &str) -> Result<String, String> {
    match literal(text) {
        Some(promql::ExprKind::String(string)) if !text.starts_with('\'') => Ok(string.lossy()),
        _ => Err(format!("expected a quoted string, got {text:?}")),
    }
}
