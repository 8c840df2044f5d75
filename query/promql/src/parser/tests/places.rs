//! Which bytes a node was read from.

use super::all;
use crate::parse;

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
