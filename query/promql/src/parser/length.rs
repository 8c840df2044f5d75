//! Lengths of time in brackets and behind `offset`: literals, and arithmetic on them.
//!
//! Place in the flow: part of `parser`; the values are computed by `duration`.

use super::{NESTING_MAX, Parser, UNARY_PRECEDENCE};
use crate::Problem;
use crate::ast::{BinaryOp, Duration, DurationExpr, DurationKind, DurationOp, Span, UnaryOp};
use crate::duration::{DurationContext, ms_from_seconds};
use crate::token::TokenKind;

/// What may stand where a length of time is wanted.
const WANTED: &str = "number, duration, step(), or range()";

impl Parser<'_> {
    /// A range or step: the whole text up to `]` or `:`, greater than zero.
    pub(super) fn length(&mut self, place: &str) -> Result<Duration, Problem> {
        let expr = self.duration_expression(0, place)?;
        let duration = self.finish_duration(expr)?;
        let is_known = match &duration {
            Duration::Fixed { .. } => true,
            Duration::Computed(expr) => expr.is_constant(),
        };
        if is_known {
            duration.length_ms(DurationContext::default())?;
        }
        Ok(duration)
    }

    /// An offset: one literal, call or parenthesised expression, with signs before it.
    pub(super) fn offset_duration(&mut self) -> Result<Duration, Problem> {
        // A binding above every operator leaves them to the expression around the selector.
        let expr = self.duration_expression(u8::MAX, "offset")?;
        let duration = self.finish_duration(expr)?;
        if let Duration::Computed(expr) = &duration
            && expr.is_constant()
        {
            expr.ms(DurationContext::default())?;
        }
        Ok(duration)
    }

    fn finish_duration(&self, expr: DurationExpr) -> Result<Duration, Problem> {
        let literal = match &expr.kind {
            DurationKind::Number(number) => Some(number.value),
            DurationKind::Unary(op, inner) => match &inner.kind {
                DurationKind::Number(number) if *op == UnaryOp::Minus => Some(-number.value),
                DurationKind::Number(number) => Some(number.value),
                _ => None,
            },
            _ => None,
        };
        match literal {
            Some(seconds) => {
                let ms = ms_from_seconds(seconds)
                    .ok_or_else(|| Problem::at(expr.span, "duration out of range"))?;
                Ok(Duration::Fixed { ms, span: expr.span })
            }
            None if !self.options.duration_expressions => {
                Err(Problem::at(expr.span, "duration expressions are not enabled"))
            }
            None => Ok(Duration::Computed(expr)),
        }
    }

    fn duration_expression(
        &mut self,
        precedence_min: u8,
        place: &str,
    ) -> Result<DurationExpr, Problem> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            let message = format!("duration is nested deeper than {NESTING_MAX} levels");
            return Err(Problem::at(self.current.span, message));
        }
        let nesting = self.nesting;
        let mut left = self.duration_operand(precedence_min, place)?;
        while let TokenKind::Operator(sign) = self.current.kind
            && let Some(op) = duration_operator(sign)
            && sign.precedence() >= precedence_min
        {
            self.advance();
            let is_right_associative = op == DurationOp::Pow;
            let next_min = sign.precedence() + u8::from(!is_right_associative);
            // A chain grows the tree on its left, so it counts as nesting too.
            self.nesting += 1;
            let right = self.duration_expression(next_min, place)?;
            let span = left.span.to(right.span);
            let kind = DurationKind::Binary(op, Box::new((left, right)));
            left = DurationExpr { span, kind };
        }
        self.nesting = nesting - 1;
        Ok(left)
    }

    fn duration_operand(
        &mut self,
        precedence_min: u8,
        place: &str,
    ) -> Result<DurationExpr, Problem> {
        let start = self.current.span;
        if let Some(op) = self.sign() {
            self.advance();
            let inner_min = UNARY_PRECEDENCE.max(precedence_min);
            let inner = self.duration_expression(inner_min, place)?;
            let span = start.to(inner.span);
            return Ok(DurationExpr { span, kind: DurationKind::Unary(op, Box::new(inner)) });
        }
        let kind = match self.current.kind {
            TokenKind::Number | TokenKind::Duration => DurationKind::Number(self.number_literal()?),
            TokenKind::LeftParen => {
                self.advance();
                let inner = self.duration_expression(0, place)?;
                self.expect(TokenKind::RightParen, place, "\")\"")?;
                DurationKind::Paren(Box::new(inner))
            }
            TokenKind::Identifier => self.duration_call(place)?,
            _ => return Err(self.unexpected(place, WANTED)),
        };
        Ok(DurationExpr { span: Span::new(start.start_byte, self.previous_end_byte), kind })
    }

    fn duration_call(&mut self, place: &str) -> Result<DurationKind, Problem> {
        let name = self.text_of(self.current).to_ascii_lowercase();
        if !matches!(name.as_str(), "step" | "range" | "min_of" | "max_of") {
            return Err(self.unexpected(place, WANTED));
        }
        self.advance();
        self.expect(TokenKind::LeftParen, place, "\"(\"")?;
        let kind = match name.as_str() {
            "step" => DurationKind::Step,
            "range" => DurationKind::Range,
            _ => {
                let first = self.duration_expression(0, place)?;
                self.expect(TokenKind::Comma, place, "\",\"")?;
                let second = self.duration_expression(0, place)?;
                let pair = Box::new((first, second));
                if name == "min_of" { DurationKind::Min(pair) } else { DurationKind::Max(pair) }
            }
        };
        self.expect(TokenKind::RightParen, place, "\")\"")?;
        Ok(kind)
    }
}

fn duration_operator(sign: BinaryOp) -> Option<DurationOp> {
    Some(match sign {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _ => return None,
    })
}
