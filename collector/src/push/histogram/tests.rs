//! Native histograms: integers, floats, custom bounds, stale markers, contradictions.
use super::super::wire::*;
use super::*;

fn read(parts: &[Vec<u8>]) -> RawHistogram {
    RawHistogram::read(&parts.concat()).expect("decodes")
}

#[test]
fn integers_are_summed_up() {
    let raw = read(&[
        number(1, 21),
        double(3, 18.4),
        signed(4, -2),
        double(5, 0.001),
        number(6, 2),
        span(8, 0, 1),
        deltas(9, &[3]),
        span(11, -1, 2),
        span(11, 3, 2),
        deltas(12, &[1, 2, 1, 4]),
        number(14, 1),
        number(15, 1234),
        number(17, 1000),
    ]);
    assert_eq!((raw.at_ms, raw.start_ms), (1234, 1000));
    let histogram = raw.histogram.expect("good");
    assert_eq!((histogram.schema, histogram.zero_threshold), (-2, 0.001));
    assert_eq!((histogram.count, histogram.sum, histogram.zero_count), (21.0, 18.4, 2.0));
    let positive: Vec<_> = histogram.positive.iter().collect();
    assert_eq!(positive, [(-1, 1.0), (0, 3.0), (4, 4.0), (5, 8.0)]);
    assert_eq!(histogram.negative.iter().collect::<Vec<_>>(), [(0, 3.0)]);
    assert_eq!(histogram.hint, ResetHint::Reset);
}

#[test]
fn floats_are_taken_as_they_are() {
    let raw = read(&[
        double(2, 4.5),
        double(7, 0.5),
        span(11, 2, 2),
        packed_doubles(13, &[1.5, 2.5]),
        // Packed in two pieces, and one by one: protobuf allows both.
        span(8, 0, 2),
        packed_doubles(10, &[1.0]),
        double(10, 2.0),
        number(14, 3),
    ]);
    let histogram = raw.histogram.expect("good: floats need not add up");
    assert_eq!((histogram.count, histogram.zero_count), (4.5, 0.5));
    assert_eq!(histogram.positive.iter().collect::<Vec<_>>(), [(2, 1.5), (3, 2.5)]);
    assert_eq!(histogram.negative.counts(), [1.0, 2.0]);
    assert_eq!(histogram.hint, ResetHint::Gauge);
}

#[test]
fn custom_bounds() {
    let raw = read(&[
        number(1, 30),
        signed(4, -53),
        packed_doubles(16, &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0]),
        span(11, 0, 6),
        deltas(12, &[2, 1, 2, 3, -1, -2]),
    ]);
    let histogram = raw.histogram.expect("good");
    assert_eq!(histogram.custom_values, [0.1, 0.5, 1.0, 2.5, 5.0, 10.0]);
    assert_eq!(histogram.positive.counts(), [2.0, 3.0, 5.0, 8.0, 7.0, 5.0]);
}

#[test]
fn a_stale_marker_is_one() {
    let raw = read(&[double(3, model::sample::stale_nan()), number(15, 5)]);
    let histogram = raw.histogram.expect("good");
    assert_eq!(histogram.sum.to_bits(), model::sample::STALE_NAN_BITS);
}

#[track_caller]
fn refused(parts: &[Vec<u8>], text: &str) {
    let problem = read(parts).histogram.expect_err("refused");
    assert!(problem.contains(text), "{problem}");
}

#[test]
fn contradictions_are_refused() {
    let one = |count: i64| vec![number(1, count), span(11, 0, 1), deltas(12, &[3])];
    assert!(read(&one(3)).histogram.is_ok());
    refused(
        &one(99),
        "3 observations found in buckets, but the Count field is 99: histogram's observation count \
         should equal the number of observations found in the buckets (in absence of NaN)",
    );
    let nan = |count| [one(count), vec![double(3, f64::NAN)]].concat();
    assert!(read(&nan(99)).histogram.is_ok(), "what is no number is in no bucket");
    refused(&nan(2), "should be at least the number of observations found in the buckets");
    refused(
        &[number(1, 3), span(11, 0, 2), deltas(12, &[3])],
        "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify different",
    );
    refused(
        &[number(1, 4), span(8, 0, 1), span(8, -1, 1), deltas(9, &[2, 0])],
        "negative side: span number 2 with offset -1: histogram has a span whose offset is negative",
    );
    refused(
        &[number(1, 3), span(11, 0, 2), deltas(12, &[3, -4])],
        "histogram has a bucket whose observation count is negative",
    );
    refused(&[number(1, 1), span(11, 0, 1), deltas(12, &[i64::MAX, 1, 1])], "histogram");
    refused(&[signed(4, 9)], "schema");
    refused(&[signed(4, -53), packed_doubles(16, &[1.0, 1.0])], "strictly increasing order");
    refused(&[signed(4, -53), packed_doubles(16, &[f64::INFINITY])], "must be finite");
    refused(&[signed(4, -53), number(6, 0), double(5, 0.1)], "zero bucket");
    refused(&[double(2, -1.0)], "negative");
}
