//! Chunks of native histograms, of whole numbers and of floats.
//!
//! Place in the flow: `block` → **`decode`** → instants and histograms in ascending order of time.
//!
//! A chunk begins with the layout that all its histograms share. Whole numbers are written as
//! differences of differences, and the buckets as differences to their neighbours; floats as what
//! changed.

use std::sync::Arc;

use model::histogram::{Buckets, CUSTOM_SCHEMA, Histogram, ResetHint, Span};
use model::sample::is_stale_nan;

use crate::bits::{Bits, Xor};
use crate::error::Malformed;

/// What all histograms of a chunk share.
#[derive(Debug, Clone, Default)]
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    custom_values: Vec<f64>,
    /// What the chunk says about a reset before it.
    header: u8,
}

/// One instant of a chunk.
pub type Sample = (i64, Arc<Histogram>);

/// All histograms of a chunk.
pub fn decode(data: &[u8], is_float: bool) -> Result<Vec<Sample>, Malformed> {
    let mut bits = Bits::new(data);
    let count = bits.bits(16)? as usize;
    if count == 0 {
        return Ok(Vec::new());
    }
    let header = bits.bits(8)? as u8;
    let layout = Layout::read(&mut bits, header)?;
    if is_float { floats(bits, count, &layout) } else { integers(bits, count, &layout) }
}

impl Layout {
    fn read(bits: &mut Bits<'_>, header: u8) -> Result<Layout, Malformed> {
        let zero_threshold = match bits.bits(8)? {
            0 => 0.0,
            255 => bits.f64()?,
            exponent => 0.5 * ((exponent as i32 - 243) as f64).exp2(),
        };
        let schema = i32::try_from(bits.varbit_int()?)
            .map_err(|_| Malformed("the chunk holds an impossible schema"))?;
        let positive = spans(bits)?;
        let negative = spans(bits)?;
        let mut custom_values = Vec::new();
        if schema == CUSTOM_SCHEMA {
            for _ in 0..bits.count()? {
                custom_values.push(match bits.bit()? {
                    false => bits.f64()?,
                    true => (bits.varbit_uint()? as f64 - 1.0) / 1000.0,
                });
            }
        }
        Ok(Layout { schema, zero_threshold, positive, negative, custom_values, header })
    }

    fn hint(&self, index: usize) -> ResetHint {
        match (self.header & 0b1100_0000, index) {
            (0b1100_0000, _) => ResetHint::Gauge,
            (0b1000_0000, 0) => ResetHint::Reset,
            (_, 0) => ResetHint::Unknown,
            _ => ResetHint::NotReset,
        }
    }

    fn histogram(&self, index: usize, numbers: Numbers) -> Result<Arc<Histogram>, Malformed> {
        let buckets = |spans: &Vec<Span>, counts: Vec<f64>| {
            let buckets = Buckets::from_spans(spans.clone(), counts);
            buckets.ok_or(Malformed("the chunk's buckets do not fit its spans"))
        };
        let stale = is_stale_nan(numbers.sum);
        let (positive, negative) = match stale {
            true => (Buckets::default(), Buckets::default()),
            false => (
                buckets(&self.positive, numbers.positive)?,
                buckets(&self.negative, numbers.negative)?,
            ),
        };
        Ok(Arc::new(Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: if stale { 0.0 } else { numbers.zero_count },
            count: if stale { 0.0 } else { numbers.count },
            sum: numbers.sum,
            positive,
            negative,
            custom_values: self.custom_values.clone(),
            hint: self.hint(index),
        }))
    }
}

