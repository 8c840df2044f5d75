//! Calls and aggregations, and what is switched off on a plain server.

use super::{all, check, check_gated, check_refused};
use crate::{ParseOptions, parse};

#[test]
fn calls_and_aggregations() {
    check("SUM BY (a,b,) (up)", "sum by (a, b) (up)");
    check("sum(up) without (\"x.y\", sum, on)", "sum without (\"x.y\", sum, on) (up)");
    check("sum by () (up)", "sum(up)");
    check("topk by (x) (5, up)", "topk by (x) (5, up)");
    check("count_values(\"v\", up)", "count_values(\"v\", up)");
    check("hour()", "hour()");
    check("round(up, 5)", "round(up, 5)");
    check("info(up, {x=~\".*\"})", "info(up, {x=~\".*\"})");
    check("label_join(up, \"a\", \"b\")", "label_join(up, \"a\", \"b\")");
    check("start() + end() + range() + step()", "start() + end() + range() + step()");

    check_refused(
        "abs(rate(), 1)",
        "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 2",
    );
    check_refused(
        "abs(up, on)",
        "1:7: parse error: trailing commas not allowed in function call args",
    );
    check_refused("sum(abs(up) BY)", "1:13: parse error: unexpected <BY> in aggregation");
    check_refused("abs(up = 1)", "1:8: parse error: unexpected \"=\"");
    check_refused("foo @ -Inf", "1:1: parse error: timestamp out of bounds for @ modifier: -Inf");
    check_refused("nope(up)", "1:1: parse error: unknown function with name \"nope\"");
    check_refused("abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0");
    check_refused(
        "hour(up, up)",
        "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2",
    );
    check_refused(
        "label_join(up)",
        "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 1",
    );
    check_refused(
        "rate(up)",
        "1:6: parse error: expected type range vector in call to function \"rate\", \
         got instant vector",
    );
    check_refused("sum()", "1:1: parse error: no arguments for aggregate expression provided");
    check_refused(
        "topk(up)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, \
         expected 2, got 1",
    );
    check_refused(
        "topk(up, up)",
        "1:6: parse error: expected type scalar in aggregation parameter, got instant vector",
    );
    check_refused(
        "sum by (a:b) (up)",
        "1:9: parse error: unexpected metric identifier \"a:b\" in grouping opts, expected label",
    );
    check_refused("sum by (\"\") (up)", "1:9: parse error: invalid label name for grouping: \"\"");
    check_refused(
        "abs(up,)",
        "1:7: parse error: trailing commas not allowed in function call args",
    );
    check_refused(
        "info(up, target_info)",
        "1:10: parse error: expected label selectors only, got vector selector instead",
    );
}

#[test]
fn gates() {
    check_gated(
        "limitk(1, up)",
        "1:1: parse error: limitk() is experimental and must be enabled with \
         --enable-feature=promql-experimental-functions",
    );
    check_gated(
        "1 + mad_over_time(up[5m])",
        "1:5: parse error: function \"mad_over_time\" is not enabled: it is experimental and \
         must be enabled with --enable-feature=promql-experimental-functions",
    );
    check_gated(
        "up[5m] smoothed",
        "1:8: parse error: smoothed modifier is experimental and not enabled",
    );
    check_gated(
        "a + fill(1) b",
        "1:5: parse error: binary operation fill modifiers are experimental and not enabled",
    );
    let options = ParseOptions { duration_expressions: false, ..all() };
    let problems = parse("up[5m*2]", &options).expect_err("gated");
    assert_eq!(problems[0].message, "duration expressions are not enabled");
}
