//! The notation of test data: a metric and its samples on one line, `up{job="a"} 1+2x5 _ stale`.
//!
//! Place in the flow: rule unit tests and the query test language → **`series`** → batches.
//!
//! Invariant: one line expands to at most [`ITEMS_MAX`] items, whatever it says.
//!
//! Not here: times. Item *i* stands for the *i*-th step of whoever loads the line.

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, sample};

use crate::Problem;
use crate::ast::Span;
use crate::lexer::number_length;
use crate::literal;
use crate::parser::parse_metric_selector;

/// Native histograms in braces.
mod histogram;

pub use histogram::{Hint, HistogramLiteral};

/// Most items of one line. A day at one second is 86,400; this leaves room and bounds memory.
pub const ITEMS_MAX: usize = 1_000_000;

/// One step of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// No sample.
    Missing,
    /// A number; the stale marker is one of them, with its own bits.
    Float(f64),
    /// A native histogram.
    Histogram(Box<HistogramLiteral>),
}

/// Reads a whole line: the metric, then its items.
pub fn parse_series_line(text: &str) -> Result<(Labels, Vec<Item>), Problem> {
    let (labels, end_byte) = parse_metric(text)?;
    if text[end_byte..].starts_with(|found: char| !found.is_ascii_whitespace()) {
        return Err(problem(end_byte, text.len(), "a space must follow the metric"));
    }
    let items = Items { text, position_byte: end_byte }.all()?;
    Ok((labels, items))
}

/// Reads only the items, separated by spaces.
pub fn parse_items(text: &str) -> Result<Vec<Item>, Problem> {
    Items { text, position_byte: 0 }.all()
}

/// Reads the metric at the start of a text and says at which byte it ends.
pub fn parse_metric(text: &str) -> Result<(Labels, usize), Problem> {
    let (selector, span) = parse_metric_selector(text)?;
    let mut builder = LabelsBuilder::new();
    for matcher in &selector.matchers {
        if matcher.op() != MatchOp::Equal {
            return Err(Problem::at(span, "only = is allowed between label and value"));
        }
        if matcher.name() == METRIC_NAME && !builder.get(METRIC_NAME).is_empty() {
            return Err(Problem::at(span, "metric name must not be set twice"));
        }
        builder.set(matcher.name(), matcher.value());
    }
    Ok((builder.build(), span.end_byte))
}

/// Reads start-timestamp items: offsets from the sample's own time in milliseconds, `_` for none.
pub fn parse_start_items(text: &str) -> Result<Vec<Option<i64>>, Problem> {
    let mut found = Vec::new();
    for (start_byte, word) in words(text) {
        let bad = |message: &str| problem(start_byte, start_byte + word.len(), message);
        let (value, repeat) = split_repeat(word).map_err(|message| bad(&message))?;
        if value == "_" {
            let count = repeat.unwrap_or(1);
            found.extend(std::iter::repeat_n(None, count.min(ITEMS_MAX + 1)));
        } else {
            let sign_at = value[1..].find(['+', '-']).map_or(value.len(), |index| index + 1);
            let (first, increment) = value.split_at(sign_at);
            let first = signed_duration_ms(first).ok_or_else(|| bad("not a duration"))?;
            let increment = match increment {
                "" => 0,
                text => signed_duration_ms(text).ok_or_else(|| bad("not a duration"))?,
            };
            let count = repeat.map_or(1, |count| count.saturating_add(1)).min(ITEMS_MAX + 1);
            let value_at = |index: usize| {
                let index = i64::try_from(index).ok()?;
                increment.checked_mul(index)?.checked_add(first)
            };
            for index in 0..count {
                let value = value_at(index).ok_or_else(|| bad("duration out of range"))?;
                found.push(Some(value));
            }
        }
        if found.len() > ITEMS_MAX {
            return Err(bad(&too_many()));
        }
    }
    Ok(found)
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = text.as_ptr() as usize;
    text.split_ascii_whitespace().map(move |word| (word.as_ptr() as usize - base, word))
}

fn split_repeat(word: &str) -> Result<(&str, Option<usize>), String> {
    match word.split_once('x') {
        None => Ok((word, None)),
        Some(("", _)) => Err("a value must stand before x".to_owned()),
        Some((value, count)) => Ok((value, Some(repeat_count(count)?))),
    }
}

fn signed_duration_ms(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let ms = i64::try_from(model::duration::parse_duration_ms(digits)?).ok()?;
    Some(if negative { -ms } else { ms })
}

fn repeat_count(text: &str) -> Result<usize, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<usize>() {
        Ok(count) if is_number && count <= ITEMS_MAX => Ok(count),
        Ok(_) if is_number => Err(too_many()),
        _ => Err(format!("expected a repeat count after x, got {text:?}")),
    }
}

fn too_many() -> String {
    format!("more than {ITEMS_MAX} items on one line")
}

fn problem(start_byte: usize, end_byte: usize, message: &str) -> Problem {
    Problem::at(Span::new(start_byte, end_byte), message)
}

