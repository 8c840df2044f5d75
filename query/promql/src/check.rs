//! Type checks, node by node, with the texts that Prometheus uses.
//!
//! Place in the flow: `parser` builds a node → **`check`** → the node is kept, problems collected.
//!
//! Types come from the parser, so that no check walks down the tree again.
//!
//! Not here: grammar problems (`parser`).

use crate::Problem;
use crate::ast::{
    AggregateOp, Binary, Cardinality, Expr, ExprKind, Function, Matching, Span, ValueType,
};
use crate::parser::MatchingModifiers;

/// The operand of a sign.
pub(crate) fn unary(operand: ValueType, span: Span, problems: &mut Vec<Problem>) {
    if !matches!(operand, ValueType::Scalar | ValueType::Vector) {
        let message = format!(
            "unary expression only allowed on expressions of type scalar or instant vector, \
             got {:?}",
            operand.describe()
        );
        problems.push(Problem::at(span, message));
    }
}

/// What stands before the brackets of a subquery.
pub(crate) fn subquery(inner: ValueType, span: Span, problems: &mut Vec<Problem>) {
    if inner != ValueType::Vector {
        let message = format!(
            "subquery is only allowed on instant vector, got {} instead",
            if inner == ValueType::Matrix { "matrix" } else { inner.describe() }
        );
        problems.push(Problem::at(span, message));
    }
}

/// A binary expression: sets its matching and gives its type.
pub(crate) fn binary(
    binary: &mut Binary,
    span: Span,
    (left, right): (ValueType, ValueType),
    modifiers: MatchingModifiers,
    problems: &mut Vec<Problem>,
) -> ValueType {
    let (op, op_span) = (binary.op, binary.op_span);
    let both_scalar = left == ValueType::Scalar && right == ValueType::Scalar;
    let both_vector = left == ValueType::Vector && right == ValueType::Vector;
    let value_type = if both_scalar { ValueType::Scalar } else { ValueType::Vector };
    let mut report = |span: Span, message: String| problems.push(Problem::at(span, message));
    if binary.return_bool && !op.is_comparison() {
        report(op_span, "bool modifier can only be used on comparison operators".to_owned());
    }
    if op.is_comparison() && !binary.return_bool && both_scalar {
        report(op_span, "comparisons between scalars must use BOOL modifier".to_owned());
    }
    let twice = modifiers.labels.iter().find(|label| modifiers.include.contains(label));
    if modifiers.on
        && let Some(label) = twice
    {
        report(op_span, format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    for (side, found) in [(&binary.left, left), (&binary.right, right)] {
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            report(side.span, message.to_owned());
        }
    }
    let has_fill = modifiers.fill_left.is_some() || modifiers.fill_right.is_some();
    if !both_vector && !modifiers.labels.is_empty() {
        report(span, "vector matching only allowed between instant vectors".to_owned());
    }
    if !both_vector && has_fill {
        report(span, "filling in missing series only allowed between instant vectors".to_owned());
    }
    if both_vector && op.is_set() && modifiers.grouping.is_some() {
        report(span, format!("no grouping allowed for {:?} operation", op.sign()));
    }
    if both_vector && op.is_set() && has_fill {
        report(span, "filling in missing series not allowed for set operators".to_owned());
    }
    if !both_vector && op.is_set() {
        let sign = op.sign();
        report(span, format!("set operator {sign:?} not allowed in binary scalar expression"));
    }
    if both_vector {
        binary.matching = Some(matching(op.is_set(), modifiers));
    }
    value_type
}

fn matching(is_set: bool, modifiers: MatchingModifiers) -> Matching {
    let cardinality = match modifiers.grouping {
        _ if is_set => Cardinality::ManyToMany,
        Some(grouping) => grouping,
        None => Cardinality::OneToOne,
    };
    Matching {
        cardinality,
        on: modifiers.on,
        labels: modifiers.labels,
        include: modifiers.include,
        fill_left: modifiers.fill_left,
        fill_right: modifiers.fill_right,
    }
}

/// Nothing in the parentheses of an aggregation.
pub(crate) fn no_aggregate_arguments(span: Span) -> Problem {
    Problem::at(span, "no arguments for aggregate expression provided")
}

/// How many expressions an aggregation was given.
pub(crate) fn aggregate_count(op: AggregateOp, count: usize, span: Span) -> Option<Problem> {
    let expected = if op.parameter().is_some() { 2 } else { 1 };
    if count == 0 {
        return Some(no_aggregate_arguments(span));
    }
    (count != expected).then(|| {
        let message = format!(
            "wrong number of arguments for aggregate expression provided, \
             expected {expected}, got {count}"
        );
        Problem::at(span, message)
    })
}

/// The types of an aggregation's expression and parameter; `types` as they were written.
pub(crate) fn aggregate(
    op: AggregateOp,
    (expr, parameter): (&Expr, Option<&Expr>),
    types: &[ValueType],
    problems: &mut Vec<Problem>,
) {
    if let Some(&found) = types.last() {
        expect(expr, found, ValueType::Vector, "aggregation expression", problems);
    }
    if let (Some(parameter), Some(expected)) = (parameter, op.parameter()) {
        expect(parameter, types[0], expected, "aggregation parameter", problems);
    }
}

/// The number of a call's arguments.
pub(crate) fn argument_count(function: &Function, span: Span, got: usize) -> Option<Problem> {
    let count_max = function.args_max.unwrap_or(usize::MAX);
    let count_min = function.args.len() - function.optional_count;
    let name = function.name;
    let exact = count_min == count_max;
    let wrong = match () {
        () if exact && got != count_min => Some(format!("expected {count_min}")),
        () if got < count_min => Some(format!("expected at least {count_min}")),
        () if got > count_max => Some(format!("expected at most {count_max}")),
        () => None,
    };
    wrong.map(|expected| {
        let message = format!("{expected} argument(s) in call to {name:?}, got {got}");
        Problem::at(span, message)
    })
}

/// The types of a call's arguments, of which there are as many as there may be.
pub(crate) fn call(
    function: &Function,
    args: &[Expr],
    types: &[ValueType],
    problems: &mut Vec<Problem>,
) {
    let name = function.name;
    if name == "info" && args.len() == 2 {
        info_matchers(&args[1], types[1], problems);
        let place = format!("call to function {name:?}");
        return expect(&args[0], types[0], ValueType::Vector, &place, problems);
    }
    let expected_types = function
        .args
        .iter()
        .chain(std::iter::repeat(function.args.last().unwrap_or(&ValueType::Scalar)));
    for ((arg, &found), &expected) in args.iter().zip(types).zip(expected_types) {
        expect(arg, found, expected, &format!("call to function {name:?}"), problems);
    }
}

/// The second argument of `info` is a selector without a name.
fn info_matchers(arg: &Expr, found: ValueType, problems: &mut Vec<Problem>) {
    match &arg.kind {
        ExprKind::Vector(selector) if selector.name.is_none() => {}
        ExprKind::Vector(_) => {
            let message = "expected label selectors only, got vector selector instead";
            problems.push(Problem::at(arg.span, message));
        }
        _ => {
            let message = format!("expected label selectors only, got {found} expression instead");
            problems.push(Problem::at(arg.span, message));
        }
    }
}

fn expect(
    expr: &Expr,
    found: ValueType,
    expected: ValueType,
    place: &str,
    problems: &mut Vec<Problem>,
) {
    if found != expected {
        let message = format!("expected type {expected} in {place}, got {found}");
        problems.push(Problem::at(expr.span, message));
    }
}
