//! The tree of one PromQL expression. Every node knows the bytes of the query it was read from.
//!
//! Place in the flow: text → `lexer` → `parser` → **`ast`** → `check` → the query engine.
//!
//! Invariants of a tree that [`crate::parse`] gave: it is type checked, its depth is at most
//! [`crate::TREE_DEPTH_MAX`], its matchers are compiled, and the numbers in it are in bounds.
//!
//! Not here: meaning. What an operator or a function does with samples is the engine's business.

use model::Matcher;

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

/// What `@` fixes the evaluation time to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTime {
    /// `@ 1609746000`, in milliseconds.
    Fixed(model::TimestampMs),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// The `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// From the sign `@` to the end of the time.
    pub span: Span,
    /// The time.
    pub time: AtTime,
}

/// How a selector looks beyond its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// `anchored`
    Anchored,
    /// `smoothed`
    Smoothed,
}

impl Extension {
    /// The keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            Extension::Anchored => "anchored",
            Extension::Smoothed => "smoothed",
        }
    }
}

/// The modifiers that shift or fix the time of a selector or subquery.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Modifiers {
    /// `offset 5m`; positive looks back.
    pub offset: Option<Duration>,
    /// `@ …`; the offset applies relative to it.
    pub at: Option<At>,
}

/// Which series, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric name when it was written as a name (`up`, `{"my.metric"}`).
    pub name: Option<String>,
    /// All conditions, the one on `__name__` included when `name` is given.
    pub matchers: Vec<Matcher>,
    /// Offset and `@`. Of a range selector: those behind the brackets.
    pub modifiers: Modifiers,
    /// `anchored` or `smoothed`.
    pub extension: Option<Extension>,
}

/// A selector with a window.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// The series and the modifiers.
    pub selector: VectorSelector,
    /// Where the selector before the brackets stands.
    pub selector_span: Span,
    /// The window's length; greater than zero when it is fixed.
    pub range: Duration,
}

/// An expression evaluated over a window of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// The window's length.
    pub range: Duration,
    /// The step; the engine's default when left out.
    pub step: Option<Duration>,
    /// Offset and `@`.
    pub modifiers: Modifiers,
}

/// The sign of a unary expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// A sign and its operand.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// The sign.
    pub op: UnaryOp,
    /// The operand, a scalar or an instant vector.
    pub operand: Expr,
}

/// The binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    /// How tightly it binds: `or` is 1, `^` is 7. A sign stands between `*` and `^`, at 6.
    pub fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            op if op.is_comparison() => 3,
            BinaryOp::TrimUpper | BinaryOp::TrimLower => 3,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Pow => 7,
            _ => 5,
        }
    }

    /// `==`, `!=`, `<`, `<=`, `>`, `>=`.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual
        )
    }

    /// `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

/// How many elements of the two sides may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Each with one.
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// The set operators.
    ManyToMany,
}

/// Which elements of two vectors belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// How many may meet.
    pub cardinality: Cardinality,
    /// `true` for `on (…)`; `false` for `ignoring (…)` and when neither was written.
    pub on: bool,
    /// The labels in the parentheses.
    pub labels: Vec<String>,
    /// The labels that `group_left (…)` or `group_right (…)` copies from the one side.
    pub include: Vec<String>,
    /// What stands in for an element that the left side lacks.
    pub fill_left: Option<NumberLiteral>,
    /// What stands in for an element that the right side lacks.
    pub fill_right: Option<NumberLiteral>,
}

/// Two operands and what joins them.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator stands.
    pub op_span: Span,
    /// Left operand.
    pub left: Expr,
    /// Right operand.
    pub right: Expr,
    /// Whether `bool` was written: 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// Present exactly when both operands are instant vectors.
    pub matching: Option<Matching>,
}

/// The aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `quantile`
    Quantile,
    /// `count_values`
    CountValues,
    /// `limitk`
    Limitk,
    /// `limit_ratio`
    LimitRatio,
}

/// Every aggregation operator with its name.
const AGGREGATES: &[(AggregateOp, &str)] = &[
    (AggregateOp::Sum, "sum"),
    (AggregateOp::Avg, "avg"),
    (AggregateOp::Min, "min"),
    (AggregateOp::Max, "max"),
    (AggregateOp::Count, "count"),
    (AggregateOp::Group, "group"),
    (AggregateOp::Stddev, "stddev"),
    (AggregateOp::Stdvar, "stdvar"),
    (AggregateOp::Topk, "topk"),
    (AggregateOp::Bottomk, "bottomk"),
    (AggregateOp::Quantile, "quantile"),
    (AggregateOp::CountValues, "count_values"),
    (AggregateOp::Limitk, "limitk"),
    (AggregateOp::LimitRatio, "limit_ratio"),
];

impl AggregateOp {
    /// The operator of a name, in any letter case.
    pub fn from_name(name: &str) -> Option<AggregateOp> {
        AGGREGATES.iter().find(|(_, own)| own.eq_ignore_ascii_case(name)).map(|(op, _)| *op)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        AGGREGATES.iter().find(|(op, _)| *op == self).map_or("", |(_, name)| name)
    }

    /// The type of its parameter; `None` when it takes none.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            AggregateOp::CountValues => Some(ValueType::String),
            AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Quantile
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio => Some(ValueType::Scalar),
            _ => None,
        }
    }

    /// Whether it needs the experimental functions switched on.
    pub fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::Limitk | AggregateOp::LimitRatio)
    }
}

/// `by (…)` or `without (…)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// `true` for `without`. Neither written is `by ()`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// The parameter of `topk`, `quantile`, `count_values` and their like.
    pub parameter: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// The groups.
    pub grouping: Grouping,
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

impl Binary {
    /// Two scalars make a scalar, everything else a vector.
    pub fn value_type(&self) -> ValueType {
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        if is_scalar(&self.right) && is_scalar(&self.left) {
            ValueType::Scalar
        } else {
            ValueType::Vector
        }
    }
}
