//! Selectors: a metric's name, matchers in braces, or both.
//!
//! Place in the flow: part of `parser`.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher, re2};

use super::{Parsed, Parser};
use crate::Problem;
use crate::ast::{ExprKind, Modifiers, Span, ValueType, VectorSelector};
use crate::token::{TokenKind, is_reserved};

const PLACE: &str = "label matching";

/// What a selector is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SelectorRules {
    /// An operand: it must not match every series.
    Query,
    /// The second argument of `info`, which only narrows a choice.
    Info,
    /// A metric of test data: every word is a name.
    Metric,
}

impl Parser<'_> {
    pub(super) fn selector(&mut self, rules: SelectorRules) -> Result<Box<Parsed>, Problem> {
        let start_byte = self.current.span.start_byte;
        let mut selector = VectorSelector {
            name: None,
            matchers: Vec::new(),
            modifiers: Modifiers::default(),
            extension: None,
        };
        if self.current.kind != TokenKind::LeftBrace {
            let word = self.text_of(self.current);
            if self.current.kind == TokenKind::Identifier
                && rules != SelectorRules::Metric
                && is_reserved(word)
            {
                return Err(self.unexpected("", ""));
            }
            self.advance();
            selector.name = Some(word.to_owned());
        }
        // Two braces begin a histogram behind a metric of test data.
        let is_histogram = rules == SelectorRules::Metric
            && self.text[self.current.span.start_byte..].starts_with("{{");
        if self.current.kind == TokenKind::LeftBrace && !is_histogram {
            self.matchers(&mut selector)?;
        }
        let span = Span::new(start_byte, self.previous_end_byte);
        self.check_name(&mut selector, span);
        if rules == SelectorRules::Query && selector.matchers.iter().all(Matcher::matches_empty) {
            let message = "vector selector must contain at least one non-empty matcher";
            self.type_problems.push(Problem::at(span, message));
        }
        Ok(Box::new(Parsed::leaf(span, ExprKind::Vector(Box::new(selector)), ValueType::Vector)))
    }

    fn check_name(&mut self, selector: &mut VectorSelector, span: Span) {
        let Some(name) = &selector.name else { return };
        if let Some(again) = selector.matchers.iter().find(|found| found.name() == METRIC_NAME) {
            let value = again.value();
            let message = format!("metric name must not be set twice: {name:?} or {value:?}");
            self.type_problems.push(Problem::at(span, message));
        }
        selector.matchers.push(Matcher::equal(METRIC_NAME, name));
    }

    fn matchers(&mut self, selector: &mut VectorSelector) -> Result<(), Problem> {
        self.advance();
        while self.current.kind != TokenKind::RightBrace {
            self.matcher(selector)?;
            match self.current.kind {
                TokenKind::Comma => drop(self.advance()),
                TokenKind::RightBrace => {}
                _ => return Err(self.unexpected(PLACE, "\",\" or \"}\"")),
            }
        }
        self.advance();
        Ok(())
    }

    fn matcher(&mut self, selector: &mut VectorSelector) -> Result<(), Problem> {
        let name_token = self.current;
        let name = match name_token.kind {
            TokenKind::Identifier => {
                self.advance();
                self.text_of(name_token).to_owned()
            }
            TokenKind::String => self.utf8_string()?,
            _ => return Err(self.unexpected(PLACE, "identifier or \"}\"")),
        };
        let op = match self.current.kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(crate::ast::BinaryOp::NotEqual) => MatchOp::NotEqual,
            TokenKind::RegexMatch => MatchOp::Regex,
            TokenKind::RegexNoMatch => MatchOp::NotRegex,
            TokenKind::Comma | TokenKind::RightBrace if name_token.kind == TokenKind::String => {
                return self.quoted_name(selector, name, name_token.span);
            }
            _ => return Err(self.unexpected(PLACE, "label matching operator")),
        };
        self.advance();
        if self.current.kind != TokenKind::String {
            return Err(self.unexpected(PLACE, "string"));
        }
        let (value, span) = match op {
            MatchOp::Equal | MatchOp::NotEqual => {
                let value = self.utf8_string()?;
                (value, Span::new(name_token.span.start_byte, self.previous_end_byte))
            }
            MatchOp::Regex | MatchOp::NotRegex => {
                let bytes = self.string_bytes()?;
                let span = Span::new(name_token.span.start_byte, self.previous_end_byte);
                let value = String::from_utf8(bytes).map_err(|error| {
                    Problem::at(span, re2::Error::no_text(error.as_bytes()).to_string())
                })?;
                (value, span)
            }
        };
        match Matcher::new(&name, op, &value) {
            Ok(matcher) => selector.matchers.push(matcher),
            Err(error) => return Err(Problem::at(span, error.to_string())),
        }
        Ok(())
    }

    fn quoted_name(
        &mut self,
        selector: &mut VectorSelector,
        name: String,
        span: Span,
    ) -> Result<(), Problem> {
        if let Some(before) = &selector.name {
            let message = format!("metric name must not be set twice: {before:?} or {name:?}");
            return Err(Problem::at(span, message));
        }
        if name.is_empty() {
            return Err(Problem::at(span, "metric name must not be empty"));
        }
        selector.name = Some(name);
        Ok(())
    }
}
