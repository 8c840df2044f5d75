//! What may stand behind an operand: `[5m]`, `[1h:5m]`, `offset`, `@`, `anchored`, `smoothed`.
//!
//! Place in the flow: part of `parser`.

use model::TimestampMs;

use super::{Parsed, Parser};
use crate::Problem;
use crate::ast::{
    At, AtTime, Duration, Expr, ExprKind, Extension, MatrixSelector, Modifiers, Span, Subquery,
    UnaryOp, ValueType,
};
use crate::token::TokenKind;

/// What a message calls the operands that `offset` and `@` may follow.
const PRECEDED_BY: &str =
    "must be preceded by an instant vector selector or range vector selector or a subquery";

impl Parser<'_> {
    pub(super) fn at_modifier(&self) -> bool {
        match self.current.kind {
            TokenKind::LeftBracket | TokenKind::At => true,
            TokenKind::Identifier => {
                ["offset", "anchored", "smoothed"].iter().any(|word| self.at_word(word))
            }
            _ => false,
        }
    }

    pub(super) fn modifier(&mut self, parsed: &mut Box<Parsed>) -> Result<(), Problem> {
        if self.current.kind == TokenKind::LeftBracket {
            self.bracket(parsed)
        } else if self.current.kind == TokenKind::At {
            self.at_time(&mut parsed.expr)
        } else if self.at_word("offset") {
            self.offset(&mut parsed.expr)
        } else {
            self.extension(&mut parsed.expr)
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<(), Problem> {
        self.advance();
        let offset = self.offset_duration()?;
        let span = expr.span;
        let Some(modifiers) = modifiers_of(expr) else {
            self.problems.push(Problem::at(span, format!("offset modifier {PRECEDED_BY}")));
            return Ok(());
        };
        if modifiers.offset.replace(offset).is_some() {
            self.problems.push(Problem::at(span, "offset may not be set multiple times"));
        }
        expr.span.end_byte = self.previous_end_byte;
        Ok(())
    }

    fn at_time(&mut self, expr: &mut Expr) -> Result<(), Problem> {
        let start_byte = self.advance().span.start_byte;
        let span = expr.span;
        let time = self.at_value(span)?;
        let at = At { span: Span::new(start_byte, self.previous_end_byte), time };
        let Some(modifiers) = modifiers_of(expr) else {
            self.problems.push(Problem::at(span, format!("@ modifier {PRECEDED_BY}")));
            return Ok(());
        };
        if modifiers.at.replace(at).is_some() {
            self.problems.push(Problem::at(span, "@ <timestamp> may not be set multiple times"));
        }
        expr.span.end_byte = self.previous_end_byte;
        Ok(())
    }

    /// The time behind `@`; a problem of its value is one of the operand at `operand_span`.
    fn at_value(&mut self, operand_span: Span) -> Result<AtTime, Problem> {
        if self.following.kind == TokenKind::LeftParen {
            let time = match () {
                () if self.at_word("start") => Some(AtTime::Start),
                () if self.at_word("end") => Some(AtTime::End),
                () => None,
            };
            if let Some(time) = time {
                self.advance();
                self.advance();
                self.expect(TokenKind::RightParen, "@", "\")\"")?;
                return Ok(time);
            }
        }
        let sign = self.sign();
        if sign.is_some() {
            self.advance();
        }
        if !matches!(self.current.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected("@", "timestamp"));
        }
        let number = self.number_literal()?;
        let seconds = if sign == Some(UnaryOp::Minus) { -number.value } else { number.value };
        let ms = (seconds * 1000.0).round();
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 {
            let shown = match seconds {
                seconds if seconds.is_nan() => "NaN".to_owned(),
                seconds if seconds.is_infinite() => {
                    format!("{}Inf", if seconds > 0.0 { '+' } else { '-' })
                }
                seconds => format!("{seconds:.6}"),
            };
            let message = format!("timestamp out of bounds for @ modifier: {shown}");
            return Err(Problem::at(operand_span, message));
        }
        Ok(AtTime::Fixed(TimestampMs(ms as i64)))
    }

    fn extension(&mut self, expr: &mut Expr) -> Result<(), Problem> {
        let token = self.advance();
        let anchored = self.text_of(token).eq_ignore_ascii_case("anchored");
        let extension = if anchored { Extension::Anchored } else { Extension::Smoothed };
        let keyword = extension.keyword();
        if !self.options.extended_ranges {
            let message = format!("{keyword} modifier is experimental and not enabled");
            self.problems.push(Problem::at(token.span, message));
        }
        let slot = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.extension,
            ExprKind::Matrix(matrix) => &mut matrix.selector.extension,
            ExprKind::Subquery(_) => {
                let message = format!("{keyword} modifier is not supported for subqueries");
                self.problems.push(Problem::at(expr.span, message));
                return Ok(());
            }
            _ => {
                let message = format!("{keyword} modifier not implemented for this expression");
                self.problems.push(Problem::at(expr.span, message));
                return Ok(());
            }
        };
        match slot.replace(extension) {
            None => {}
            Some(before) if before == extension => {
                let message = format!("{keyword} modifier may not be set multiple times");
                self.problems.push(Problem::at(expr.span, message));
            }
            Some(_) => {
                let message = "anchored and smoothed modifiers cannot be used together";
                self.problems.push(Problem::at(expr.span, message));
            }
        }
        expr.span.end_byte = self.previous_end_byte;
        Ok(())
    }

    fn bracket(&mut self, parsed: &mut Box<Parsed>) -> Result<(), Problem> {
        let open_span = self.advance().span;
        let range = self.length("subquery or range selector")?;
        if self.current.kind != TokenKind::Colon {
            self.expect(TokenKind::RightBracket, "subquery or range selector", "\":\" or \"]\"")?;
            return self.range_selector(parsed, range, open_span);
        }
        self.advance();
        let step = match self.current.kind {
            TokenKind::RightBracket => None,
            _ => Some(self.length("subquery selector")?),
        };
        self.expect(TokenKind::RightBracket, "subquery selector", "\"]\"")?;
        let span = Span::new(parsed.expr.span.start_byte, self.previous_end_byte);
        crate::check::subquery(parsed.value_type, parsed.expr.span, &mut self.type_problems);
        parsed.depth = self.depth_above([parsed.depth], open_span)?;
        parsed.value_type = ValueType::Matrix;
        replace_kind(&mut parsed.expr, span, |expr| {
            let modifiers = Modifiers::default();
            ExprKind::Subquery(Box::new(Subquery { expr, range, step, modifiers }))
        });
        Ok(())
    }

    fn range_selector(
        &mut self,
        parsed: &mut Parsed,
        range: Duration,
        open_span: Span,
    ) -> Result<(), Problem> {
        let span = Span::new(parsed.expr.span.start_byte, self.previous_end_byte);
        let selector_span = parsed.expr.span;
        let ExprKind::Vector(selector) = &parsed.expr.kind else {
            let place = Span::new(open_span.start_byte, self.previous_end_byte);
            self.problems.push(Problem::at(place, "ranges only allowed for vector selectors"));
            parsed.value_type = ValueType::Matrix;
            return Ok(());
        };
        let written = match &selector.modifiers {
            Modifiers { offset: Some(_), .. } => Some("no offset modifiers allowed before range"),
            Modifiers { at: Some(_), .. } => Some("no @ modifiers allowed before range"),
            _ if selector.extension.is_some() => {
                Some("no anchored or smoothed modifiers allowed before range")
            }
            _ => None,
        };
        if let Some(message) = written {
            self.problems.push(Problem::at(span, message));
        }
        parsed.value_type = ValueType::Matrix;
        replace_kind(&mut parsed.expr, span, |expr| match expr.kind {
            ExprKind::Vector(selector) => {
                let selector = *selector;
                ExprKind::Matrix(Box::new(MatrixSelector { selector, selector_span, range }))
            }
            other => other,
        });
        Ok(())
    }
}

/// Puts the expression below a new node that stands in its place.
fn replace_kind(expr: &mut Expr, span: Span, wrap: impl FnOnce(Expr) -> ExprKind) {
    // The placeholder is gone before anyone can look.
    let placeholder =
        Expr { span, kind: ExprKind::String(crate::ast::StringLiteral { bytes: Vec::new() }) };
    let inner = std::mem::replace(expr, placeholder);
    expr.kind = wrap(inner);
}

fn modifiers_of(expr: &mut Expr) -> Option<&mut Modifiers> {
    match &mut expr.kind {
        ExprKind::Vector(selector) => Some(&mut selector.modifiers),
        ExprKind::Matrix(matrix) => Some(&mut matrix.selector.modifiers),
        ExprKind::Subquery(subquery) => Some(&mut subquery.modifiers),
        _ => None,
    }
}
