//! What the parser takes, what it refuses, and where it points.
use proptest::prelude::*;

use crate::ast::*;
use crate::{ParseOptions, parse, pretty, print};

fn all() -> ParseOptions {
    ParseOptions::all()
}

/// The text is accepted and printed like this.
#[track_caller]
fn check(text: &str, printed: &str) {
    let expr = parse(text, &all()).unwrap_or_else(|problems| {
        panic!("{text:?} is refused: {}", problems[0].render(text));
    });
    assert_eq!(print(&expr), printed, "{text:?}");
    let again = parse(printed, &all()).expect("what was printed parses");
    assert_eq!(print(&again), printed, "second round of {text:?}");
    let laid_out = parse(&pretty(&expr), &all()).expect("what was laid out parses");
    assert_eq!(print(&laid_out), printed, "laid out {text:?}");
}

/// The text is refused with this first problem.
#[track_caller]
fn check_refused(text: &str, expected: &str) {
    match parse(text, &all()) {
        Ok(expr) => panic!("{text:?} is accepted as {}", print(&expr)),
        Err(problems) => assert_eq!(problems[0].render(text), expected, "{text:?}"),
    }
}

/// Refused by a plain server with this message.
#[track_caller]
fn check_gated(text: &str, expected: &str) {
    assert!(parse(text, &all()).is_ok(), "{text:?}");
    let problems = parse(text, &ParseOptions::default()).expect_err("gated");
    assert_eq!(problems[0].render(text), expected, "{text:?}");
}

