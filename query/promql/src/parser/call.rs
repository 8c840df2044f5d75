//! Aggregations with their groups, and function calls.
//!
//! Place in the flow: part of `parser`; the argument rules are in `check`.

use super::{Parsed, Parser, SelectorRules};
use crate::ast::{
    Aggregate, AggregateOp, BinaryOp, Call, Expr, ExprKind, Grouping, Span, ValueType,
};
use crate::token::{Token, TokenKind, is_reserved};
use crate::{Problem, check, functions};

/// What the flag is called that switches experimental functions on.
const FEATURE: &str = "must be enabled with --enable-feature=promql-experimental-functions";

/// Arguments in parentheses with what the checks need.
struct Arguments {
    args: Vec<Expr>,
    types: Vec<ValueType>,
    depth: usize,
}

impl Parser<'_> {
    /// Whether the aggregation's name is followed by what makes it one.
    pub(super) fn begins_aggregation(&self) -> bool {
        match self.following.kind {
            TokenKind::LeftParen => true,
            TokenKind::Identifier => {
                let word = self.text_of(self.following);
                word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
            }
            _ => false,
        }
    }

    pub(super) fn aggregation(&mut self, op: AggregateOp) -> Result<Box<Parsed>, Problem> {
        let name_span = self.advance().span;
        self.open_aggregations += 1;
        let before = self.grouping()?;
        let mut arguments = self.arguments(false)?;
        self.open_aggregations -= 1;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let span = Span::new(name_span.start_byte, self.previous_end_byte);
        if op.is_experimental() && !self.options.experimental_functions {
            let message = format!("{}() is experimental and {FEATURE}", op.name());
            self.problems.push(Problem::at(span, message));
        }
        if let Some(problem) = check::aggregate_count(op, arguments.args.len(), span) {
            return Err(problem);
        }
        let expr = arguments.args.pop().ok_or_else(|| check::no_aggregate_arguments(span))?;
        let parameter = arguments.args.pop();
        let depth = self.depth_above([arguments.depth], name_span)?;
        check::aggregate(
            op,
            (&expr, parameter.as_ref()),
            &arguments.types,
            &mut self.type_problems,
        );
        let kind = ExprKind::Aggregate(Box::new(Aggregate { op, parameter, expr, grouping }));
        Ok(Box::new(Parsed { expr: Expr { span, kind }, value_type: ValueType::Vector, depth }))
    }

    /// `by (…)` or `without (…)`, when it comes next.
    fn grouping(&mut self) -> Result<Option<Grouping>, Problem> {
        let without = self.at_word("without");
        if !without && !self.at_word("by") {
            return Ok(None);
        }
        self.advance();
        let labels = self.label_list()?;
        Ok(Some(Grouping { without, labels }))
    }

    /// `(a, b, "c.d")`; a comma may trail.
    pub(super) fn label_list(&mut self) -> Result<Vec<String>, Problem> {
        const PLACE: &str = "grouping opts";
        let mut labels = Vec::new();
        self.expect(TokenKind::LeftParen, PLACE, "\"(\"")?;
        while self.current.kind != TokenKind::RightParen {
            let span = self.current.span;
            let label = match self.current.kind {
                TokenKind::Identifier => {
                    let token = self.advance();
                    self.text_of(token).to_owned()
                }
                TokenKind::String => self.utf8_string()?,
                _ => return Err(self.unexpected(PLACE, "label")),
            };
            if label.is_empty() {
                return Err(Problem::at(span, "invalid label name for grouping: \"\""));
            }
            labels.push(label);
            match self.current.kind {
                TokenKind::Comma => drop(self.advance()),
                TokenKind::RightParen => {}
                _ => return Err(self.unexpected(PLACE, "\",\" or \")\"")),
            }
        }
        self.advance();
        Ok(labels)
    }

    pub(super) fn call(&mut self) -> Result<Box<Parsed>, Problem> {
        let name_token = self.advance();
        let name = self.text_of(name_token);
        let is_info = name == "info";
        let problems_before = self.type_problems.len();
        let arguments = self.arguments(is_info)?;
        let span = Span::new(name_token.span.start_byte, self.previous_end_byte);
        let Some(function) = functions::find(name) else {
            return Err(Problem::at(
                name_token.span,
                format!("unknown function with name {name:?}"),
            ));
        };
        if function.is_experimental && !self.options.experimental_functions {
            let message =
                format!("function {name:?} is not enabled: it is experimental and {FEATURE}");
            self.problems.push(Problem::at(name_token.span, message));
        }
        let depth = self.depth_above([arguments.depth], name_token.span)?;
        match check::argument_count(function, span, arguments.args.len()) {
            // What is wrong inside the arguments is said after it.
            Some(problem) => self.type_problems.insert(problems_before, problem),
            None => {
                check::call(function, &arguments.args, &arguments.types, &mut self.type_problems);
            }
        }
        let kind = ExprKind::Call(Box::new(Call { function, args: arguments.args }));
        Ok(Box::new(Parsed { expr: Expr { span, kind }, value_type: function.returns, depth }))
    }

    /// `(a, b)`. The second argument of `info` may be matchers that would match everything.
    fn arguments(&mut self, is_info: bool) -> Result<Arguments, Problem> {
        let mut found = Arguments { args: Vec::new(), types: Vec::new(), depth: 0 };
        self.expect(TokenKind::LeftParen, "", "")?;
        while self.current.kind != TokenKind::RightParen {
            let is_matchers =
                is_info && found.args.len() == 1 && self.current.kind == TokenKind::LeftBrace;
            let parsed = match is_matchers {
                true => self.selector(SelectorRules::Info)?,
                false => self.expression(0)?,
            };
            found.depth = found.depth.max(parsed.depth);
            found.types.push(parsed.value_type);
            found.args.push(parsed.expr);
            match self.current.kind {
                TokenKind::Comma if !self.begins_operand(self.following) => {
                    let message = "trailing commas not allowed in function call args";
                    return Err(Problem::at(self.current.span, message));
                }
                TokenKind::Comma => drop(self.advance()),
                TokenKind::RightParen => {}
                _ => return Err(self.unexpected("", "")),
            }
        }
        self.advance();
        Ok(found)
    }

    /// Whether an expression may begin with a token. What can't be read is reported as such.
    fn begins_operand(&self, token: Token) -> bool {
        match token.kind {
            TokenKind::Identifier => !is_reserved(self.text_of(token)),
            TokenKind::Operator(op) => matches!(op, BinaryOp::Add | BinaryOp::Sub),
            TokenKind::Number
            | TokenKind::Duration
            | TokenKind::String
            | TokenKind::MetricIdentifier
            | TokenKind::LeftParen
            | TokenKind::LeftBrace
            | TokenKind::Bad => true,
            _ => false,
        }
    }
}
