//! What may stand between an operator and its right operand.
//!
//! Place in the flow: part of `parser`; which combinations are allowed is decided in `check`.

use super::Parser;
use crate::Problem;
use crate::ast::{Cardinality, NumberLiteral, Span};
use crate::token::TokenKind;

/// `bool`, `on`, `ignoring`, `group_left`, `group_right`, `fill` as they were written.
#[derive(Default)]
pub(crate) struct MatchingModifiers {
    pub return_bool: bool,
    pub on: bool,
    pub labels: Vec<String>,
    pub grouping: Option<Cardinality>,
    pub include: Vec<String>,
    pub fill_left: Option<NumberLiteral>,
    pub fill_right: Option<NumberLiteral>,
    /// Where the modifiers stand.
    pub span: Span,
}

impl Parser<'_> {
    pub(super) fn matching_modifiers(&mut self) -> Result<MatchingModifiers, Problem> {
        let start_byte = self.current.span.start_byte;
        let mut found = MatchingModifiers::default();
        if self.at_word("bool") {
            self.advance();
            found.return_bool = true;
        }
        if self.at_word("on") || self.at_word("ignoring") {
            found.on = self.at_word("on");
            self.advance();
            found.labels = self.label_list()?;
            self.group_side(&mut found)?;
        }
        while self.following.kind == TokenKind::LeftParen && self.at_fill() {
            self.fill(&mut found)?;
        }
        found.span = Span::new(start_byte, self.previous_end_byte.max(start_byte));
        Ok(found)
    }

    fn group_side(&mut self, found: &mut MatchingModifiers) -> Result<(), Problem> {
        found.grouping = if self.at_word("group_left") {
            Some(Cardinality::ManyToOne)
        } else if self.at_word("group_right") {
            Some(Cardinality::OneToMany)
        } else {
            return Ok(());
        };
        self.advance();
        if self.current.kind == TokenKind::LeftParen {
            found.include = self.label_list()?;
        }
        Ok(())
    }

    fn at_fill(&self) -> bool {
        ["fill", "fill_left", "fill_right"].iter().any(|word| self.at_word(word))
    }

    fn fill(&mut self, found: &mut MatchingModifiers) -> Result<(), Problem> {
        let keyword = self.advance();
        let name = self.text_of(keyword).to_ascii_lowercase();
        self.expect(TokenKind::LeftParen, "fill modifier", "\"(\"")?;
        let sign = self.sign();
        if sign.is_some() {
            self.advance();
        }
        if !matches!(self.current.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected("fill modifier", "number"));
        }
        let mut value = self.number_literal()?;
        if sign == Some(crate::ast::UnaryOp::Minus) {
            value.value = -value.value;
        }
        self.expect(TokenKind::RightParen, "fill modifier", "\")\"")?;
        let span = Span::new(keyword.span.start_byte, self.previous_end_byte);
        if !self.options.fill {
            let message = "binary operation fill modifiers are experimental and not enabled";
            self.problems.push(Problem::at(span, message));
        }
        for (side, slot) in
            [("fill_left", &mut found.fill_left), ("fill_right", &mut found.fill_right)]
        {
            if name != "fill" && name != side {
                continue;
            }
            if slot.replace(value).is_some() {
                return Err(Problem::at(span, format!("{side} value set multiple times")));
            }
        }
        Ok(())
    }
}
