//! Operators: how tightly they bind, what may stand behind them.

use super::{all, check, check_refused};
use crate::ast::{Expr, ExprKind};
use crate::{parse, print};

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
    check("Inf >= a", "+Inf >= a");
    check("Inf ^ a", "Inf ^ a");
    check("unless or and and or", "unless or and and or");
    check("a + on() 1", "a + 1");
    check("-1 ^ 2", "-1 ^ 2");
    check("-Inf ^ a", "-Inf ^ a");
    check("-Inf * a", "-Inf * a");

    check_refused("1 +", "1:4: parse error: unexpected end of input");
    check_refused("*1", "1:1: parse error: unexpected <op:*>");
    check_refused("(1", "1:3: parse error: unclosed left parenthesis");
    check_refused("(1))", "1:5: parse error: unexpected right parenthesis ')'");
    check_refused("1 !~ 1", "1:3: parse error: unexpected character after '!': '~'");
    check_refused("1 =~ 1", "1:3: parse error: unexpected character after '=': '~'");
    check_refused("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier");
    check_refused(
        "a + bool b",
        "1:3: parse error: bool modifier can only be used on comparison operators",
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
        "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
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
        "1:1: parse error: filling in missing series not allowed for set operators",
    );
}
