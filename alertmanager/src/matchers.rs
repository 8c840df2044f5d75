//! Matchers as text: `team="db", env=~"prod|stage"`.
//!
//! Place in the flow: routes, inhibition rules, silences and API filters → **`parse`** →
//! [`model::Matcher`].
//!
//! The field has two grammars. The UTF-8 one is tried first; what it refuses is read by the classic
//! one (before release 0.27), and where both read a text differently the classic reading wins. Both
//! cases are told as a warning, with the text to write instead.
//!
//! Not here: matching (model).

use model::{MatchOp, Matcher};

use classic::parse_classic;
use utf8::parse_utf8;

mod classic;
mod utf8;

/// Matchers and what the operator should know about how they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// In the order of the text.
    pub matchers: Vec<Matcher>,
    /// Set when only the classic grammar read the text, or read it in another way.
    pub warning: Option<String>,
}

/// Name, operator and value before compilation.
pub(crate) type RawMatcher = (String, MatchOp, String);

/// Reads a list of matchers. The error is the UTF-8 grammar's, since that is the one to write in.
pub fn parse(text: &str) -> Result<Parsed, String> {
    let modern = parse_utf8(text);
    let classic = parse_classic(text);
    let (raw, warning) = match (modern, classic) {
        (Ok(modern), Ok(classic)) if modern == classic => (modern, None),
        (Ok(_), Ok(classic)) => {
            let advice = written(&classic);
            (classic, Some(format!("{text:?} reads in two ways; write {advice}")))
        }
        (Ok(modern), Err(_)) => (modern, None),
        (Err(error), Ok(classic)) => {
            let advice = written(&classic);
            (classic, Some(format!("{text:?} is in the old form ({error}); write {advice}")))
        }
        (Err(error), Err(_)) => return Err(error),
    };
    Ok(Parsed { matchers: compile(raw)?, warning })
}

fn compile(raw: Vec<RawMatcher>) -> Result<Vec<Matcher>, String> {
    raw.iter()
        .map(|(name, op, value)| {
            Matcher::new(name, *op, value)
                .map_err(|error| format!("regular expression {value:?}: {error}"))
        })
        .collect()
}

fn written(raw: &[RawMatcher]) -> String {
    let parts: Vec<String> = raw
        .iter()
        .map(|(name, op, value)| format!("{}{}{}", quoted_name(name), op.sign(), go_quote(value)))
        .collect();
    parts.join(",")
}

fn quoted_name(name: &str) -> String {
    if model::labels::is_label_name(name) { name.to_owned() } else { go_quote(name) }
}

/// Matchers in their normal form `{a="b",c=~"d"}`, sorted by name as group keys have it.
pub fn group_key_form(matchers: &[Matcher]) -> String {
    let mut sorted: Vec<RawMatcher> = matchers
        .iter()
        .map(|matcher| (matcher.name().to_owned(), matcher.op(), matcher.value().to_owned()))
        .collect();
    sorted.sort_by(|a, b| (&a.0, &a.2, a.1).cmp(&(&b.0, &b.2, b.1)));
    format!("{{{}}}", written(&sorted))
}

/// A text in double quotes with Go's escapes.
pub fn go_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() && u32::from(control) < 0x80 => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(control)));
            }
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
