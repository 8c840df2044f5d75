//! The classic grammar of matchers, as releases before 0.27 had it.
//!
//! Place in the flow: [`super::parse`] → **here**, when the UTF-8 grammar refuses a text or to see
//! whether both agree.
//!
//! A value may be empty and may hold braces, single quotes and equal signs; only an unescaped double
//! quote inside it is refused.
//!
//! Not here: the grammar that new texts are written in (`utf8`).

use model::MatchOp;

use super::RawMatcher;

/// Splits at commas outside quotes and reads each part.
pub(super) fn parse_classic(text: &str) -> Result<Vec<RawMatcher>, String> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    split(inner).iter().map(|part| parse_one(part)).collect()
}

fn split(text: &str) -> Vec<String> {
    let (mut quoted, mut escaped) = (false, false);
    let mut part = String::new();
    let mut parts = Vec::new();
    for letter in text.chars() {
        match letter {
            ',' if !quoted => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        part.push(letter);
    }
    if !part.trim().is_empty() {
        parts.push(part);
    }
    parts
}

fn parse_one(text: &str) -> Result<RawMatcher, String> {
    let bad = || format!("bad matcher format: {text}");
    let rest = text.trim_start();
    let name_bytes = rest
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
        .count();
    let name = &rest[..name_bytes];
    if !model::labels::is_metric_name(name) {
        return Err(bad());
    }
    let rest = rest[name_bytes..].trim_start();
    let operators = [
        ("=~", MatchOp::Regex),
        ("!=", MatchOp::NotEqual),
        ("!~", MatchOp::NotRegex),
        ("=", MatchOp::Equal),
    ];
    let (op, raw) = operators
        .iter()
        .find_map(|(sign, op)| rest.strip_prefix(sign).map(|raw| (*op, raw.trim())))
        .ok_or_else(bad)?;
    Ok((name.to_owned(), op, value(raw)?))
}

fn value(raw: &str) -> Result<String, String> {
    let stray = || format!("matcher value contains unescaped double quote: {raw}");
    let (inner, mut awaits_quote) = match raw.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (raw, false),
    };
    let mut value = String::new();
    let mut letters = inner.char_indices().peekable();
    while let Some((_, letter)) = letters.next() {
        let is_last = letters.peek().is_none();
        match letter {
            '\\' if !is_last => match letters.next().map(|(_, next)| next) {
                Some('n') => value.push('\n'),
                Some(next @ ('"' | '\\')) => value.push(next),
                Some(next) => value.extend(['\\', next]),
                None => {}
            },
            '"' if awaits_quote && is_last => awaits_quote = false,
            '"' => return Err(stray()),
            plain => value.push(plain),
        }
    }
    if awaits_quote { Err(stray()) } else { Ok(value) }
}
