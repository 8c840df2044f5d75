//! The tree of one PromQL expression. Every node knows the bytes of the query it was read from.
//!
//! Place in the flow: text → `lexer` → `parser` → **`ast`** → `check` → the query engine.
//!
//! Invariants of a tree that [`crate::parse`] gave: it is type checked, its depth is at most
//! [`crate::TREE_DEPTH_MAX`], its matchers are compiled, and the numbers in it are in bounds.
//!
//! Not here: meaning. What an operator or a function does with samples is the engine's business.

/// Aggregations and their groups.
mod aggregate;
/// Operators between expressions.
mod operator;
/// Which series, and when.
mod selector;

pub use aggregate::{Aggregate, AggregateOp, Grouping};
pub use operator::{Binary, BinaryOp, Cardinality, Matching, Unary, UnaryOp};
pub use selector::{At, AtTime, Extension, MatrixSelector, Modifiers, Subquery, VectorSelector};

pub use crate::duration::{Duration, DurationExpr, DurationKind, DurationOp};
pub use crate::functions::{Function, ValueType};

/// Which bytes of the query text a node was read from: start inside, end outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start_byte: usize,
    /// Offset of the byte after the last one.
    pub end_byte: usize,
}

impl Span {
    /// A span from its two ends.
    pub fn new(start_byte: usize, end_byte: usize) -> Span {
        Span { start_byte, end_byte }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start_byte.min(other.start_byte), self.end_byte.max(other.end_byte))
    }
}

/// One node of the tree with its place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// Where it stands in the text, modifiers such as `offset` included.
    pub span: Span,
    /// What it is.
    pub kind: ExprKind,
}

/// The kinds of nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1F`, `5m`.
    Number(NumberLiteral),
    /// `"text"`.
    String(StringLiteral),
    /// `name{label="value"}` with its modifiers.
    Vector(Box<VectorSelector>),
    /// `name{label="value"}[5m]` with its modifiers.
    Matrix(Box<MatrixSelector>),
    /// `expr[1h:5m]` with its modifiers.
    Subquery(Box<Subquery>),
    /// `-expr`, `+expr`.
    Unary(Box<Unary>),
    /// `left op right`.
    Binary(Box<Binary>),
    /// `sum by (job) (expr)`.
    Aggregate(Box<Aggregate>),
    /// `rate(expr)`.
    Call(Box<Call>),
    /// `(expr)`.
    Paren(Box<Expr>),
}

/// A number in the text.
#[derive(Debug, Clone, Copy)]
pub struct NumberLiteral {
    /// The value; for a duration, seconds.
    pub value: f64,
    /// Whether it was written as a duration such as `5m`.
    pub is_duration: bool,
}

impl PartialEq for NumberLiteral {
    /// Equal bits, so that NaN equals itself and the signs of zero differ.
    fn eq(&self, other: &NumberLiteral) -> bool {
        self.value.to_bits() == other.value.to_bits() && self.is_duration == other.is_duration
    }
}

/// A string in the text, escapes resolved. `"\xff"` is one byte, so it need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringLiteral {
    /// The bytes it stands for.
    pub bytes: Vec<u8>,
}

impl StringLiteral {
    /// The text; `None` when the bytes are not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    /// The text with what is not UTF-8 replaced by U+FFFD.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// The arguments as written; a left out optional one is absent.
    pub args: Vec<Expr>,
}

impl Expr {
    /// The type of the value it evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Vector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Unary(unary) => unary.operand.value_type(),
            ExprKind::Binary(binary) => binary.value_type(),
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Paren(inner) => inner.value_type(),
        }
    }

    /// The expression without the parentheses around it.
    pub fn without_parens(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The expressions right below this one, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Vector(_)
            | ExprKind::Matrix(_) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Unary(unary) => vec![&unary.operand],
            ExprKind::Binary(binary) => vec![&binary.left, &binary.right],
            ExprKind::Aggregate(aggregate) => {
                aggregate.parameter.iter().chain([&aggregate.expr]).collect()
            }
            ExprKind::Call(call) => call.args.iter().collect(),
            ExprKind::Paren(inner) => vec![inner],
        }
    }

    /// Calls `visit` with this node and every node below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// How many nodes lie on the longest way down.
    pub fn depth(&self) -> usize {
        1 + self.children().into_iter().map(Expr::depth).max().unwrap_or(0)
    }

    /// Every selector of the tree, those of range selectors included.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match &expr.kind {
            ExprKind::Vector(selector) => found.push(selector.as_ref()),
            ExprKind::Matrix(matrix) => found.push(&matrix.selector),
            _ => {}
        });
        found
    }
}
