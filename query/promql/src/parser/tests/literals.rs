//! Numbers and quoted texts.

use super::{all, check, check_number, check_refused};
use crate::ast::ExprKind;
use crate::parse;

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
    check_refused(r#""\q""#, "1:1: parse error: unknown escape sequence U+0071 'q'");
    check_refused(r#""\'""#, "1:1: parse error: unknown escape sequence U+0027 '''");
    check_refused(r#""\400""#, "1:1: parse error: octal escape value > 255");
}