/// Walks over the items of a text.
struct Items<'a> {
    text: &'a str,
    position_byte: usize,
}

impl Items<'_> {
    fn all(mut self) -> Result<Vec<Item>, Problem> {
        let mut items = Vec::new();
        loop {
            let rest = &self.text[self.position_byte..];
            self.position_byte += rest.len() - rest.trim_ascii_start().len();
            let start_byte = self.position_byte;
            if start_byte == self.text.len() {
                return Ok(items);
            }
            self.item(&mut items)
                .map_err(|message| problem(start_byte, self.position_byte, &message))?;
            let following = self.text[self.position_byte..].chars().next();
            if let Some(found) = following.filter(|found| !found.is_ascii_whitespace()) {
                let message = format!("unexpected {found:?} in series values");
                let end_byte = self.position_byte + found.len_utf8();
                return Err(problem(self.position_byte, end_byte, &message));
            }
            if items.len() > ITEMS_MAX {
                return Err(problem(start_byte, self.position_byte, &too_many()));
            }
        }
    }

    fn item(&mut self, items: &mut Vec<Item>) -> Result<(), String> {
        let rest = &self.text[self.position_byte..];
        if rest.starts_with("{{") {
            return self.histogram_run(items);
        }
        if let Some(after) = rest.strip_prefix('_') {
            self.position_byte = self.text.len() - after.len();
            let count = self.repeat()?.unwrap_or(1);
            items.extend(std::iter::repeat_n(Item::Missing, count));
            return Ok(());
        }
        if let Some(after) = rest.strip_prefix("stale") {
            self.position_byte = self.text.len() - after.len();
            let count = self.repeat()?.map_or(1, |count| count + 1);
            items.extend(std::iter::repeat_n(Item::Float(sample::stale_nan()), count));
            return Ok(());
        }
        let mut value = self.number()?;
        let increment = match self.text.as_bytes().get(self.position_byte) {
            Some(b'+' | b'-') => Some(self.number()?),
            _ => None,
        };
        let count = self.repeat()?;
        if increment.is_some() && count.is_none() {
            return Err("expected a repeat count (xN) after the increment".to_owned());
        }
        for _ in 0..count.map_or(1, |count| count + 1) {
            items.push(Item::Float(value));
            value += increment.unwrap_or(0.0);
        }
        Ok(())
    }

    /// A number with an optional sign. Hexadecimal is not available: `x` repeats.
    fn number(&mut self) -> Result<f64, String> {
        let bytes = &self.text.as_bytes()[self.position_byte..];
        let sign_length = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
        let digits = &bytes[sign_length..];
        let is_word = |word: &[u8]| {
            digits.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
        };
        let length = match is_word(b"inf") || is_word(b"nan") {
            true => 3,
            false => number_length(digits, false),
        };
        if length == 0 {
            return Err("expected a number, _, stale or {{…}} in series values".to_owned());
        }
        let start_byte = self.position_byte + sign_length;
        self.position_byte = start_byte + length;
        let value = literal::number(&self.text[start_byte..self.position_byte])?;
        Ok(if bytes[0] == b'-' { -value } else { value })
    }

    /// `xN`, when it comes next.
    fn repeat(&mut self) -> Result<Option<usize>, String> {
        let rest = &self.text[self.position_byte..];
        let Some(digits) = rest.strip_prefix('x') else { return Ok(None) };
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        self.position_byte += 1 + length;
        repeat_count(&digits[..length]).map(Some)
    }

    fn histogram_run(&mut self, items: &mut Vec<Item>) -> Result<(), String> {
        let mut value = self.histogram()?;
        let sign = match self.text.as_bytes().get(self.position_byte) {
            Some(b'+') => Some(1.0),
            Some(b'-') => Some(-1.0),
            _ => None,
        };
        let mut increment = None;
        if let Some(sign) = sign {
            self.position_byte += 1;
            let literal = self.histogram()?;
            // Only the hint of the last literal decides whether a hint counts as written.
            value.hint = literal.hint;
            increment = Some((literal, sign));
        }
        let count = self.repeat()?;
        if increment.is_some() && count.is_none() {
            return Err("expected a repeat count (xN) after the increment".to_owned());
        }
        let count = count.map_or(1, |count| count + 1);
        for index in 0..count {
            items.push(Item::Histogram(Box::new(value.clone())));
            if let Some((literal, sign)) = &increment
                && index + 1 < count
            {
                value = value.plus(literal, *sign)?;
            }
        }
        Ok(())
    }

    fn histogram(&mut self) -> Result<HistogramLiteral, String> {
        let rest = &self.text[self.position_byte..];
        let inside = rest.strip_prefix("{{").ok_or("expected a histogram {{…}}")?;
        let (inside, _) = inside.split_once("}}").ok_or("unclosed histogram: }} is missing")?;
        self.position_byte += inside.len() + 4;
        HistogramLiteral::parse(inside)
    }
}

#[cfg(test)]
mod tests;
