//! `/api/v1/format_query` and `/api/v1/parse_query`: the language alone, without data.
//!
//! Place in the flow: HTTP → **here** → `promql`, with the parts of the language that the engine has
//! switched on.
//!
//! The tree's JSON has the names that the field's page of trees reads.

use axum::extract::State;
use promql::ast::{
    Aggregate, AtTime, Binary, Call, Cardinality, Expr, ExprKind, Extension, Matching, Modifiers,
    NumberLiteral, Subquery, UnaryOp, VectorSelector,
};
use promql::duration::{Duration, DurationContext};
use promql::functions::{Function, ValueType};
use serde_json::{Value, json};

use crate::api::envelope::{ApiError, Success};
use crate::api::params::Params;
use crate::parts::Parts;

fn read(parts: &Parts, params: &Params) -> Result<Expr, ApiError> {
    let engine = parts.engine.as_ref().ok_or_else(|| ApiError::not_here("query"))?;
    Ok(engine.parse(params.required("query")?)?)
}

/// The expression laid out over lines.
pub async fn format(
    State(parts): State<Parts>,
    params: Params,
) -> Result<Success<String>, ApiError> {
    Ok(Success::new(promql::pretty(&read(&parts, &params)?)))
}

/// The expression as a tree.
pub async fn parse(State(parts): State<Parts>, params: Params) -> Result<Success<Value>, ApiError> {
    Ok(Success::new(tree(&read(&parts, &params)?)))
}

fn tree(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number(number) => json!({"type": "numberLiteral", "val": decimal(number.value)}),
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text.lossy()}),
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": tree(inner)}),
        ExprKind::Unary(unary) => json!({
            "type": "unaryExpr",
            "op": match unary.op { UnaryOp::Plus => "+", UnaryOp::Minus => "-" },
            "expr": tree(&unary.operand),
        }),
        ExprKind::Vector(selector) => selected("vectorSelector", selector),
        ExprKind::Matrix(matrix) => {
            let mut own = selected("matrixSelector", &matrix.selector);
            own["range"] = json!(ms(&matrix.range));
            own
        }
        ExprKind::Subquery(subquery) => subquery_tree(subquery),
        ExprKind::Binary(binary) => binary_tree(binary),
        ExprKind::Aggregate(aggregate) => aggregate_tree(aggregate),
        ExprKind::Call(call) => call_tree(call),
    }
}

/// Digits without an exponent.
fn decimal(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { model::sample::format_value(value) }
}

/// Milliseconds; 0 for what depends on the query's step or range.
fn ms(duration: &Duration) -> i64 {
    match duration {
        Duration::Fixed { ms, .. } => *ms,
        Duration::Computed(own) if own.is_constant() => {
            own.ms(DurationContext::default()).unwrap_or(0)
        }
        Duration::Computed(_) => 0,
    }
}

fn selected(kind: &str, selector: &VectorSelector) -> Value {
    let matchers: Vec<Value> = selector
        .matchers
        .iter()
        .map(|own| json!({"name": own.name(), "value": own.value(), "type": own.op().sign()}))
        .collect();
    let mut own = json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or(""),
        "matchers": matchers,
        "anchored": selector.extension == Some(Extension::Anchored),
        "smoothed": selector.extension == Some(Extension::Smoothed),
    });
    add_modifiers(&mut own, &selector.modifiers);
    own
}

fn add_modifiers(own: &mut Value, modifiers: &Modifiers) {
    own["offset"] = json!(modifiers.offset.as_ref().map_or(0, ms));
    let (timestamp, edge) = match modifiers.at.map(|at| at.time) {
        None => (None, None),
        Some(AtTime::Fixed(at)) => (Some(at.0), None),
        Some(AtTime::Start) => (None, Some("start")),
        Some(AtTime::End) => (None, Some("end")),
    };
    own["timestamp"] = json!(timestamp);
    own["startOrEnd"] = json!(edge);
}

