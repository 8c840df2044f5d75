//! Cuts a template's text into tokens.
//!
//! Place in the flow: text → **`lexer`** → parser.
//!
//! Trim markers are applied here: the texts that come out are already trimmed. Comments vanish.
//!
//! Not here: grammar (`parser`).

use std::sync::Arc;

use crate::value::Value;

/// A token and the line it starts on.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Text between actions.
    Text(Arc<str>),
    LeftDelimiter,
    RightDelimiter,
    Space,
    /// A name: a function or a keyword.
    Name(Arc<str>),
    /// `.name`
    Field(Arc<str>),
    /// `$name`, with the dollar.
    Variable(Arc<str>),
    Dot,
    /// A number, a character or a string.
    Literal(Value),
    Pipe,
    Assign,
    Declare,
    Comma,
    LeftParenthesis,
    RightParenthesis,
}

impl Kind {
    /// What error texts call it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Kind::Text(_) => "text".to_owned(),
            Kind::LeftDelimiter => "\"{{\"".to_owned(),
            Kind::RightDelimiter => "\"}}\"".to_owned(),
            Kind::Space => "space".to_owned(),
            Kind::Name(name) => format!("<{name}>"),
            Kind::Field(name) => format!("<.{name}>"),
            Kind::Variable(name) => format!("<{name}>"),
            Kind::Dot => "<.>".to_owned(),
            Kind::Literal(Value::Text(text)) => format!("{text:?}"),
            Kind::Literal(_) => "a number".to_owned(),
            Kind::Pipe => "\"|\"".to_owned(),
            Kind::Assign => "\"=\"".to_owned(),
            Kind::Declare => "\":=\"".to_owned(),
            Kind::Comma => "\",\"".to_owned(),
            Kind::LeftParenthesis => "\"(\"".to_owned(),
            Kind::RightParenthesis => "\")\"".to_owned(),
        }
    }
}

/// Line and message.
pub(crate) type LexError = (usize, String);

/// Cuts a text.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, LexError> {
    let mut lexer = Lexer { text, position: 0, line: 1, tokens: Vec::new() };
    let mut trim_next = false;
    loop {
        let rest = lexer.rest();
        let Some(start) = rest.find("{{") else {
            lexer.add_text(rest, trim_next, false);
            return Ok(lexer.tokens);
        };
        let trims_before = has_left_trim(&rest[start + 2..]);
        lexer.add_text(&rest[..start], trim_next, trims_before);
        lexer.advance(start);
        let opening_line = lexer.line;
        lexer.advance(if trims_before { 3 } else { 2 });
        let spaces = if trims_before { leading_space(lexer.rest()) } else { 0 };
        if lexer.rest()[spaces..].starts_with("/*") {
            lexer.advance(spaces);
            trim_next = lexer.comment(opening_line)?;
            continue;
        }
        lexer.tokens.push(Token { kind: Kind::LeftDelimiter, line: opening_line });
        trim_next = lexer.action(opening_line)?;
    }
}

fn has_left_trim(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|after| after.starts_with(is_space))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