#[track_caller]
fn check_number(text: &str, expected: f64) {
    let expr = parse(text, &all()).expect(text);
    match expr.kind {
        ExprKind::Number(number) => {
            assert!(
                number.value == expected || (number.value.is_nan() && expected.is_nan()),
                "{text}: {}",
                number.value
            );
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn numbers() {
    check_number("1", 1.0);
    check_number("+Inf", f64::INFINITY);
    check_number("-iNf", f64::NEG_INFINITY);
    check_number("nAn", f64::NAN);
    check_number(".5", 0.5);
    check_number("5.", 5.0);
    check_number("5e-3", 0.005);
    check_number("0x1F", 31.0);
    check_number("0755", 493.0);
    check_number("09", 9.0);
    check_number("1_000_000", 1e6);
    check_number("0x_ff", 255.0);
    check_number("5m", 300.0);
    check_number("1h30m", 5400.0);
    check_number("-1500ms", -1.5);
    check_refused(
        "1__0",
        "1:1: parse error: error parsing number: \"1__0\": '_' must separate digits",
    );
    check_refused("1e400", "1:1: parse error: error parsing number: \"1e400\": value out of range");
    check_refused("0deadbeef", "1:1: parse error: bad number or duration syntax: \"0de\"");
    check_refused("5mm", "1:1: parse error: bad number or duration syntax: \"5mm\"");
    // A character of several bytes behind it is shown whole.
    check_refused(
        "1h830\u{e9}",
        "1:1: parse error: bad number or duration syntax: \"1h830\u{e9}\"",
    );
    check_refused("100..4", "1:5: parse error: unexpected number \".4\"");
    check_refused("30m1h", "1:1: parse error: not a valid duration string: \"30m1h\"");
    check_refused(".", "1:1: parse error: unexpected character: '.'");
}

#[test]
fn strings() {
    #[track_caller]
    fn check_string(text: &str, expected: &[u8]) {
        match parse(text, &all()).expect(text).without_parens().kind {
            ExprKind::String(ref literal) => assert_eq!(literal.bytes, expected, "{text}"),
            ref other => panic!("{text}: {other:?}"),
        }
    }
    check_string(r#""a\n\t\\\"'""#, b"a\n\t\\\"'");
    check_string(r#"'a"\''"#, b"a\"'");
    check_string("`a\\n\nb`", b"a\\n\nb");
    check_string(r#""\xff\101\u00e9\U0001F600""#, b"\xffA\xc3\xa9\xf0\x9f\x98\x80");
    check_string(r#"("")"#, b"");
    check(r#""\xff\a""#, r#""\xff\x07""#);
    check_refused("\"a", "1:1: parse error: unterminated quoted string");
    check_refused("\"a\nb\"", "1:1: parse error: unterminated quoted string");
    check_refused("`a", "1:1: parse error: unterminated raw string");
    check_refused(r#""\q""#, "1:1: parse error: unknown escape sequence U+0071");
    check_refused(r#""\'""#, "1:1: parse error: unknown escape sequence U+0027");
    check_refused(r#""\400""#, "1:1: parse error: octal escape value > 255");
}

#[test]
fn precedence() {
    /// Writes every operator with its operands in brackets.
    fn shape(expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Binary(binary) => {
                let (left, right) = (shape(&binary.left), shape(&binary.right));
                format!("[{left} {} {right}]", binary.op.sign())
            }
            ExprKind::Unary(unary) => format!("[- {}]", shape(&unary.operand)),
            _ => print(expr),
        }
    }
    #[track_caller]
    fn check_shape(text: &str, expected: &str) {
        assert_eq!(shape(&parse(text, &all()).expect(text)), expected, "{text}");
    }
    check_shape("1 + 2 * 3 ^ 2", "[1 + [2 * [3 ^ 2]]]");
    check_shape("2 ^ 3 ^ 2", "[2 ^ [3 ^ 2]]");
    check_shape("a - b - c", "[[a - b] - c]");
    check_shape("-a ^ 2", "[- [a ^ 2]]");
    check_shape("-a * b", "[[- a] * b]");
    check_shape("2 ^ -a * b", "[[2 ^ [- a]] * b]");
    check_shape("a or b and c unless d", "[a or [[b and c] unless d]]");
    check_shape("a and b or c == d + e atan2 f", "[[a and b] or [c == [d + [e atan2 f]]]]");
    check_shape("a > bool b == c", "[[a > b] == c]");
    check_shape("a </ 1 + 2", "[a </ [1 + 2]]");
    check_shape("a offset 2 ^ 2", "[a offset 2s ^ 2]");
    check_shape("a offset -2 * 2", "[a offset -2s * 2]");
    check_shape("a offset step()*0", "[a offset step() * 0]");
    check_shape("---a", "[- [- [- a]]]");
}

#[test]
fn selectors() {
    check("up", "up");
    check("up{}", "up");
    check(r#"up{b="1",a!~'2',}"#, r#"up{a!~"2",b="1"}"#);
    check(r#"{"my.metric", "l.x"="v"}"#, r#"{"my.metric","l.x"="v"}"#);
    check(r#"{"up"}"#, "up");
    check(r#"{__name__="up"}"#, r#"{__name__="up"}"#);
    check("a:b:c", "a:b:c");
    check("sum", "sum");
    check("sum + by + offset + start", "sum + by + offset + start");
    check("up offset 5m", "up offset 5m");
    check("up offset -1h30m @ 10", "up @ 10.000 offset -1h30m");
    check("up @ -1.5", "up @ -1.500");
    check("up @ start()", "up @ start()");
    check("up[5m] @ END()", "up[5m] @ end()");
    check("up[300]", "up[5m]");
    check("up[5m*2+1]", "up[5m * 2 + 1]");
    check("up[max_of(step(), range()/2)]", "up[max_of(step(), range() / 2)]");
    check("up[-5m+35m]", "up[-5m + 35m]");
    check("up[1h:]", "up[1h:]");
    check("up[1h:step()+1]", "up[1h:step() + 1]");
    check("rate(up[5m])[1h:1m] offset 1d", "rate(up[5m])[1h:1m] offset 1d");
    check("up offset (2 * 2)", "up offset (2 * 2)");
    check("up offset -min_of(step(), 1s)^0", "up offset -min_of(step(), 1s) ^ 0");
    check("rate(up[5m] anchored offset 1m)", "rate(up[5m] anchored offset 1m)");
    check("up smoothed", "up smoothed");
    check("{x=\"inf\"} # comment\n", "{x=\"inf\"}");
}

#[test]
fn refused_selectors() {
    check_refused("", "1:1: parse error: no expression found in input");
    check_refused("# only\n\n", "3:1: parse error: no expression found in input");
    check_refused(
        "{}",
        "1:1: parse error: vector selector must contain at least one non-empty matcher",
    );
    check_refused(
        r#"{x=~".*"}"#,
        "1:1: parse error: vector selector must contain at least one non-empty matcher",
    );
    check_refused(
        r#"a{__name__="b"}"#,
        r#"1:1: parse error: metric name must not be set twice: "a" or "b""#,
    );
    check_refused("a{", "1:3: parse error: unexpected end of input inside braces");
    check_refused("a}", "1:2: parse error: unexpected character: '}'");
    check_refused(
        "a{b=c}",
        "1:5: parse error: unexpected identifier \"c\" in label matching, expected string",
    );
    check_refused(
        "a{b}",
        "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator",
    );
    check_refused(
        "a{,}",
        "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\"",
    );
    check_refused("up[0]", "1:4: parse error: duration must be greater than 0");
    check_refused("up[5m-5m]", "1:4: parse error: duration must be greater than 0");
    check_refused("up[1/0]", "1:4: parse error: division by zero");
    check_refused("foo[1e300]", "1:5: parse error: duration out of range");
    check_refused("foo offset 1e300", "1:12: parse error: duration out of range");
    check_refused("foo offset NaN", "1:12: parse error: duration out of range");
    check_refused(
        "foo @ 1e20",
        "1:7: parse error: timestamp out of bounds for @ modifier: 100000000000000000000",
    );
    check_refused("up[5m", "1:6: parse error: unclosed left bracket");
    check_refused(
        "up[]",
        "1:4: parse error: unexpected \"]\" in subquery or range selector, \
         expected number, duration, step(), or range()",
    );
    check_refused("up offset 1s[5m]", "1:1: parse error: no offset modifiers allowed before range");
    check_refused("up @ 1[5m]", "1:1: parse error: no @ modifiers allowed before range");
    check_refused(
        "up offset 1s offset 2s",
        "1:1: parse error: offset may not be set multiple times",
    );
    check_refused("up @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times");
    check_refused("(a + b)[5m]", "1:8: parse error: ranges only allowed for vector selectors");
    check_refused(
        "1 offset 1d",
        "1:1: parse error: offset modifier must be preceded by an instant vector selector or \
         range vector selector or a subquery",
    );
    check_refused("on", "1:1: parse error: unexpected <on>");
    check_refused("a ü", "1:3: parse error: unexpected character: 'ü'");
    check_refused(
        "up[5m] anchored smoothed",
        "1:1: parse error: anchored and smoothed modifiers cannot be used together",
    );
}

#[test]
fn operators() {
    check("a+b", "a + b");
    check("a == BOOL on(x,y) group_left() b", "a == bool on (x, y) group_left () b");
    check("a + ignoring(x) b", "a + ignoring (x) b");
    check("a + ignoring() b", "a + b");
    check("a + on() b", "a + on () b");
    check("a and on(\"x.y\", bool) b", "a and on (\"x.y\", bool) b");
    check("a * on(x) group_right (y, z,) b", "a * on (x) group_right (y, z) b");
    check("a + fill(-1) b", "a + fill (-1) b");
    check(
        "a + on(x) fill_left(1) fill_right(NaN) b",
        "a + on (x) fill_left (1) fill_right (NaN) b",
    );
    check("a + fill", "a + fill");
    check("h >/ -1 </ 2", "h >/ -1 </ 2");
    check("-1 ^ 2", "-1 ^ 2");
    check("-Inf ^ a", "-Inf ^ a");
    check("-Inf * a", "-Inf * a");

    check_refused("1 +", "1:4: parse error: unexpected end of input");
    check_refused("*1", "1:1: parse error: unexpected <op:*>");
    check_refused("(1", "1:3: parse error: unclosed left parenthesis");
    check_refused("(1))", "1:4: parse error: unexpected right parenthesis ')'");
    check_refused("1 !~ 1", "1:3: parse error: unexpected character after '!': '~'");
    check_refused("1 =~ 1", "1:3: parse error: unexpected character after '=': '~'");
    check_refused("1 == 1", "1:1: parse error: comparisons between scalars must use BOOL modifier");
    check_refused(
        "a + bool b",
        "1:1: parse error: bool modifier can only be used on comparison operators",
    );
    check_refused(
        "a and 1",
        "1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
    );
    check_refused(
        "a or on(x) group_left(y) b",
        "1:1: parse error: no grouping allowed for \"or\" operation",
    );
    check_refused(
        "a == on(x) group_left(y,x) b",
        "1:1: parse error: label \"x\" must not occur in ON and GROUP clause at once",
    );
    check_refused("a - on(x) ignoring(y) b", "1:11: parse error: unexpected <ignoring>");
    check_refused(
        "a + on(x) 1",
        "1:1: parse error: vector matching only allowed between instant vectors",
    );
    check_refused(
        "a + \"b\"",
        "1:5: parse error: binary expression must contain only scalar and instant vector types",
    );
    check_refused(
        "-\"a\"",
        "1:1: parse error: unary expression only allowed on expressions of type scalar or instant \
         vector, got \"string\"",
    );
    check_refused(
        "a and fill(1) b",
        "1:1: parse error: filling in of missing series not allowed for set operators",
    );
}

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

/// Texts that a reader might let through; what matters is that they are refused.
const REFUSED: &[&str] = &[
    "2.5.",
    "1 /",
    "((1)",
    "1 or 1",
    "1 unless 1",
    "-test[5m]",
    "*test",
    "1 and foo",
    "foo unless 1",
    "1 or on(bar) foo",
    "foo == on(bar) 10",
    "foo > group_left(baz) bar",
    "foo and on(bar) group_left(baz) bar",
    "foo + bool 10",
    "foo and bool bar",
    "foo @ +Inf",
    "foo @ NaN",
    "foo @ -Inf",
    "foo @ start",
    "foo @ bar",
    "{",
    "}",
    "foo{1}",
    "foo{a:b=\"c\"}",
    "foo{a*\"b\"}",
    "foo{a>=\"b\"}",
    "foo{a=\"\\xff\"}",
    "{x=\"\"}",
    "{x!~\".+\"}",
    "{x!=\"a\"}",
    "foo{__name__= =}",
    "foo{__name__ == \"bar\"}",
    "foo{__name__=\"bar\" lol}",
    "foo{\"bar\"}",
    "{\"foo\", \"bar\"}",
    "{\"\"}",
    "foo{bar=~\"(\"}",
    "foo[5m1]",
    "foo[5m:1m1]",
    "foo[5y1hs]",
    "foo[5m1h]",
    "foo[5m1m]",
    "foo[0m]",
    "foo[0]",
    "foo[-5m]",
    "foo[\"5m\"]",
    "foo[5m",
    "foo[5m:0]",
    "foo[5m:5m-10m]",
    "foo[5m[",
    "foo[[5m]]",
    "foo[inf]",
    "foo[5m] OFFSET",
    "foo OFFSET 1m[5m]",
    "foo offset bar",
    "foo offset (5m",
    "5m[5m]",
    "sum by ()",
    "sum some_metric by (test)",
    "sum (some_metric) by test",
    "sum (some_metric) without (test) by (test)",
    "sum without (test) (some_metric) by (test)",
    "sum by (1) (foo)",
    "topk(foo,)",
    "topk(foo)",
    "count_values(5, foo)",
    "sum(foo, bar)",
    "rate(foo[5m]) by (x)",
    "rate(foo[5m]) offset 5m",
    "floor(1)",
    "vector(foo)",
    "time(1)",
    "label_replace(a, `b`, `c`, `d`)",
    "absent(foo[5m])",
    "rate(foo[5m:1m)",
    "foo[5m] + 1",
    "foo[5m:1m] + 1",
    "\"a\" == \"a\"",
    "\"a\"[5m]",
    "\"a\" offset 5m",
    "foo bar",
    "foo 1",
    "1 2",
    "a{b='c'} d",
    "foo{a='b'}}",
    "++",
    "e-+=/(0)",
    "bool",
    "ignoring",
    "group_left(a)",
    "foo + fill(a) bar",
    "foo + fill(1) fill_left(2) bar",
    "1 + fill(1) 2",
    "foo </ \"a\"",
    "foo smoothed smoothed",
    "sum(foo) smoothed",
    "foo[5m:1m] anchored",
    "info(foo, bar)",
    "info(foo, 1)",
    "info(foo, {a=\"b\"}, {c=\"d\"})",
    "Rate(foo[5m])",
    "$foo",
    "foo;",
    "foo | bar",
    "@ 5",
    "offset 5m",
    "[5m]",
    "histogram_quantiles(foo, \"q\")",
];

#[test]
fn refuses_what_prometheus_refuses() {
    let long_number = "9".repeat(400);
    for text in REFUSED.iter().chain([&long_number.as_str()]) {
        assert!(parse(text, &all()).is_err(), "{text:?} is accepted");
    }
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

#[test]
fn positions() {
    #[track_caller]
    fn check_spans(text: &str, expected: &[&str]) {
        let mut spans = Vec::new();
        parse(text, &all()).expect(text).walk(&mut |expr| {
            spans.push(&text[expr.span.start_byte..expr.span.end_byte]);
        });
        assert_eq!(spans, expected, "{text}");
    }
    check_spans("a + b * -c", &["a + b * -c", "a", "b * -c", "b", "-c", "c"]);
    check_spans(
        " sum by (x) (rate(a{b=\"c\"}[5m] offset 1m)) ",
        &[
            "sum by (x) (rate(a{b=\"c\"}[5m] offset 1m))",
            "rate(a{b=\"c\"}[5m] offset 1m)",
            "a{b=\"c\"}[5m] offset 1m",
        ],
    );
    check_spans("sum(a) by (x)", &["sum(a) by (x)", "a"]);
    check_spans("(a)[1h:] @ 5", &["(a)[1h:] @ 5", "(a)", "a"]);
    check_spans("-1 + 2", &["-1 + 2", "-1", "2"]);
}

#[test]
fn limits_hold() {
    let nested = |count: usize| format!("{}a{}", "(".repeat(count), ")".repeat(count));
    assert!(parse(&nested(100), &all()).is_ok());
    assert!(parse(&nested(100_000), &all()).is_err());
    assert!(parse(&"-".repeat(100_000), &all()).is_err());
    assert!(parse(&format!("{}a", "abs(".repeat(50_000)), &all()).is_err());
    assert!(parse(&format!("a[{}1{}]", "(".repeat(9_000), ")".repeat(9_000)), &all()).is_err());
    assert!(parse(&format!("a[1{}]", "+1".repeat(9_000)), &all()).is_err());
    let chain = |count: usize| format!("a{}", " + a".repeat(count));
    assert!(parse(&chain(500), &all()).is_ok_and(|expr| print(&expr).len() > 1500));
    assert!(parse(&chain(100_000), &all()).is_err());
    assert!(parse(&format!("a{}", " ^ a".repeat(100_000)), &all()).is_err());
    assert!(parse(&format!("a{}", "[1h:1m]".repeat(10)), &all()).is_err());
    assert!(parse(&" ".repeat(crate::QUERY_BYTES_MAX + 1), &all()).is_err());
    let wide = format!("label_join(a, \"x\", \"y\"{})", ", \"abcdefgh\"".repeat(80_000));
    assert!(parse(&wide, &all()).is_ok());
}

/// Texts that look like queries: words of the language in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "sum",
        "by",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "5m",
        "1",
        "1h:1m",
        "+",
        "-",
        "^",
        "</",
        "or",
        "on",
        "group_left",
        "fill",
        "bool",
        "offset",
        "@",
        "start",
        "end",
        "step",
        "rate",
        "info",
        "topk",
        "\"x\"",
        "'",
        "`",
        "=",
        "=~",
        "x=\"y\"",
        "anchored",
        "smoothed",
        "min_of",
        "0x",
        "1e",
        "é",
        "#",
        "\n",
        "==",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

/// Queries that are accepted.
fn queries() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "a{b=\"c\"}",
        "{\"x.y\"}",
        "1",
        "-5m",
        "a offset 1m",
        "a @ 5",
        "a offset -(step()*2)",
        "vector(1)",
        "hour()",
        "a smoothed",
        "rate(a[5m])",
        "rate(a[5m] anchored @ end())",
        "time()",
        "0x1f",
        "1e30",
        "-Inf",
        "NaN",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(6, 40, 3, |inner| {
        prop_oneof![
            (
                inner.clone(),
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*", "^", "atan2", "</"])
            )
                .prop_map(|(left, right, op)| format!("{left} {op} {right}")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("-{inner}")),
            inner.clone().prop_map(|inner| format!("sum by (x) (vector(1) * {inner})")),
            inner
                .clone()
                .prop_map(|inner| format!("max_over_time((a / {inner})[1h:5m] offset 1m)")),
            inner.prop_map(|inner| format!("topk(2, a == on (x) group_left (y) (a + {inner}))")),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics_on_words(text in words()) {
        let _ = parse(&text, &all());
    }

    #[test]
    fn never_panics_on_anything(text in any::<String>()) {
        let _ = parse(&text, &ParseOptions::default());
    }

    #[test]
    fn printed_text_gives_the_same_tree(text in queries()) {
        let expr = parse(&text, &all()).expect("accepted");
        let printed = print(&expr);
        let again = parse(&printed, &all()).expect("printed text parses");
        prop_assert_eq!(&print(&again), &printed);
        let laid_out = parse(&pretty(&expr), &all()).expect("laid out text parses");
        prop_assert_eq!(&print(&laid_out), &printed);
    }
}
