//! Native histograms of messages; 1.0 and 2.0 number their fields alike.
//!
//! Place in the flow: `v1`, `v2` → **`RawHistogram::read`** → `Building`.
//!
//! Integer histograms carry differences between neighbours, float histograms the counts themselves.
//! What contradicts itself is refused with the words that upstream uses; a histogram whose sum is the
//! stale marker is the stale marker.
//!
//! Not here: storing (storage).

use model::histogram::{Buckets, CUSTOM_SCHEMA, Histogram, ResetHint, Span};

use super::error::PushError;
use super::protobuf::{Reader, Value, zigzag};

/// A histogram as it came: when, and itself or why it can't be stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawHistogram {
    pub(super) at_ms: i64,
    pub(super) start_ms: i64,
    pub(super) histogram: Result<Histogram, String>,
}

#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    counts: Vec<f64>,
    /// Of an integer histogram: the last count, and their sum.
    last: i64,
    sum: u64,
    problem: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Parts {
    histogram: Histogram,
    at_ms: i64,
    start_ms: i64,
    positive: Side,
    negative: Side,
    /// Of an integer histogram.
    count: u64,
    zero_count: u64,
    is_float: bool,
}

impl RawHistogram {
    pub(super) fn read(message: &[u8]) -> Result<RawHistogram, PushError> {
        let mut parts = Parts::default();
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.next_field()? {
            parts.take(field, value)?;
        }
        let (at_ms, start_ms) = (parts.at_ms, parts.start_ms);
        Ok(RawHistogram { at_ms, start_ms, histogram: parts.finish() })
    }
}

impl Parts {
    fn take(&mut self, field: u64, value: Value<'_>) -> Result<(), PushError> {
        let own = &mut self.histogram;
        match (field, value) {
            (1, Value::Varint(count)) => self.count = count,
            (2, Value::Fixed64(bits)) => (own.count, self.is_float) = (f64::from_bits(bits), true),
            (3, Value::Fixed64(bits)) => own.sum = f64::from_bits(bits),
            (4, Value::Varint(bits)) => {
                own.schema = i32::try_from(zigzag(bits)).unwrap_or(i32::MAX);
            }
            (5, Value::Fixed64(bits)) => own.zero_threshold = f64::from_bits(bits),
            (6, Value::Varint(count)) => self.zero_count = count,
            (7, Value::Fixed64(bits)) => own.zero_count = f64::from_bits(bits),
            (8, Value::Bytes(span)) => self.negative.span(span)?,
            (9, value) => self.negative.deltas(value)?,
            (10, value) => doubles(value, &mut self.negative.counts)?,
            (11, Value::Bytes(span)) => self.positive.span(span)?,
            (12, value) => self.positive.deltas(value)?,
            (13, value) => doubles(value, &mut self.positive.counts)?,
            (14, Value::Varint(hint)) => {
                own.hint = match hint {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NotReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                };
            }
            (15, Value::Varint(bits)) => self.at_ms = bits as i64,
            (16, value) => doubles(value, &mut own.custom_values)?,
            (17, Value::Varint(bits)) => self.start_ms = bits as i64,
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Histogram, String> {
        if !self.is_float {
            self.check_integers()?;
            self.histogram.count = self.count as f64;
            self.histogram.zero_count = self.zero_count as f64;
        }
        self.histogram.negative = self.negative.buckets("negative")?;
        self.histogram.positive = self.positive.buckets("positive")?;
        if self.histogram.schema == CUSTOM_SCHEMA {
            check_custom(&self.histogram.custom_values)?;
        }
        match self.histogram.problem() {
            None => Ok(self.histogram),
            Some(problem) => Err(problem.to_owned()),
        }
    }

    /// Only whole numbers can be held against each other; floats may be off by a rounding.
    fn check_integers(&self) -> Result<(), String> {
        for side in [&self.negative, &self.positive] {
            if let Some(problem) = side.problem {
                return Err(problem.to_owned());
            }
        }
        let sides = self.negative.sum.checked_add(self.positive.sum);
        let found = sides.and_then(|sum| sum.checked_add(self.zero_count));
        let found = found.ok_or("histogram has more observations than can be counted")?;
        let begin =
            format!("{found} observations found in buckets, but the Count field is {}", self.count);
        // Observations that are no number are in the count and in no bucket.
        if self.histogram.sum.is_nan() {
            if found > self.count {
                return Err(format!(
                    "{begin}: histogram's observation count should be at least the number of \
                     observations found in the buckets"
                ));
            }
        } else if found != self.count {
            return Err(format!(
                "{begin}: histogram's observation count should equal the number of observations \
                 found in the buckets (in absence of NaN)"
            ));
        }
        Ok(())
    }
}

fn check_custom(bounds: &[f64]) -> Result<(), String> {
    if bounds.iter().any(|bound| !bound.is_finite()) {
        return Err("histogram custom bounds must be finite".to_owned());
    }
    if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err("histogram custom bounds must be in strictly increasing order".to_owned());
    }
    Ok(())
}

impl Side {
    fn span(&mut self, message: &[u8]) -> Result<(), PushError> {
        let mut span = Span { offset: 0, length: 0 };
        let mut reader = Reader::new(message);
        while let Some((field, value)) = reader.next_field()? {
            match (field, value) {
                (1, Value::Varint(bits)) => span.offset = zigzag(bits) as i32,
                (2, Value::Varint(length)) => span.length = length as u32,
                _ => {}
            }
        }
        self.spans.push(span);
        Ok(())
    }

    fn deltas(&mut self, value: Value<'_>) -> Result<(), PushError> {
        match value {
            Value::Varint(bits) => self.delta(zigzag(bits)),
            Value::Bytes(packed) => {
                let mut reader = Reader::new(packed);
                while let Some(bits) = reader.next_varint()? {
                    self.delta(zigzag(bits));
                }
            }
            Value::Fixed64(_) | Value::Fixed32 => {}
        }
        Ok(())
    }

    fn delta(&mut self, delta: i64) {
        let too_many = "histogram has more observations than can be counted";
        match self.last.checked_add(delta) {
            Some(count) => self.last = count,
            None => self.problem = Some(too_many),
        }
        match u64::try_from(self.last) {
            Ok(count) => match self.sum.checked_add(count) {
                Some(sum) => self.sum = sum,
                None => self.problem = Some(too_many),
            },
            Err(_) => {
                let negative = "histogram has a bucket whose observation count is negative";
                self.problem = Some(negative);
            }
        }
        self.counts.push(self.last as f64);
    }

    fn buckets(self, name: &str) -> Result<Buckets, String> {
        if let Some(at) = self.spans.iter().skip(1).position(|span| span.offset < 0) {
            return Err(format!(
                "{name} side: span number {} with offset {}: histogram has a span whose offset is \
                 negative",
                at + 2,
                self.spans[at + 1].offset
            ));
        }
        let needed: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        let present = self.counts.len();
        Buckets::from_spans(self.spans, self.counts).ok_or_else(|| {
            format!(
                "{name} side: spans need {needed} buckets, have {present} buckets: histogram spans \
                 specify different number of buckets than provided"
            )
        })
    }
}

fn doubles(value: Value<'_>, into: &mut Vec<f64>) -> Result<(), PushError> {
    match value {
        Value::Fixed64(bits) => into.push(f64::from_bits(bits)),
        Value::Bytes(packed) => {
            let mut reader = Reader::new(packed);
            while let Some(number) = reader.next_double()? {
                into.push(number);
            }
        }
        Value::Varint(_) | Value::Fixed32 => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