fn is_name_character(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn advance(&mut self, count_bytes: usize) {
        let passed = &self.text[self.position..self.position + count_bytes];
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.position += count_bytes;
    }

    fn add_text(&mut self, text: &str, trim_start: bool, trim_end: bool) {
        let mut kept = text;
        let mut line = self.line;
        if trim_start {
            kept = kept.trim_start_matches(is_space);
            let cut = &text[..text.len() - kept.len()];
            line += cut.bytes().filter(|byte| *byte == b'\n').count();
        }
        if trim_end {
            kept = kept.trim_end_matches(is_space);
        }
        if !kept.is_empty() {
            self.tokens.push(Token { kind: Kind::Text(kept.into()), line });
        }
    }

    /// Skips a comment; tells whether the text after it is to be trimmed.
    fn comment(&mut self, opening_line: usize) -> Result<bool, LexError> {
        let Some(end) = self.rest().find("*/") else {
            return Err((opening_line, "unclosed comment".to_owned()));
        };
        self.advance(end + 2);
        let rest = self.rest();
        let trims = leading_space(rest) > 0 && rest[leading_space(rest)..].starts_with("-}}");
        if trims {
            self.advance(leading_space(rest) + 3);
        } else if rest.starts_with("}}") {
            self.advance(2);
        } else {
            return Err((self.line, "comment ends before closing delimiter".to_owned()));
        }
        Ok(trims)
    }

    /// Cuts up to the closing delimiter; tells whether the text after it is to be trimmed.
    fn action(&mut self, opening_line: usize) -> Result<bool, LexError> {
        loop {
            let rest = self.rest();
            let spaces = leading_space(rest);
            if spaces > 0 && rest[spaces..].starts_with("-}}") {
                self.push(Kind::RightDelimiter, spaces + 3);
                return Ok(true);
            }
            if rest.starts_with("}}") {
                self.push(Kind::RightDelimiter, 2);
                return Ok(false);
            }
            if spaces > 0 {
                self.push(Kind::Space, spaces);
                continue;
            }
            let Some(first) = rest.chars().next() else {
                return Err((opening_line, "unclosed action".to_owned()));
            };
            self.token(first, opening_line)?;
        }
    }

    fn push(&mut self, kind: Kind, count_bytes: usize) {
        self.tokens.push(Token { kind, line: self.line });
        self.advance(count_bytes);
    }

    fn token(&mut self, first: char, opening_line: usize) -> Result<(), LexError> {
        let rest = self.rest();
        let digit_follows = |at: usize| rest[at..].starts_with(|c: char| c.is_ascii_digit());
        match first {
            '|' => self.push(Kind::Pipe, 1),
            ',' => self.push(Kind::Comma, 1),
            '(' => self.push(Kind::LeftParenthesis, 1),
            ')' => self.push(Kind::RightParenthesis, 1),
            '=' => self.push(Kind::Assign, 1),
            ':' if rest.starts_with(":=") => self.push(Kind::Declare, 2),
            ':' => return Err((self.line, "expected :=".to_owned())),
            '"' => self.quoted(opening_line)?,
            '`' => self.raw_quoted(opening_line)?,
            '\'' => self.character()?,
            '$' => {
                let end = 1 + name_end(&rest[1..]);
                self.named(Kind::Variable(rest[..end].into()), end)?;
            }
            '.' if digit_follows(1) => self.number()?,
            '.' => {
                let end = 1 + name_end(&rest[1..]);
                let kind = if end == 1 { Kind::Dot } else { Kind::Field(rest[1..end].into()) };
                self.named(kind, end)?;
            }
            '+' | '-' | '0'..='9' => self.number()?,
            _ if is_name_character(first) => {
                let end = name_end(rest);
                let kind = match &rest[..end] {
                    "true" => Kind::Literal(Value::Bool(true)),
                    "false" => Kind::Literal(Value::Bool(false)),
                    name => Kind::Name(name.into()),
                };
                self.named(kind, end)?;
            }
            _ => {
                let message = format!("unrecognized character in action: {first:?}");
                return Err((self.line, message));
            }
        }
        Ok(())
    }

    /// A name must end where a name can end.
    fn named(&mut self, kind: Kind, count_bytes: usize) -> Result<(), LexError> {
        let after = &self.rest()[count_bytes..];
        let ends = match after.chars().next() {
            None => true,
            Some(next) => is_space(next) || ".,|:=)(".contains(next) || after.starts_with("}}"),
        };
        if !ends {
            let bad = after.chars().next().unwrap_or(' ');
            return Err((self.line, format!("bad character {bad:?}")));
        }
        self.push(kind, count_bytes);
        Ok(())
    }

    fn number(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let unsigned = rest.trim_start_matches(['+', '-']);
        let is_hex = unsigned.starts_with("0x") || unsigned.starts_with("0X");
        let mut end = 0;
        let mut previous = ' ';
        for (index, character) in rest.char_indices() {
            let sign = matches!(character, '+' | '-');
            let exponent = if is_hex { "pP" } else { "eE" };
            if sign && index > 0 && !exponent.contains(previous) {
                break;
            }
            if !sign && !is_name_character(character) && character != '.' {
                break;
            }
            previous = character;
            end = index + character.len_utf8();
        }
        let text = &rest[..end];
        match parse_number(text) {
            Some(value) => self.push(Kind::Literal(value), end),
            None => return Err((self.line, format!("bad number syntax: {text:?}"))),
        }
        Ok(())
    }

    fn quoted(&mut self, opening_line: usize) -> Result<(), LexError> {
        let rest = self.rest();
        let mut escaped = false;
        for (index, byte) in rest.bytes().enumerate().skip(1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'\n' => break,
                b'"' => {
                    let Some(bytes) = unescape(&rest[1..index]) else {
                        return Err((self.line, format!("invalid syntax: {}", &rest[..=index])));
                    };
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.push(Kind::Literal(Value::text(text)), index + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((opening_line, "unterminated quoted string".to_owned()))
    }

    fn raw_quoted(&mut self, opening_line: usize) -> Result<(), LexError> {
        let rest = self.rest();
        let Some(end) = rest[1..].find('`') else {
            return Err((opening_line, "unterminated raw quoted string".to_owned()));
        };
        let text = rest[1..=end].replace('\r', "");
        self.push(Kind::Literal(Value::text(text)), end + 2);
        Ok(())
    }

    fn character(&mut self) -> Result<(), LexError> {
        let rest = self.rest();
        let after_escape = if rest[1..].starts_with('\\') { 3 } else { 1 };
        let end = rest
            .get(after_escape..)
            .and_then(|tail| tail.find('\''))
            .map(|index| index + after_escape);
        let body = end.map_or("", |end| &rest[1..end]);
        let code = match unescape(body) {
            Some(bytes) if body.starts_with("\\x") && bytes.len() == 1 => Some(i64::from(bytes[0])),
            Some(bytes) => single_character(&bytes),
            None => None,
        };
        match (code, end) {
            (Some(code), Some(end)) => {
                self.push(Kind::Literal(Value::Int(code)), end + 1);
                Ok(())
            }
            _ => Err((self.line, "unterminated or malformed character constant".to_owned())),
        }
    }
}

fn single_character(bytes: &[u8]) -> Option<i64> {
    let mut characters = std::str::from_utf8(bytes).ok()?.chars();
    let first = characters.next()?;
    characters.next().is_none().then_some(i64::from(u32::from(first)))
}

fn name_end(text: &str) -> usize {
    text.find(|character| !is_name_character(character)).unwrap_or(text.len())
}

/// Reads a number as Go writes it: `12`, `-1_000`, `0x1F`, `0b11`, `0o17`, `1.5`, `1e3`.
fn parse_number(text: &str) -> Option<Value> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = unsigned.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let based = |prefix: &str, base: u32| -> Option<Value> {
        let magnitude = i128::from_str_radix(lower.strip_prefix(prefix)?, base).ok()?;
        i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Value::Int)
    };
    for (prefix, base) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if lower.starts_with(prefix) {
            return based(prefix, base);
        }
    }
    if lower.contains(['.', 'e']) {
        let plain =
            lower.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'+' | b'-'));
        let number: f64 = lower.parse().ok().filter(|number: &f64| plain && number.is_finite())?;
        return Some(Value::Float(if negative { -number } else { number }));
    }
    if !lower.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let base = if lower.len() > 1 && lower.starts_with('0') { 8 } else { 10 };
    based("", base)
}

/// Resolves Go's escapes; `None` when one is malformed.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = characters.next()?;
        let mut hex = |count: usize| -> Option<u32> {
            let mut number = 0;
            for _ in 0..count {
                number = number * 16 + characters.next()?.to_digit(16)?;
            }
            Some(number)
        };
        match escape {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' | '\'' | '"' => bytes.push(u8::try_from(escape).ok()?),
            'x' => bytes.push(u8::try_from(hex(2)?).ok()?),
            'u' | 'U' => {
                let code = hex(if escape == 'u' { 4 } else { 8 })?;
                let decoded = char::from_u32(code)?;
                bytes.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
            }
            '0'..='7' => {
                let mut number = escape.to_digit(8)?;
                for _ in 0..2 {
                    number = number * 8 + characters.next()?.to_digit(8)?;
                }
                bytes.push(u8::try_from(number).ok()?);
            }
            _ => return None,
        }
    }
    Some(bytes)
}
