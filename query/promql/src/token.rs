//! The words of the language: what the lexer hands to the parser.
//!
//! Place in the flow: `lexer` → **`token`** → `parser`.
//!
//! Keywords are ordinary identifiers here. Whether `sum` is an aggregation or the name of a metric
//! depends on what follows it, and only the parser sees that.
//!
//! Not here: the text of a token; its span says where it stands.

use crate::ast::{AggregateOp, BinaryOp, Span};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name without colons: a keyword, a function, a label, a metric.
    Identifier,
    /// A name with a colon, which only a metric can have.
    MetricIdentifier,
    /// `1.5`, `0x1F`.
    Number,
    /// `5m`, `1h30m`.
    Duration,
    /// A quoted text with its quotes.
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    /// `=`
    Assign,
    /// `=~`
    RegexMatch,
    /// `!~`
    RegexNoMatch,
    /// An operator made of signs; the ones made of letters are identifiers.
    Operator(BinaryOp),
    /// Behind the last token.
    End,
    /// The lexer could not read on; it keeps the problem.
    Bad,
}

/// A token with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// Words that can never be the name of a metric outside braces.
const RESERVED: &[&str] = &["atan2", "bool", "group_left", "group_right", "ignoring", "on"];

/// Keywords that are named in messages, beyond the reserved ones and the aggregations.
const KEYWORDS: &[&str] = &["anchored", "by", "offset", "smoothed", "without"];

/// Whether a word is one of the reserved ones.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|own| own.eq_ignore_ascii_case(word))
}

/// The operator that a word stands for.
pub(crate) fn word_operator(word: &str) -> Option<BinaryOp> {
    [BinaryOp::And, BinaryOp::Or, BinaryOp::Unless, BinaryOp::Atan2]
        .into_iter()
        .find(|op| op.sign().eq_ignore_ascii_case(word))
}

impl TokenKind {
    /// How a message calls the token with this text.
    pub(crate) fn describe(self, text: &str) -> String {
        match self {
            TokenKind::Identifier => describe_word(text),
            TokenKind::MetricIdentifier => format!("metric identifier {text:?}"),
            TokenKind::Number => format!("number {text:?}"),
            TokenKind::Duration => format!("duration {text:?}"),
            TokenKind::String => format!("string {text:?}"),
            TokenKind::RegexMatch | TokenKind::RegexNoMatch => format!("<op:{text}>"),
            TokenKind::Operator(op) => format!("<op:{}>", op.sign()),
            TokenKind::End => "end of input".to_owned(),
            TokenKind::At => "<op:@>".to_owned(),
            _ => format!("{text:?}"),
        }
    }
}

fn describe_word(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if word_operator(text).is_some() {
        format!("<op:{text}>")
    } else if AggregateOp::from_name(text).is_some() {
        format!("<aggr:{text}>")
    } else if is_reserved(text) || KEYWORDS.contains(&lower.as_str()) {
        format!("<{text}>")
    } else {
        format!("identifier {text:?}")
    }
}
