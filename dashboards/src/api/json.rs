//! JSON of query answers, written once into the body.
//!
//! Place in the flow: [`query::Answer`] → **`Chunks`** → the HTTP body. Answers of a million points
//! are common, so no tree is built in between, and a long one leaves in pieces while it is written.
//!
//! Timestamps are seconds with three digits when they have a fraction; values are texts in Go's
//! shortest form, `NaN`, `+Inf`, `-Inf`; `resultType` stands before `result`.

use model::Labels;
use model::histogram::{Bucket, Histogram};
use model::time::TimestampMs;
use query::{Answer, MatrixSeries, Value, VectorSample};

/// Bytes after which a piece ends, at the next series.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of a point, about.
const POINT_BYTES: usize = 28;
/// Bytes of a point at most, but for numbers that are written out in full length.
const POINT_BYTES_MAX: usize = 64;

/// The body of a good answer in pieces; together they are the JSON.
pub struct Chunks {
    answer: Answer,
    stats: Option<String>,
    next: Part,
    times: Times,
}

/// What comes next.
enum Part {
    Head,
    Series(usize),
    Nothing,
}

impl Chunks {
    /// The pieces of an answer.
    pub fn new(answer: Answer, stats: Option<String>) -> Chunks {
        Chunks { answer, stats, next: Part::Head, times: Times::default() }
    }

    /// How many bytes there are in all, about.
    pub fn bytes_estimate(&self) -> usize {
        match &self.answer.value {
            Value::Matrix(series) => {
                let own = |one: &MatrixSeries| one.points.len() + 20 * one.histograms.len() + 4;
                series.iter().map(own).sum::<usize>() * POINT_BYTES
            }
            Value::Vector(samples) => samples.len() * 5 * POINT_BYTES,
            Value::Scalar { .. } | Value::Text { .. } => 5 * POINT_BYTES,
        }
    }

    /// All pieces as one.
    pub fn join(mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes_estimate() + 256);
        while self.write_some(&mut out, usize::MAX) {}
        out
    }

    /// Writes at least so many bytes, or the rest. Answers whether anything was left to write.
    fn write_some(&mut self, out: &mut Vec<u8>, bytes: usize) -> bool {
        let mut index = match self.next {
            Part::Nothing => return false,
            Part::Series(index) => index,
            Part::Head => {
                out.extend_from_slice(br#"{"status":"success","data":{"resultType":""#);
                out.extend_from_slice(self.answer.value.kind().as_bytes());
                out.extend_from_slice(br#"","result":"#);
                match &self.answer.value {
                    Value::Scalar { at, value } => write_point(out, *at, *value),
                    Value::Text { at, text } => {
                        out.push(b'[');
                        write_time(out, *at);
                        out.push(b',');
                        write_text(out, text);
                        out.push(b']');
                    }
                    Value::Vector(_) | Value::Matrix(_) => out.push(b'['),
                }
                0
            }
        };
        let length = match &self.answer.value {
            Value::Vector(samples) => Some(samples.len()),
            Value::Matrix(series) => Some(series.len()),
            Value::Scalar { .. } | Value::Text { .. } => None,
        };
        while length.is_some_and(|length| index < length) {
            if out.len() >= bytes {
                self.next = Part::Series(index);
                return true;
            }
            if index > 0 {
                out.push(b',');
            }
            match &self.answer.value {
                Value::Vector(samples) => write_sample(out, &samples[index]),
                Value::Matrix(series) => write_series(out, &series[index], &mut self.times),
                Value::Scalar { .. } | Value::Text { .. } => {}
            }
            index += 1;
        }
        if length.is_some() {
            out.push(b']');
        }
        if let Some(stats) = &self.stats {
            out.extend_from_slice(br#","stats":"#);
            out.extend_from_slice(stats.as_bytes());
        }
        out.push(b'}');
        write_notices(out, "warnings", &self.answer.warnings);
        write_notices(out, "infos", &self.answer.infos);
        out.push(b'}');
        self.next = Part::Nothing;
        true
    }
}

impl Iterator for Chunks {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(3 * CHUNK_BYTES);
        self.write_some(&mut out, CHUNK_BYTES).then_some(out)
    }
}

/// The instants of the series written first, as text: those of the others are the same as a rule.
#[derive(Default)]
struct Times {
    at_ms: Vec<i64>,
    leads: Vec<Lead>,
}

impl Times {
    fn learn(&mut self, points: &[(TimestampMs, f64)]) {
        if self.at_ms.is_empty() {
            self.at_ms = points.iter().map(|(at, _)| at.0).collect();
            self.leads = points.iter().map(|(at, _)| Lead::new(*at)).collect();
        }
    }

    fn write(&self, out: &mut Vec<u8>, index: usize, at: TimestampMs) {
        match self.at_ms.get(index) {
            Some(known) if *known == at.0 => self.leads[index].write(out),
            _ => Lead::new(at).write(out),
        }
    }
}

/// Room for a lead: seconds have sixteen digits at most.
const LEAD_BYTES: usize = 32;

/// What stands before the value of a point: `,[1435781451.781,"`.
struct Lead {
    bytes: [u8; LEAD_BYTES],
    length: usize,
}

impl Lead {
    fn new(at: TimestampMs) -> Lead {
        let mut text = Vec::with_capacity(LEAD_BYTES);
        text.extend_from_slice(b",[");
        write_time(&mut text, at);
        text.extend_from_slice(b",\"");
        let length = text.len();
        text.resize(LEAD_BYTES, 0);
        Lead { bytes: text.try_into().expect("it was made this long"), length }
    }

    /// All of the room is copied and then cut: that is quicker than to copy as much as there is.
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.truncate(start + self.length);
    }
}

