//! What is asked of the store, condition by condition.
use datafusion::prelude::{col, lit};

use super::*;

fn matchers(filter: Expr) -> Vec<String> {
    let shape = Shape::metric(&["job".to_owned(), "instance".to_owned()]);
    let selection = Selection::new(&shape, &[filter]);
    selection.matchers.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(filter: Expr, expected: &[&str]) {
    assert_eq!(matchers(filter.clone()), expected, "{filter}");
}

#[test]
fn labels() {
    check(col("job").eq(lit("a")), &[r#"job="a""#]);
    check(lit("a").eq(col("job")), &[r#"job="a""#]);
    check(col("job").not_eq(lit("a")), &[r#"job!="a""#]);
    check(
        col("job").eq(lit("a")).and(col("instance").eq(lit("b"))),
        &[r#"job="a""#, r#"instance="b""#],
    );
    check(col("job").eq(lit("a")).or(col("job").eq(lit("b.c"))), &[r#"job=~"a|b\\.c""#]);
    check(col("job").eq(lit("a")).or(col("instance").eq(lit("b"))), &[]);
    check(col("job").eq(lit("a")).or(col("value").gt(lit(1.0))), &[]);
    check(col("job").in_list(vec![lit("a"), lit("b")], true), &[r#"job!~"a|b""#]);
    check(col("job").like(lit("a_b%")), &[r#"job=~"a.b.*""#]);
    check(col("job").not_like(lit("a%")), &[]);
    check(col("job").is_null(), &[r#"job="""#]);
    check(col("job").is_not_null(), &[r#"job!="""#]);
    check(col("value").eq(lit("a")), &[]);
    check(col("job").gt(lit("a")), &[]);
}

#[test]
fn times() {
    let check = |op: Operator, at_ns: i64, expected: (i64, i64)| {
        let shape = Shape::metric(&[]);
        let at = Expr::Literal(ScalarValue::TimestampNanosecond(Some(at_ns), None), None);
        let binary = BinaryExpr::new(Box::new(col("ts")), op, Box::new(at));
        let selection = Selection::new(&shape, &[Expr::BinaryExpr(binary)]);
        assert_eq!((selection.first.0, selection.last.0), expected, "{op} {at_ns}");
    };
    let (min, max) = (i64::MIN, i64::MAX - 1);
    check(Operator::Gt, 5_000_000, (6, max));
    check(Operator::Gt, 5_000_001, (6, max));
    check(Operator::GtEq, 5_000_000, (5, max));
    check(Operator::GtEq, 5_000_001, (6, max));
    check(Operator::Lt, 5_000_000, (min, 4));
    check(Operator::Lt, 5_000_001, (min, 5));
    check(Operator::LtEq, 5_000_001, (min, 5));
    check(Operator::Eq, 5_000_000, (5, 5));
    check(Operator::Gt, -1, (0, max));
    check(Operator::Lt, -1, (min, -1));
    check(Operator::NotEq, 5_000_000, (min, max));
}
