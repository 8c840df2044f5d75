//! Regular expressions as the field writes them: RE2 in Go's form, anchored, with Go's words for what
//! is wrong with them.
//!
//! Place in the flow: matchers, relabelling, `label_replace` → **`re2`** → the regex library.
//!
//! The dialects differ in ones that real rules use: `{name}` is plain text in RE2, `[` inside a class
//! is a plain character, `\w` is ASCII only, `\Q…\E` quotes, a repetition is not repeated. So an
//! expression is read here as Go reads it, and written anew for the library.
//!
//! Not here: what is done with an expression (`matcher`, collector, query).

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

/// Escapes and classes.
mod class;
/// `$1` and `${name}` in a replacement.
mod expand;
/// Reading an expression and writing it anew.
mod parser;

pub use expand::Found;
use parser::{Flags, Parser, Translated};

/// What an expression is refused for, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {what}: `{part}`")]
pub struct Error {
    what: Cow<'static, str>,
    part: String,
}

impl Error {
    pub(crate) fn new(what: &'static str, part: &str) -> Error {
        Error { what: Cow::Borrowed(what), part: part.to_owned() }
    }

    /// What is wrong with an expression that is no text.
    pub fn no_text(bytes: &[u8]) -> Error {
        let valid_bytes =
            std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        Error::new("invalid UTF-8", &String::from_utf8_lossy(&bytes[valid_bytes..]))
    }

    /// What the library has against an expression that Go takes.
    fn of_library(error: &regex::Error, expression: &str) -> Error {
        let what = match error {
            regex::Error::CompiledTooBig(_) => Cow::Borrowed("expression too large"),
            _ => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or("").trim_start_matches("error: ");
                match reason.contains("nested") {
                    true => Cow::Borrowed("expression nests too deeply"),
                    false => Cow::Owned(reason.to_owned()),
                }
            }
        };
        Error { what, part: expression.to_owned() }
    }
}

/// Largest compiled form of one regular expression: one must not eat the memory budget of a query.
const COMPILED_BYTES_MAX: usize = 10 * 1024 * 1024;
/// How deep an expression may nest. Go allows 1000; the library walks down by the stack, and this is
/// what a small one holds.
const DEPTH_MAX: u32 = 250;

/// A compiled expression, anchored at both ends, `.` matching newlines.
#[derive(Debug, Clone)]
pub struct Expression {
    regex: Regex,
    names: Vec<Option<String>>, // Of its groups, the first one behind the whole match.
}

impl Expression {
    /// Compiles an expression that is right by itself, as that of a matcher is.
    pub fn anchored(text: &str) -> Result<Expression, Error> {
        let flags = Flags { dot_all: true, ..Flags::default() };
        let Translated { text: own, names } = Parser::new(text, flags).read()?;
        compile(&format!("^(?s:{own})$"), names, text)
    }

    /// Compiles an expression that is right inside of the anchoring frame, as those of relabelling
    /// and `label_replace` are: `a)(b` is.
    pub fn framed(text: &str) -> Result<Expression, Error> {
        let framed = format!("^(?s:{text})$");
        let Translated { text: own, names } = Parser::new(&framed, Flags::default()).read()?;
        compile(&own, names, &framed)
    }

    /// Whether a text matches as a whole.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What the groups hold, if a text matches as a whole.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Found<'_, 't>> {
        Some(Found { captures: self.regex.captures(text)?, names: &self.names })
    }
}

fn compile(own: &str, names: Vec<Option<String>>, text: &str) -> Result<Expression, Error> {
    let mut builder = RegexBuilder::new(own);
    let regex = builder.size_limit(COMPILED_BYTES_MAX).nest_limit(DEPTH_MAX).build();
    let regex = regex.map_err(|error| Error::of_library(&error, text))?;
    Ok(Expression { regex, names })
}

#[cfg(test)]
mod tests;
