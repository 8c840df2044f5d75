//! What the parser takes, what it refuses, and where it points.

use crate::ast::ExprKind;
use crate::{ParseOptions, parse, pretty, print};

mod any;
mod calls;
mod limits;
mod literals;
mod operators;
mod places;
mod refused;
mod selectors;

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
