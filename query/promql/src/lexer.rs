//! Cuts a query into tokens, one at a time.
//!
//! Place in the flow: text → **`lexer`** → `parser`.
//!
//! Invariants: every call moves forward or stays at the end; spans lie on character boundaries;
//! after a [`TokenKind::Bad`] only further `Bad` tokens come.
//!
//! Not here: the values of numbers and strings (`literal`).

use crate::Problem;
use crate::ast::{BinaryOp, Span};
use crate::token::{Token, TokenKind};

/// Reads tokens from a text.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    position_byte: usize,
    open_parens_count: usize,
    in_braces: bool,
    in_brackets: bool,
    problem: Option<Problem>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            text,
            position_byte: 0,
            open_parens_count: 0,
            in_braces: false,
            in_brackets: false,
            problem: None,
        }
    }

    /// What made it stop, when it gave a `Bad` token.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// The next token.
    pub(crate) fn next_token(&mut self) -> Token {
        if let Some(problem) = &self.problem {
            let span = Span::new(problem.start_byte, problem.end_byte);
            return Token { kind: TokenKind::Bad, span };
        }
        self.skip_blanks();
        let start_byte = self.position_byte;
        match self.scan() {
            Ok(kind) => Token { kind, span: Span::new(start_byte, self.position_byte) },
            Err(problem) => {
                let span = Span::new(problem.start_byte, problem.end_byte);
                self.problem = Some(problem);
                Token { kind: TokenKind::Bad, span }
            }
        }
    }

    fn skip_blanks(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.position_byte += 1,
                b'#' => {
                    let rest = &self.text.as_bytes()[self.position_byte..];
                    let length = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r');
                    self.position_byte += length.unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn scan(&mut self) -> Result<TokenKind, Problem> {
        let Some(byte) = self.peek() else {
            return self.scan_end();
        };
        match byte {
            b'"' | b'\'' => self.scan_quoted(byte),
            b'`' => self.scan_raw(),
            b'0'..=b'9' => self.scan_number(),
            b'.' if self.peek_at(1).is_some_and(|next| next.is_ascii_digit()) => self.scan_number(),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => Ok(self.scan_name()),
            b':' if !self.in_brackets && !self.in_braces => Ok(self.scan_name()),
            _ => self.scan_sign(byte),
        }
    }

    fn scan_end(&self) -> Result<TokenKind, Problem> {
        if self.in_braces {
            Err(self.problem_here("unexpected end of input inside braces"))
        } else if self.open_parens_count > 0 {
            Err(self.problem_here("unclosed left parenthesis"))
        } else if self.in_brackets {
            Err(self.problem_here("unclosed left bracket"))
        } else {
            Ok(TokenKind::End)
        }
    }

    fn scan_sign(&mut self, byte: u8) -> Result<TokenKind, Problem> {
        let following = self.peek_at(1);
        let (kind, length_bytes) = match (byte, following) {
            (b'=', Some(b'~')) if self.in_braces => (TokenKind::RegexMatch, 2),
            (b'!', Some(b'~')) if self.in_braces => (TokenKind::RegexNoMatch, 2),
            (b'!', Some(b'=')) => (TokenKind::Operator(BinaryOp::NotEqual), 2),
            (b'!', _) => return Err(self.problem_after('!')),
            (b'=', _) if self.in_braces => (TokenKind::Assign, 1),
            (b'=', Some(b'=')) => (TokenKind::Operator(BinaryOp::Equal), 2),
            (b'=', Some(b'~')) => return Err(self.problem_after('=')),
            (b'=', _) => (TokenKind::Assign, 1),
            (b',', _) => (TokenKind::Comma, 1),
            (b'{', _) if !self.in_braces => (TokenKind::LeftBrace, 1),
            (b'}', _) if self.in_braces => (TokenKind::RightBrace, 1),
            _ if self.in_braces => return Err(self.problem_character()),
            (b':', _) => (TokenKind::Colon, 1),
            (b'(', _) => (TokenKind::LeftParen, 1),
            (b')', _) => (TokenKind::RightParen, 1),
            (b'[', _) => (TokenKind::LeftBracket, 1),
            (b']', _) => (TokenKind::RightBracket, 1),
            (b'@', _) => (TokenKind::At, 1),
            _ => match operator(byte, following) {
                Some((op, length_bytes)) => (TokenKind::Operator(op), length_bytes),
                None => return Err(self.problem_character()),
            },
        };
        self.track(kind)?;
        self.position_byte += length_bytes;
        Ok(kind)
    }

    /// Keeps count of what is open, because it decides how later characters read.
    fn track(&mut self, kind: TokenKind) -> Result<(), Problem> {
        match kind {
            TokenKind::LeftBrace => self.in_braces = true,
            TokenKind::RightBrace => self.in_braces = false,
            TokenKind::LeftParen => self.open_parens_count += 1,
            TokenKind::RightParen if self.open_parens_count == 0 => {
                // As upstream has it, the place is behind the sign.
                self.position_byte += 1;
                return Err(self.problem_here("unexpected right parenthesis ')'"));
            }
            TokenKind::RightParen => self.open_parens_count -= 1,
            TokenKind::LeftBracket if self.in_brackets => {
                return Err(self.problem_here("unexpected left bracket '['"));
            }
            TokenKind::LeftBracket => self.in_brackets = true,
            TokenKind::RightBracket if !self.in_brackets => {
                return Err(self.problem_here("unexpected right bracket ']'"));
            }
            TokenKind::RightBracket => self.in_brackets = false,
            _ => {}
        }
        Ok(())
    }

    fn scan_name(&mut self) -> TokenKind {
        let start_byte = self.position_byte;
        let colon = !self.in_brackets && !self.in_braces;
        while self.peek().is_some_and(|byte| is_word(byte) || (colon && byte == b':')) {
            self.position_byte += 1;
        }
        let name = &self.text[start_byte..self.position_byte];
        let is_number = name.eq_ignore_ascii_case("inf") || name.eq_ignore_ascii_case("nan");
        match name.contains(':') {
            true => TokenKind::MetricIdentifier,
            false if is_number && !self.in_braces => TokenKind::Number,
            false => TokenKind::Identifier,
        }
    }

    fn scan_number(&mut self) -> Result<TokenKind, Problem> {
        let start_byte = self.position_byte;
        let rest = &self.text.as_bytes()[start_byte..];
        let number_length = number_length(rest, true);
        if !rest.get(number_length).copied().is_some_and(is_word) {
            self.position_byte += number_length;
            return Ok(TokenKind::Number);
        }
        let (length_bytes, is_duration) = duration_length(rest);
        if is_duration && !rest.get(length_bytes).copied().is_some_and(is_word) {
            self.position_byte += length_bytes;
            return Ok(TokenKind::Duration);
        }
        // The message shows the text up to the first character that does not fit.
        let fits_bytes = number_length.max(length_bytes);
        let misfit = self.text[start_byte + fits_bytes..].chars().next();
        let span =
            Span::new(start_byte, start_byte + fits_bytes + misfit.map_or(0, char::len_utf8));
        let shown = &self.text[span.start_byte..span.end_byte];
        Err(Problem::at(span, format!("bad number or duration syntax: {shown:?}")))
    }

    fn scan_quoted(&mut self, quote: u8) -> Result<TokenKind, Problem> {
        let start_byte = self.position_byte;
        let bytes = self.text.as_bytes();
        let mut at_byte = start_byte + 1;
        loop {
            match bytes.get(at_byte) {
                Some(&byte) if byte == quote => break,
                Some(b'\\') => at_byte += 2,
                None | Some(b'\n') => {
                    let span = Span::new(start_byte, at_byte.min(bytes.len()));
                    return Err(Problem::at(span, "unterminated quoted string"));
                }
                Some(_) => at_byte += 1,
            }
        }
        self.position_byte = at_byte + 1;
        Ok(TokenKind::String)
    }

    fn scan_raw(&mut self) -> Result<TokenKind, Problem> {
        let start_byte = self.position_byte;
        match self.text[start_byte + 1..].find('`') {
            Some(length_bytes) => {
                self.position_byte = start_byte + length_bytes + 2;
                Ok(TokenKind::String)
            }
            None => {
                let span = Span::new(start_byte, self.text.len());
                Err(Problem::at(span, "unterminated raw string"))
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead_bytes: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position_byte + ahead_bytes).copied()
    }

    fn problem_here(&self, message: &str) -> Problem {
        let length_bytes = self.text[self.position_byte..].chars().next().map_or(0, char::len_utf8);
        let span = Span::new(self.position_byte, self.position_byte + length_bytes);
        Problem::at(span, message)
    }

    fn problem_character(&self) -> Problem {
        let found = self.text[self.position_byte..].chars().next().unwrap_or(' ');
        let place = if self.in_braces { " inside braces" } else { "" };
        self.problem_here(&format!("unexpected character{place}: {found:?}"))
    }

    fn problem_after(&self, sign: char) -> Problem {
        match self.text[self.position_byte + 1..].chars().next() {
            Some(found) => {
                self.problem_here(&format!("unexpected character after {sign:?}: {found:?}"))
            }
            None => self.problem_here(&format!("unexpected end of input after {sign:?}")),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn operator(byte: u8, following: Option<u8>) -> Option<(BinaryOp, usize)> {
    Some(match (byte, following) {
        (b'<', Some(b'=')) => (BinaryOp::LessEqual, 2),
        (b'<', Some(b'/')) => (BinaryOp::TrimUpper, 2),
        (b'<', _) => (BinaryOp::Less, 1),
        (b'>', Some(b'=')) => (BinaryOp::GreaterEqual, 2),
        (b'>', Some(b'/')) => (BinaryOp::TrimLower, 2),
        (b'>', _) => (BinaryOp::Greater, 1),
        (b'+', _) => (BinaryOp::Add, 1),
        (b'-', _) => (BinaryOp::Sub, 1),
        (b'*', _) => (BinaryOp::Mul, 1),
        (b'/', _) => (BinaryOp::Div, 1),
        (b'%', _) => (BinaryOp::Mod, 1),
        (b'^', _) => (BinaryOp::Pow, 1),
        _ => return None,
    })
}

/// How many bytes at the start of a text belong to a number without a sign.
pub(crate) fn number_length(bytes: &[u8], hexadecimal: bool) -> usize {
    let digits = |from: usize, is_digit: fn(u8) -> bool| {
        let rest = &bytes[from.min(bytes.len())..];
        from + rest.iter().take_while(|&&byte| is_digit(byte) || byte == b'_').count()
    };
    if hexadecimal && bytes.len() > 2 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X') {
        return digits(2, |byte| byte.is_ascii_hexdigit());
    }
    let decimal = |byte: u8| byte.is_ascii_digit();
    let mut length = digits(0, decimal);
    if bytes.get(length) == Some(&b'.') {
        length = digits(length + 1, decimal);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign_length = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let digits_at = length + 1 + sign_length;
        if bytes.get(digits_at).is_some_and(u8::is_ascii_digit) {
            length = digits(digits_at, decimal);
        }
    }
    length
}

/// How many bytes look like a duration, and whether they are one whole: digits and unit in turn.
fn duration_length(bytes: &[u8]) -> (usize, bool) {
    let mut length = 0;
    loop {
        let rest = &bytes[length..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return (length, length > 0);
        }
        let unit = match (rest.get(digits), rest.get(digits + 1)) {
            (Some(b'm'), Some(b's')) => 2,
            (Some(b's' | b'm' | b'h' | b'd' | b'w' | b'y'), _) => 1,
            _ => return (length + digits, false),
        };
        length += digits + unit;
    }
}
