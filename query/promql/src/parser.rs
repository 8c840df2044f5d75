//! Reads one expression: operators by precedence, operands by their first token.
//!
//! Place in the flow: `lexer` → **`parser`** (asks `check` at every node) → the checked tree.
//!
//! Invariants: recursion is bounded by [`NESTING_MAX`], the tree's depth by
//! [`crate::TREE_DEPTH_MAX`]; the types of operands are handed up, never computed again, so the
//! time is linear in the length of the text.
//!
//! Not here: what each problem is called (`check` for types, `parser/*` for grammar).

use crate::ast::{
    Binary, BinaryOp, Expr, ExprKind, NumberLiteral, Span, Unary, UnaryOp, ValueType,
    VectorSelector,
};
use crate::lexer::Lexer;
use crate::token::{Token, TokenKind, is_reserved, word_operator};
use crate::{ParseOptions, Problem, QUERY_BYTES_MAX, TREE_DEPTH_MAX, check};

/// Aggregations and function calls.
mod call;
/// Duration expressions in brackets and behind `offset`.
mod length;
/// `bool`, `on`, `group_left`, `fill` behind an operator.
mod matching;
/// `[5m]`, `offset`, `@`, `anchored` behind an operand.
mod modifiers;
/// Label matchers in braces.
mod selector;

pub(crate) use matching::MatchingModifiers;
use selector::SelectorRules;

/// Most parentheses, calls and signs inside each other. Parsing recurses once for each; a person
/// writes a dozen.
const NESTING_MAX: usize = 128;

/// Binding of a sign: tighter than `*`, looser than `^`.
const UNARY_PRECEDENCE: u8 = 6;

/// Reads a whole text. All problems that were found, the first one first.
pub(crate) fn parse_text(text: &str, options: &ParseOptions) -> Result<Expr, Vec<Problem>> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("query is longer than {QUERY_BYTES_MAX} bytes; split it up");
        return Err(vec![Problem::at(Span::new(QUERY_BYTES_MAX, text.len()), message)]);
    }
    let mut parser = Parser::new(text, *options);
    match parser.whole() {
        Ok(expr) => {
            let Parser { mut problems, type_problems, .. } = parser;
            problems.extend(type_problems);
            if problems.is_empty() { Ok(expr) } else { Err(problems) }
        }
        Err(problem) => {
            parser.problems.push(problem);
            Err(parser.problems)
        }
    }
}

/// Reads the selector at the start of a text; what follows it is not looked at. Any word may be
/// the metric's name, and no matchers at all are fine.
pub(crate) fn parse_metric_selector(text: &str) -> Result<(VectorSelector, Span), Problem> {
    let mut parser = Parser::new(text, ParseOptions::all());
    if !matches!(
        parser.current.kind,
        TokenKind::Identifier | TokenKind::MetricIdentifier | TokenKind::LeftBrace
    ) {
        return Err(parser.unexpected("", "metric"));
    }
    let parsed = parser.selector(SelectorRules::Metric)?;
    if let Some(problem) = parser.type_problems.pop() {
        return Err(problem);
    }
    match parsed.expr.kind {
        ExprKind::Vector(selector) => Ok((*selector, parsed.expr.span)),
        _ => unreachable!("a selector was read"),
    }
}

/// A node with what the checks above it need to know.
pub(crate) struct Parsed {
    pub expr: Expr,
    pub value_type: ValueType,
    /// How many nodes lie on the longest way down.
    pub depth: usize,
}

