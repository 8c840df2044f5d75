//! Series lines: what they mean and what is refused.
use proptest::prelude::*;

use super::*;

/// The items as short text: `_` missing, `S` stale, numbers, `H(sum)` histograms.
#[track_caller]
fn check(line: &str, metric: &str, items: &str) {
    let (labels, found) = parse_series_line(line).unwrap_or_else(|problem| {
        panic!("{line:?}: {}", problem.render(line));
    });
    let text: Vec<String> = found
        .iter()
        .map(|item| match item {
            Item::Missing => "_".to_owned(),
            Item::Float(value) if value.to_bits() == sample::STALE_NAN_BITS => "S".to_owned(),
            Item::Float(value) => value.to_string(),
            Item::Histogram(histogram) => format!("H({})", histogram.sum),
        })
        .collect();
    assert_eq!((labels.to_string().as_str(), text.join(" ").as_str()), (metric, items), "{line:?}");
}

#[track_caller]
fn check_refused(line: &str, expected: &str) {
    let problem = parse_series_line(line).expect_err(line);
    assert_eq!(problem.render(line), expected, "{line:?}");
}

#[test]
fn lines() {
    check("up 1 2 -3", "up", "1 2 -3");
    check("up{job=\"a\",}\t1  _ 2", "up{job=\"a\"}", "1 _ 2");
    check("{} _x3", "{}", "_ _ _");
    check("{\"a.b\", \"l.x\"=\"v\"} 1x3", "a.b{\"l.x\"=\"v\"}", "1 1 1 1");
    check("on 1+2x3", "on", "1 3 5 7");
    check("sum{by=\"x\"} 10-2.5x2", "sum{by=\"x\"}", "10 7.5 5");
    check("a -1-1x2 1e-3 010", "a", "-1 -2 -3 0.001 8");
    check("a 0x5", "a", "0 0 0 0 0 0");
    check("a Inf -inf nAn stale stalex1", "a", "inf -inf NaN S S S");
    check("a {{}} {{sum:1}}x1 {{sum:1 count:2}}+{{sum:2}}x2", "a", "H(0) H(1) H(1) H(1) H(3) H(5)");
    check("a", "a", "");
    check_refused("a b", "1:3: parse error: expected a number, _, stale or {{…}} in series values");
    check_refused("a 1y", "1:4: parse error: unexpected 'y' in series values");
    check_refused("a 1+2", "1:3: parse error: expected a repeat count (xN) after the increment");
    check_refused("a 1x", "1:3: parse error: expected a repeat count after x, got \"\"");
    check_refused("a 1x99999999", "1:3: parse error: more than 1000000 items on one line");
    check_refused("a{b!=\"c\"} 1", "1:1: parse error: only = is allowed between label and value");
}

#[test]
fn histograms() {
    let line = "h {{schema:1 SUM:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] \
                offset:-3 n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}}";
    let (_, items) = parse_series_line(line).expect("parses");
    let expected = HistogramLiteral {
        schema: 1,
        sum: -0.3,
        count: 3.1,
        zero_count: 7.1,
        zero_threshold: 0.05,
        offset: -3,
        buckets: vec![5.1, 10.0, 7.0],
        negative_offset: -5,
        negative_buckets: vec![4.1, 5.0],
        custom_values: Vec::new(),
        hint: Some(Hint::Gauge),
    };
    assert_eq!(items, [Item::Histogram(Box::new(expected))]);

    let line = "h {{schema:0 buckets:[1 1] offset:1}}+{{schema:1 buckets:[1 2 3]}}x1";
    let (_, items) = parse_series_line(line).expect("parses");
    let Item::Histogram(last) = &items[1] else { panic!("histogram") };
    // Fine buckets 0, 1, 2 fall into the coarse buckets 0, 1, 1.
    assert_eq!((last.offset, last.buckets.as_slice()), (0, &[1.0, 6.0, 1.0][..]));

    for (line, message) in [
        ("h {{sum:1 sum:2}}", "duplicate key \"sum\" in histogram"),
        ("h {{sum:x}}", "expected a number in histogram, got \"x\""),
        ("h {{sum:1", "unclosed histogram: }} is missing"),
        ("h {{nope:1}}", "unknown key \"nope\" in histogram"),
        ("h {{schema:1}}+{{schema:0}}x2", "schema 1 is finer than the increment's schema 0"),
    ] {
        assert_eq!(parse_series_line(line).expect_err(line).message, message);
    }
}

#[test]
fn start_timestamps() {
    let minute = 60_000;
    assert_eq!(
        parse_start_items("_ -1m _x2 -59999ms -1m+1sx1 0x1"),
        Ok(vec![
            None,
            Some(-minute),
            None,
            None,
            Some(-59_999),
            Some(-minute),
            Some(-59_000),
            Some(0),
            Some(0)
        ])
    );
    assert!(parse_start_items("1").is_err());
    assert!(parse_start_items("x3").is_err());
}

proptest! {
    #[test]
    fn never_panics(text in "[a-z_{}\\[\\]: x0-9+\\-\"=.]{0,40}") {
        let _ = parse_series_line(&text);
        let _ = parse_start_items(&text);
    }
}
