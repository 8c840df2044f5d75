//! HTML mode: what an action puts out is escaped for the place it stands in.
//!
//! Place in the flow: executor → **`html`** → output.
//!
//! The scanner follows the literal HTML of the template and knows whether an action stands in text,
//! in a tag, in an attribute (quoted or not, a URL or not), in a script or in a style sheet. This is
//! what Go's html/template does at parse time, for the contexts that messages use.
//!
//! Not here: a full HTML parser; broken HTML is followed as far as it goes.

use crate::builtin::query_escape;
use crate::json;
use crate::print::Sink;
use crate::value::Value;

/// What an unsafe value is replaced by, as in Go.
const UNSAFE: &str = "ZgotmplZ";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    Comment,
    /// Between `<` and the end of the tag's name.
    TagName,
    /// Inside a tag, between attributes.
    Tag,
    AttributeName,
    AfterName,
    BeforeValue,
    Value,
    /// Inside `<script>`, `<style>`, `<title>` or `<textarea>`.
    Raw,
}

/// What an attribute's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Meaning {
    #[default]
    Plain,
    Url,
    Script,
    Style,
}

/// Where in the HTML the output stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanner {
    state: State,
    tag: String,
    attribute: String,
    meaning: Meaning,
    /// `"`, `'` or a space for a value without quotes.
    quote: char,
    /// The value of the attribute so far holds something.
    url_begun: bool,
    /// The URL so far holds `?` or `#`.
    url_in_query: bool,
}

impl Scanner {
    /// Puts out literal text of the template and follows it. Comments are dropped.
    pub(crate) fn literal(&mut self, text: &str, sink: &mut Sink) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if self.state == State::Comment {
                let Some(end) = rest.find("-->") else { return };
                rest = &rest[end + 3..];
                self.state = State::Text;
                continue;
            }
            if self.state == State::Text && rest.starts_with("<!--") {
                self.state = State::Comment;
                rest = &rest[4..];
                continue;
            }
            if matches!(self.state, State::Text | State::Raw) {
                let end = rest[first.len_utf8()..].find('<').map(|at| at + first.len_utf8());
                let run = if first == '<' { 1 } else { end.unwrap_or(rest.len()) };
                if first == '<' {
                    self.open(rest);
                }
                sink.push(&rest[..run]);
                rest = &rest[run..];
                continue;
            }
            self.step(first);
            sink.push(&rest[..first.len_utf8()]);
            rest = &rest[first.len_utf8()..];
        }
    }

    /// A `<` in text.
    fn open(&mut self, rest: &str) {
        let after = &rest[1..];
        if self.state == State::Raw {
            let closes = after.strip_prefix('/').is_some_and(|name| {
                name.get(..self.tag.len()).is_some_and(|own| own.eq_ignore_ascii_case(&self.tag))
            });
            if !closes {
                return;
            }
        }
        let begins = after.trim_start_matches('/').starts_with(|c: char| c.is_ascii_alphabetic());
        if begins {
            self.state = State::TagName;
            self.tag.clear();
        }
    }

    fn step(&mut self, character: char) {
        match (self.state, character) {
            (State::TagName | State::Tag | State::AttributeName | State::AfterName, '>') => {
                self.close();
            }
            (State::BeforeValue, '>') => self.close(),
            (State::TagName, c) if c.is_whitespace() => self.state = State::Tag,
            (State::TagName, c) => self.tag.push(c.to_ascii_lowercase()),
            (State::Tag, c) if c.is_whitespace() || c == '/' => {}
            (State::Tag, c) => {
                self.attribute.clear();
                self.attribute.push(c.to_ascii_lowercase());
                self.state = State::AttributeName;
            }
            (State::AttributeName | State::AfterName, '=') => self.begin_value(),
            (State::AttributeName, c) if c.is_whitespace() => self.state = State::AfterName,
            (State::AttributeName, c) => self.attribute.push(c.to_ascii_lowercase()),
            (State::AfterName, c) if c.is_whitespace() => {}
            (State::AfterName, c) => {
                self.attribute.clear();
                self.attribute.push(c.to_ascii_lowercase());
                self.state = State::AttributeName;
            }
            (State::BeforeValue, c) if c.is_whitespace() => {}
            (State::BeforeValue, c @ ('"' | '\'')) => {
                self.quote = c;
                self.state = State::Value;
            }
            (State::BeforeValue, c) => {
                self.quote = ' ';
                self.state = State::Value;
                self.in_value(c);
            }
            (State::Value, '>') if self.quote == ' ' => self.close(),
            (State::Value, c) if self.quote == ' ' && c.is_whitespace() => self.state = State::Tag,
            (State::Value, c) if c == self.quote => self.state = State::Tag,
            (State::Value, c) => self.in_value(c),
            (State::Text | State::Comment | State::Raw, _) => {}
        }
    }

    fn in_value(&mut self, character: char) {
        self.url_begun = true;
        self.url_in_query |= matches!(character, '?' | '#');
    }

    fn begin_value(&mut self) {
        self.state = State::BeforeValue;
        self.url_begun = false;
        self.url_in_query = false;
        self.meaning = meaning_of(&self.attribute);
    }

    fn close(&mut self) {
        let raw = matches!(self.tag.as_str(), "script" | "style" | "title" | "textarea");
        self.state = if raw { State::Raw } else { State::Text };
    }

    /// Puts out a value, given with its text, escaped for this place.
    pub(crate) fn value(
        &mut self,
        value: &Value,
        text: &str,
        sink: &mut Sink,
    ) -> Result<(), String> {
        let safe_html = matches!(value, Value::SafeHtml(_));
        match self.state {
            State::Text if safe_html => sink.push(text),
            State::Text => escape(text, sink),
            State::Comment => {}
            State::Raw => match self.tag.as_str() {
                "script" => sink.push(&script_value(value, text)?),
                "style" => sink.push(&style_value(text)),
                _ => escape(&if safe_html { strip_tags(text) } else { text.to_owned() }, sink),
            },
            State::BeforeValue | State::Value => {
                if self.state == State::BeforeValue {
                    self.quote = ' ';
                    self.state = State::Value;
                }
                let inner = self.attribute_value(value, text)?;
                self.url_begun |= !text.is_empty();
                self.url_in_query |= text.contains(['?', '#']);
                if self.quote == ' ' { escape_unquoted(&inner, sink) } else { escape(&inner, sink) }
            }
            State::TagName | State::Tag | State::AttributeName | State::AfterName => {
                let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                let lower = text.to_ascii_lowercase();
                let harmless = plain && meaning_of(&lower) == Meaning::Plain;
                sink.push(if harmless { text } else { UNSAFE });
                if self.state == State::Tag {
                    self.attribute.clear();
                    self.state = State::AttributeName;
                }
                self.attribute.push_str(&lower);
            }
        }
        Ok(())
    }

    fn attribute_value(&self, value: &Value, text: &str) -> Result<String, String> {
        Ok(match self.meaning {
            Meaning::Plain if matches!(value, Value::SafeHtml(_)) => strip_tags(text),
            Meaning::Plain => text.to_owned(),
            Meaning::Script => script_value(value, text)?,
            Meaning::Style => style_value(text),
            Meaning::Url if self.url_in_query => match value {
                Value::SafeUrl(_) => normalize_url(text),
                _ => query_escape_part(text),
            },
            Meaning::Url => {
                let trusted = self.url_begun || matches!(value, Value::SafeUrl(_));
                if trusted || has_safe_scheme(text) {
                    normalize_url(text)
                } else {
                    format!("#{UNSAFE}")
                }
            }
        })
    }
}