impl Parsed {
    fn leaf(span: Span, kind: ExprKind, value_type: ValueType) -> Parsed {
        Parsed { expr: Expr { span, kind }, value_type, depth: 1 }
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    current: Token,
    following: Token,
    /// Where the token before `current` ended.
    previous_end_byte: usize,
    nesting: usize,
    /// Aggregations whose end is still to come.
    open_aggregations: usize,
    options: ParseOptions,
    /// Problems that did not keep the grammar from reading on.
    problems: Vec<Problem>,
    /// Problems of types; shown only when the grammar was satisfied.
    type_problems: Vec<Problem>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: ParseOptions) -> Parser<'a> {
        let mut lexer = Lexer::new(text);
        let current = lexer.next_token();
        let following = lexer.next_token();
        Parser {
            text,
            lexer,
            current,
            following,
            previous_end_byte: 0,
            nesting: 0,
            open_aggregations: 0,
            options,
            problems: Vec::new(),
            type_problems: Vec::new(),
        }
    }

    fn whole(&mut self) -> Result<Expr, Problem> {
        if self.current.kind == TokenKind::End {
            return Err(Problem::at(self.current.span, "no expression found in input"));
        }
        let parsed = self.expression(0)?;
        match self.current.kind {
            TokenKind::End => Ok(parsed.expr),
            _ => Err(self.unexpected("", "")),
        }
    }

    /// An expression whose operators all bind at least as tightly as `precedence_min`.
    fn expression(&mut self, precedence_min: u8) -> Result<Box<Parsed>, Problem> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            let message = format!("expression is nested deeper than {NESTING_MAX} levels");
            return Err(Problem::at(self.current.span, message));
        }
        let mut left = match self.sign() {
            Some(op) => self.unary(op)?,
            None => self.operand_with_modifiers()?,
        };
        while let Some(op) = self.binary_operator()
            && op.precedence() >= precedence_min
        {
            left = self.binary(*left, op)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn binary(&mut self, left: Parsed, op: BinaryOp) -> Result<Box<Parsed>, Problem> {
        let op_span = self.advance().span;
        let modifiers = self.matching_modifiers()?;
        let is_right_associative = op == BinaryOp::Pow;
        let right = self.expression(op.precedence() + u8::from(!is_right_associative))?;
        let types = (left.value_type, right.value_type);
        let depth = self.depth_above([left.depth, right.depth], op_span)?;
        let span = left.expr.span.to(right.expr.span);
        let mut binary = Binary {
            op,
            op_span,
            left: left.expr,
            right: right.expr,
            return_bool: modifiers.return_bool,
            matching: None,
        };
        let value_type =
            check::binary(&mut binary, span, types, modifiers, &mut self.type_problems);
        let kind = ExprKind::Binary(Box::new(binary));
        Ok(Box::new(Parsed { expr: Expr { span, kind }, value_type, depth }))
    }

    fn unary(&mut self, op: UnaryOp) -> Result<Box<Parsed>, Problem> {
        let sign_span = self.advance().span;
        let mut operand = self.expression(UNARY_PRECEDENCE)?;
        let span = sign_span.to(operand.expr.span);
        if let ExprKind::Number(number) = &mut operand.expr.kind {
            if op == UnaryOp::Minus {
                number.value = -number.value;
            }
            operand.expr.span = span;
            return Ok(operand);
        }
        check::unary(operand.value_type, span, &mut self.type_problems);
        let depth = self.depth_above([operand.depth], sign_span)?;
        let value_type = operand.value_type;
        let kind = ExprKind::Unary(Box::new(Unary { op, operand: operand.expr }));
        Ok(Box::new(Parsed { expr: Expr { span, kind }, value_type, depth }))
    }

    fn operand_with_modifiers(&mut self) -> Result<Box<Parsed>, Problem> {
        let mut parsed = self.operand()?;
        while self.at_modifier() {
            self.modifier(&mut parsed)?;
        }
        Ok(parsed)
    }

    fn operand(&mut self) -> Result<Box<Parsed>, Problem> {
        let token = self.current;
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.number_literal()?;
                Ok(Box::new(Parsed::leaf(token.span, ExprKind::Number(number), ValueType::Scalar)))
            }
            TokenKind::String => {
                let bytes = self.string_bytes()?;
                let kind = ExprKind::String(crate::ast::StringLiteral { bytes });
                Ok(Box::new(Parsed::leaf(token.span, kind, ValueType::String)))
            }
            TokenKind::LeftParen => self.parenthesised(),
            TokenKind::LeftBrace | TokenKind::MetricIdentifier => {
                self.selector(SelectorRules::Query)
            }
            TokenKind::Identifier => self.named_operand(),
            _ => Err(self.unexpected("", "")),
        }
    }

    fn parenthesised(&mut self) -> Result<Box<Parsed>, Problem> {
        let open_span = self.advance().span;
        let inner = self.expression(0)?;
        let close_span = self.expect(TokenKind::RightParen, "", "")?.span;
        let depth = self.depth_above([inner.depth], open_span)?;
        let span = open_span.to(close_span);
        let value_type = inner.value_type;
        let kind = ExprKind::Paren(Box::new(inner.expr));
        Ok(Box::new(Parsed { expr: Expr { span, kind }, value_type, depth }))
    }

    /// A number or duration literal as the value of an operand.
    fn number_literal(&mut self) -> Result<NumberLiteral, Problem> {
        let token = self.advance();
        let text = self.text_of(token);
        let is_duration = token.kind == TokenKind::Duration;
        let value = match is_duration {
            true => crate::literal::duration_seconds(text),
            false => crate::literal::number(text),
        };
        let value = value.map_err(|message| Problem::at(token.span, message))?;
        Ok(NumberLiteral { value, is_duration })
    }

    fn string_bytes(&mut self) -> Result<Vec<u8>, Problem> {
        let token = self.advance();
        crate::literal::unquote(self.text_of(token))
            .map_err(|message| Problem::at(token.span, message))
    }

    /// A quoted text that must be UTF-8, such as a label's name.
    fn utf8_string(&mut self) -> Result<String, Problem> {
        let span = self.current.span;
        let bytes = self.string_bytes()?;
        String::from_utf8(bytes)
            .map_err(|_| Problem::at(span, "names and label values must be valid UTF-8"))
    }

    fn sign(&self) -> Option<UnaryOp> {
        match self.current.kind {
            TokenKind::Operator(BinaryOp::Add) => Some(UnaryOp::Plus),
            TokenKind::Operator(BinaryOp::Sub) => Some(UnaryOp::Minus),
            _ => None,
        }
    }

    fn binary_operator(&self) -> Option<BinaryOp> {
        match self.current.kind {
            TokenKind::Operator(op) => Some(op),
            TokenKind::Identifier => word_operator(self.text_of(self.current)),
            _ => None,
        }
    }

    /// The depth of a node above others, or the problem that it is too deep.
    fn depth_above<const N: usize>(&self, below: [usize; N], span: Span) -> Result<usize, Problem> {
        let depth = 1 + below.into_iter().max().unwrap_or(0);
        if depth > TREE_DEPTH_MAX {
            let message = format!("expression has more than {TREE_DEPTH_MAX} levels");
            return Err(Problem::at(span, message));
        }
        Ok(depth)
    }

    fn advance(&mut self) -> Token {
        let token = self.current;
        self.previous_end_byte = token.span.end_byte;
        self.current = self.following;
        self.following = self.lexer.next_token();
        token
    }

    fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.span.start_byte..token.span.end_byte]
    }

    fn at_word(&self, word: &str) -> bool {
        self.current.kind == TokenKind::Identifier
            && self.text_of(self.current).eq_ignore_ascii_case(word)
    }

    fn expect(&mut self, kind: TokenKind, place: &str, wanted: &str) -> Result<Token, Problem> {
        if self.current.kind == kind {
            Ok(self.advance())
        } else {
            Err(self.unexpected(place, wanted))
        }
    }

    /// "unexpected … in …, expected …" about the current token.
    fn unexpected(&self, place: &str, wanted: &str) -> Problem {
        if self.current.kind == TokenKind::Bad
            && let Some(problem) = self.lexer.problem()
        {
            return problem.clone();
        }
        let found = self.current.kind.describe(self.text_of(self.current));
        let place =
            if place.is_empty() && self.open_aggregations > 0 { "aggregation" } else { place };
        let place = if place.is_empty() { String::new() } else { format!(" in {place}") };
        let wanted = if wanted.is_empty() { String::new() } else { format!(", expected {wanted}") };
        Problem::at(self.current.span, format!("unexpected {found}{place}{wanted}"))
    }

    fn named_operand(&mut self) -> Result<Box<Parsed>, Problem> {
        let word = self.text_of(self.current);
        if let Some(op) = crate::ast::AggregateOp::from_name(word)
            && self.begins_aggregation()
        {
            return self.aggregation(op);
        }
        if self.following.kind == TokenKind::LeftParen && !is_reserved(word) {
            return self.call();
        }
        self.selector(SelectorRules::Query)
    }
}

#[cfg(test)]
mod tests;
