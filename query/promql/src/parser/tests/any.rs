//! Any text, and any query.

use proptest::prelude::*;

use super::all;
use crate::{ParseOptions, parse, pretty, print};

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
