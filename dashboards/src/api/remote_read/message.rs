//! Protobuf of remote read: the request, and the answer that holds samples.
//!
//! Place in the flow: unpacked body → **`read`** → questions; series → **`put_series`** → the body.
//!
//! Unknown fields are skipped, as protobuf wants.

use std::sync::Arc;

use model::histogram::{Histogram, ResetHint, Span};
use model::time::{TimeRange, TimestampMs};
use model::{Labels, MatchOp, Matcher};

/// Most questions of one request.
const QUESTIONS_MAX: usize = 1000;

/// What is asked.
#[derive(Debug)]
pub struct Request {
    /// One for each result.
    pub questions: Vec<Question>,
    /// Whether samples may be given.
    pub takes_samples: bool,
    /// Whether chunks may be given.
    pub takes_chunks: bool,
}

/// Which series, and when.
#[derive(Debug)]
pub struct Question {
    /// All must pass.
    pub matchers: Vec<Matcher>,
    /// `None`: its end is before its start, so that nothing is in it.
    pub range: Option<TimeRange>,
}

/// What a series holds.
#[derive(Debug, Default)]
pub struct Samples {
    /// Ascending.
    pub instants_ms: Vec<i64>,
    /// One for each instant.
    pub values: Vec<f64>,
    /// Ascending.
    pub histograms: Vec<(TimestampMs, Arc<Histogram>)>,
}

impl Samples {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.instants_ms.is_empty() && self.histograms.is_empty()
    }
}

/// One field of a message.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message; `None` for one that is cut off or malformed.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (own, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(own)
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // Nothing that follows can be read either.
            self.0 = &[];
        }
        Some(field)
    }
}

const BROKEN: &str = "the request is no protobuf message of remote read";

/// Reads a request. The error says what is wrong.
pub fn read(message: &[u8]) -> Result<Request, String> {
    let mut own = Request { questions: Vec::new(), takes_samples: false, takes_chunks: false };
    let mut accept = |kind: u64| match kind {
        0 => own.takes_samples = true,
        1 => own.takes_chunks = true,
        _ => {}
    };
    let mut questions = Vec::new();
    for field in Fields(message) {
        match field.ok_or(BROKEN)? {
            (1, Field::Bytes(bytes)) => {
                if questions.len() == QUESTIONS_MAX {
                    return Err(format!("at most {QUESTIONS_MAX} queries are taken at once"));
                }
                questions.push(question(bytes)?);
            }
            (2, Field::Number(kind)) => accept(kind),
            (2, Field::Bytes(packed)) => {
                let mut kinds = Fields(packed);
                while !kinds.0.is_empty() {
                    accept(kinds.varint().ok_or(BROKEN)?);
                }
            }
            _ => {}
        }
    }
    own.questions = questions;
    // Nothing said: the oldest form.
    own.takes_samples |= !own.takes_chunks;
    Ok(own)
}

fn question(bytes: &[u8]) -> Result<Question, String> {
    let (mut start, mut end, mut matchers) = (0, 0, Vec::new());
    for field in Fields(bytes) {
        match field.ok_or(BROKEN)? {
            (1, Field::Number(at)) => start = at.cast_signed(),
            (2, Field::Number(at)) => end = at.cast_signed(),
            (3, Field::Bytes(bytes)) => matchers.push(matcher(bytes)?),
            _ => {}
        }
    }
    Ok(Question { matchers, range: TimeRange::closed(TimestampMs(start), TimestampMs(end)) })
}

fn matcher(bytes: &[u8]) -> Result<Matcher, String> {
    let (mut op, mut name, mut value) = (MatchOp::Equal, "", "");
    for field in Fields(bytes) {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| BROKEN);
        match field.ok_or(BROKEN)? {
            (1, Field::Number(kind)) => {
                op = match kind {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Regex,
                    3 => MatchOp::NotRegex,
                    other => return Err(format!("invalid matcher type {other}")),
                };
            }
            (2, Field::Bytes(bytes)) => name = text(bytes)?,
            (3, Field::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Matcher::new(name, op, value).map_err(|error| format!("matcher of {name:?}: {error}"))
}

/// A number in as few bytes as it needs.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field that is a number.
pub fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, value);
}