/// The numbers of one histogram.
struct Numbers {
    count: f64,
    zero_count: f64,
    sum: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

fn spans(bits: &mut Bits<'_>) -> Result<Vec<Span>, Malformed> {
    let mut spans = Vec::new();
    for _ in 0..bits.count()? {
        let impossible = Malformed("the chunk holds an impossible span");
        let length = u32::try_from(bits.varbit_uint()?).map_err(|_| impossible)?;
        let offset = i32::try_from(bits.varbit_int()?).map_err(|_| impossible)?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// How many buckets the spans have. Each takes at least a bit of the first histogram.
fn bucket_count(spans: &[Span], bits: &Bits<'_>) -> Result<usize, Malformed> {
    let count: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    let count = usize::try_from(count).ok().filter(|count| *count <= bits.left());
    count.ok_or(Malformed("the chunk claims too many buckets"))
}

/// A whole number that is written as the difference of two differences.
#[derive(Debug, Clone, Copy, Default)]
struct Integer {
    value: i64,
    delta: i64,
}

impl Integer {
    fn next(&mut self, bits: &mut Bits<'_>) -> Result<i64, Malformed> {
        self.delta = self.delta.wrapping_add(bits.varbit_int()?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(self.value)
    }
}

/// Differences between neighbours as the counts themselves.
fn absolute(deltas: &[Integer]) -> Vec<f64> {
    let mut count = 0_i64;
    let mut next = |delta: &Integer| {
        count = count.wrapping_add(delta.value);
        count as f64
    };
    deltas.iter().map(&mut next).collect()
}

fn integers(mut bits: Bits<'_>, count: usize, layout: &Layout) -> Result<Vec<Sample>, Malformed> {
    let mut at_ms = Integer::default();
    let (mut observations, mut zeros, mut sum) =
        (Integer::default(), Integer::default(), Xor::default());
    let mut positive = vec![Integer::default(); bucket_count(&layout.positive, &bits)?];
    let mut negative = vec![Integer::default(); bucket_count(&layout.negative, &bits)?];
    let mut samples = Vec::new();
    for index in 0..count {
        if index == 0 {
            at_ms.value = bits.varbit_int()?;
            observations.value = bits.varbit_uint()?.cast_signed();
            zeros.value = bits.varbit_uint()?.cast_signed();
            sum = Xor::first(bits.f64()?);
            for bucket in positive.iter_mut().chain(&mut negative) {
                bucket.value = bits.varbit_int()?;
            }
        } else {
            at_ms.next(&mut bits)?;
            observations.next(&mut bits)?;
            zeros.next(&mut bits)?;
            if !is_stale_nan(sum.next(&mut bits)?) {
                for bucket in positive.iter_mut().chain(&mut negative) {
                    bucket.next(&mut bits)?;
                }
            }
        }
        let is_stale = is_stale_nan(sum.value());
        let numbers = Numbers {
            count: observations.value.cast_unsigned() as f64,
            zero_count: zeros.value.cast_unsigned() as f64,
            sum: sum.value(),
            positive: if is_stale { Vec::new() } else { absolute(&positive) },
            negative: if is_stale { Vec::new() } else { absolute(&negative) },
        };
        samples.push((at_ms.value, layout.histogram(index, numbers)?));
    }
    Ok(samples)
}

fn floats(mut bits: Bits<'_>, count: usize, layout: &Layout) -> Result<Vec<Sample>, Malformed> {
    let mut at_ms = Integer::default();
    let (mut observations, mut zeros, mut sum) = (Xor::default(), Xor::default(), Xor::default());
    let mut positive = vec![Xor::default(); bucket_count(&layout.positive, &bits)?];
    let mut negative = vec![Xor::default(); bucket_count(&layout.negative, &bits)?];
    let mut samples = Vec::new();
    for index in 0..count {
        if index == 0 {
            at_ms.value = bits.varbit_int()?;
            for number in [&mut observations, &mut zeros, &mut sum] {
                *number = Xor::first(bits.f64()?);
            }
            for bucket in positive.iter_mut().chain(&mut negative) {
                *bucket = Xor::first(bits.f64()?);
            }
        } else {
            at_ms.next(&mut bits)?;
            observations.next(&mut bits)?;
            zeros.next(&mut bits)?;
            if !is_stale_nan(sum.next(&mut bits)?) {
                for bucket in positive.iter_mut().chain(&mut negative) {
                    bucket.next(&mut bits)?;
                }
            }
        }
        let values =
            |buckets: &[Xor]| -> Vec<f64> { buckets.iter().map(|own| own.value()).collect() };
        let is_stale = is_stale_nan(sum.value());
        let numbers = Numbers {
            count: observations.value(),
            zero_count: zeros.value(),
            sum: sum.value(),
            positive: if is_stale { Vec::new() } else { values(&positive) },
            negative: if is_stale { Vec::new() } else { values(&negative) },
        };
        samples.push((at_ms.value, layout.histogram(index, numbers)?));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