fn meaning_of(attribute: &str) -> Meaning {
    match attribute {
        "style" => Meaning::Style,
        "href" | "src" | "action" | "formaction" | "background" | "cite" | "poster" | "data"
        | "longdesc" | "manifest" | "profile" | "usemap" | "codebase" | "classid" | "archive"
        | "icon" | "xmlns" => Meaning::Url,
        _ if attribute.starts_with("on") => Meaning::Script,
        _ if attribute.contains("src")
            || attribute.contains("uri")
            || attribute.contains("url") =>
        {
            Meaning::Url
        }
        _ => Meaning::Plain,
    }
}

fn escape(text: &str, sink: &mut Sink) {
    escape_with(text, sink, false);
}

fn escape_unquoted(text: &str, sink: &mut Sink) {
    if text.is_empty() {
        // An empty value without quotes would make the next attribute its value.
        return sink.push(UNSAFE);
    }
    escape_with(text, sink, true);
}

fn escape_with(text: &str, sink: &mut Sink, unquoted: bool) {
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '\0' => sink.push("\u{fffd}"),
            '"' => sink.push("&#34;"),
            '\'' => sink.push("&#39;"),
            '&' => sink.push("&amp;"),
            '+' => sink.push("&#43;"),
            '<' => sink.push("&lt;"),
            '>' => sink.push("&gt;"),
            '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '=' | '`' if unquoted => {
                sink.push(&format!("&#{};", character as u32));
            }
            _ => sink.push(character.encode_utf8(&mut buffer)),
        }
    }
}

/// Only web and mail links, and links without a scheme, pass.
fn has_safe_scheme(url: &str) -> bool {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => {
            ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe))
        }
        _ => true,
    }
}

/// Escapes what can't stand in a URL and keeps what already is escaped.
fn normalize_url(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    let bytes = url.as_bytes();
    for (index, &byte) in bytes.iter().enumerate() {
        let keeps = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
            b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'#' | b'$' | b'&' | b'*' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?'
            | b'@' | b'[' | b']' => true,
            b'%' => {
                let hex = bytes.get(index + 1..index + 3);
                hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            }
            _ => false,
        };
        if keeps {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}

/// One part of a query: everything but unreserved characters is escaped, a space as `%20`.
fn query_escape_part(text: &str) -> String {
    let escaped = query_escape(text).replace('+', "%20");
    let mut out = String::with_capacity(escaped.len());
    let mut lower_left = 0;
    for character in escaped.chars() {
        let shown = if lower_left > 0 { character.to_ascii_lowercase() } else { character };
        lower_left = if character == '%' { 2 } else { lower_left.max(1) - 1 };
        out.push(shown);
    }
    out
}

fn strip_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if !inside => out.push(character),
            _ => {}
        }
    }
    out
}

/// A value in a script is its JSON, made harmless for HTML.
fn script_value(value: &Value, text: &str) -> Result<String, String> {
    let encoded = match value {
        Value::SafeHtml(_) | Value::SafeUrl(_) => json::encode(&Value::text(text), usize::MAX)?,
        _ => json::encode(value, text.len().saturating_mul(8).saturating_add(4096))?,
    };
    let padded = encoded.starts_with(|c: char| c.is_ascii_alphanumeric());
    Ok(if padded { format!(" {encoded} ") } else { encoded })
}

/// Only plain words, numbers and colours pass into a style sheet.
fn style_value(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || " #%.,-_!".contains(c);
    let lower = text.to_ascii_lowercase();
    let bad_word = lower.contains("expression") || lower.contains("mozbinding");
    if text.chars().all(harmless) && !bad_word { text.to_owned() } else { UNSAFE.to_owned() }
}