/// A field that is bytes, a text or a message.
pub fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_double(out: &mut Vec<u8>, field: u8, value: f64) {
    put_varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Labels as fields number 1.
pub fn put_labels(out: &mut Vec<u8>, labels: &Labels) {
    let mut pair = Vec::new();
    for (name, value) in labels.iter() {
        pair.clear();
        put_bytes(&mut pair, 1, name.as_bytes());
        put_bytes(&mut pair, 2, value.as_bytes());
        put_bytes(out, 1, &pair);
    }
}

/// A series as field number 1 of a result.
pub fn put_series(out: &mut Vec<u8>, labels: &Labels, samples: &Samples) {
    let (mut series, mut one) = (Vec::new(), Vec::new());
    put_labels(&mut series, labels);
    for (at_ms, value) in samples.instants_ms.iter().zip(&samples.values) {
        one.clear();
        put_double(&mut one, 1, *value);
        put_number(&mut one, 2, at_ms.cast_unsigned());
        put_bytes(&mut series, 2, &one);
    }
    for (at, histogram) in &samples.histograms {
        one.clear();
        put_histogram(&mut one, *at, histogram);
        put_bytes(&mut series, 4, &one);
    }
    put_bytes(out, 1, &series);
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// With counts as floats: the store does not tell whole counts from others.
fn put_histogram(out: &mut Vec<u8>, at: TimestampMs, own: &Histogram) {
    put_double(out, 2, own.count);
    put_double(out, 3, own.sum);
    put_number(out, 4, zigzag(i64::from(own.schema)));
    put_double(out, 5, own.zero_threshold);
    put_double(out, 7, own.zero_count);
    put_spans(out, 8, own.negative.spans());
    put_doubles(out, 10, own.negative.counts());
    put_spans(out, 11, own.positive.spans());
    put_doubles(out, 13, own.positive.counts());
    let hint = match own.hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    put_number(out, 14, hint);
    put_number(out, 15, at.0.cast_unsigned());
    put_doubles(out, 16, &own.custom_values);
}

fn put_spans(out: &mut Vec<u8>, field: u8, spans: &[Span]) {
    let mut one = Vec::new();
    for span in spans {
        one.clear();
        put_number(&mut one, 1, zigzag(i64::from(span.offset)));
        put_number(&mut one, 2, u64::from(span.length));
        put_bytes(out, field, &one);
    }
}

fn put_doubles(out: &mut Vec<u8>, field: u8, values: &[f64]) {
    if !values.is_empty() {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        put_bytes(out, field, &packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let mut name = Vec::new();
        put_number(&mut name, 1, 2);
        put_bytes(&mut name, 2, b"job");
        put_bytes(&mut name, 3, b"a|b");
        let mut query = Vec::new();
        put_number(&mut query, 1, (-5i64).cast_unsigned());
        put_number(&mut query, 2, 10);
        put_bytes(&mut query, 3, &name);
        put_bytes(&mut query, 4, b"hints are skipped");
        let mut message = Vec::new();
        put_bytes(&mut message, 1, &query);
        put_bytes(&mut message, 2, &[1, 0]);
        let request = read(&message).expect("good");
        assert!(request.takes_chunks && request.takes_samples);
        let question = &request.questions[0];
        assert_eq!(question.matchers[0].to_string(), "job=~\"a|b\"");
        assert_eq!(question.range, TimeRange::closed(TimestampMs(-5), TimestampMs(10)));

        assert!(read(&[]).expect("empty").takes_samples);
        for broken in [&[0x0a, 5, 1][..], &[0x0f], &[0x12, 1, 0x80], &[0x08]] {
            assert!(read(broken).is_err(), "{broken:?}");
        }
        for cut in 1..message.len() {
            // Whatever is cut off: an answer or an error, no panic.
            let _ = read(&message[..cut]);
        }
    }
}