fn subquery_tree(subquery: &Subquery) -> Value {
    let mut own = json!({
        "type": "subquery",
        "expr": tree(&subquery.expr),
        "range": ms(&subquery.range),
        "step": subquery.step.as_ref().map_or(0, ms),
    });
    add_modifiers(&mut own, &subquery.modifiers);
    own
}

fn binary_tree(binary: &Binary) -> Value {
    json!({
        "type": "binaryExpr",
        "op": binary.op.sign(),
        "lhs": tree(&binary.left),
        "rhs": tree(&binary.right),
        "matching": binary.matching.as_ref().map(matching_tree),
        "bool": binary.return_bool,
    })
}

fn matching_tree(matching: &Matching) -> Value {
    let fill = |own: Option<NumberLiteral>| own.map(|number| json!(number.value));
    json!({
        "card": match matching.cardinality {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        },
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": {"lhs": fill(matching.fill_left), "rhs": fill(matching.fill_right)},
    })
}

fn aggregate_tree(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.name(),
        "expr": tree(&aggregate.expr),
        "param": aggregate.parameter.as_ref().map(tree),
        "grouping": aggregate.grouping.labels,
        "without": aggregate.grouping.without,
    })
}

fn call_tree(call: &Call) -> Value {
    let kinds: Vec<&str> = call.function.args.iter().map(|kind| kind_word(*kind)).collect();
    json!({
        "type": "call",
        "func": {
            "name": call.function.name,
            "argTypes": kinds,
            "variadic": variadic(call.function),
            "returnType": kind_word(call.function.returns),
        },
        "args": call.args.iter().map(tree).collect::<Vec<Value>>(),
    })
}

/// How many arguments may follow those that must be there; -1 for any number.
fn variadic(function: &Function) -> i64 {
    let must = function.args.len() - function.optional_count;
    match function.args_max {
        None => -1,
        Some(most) => most.saturating_sub(must) as i64,
    }
}

fn kind_word(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        let expr = promql::parse(text, &promql::ParseOptions::all()).expect("PromQL");
        assert_eq!(tree(&expr), expected, "{text}");
    }

    #[test]
    fn trees() {
        let up = json!({
            "type": "vectorSelector", "name": "up", "offset": 0, "timestamp": null,
            "startOrEnd": null, "anchored": false, "smoothed": false,
            "matchers": [{"name": "__name__", "value": "up", "type": "="}],
        });
        check("up", up.clone());
        check("1e3", json!({"type": "numberLiteral", "val": "1000"}));
        check("-Inf", json!({"type": "numberLiteral", "val": "-Inf"}));
        check(
            "-(1)",
            json!({
                "type": "unaryExpr", "op": "-",
                "expr": {"type": "parenExpr", "expr": {"type": "numberLiteral", "val": "1"}},
            }),
        );
        let mut at = up.clone();
        (at["offset"], at["timestamp"]) = (json!(300_000), json!(1500));
        check("up @ 1.5 offset 5m", at);
        let mut matrix = up.clone();
        (matrix["type"], matrix["range"]) = (json!("matrixSelector"), json!(60_000));
        matrix["startOrEnd"] = json!("end");
        check(
            "rate(up[1m] @ end())",
            json!({
                "type": "call", "args": [matrix],
                "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
            }),
        );
        check(
            "topk by (a) (3, (up))",
            json!({
                "type": "aggregation", "op": "topk", "grouping": ["a"], "without": false,
                "param": {"type": "numberLiteral", "val": "3"},
                "expr": {"type": "parenExpr", "expr": up},
            }),
        );
        check(
            "up > bool on (a) group_left (b) up",
            json!({
                "type": "binaryExpr", "op": ">", "lhs": up, "rhs": up, "bool": true,
                "matching": {"card": "many-to-one", "labels": ["a"], "on": true, "include": ["b"],
                    "fillValues": {"lhs": null, "rhs": null}},
            }),
        );
        check(
            "up[5m:1m]",
            json!({
                "type": "subquery", "expr": up, "range": 300_000, "step": 60_000, "offset": 0,
                "timestamp": null, "startOrEnd": null,
            }),
        );
    }
}
