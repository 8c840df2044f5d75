//! JSON of query answers, written once into the body.
//!
//! Place in the flow: [`query::Answer`] → **`write_answer`** → the HTTP body. Answers of a million
//! points are common, so no tree is built in between.
//!
//! Timestamps are seconds with three digits when they have a fraction; values are texts in Go's
//! shortest form, `NaN`, `+Inf`, `-Inf`; `resultType` stands before `result`.

use std::fmt::Write;

use model::Labels;
use model::histogram::{Bucket, Histogram};
use model::time::TimestampMs;
use query::{Answer, Value};

/// The whole body of a good answer.
pub fn write_answer(answer: &Answer, stats: Option<&str>) -> String {
    let mut out = String::with_capacity(256);
    out.push_str(r#"{"status":"success","data":{"resultType":""#);
    out.push_str(match &answer.value {
        Value::Scalar { .. } => "scalar",
        Value::Text { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    });
    out.push_str(r#"","result":"#);
    write_value(&mut out, &answer.value);
    if let Some(stats) = stats {
        out.push_str(r#","stats":"#);
        out.push_str(stats);
    }
    out.push('}');
    write_notices(&mut out, "warnings", &answer.warnings);
    write_notices(&mut out, "infos", &answer.infos);
    out.push('}');
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Scalar { at, value } => write_point(out, *at, *value),
        Value::Text { at, text } => {
            out.push('[');
            write_time(out, *at);
            out.push(',');
            write_text(out, text);
            out.push(']');
        }
        Value::Vector(samples) => write_list(out, samples, |out, sample| {
            out.push_str(r#"{"metric":"#);
            write_labels(out, &sample.labels);
            match &sample.histogram {
                Some(histogram) => {
                    out.push_str(r#","histogram":"#);
                    write_histogram(out, sample.at, histogram);
                }
                None => {
                    out.push_str(r#","value":"#);
                    write_point(out, sample.at, sample.value);
                }
            }
            out.push('}');
        }),
        Value::Matrix(series) => write_list(out, series, |out, series| {
            out.push_str(r#"{"metric":"#);
            write_labels(out, &series.labels);
            if !series.points.is_empty() || series.histograms.is_empty() {
                out.push_str(r#","values":"#);
                write_list(out, &series.points, |out, (at, value)| write_point(out, *at, *value));
            }
            if !series.histograms.is_empty() {
                out.push_str(r#","histograms":"#);
                write_list(out, &series.histograms, |out, (at, histogram)| {
                    write_histogram(out, *at, histogram);
                });
            }
            out.push('}');
        }),
    }
}

fn write_list<T>(out: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

fn write_notices(out: &mut String, name: &str, notices: &[String]) {
    if notices.is_empty() {
        return;
    }
    out.push(',');
    write_text(out, name);
    out.push(':');
    write_list(out, notices, |out, notice| write_text(out, notice));
}

fn write_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(out, name);
        out.push(':');
        write_text(out, value);
    }
    out.push('}');
}

fn write_point(out: &mut String, at: TimestampMs, value: f64) {
    out.push('[');
    write_time(out, at);
    out.push(',');
    write_quoted(out, value);
    out.push(']');
}

/// `[t, {count, sum, buckets: [[rule, "lower", "upper", "count"], …]}]`, empty buckets left out.
fn write_histogram(out: &mut String, at: TimestampMs, histogram: &Histogram) {
    out.push('[');
    write_time(out, at);
    for (name, value) in [(",{\"count\":", histogram.count), (",\"sum\":", histogram.sum)] {
        out.push_str(name);
        write_quoted(out, value);
    }
    let mut buckets = histogram.buckets();
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        write_list(out, &buckets, |out, bucket| {
            let _ = write!(out, "[{}", boundary_rule(bucket));
            for value in [bucket.lower, bucket.upper, bucket.count] {
                out.push(',');
                write_quoted(out, value);
            }
            out.push(']');
        });
    }
    out.push_str("}]");
}

/// 0: open left, 1: open right, 2: open at both ends, 3: closed at both ends.
fn boundary_rule(bucket: &Bucket) -> u8 {
    let is_point = bucket.lower == bucket.upper;
    match (bucket.lower < 0.0 || is_point, bucket.upper > 0.0 || is_point) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    }
}

fn write_quoted(out: &mut String, value: f64) {
    out.push('"');
    write_number(out, value);
    out.push('"');
}

/// Seconds; three digits after the point when there is a fraction.
fn write_time(out: &mut String, at: TimestampMs) {
    if at.0 < 0 {
        out.push('-');
    }
    let ms = at.0.unsigned_abs();
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", ms / 1000);
    if !ms.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

fn write_number(out: &mut String, value: f64) {
    let text = model::sample::format_value(value);
    // JSON encoders of the field write `1e-7` where the text format has `1e-07`.
    match text.split_once("e-0") {
        Some((mantissa, digit)) => {
            let _ = write!(out, "{mantissa}e-{digit}");
        }
        None => out.push_str(&text),
    }
}

fn write_text(out: &mut String, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::Buckets;
    use query::{MatrixSeries, VectorSample};

    fn answer(value: Value) -> String {
        let answer = Answer {
            value,
            warnings: vec!["w \"1\"".to_owned()],
            infos: Vec::new(),
            stats: query::Stats::default(),
        };
        write_answer(&answer, None)
    }

    #[test]
    fn shapes() {
        let at = TimestampMs(1_435_781_451_081);
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        assert_eq!(
            answer(Value::Scalar { at, value: 1e-7 }),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.081,"1e-7"]},"warnings":["w \"1\""]}"#
        );
        let vector = Value::Vector(vec![VectorSample {
            labels: labels.clone(),
            at: TimestampMs(1000),
            value: f64::INFINITY,
            histogram: None,
        }]);
        assert!(answer(vector).contains(
            r#""result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1,"+Inf"]}]"#
        ));
        let points = vec![(TimestampMs(0), 0.5), (TimestampMs(-1500), f64::NAN)];
        let matrix = Value::Matrix(vec![MatrixSeries { labels, points, histograms: Vec::new() }]);
        assert!(answer(matrix).contains(r#""values":[[0,"0.5"],[-1.500,"NaN"]]"#));
        assert!(answer(Value::Vector(Vec::new())).contains(r#""result":[]"#));
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
        let mut out = String::new();
        write_histogram(&mut out, TimestampMs(1500), &histogram);
        assert_eq!(
            out,
            concat!(
                r#"[1.500,{"count":"6","sum":"3.5","buckets":[[1,"-1","-0.5","1"],"#,
                r#"[3,"-0.001","0.001","2"],[0,"0.5","1","3"]]}]"#
            )
        );
    }
}
