//! The UTF-8 grammar of matchers: name, operator, value, each bare or in double quotes.
//!
//! Place in the flow: [`super::parse`] → **here**.
//!
//! Errors carry `start:end` columns, counted in characters, as the field's tools show them.
//!
//! Not here: the older grammar (`classic`), regular expressions (model).

use model::MatchOp;

use super::RawMatcher;

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    OpenBrace,
    CloseBrace,
    Comma,
    Op(MatchOp),
    Bare,
    Quoted,
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    text: String,
    start: usize,
    end: usize,
}

impl Token {
    fn at(&self, what: &str) -> String {
        format!("{}:{}: unexpected {}: {what}", self.start, self.end, self.text)
    }
}

/// Reads a whole text; empty and `{}` are the empty list.
pub(super) fn parse_utf8(text: &str) -> Result<Vec<RawMatcher>, String> {
    let mut parser = Parser { letters: text.chars().collect(), column: 0 };
    parser.list()
}

struct Parser {
    letters: Vec<char>,
    column: usize,
}

fn is_reserved(letter: char) -> bool {
    letter.is_whitespace() || "{}!=~,\\\"'`".contains(letter)
}

impl Parser {
    fn list(&mut self) -> Result<Vec<RawMatcher>, String> {
        let mut matchers = Vec::new();
        let Some(first) = self.next("")? else { return Ok(matchers) };
        let braced = first.kind == Kind::OpenBrace;
        let mut token = if braced { self.next("expected close brace")? } else { Some(first) };
        loop {
            match token {
                None if braced => return Err(self.end_of_input("expected close brace")),
                None => return Ok(matchers),
                Some(token) if token.kind == Kind::CloseBrace => {
                    return self.closed(&token, braced).map(|()| matchers);
                }
                Some(token) => matchers.push(self.matcher(&token)?),
            }
            token = match self.next("expected a comma or close brace")? {
                Some(comma) if comma.kind == Kind::Comma => self.next("expected label name")?,
                Some(close) if close.kind == Kind::CloseBrace => Some(close),
                Some(other) => return Err(other.at("expected a comma or close brace")),
                None => None,
            };
        }
    }

    fn closed(&mut self, brace: &Token, braced: bool) -> Result<(), String> {
        if !braced {
            return Err(format!("0:{}: }}: expected opening brace", brace.end));
        }
        match self.next("expected end of input")? {
            Some(token) => Err(token.at("expected end of input")),
            None => Ok(()),
        }
    }

    fn matcher(&mut self, name: &Token) -> Result<RawMatcher, String> {
        let label = literal(name, "expected label name")?;
        let wanted = "expected an operator such as '=', '!=', '=~' or '!~'";
        let op = match self.next(wanted)? {
            Some(Token { kind: Kind::Op(op), .. }) => op,
            Some(token) => return Err(token.at(wanted)),
            None => return Err(self.end_of_input(wanted)),
        };
        let Some(token) = self.next("expected label value")? else {
            return Err(self.end_of_input("expected label value"));
        };
        Ok((label, op, literal(&token, "expected label value")?))
    }

    fn end_of_input(&self, wanted: &str) -> String {
        format!("0:{}: end of input: {wanted}", self.letters.len())
    }

    fn next(&mut self, wanted: &str) -> Result<Option<Token>, String> {
        while self.letters.get(self.column).is_some_and(|letter| letter.is_whitespace()) {
            self.column += 1;
        }
        let start = self.column;
        let Some(&letter) = self.letters.get(start) else { return Ok(None) };
        let following = self.letters.get(start + 1).copied();
        let (kind, end) = match (letter, following) {
            ('{', _) => (Kind::OpenBrace, start + 1),
            ('}', _) => (Kind::CloseBrace, start + 1),
            (',', _) => (Kind::Comma, start + 1),
            ('=', Some('~')) => (Kind::Op(MatchOp::Regex), start + 2),
            ('=', _) => (Kind::Op(MatchOp::Equal), start + 1),
            ('!', Some('=')) => (Kind::Op(MatchOp::NotEqual), start + 2),
            ('!', Some('~')) => (Kind::Op(MatchOp::NotRegex), start + 2),
            ('!', _) => return Err(format!("{start}:{}: !: expected one of '=~'", start + 1)),
            ('"', _) => (Kind::Quoted, self.quote_end(start)?),
            (letter, _) if is_reserved(letter) => {
                let tail = if wanted.is_empty() { String::new() } else { format!(": {wanted}") };
                return Err(format!("{start}:{}: {letter}: invalid input{tail}", start + 1));
            }
            _ => (Kind::Bare, self.bare_end(start)),
        };
        self.column = end;
        let text = self.letters[start..end].iter().collect();
        Ok(Some(Token { kind, text, start, end }))
    }

    fn bare_end(&self, start: usize) -> usize {
        let length = self.letters[start..].iter().take_while(|letter| !is_reserved(**letter));
        start + length.count()
    }

    fn quote_end(&self, start: usize) -> Result<usize, String> {
        let mut column = start + 1;
        while let Some(letter) = self.letters.get(column) {
            match letter {
                '\\' => column += 2,
                '"' => return Ok(column + 1),
                _ => column += 1,
            }
        }
        let text: String = self.letters[start..].iter().collect();
        Err(format!("{start}:{}: {text}: missing end \"", self.letters.len()))
    }
}

fn literal(token: &Token, wanted: &str) -> Result<String, String> {
    match token.kind {
        Kind::Bare => Ok(token.text.clone()),
        Kind::Quoted => unquote(&token.text)
            .ok_or_else(|| format!("{}:{}: {}: invalid input", token.start, token.end, token.text)),
        _ => Err(token.at(wanted)),
    }
}

/// Reads a Go string in double quotes; `None` for a bad escape or bytes that are no UTF-8.
fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        if letter == '\n' {
            return None;
        }
        if letter != '\\' {
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match letters.next()? {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            escaped @ ('\\' | '"') => bytes.push(escaped as u8),
            'x' => bytes.push(u8::try_from(digits(&mut letters, 2, 16)?).ok()?),
            'u' => push_code(&mut bytes, digits(&mut letters, 4, 16)?)?,
            'U' => push_code(&mut bytes, digits(&mut letters, 8, 16)?)?,
            first @ '0'..='7' => {
                let rest = digits(&mut letters, 2, 8)?;
                bytes.push(u8::try_from(first.to_digit(8)? * 64 + rest).ok()?);
            }
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

fn digits(letters: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut number: u32 = 0;
    for _ in 0..count {
        number = number.checked_mul(radix)?.checked_add(letters.next()?.to_digit(radix)?)?;
    }
    Some(number)
}

fn push_code(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}