fn write_sample(out: &mut Vec<u8>, sample: &VectorSample) {
    out.extend_from_slice(br#"{"metric":"#);
    write_labels(out, &sample.labels);
    match &sample.histogram {
        Some(histogram) => {
            out.extend_from_slice(br#","histogram":"#);
            write_histogram(out, sample.at, histogram);
        }
        None => {
            out.extend_from_slice(br#","value":"#);
            write_point(out, sample.at, sample.value);
        }
    }
    out.push(b'}');
}

fn write_series(out: &mut Vec<u8>, series: &MatrixSeries, times: &mut Times) {
    out.extend_from_slice(br#"{"metric":"#);
    write_labels(out, &series.labels);
    if !series.points.is_empty() || series.histograms.is_empty() {
        out.extend_from_slice(br#","values":"#);
        out.reserve(series.points.len() * POINT_BYTES_MAX + LEAD_BYTES);
        times.learn(&series.points);
        let start = out.len();
        for (index, (at, value)) in series.points.iter().enumerate() {
            times.write(out, index, *at);
            write_number(out, *value);
            out.extend_from_slice(b"\"]");
        }
        // The list begins where the first comma stands.
        match out.get_mut(start) {
            Some(comma) => *comma = b'[',
            None => out.push(b'['),
        }
        out.push(b']');
    }
    if !series.histograms.is_empty() {
        out.extend_from_slice(br#","histograms":"#);
        write_list(out, &series.histograms, |out, (at, histogram)| {
            write_histogram(out, *at, histogram);
        });
    }
    out.push(b'}');
}

fn write_list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_notices(out: &mut Vec<u8>, name: &str, notices: &[String]) {
    if notices.is_empty() {
        return;
    }
    out.push(b',');
    write_text(out, name);
    out.push(b':');
    write_list(out, notices, |out, notice| write_text(out, notice));
}

fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_text(out, value);
    }
    out.push(b'}');
}

fn write_point(out: &mut Vec<u8>, at: TimestampMs, value: f64) {
    out.push(b'[');
    write_time(out, at);
    out.push(b',');
    write_quoted(out, value);
    out.push(b']');
}

/// `[t, {count, sum, buckets: [[rule, "lower", "upper", "count"], …]}]`, empty buckets left out.
fn write_histogram(out: &mut Vec<u8>, at: TimestampMs, histogram: &Histogram) {
    out.push(b'[');
    write_time(out, at);
    for (name, value) in [(",{\"count\":", histogram.count), (",\"sum\":", histogram.sum)] {
        out.extend_from_slice(name.as_bytes());
        write_quoted(out, value);
    }
    let mut buckets = histogram.buckets();
    buckets.retain(|bucket| bucket.count != 0.0);
    if !buckets.is_empty() {
        out.extend_from_slice(b",\"buckets\":");
        write_list(out, &buckets, |out, bucket| {
            out.extend_from_slice(&[b'[', b'0' + boundary_rule(bucket)]);
            for value in [bucket.lower, bucket.upper, bucket.count] {
                out.push(b',');
                write_quoted(out, value);
            }
            out.push(b']');
        });
    }
    out.extend_from_slice(b"}]");
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

fn write_quoted(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    write_number(out, value);
    out.push(b'"');
}

/// Seconds; three digits after the point when there is a fraction.
fn write_time(out: &mut Vec<u8>, at: TimestampMs) {
    if at.0 < 0 {
        out.push(b'-');
    }
    let ms = at.0.unsigned_abs();
    write_whole(out, ms / 1000);
    let rest = ms % 1000;
    if rest != 0 {
        let digit = |value: u64| b'0' + (value % 10) as u8;
        out.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
    }
}

/// The numbers from 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Digits, two at a time.
fn write_whole(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    while value >= 10 {
        start -= 2;
        digits[start..start + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[start..]);
}

/// Whole numbers below this are written digit by digit.
const WHOLE_MAX: f64 = 1e15;
/// From here on, and below the next, numbers stand without an exponent.
const PLAIN_MIN: f64 = 1e-5;
/// Numbers below this stand with an exponent.
const SMALL_MAX: f64 = 1e-6;

fn write_number(out: &mut Vec<u8>, value: f64) {
    let (whole, size) = (value as i64, value.abs());
    if (whole as f64).to_bits() == value.to_bits() && size < WHOLE_MAX {
        if whole < 0 {
            out.push(b'-');
        }
        return write_whole(out, whole.unsigned_abs());
    }
    // There the shortest form of the library is that of the field.
    if (PLAIN_MIN..WHOLE_MAX).contains(&size) || 0.0 < size && size < SMALL_MAX {
        return out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    }
    let text = model::sample::format_value(value);
    // JSON encoders of the field write `1e-7` where the text format has `1e-07`.
    match text.split_once("e-0") {
        Some((mantissa, digit)) => {
            out.extend_from_slice(mantissa.as_bytes());
            out.extend_from_slice(b"e-");
            out.extend_from_slice(digit.as_bytes());
        }
        None => out.extend_from_slice(text.as_bytes()),
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::Buckets;

    fn answer(value: Value) -> String {
        let answer = Answer {
            value,
            warnings: vec!["w \"1\"".to_owned()],
            infos: Vec::new(),
            stats: query::Stats::default(),
            held: query::Held::default(),
        };
        let pieces: Vec<u8> = Chunks::new(answer.clone(), None).flatten().collect();
        let whole = Chunks::new(answer, None).join();
        assert_eq!(pieces, whole);
        String::from_utf8(whole).expect("text")
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
    fn numbers() {
        let mut values = vec![0.0, -0.0, 1.0, -17.0, 0.1, 1e-6, 9.9e-7, 1e-7, 2.5e-12, 123_456.789];
        values.extend([1e14, 1e15, 1e16, 123_456_789_012_345_678.0, 1e20, 1e21, 1.5e300, 5e-324]);
        values.extend([f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN, 0.1 + 0.2, 4.0 / 3.0]);
        values.extend(
            (0..2000u64).map(|seed| f64::from_bits(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        );
        values.extend((0..2000).map(|seed| f64::from(seed * 7919) / 1000.0));
        for value in values {
            let mut out = Vec::new();
            write_number(&mut out, value);
            let expected = model::sample::format_value(value).replace("e-0", "e-");
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }

    #[test]
    fn long_answers_leave_in_pieces() {
        let series = |number: i64| MatrixSeries {
            labels: Labels::from_pairs([("i", number.to_string())]),
            // Every third series has instants of its own.
            points: (0..900)
                .map(|at| (TimestampMs(at * 1500 + number % 3 / 2), at as f64))
                .collect(),
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
}
