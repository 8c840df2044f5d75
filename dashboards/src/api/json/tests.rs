//! The JSON of answers against what the field writes, whole and in pieces.

use super::*;
use model::histogram::Buckets;

fn answer(value: Value) -> String {
    let answer = Answer {
        value,
        warnings: vec!["w \"1\"".to_owned()],
        infos: Vec::new(),
        stats: query::Stats::default(),
        held: Held::default(),
    };
    let pieces: Vec<u8> = Pieces::new(answer.clone(), None).flat_map(Piece::bytes).collect();
    let whole = Pieces::new(answer, None).join();
    assert_eq!(pieces, whole);
    String::from_utf8(whole).expect("text")
}

#[test]
fn shapes() {
    let at = TimestampMs(1_435_781_451_081);
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
    assert_eq!(
        answer(Value::Scalar { at, value: 1e-7 }),
        r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.081,"1e-07"]},"warnings":["w \"1\""]}"#
    );
    let vector = Value::Vector(vec![VectorSample {
        labels: labels.clone(),
        at: TimestampMs(1000),
        value: f64::INFINITY,
        histogram: None,
    }]);
    assert!(
        answer(vector)
            .contains(r#""result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1,"+Inf"]}]"#)
    );
    let points = vec![(TimestampMs(0), 0.5), (TimestampMs(-1500), f64::NAN)];
    let matrix = Value::Matrix(vec![MatrixSeries { labels, points, histograms: Vec::new() }]);
    assert!(answer(matrix).contains(r#""values":[[0,"0.5"],[-1.500,"NaN"]]"#));
    assert!(answer(Value::Vector(Vec::new())).contains(r#""result":[]"#));
}

#[test]
fn numbers() {
    let mut values = vec![0.0, -0.0, 1.0, -17.0, 0.1, 1e-6, 9.9e-7, 1e-7, 2.5e-12, 123_456.789];
    values.extend([1e14, 1e15, 1e16, 123_456_789_012_345_678.0, 1e20, 1e21, 1.5e300, 5e-324]);
    values.extend([f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN, 0.1 + 0.2, 4.0 / 3.0]);
    values
        .extend((0..2000u64).map(|seed| f64::from_bits(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
    values.extend((0..2000).map(|seed| f64::from(seed * 7919) / 1000.0));
    for value in values {
        let mut out = Vec::new();
        write_number(&mut out, value);
        let expected = model::sample::format_value(value);
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}

#[test]
fn long_answers_leave_in_pieces() {
    let series = |number: i64| MatrixSeries {
        labels: Labels::from_pairs([("i", number.to_string())]),
        // Every third series has instants of its own.
        points: (0..900).map(|at| (TimestampMs(at * 1500 + number % 3 / 2), at as f64)).collect(),
        histograms: Vec::new(),
    };
    let text = answer(Value::Matrix((0..20).map(series).collect()));
    let tree: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let values = &tree["data"]["result"][17]["values"];
    assert_eq!(values[3], serde_json::json!([4.501, "3"]));
    assert_eq!(values[899], serde_json::json!([1348.501, "899"]));
    assert_eq!(tree["data"]["result"][18]["values"][1][0], serde_json::json!(1.5));
}

#[test]
fn histograms() {
    let histogram = Histogram {
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 6.0,
        sum: 3.5,
        positive: Buckets::dense(0, vec![3.0, 0.0]),
        negative: Buckets::dense(0, vec![1.0]),
        ..Histogram::default()
    };
    let mut out = Vec::new();
    write_histogram(&mut out, TimestampMs(1500), &histogram);
    assert_eq!(
        String::from_utf8(out).expect("text"),
        concat!(
            r#"[1.500,{"count":"6","sum":"3.5","buckets":[[1,"-1","-0.5","1"],"#,
            r#"[3,"-0.001","0.001","2"],[0,"0.5","1","3"]]}]"#
        )
    );
}
